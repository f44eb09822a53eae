"""The shapes of what is done with models: parts of them, what stands in them, cross-validation."""

from __future__ import annotations

from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Column, DataType, Schema
from mc2.plan.infer_models import check_boosting, named_value
from mc2.plan.models import IMPORTANCES, Annotate, CrossValidate, Inspect, Slice
from mc2.plan.shapes import NO_USEFUL_BOUND, MatrixShape, ModelShape, TableShape, capped
from mc2.plan.types import DOUBLE, INT32, INT64, STRING, is_integer


def _columns(**kinds: DataType) -> Schema:
    return Schema(tuple(Column(name, kind, nullable=False) for name, kind in kinds.items()))


VALIDATION: Final = _columns(round=INT32, evaluation=STRING, metric=STRING, mean=DOUBLE, std=DOUBLE)
"""The columns of a cross-validation."""

_TREES: Final = Schema(
    (
        Column("tree", INT32, nullable=False),
        Column("node", INT32, nullable=False),
        Column("id", STRING, nullable=False),
        Column("feature", STRING, nullable=False),
        Column("split", DOUBLE, nullable=True),
        Column("yes", STRING, nullable=True),
        Column("no", STRING, nullable=True),
        Column("missing", STRING, nullable=True),
        Column("gain", DOUBLE, nullable=False),
        Column("cover", DOUBLE, nullable=False),
        Column("category", DataType("list", element=STRING), nullable=True),
    )
)
_ROUNDS: Final = Schema(
    (
        Column("num_boosted_rounds", INT32, nullable=False),
        Column("num_features", INT32, nullable=False),
        Column("best_iteration", INT32, nullable=True),
        Column("best_score", DOUBLE, nullable=True),
    )
)
INSPECTED: Final = {
    "importance": _columns(importance=STRING, feature=STRING, output=INT32, score=DOUBLE),
    "trees": _TREES,
    "dump": _columns(tree=INT32, text=STRING),
    "rounds": _ROUNDS,
    "attributes": _columns(name=STRING, value=STRING),
    "splits": _columns(feature=STRING, split=DOUBLE, count=INT64),
}
"""The columns of what can be asked of a model."""

_NEED_STATISTICS: Final = frozenset(IMPORTANCES) - {"weight"}


def infer_slice(operation: Slice, model: ModelShape) -> ModelShape:
    """The shape of a part of a model. Raises: PlanError."""
    if model.booster == "gblinear":
        raise PlanError("a linear model has no rounds to choose from")
    if not operation.first < operation.last <= model.rounds:
        raise PlanError(f"a part of a model is of rounds from 0 to {model.rounds}")
    if (operation.last - operation.first) % operation.step:
        raise PlanError(
            "XGBoost takes parts of models in whole steps only",
            hint="let the last round be a number of steps from the first",
        )
    rounds = len(range(operation.first, operation.last, operation.step))
    return _derived(model, rounds, has_best=False)


def infer_annotate(operation: Annotate, model: ModelShape) -> ModelShape:
    """The shape of a model with other attributes. Raises: PlanError."""
    if not operation.attributes:
        raise PlanError("it sets no attribute")
    for name, _ in operation.attributes:
        if not name or name in {"best_iteration", "best_score"}:
            raise PlanError(f"the attribute {name[:60]!r} is XGBoost's own")
    return _derived(model, model.rounds, has_best=model.has_best)


def _derived(model: ModelShape, rounds: int, *, has_best: bool) -> ModelShape:
    return ModelShape(
        model.operation, model.features, model.margins, model.values, rounds, has_best, derived=True
    )


def infer_inspect(operation: Inspect, model: ModelShape) -> TableShape:
    """The shape of what stands in a model. Raises: PlanError."""
    _check_inspect(operation, model)
    features, trees = len(model.features), _trees(model)
    nodes = capped(trees * _nodes(model)) if trees < NO_USEFUL_BOUND else trees
    bound = {
        "importance": len(operation.kinds) * features * model.margins,
        "trees": nodes,
        "dump": max(trees, 1),
        "rounds": 1,
        "attributes": 1000,
        "splits": nodes,
    }[operation.what]
    return TableShape(INSPECTED[operation.what], capped(bound))


