"""What oblivious mode can do with models: boosted trees as `mc2.ml.boosting` trains them.

A pure check of matrices, trainings, predictions and histories; what is not here is refused, never
done in another way. Spec: docs/spec/plan.md, section "Oblivious mode".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Column
from mc2.plan.infer_models import named_value
from mc2.plan.linear_models import LinearOperation
from mc2.plan.literals import parse_float
from mc2.plan.models import Annotate, History, Matrix, Predict, Recall, Slice
from mc2.plan.parameters import Parameter
from mc2.plan.plan import Node, Operation, PlanOutput
from mc2.plan.relations import RowBound
from mc2.plan.shapes import MatrixShape, ModelShape, Shape, TableShape
from mc2.plan.training import Boosting, CrossValidate, Stopping, Train
from mc2.plan.types import INTEGER_BITS

METRICS: Final[Mapping[str, tuple[str, ...]]] = {
    "binary:logistic": ("logloss", "error", "auc"),
    "reg:squarederror": ("rmse", "mae"),
    "count:poisson": ("poisson-nloglik",),
    "multi:softprob": ("mlogloss", "merror", "auc"),
}
"""The objectives that there are, and the metrics of each; the first one is its own."""

RANKED: Final = frozenset({"auc"})
"""Metrics that compare rows with one another: no sum over rows gives them."""

MOST_DEPTH: Final = 8
MOST_BIN: Final = 256
MOST_EDGES: Final = 254
MOST_CATEGORIES: Final = 255
MOST_LEAVES: Final = 512
"""Of one row, each in a tree of its own: a list takes no more words."""

_FIXED: Final[Mapping[str, str | int]] = {
    "booster": "gbtree",
    "grow_policy": "depthwise",
    "max_leaves": 0,
    "multi_strategy": "one_output_per_tree",
    "num_parallel_tree": 1,
    "sampling_method": "uniform",
    "tree_method": "hist",
}
_FREE: Final = frozenset({
    "alpha", "base_score", "colsample_bylevel", "colsample_bynode", "colsample_bytree", "eta",
    "eval_metric", "gamma", "lambda", "max_bin", "max_cat_to_onehot", "max_delta_step", "max_depth",
    "min_child_weight",
    "monotone_constraints", "num_class", "objective", "scale_pos_weight", "seed",
    "split_search", "subsample",
})  # fmt: skip
OBLIVIOUS_ONLY: Final = frozenset({"split_search"})
"""Parameters that stock XGBoost does not know."""

_PREDICTIONS: Final = frozenset({"class", "leaf", "margin", "value"})
_NUMBERS: Final = frozenset({*INTEGER_BITS, "boolean", "double", "float"})
_ENCRYPTED: Final = 'leave it out, or run the job with mode="encrypted"'
_AT_HOME: Final = "release the model, and ask stock xgboost at home"


def is_model_node(node: Node) -> bool:
    """Whether a node is one of those that this page is about."""
    known = Matrix | Boosting | Recall | Predict | History | Slice | Annotate | LinearOperation
    return isinstance(node.operation, known)


def check_learning(node: Node, shapes: Sequence[Shape]) -> None:
    """Check that oblivious mode can compute a matrix, model, prediction or history.

    Raises: PlanError, which names what it cannot do.
    """
    match node.operation:
        case Matrix() as matrix:
            sources = [shapes[s] for s in matrix.sources]
            _check_matrix(matrix, sources)
        case Train() | CrossValidate() as training:
            _check_train(training)
            _check_categories_apart(training, shapes[training.matrix])
            if isinstance(training, Train):
                _check_start(training, shapes)
            else:
                _check_validation(training)
        case Predict() as predict:
            _check_predict(predict, shapes[predict.model])
        case _:
            pass


def check_stock(operation: Operation) -> None:
    """Check that a training asks stock XGBoost for nothing that oblivious training alone has.

    Raises: PlanError.
    """
    if isinstance(operation, Train | CrossValidate):
        for name in OBLIVIOUS_ONLY & operation.named_parameters.keys():
            raise PlanError(
                f"only oblivious training has the parameter {name}",
                hint="leave it out, or run the plan in oblivious mode",
            )


def is_released(outputs: Sequence[PlanOutput], model: int) -> bool:
    """Whether a model leaves the enclave as an output. Its splits may show in the trace then.

    One that is kept does not leave: it is sealed as it is.
    """
    return any(o.kind == "model" and o.node == model and not o.keep for o in outputs)


def sizes_show(nodes: Sequence[Node]) -> bool:
    """Whether a plan makes public how many rows there are: tables then have as many places."""
    return any(isinstance(n.operation, RowBound) and n.operation.leak != "none" for n in nodes)


def has_history(nodes: Sequence[Node], model: int) -> bool:
    """Whether anybody is told the metrics of a training."""
    return any(isinstance(n.operation, History) and n.operation.model == model for n in nodes)


def _unsupported(what: str, hint: str = _ENCRYPTED) -> PlanError:
    return PlanError(f"oblivious training has no {what}", hint=hint)


def _check_matrix(matrix: Matrix, sources: Sequence[Shape]) -> None:
    for what, given in (
        ("labels in several columns", matrix.more_labels),
        ("base margins", matrix.base_margin),
        ("groups of a ranking", matrix.group),
        ("bounds of labels", matrix.lower_bound),
        ("weights of features", matrix.feature_weights),
    ):
        if given:
            raise _unsupported(what)
    _check_edges(matrix)
    _check_categories(matrix)
    tables = [s for s in sources if isinstance(s, TableShape)]
    if not any(table.row_bound for table in tables):
        raise PlanError("the matrix can have no rows", hint="look at the bounds of its sources")
    for table in tables:
        columns = table.schema.by_name()
        for name in matrix.columns:
            if name not in matrix.categorical:
                _check_number(columns[name])


def _check_edges(matrix: Matrix) -> None:
    amounts = set(matrix.features) - set(matrix.categorical)
    edged = {e.feature for e in matrix.edges} | {n.feature for n in matrix.noisy}
    if edged and edged != amounts:
        raise _unsupported("edges of some features only", "name edges for each feature, or none")
    if any(n.edges > MOST_EDGES for n in matrix.noisy):
        raise _unsupported(f"features with more than {MOST_EDGES} edges", "draw fewer edges")
    for edges in matrix.edges:
        if len(edges.edges) > MOST_EDGES:
            raise _unsupported(f"features with more than {MOST_EDGES} edges", "name fewer edges")
        if not all(a < b for a, b in pairwise((*map(_single, edges.numbers), math.inf))):
            raise _unsupported("edges that are no different floats of 32 bits", "round them")


def _check_categories(matrix: Matrix) -> None:
    """Which categories there are must be public: each is a bin."""
    declared = {c.feature: c for c in matrix.categories}
    for name in matrix.categorical:
        if name not in declared:
            raise _unsupported(
                f"categories that nobody declares, as those of {name!r}",
                "name them: DMatrix(..., categories={feature: [names]}), or a number of codes",
            )
        if declared[name].size > MOST_CATEGORIES:
            raise _unsupported(
                f"features with more than {MOST_CATEGORIES} categories", "turn rare ones into one"
            )


def _single(number: float) -> float:
    """The nearest float of 32 bits, as training compares with it."""
    try:
        return float(struct.unpack("f", struct.pack("f", number))[0])
    except OverflowError:
        return math.copysign(math.inf, number)


def _check_number(column: Column) -> None:
    if column.type.name not in _NUMBERS and column.type.name != "decimal":
        raise PlanError(
            f"oblivious mode cannot learn from {column.name!r}, which is {column.type}",
            hint="upload the column as double, or leave it out",
        )


def _check_train(training: Boosting) -> None:
    if training.objective is not None or training.metric is not None:
        raise _unsupported("objectives or metrics of a script's own")
    for parameter in training.parameters:
        _check_parameter(parameter)
    _check_objective(training)
    if training.stopping is not None:
        _check_stopping(training, training.stopping)


def _check_categories_apart(training: Boosting, matrix: Shape) -> None:
    """Check what a parameter means for the categories of a matrix."""
    apart = named_value(training, "max_cat_to_onehot")
    if isinstance(matrix, MatrixShape) and isinstance(apart, int):
        sizes = [c.size for c in matrix.operation.categories]
        if sizes and max(sizes) >= apart:
            raise _unsupported(
                "splits that put several categories apart",
                "set max_cat_to_onehot above the number of categories, or leave it out",
            )


def _check_start(training: Train, shapes: Sequence[Shape]) -> None:
    """Check what parameters mean for a model that comes first."""
    if training.start is None:
        return
    before = shapes[training.start]
    if not isinstance(before, ModelShape) or before.derived:
        raise _unsupported("training that goes on from a part of a model")
    for name in ("objective", "num_class", "max_depth"):
        if _setting(training, name) != _setting(before.operation, name):
            raise _unsupported(
                f"training that goes on from a model with another {name}", f"set {name} as there"
            )


def _check_validation(validation: CrossValidate) -> None:
    """Check how rows are parted: by their places alone, since all else is secret."""
    if validation.folds is not None:
        raise _unsupported("folds that a column names", "let them be drawn: cv(..., nfold=5)")
    if validation.stratified:
        raise _unsupported("stratified folds", "leave stratified out: parts are drawn evenly")
    if not validation.shuffle:
        raise _unsupported("folds in the order of rows", "leave shuffle=False out")


_DEFAULTS: Final[Mapping[str, object]] = {"objective": "reg:squarederror", "max_depth": 6}


def _setting(training: Boosting, name: str) -> object:
    found = named_value(training, name)
    return _DEFAULTS.get(name) if found is None else found


def _check_parameter(parameter: Parameter) -> None:
    """Check a parameter that stands for itself."""
    name, value = parameter.name, parameter.value
    if name in _FIXED:
        if value != _FIXED[name]:
            raise _unsupported(f"{name} other than {_FIXED[name]}")
        return
    if name not in _FREE:
        raise _unsupported(f"parameter {name}")
    if name == "max_depth" and isinstance(value, int) and not 1 <= value <= MOST_DEPTH:
        raise _unsupported(f"max_depth beside 1 to {MOST_DEPTH}", "choose another depth")
    if name == "max_bin" and isinstance(value, int) and value > MOST_BIN:
        raise _unsupported(f"max_bin above {MOST_BIN}", "choose fewer bins")
    if name == "scale_pos_weight" and isinstance(value, str) and parse_float(value) <= 0:
        raise _unsupported(f"{name} of 0", "choose a number above it")


def _check_objective(training: Boosting) -> None:
    """Check what parameters mean together."""
    objective = named_value(training, "objective") or "reg:squarederror"
    if not isinstance(objective, str) or objective not in METRICS:
        raise _unsupported(f"objective {objective}", f"choose one of {', '.join(METRICS)}")
    metrics = named_value(training, "eval_metric") or ()
    for metric in metrics if isinstance(metrics, tuple) else (metrics,):
        if metric not in METRICS[objective]:
            fitting = ", ".join(METRICS[objective])
            raise _unsupported(f"metric {metric} for {objective}", f"choose of {fitting}")
    score = named_value(training, "base_score")
    if score is not None:
        _check_base_score(objective, score)


def _check_base_score(objective: str, score: object) -> None:
    if not isinstance(score, str):
        raise _unsupported("base_score for each class", "give one number")
    number = parse_float(score)
    if objective == "binary:logistic" and not 0 < number < 1:
        raise PlanError("base_score is between 0 and 1 for binary:logistic", hint="try 0.5")
    if objective == "count:poisson" and number <= 0:
        raise PlanError("base_score is above 0 for count:poisson", hint="try 1.0")


def _check_stopping(training: Boosting, stopping: Stopping) -> None:
    if stopping.metric not in {None, *metrics_of(training)}:
        raise _unsupported(f"metric {stopping.metric} in this training", "name it in eval_metric")


def metrics_of(training: Boosting) -> tuple[str, ...]:
    """The metrics of a training: those of `eval_metric`, or the objective's own."""
    metrics = named_value(training, "eval_metric")
    objective = str(_setting(training, "objective"))
    return metrics if isinstance(metrics, tuple) else METRICS[objective][:1]


def compares_rows(nodes: Sequence[Node], index: int, training: Train) -> bool:
    """Whether somebody is told a metric of a training that compares all rows with one another."""
    told = training.stopping is not None or has_history(nodes, index)
    return told and bool(training.evaluations) and not RANKED.isdisjoint(metrics_of(training))


def _check_predict(predict: Predict, model: Shape) -> None:
    if predict.what not in _PREDICTIONS:
        raise PlanError(f"oblivious mode predicts no {predict.what}", hint=_AT_HOME)
    if predict.what == "leaf" and isinstance(model, ModelShape):
        trees = (predict.last or model.rounds) * model.margins
        if trees > MOST_LEAVES:
            raise PlanError(
                f"oblivious mode tells of the leaves in at most {MOST_LEAVES} trees, not {trees:,}",
                hint="ask for fewer rounds: iteration_range=(0, 100)",
            )
