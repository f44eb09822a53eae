"""A cluster of real, confined worker processes, two honest and one of another deployment."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.enclave_jobs import make_job, read_evidence

from mc2.attestation.simulated.report import KIND, measure
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.coordinator.cluster import Cluster, Introduction
from mc2.coordinator.worker_pool import WorkerPool, worker_commands
from mc2.coordinator.workers import Worker
from mc2.formats.cluster import verify_member_evidence
from mc2.formats.receipt import Receipt

SECONDS = 120.0


def command(root: Path) -> tuple[str, ...]:
    simulation = ("--tee", "simulated", "--unsafe-simulation", "--simulated-root", str(root))
    return (sys.executable, "-m", "mc2.enclave", *simulation, "--threads", "1")


def test_confined_workers_form_a_cluster_without_the_rogue(tmp_path: Path) -> None:
    for name in ("own", "other"):
        SimulatedRoot.make().store(tmp_path / name)
    root = SimulatedRoot.load(tmp_path / "own").digest
    sources = (
        *worker_commands(2, command(tmp_path / "own"), tmp_path),
        *worker_commands(1, command(tmp_path / "other"), tmp_path / "other_logs"),
    )
    with WorkerPool(sources) as pool:
        workers = [pool.acquire(timeout_seconds=SECONDS) for _ in sources]
        leader = next(w for w in workers if w.name == "worker_1")
        for worker in workers:
            if worker is not leader:
                pool.release(worker)
        run_together(pool, leader, root)


def run_together(pool: WorkerPool, leader: Worker, root: str) -> None:
    policy = {KIND: {"root": root, "measurements": [measure(leader.ready.code)]}}
    job = make_job(contract={"attestation": policy})
    bundle, challenges = job.bundle(), job.challenges()
    leader.open(bundle)
    evidence = leader.attest(challenges)
    grants = {n: job.grant(n, evidence, challenges[n]) for n in job.owners}
    kept: list[bytes] = []
    others: Cluster[Worker] = Cluster(
        pool,
        Introduction(bundle=bundle, challenges=challenges, evidence=evidence),
        most=2,
        may_borrow=lambda: True,
        keep=kept.extend,
        timeout_seconds=SECONDS,
    )
    try:
        outcome = leader.run(
            grants, job.read, job.write, lambda _: None, others, timeout_seconds=SECONDS
        )
        assert others.workers.keys() == {"worker_2"}
    finally:
        others.release()
    key = read_evidence(evidence).runtime_data.signing_key
    receipt = Receipt.verify(outcome.receipt, lambda _: key).value
    (raw,) = kept
    assert receipt.epochs == ((receipt.evidence, verify_member_evidence(raw).digest),)
    (named,) = (warning for warning in receipt.warnings if "LEFT OUT" in warning)
    assert "worker_3 of epoch 1 (evidence)" in named
    assert pool.idle_count == 2
