"""The shapes of matrices, models, predictions and training histories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Column, DataType, Schema
from mc2.plan.literals import parse_float
from mc2.plan.models import Matrix, Predict, Train
from mc2.plan.shapes import Feature, MatrixShape, ModelShape, TableShape, capped
from mc2.plan.types import DOUBLE, FLOAT, INT32, STRING, is_integer, is_numeric

_LEAVES: Final = DataType("list", element=INT32)
HISTORY: Final = Schema(
    (
        Column("round", INT32, nullable=False),
        Column("evaluation", STRING, nullable=False),
        Column("metric", STRING, nullable=False),
        Column("value", DOUBLE, nullable=False),
    )
)
"""The columns of a training's history."""


def infer_matrix(operation: Matrix, sources: Sequence[TableShape]) -> MatrixShape:
    """The shape of a matrix over relations. Raises: PlanError."""
    if not sources or not operation.features:
        raise PlanError("a matrix has at least one source and one feature")
    parse_float(operation.missing)
    _check_roles(operation)
    schema = _merged(sources)
    columns = schema.by_name()
    named = [*operation.features, *filter(None, (operation.label, operation.weight))]
    for name in named:
        if name not in columns:
            raise PlanError(f"there is no column {name[:60]!r} in every source")
    for name in filter(None, (operation.label, operation.weight)):
        _check_amount(columns[name])
    categorical = frozenset(operation.categorical)
    features = tuple(_feature(columns[name], name in categorical) for name in operation.features)
    return MatrixShape(operation, features, schema, capped(sum(s.row_bound for s in sources)))


def _check_roles(operation: Matrix) -> None:
    used = [*operation.features, *filter(None, (operation.label, operation.weight))]
    if len({name.casefold() for name in used}) != len(used):
        raise PlanError("a column stands twice among features, label and weight")
    wanted = tuple(n for n in operation.features if n in operation.categorical)
    if wanted != operation.categorical:
        raise PlanError("the categorical columns are not features, or not in their order")
    for name in operation.features:
        if set("[]<") & set(name):  # XGBoost refuses these in a feature's name
            raise PlanError(
                f"XGBoost takes no feature named {name[:60]!r}",
                hint="rename the column: AS new_name",
            )


def _merged(sources: Sequence[TableShape]) -> Schema:
    """The columns that all sources have under one name and type, in the first one's order."""
    found = []
    for column in sources[0].schema.columns:
        others = [s.schema.by_name().get(column.name) for s in sources]
        if all(o is not None and o.type == column.type for o in others):
            nullable = any(o is not None and o.nullable for o in others)
            found.append(Column(column.name, column.type, nullable))
    if not found:
        raise PlanError("the sources of the matrix have no column in common")
    return Schema(tuple(found))


def _check_amount(column: Column) -> None:
    if not is_numeric(column.type) and column.type.name != "boolean":
        raise PlanError(
            f"{column.name!r} is {column.type}: labels and weights are numbers",
            hint="turn it into a number, for example with CASE",
        )


def _feature(column: Column, categorical: bool) -> Feature:  # noqa: FBT001  # a column's role
    if categorical:
        if column.type != STRING and not is_integer(column.type):
            raise PlanError(f"{column.name!r} is {column.type}: categories are text or integers")
    elif not is_numeric(column.type) and column.type.name != "boolean":
        raise PlanError(
            f"{column.name!r} is {column.type}: a feature is a number or a category",
            hint="name it as categorical, or leave it out of the features",
        )
    return Feature(column.name, column.type, categorical)


