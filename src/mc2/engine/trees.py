"""Training and prediction by stock XGBoost: the same model as `xgboost.train` gives on all rows.

XGBoost's messages may quote data, so their text never leaves this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xgboost
from xgboost.core import XGBoostError

from mc2.engine import formulas
from mc2.engine.folds import divide
from mc2.engine.inspections import inspect
from mc2.engine.matrices import MatrixData, build, check_categories, cut, values_of
from mc2.engine.noisy_edges import draw_edges
from mc2.engine.release_rules import controlled
from mc2.errors import EngineError
from mc2.formats.arrow import arrow_schema
from mc2.formats.schema import Schema
from mc2.plan.infer_boosters import VALIDATION
from mc2.plan.infer_models import HISTORY, named_value, prediction_names
from mc2.plan.literals import parse_float
from mc2.plan.models import Annotate, CrossValidate, Inspect, Predict, Slice, Train
from mc2.plan.shapes import MatrixShape, ModelShape
from mc2.plan.training import Boosting

_QUIET: Final = 0

_KEEP_AGAIN: Final = "run the job that keeps it again"
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


def cut_to_drawn(
    operation: Train,
    shapes: Mapping[int, MatrixShape],
    matrices: Mapping[int, MatrixData],
    key: bytes,
    draw: int,
    threads: int,
) -> Mapping[int, MatrixData]:
    """The matrices of a training, cut to noisy edges of the one that it learns from.

    `draw` is a number that no other matrix has whose edges the same `key` draws.

    Raises: EngineError.
    """
    shape, own = shapes[operation.matrix], matrices[operation.matrix]
    with _translating("to read the matrix"):
        edges = [
            draw_edges(n, values_of(shape, own, n.feature), key, draw)
            for n in shape.operation.noisy
        ]
        return {m: cut(shapes[m], matrices[m], edges, threads) for m in operation.matrices}


def train(
    shape: ModelShape,
    matrices: Mapping[int, MatrixData],
    start: Model | None,
    owners: Sequence[str],
    threads: int,
    tell: Callable[[int], None],
) -> Model:
    """Train a model; `matrices` by their places in the plan, `tell` after each round.

    `start` is the model to go on from. `owners` are those of the matrix's sources, each its own.

    Raises: EngineError.
    """
    operation = shape.operation
    own = matrices[operation.matrix]
    for place in operation.matrices:
        if matrices[place].is_empty:
            raise EngineError("a matrix to train on, or to evaluate with, has no rows")
        check_categories(matrices[place], own.categories)
    if start is not None and start.categories != own.categories:
        raise EngineError(  # codes of categories would mean others
            "the rows have other categories than those that the first model was trained on",
            hint="train both on rows in which the same categories occur",
        )
    metrics: dict[str, dict[str, list[float]]] = {}
    progress = _Progress(tell)
    with _translating("to train", progress):
        booster = xgboost.train(
            arguments(operation, threads),
            own.data,
            num_boost_round=operation.num_boost_round,
            evals=[(matrices[e.matrix].data, e.name) for e in operation.evaluations],
            evals_result=metrics,
            verbose_eval=False,
            callbacks=[progress, *callbacks(operation)],
            xgb_model=None if start is None else start.booster,
            **_formulas(operation),
        )
        booster = controlled(booster, operation, own, owners, threads)
    return Model(shape, booster, metrics, own.categories)


def trained_apart(shape: ModelShape, raw: bytes, metrics: Metrics, threads: int) -> Model:
    """A model that several processes trained, from its file. Raises: EngineError."""
    with _translating("to load a model"):
        booster = xgboost.Booster({"nthread": threads, "verbosity": _QUIET, "device": "cpu"})
        booster.load_model(bytearray(raw))
    return Model(shape, booster, metrics, {})


def recalled(shape: ModelShape, raw: bytes, threads: int) -> Model:
    """A kept model from its file. Raises: EngineError if it is another one than the plan says."""
    if not raw:  # XGBoost would end the process
        raise EngineError("a kept model has an empty file", hint=_KEEP_AGAIN)
    with _translating("to load a kept model"):
        booster = xgboost.Booster({"nthread": threads, "verbosity": _QUIET, "device": "cpu"})
        booster.load_model(bytearray(raw))
        names = tuple(booster.feature_names or ())
        kinds = tuple(booster.feature_types or ())
        rounds = 0 if shape.booster == "gblinear" else booster.num_boosted_rounds()
        has_best = booster.attr("best_iteration") is not None
    if (
        names != tuple(f.name for f in shape.features)
        or kinds != tuple(f.kind for f in shape.features)
        or rounds > shape.rounds
        or (shape.has_best and not has_best)
    ):
        raise EngineError("a kept model is not the one that the plan describes", hint=_KEEP_AGAIN)
    named = [f.categories for f in shape.features if f.categories is not None]
    return Model(shape, booster, {}, {c.feature: frozenset(c.names) for c in named if c.names})


def validate(
    operation: CrossValidate, data: MatrixData, threads: int, tell: Callable[[int], None]
) -> pa.Table:
    """The metrics of cross-validation. Raises: EngineError."""
    if data.is_empty:
        raise EngineError("the matrix to train on has no rows")
    parts = divide(operation, data)
    progress = _Progress(tell)
    with _translating("to train", progress):
        found: Any = xgboost.cv(
            arguments(operation, threads),
            data.data,
            num_boost_round=operation.num_boost_round,
            nfold=max(operation.parts, 2),
            folds=parts,
            seed=operation.seed,
            shuffle=operation.shuffle,
            as_pandas=False,
            callbacks=[progress, *callbacks(operation)],
            **_formulas(operation),
        )
    rows = []
    titles = [key.removesuffix("-mean") for key in found if key.endswith("-mean")]
    for number in range(len(found[f"{titles[0]}-mean"])):
        for title in titles:
            evaluation, _, metric = title.partition("-")
            mean, std = found[f"{title}-mean"][number], found[f"{title}-std"][number]
            rows.append((number, evaluation, metric, float(mean), float(std)))
    columns = [list(column) for column in zip(*rows, strict=True)]
    return pa.table(columns, schema=arrow_schema(VALIDATION))


def _formulas(operation: Boosting) -> dict[str, Any]:
    """The functions of the script's own, by XGBoost's names for them."""
    found: dict[str, Any] = {}
    if operation.objective is not None:
        found["obj"] = formulas.objective(operation.objective)
    if operation.metric is not None:
        found["custom_metric"] = formulas.metric(operation.metric)
    return found


def callbacks(operation: Boosting) -> list[Any]:
    """XGBoost's own callbacks that a training asks for."""
    found: list[Any] = []
    if operation.learning_rates:
        rates = [parse_float(r) for r in operation.learning_rates]
        found.append(xgboost.callback.LearningRateScheduler(rates))
    if operation.stopping is not None:
        said = operation.stopping
        found.append(
            xgboost.callback.EarlyStopping(
                rounds=said.rounds,
                metric_name=said.metric,
                data_name=said.evaluation,
                maximize=said.maximize,
                save_best=said.save_best,
                min_delta=parse_float(said.min_delta),
            )
        )
    return found


