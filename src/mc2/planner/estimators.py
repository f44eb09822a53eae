"""Stock XGBoost's scikit-learn wrappers, as scripts see them: a fit describes a training.

`X` is a table or several, `y` the name of its column. What `predict` gives is a table, and what is
learnt is known in the enclave only: so there is no `score`, no `coef_`, no cross-validation by
scikit-learn and no pipeline of its transformers; SQL prepares rows instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

from mc2.errors import PlanError
from mc2.planner.boosters import Booster, shape_of_model
from mc2.planner.learning import train
from mc2.planner.matrices import DMatrix
from mc2.planner.tables import Table

_OWN: Final = (
    "callbacks", "early_stopping_rounds", "enable_categorical", "eval_metric", "feature_types",
    "feature_weights", "importance_type", "missing", "n_estimators", "objective",
)  # fmt: skip
_BOOSTING: Final = (
    "base_score", "booster", "colsample_bylevel", "colsample_bynode", "colsample_bytree", "device",
    "gamma", "grow_policy", "interaction_constraints", "learning_rate", "max_bin",
    "max_cat_threshold", "max_cat_to_onehot", "max_delta_step", "max_depth", "max_leaves",
    "min_child_weight", "monotone_constraints", "multi_strategy", "n_jobs", "num_parallel_tree",
    "random_state", "reg_alpha", "reg_lambda", "sampling_method", "scale_pos_weight", "subsample",
    "tree_method", "validate_parameters", "verbosity",
)  # fmt: skip
_TREES: Final = 100


class XGBModel:
    """What the wrappers have in common; see stock XGBoost's class of the same name."""

    __slots__ = ("_booster", "_classes", "_extra", "_given")

    _objective: ClassVar[str] = "reg:squarederror"
    _defaults: ClassVar[Mapping[str, object]] = {}
    _forest: ClassVar[bool] = False

    def __init__(self, *, objective: object = None, **settings: object) -> None:
        if objective is None:
            objective = self._objective
        given = {**self._defaults, **settings, "objective": objective}
        self._given = {n: v for n, v in given.items() if n in _OWN or n in _BOOSTING}
        self._extra = {n: v for n, v in given.items() if n not in self._given}
        self._booster: Booster | None = None
        self._classes = 0

    def get_params(self, deep: bool = True) -> dict[str, object]:  # noqa: FBT001, FBT002 - scikit-learn's
        """All settings by name, those not given as None."""
        del deep
        return {**dict.fromkeys(sorted((*_OWN, *_BOOSTING))), **self._given, **self._extra}

    def set_params(self, **settings: object) -> Self:
        """Change settings."""
        for name, value in settings.items():
            (self._given if name in _OWN or name in _BOOSTING else self._extra)[name] = value
        return self

    def get_xgb_params(self) -> dict[str, object]:
        """The settings that are training parameters."""
        found = {n: v for n, v in self._given.items() if n in _BOOSTING and v is not None}
        return {**found, **{n: v for n, v in self._extra.items() if v is not None}}

    def fit(  # noqa: PLR0913 - stock XGBoost's arguments, and ours
        self,
        X: Table | Sequence[Table],  # noqa: N803 - scikit-learn's name
        y: str | Sequence[str],
        *,
        sample_weight: str | None = None,
        base_margin: str | Sequence[str] | None = None,
        eval_set: Sequence[tuple[Table | Sequence[Table], str | Sequence[str]]] | None = None,
        verbose: bool | int | None = True,
        xgb_model: Booster | XGBModel | None = None,
        **columns: Any,
    ) -> Self:
        """Describe the training over all columns but those with another role.

        `columns` are more arguments of `DMatrix`: `features`, `exclude`, `categorical`, `qid`;
        and those of `train` on what the model must not tell, such as `min_leaf_rows`.
        Raises: PlanError.
        """
        del verbose
        roles = {"weight": sample_weight, "base_margin": base_margin}
        controls = {n: columns.pop(n) for n in _CONTROLS if n in columns}
        dtrain = self._matrix(X, y, {**roles, **columns})
        evals = []
        for place, pair in enumerate(eval_set or ()):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise PlanError("eval_set is a list of pairs", hint='eval_set=[(table, "label")]')
            names = {**columns, "features": dtrain.feature_names}
            weighed = {"weight": sample_weight if sample_weight in _names(pair[0]) else None}
            evals.append(
                (self._matrix(pair[0], pair[1], {**weighed, **names}), f"validation_{place}")
            )
        if isinstance(xgb_model, XGBModel):
            xgb_model = xgb_model.get_booster()
        rounds = self._given.get("n_estimators")
        rounds = _TREES if rounds is None else rounds
        params = self._parameters()
        if self._forest:
            params["num_parallel_tree"], rounds = rounds, 1
        own = self._functions(params)
        self._booster = train(
            params,
            dtrain,
            rounds,  # type: ignore[arg-type]  # train looks at it
            evals=evals,
            early_stopping_rounds=self._given.get("early_stopping_rounds"),  # type: ignore[arg-type]
            xgb_model=xgb_model,
            callbacks=self._given.get("callbacks") or (),  # type: ignore[arg-type]  # as above
            **own,
            **controls,
        )
        return self

    def _matrix(
        self, tables: object, label: str | Sequence[str] | None, roles: Mapping[str, Any]
    ) -> DMatrix:
        given = tables if isinstance(tables, (list, tuple)) else [tables]
        options: dict[str, Any] = {
            n: self._given[n]
            for n in ("enable_categorical", "feature_types", "feature_weights", "missing")
            if self._given.get(n) is not None
        }
        return DMatrix(*given, label=label, **options, **roles)

    def _parameters(self) -> dict[str, Any]:
        found = self.get_xgb_params()
        objective, metrics = self._given["objective"], self._given.get("eval_metric")
        if isinstance(objective, str):
            found["objective"] = objective
        if metrics is not None and not callable(metrics):
            found["eval_metric"] = metrics
        if self._classes > 2 and "num_class" not in found:
            found["num_class"] = self._classes
            if found.get("objective") not in {"multi:softmax", "multi:softprob"}:
                found["objective"] = "multi:softprob"
        return found

    def _functions(self, params: Mapping[str, object]) -> dict[str, Any]:
        """An objective or metric of the script's own, in the order that scikit-learn has."""
        del params
        objective, metric = self._given["objective"], self._given.get("eval_metric")
        found: dict[str, Any] = {}
        if callable(objective):
            found["obj"] = lambda preds, data: objective(data.get_label(), preds)
        if callable(metric):
            name = getattr(metric, "__name__", "metric")
            found["custom_metric"] = lambda preds, data: (name, metric(data.get_label(), preds))
        return found

    def get_booster(self) -> Booster:
        """The model. Raises: PlanError before `fit`."""
        if self._booster is None:
            raise PlanError("the model is not fitted yet", hint='model.fit(table, "label")')
        return self._booster

    def predict(
        self,
        X: Table | Sequence[Table],  # noqa: N803 - scikit-learn's name
        *,
        output_margin: bool = False,
        iteration_range: tuple[int, int] | None = None,
        keep: Sequence[str] = (),
        name: str = "prediction",
    ) -> Table:
        """What the model says of each row; after early stopping, by its best rounds."""
        return self.get_booster().predict(
            self._rows(X),
            output_margin=output_margin,
            iteration_range=iteration_range or (0, 0),
            rounds=self._which(iteration_range),
            keep=keep,
            name=name,
        )

    def apply(
        self,
        X: Table | Sequence[Table],  # noqa: N803 - scikit-learn's name
        *,
        iteration_range: tuple[int, int] | None = None,
        keep: Sequence[str] = (),
        name: str = "leaves",
    ) -> Table:
        """The leaf of each row in each tree."""
        return self.get_booster().predict(
            self._rows(X),
            pred_leaf=True,
            iteration_range=iteration_range or (0, 0),
            rounds=self._which(iteration_range),
            keep=keep,
            name=name,
        )

    def _rows(self, tables: object) -> DMatrix:
        given: list[Any] = list(tables) if isinstance(tables, (list, tuple)) else [tables]
        return self.get_booster().rows(given)

    def _which(self, span: object) -> str:
        stops = shape_of_model(self.get_booster()).has_best
        return "best" if stops and span is None else "all"

    def evals_result(self) -> Table:
        """The metrics of each round: a table of round, evaluation, metric and value."""
        return self.get_booster().history()

    @property
    def feature_importances_(self) -> Table:
        """How important each feature is, by `importance_type`: not divided by their sum."""
        kind = self._given.get("importance_type")
        return self.get_booster().get_score(importance_type=str(kind or self._importance()))

    def _importance(self) -> str:
        return "weight" if self._given.get("booster") == "gblinear" else "gain"

    def score(self, *_: object, **__: object) -> float:
        """Nothing that is learnt is known here. Raises: PlanError."""
        raise PlanError(
            "only the enclave knows how good a model is",
            hint="fit(..., eval_set=[(table, label)]), then release evals_result()",
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


_CONTROLS: Final = ("min_leaf_owners", "min_leaf_rows", "public_thresholds", "strip_statistics")


def _names(tables: object) -> list[str]:
    first = tables[0] if isinstance(tables, (list, tuple)) and tables else tables
    return first.column_names if isinstance(first, Table) else []


class XGBRegressor(XGBModel):
    """Regression, with the arguments of stock XGBoost's class."""

    __slots__ = ()


class XGBClassifier(XGBModel):
    """Classes numbered from 0. `fit(..., n_classes=3)` says how many, if they are not two."""

    __slots__ = ()

    _objective: ClassVar[str] = "binary:logistic"

    def fit(
        self,
        X: Any,  # noqa: N803
        y: str | Sequence[str],
        *,
        n_classes: int = 2,
        **options: Any,
    ) -> Self:
        """Describe the training. Raises: PlanError."""
        if isinstance(n_classes, bool) or not isinstance(n_classes, int) or n_classes < 2:
            raise PlanError("n_classes= is a whole number from 2")
        self._classes = n_classes
        return super().fit(X, y, **options)

    def predict(self, X: Any, **options: Any) -> Table:  # noqa: N803
        """The most likely class of each row; with `output_margin`, margins."""
        if options.get("output_margin"):
            return super().predict(X, **options)
        span = options.pop("iteration_range", None)
        options.pop("output_margin", None)
        return self.get_booster().predict_class(
            self._rows(X),
            iteration_range=span or (0, 0),
            rounds=self._which(span),
            keep=options.pop("keep", ()),
            name=options.pop("name", "prediction"),
        )

    def predict_proba(self, X: Any, **options: Any) -> Table:  # noqa: N803
        """The probability of each class; of two, that of class 1 alone."""
        return super().predict(X, **{"name": "probability", **options})


class XGBRanker(XGBModel):
    """Ranking: `fit(table, "label", qid="column")`."""

    __slots__ = ()

    _objective: ClassVar[str] = "rank:ndcg"

    def fit(
        self,
        X: Any,  # noqa: N803
        y: str | Sequence[str],
        *,
        qid: str = "",
        **options: Any,
    ) -> Self:
        """Describe the training. Raises: PlanError."""
        if not qid:
            raise PlanError("a ranking ranks the rows of each group", hint='qid="column"')
        return super().fit(X, y, qid=qid, **options)


_FOREST: Final[Mapping[str, object]] = {
    "learning_rate": 1.0,
    "subsample": 0.8,
    "colsample_bynode": 0.8,
    "reg_lambda": 1e-5,
}


class XGBRFRegressor(XGBRegressor):
    """A random forest for regression: one round of `n_estimators` trees."""

    __slots__ = ()

    _defaults: ClassVar[Mapping[str, object]] = _FOREST
    _forest: ClassVar[bool] = True


class XGBRFClassifier(XGBClassifier):
    """A random forest for classes: one round of `n_estimators` trees."""

    __slots__ = ()

    _defaults: ClassVar[Mapping[str, object]] = _FOREST
    _forest: ClassVar[bool] = True


def clone(estimator: XGBModel) -> XGBModel:
    """An estimator with the same settings that is not fitted. Raises: PlanError."""
    if not isinstance(estimator, XGBModel):
        raise PlanError("clone takes one of the wrappers, such as XGBClassifier")
    return type(estimator)(**estimator.get_params())