def infer_train(
    operation: Train, matrix: MatrixShape, evaluations: Sequence[MatrixShape]
) -> ModelShape:
    """The shape of a model. Raises: PlanError."""
    if matrix.operation.label is None:
        raise PlanError("the matrix to train on has no label")
    names = [e.name for e in operation.evaluations]
    if len(set(names)) != len(names) or not all(
        n and "\t" not in n and ":" not in n for n in names
    ):
        raise PlanError("evaluation sets have distinct names, without tab or colon")
    for name, shape in zip(names, evaluations, strict=True):
        if shape.features != matrix.features:
            raise PlanError(f"the evaluation set {name!r} has not the features of the matrix")
        if shape.operation.label is None:
            raise PlanError(f"the evaluation set {name!r} has no label")
    if operation.early_stopping_rounds is not None and not names:
        raise PlanError("early stopping needs an evaluation set")
    _check_parameters(operation, matrix)
    margins = _margins(operation)
    softmax = _objective(operation) == "multi:softmax"
    return ModelShape(operation, matrix.features, margins, 1 if softmax else margins)


def _objective(operation: Train) -> str:
    found = operation.named_parameters.get("objective")
    return "reg:squarederror" if found is None else str(found.value)


def _margins(operation: Train) -> int:
    """How many numbers the trees give for a row: one for each class or quantile."""
    named = operation.named_parameters
    if _objective(operation).startswith("multi:"):
        classes = named["num_class"].value
        return classes if isinstance(classes, int) else 1
    if _objective(operation) == "reg:quantileerror":
        alphas = named["quantile_alpha"].value
        return len(alphas) if isinstance(alphas, tuple) else 1
    return 1


def _check_parameters(operation: Train, matrix: MatrixShape) -> None:
    named = operation.named_parameters
    objective = _objective(operation)
    if objective.startswith("multi:") != ("num_class" in named):
        raise PlanError("num_class goes with the objectives multi:softmax and multi:softprob")
    if (objective == "reg:quantileerror") != ("quantile_alpha" in named):
        raise PlanError("quantile_alpha goes with the objective reg:quantileerror")
    signs = named.get("monotone_constraints")
    count = len(signs.value) if signs and isinstance(signs.value, tuple) else len(matrix.features)
    if count != len(matrix.features):
        raise PlanError("monotone_constraints has not one sign for each feature")
    method = named.get("tree_method")
    if method is not None and method.value == "exact" and matrix.operation.categorical:
        raise PlanError("tree_method exact takes no categorical features", hint="use hist")


def infer_predict(operation: Predict, model: ModelShape, matrix: MatrixShape) -> TableShape:
    """The shape of a prediction. Raises: PlanError."""
    if matrix.features != model.features:
        raise PlanError("the matrix has not the features that the model was trained on")
    columns = matrix.schema.by_name()
    for name in operation.keep:
        if name not in columns:
            raise PlanError(f"there is no column {name[:60]!r} in every source")
    if operation.rounds == "best" and model.operation.early_stopping_rounds is None:
        raise PlanError("only early stopping tells which round is best")
    kept = tuple(columns[name] for name in operation.keep)
    found = tuple(
        Column(name, _LEAVES if operation.what == "leaf" else FLOAT, nullable=False)
        for name in prediction_names(operation, model)
    )
    for column in found:
        Column.read(column.json())
    return TableShape(Schema(kept + found), matrix.row_bound)


def prediction_names(operation: Predict, model: ModelShape) -> tuple[str, ...]:
    """The columns of a prediction: one, or one for each class or quantile."""
    count = {"leaf": 1, "margin": model.margins, "value": model.values}[operation.what]
    if count == 1:
        return (operation.name,)
    return tuple(f"{operation.name}_{i}" for i in range(count))


def infer_history(model: ModelShape) -> TableShape:
    """The shape of a training's history. Raises: PlanError if nothing was evaluated."""
    operation = model.operation
    if not operation.evaluations:
        raise PlanError("a training without evaluation sets has no history")
    metrics = operation.named_parameters.get("eval_metric")
    count = len(metrics.value) if metrics and isinstance(metrics.value, tuple) else 1
    bound = operation.num_boost_round * len(operation.evaluations) * count
    return TableShape(HISTORY, capped(bound))
