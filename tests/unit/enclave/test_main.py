"""The real worker process: confined, over a real socket, with the real engines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.enclave_jobs import (
    CODE,
    NOW,
    Job,
    make_job,
    open_model,
    open_table,
    read_evidence,
)

from mc2.attestation.claims import RawEvidence
from mc2.attestation.simulated.collector import WARNING
from mc2.attestation.simulated.report import measure
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.attestation.simulated.verifier import SimulatedVerifier
from mc2.coordinator.worker_pool import WorkerPool, worker_commands
from mc2.coordinator.workers import Worker
from mc2.crypto.digest import Digest
from mc2.enclave.process import UNCONFINED_WARNING
from mc2.errors import (
    ApprovalError,
    DatasetError,
    EngineError,
    JobError,
    PlanError,
    UsageError,
    WorkerError,
)
from mc2.formats.receipt import Receipt
from mc2.formats.result import Result
from mc2.formats.worker import JobOutcome
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import Cast, ColumnRef
from mc2.plan.plan import PlanOutput
from mc2.plan.relations import NamedExpression, Project, Scan
from mc2.plan.types import INT64

RUN_SECONDS = 120.0


@pytest.fixture(scope="module")
def root_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("root") / "root.pem"
    SimulatedRoot.make().store(path)
    return path


def command(root_file: Path, *more: str) -> tuple[str, ...]:
    simulation = ("--tee", "simulated", "--unsafe-simulation", "--simulated-root", str(root_file))
    return (sys.executable, "-m", "mc2.enclave", *simulation, "--threads", "1", *more)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def pool(root_file: Path, logs: Path) -> Iterator[WorkerPool]:
    with WorkerPool(worker_commands(1, command(root_file), logs)) as started:
        yield started


@contextmanager
def lent(pool: WorkerPool) -> Iterator[Worker]:
    """A worker of the pool for a while."""
    worker = pool.acquire(timeout_seconds=120)
    try:
        yield worker
    finally:
        pool.release(worker)


@pytest.fixture
def worker(pool: WorkerPool) -> Iterator[Worker]:
    with lent(pool) as found:
        yield found


def run(worker: Worker, job: Job) -> tuple[bytes, JobOutcome]:
    """A whole job: its evidence and outcome."""
    assert worker.open(job.bundle()).owners == job.owners
    challenges = job.challenges()
    evidence = worker.attest(challenges)
    grants = {n: job.grant(n, evidence, challenges[n]) for n in job.owners}
    said: list[str] = []
    outcome = worker.run(grants, job.read, job.write, said.append, timeout_seconds=RUN_SECONDS)
    assert said
    return evidence, outcome


def test_a_confined_worker_computes_sql_and_models(worker: Worker, root_file: Path) -> None:
    job = make_job()
    evidence, outcome = run(worker, job)
    spoken = read_evidence(evidence)
    claims = SimulatedVerifier(SimulatedRoot.load(root_file).digest).verify(
        RawEvidence(spoken.kind, spoken.evidence, spoken.endorsements), at=NOW
    )
    assert claims.report_data == spoken.runtime_data.report_data()
    assert claims.measurements == {"MEASUREMENT": measure(worker.ready.code)}
    key = spoken.runtime_data.signing_key
    receipt = Receipt.verify(outcome.receipt, lambda _: key).value
    assert receipt.warnings == (WARNING,)
    assert receipt.code == worker.ready.code
    assert receipt.code.keys() == CODE.keys()
    assert worker.ready.packages == dict(job.plan.packages)
    rows = open_table(Result.parse(outcome.results["by_site"]), job.parties["bo"], job.stored)
    counts = {r["site"]: r["n"] for r in rows.to_pylist()}
    assert counts == {"a0": 5, "a1": 5, "b0": 4, "b1": 3}
    model = open_model(Result.parse(outcome.results["model"]), job.parties["cy"], job.stored)
    assert json.loads(model)["learner"]


def test_the_process_has_given_up_its_privileges(worker: Worker) -> None:
    status = Path(f"/proc/{worker.process_id}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert fields["Seccomp"] == "2"
    assert fields["NoNewPrivs"] == "1"
    assert int(fields["CapEff"], 16) == 0
    assert "0" not in fields["Uid"].split()
    limits = Path(f"/proc/{worker.process_id}/limits").read_text().splitlines()
    (core,) = (line.split() for line in limits if line.startswith("Max core file size"))
    assert core[4:6] == ["0", "0"]


def test_the_process_holds_nothing_open_but_its_socket_and_its_log(
    worker: Worker, logs: Path
) -> None:
    folder = Path(f"/proc/{worker.process_id}")
    with suppress(PermissionError):  # only root may look into a process that closed itself
        held = {str(link.readlink()).partition(":")[0] for link in (folder / "fd").iterdir()}
        assert held == {"/dev/null", "socket", str(logs / "worker-1.log")}
        assert (folder / "cwd").readlink() == Path("/")


def strict_cast(job: Job) -> Job:
    """A plan that fails on the data: it turns the names of sites into numbers."""
    builder = PlanBuilder(job.plan.inputs)
    scans = [builder.add(Scan(i, ("site",))) for i in range(2)]
    outputs = []
    for index, scan in enumerate(scans):
        expression = Cast(ColumnRef("site"), INT64)
        node = builder.add(Project(scan, (NamedExpression("site", expression),)))
        outputs.append(PlanOutput(name=f"out{index}", node=node, kind="table", recipients=("ada",)))
    nodes, kept = builder.finish(outputs)
    return replace(job, plan=replace(job.plan, nodes=nodes, outputs=kept))


def test_refusals_and_engine_errors_leave_the_worker_alive(worker: Worker) -> None:
    good = make_job()
    with pytest.raises(ApprovalError, match="not approved by bo"):
        worker.open(good.bundle(approvals={"ada": good.approval("ada")}))
    bad = replace(good, plan=replace(good.plan, packages={"duckdb": "0"}))
    with pytest.raises(PlanError, match="other packages"):
        worker.open(bad.bundle())
    failing = strict_cast(good)
    with pytest.raises(EngineError) as caught:
        run(worker, failing)
    for site in ("a0", "a1", "b0", "b1"):
        assert site not in str(caught.value) + caught.value.hint
    with pytest.raises(JobError):
        worker.attest(good.challenges())
    run(worker, good)


def test_a_hostile_store_is_refused_and_the_worker_lives_on(worker: Worker) -> None:
    job = make_job()
    chunks = dict(job.datasets["bo.visits"].chunks)
    (first, raw), *_ = chunks.items()
    bad = replace(job.datasets["bo.visits"], chunks={**chunks, first: raw[::-1]})
    with pytest.raises(DatasetError, match="not the one that its manifest names"):
        run(worker, replace(job, datasets={**job.datasets, "bo.visits": bad}))
    run(worker, job)


def test_the_log_holds_codes_and_no_data(worker: Worker, logs: Path) -> None:
    job = make_job()
    with pytest.raises(EngineError):
        run(worker, strict_cast(job))
    run(worker, job)
    log = (logs / "worker-1.log").read_text()
    assert "refused (engine)" in log
    assert "a job is done" in log
    assert WARNING in log
    for table in job.datasets.values():
        assert table.key.hex() not in log
    for word in ("a0", "b1", "glucose"):
        assert word not in log


def test_a_worker_killed_in_mid_run_is_replaced_and_the_job_runs_again(pool: WorkerPool) -> None:
    job = make_job()
    with lent(pool) as worker:
        victim = worker.process_id
        assert victim is not None
        killing = murderous(job, victim)
        with pytest.raises(WorkerError, match="signal 9"):
            run(worker, killing)
    with lent(pool) as other:
        assert other.process_id != victim
        run(other, replace(job, attempt=2))


def murderous(job: Job, victim: int) -> Job:
    """The job, with a store that kills the worker where it reads."""

    class Killing(Job):
        def read(self, name: Digest) -> bytes:
            os.kill(victim, signal.SIGKILL)
            return super().read(name)

    return Killing(**{n: getattr(job, n) for n in job.__dataclass_fields__})


def test_a_worker_ends_with_its_host(root_file: Path, tmp_path: Path) -> None:
    (source,) = worker_commands(1, command(root_file), tmp_path)
    worker = source.start()
    worker.hello()
    process = worker._process
    assert process is not None
    worker.open(make_job().bundle())
    worker._connection.close()  # what the kernel does when this process is killed
    assert process.wait(60) == 0
    worker.kill()


def test_serves_a_listening_socket_unconfined_if_told_so(root_file: Path, tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'w.sock'}"
    process = subprocess.Popen(
        [*command(root_file, "--unsafe-unconfined"), "--listen", address],
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        assert "listens at unix:" in process.stderr.readline()
        for _ in range(2):
            worker = Worker.connect(address)
            assert worker.hello().warnings == (WARNING, UNCONFINED_WARNING)
            run(worker, make_job())
            worker.kill()
        process.kill()


def exit_of(*arguments: str) -> tuple[int, str]:
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "mc2.enclave", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert time.monotonic() - begun < 120
    return done.returncode, done.stderr


def test_refuses_to_start_without_hardware_or_an_explicit_simulation(
    root_file: Path, tmp_path: Path
) -> None:
    listen = ("--listen", f"unix:{tmp_path / 'w.sock'}")
    root = ("--simulated-root", str(root_file))
    code, said = exit_of(*listen)
    assert (code, "no TEE" in said, "--unsafe-simulation" in said) == (8, True, True)
    for arguments in (
        ("--tee", "simulated"),
        ("--tee", "simulated", "--unsafe-simulation"),
        ("--tee", "simulated", *root),
        ("--unsafe-simulation",),
        ("--unsafe-simulation", *root),
    ):
        code, said = exit_of(*listen, *arguments)
        assert (code, arguments) == (UsageError.exit_code, arguments)
    assert not (tmp_path / "w.sock").exists()


def test_refuses_wrong_arguments(root_file: Path) -> None:
    for arguments in (
        (),
        ("--listen", "nowhere"),
        ("--listen", "fd:1"),
        ("--listen", "unix:/x", "--threads", "0"),
        ("--listen", "unix:/x", "--tee", "best"),
    ):
        simulation = command(root_file)[3:] if "--tee" not in arguments else ()
        code, said = exit_of(*simulation, *arguments)
        assert code == 2, said
