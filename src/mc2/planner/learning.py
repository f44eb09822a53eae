"""XGBoost as scripts see it: `DMatrix`, `train`, `Booster`. Public as `mc2.xgboost`.

Arguments have stock XGBoost's names and defaults wherever they mean the same. Columns are given by
name, because a script never holds data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mc2.errors import PlanError
from mc2.planner.tables import Table

if TYPE_CHECKING:  # `import mc2` stays light
    from mc2.formats.schema import DataType
    from mc2.planner.draft import Draft

_TRAIN_HINTS: Final = {
    "obj": "name the objective in params: functions of a script do not run in the enclave",
    "feval": "name the metric in params: eval_metric",
    "custom_metric": "name the metric in params: eval_metric",
    "maximize": "XGBoost knows for each of its metrics which way is better",
    "callbacks": "functions of a script do not run in the enclave",
    "evals_result": "release model.history(): it is a table",
    "verbose_eval": "nothing is printed inside an enclave; release model.history()",
    "xgb_model": "a plan trains new models only",
    "nfold": "train one model for each fold, with a query for each",
}


class DMatrix:
    """The rows of one or several tables, to train on or to predict.

    Several tables with the same columns stand one below the other. `features` are all columns but
    those named by `label`, `weight` and `exclude`, unless they are listed. `categorical` names
    the features whose values are names and not amounts; `enable_categorical` makes all features
    of text categorical. `missing` is a number that means "no value", beside NULL.

    Raises: PlanError if a column is not there, or cannot be used so.
    """

    __slots__ = ("_draft", "_node")

    def __init__(  # noqa: PLR0913 - as many as stock XGBoost's class has, and fewer
        self,
        *tables: Table,
        label: str | None = None,
        weight: str | None = None,
        features: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        categorical: Sequence[str] = (),
        enable_categorical: bool = False,
        missing: float | None = None,
    ) -> None:
        from mc2.plan.literals import float_text
        from mc2.plan.models import Matrix

        if not tables or not all(isinstance(t, Table) for t in tables):
            raise PlanError("a DMatrix is made of tables", hint='DMatrix(job.table("party.table"))')
        columns = _columns_of_all(tables)
        for name, what in ((label, "label"), (weight, "weight")):
            _check_column(name, what, columns)
        left_out = {label, weight, *_names(exclude, "exclude", columns)}
        if features is None:
            used = tuple(n for n in columns if n not in left_out)
        else:
            used = _names(features, "features", columns)
        text = enable_categorical is True
        named = set(_names(categorical, "categorical", columns))
        categories = tuple(n for n in used if n in named or (text and _is_text(columns[n])))
        if named - set(categories):
            raise PlanError(f"the categorical column {min(named - set(used))!r} is no feature")
        if missing is not None and (isinstance(missing, bool) or not _is_number(missing)):
            raise PlanError("missing= is a number")
        self._draft: Draft = tables[0]._draft  # noqa: SLF001 - one API in two modules
        operation = Matrix(
            sources=tuple(t._node for t in tables),  # noqa: SLF001
            features=used,
            label=label,
            weight=weight,
            categorical=categories,
            missing=float_text(float("nan") if missing is None else float(missing)),
        )
        self._node = self._draft.add(operation)

    def __repr__(self) -> str:
        return "DMatrix()"


class Booster:
    """A model that the enclave will train: standard XGBoost, once it is released."""

    __slots__ = ("_draft", "_node")

    def __init__(self, draft: Draft, node: int) -> None:
        from mc2.planner.draft import Draft

        if not isinstance(draft, Draft):  # a script cannot have one
            raise PlanError("models come from xgboost.train")
        self._draft = draft
        self._node = node

    def predict(
        self,
        data: DMatrix,
        *,
        output_margin: bool = False,
        pred_leaf: bool = False,
        rounds: str = "all",
        keep: Sequence[str] = (),
        name: str = "prediction",
    ) -> Table:
        """What the model says of each row, as a table.

        Its columns are those of `keep`, then the prediction under `name`. `rounds="best"` uses
        the trees up to the best round of early stopping. Raises: PlanError.
        """
        from mc2.plan.models import PREDICTIONS, ROUNDS, Predict
        from mc2.plan.shapes import MatrixShape

        if not isinstance(data, DMatrix):
            raise PlanError("predict takes a DMatrix", hint="DMatrix(table)")
        if output_margin and pred_leaf:
            raise PlanError("output_margin and pred_leaf exclude one another")
        if rounds not in ROUNDS:
            raise PlanError(f"rounds= is none of {', '.join(ROUNDS)}")
        shape = self._draft.shape(data._node)  # noqa: SLF001 - one API
        columns = {}
        if isinstance(shape, MatrixShape):
            columns = {c.name: c.type for c in shape.schema.columns}
        leaf, margin, value = PREDICTIONS
        what = leaf if pred_leaf else margin if output_margin else value
        operation = Predict(
            model=self._node,
            matrix=data._node,  # noqa: SLF001 - one API
            keep=_names(keep, "keep", columns),
            name=_text(name, "name"),
            what=what,
            rounds=rounds,
        )
        return Table(self._draft, self._draft.add(operation))

    def history(self) -> Table:
        """The metrics of each round: a table of round, evaluation, metric and value.

        Raises: PlanError if the training had no `evals`.
        """
        from mc2.plan.models import History

        return Table(self._draft, self._draft.add(History(self._node)))

    def __repr__(self) -> str:
        return "Booster()"


def train(
    params: Mapping[str, Any],
    dtrain: DMatrix,
    num_boost_round: int = 10,
    *,
    evals: Sequence[tuple[DMatrix, str]] = (),
    early_stopping_rounds: int | None = None,
    **others: object,
) -> Booster:
    """Train a model, as `xgboost.train` does with the same arguments.

    Raises: PlanError if a parameter is not known, is refused, or has no such value.
    """
    from mc2.plan.models import BOOST_ROUNDS, Evaluation, Train
    from mc2.plan.parameters import parameters

    for name in others:
        raise PlanError(f"train takes no {name}= here", hint=_TRAIN_HINTS.get(name, ""))
    if not isinstance(params, dict) or not all(isinstance(n, str) for n in params):
        raise PlanError("params is a dictionary", hint='{"objective": "binary:logistic"}')
    if not isinstance(dtrain, DMatrix):
        raise PlanError("train takes a DMatrix", hint="DMatrix(table, label=...)")
    _check_count(num_boost_round, "num_boost_round", BOOST_ROUNDS)
    if early_stopping_rounds is not None:
        _check_count(early_stopping_rounds, "early_stopping_rounds", BOOST_ROUNDS)
    evaluations = []
    for pair in evals:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not _is_named(pair):
            raise PlanError("evals is a list of pairs", hint='evals=[(dtest, "test")]')
        evaluations.append(Evaluation(pair[1], pair[0]._node))  # noqa: SLF001 - one API
    operation = Train(
        matrix=dtrain._node,  # noqa: SLF001 - one API
        parameters=parameters(params),
        num_boost_round=num_boost_round,
        evaluations=tuple(evaluations),
        early_stopping_rounds=early_stopping_rounds,
    )
    draft = dtrain._draft  # noqa: SLF001 - one API
    return Booster(draft, draft.add(operation))


def _columns_of_all(tables: Sequence[Table]) -> dict[str, DataType]:
    """The columns of the tables, which must be the same in each. Raises: PlanError."""
    from mc2.plan.shapes import TableShape

    found: list[dict[str, DataType]] = []
    for table in tables:
        shape = table._draft.shape(table._node)  # noqa: SLF001 - one API in two modules
        columns = shape.schema.columns if isinstance(shape, TableShape) else ()
        found.append({c.name: c.type for c in columns})
    for place, other in enumerate(found[1:], 2):
        for name in dict.fromkeys((*found[0], *other)):
            if found[0].get(name) != other.get(name):
                raise PlanError(
                    f"tables 1 and {place} of the DMatrix differ in the column {name!r}",
                    hint="choose the same columns of each with job.sql",
                )
    return found[0]


def _check_column(name: object, what: str, columns: Mapping[str, object]) -> None:
    if name is not None and name not in columns:
        raise PlanError(f"there is no column {name!r} for {what}=", hint=_listed(columns))


def _names(values: object, what: str, columns: Mapping[str, object]) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, (list, tuple)):
        raise PlanError(f"{what}= is a list of column names", hint=f'{what}=["column"]')
    for value in values:
        _check_column(_text(value, f"a name in {what}="), what, columns)
    return tuple(values)


def _listed(columns: Mapping[str, object]) -> str:
    return f"there are: {', '.join(columns)}"


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise PlanError(f"{what} is a text, not a {type(value).__name__}")
    return value


def _is_text(kind: DataType) -> bool:
    return kind.name == "string"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def _is_named(pair: Sequence[object]) -> bool:
    return isinstance(pair[0], DMatrix) and isinstance(pair[1], str)


def _check_count(value: object, what: str, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise PlanError(f"{what} is a whole number from 1 to {most}")
