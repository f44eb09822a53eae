"""A job whose model stock XGBoost trains on the rows of two owners, and what it trains alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import xgboost

from mc2.plan.build import PlanBuilder
from mc2.plan.models import Evaluation, History, Matrix, Train
from mc2.plan.parameters import parameters
from mc2.plan.plan import PlanOutput
from mc2.plan.relations import Scan
from tests.support.enclave_jobs import Job, make_table

SETTINGS = {"objective": "binary:logistic", "max_depth": 4, "eval_metric": "logloss"}
ROUNDS = 5
FEATURES = ("age", "glucose")


def training(job: Job) -> Job:
    """A model of the rows of both owners, and its losses, instead of what the job was about."""
    builder = PlanBuilder(job.plan.inputs)
    rows = tuple(builder.add(Scan(i, (*FEATURES, "ill"))) for i in (0, 1))
    matrix = builder.add(Matrix(rows, FEATURES, label="ill"))
    evaluations = (Evaluation("train", matrix),)
    model = builder.add(Train(matrix, parameters(SETTINGS), ROUNDS, evaluations=evaluations))
    history = builder.add(History(model))
    nodes, outputs = builder.finish(
        [
            PlanOutput(name="history", node=history, kind="table", recipients=("cy",)),
            PlanOutput(name="model", node=model, kind="model", recipients=("cy",)),
        ]
    )
    job.plan = replace(job.plan, nodes=nodes, outputs=outputs)
    return job


def pooled_losses(rows: int = 250_000) -> list[float]:
    """What stock XGBoost loses after each round, over all rows in one process."""
    table = pa.concat_tables([make_table(seed, rows) for seed in (1, 2)])
    values = np.stack([table.column(f).to_numpy() for f in FEATURES], axis=1)
    pooled = xgboost.DMatrix(
        values.astype(np.float32),
        label=table.column("ill").to_numpy(),
        feature_names=list(FEATURES),
        feature_types=["int", "float"],
    )
    found: dict[str, dict[str, list[float]]] = {}
    xgboost.train(
        SETTINGS, pooled, ROUNDS, evals=[(pooled, "train")], evals_result=found, verbose_eval=False
    )
    return found["train"]["logloss"]