def arguments(operation: Boosting, threads: int) -> dict[str, Any]:
    """The parameters as XGBoost takes them."""
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
    _check_range(model, operation.last)
    rounds = (operation.first, operation.last)
    if operation.rounds == "best":
        rounds = (0, model.booster.best_iteration + 1)
    with _translating("to predict"):
        found = model.booster.predict(data.data, iteration_range=rounds, **_ASKED[operation.what])
    count = data.rows.num_rows
    if operation.what == "class":
        said = [pa.array(_classes(np.asarray(found), model.shape.operation), pa.int32())]
    elif operation.what in _LISTS:
        lists = np.asarray(found).reshape(count, len(names), -1)
        kinds = [target.field(len(kept) + i).type for i in range(len(names))]
        said = [_lists(lists[:, i], kind) for i, kind in enumerate(kinds)]
    else:
        table = np.asarray(found).reshape(count, -1)
        if table.shape[1] != len(names):
            raise EngineError("XGBoost predicts another number of columns than the plan says")
        said = [pa.array(np.ascontiguousarray(table[:, i])) for i in range(len(names))]
    return pa.table([*kept, *said], schema=target)


_ASKED: Final[Mapping[str, Mapping[str, bool]]] = {
    "value": {},
    "class": {},
    "margin": {"output_margin": True},
    "leaf": {"pred_leaf": True},
    "contribs": {"pred_contribs": True},
    "approx_contribs": {"pred_contribs": True, "approx_contribs": True},
    "interactions": {"pred_interactions": True},
    "approx_interactions": {"pred_interactions": True, "approx_contribs": True},
}
_LISTS: Final = frozenset(_ASKED) - {"class", "margin", "value"}


def _lists(table: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """A list for each row."""
    width = table.shape[1]
    values = pa.array(np.ascontiguousarray(table).reshape(-1), kind.value_type, safe=False)
    offsets = pa.array(np.arange(len(table) + 1, dtype=np.int32) * np.int32(width))
    return pa.ListArray.from_arrays(offsets, values, type=kind)


def _classes(values: npt.NDArray[Any], operation: Train) -> npt.NDArray[np.int32]:
    """The most likely class of each row, as stock XGBoost's classifier says it."""
    if values.ndim > 1 and values.shape[1] > 1:
        found = np.argmax(values, axis=1)
    elif named_value(operation, "objective") == "multi:softmax":
        found = values.reshape(-1)
    else:
        found = values.reshape(-1) > 0.5
    return np.asarray(found, dtype=np.int32)


def _check_range(model: Model, last: int) -> None:
    if last and last > model.booster.num_boosted_rounds():
        raise EngineError(
            "the model has fewer rounds than the plan asks for",
            hint="early stopping ended the training before: ask for fewer rounds",
        )


def part(model: Model, operation: Slice, shape: ModelShape) -> Model:
    """A model of some rounds of another. Raises: EngineError."""
    _check_range(model, operation.last)
    with _translating("to take a part of a model"):
        found = model.booster[operation.first : operation.last : operation.step]
    return Model(shape, found, {}, model.categories)


def annotated(model: Model, operation: Annotate, shape: ModelShape) -> Model:
    """A copy of a model with other attributes."""
    with _translating("to copy a model"):
        found = model.booster.copy()
        found.set_attr(**dict(operation.attributes))
    return Model(shape, found, {}, model.categories)


def inspected(model: Model, operation: Inspect) -> pa.Table:
    """What stands in a model. Raises: EngineError."""
    with _translating("to look into a model"):
        return inspect(model.booster, operation)


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
