"""A job that is cut into tasks, run by a leader over Spark's executors, or over pretended ones.

`make_large_job` has some MB of sealed rows, which a worker of the smallest memory does not take in
one piece. `run_job` is the coordinator's part of an attempt, without HTTP.
"""

from __future__ import annotations

import secrets
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from mc2.attestation.simulated.report import KIND, measure
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.coordinator.backend import TaskBackend, TaskNeeds
from mc2.coordinator.cluster import Cluster, Introduction
from mc2.coordinator.worker_pool import WorkerCommand
from mc2.coordinator.workers import Worker
from mc2.crypto.digest import Digest
from mc2.errors import DatasetError, WorkerError
from mc2.formats.receipt import Receipt
from mc2.formats.result import Result
from mc2.formats.worker import JobOutcome
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import ColumnRef
from mc2.plan.plan import PlanOutput
from mc2.plan.relations import Aggregate, AggregateColumn, Scan, Union
from mc2.spark.settings import KeeperSettings
from tests.support import enclave_jobs
from tests.support.enclave_jobs import Job, make_job, make_table, open_table, read_evidence, seal

SECONDS = 240.0
ROWS = 250_000
ROWS_PER_CHUNK = 25_000
MEMORY = 64 * 1024 * 1024
MARKER = "a_site_that_nobody_else_may_read"
"""Stands in every row: where it is found outside of an enclave, plaintext is."""


def enclave_command(root: Path, memory: int = MEMORY) -> tuple[str, ...]:
    """A simulated enclave, of the smallest memory."""
    simulation = ("--tee", "simulated", "--unsafe-simulation", "--simulated-root", str(root))
    return (
        *(sys.executable, "-m", "mc2.enclave", *simulation, "--threads", "2"),
        *("--memory-bytes", str(memory)),
    )


def make_root(folder: Path) -> Path:
    """A root of simulated evidence in a file."""
    path = folder / "simulated-root.json"
    SimulatedRoot.make().store(path)
    return path


def start_leader(root: Path, folder: Path, memory: int = MEMORY) -> Worker:
    """An enclave of the coordinator's own."""
    worker = WorkerCommand(enclave_command(root, memory), folder / "leader.log", {}).start()
    worker.hello()
    return worker


def policy_of(root: Path, code: Any) -> dict[str, Any]:
    """What a contract asks of enclaves under this root. `code`: what they say of theirs."""
    return {KIND: {"root": SimulatedRoot.load(root).digest, "measurements": [measure(code)]}}


@cache
def _visits() -> tuple[pa.Table, pa.Table]:
    """The rows of both owners: drawn in Python, a second each."""
    return make_table(1, ROWS, MARKER + "_a"), make_table(2, ROWS, MARKER + "_b")


def make_large_job(root: Path, code: Any) -> Job:
    """Two datasets of some 7 MB each, and a report by site. `code`: what enclaves say of theirs."""
    policy = policy_of(root, code)
    before = enclave_jobs.ROWS_PER_CHUNK
    enclave_jobs.ROWS_PER_CHUNK = ROWS_PER_CHUNK
    try:
        ada, bo = _visits()
        datasets = {
            "ada.visits": seal("ada.visits", ada),
            "bo.visits": seal("bo.visits", bo, dataset_id="33" * 16),
        }
    finally:
        enclave_jobs.ROWS_PER_CHUNK = before
    job = make_job(contract={"attestation": policy}, datasets=datasets)
    builder = PlanBuilder(job.plan.inputs)
    scans = [builder.add(Scan(i, ("site", "age"))) for i in range(2)]
    report = Aggregate(
        builder.add(Union(tuple(scans))),
        ("site",),
        (
            AggregateColumn("n", "count_star", ()),
            AggregateColumn("age", "sum", (ColumnRef("age"),)),
        ),
    )
    outputs = [
        PlanOutput(name="by_site", node=builder.add(report), kind="table", recipients=("cy",))
    ]
    nodes, named = builder.finish(outputs)
    job.plan = enclave_jobs.replace(job.plan, nodes=nodes, outputs=named)
    return job


def expected(job: Job) -> list[tuple[str, int, int]]:
    """What the report must say."""
    del job
    found = (
        pa.concat_tables(_visits())
        .group_by("site")
        .aggregate([("site", "count"), ("age", "sum")])
        .sort_by("site")
    )
    return list(
        zip(
            found.column("site").to_pylist(),
            found.column("site_count").to_pylist(),
            found.column("age_sum").to_pylist(),
            strict=True,
        )
    )


