"""A model that confined worker processes train together, one of which is killed on the way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.support.enclave_jobs import Job, open_model, read_evidence
from tests.support.shared_trainings import together_job

from mc2.attestation.simulated.report import KIND, measure
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.coordinator.backend import LocalBackend
from mc2.coordinator.cluster import Cluster, Introduction
from mc2.coordinator.worker_pool import WorkerPool, worker_commands
from mc2.coordinator.workers import Worker
from mc2.formats.receipt import Receipt
from mc2.formats.result import Result
from mc2.formats.worker_tasks import Task, TrainStep

SECONDS = 240.0
SETTINGS = {"objective": "binary:logistic", "max_depth": 3, "max_bin": 16}


class Watched(Cluster[Worker]):
    """A cluster that counts the steps that workers get, and may end a worker at one."""

    steps = 0
    kill_at = -1

    def assign(self, worker: str, task: Task | TrainStep) -> None:
        assert isinstance(task, TrainStep)
        self.steps += 1
        super().assign(worker, task)
        if self.steps == self.kill_at:
            self.workers[worker].kill()


def run(
    pool: WorkerPool, leader: Worker, job: Job, *, others: int, kill_at: int = -1
) -> tuple[bytes, Receipt, Watched]:
    bundle, challenges = job.bundle(), job.challenges()
    leader.open(bundle)
    evidence = leader.attest(challenges)
    grants = {n: job.grant(n, evidence, challenges[n]) for n in job.owners}
    backend = LocalBackend(job.read, timeout_seconds=SECONDS)
    cluster = Watched(
        pool,
        Introduction(bundle=bundle, challenges=challenges, evidence=evidence),
        most=others,
        may_borrow=lambda: True,
        keep=lambda _: None,
        timeout_seconds=SECONDS,
        backend=backend,
    )
    cluster.kill_at = kill_at
    try:
        outcome = leader.run(
            grants, backend.read, job.write, lambda _: None, cluster, timeout_seconds=SECONDS
        )
    finally:
        cluster.release()
    key = read_evidence(evidence).runtime_data.signing_key
    receipt = Receipt.verify(outcome.receipt, lambda _: key).value
    model = open_model(Result.parse(outcome.results["model"]), job.parties["cy"], job.stored)
    return model, receipt, cluster


@pytest.mark.slow
def test_processes_train_the_model_of_one_though_one_is_killed(tmp_path: Path) -> None:
    SimulatedRoot.make().store(tmp_path / "root")
    root = SimulatedRoot.load(tmp_path / "root").digest
    simulation = ("--tee", "simulated", "--unsafe-simulation", "--simulated-root")
    command = (
        *(sys.executable, "-m", "mc2.enclave", *simulation, str(tmp_path / "root")),
        *("--threads", "1"),
    )
    with WorkerPool(worker_commands(3, command, tmp_path)) as pool:
        leader = pool.acquire(timeout_seconds=SECONDS)
        policy = {KIND: {"root": root, "measurements": [measure(leader.ready.code)]}}
        job = together_job((40_000, 30_000), 10_000, SETTINGS, contract={"attestation": policy})
        alone, receipt, _ = run(pool, leader, job, others=0)
        assert receipt.tasks is None
        together, receipt, cluster = run(pool, leader, job, others=2)
        assert cluster.steps > 20
        assert len(receipt.epochs[0]) == 3
        assert receipt.tasks is not None
        assert together == alone
        after_a_death, receipt, cluster = run(pool, leader, job, others=2, kill_at=9)
        assert cluster.steps > 20
        assert receipt.tasks is not None
        assert after_a_death == alone
