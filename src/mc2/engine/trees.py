"""Training and prediction by stock XGBoost: the same model as `xgboost.train` gives on all rows.

XGBoost's messages may quote data, so their text never leaves this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import xgboost
from xgboost.core import XGBoostError

from mc2.engine.matrices import MatrixData, build, check_categories
from mc2.errors import EngineError
from mc2.formats.arrow import arrow_schema
from mc2.formats.schema import Schema
from mc2.plan.infer_models import HISTORY, prediction_names
from mc2.plan.models import Predict, Train
from mc2.plan.shapes import MatrixShape, ModelShape

_QUIET: Final = 0

_LABELS: Final = "look at the least and the greatest label, and choose a fitting objective"
_KNOWN: Final = {
    "contains `inf`": ("a feature is infinite, or too large for 32 bits", "leave such rows out"),
    "Label contains NaN": (
        "a label is NaN, infinite or too large for 32 bits",
        "leave such rows out",
    ),
    "Weights must be positive": ("a weight is negative, NaN or infinite", "leave such rows out"),
    "base_score must be in": ("labels are not from 0 to 1 as the objective asks", _LABELS),
    "`base_score` must be": ("labels are not positive as the objective asks", _LABELS),
    "label must be in (0, 1)": ("labels are not from 0 to 1 as the objective asks", _LABELS),
    "label must be non-negative": ("labels are negative, which the objective rules out", _LABELS),
    "label must be positive": ("labels are not positive as the objective asks", _LABELS),
    "label must be greater than -1": ("labels are not above -1 as the objective asks", _LABELS),
    "[0, num_class)": (
        "a label is no class number from 0 to num_class - 1",
        "number the classes from 0, and set num_class",
    ),
    "std::isnan(v)": ("the weights sum up to nothing", "give some row a weight above zero"),
}
"""What XGBoost says of data that it refuses, by a part of the text that is always the same."""

Metrics = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model, the metrics of its evaluation sets after each round, and the categories."""

    shape: ModelShape
    booster: Any
    metrics: Metrics
    categories: Mapping[str, frozenset[str]]

    def raw(self) -> bytes:
        """The model as XGBoost's JSON, which stock XGBoost loads."""
        return bytes(self.booster.save_raw("json"))


class _Progress(xgboost.callback.TrainingCallback):
    """Tells after each round, and never stops a training."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        super().__init__()
        self._tell = tell
        self.failure: Exception | None = None

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Called by XGBoost."""
        del model, evals_log
        try:
            self._tell(epoch + 1)
        except Exception as error:
            self.failure = error
            raise
        return False


@contextmanager
def _translating(doing: str, progress: _Progress | None = None) -> Iterator[None]:
    try:
        with xgboost.config_context(verbosity=_QUIET):  # its warnings may quote data too
            yield
    except EngineError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it says may quote data
        if progress is not None and progress.failure is not None:
            raise progress.failure from None
        text = str(error) if isinstance(error, XGBoostError) else ""
        for part, (message, hint) in _KNOWN.items():
            if part in text:
                raise EngineError(message, hint=hint) from None
        raise EngineError(
            f"XGBoost failed {doing}",
            hint="train with the same parameters on data of your own to see why",
        ) from None


def matrix(shape: MatrixShape, sources: Sequence[pa.Table], threads: int) -> MatrixData:
    """A matrix over the rows of relations, in their order. Raises: EngineError."""
    with _translating("to read the matrix"):
        return build(shape, sources, threads)


def train(
    shape: ModelShape,
    matrices: Mapping[int, MatrixData],
    threads: int,
    tell: Callable[[int], None],
) -> Model:
    """Train a model; `matrices` by their places in the plan, `tell` after each round.

    Raises: EngineError.
    """
    operation = shape.operation
    known = matrices[operation.matrix].categories
    for place in operation.sources:
        if matrices[place].is_empty:
            raise EngineError("a matrix to train on, or to evaluate with, has no rows")
        check_categories(matrices[place], known)
    metrics: dict[str, dict[str, list[float]]] = {}
    progress = _Progress(tell)
    with _translating("to train", progress):
        booster = xgboost.train(
            _arguments(operation, threads),
            matrices[operation.matrix].data,
            num_boost_round=operation.num_boost_round,
            evals=[(matrices[e.matrix].data, e.name) for e in operation.evaluations],
            evals_result=metrics,
            early_stopping_rounds=operation.early_stopping_rounds,
            verbose_eval=False,
            callbacks=[progress],
        )
    return Model(shape, booster, metrics, known)


def _arguments(operation: Train, threads: int) -> dict[str, Any]:
    given: dict[str, Any] = {p.name: p.argument for p in operation.parameters}
    return {**given, "nthread": str(threads), "verbosity": str(_QUIET), "device": "cpu"}


def predict(model: Model, operation: Predict, data: MatrixData, schema: Schema) -> pa.Table:
    """What a model says of the rows of a matrix, in its schema. Raises: EngineError."""
    kept = [data.rows.column(name) for name in operation.keep]
    names = prediction_names(operation, model.shape)
    target = arrow_schema(schema)
    if data.is_empty:
        return target.empty_table()
    check_categories(data, model.categories)
    with _translating("to predict"):
        rounds = (0, model.booster.best_iteration + 1) if operation.rounds == "best" else (0, 0)
        found = model.booster.predict(
            data.data,
            output_margin=operation.what == "margin",
            pred_leaf=operation.what == "leaf",
            iteration_range=rounds,
        )
    table = np.asarray(found).reshape(data.rows.num_rows, -1)
    if operation.what == "leaf":
        leaves = table.astype(np.int32)
        said = [pa.array(list(leaves), target.field(len(kept)).type)]
    else:
        if table.shape[1] != len(names):
            raise EngineError("XGBoost predicts another number of columns than the plan says")
        said = [pa.array(np.ascontiguousarray(table[:, i])) for i in range(len(names))]
    return pa.table([*kept, *said], schema=target)


def history(model: Model) -> pa.Table:
    """The metrics of a training: one row for each round, evaluation set and metric."""
    series = [
        (evaluation, metric, values)
        for evaluation, metrics in model.metrics.items()
        for metric, values in metrics.items()
    ]
    rounds = len(series[0][2])
    rows = [(i, name, metric, v[i]) for i in range(rounds) for name, metric, v in series]
    columns = [list(column) for column in zip(*rows, strict=True)]
    return pa.table(columns, schema=arrow_schema(HISTORY))
