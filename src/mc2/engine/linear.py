"""Linear and logistic regression and k-means over rows that an engine has computed.

The numbers come from `mc2.ml`, in kernels whose results are the same bits for any order of rows
and any number of threads. A model leaves as JSON. Spec: docs/spec/linear-model.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mc2.errors import EngineError, FormatError
from mc2.formats.arrow import arrow_schema
from mc2.formats.linear_model import (
    ClustersFile,
    MultinomialFile,
    RegressionFile,
    read_linear_model,
)
from mc2.formats.schema import Schema
from mc2.ml.clusters import Start, fit_clusters, labels_of
from mc2.ml.linear import Fitted, Penalty
from mc2.ml.moments import LearningRows, whole_steps
from mc2.ml.regressions import Asked, fit_regression, margins_of, probabilities_of
from mc2.operators.run import Run
from mc2.plan.linear_models import Apply, FitClusters, FitLinear
from mc2.plan.literals import parse_float
from mc2.plan.shapes import LinearShape, MatrixShape

_GREATEST: Final = 2.0**150
KEEP_AGAIN: Final = "run the job that keeps it again"

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PlainRows:
    """The rows of a matrix, as they are, and as kernels read them."""

    table: pa.Table
    learning: LearningRows


@dataclass(frozen=True, slots=True)
class LinearModel:
    """What was fitted: factors and then the constant, or one centre in each row."""

    shape: LinearShape
    numbers: Doubles
    inertia: float = 0.0

    def raw(self) -> bytes:
        """The model as it leaves the enclave."""
        fit = self.shape.operation
        names = tuple(f.name for f in self.shape.features)
        if isinstance(fit, FitClusters):
            centres = tuple(tuple(map(float, row)) for row in self.numbers)
            return ClustersFile(names, centres, self.inertia).raw()
        cost = parse_float(fit.penalty), parse_float(fit.sparsity), fit.per_weight
        if fit.is_multinomial:
            factors = tuple(tuple(map(float, row[:-1])) for row in self.numbers)
            constants = tuple(map(float, self.numbers[:, -1]))
            return MultinomialFile(names, factors, constants, *cost).raw()
        *own, constant = map(float, self.numbers)
        return RegressionFile(fit.family, names, tuple(own), constant, *cost).raw()


def numbers_shape(shape: LinearShape) -> tuple[int, ...]:
    """The shape of the numbers of a model: centres, or factors and then the constant."""
    fit, count = shape.operation, len(shape.features)
    if isinstance(fit, FitClusters):
        return fit.clusters, count
    return (fit.classes, count + 1) if fit.is_multinomial else (count + 1,)


def recalled(shape: LinearShape, raw: bytes) -> LinearModel:
    """A kept model from its file. Raises: EngineError if it is another one than the plan says."""
    fit = shape.operation
    try:
        found = read_linear_model(raw)
    except FormatError as error:
        raise EngineError(f"a kept model does not load: {error}", hint=KEEP_AGAIN) from None
    if found.features == tuple(f.name for f in shape.features):
        match found, fit:
            case ClustersFile(), FitClusters() if len(found.centres) == fit.clusters:
                return LinearModel(shape, np.array(found.centres), found.inertia)
            case RegressionFile(), FitLinear() if found.family == fit.family:
                if not fit.is_multinomial:
                    return LinearModel(shape, np.array([*found.factors, found.constant]))
            case MultinomialFile(), FitLinear() if len(found.factors) == fit.classes:
                rows = [(*f, c) for f, c in zip(found.factors, found.constants, strict=True)]
                if fit.is_multinomial:
                    return LinearModel(shape, np.array(rows))
    raise EngineError("a kept model is not the one that the plan describes", hint=KEEP_AGAIN)


def rows(shape: MatrixShape, sources: Sequence[pa.Table]) -> PlainRows:
    """The rows of relations, one below the other. Raises: EngineError for absent numbers."""
    target = arrow_schema(shape.schema)
    table = pa.concat_tables([pa.table(s.select(target.names).columns, target) for s in sources])
    room = whole_steps(table.num_rows)
    features = np.zeros((len(shape.features), room))
    for place, feature in enumerate(shape.features):
        features[place, : table.num_rows] = _numbers(table, feature.name, "feature")
    present = np.zeros(room, dtype=np.uint8)
    present[: table.num_rows] = 1
    labels = _padded(table, shape.operation.label, "label", room)
    weights = _padded(table, shape.operation.weight, "weight", room)
    if weights is not None and (weights.min() < 0 or not weights.any()):
        raise EngineError(
            "weights are negative, or sum up to nothing",
            hint="leave such rows out; some row has a weight above zero",
        )
    return PlainRows(table, LearningRows(features, present, labels, weights))


def _padded(table: pa.Table, name: str | None, what: str, room: int) -> Doubles | None:
    if name is None:
        return None
    found = np.zeros(room)
    found[: table.num_rows] = _numbers(table, name, what)
    return found


def _numbers(table: pa.Table, name: str, what: str) -> Doubles:
    column = table.column(name)
    if column.null_count:
        raise EngineError(
            f"the {what} {name!r} is NULL in some row",
            hint="leave such rows out, or put a number there in SQL, with COALESCE",
        )
    found = np.asarray(pc.cast(column, pa.float64(), safe=False), dtype=np.float64)
    if not (np.abs(found) <= _GREATEST).all():
        raise EngineError(
            f"the {what} {name!r} is NaN, infinite or larger than 1e45 in some row",
            hint="leave such rows out",
        )
    return found


def fit(shape: LinearShape, data: PlainRows) -> LinearModel:
    """Fit a model. Raises: EngineError if the rows determine none."""
    if not data.table.num_rows:
        raise EngineError("the matrix to fit a model to has no rows")
    run = Run()
    operation = shape.operation
    if isinstance(operation, FitClusters):
        found = fit_clusters(
            run,
            data.learning,
            operation.clusters,
            start_of(operation),
            rounds=operation.rounds,
            may_end=True,
        )
        run.finish()
        return LinearModel(shape, found.centres, float(found.inertia[0]))
    fitted = _regression(run, operation, data.learning)
    run.finish()
    _check_end(operation, fitted)
    return LinearModel(shape, fitted.factors)


def start_of(operation: FitClusters) -> Start:
    """Where centres start."""
    if not operation.centres:
        return Start(seed=operation.seed, times=operation.starts)
    numbers = np.array([parse_float(c) for c in operation.centres])
    return Start(given=numbers.reshape(operation.clusters, -1))


def _regression(run: Run, operation: FitLinear, data: LearningRows) -> Fitted:
    if operation.family == "logistic":
        labels = data.labels
        if labels is None or not np.isin(labels, np.arange(operation.classes)).all():
            raise EngineError(
                f"a label is none of 0 to {operation.classes - 1}",
                hint="number the classes in SQL, with CASE; LogisticRegression(classes=) says how "
                "many there are",
            )
    return fit_regression(run, data, asked_of(operation), may_end=True)


def asked_of(operation: FitLinear) -> Asked:
    """What a plan asks of a regression."""
    cost = parse_float(operation.penalty), parse_float(operation.sparsity)
    return Asked(
        Penalty(*cost, per_weight=operation.per_weight),
        operation.intercept,
        operation.rounds,
        operation.classes if operation.family == "logistic" else 0,
    )


def _check_end(operation: FitLinear, fitted: Fitted) -> None:
    logistic = operation.family == "logistic"
    if logistic and (fitted.dropped[0] or not fitted.state[0]):
        raise EngineError(
            "the regression did not come to an end: the features may part the classes, or depend "
            "on one another",
            hint="fit with a stronger penalty (a smaller C), or with fewer features",
        )
    if fitted.dropped[0]:
        raise EngineError(
            "some features depend on others, so that many factors fit as well",
            hint="leave out one feature of each such set, or use Ridge",
        )


def said(model: LinearModel, operation: Apply, data: PlainRows, schema: Schema) -> pa.Table:
    """What a model says of the rows of a matrix, in its schema."""
    run = Run()
    count = data.table.num_rows
    values: npt.NDArray[Any]
    if operation.what == "cluster":
        values = labels_of(run, data.learning.features, data.learning.present, model.numbers)
        values = values.astype(np.int32)
    else:
        values = margins_of(run, data.learning.features, model.numbers)
        if operation.what == "probability":
            values = probabilities_of(run, values)
        elif operation.what == "class":
            several = values.ndim > 1
            values = (values.argmax(axis=0) if several else values > 0).astype(np.int32)
    kept = [data.table.column(name) for name in operation.keep]
    found = [pa.array(row[:count]) for row in np.atleast_2d(values)]
    return pa.table([*kept, *found], schema=arrow_schema(schema))
