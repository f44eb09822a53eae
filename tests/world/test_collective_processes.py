"""Stock XGBoost over real confined enclaves, one of which may die on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import xgboost
from tests.support.enclave_jobs import Job, make_table, open_model, open_table
from tests.world.test_tasks_processes import ROWS, Watched, large_job, pool, run_together

from mc2.coordinator.worker_pool import WorkerPool
from mc2.errors import WorkerError
from mc2.formats.result import Result
from mc2.formats.worker_tasks import Task, TrainStep
from mc2.plan.build import PlanBuilder
from mc2.plan.models import Evaluation, History, Matrix, Train
from mc2.plan.parameters import read_parameters
from mc2.plan.plan import PlanOutput
from mc2.plan.relations import Scan

__all__ = ("pool",)
SETTINGS = {"objective": "binary:logistic", "max_depth": 4, "eval_metric": "logloss"}
ROUNDS = 5
FEATURES = ("age", "glucose")


def training(job: Job) -> Job:
    """A model of the rows of both owners."""
    builder = PlanBuilder(job.plan.inputs)
    rows = tuple(builder.add(Scan(i, (*FEATURES, "ill"))) for i in (0, 1))
    matrix = builder.add(Matrix(rows, FEATURES, label="ill"))
    found = Train(
        matrix, read_parameters(SETTINGS), ROUNDS, evaluations=(Evaluation("train", matrix),)
    )
    model = builder.add(found)
    nodes, outputs = builder.finish(
        [
            PlanOutput(name="model", node=model, kind="model", recipients=("cy",)),
            PlanOutput(
                name="history", node=builder.add(History(model)), kind="table", recipients=("cy",)
            ),
        ]
    )
    job.plan = replace(job.plan, nodes=nodes, outputs=outputs)
    return job


def pooled() -> xgboost.DMatrix:
    """The rows as somebody has them who may see them all."""
    rows = pa.concat_tables([make_table(1, ROWS, "a"), make_table(2, ROWS, "b")])
    values = np.stack([rows.column(f).to_numpy() for f in FEATURES], axis=1)
    return xgboost.DMatrix(
        values.astype(np.float32),
        label=rows.column("ill").to_numpy(),
        feature_names=list(FEATURES),
        feature_types=["int", "float"],
    )


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
    metrics: dict[str, dict[str, list[float]]] = {}
    rows = pooled()
    xgboost.train(
        SETTINGS, rows, ROUNDS, evals=[(rows, "train")], evals_result=metrics, verbose_eval=False
    )
    np.testing.assert_allclose(losses, metrics["train"]["logloss"], rtol=0.01)
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
