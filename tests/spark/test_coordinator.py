"""A coordinator with the Spark backend, in a process of its own, and parties that reach it by HTTPS."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.spark.conftest import PYTHON, ROOT, SECONDS, Standalone, environment
from tests.support.connect import EngineRunner, spark_session
from tests.support.enclave_jobs import make_table
from tests.support.spark_jobs import enclave_command, make_root

from mc2.attestation.simulated.report import measure
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.attestation.simulated.verifier import SimulatedVerifier
from mc2.client.connect.jobs import PartyRunner
from mc2.client.contracts import read_contract_file
from mc2.client.desk import Trust
from mc2.client.party import Party
from mc2.client.seal import SealOptions
from mc2.coordinator.folder import CoordinatorFolder
from mc2.enclave.code_identity import code_identity
from mc2.errors import CoordinatorError, Mc2Error
from mc2.formats.coordinator_file import CoordinatorFile
from mc2.formats.status import JobState, JobStatus

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:The copy keyword"),
]
ROWS = 500_000
VISITS = make_table(1, ROWS)
CONTRACT = """\
api_version = "mc2/contract/v1"
name = "spark"
epoch = 1
not_after = 2099-01-01T00:00:00Z
min_tier = "simulated"
approvers = "owners"
max_attempts = 3
[members.ada]
card = "ada.card"
roles = ["analyst", "owner", "recipient"]
[attestation."mc2-simulated/v1"]
root = "{root}"
measurements = ["{measurement}"]
"""

SCRIPT = """\
import mc2

job = mc2.Job("Ages")
ages = job.sql("SELECT age, count(*) AS n FROM ada.visits GROUP BY age ORDER BY age")
job.release("ages", ages, to="ada")
"""


class Deployment:
    """A coordinator on Spark, started and killed as an operator would."""

    def __init__(self, folder: Path, master: str, names: dict[str, str]) -> None:
        self.folder = folder
        self.master = master
        self.names = names
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.root = make_root(folder)

    @property
    def place(self) -> Path:
        return self.folder / "coordinator"

    @property
    def own(self) -> CoordinatorFolder:
        return CoordinatorFolder(self.place)

    @property
    def blocks(self) -> list[Path]:
        return [p for p in (self.place / "blocks").rglob("*") if p.is_file()]

    def handed_on(self) -> list[Path]:
        """Blocks that tasks wrote, of a job that runs; inputs are links, new files have a suffix."""
        return [p for p in self.blocks if not p.suffix and p.stat().st_nlink == 1]

    def start(self) -> None:
        command = [
            *(str(PYTHON), "-m", "mc2.spark", "--folder", str(self.place)),
            *("--master", self.master, "--port", str(self.port), "--workers", "1"),
            *("--spark-conf", "spark.driver.memory=512m"),
            *("--spark-conf", "spark.executor.memory=512m"),
            *("--worker-command", shlex.join(enclave_command(self.root))),
        ]
        with (self.folder / "coordinator.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.names, stderr=log)
        until = time.monotonic() + SECONDS
        while not self._answers():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.1)

    def _answers(self) -> bool:
        with suppress(OSError, Mc2Error):
            file = CoordinatorFile.parse(self.own.file.read_bytes())
            self.port = int(file.url.rpartition(":")[2])
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    @property
    def log(self) -> str:
        return (self.folder / "coordinator.log").read_text()[-4000:]

    def end(self, kind: int) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, kind)
            self.process.wait(SECONDS)
            self.process = None


def enrolled(deployment: Deployment) -> Party:
    """A party that brings more rows than one of the enclaves takes in one piece."""
    folder = deployment.folder
    ada = Party.create(folder / "ada", "ada", "Ada", trust=Trust(simulation=SimulatedVerifier))
    (folder / "ada.card").write_bytes(ada.card())
    root = SimulatedRoot.load(deployment.root).digest
    text = CONTRACT.format(root=root, measurement=measure(code_identity()))
    (folder / "contract.toml").write_text(text)
    file = CoordinatorFile.parse(deployment.own.file.read_bytes())
    ada.enrol(file, deployment.own.token())
    ada.join(read_contract_file(folder / "contract.toml"))
    # Chunks this small are not cut into columns: each query counts as reading the whole table.
    options = SealOptions(rows_per_chunk=ROWS // 200, compression="none")
    ada.upload(VISITS, "visits", options=options)
    return ada


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Deployment]:
    """Spark within the coordinator's process tree."""
    found = Deployment(tmp_path, "local[2]", environment(tmp_path))
    found.start()
    yield found
    found.end(signal.SIGTERM)


