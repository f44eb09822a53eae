"""A table to train on, and the same rows as stock XGBoost takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost

from mc2.plan.models import Evaluation, Matrix, Train
from mc2.plan.parameters import parameters
from tests.support.plans import Job, Source, schema

FEATURES = ("x", "y", "z")
KINDS = schema(
    id="int64!", x="double", y="double!", z="float!", cls="int32!", t="double!", low="double!",
    high="double", grade="int32!", q="int64!", w="double!", m="double!", m2="double!", fold="string!",
)  # fmt: skip


def columns(seed: int, rows: int = 300) -> dict[str, Any]:
    """Made-up rows, by column."""
    random = np.random.default_rng(seed)
    x, y = random.standard_normal(rows), random.standard_normal(rows)
    x[::11] = np.nan
    low = random.uniform(1, 9, rows).round(2)
    return {
        "id": np.arange(rows),
        "x": x,
        "y": y,
        "z": random.standard_normal(rows).astype(np.float32),
        "cls": (np.nan_to_num(x) + y > 0).astype(int) + (y > 1),
        "t": random.uniform(0.5, 5, rows),
        "low": low,
        "high": np.where(random.random(rows) < 0.3, np.inf, low + random.uniform(0, 2, rows)),
        "grade": random.integers(0, 4, rows),
        "q": np.sort(random.integers(0, 30, rows)),
        "w": random.uniform(0.5, 2, rows),
        "m": random.standard_normal(rows) / 4,
        "m2": random.standard_normal(rows) / 4,
        "fold": random.choice(["a", "b", "c"], rows),
    }


def source(seed: int, rows: int = 300, order: Any = None) -> Source:
    """The rows as an input of a plan; what is not a number is NULL."""
    found = columns(seed, rows)
    order = np.arange(rows) if order is None else order
    taken = [found[c.name][order].tolist() for c in KINDS.columns]
    cleaned = [
        [None if isinstance(v, float) and not np.isfinite(v) else v for v in values]
        for values in taken
    ]
    return Source(KINDS, list(zip(*cleaned, strict=True)), batch=97)


def pooled(*seeds: int) -> dict[str, Any]:
    """The rows of several owners, one below the other."""
    found = [columns(s) for s in seeds]
    return {name: np.concatenate([f[name] for f in found]) for name in found[0]}


def stock_matrix(data: dict[str, Any], label: str | None = "t", **named: str) -> xgboost.DMatrix:
    """The rows as a data scientist has them who may see them all."""
    given = {what: data[name] for what, name in named.items()}
    return xgboost.DMatrix(
        np.stack([data[f] for f in FEATURES], axis=1).astype(np.float32),
        label=None if label is None else data[label],
        feature_names=list(FEATURES),
        feature_types=["float"] * len(FEATURES),
        **given,
    )


def stock(params: dict[str, Any], matrix: xgboost.DMatrix, rounds: int, **options: Any) -> Any:
    """What stock XGBoost trains."""
    return xgboost.train(params, matrix, rounds, verbose_eval=False, **options)


def raw(booster: xgboost.Booster) -> bytes:
    return bytes(booster.save_raw("json"))


class Training(Job):
    """Two owners' tables, and models over them."""

    def __init__(self) -> None:
        super().__init__(t=source(1), u=source(2))
        self.t, self.u = self.scan("t"), self.scan("u")

    def matrix(self, *sources: int, label: str | None = "t", **options: Any) -> int:
        return self.add(Matrix(sources or (self.t,), FEATURES, label, **options))

    def train(self, settings: dict[str, Any], rounds: int, matrix: int, **options: Any) -> int:
        evals = tuple(Evaluation(n, m) for n, m in options.pop("evals", ()))
        found = parameters(settings)
        return self.add(Train(matrix, found, rounds, evals, **options))