def answer(job: Job, outcome: JobOutcome) -> list[tuple[str, int, int]]:
    """What the report says."""
    found = open_table(Result.parse(outcome.results["by_site"]), job.parties["cy"], job.stored)
    columns = [found.column(n).to_pylist() for n in ("site", "n", "age")]
    return sorted(zip(*columns, strict=True))


@dataclass
class Attempt:
    """One attempt: the leader, the backend that helps it, and what was seen of it."""

    job: Job
    leader: Worker
    backend: Any
    folder: Path
    wrap: Callable[[TaskBackend], TaskBackend] = lambda tasks: tasks
    said: list[str] = field(default_factory=list)
    members: list[bytes] = field(default_factory=list)
    receipt: Receipt | None = None
    laying_out_seconds: float = 0.0
    most: int = 8

    def run(self) -> JobOutcome:
        job, leader = self.job, self.leader
        bundle, challenges = job.bundle(), job.challenges()
        leader.open(bundle)
        evidence = leader.attest(challenges)
        grants = {n: job.grant(n, evidence, challenges[n]) for n in job.owners}
        begun = time.perf_counter()
        chunks = self._lay_out()
        self.laying_out_seconds = time.perf_counter() - begun
        needs = TaskNeeds(
            bundle=bundle,
            read_chunk=self._read,
            chunk_file=lambda name: chunks / name.removeprefix("sha256:"),
            timeout_seconds=SECONDS,
        )
        tasks = self.wrap(self.backend.tasks(needs))
        others: Cluster[Any] = Cluster(
            self.backend.members,
            Introduction(bundle=bundle, challenges=challenges, evidence=evidence),
            most=self.most,
            may_borrow=lambda: True,
            keep=self.members.extend,
            timeout_seconds=SECONDS,
            backend=tasks,
        )
        try:
            outcome = leader.run(
                grants, tasks.read, job.write, self.said.append, others, timeout_seconds=SECONDS
            )
        finally:
            others.release()
        key = read_evidence(evidence).runtime_data.signing_key
        self.receipt = Receipt.verify(outcome.receipt, lambda _: key).value
        return outcome

    def _read(self, name: Digest) -> bytes:
        """A chunk, as the coordinator's store gives it."""
        try:
            return self.job.read(name)
        except KeyError:
            raise DatasetError(f"there is no blob {name}") from None

    def _lay_out(self) -> Path:
        chunks = self.folder / "chunks"
        chunks.mkdir(exist_ok=True)
        for dataset in self.job.datasets.values():
            for name, raw in dataset.chunks.items():
                (chunks / name.removeprefix("sha256:")).write_bytes(raw)
        return chunks


class ThreadJobs:
    """Stands for Spark: functions run in threads, and `muster` finds keepers of the test's own.

    `on_run` sees every run of a task before it begins, and may end something.
    """

    def __init__(self, keepers: Sequence[str], tries: int = 4) -> None:
        self.keepers = list(keepers)
        self.tries = tries
        self.runs: list[str] = []
        self.on_run: Callable[[int], None] = lambda _: None
        self.cancels = 0

    @property
    def slots(self) -> int:
        return max(1, len(self.keepers))

    def run(self, function: Any, items: Sequence[Any], *, group: str, name: str) -> list[Any]:
        if name == "mc2: look for enclaves":
            return list(self.keepers)
        return [self._run(function, item, name) for item in items]

    def _run(self, function: Any, item: Any, name: str) -> Any:
        cancels = self.cancels
        for attempt in range(self.tries):
            if self.cancels != cancels:
                break
            self.runs.append(name)
            self.on_run(len(self.runs))
            try:
                return function(item)
            except WorkerError:
                if attempt == self.tries - 1:
                    raise
        raise WorkerError("cancelled")

    def cancel(self, group: str) -> None:
        self.cancels += 1

    def run_in_thread(self, name: str, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread


def chunk_names(job: Job) -> set[Digest]:
    """The digests of all sealed inputs."""
    return {name for dataset in job.datasets.values() for name in dataset.chunks}


def make_settings(folder: Path, root: Path) -> KeeperSettings:
    """What keepers are told, for hosts that share a folder."""
    return KeeperSettings(
        enclave=enclave_command(root),
        token=secrets.token_hex(32),
        storage=str(folder / "blocks"),
        driver="",
        application=f"test-{secrets.token_hex(4)}",
        start_seconds=120,
    )