@pytest.fixture
def spread(standalone: Standalone) -> Iterator[Deployment]:
    """Executors that are processes of a cluster."""
    found = Deployment(standalone.folder, standalone.master, standalone.environment)
    found.start()
    yield found
    found.end(signal.SIGTERM)


def frames(spark: Any) -> list[pa.Table]:
    """What a notebook asks: groups, a join of groups with rows, a top-k."""
    from pyspark.sql.connect import functions as F  # noqa: N812  as everybody calls it

    visits = spark.read.table("ada.visits")
    sites = visits.groupBy("site").agg(F.count("*").alias("n"), F.sum("age").alias("age"))
    mean = visits.groupBy("age").agg(F.avg("ill").alias("part"), F.max("glucose").alias("most"))
    oldest = visits.join(mean, "age").filter(F.col("glucose") == F.col("most"))
    wanted = (
        sites.orderBy("site"),
        oldest.select("age", "site", "most").orderBy("age", "site", "most"),
        visits.orderBy(F.col("glucose").desc(), "age").select("glucose", "age").limit(5),
    )
    return [frame.toArrow() for frame in wanted]


def test_stock_pyspark_gets_the_same_answers_over_spark(local: Deployment) -> None:
    with enrolled(local) as ada:
        with spark_session(PartyRunner(ada, timeout=timedelta(seconds=SECONDS))) as spark:
            found = frames(spark)
        with spark_session(EngineRunner({"ada.visits": VISITS})) as spark:
            wanted = frames(spark)
        assert [t.to_pylist() for t in found] == [t.to_pylist() for t in wanted]
        jobs = ada.status()
        assert [job.state for job in jobs] == [JobState.SUCCEEDED] * 3
        for job in jobs:
            proof = ada.verify_job(job.job_id)
            assert len(proof.members) == 1  # the enclave beside the one executor
            assert proof.receipt.value.tasks is not None
    assert local.blocks == []


class Running(threading.Thread):
    """The party runs a job in the background, and hears of its states."""

    def __init__(self, party: Party, job_id: str) -> None:
        super().__init__(daemon=True)
        self.party, self.job_id = party, job_id
        self.status: JobStatus | None = None
        self.error: Mc2Error | None = None
        self.start()

    def run(self) -> None:
        try:
            self.status = self.party.run(self.job_id, timeout=timedelta(seconds=SECONDS))
        except Mc2Error as error:
            self.error = error


@pytest.mark.slow
def test_a_driver_that_dies_in_mid_job_costs_an_attempt(spread: Deployment) -> None:
    """Its executors, their keepers and enclaves end with it; blocks are removed by the next one."""
    with enrolled(spread) as ada:
        job_id = ada.propose(SCRIPT, script_name="ages.py").job_id
        ada.approve(job_id, plan=ada.review(job_id).job.plan.digest)
        running = Running(ada, job_id)
        held = _until(spread.handed_on)
        before = _keepers(spread.folder)
        assert before
        spread.end(signal.SIGKILL)
        assert running.status is None, "the job ended before its driver could be killed"
        _until(lambda: not before & _keepers(spread.folder))
        assert all(path.exists() for path in held)  # sealed, and of no use: their keys are gone
        spread.start()
        running.join(SECONDS)
        if isinstance(running.error, CoordinatorError):  # nobody answered for longer than it waits
            running = Running(ada, job_id)
            running.join(SECONDS)
        assert running.error is None, running.error
        assert running.status is not None
        assert running.status.state is JobState.SUCCEEDED
        proof = ada.verify_job(job_id)
        assert proof.context.attempt == 2
        assert proof.receipt.value.tasks is not None
        assert ada.results(job_id)["ages"].table.to_pylist() == _ages()
        granted = [e.event.json() for e in ada.log() if e.event.KIND == "granted"]
        assert [g["attempt"] for g in granted if g["job_id"] == job_id] == [1, 2]
    assert spread.blocks == []


def _until(find: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (found := find()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def _keepers(folder: Path) -> set[int]:
    """Keepers of enclaves beside executors whose temporary files are there."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_text().split("\0")
            if "mc2.spark.keeper" in words and any(w.startswith(f"{folder}/") for w in words):
                found.add(int(path.parent.name))
    return found


def _ages() -> list[dict[str, Any]]:
    counted = Counter(VISITS["age"].to_pylist())
    return [{"age": age, "n": n} for age, n in sorted(counted.items())]
