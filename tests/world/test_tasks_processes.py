"""A job larger than its workers' memory, over real confined processes that die on the way."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from tests.support import enclave_jobs
from tests.support.enclave_jobs import (
    Job,
    Sealed,
    make_job,
    make_table,
    open_key,
    open_table,
    read_evidence,
    seal,
)
from tests.support.oblivious_cluster import sealed_padded

from mc2.attestation.simulated.report import KIND, measure
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.coordinator.backend import LocalBackend
from mc2.coordinator.cluster import Cluster, Introduction
from mc2.coordinator.worker_pool import WorkerPool, worker_commands
from mc2.coordinator.workers import Worker
from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest
from mc2.errors import DatasetError, Mc2Error
from mc2.formats.arrow import schema_of
from mc2.formats.facts import TableFacts
from mc2.formats.fixed import fixed_places, unpack_fixed
from mc2.formats.receipt import Receipt
from mc2.formats.result import Result
from mc2.formats.worker import JobOutcome
from mc2.formats.worker_tasks import Task, TrainStep
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import ColumnRef
from mc2.plan.plan import PlanOutput
from mc2.plan.relations import Aggregate, AggregateColumn, Scan, Union

SECONDS = 240.0
ROWS = 250_000
PADDED_ROWS = 30_000
MEMORY = str(64 * 1024 * 1024)


def command(root: Path) -> tuple[str, ...]:
    simulation = ("--tee", "simulated", "--unsafe-simulation", "--simulated-root", str(root))
    return (
        *(sys.executable, "-m", "mc2.enclave", *simulation, "--threads", "1"),
        *("--memory-bytes", MEMORY),
    )


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[WorkerPool]:
    SimulatedRoot.make().store(tmp_path / "root")
    with WorkerPool(worker_commands(3, command(tmp_path / "root"), tmp_path)) as found:
        yield found


def large_job(
    pool: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Job, Worker]:
    """Two datasets of some 7 MB each, which no worker takes in one piece, and a leader."""
    monkeypatch.setattr(enclave_jobs, "ROWS_PER_CHUNK", 25_000)
    leader = pool.acquire(timeout_seconds=SECONDS)
    root = SimulatedRoot.load(tmp_path / "root").digest
    policy = {KIND: {"root": root, "measurements": [measure(leader.ready.code)]}}
    datasets = {
        "ada.visits": seal("ada.visits", make_table(1, ROWS, "a")),
        "bo.visits": seal("bo.visits", make_table(2, ROWS, "b"), dataset_id="33" * 16),
    }
    return make_job(contract={"attestation": policy}, datasets=datasets), leader


class Watched(Cluster[Worker]):
    """A cluster that counts what workers are given, and may end a worker right after a task."""

    assigned = 0
    steps = 0
    kill_at = -1

    def assign(self, worker: str, task: Task | TrainStep) -> None:
        self.assigned += 1
        self.steps += isinstance(task, TrainStep)
        super().assign(worker, task)
        if self.assigned == self.kill_at:
            self.workers[worker].kill()


def oblivious_job(pool: WorkerPool, tmp_path: Path) -> tuple[Job, Worker]:
    """Two padded datasets of some 4 MB each: how many rows of each site there are, and in all."""
    leader, *others = [pool.acquire(timeout_seconds=SECONDS) for _ in range(3)]
    for other in others:  # all three are up: small jobs are shared only by those that are
        pool.release(other)
    end = time.monotonic() + SECONDS
    while pool.idle_count < len(others):
        assert time.monotonic() < end
        time.sleep(0.1)
    root = SimulatedRoot.load(tmp_path / "root").digest
    policy = {KIND: {"root": root, "measurements": [measure(leader.ready.code)]}}
    datasets = {}
    for name, seed in (("ada.visits", 1), ("bo.visits", 2)):
        table = make_table(seed, PADDED_ROWS, name[0])
        facts = TableFacts({"site": 100})
        found = sealed_padded(name, schema_of(table.schema), table, facts, 5000)
        datasets[name] = Sealed(found.manifest, bytes(found.key.raw), found.chunks)
    job = make_job(contract={"attestation": policy}, datasets=datasets)
    inputs = tuple(
        replace(i, sizes="padded", facts=datasets[i.dataset].manifest.facts)
        for i in job.plan.inputs
    )
    builder = PlanBuilder(inputs)
    rows = builder.add(Union(tuple(builder.add(Scan(i, ("site", "ill"))) for i in (0, 1))))
    count = AggregateColumn("n", "count_star", ())
    ill = AggregateColumn("ill", "sum", (ColumnRef("ill"),))
    wanted = {"by_site": builder.add(Aggregate(rows, ("site",), (count,)))}
    wanted["total"] = builder.add(Aggregate(rows, (), (count, ill)))
    nodes, outputs = builder.finish(
        [PlanOutput(name=n, node=i, kind="table", recipients=("cy",)) for n, i in wanted.items()]
    )
    job.plan = replace(job.plan, mode="oblivious", inputs=inputs, nodes=nodes, outputs=outputs)
    return job, leader


def padded_rows(job: Job, result: Result) -> list[dict[str, object]]:
    """The rows of a padded result."""
    assert result.schema is not None
    cipher = ChunkCipher(open_key(result, job.parties["cy"]))
    assert result.padding is not None
    places = fixed_places(result.schema, result.padding.widths, result.padding.rows_per_chunk)
    found = []
    for index, chunk in enumerate(result.chunks):
        plain = cipher.open(index, job.stored[chunk.digest], result.associated_data(index))
        found += unpack_fixed(plain, result.schema, places).to_pylist()
    return found


@pytest.mark.slow
def test_an_oblivious_job_is_shared_and_a_dead_worker_costs_its_task_alone(
    pool: WorkerPool, tmp_path: Path
) -> None:
    job, leader = oblivious_job(pool, tmp_path)
    outcome, others, receipt = run_together(pool, leader, job, kill_at=2)
    assert others.assigned >= 2
    assert receipt.tasks is not None
    sites = padded_rows(job, Result.parse(outcome.results["by_site"]))
    half = PADDED_ROWS // 2
    assert sites == [{"site": s, "n": half} for s in ("a0", "a1", "b0", "b1")]
    tables = [make_table(seed, PADDED_ROWS) for seed in (1, 2)]
    ill = sum(sum(t.column("ill").to_pylist()) for t in tables)
    total = padded_rows(job, Result.parse(outcome.results["total"]))
    assert total == [{"n": 2 * PADDED_ROWS, "ill": ill}]


def run_together(
    pool: WorkerPool, leader: Worker, job: Job, *, kill_at: int = -1, hostile: bool = False
) -> tuple[JobOutcome, Watched, Receipt]:
    bundle, challenges = job.bundle(), job.challenges()
    leader.open(bundle)
    evidence = leader.attest(challenges)
    grants = {n: job.grant(n, evidence, challenges[n]) for n in job.owners}
    backend = LocalBackend(job.read, timeout_seconds=SECONDS)
    others = Watched(
        pool,
        Introduction(bundle=bundle, challenges=challenges, evidence=evidence),
        most=2,
        may_borrow=lambda: True,
        keep=lambda _: None,
        timeout_seconds=SECONDS,
        backend=backend,
    )
    others.kill_at = kill_at
    said: list[str] = []
    blobs = set(job.stored) | {d for s in job.datasets.values() for d in s.chunks}

    def read(name: Digest) -> bytes:
        raw = backend.read(name)
        return raw[:-1] + bytes([raw[-1] ^ 1]) if hostile and name not in blobs else raw

    try:
        outcome = leader.run(grants, read, job.write, said.append, others, timeout_seconds=SECONDS)
    finally:
        others.release()
    assert any("tasks done" in text for text in said)
    key = read_evidence(evidence).runtime_data.signing_key
    return outcome, others, Receipt.verify(outcome.receipt, lambda _: key).value


@pytest.mark.slow
def test_a_job_is_shared_and_a_dead_worker_costs_its_task_alone(
    pool: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, leader = large_job(pool, tmp_path, monkeypatch)
    outcome, others, receipt = run_together(pool, leader, job, kill_at=2)
    assert others.assigned >= 2
    assert receipt.tasks is not None
    assert len(receipt.epochs) == 1
    result = Result.parse(outcome.results["by_site"])
    found = open_table(result, job.parties["cy"], job.stored)
    both = pa.concat_tables([make_table(1, ROWS, "a"), make_table(2, ROWS, "b")])
    expected = both.group_by("site").aggregate([("site", "count")]).sort_by("site")
    assert found.column("site").to_pylist() == expected.column("site").to_pylist()
    assert found.column("n").to_pylist() == expected.column("site_count").to_pylist()


@pytest.mark.slow
def test_a_block_that_the_host_alters_ends_the_job(
    pool: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, leader = large_job(pool, tmp_path, monkeypatch)
    with pytest.raises(Mc2Error) as caught:
        run_together(pool, leader, job, hostile=True)
    assert isinstance(caught.value, DatasetError) or "not the one" in str(caught.value)
