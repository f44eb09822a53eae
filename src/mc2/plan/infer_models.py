"""The shapes of matrices, models, predictions and training histories."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Column, DataType, Schema
from mc2.plan.formulas import Scope, check_metric, check_objective
from mc2.plan.literals import float_text, parse_float
from mc2.plan.models import Categories, Matrix, Predict, Train
from mc2.plan.shapes import Feature, MatrixShape, ModelShape, TableShape, capped
from mc2.plan.training import NO_CONTROLS, Boosting
from mc2.plan.types import DOUBLE, FLOAT, INT32, STRING, is_integer, is_numeric

_LEAVES: Final = DataType("list", element=INT32)
_CONTRIBUTIONS: Final = DataType("list", element=FLOAT)
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
    for name in operation.columns:
        if name not in columns:
            raise PlanError(f"there is no column {name[:60]!r} in every source")
    for name in operation.amounts:
        _check_amount(columns[name])
    _check_extras(operation, columns)
    categories = {c.feature: c for c in operation.categories}
    if not set(categories) <= set(operation.categorical):
        raise PlanError("categories are declared of a feature that is not categorical")
    categorical = frozenset(operation.categorical)
    features = tuple(
        _feature(columns[name], name in categorical, categories.get(name))
        for name in operation.features
    )
    return MatrixShape(operation, features, schema, capped(sum(s.row_bound for s in sources)))


def _check_roles(operation: Matrix) -> None:
    if operation.more_labels and operation.label is None:
        raise PlanError("a matrix with several labels has a first one")
    used = operation.columns
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


def _check_extras(operation: Matrix, columns: Mapping[str, Column]) -> None:
    if (operation.lower_bound is None) != (operation.upper_bound is None):
        raise PlanError("a lower bound of labels goes with an upper one")
    group = operation.group
    if group is not None and columns[group].type != STRING and not is_integer(columns[group].type):
        raise PlanError(f"{group!r} is {columns[group].type}: groups are text or integers")
    weights = [parse_float(w) for w in operation.feature_weights]
    if weights and (len(weights) != len(operation.features) or not all(w >= 0 for w in weights)):
        raise PlanError("feature_weights has not one number from 0 for each feature")
    plain = set(operation.features) - set(operation.categorical)
    for edges in operation.edges:
        if edges.feature not in plain:
            raise PlanError(f"{edges.feature[:60]!r} has edges, and is no feature with amounts")
        if edges.numbers and tuple(map(float_text, edges.numbers)) != edges.edges:
            raise PlanError(f"the edges of {edges.feature!r} are not in their one spelling")
    _check_noisy(operation, plain - {e.feature for e in operation.edges})


def _check_noisy(operation: Matrix, free: Collection[str]) -> None:
    names = [n.feature for n in operation.noisy]
    if len(set(names)) != len(names):
        raise PlanError("a feature has noisy edges twice")
    for noisy in operation.noisy:
        if noisy.feature not in free:
            raise PlanError(
                f"{noisy.feature[:60]!r} has noisy edges, and is no feature with amounts and "
                "without other edges"
            )
        noisy.check()


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


def _feature(
    column: Column,
    categorical: bool,  # noqa: FBT001  # a column's role
    categories: Categories | None,
) -> Feature:
    if categorical:
        if column.type != STRING and not is_integer(column.type):
            raise PlanError(f"{column.name!r} is {column.type}: categories are text or integers")
        if categories is not None and bool(categories.names) != (column.type == STRING):
            raise PlanError(
                f"the categories of {column.name!r} do not fit {column.type}",
                hint="give names for text, and how many there are for integers from 0 on",
            )
    elif not is_numeric(column.type) and column.type.name != "boolean":
        raise PlanError(
            f"{column.name!r} is {column.type}: a feature is a number or a category",
            hint="name it as categorical, or leave it out of the features",
        )
    return Feature(column.name, column.type, categorical, categories)


def infer_train(
    operation: Train,
    matrix: MatrixShape,
    evaluations: Sequence[MatrixShape],
    start: ModelShape | None,
) -> ModelShape:
    """The shape of a model. Raises: PlanError."""
    check_boosting(operation, matrix)
    names = [e.name for e in operation.evaluations]
    if len(set(names)) != len(names) or not all(
        n and "\t" not in n and ":" not in n for n in names
    ):
        raise PlanError("evaluation sets have distinct names, without tab or colon")
    for name, shape in zip(names, evaluations, strict=True):
        if shape.features != matrix.features:
            raise PlanError(f"the evaluation set {name!r} has not the features of the matrix")
        _check_labels(operation, shape, f"the evaluation set {name!r}")
        if len(shape.operation.labels) != len(matrix.operation.labels):
            raise PlanError(f"the evaluation set {name!r} has not as many labels as the matrix")
        if shape.operation.edges != matrix.operation.edges:
            raise PlanError(f"the evaluation set {name!r} has not the edges of the matrix")
        if shape.operation.noisy != matrix.operation.noisy:
            raise PlanError(f"the evaluation set {name!r} has not the noisy edges of the matrix")
        _check_formulas(operation, shape)
    _check_stopping(operation, names)
    _check_controls(operation, matrix)
    margins = _margins(operation, matrix)
    rounds = operation.num_boost_round
    if start is None:
        if named_value(operation, "process_type") == "update":
            raise PlanError("process_type update needs a model to start with", hint="xgb_model=")
    else:
        if start.features != matrix.features or start.margins != margins:
            raise PlanError("the model to start with has other features or classes")
        rounds += start.rounds
    softmax = _objective(operation) == "multi:softmax"
    values = 1 if softmax else margins
    stops = operation.stopping is not None
    return ModelShape(operation, matrix.features, margins, values, rounds, stops)


def _check_stopping(operation: Train, names: Sequence[str]) -> None:
    stopping = operation.stopping
    if stopping is None:
        return
    if not names:
        raise PlanError("early stopping needs an evaluation set")
    if stopping.evaluation is not None and stopping.evaluation not in names:
        raise PlanError(f"early stopping watches {stopping.evaluation!r}, which is not evaluated")
    metrics = named_value(operation, "eval_metric")
    own = () if operation.metric is None else (operation.metric.name,)
    known = (*metrics, *own) if isinstance(metrics, tuple) else None
    if stopping.metric is not None and known is not None and stopping.metric not in known:
        raise PlanError(f"early stopping watches {stopping.metric!r}, which is no metric here")


def _check_controls(operation: Train, matrix: MatrixShape) -> None:
    controls = operation.controls
    if matrix.operation.noisy and not controls.public_thresholds:
        # Models split at other numbers otherwise, and predict of rows as they are something else.
        raise PlanError(
            "noisy edges are for trainings whose thresholds lie at edges alone",
            hint="xgboost.train(..., public_thresholds=True)",
        )
    if controls == NO_CONTROLS:
        return
    if named_value(operation, "booster") == "gblinear":
        raise PlanError("a linear model has no leaves for rules on leaves to hold")
    if controls.leaf_rows and named_value(operation, "subsample") not in {None, "1.0"}:
        raise PlanError(
            "with subsample, nobody can tell how many rows made a leaf",
            hint="leave subsample out; colsample_bytree is free",
        )
    if operation.start is not None:
        raise PlanError(
            "rules on leaves go with models that are trained from the start",
            hint="train in one go, with more rounds",
        )
    if controls.public_thresholds:
        edged = {e.feature for e in matrix.operation.edges}
        edged.update(n.feature for n in matrix.operation.noisy)
        for feature in matrix.features:
            if not feature.categorical and feature.name not in edged:
                raise PlanError(
                    f"the feature {feature.name!r} has no public edges, and no noisy ones",
                    hint="DMatrix(..., bin_edges={...}) names edges for each feature",
                )


def check_boosting(operation: Boosting, matrix: MatrixShape) -> None:
    """Check what training of one model and of several have in common. Raises: PlanError."""
    _check_labels(operation, matrix, "the matrix to train on")
    _check_parameters(operation, matrix)
    rates = operation.learning_rates
    if rates and len(rates) != operation.num_boost_round:
        raise PlanError("there is not one learning rate for each round")
    margins = _margins(operation, matrix)
    if operation.objective is not None:
        check_objective(operation.objective, _scope(margins, matrix))
    if operation.metric is not None:
        likeliest = operation.objective is None and _objective(operation) == "multi:softmax"
        check_metric(operation.metric, _scope(1 if likeliest else margins, matrix))
    _check_formulas(operation, matrix)


def _scope(count: int, matrix: MatrixShape) -> Scope:
    """What a formula is computed over, where a model gives so many numbers a row."""
    wide = {"prediction"} if count > 1 else set()
    if len(matrix.operation.labels) > 1:
        wide.add("label")
    return Scope(count, frozenset(wide))


def _check_formulas(operation: Boosting, matrix: MatrixShape) -> None:
    for formula in filter(None, (operation.objective, operation.metric)):
        if "weight" in formula.inputs and matrix.operation.weight is None:
            raise PlanError("a formula reads weights, and the matrix has none")
        if "base_margin" in formula.inputs and len(matrix.operation.base_margin) != 1:
            raise PlanError("a formula reads a base margin, and the matrix has not one")
        if "label" in formula.inputs and not matrix.operation.labels:
            raise PlanError("a formula reads labels, and the matrix has none")


def _check_labels(operation: Boosting, matrix: MatrixShape, what: str) -> None:
    objective = _objective(operation)
    own = matrix.operation
    if objective == "survival:aft":
        if own.lower_bound is None:
            raise PlanError(
                f"{what} has no bounds of labels, which survival:aft is trained with",
                hint="DMatrix(..., label_lower_bound=, label_upper_bound=)",
            )
    elif own.label is None:
        raise PlanError(f"{what} has no label")
    if own.more_labels and objective.startswith(_ONE_LABEL):
        raise PlanError(f"{objective} has one label, and {what} has several")
    if own.base_margin and len(own.base_margin) != _margins(operation, matrix):
        raise PlanError(f"{what} has not one base margin for each number that the model gives")
    if objective.startswith("rank:") and own.group is None:
        raise PlanError(
            f"{what} says not which rows are ranked among one another",
            hint='DMatrix(..., qid="column")',
        )


def named_value(operation: Boosting, name: str) -> object:
    """The value of a parameter, or None."""
    found = operation.named_parameters.get(name)
    return None if found is None else found.value


def _objective(operation: Boosting) -> str:
    found = named_value(operation, "objective")
    return "reg:squarederror" if found is None else str(found)


_ONE_LABEL: Final = ("multi:", "rank:", "reg:quantileerror", "survival:")


def _margins(operation: Boosting, matrix: MatrixShape) -> int:
    """How many numbers the trees give for a row: one for each class, quantile or label."""
    if _objective(operation).startswith("multi:"):
        classes = named_value(operation, "num_class")
        return classes if isinstance(classes, int) else 1
    if _objective(operation) == "reg:quantileerror":
        alphas = named_value(operation, "quantile_alpha")
        return len(alphas) if isinstance(alphas, tuple) else 1
    return max(1, len(matrix.operation.labels))


def _check_parameters(operation: Boosting, matrix: MatrixShape) -> None:
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
    groups = named.get("interaction_constraints")
    if groups is not None and isinstance(groups.value, tuple):
        places = [i for g in groups.value if isinstance(g, tuple) for i in g]
        if max(places) >= len(matrix.features):
            raise PlanError("interaction_constraints names a feature that is not there")
    method = named.get("tree_method")
    if method is not None and method.value == "exact" and matrix.operation.categorical:
        raise PlanError("tree_method exact takes no categorical features", hint="use hist")
    if named_value(operation, "booster") == "gblinear" and matrix.operation.categorical:
        raise PlanError("booster gblinear takes no categorical features", hint="use gbtree")


def infer_predict(operation: Predict, model: ModelShape, matrix: MatrixShape) -> TableShape:
    """The shape of a prediction. Raises: PlanError."""
    if matrix.features != model.features:
        raise PlanError("the matrix has not the features that the model was trained on")
    own = matrix.operation
    if own.base_margin and len(own.base_margin) != model.margins:
        raise PlanError("the matrix has not one base margin for each number that the model gives")
    _check_rounds(operation, model)
    _check_what(operation, model)
    kind = _KINDS.get(operation.what, _CONTRIBUTIONS)
    return said_of_rows(matrix, operation.keep, prediction_names(operation, model), kind)


def said_of_rows(
    matrix: MatrixShape, keep: Sequence[str], names: Sequence[str], kind: DataType
) -> TableShape:
    """The shape of what a model says of rows, beside columns that are kept. Raises: PlanError."""
    columns = matrix.schema.by_name()
    for name in keep:
        if name not in columns:
            raise PlanError(f"there is no column {name[:60]!r} in every source")
    kept = tuple(columns[name] for name in keep)
    found = tuple(Column(name, kind, nullable=False) for name in names)
    for column in found:
        Column.read(column.json())
    return TableShape(Schema(kept + found), matrix.row_bound)


_KINDS: Final = {"value": FLOAT, "margin": FLOAT, "class": INT32, "leaf": _LEAVES}
_BARE: Final = frozenset({"approx_contribs", "approx_interactions", "contribs", "interactions"})


def _check_rounds(operation: Predict, model: ModelShape) -> None:
    if operation.rounds == "best" and not model.has_best:
        raise PlanError("only early stopping tells which round is best")
    if operation.first or operation.last:
        if operation.rounds == "best" or operation.first >= operation.last:
            raise PlanError("the rounds to predict with are not a range of them")
        if operation.last > model.rounds:
            raise PlanError(f"the model has at most {model.rounds} rounds")
        if model.booster == "gblinear":
            raise PlanError("a linear model predicts with all of its rounds")
        if operation.first and operation.what not in {"class", "margin", "value"}:
            raise PlanError(
                f"XGBoost gives {operation.what} from the first round on only",
                hint="take a part of the model: model[2:10]",
            )


def _check_what(operation: Predict, model: ModelShape) -> None:
    objective = _objective(model.operation)
    if operation.what == "class" and objective not in _CLASSIFIERS:
        raise PlanError(f"{objective} gives no classes", hint="predict its values")
    if operation.what == "class" and objective.startswith("binary:") and model.margins > 1:
        raise PlanError("a model of several labels gives no classes", hint="predict its values")
    if model.booster == "gblinear" and operation.what in {"leaf", "approx_interactions"}:
        raise PlanError(f"a linear model gives no {operation.what}")
    if operation.what in _BARE and model.operation.controls.bare:
        raise PlanError(
            "a model without statistics tells no contributions",
            hint="train it without strip_statistics, or predict values",
        )


_CLASSIFIERS: Final = ("binary:hinge", "binary:logistic", "multi:softmax", "multi:softprob")


def prediction_names(operation: Predict, model: ModelShape) -> tuple[str, ...]:
    """The columns of a prediction: one, or one for each class or quantile."""
    single = {"class": 1, "leaf": 1, "value": model.values}
    count = single.get(operation.what, model.margins)
    if count == 1:
        return (operation.name,)
    return tuple(f"{operation.name}_{i}" for i in range(count))


def infer_history(model: ModelShape) -> TableShape:
    """The shape of a training's history. Raises: PlanError if nothing was evaluated."""
    operation = model.operation
    if model.derived:
        raise PlanError("the history is that of the model as it was trained")
    if not operation.evaluations:
        raise PlanError("a training without evaluation sets has no history")
    bound = operation.num_boost_round * len(operation.evaluations) * _metrics(operation)
    return TableShape(HISTORY, capped(bound))


def _metrics(operation: Boosting) -> int:
    metrics = named_value(operation, "eval_metric")
    count = len(metrics) if isinstance(metrics, tuple) else 1
    return count + (operation.metric is not None)
