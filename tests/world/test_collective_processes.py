"""Stock XGBoost over real confined enclaves, one of which may die on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xgboost
from tests.support.collective_jobs import ROUNDS, pooled_losses, training
from tests.support.enclave_jobs import open_model, open_table
from tests.world.test_tasks_processes import ROWS, Watched, large_job, pool, run_together

from mc2.coordinator.worker_pool import WorkerPool
from mc2.errors import WorkerError
from mc2.formats.result import Result
from mc2.formats.worker_tasks import Task, TrainStep

__all__ = ("pool",)


@pytest.mark.slow
def test_confined_workers_train_one_model(
    pool: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, leader = large_job(pool, tmp_path, monkeypatch)
    outcome, others, receipt = run_together(pool, leader, training(job))
    assert others.steps > ROUNDS
    assert receipt.tasks is not None
    history = Result.parse(outcome.results["history"])
    losses = open_table(history, job.parties["cy"], job.stored).column("value").to_pylist()
    np.testing.assert_allclose(losses, pooled_losses(ROWS), rtol=0.01)
    model = open_model(Result.parse(outcome.results["model"]), job.parties["cy"], job.stored)
    booster = xgboost.Booster()
    booster.load_model(bytearray(model))
    assert booster.num_boosted_rounds() == ROUNDS


@pytest.mark.slow
def test_a_worker_that_dies_in_mid_training_ends_the_attempt(
    pool: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, leader = large_job(pool, tmp_path, monkeypatch)
    usual = Watched.assign

    def assign(self: Watched, worker: str, task: Task | TrainStep) -> None:
        usual(self, worker, task)
        if isinstance(task, TrainStep) and self.steps == 10:
            self.workers[worker].kill()

    monkeypatch.setattr(Watched, "assign", assign)
    with pytest.raises(WorkerError, match="was lost while it trained"):
        run_together(pool, leader, training(job))