def _check_inspect(operation: Inspect, model: ModelShape) -> None:
    linear, bare = model.booster == "gblinear", model.operation.controls.bare
    if (operation.what == "importance") != bool(operation.kinds):
        raise PlanError("the kinds are those of importance")
    if tuple(sorted(set(operation.kinds))) != operation.kinds or not set(operation.kinds) <= set(
        IMPORTANCES
    ):
        raise PlanError(f"the kinds of importance are {', '.join(IMPORTANCES)}, sorted")
    if operation.what != "dump" and (operation.form != "json" or operation.stats):
        raise PlanError("the form is that of a dump")
    if linear and (operation.what in {"trees", "splits"} or set(operation.kinds) - {"weight"}):
        raise PlanError("a linear model has no trees", hint='its importance is "weight"')
    shown = operation.what == "trees" or operation.stats
    if bare and (shown or _NEED_STATISTICS.intersection(operation.kinds)):
        raise PlanError(
            "a model without statistics tells neither covers nor gains",
            hint="train it without strip_statistics",
        )


def _trees(model: ModelShape) -> int:
    parallel = named_value(model.operation, "num_parallel_tree")
    return capped(model.rounds * model.margins * (parallel if isinstance(parallel, int) else 1))


def _nodes(model: ModelShape) -> int:
    """How many nodes a tree has at most, as far as its parameters say."""
    depth, leaves = (named_value(model.operation, n) for n in ("max_depth", "max_leaves"))
    if model.operation.start is not None:
        return NO_USEFUL_BOUND
    found = [NO_USEFUL_BOUND]
    depth = 6 if depth is None else depth
    if isinstance(depth, int) and 0 < depth < 60:
        found.append(2 ** (depth + 1) - 1)
    if isinstance(leaves, int) and leaves > 0:
        found.append(2 * leaves - 1)
    return min(found)


def infer_cross_validate(operation: CrossValidate, matrix: MatrixShape) -> TableShape:
    """The shape of a cross-validation. Raises: PlanError."""
    check_boosting(operation, matrix)
    if matrix.operation.noisy:
        raise PlanError(
            "cross-validation takes no noisy edges: each part would have others",
            hint="judge the model on rows of its own: train(..., evals=)",
        )
    if named_value(operation, "process_type") == "update":
        raise PlanError("process_type update needs a model to start with")
    _check_parts(operation, matrix)
    stopping = operation.stopping
    if stopping is not None:
        if stopping.save_best:
            raise PlanError("cross-validation keeps no model")
        if stopping.evaluation not in {None, "test", "train"}:
            raise PlanError("cross-validation evaluates train and test")
    metrics = named_value(operation, "eval_metric")
    count = (len(metrics) if isinstance(metrics, tuple) else 1) + (operation.metric is not None)
    return TableShape(VALIDATION, capped(operation.num_boost_round * 2 * count))


def _check_parts(operation: CrossValidate, matrix: MatrixShape) -> None:
    if operation.folds is not None:
        column = matrix.schema.by_name().get(operation.folds)
        if column is None:
            raise PlanError(f"there is no column {operation.folds[:60]!r} in every source")
        if column.type != STRING and not is_integer(column.type):
            raise PlanError(f"{column.name!r} is {column.type}: folds are text or integers")
        if operation.folds in matrix.operation.columns:
            raise PlanError(f"{column.name!r} names the folds, and is read by the model too")
        if operation.stratified or operation.parts:
            raise PlanError("the folds are those of a column, so nothing divides them further")
        if matrix.operation.group is not None:
            raise PlanError("the groups of a ranking are kept whole by XGBoost's own folds")
        return
    if operation.parts < 2:
        raise PlanError("cross-validation takes at least two parts")
    if operation.stratified and (matrix.operation.label is None or matrix.operation.group):
        raise PlanError("stratified parts need labels, and no groups")
