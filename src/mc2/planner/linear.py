"""scikit-learn's linear models and k-means as scripts see them: a fit describes a computation.

Public as `mc2.linear` and `mc2.clusters`. Arguments have scikit-learn's names; columns are given by
name, because a script never holds data. What is learnt is known in the enclave only: so there is
no `coef_` here, but in the file that is released.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from mc2.errors import PlanError
from mc2.planner.columns import names_of, text_of
from mc2.planner.drafted import draft_of, node_of
from mc2.planner.matrices import DMatrix, kinds_of
from mc2.planner.tables import Table

if TYPE_CHECKING:  # `import mc2` stays light
    from mc2.plan.linear_models import Fit, FitLinear

_NOTHING: Final = frozenset({"copy_X", "copy_x", "n_jobs", "verbose", "warm_start"})
_EXACT: Final = frozenset({"solver", "tol"})
_SEARCH: Final = frozenset({"max_iter", "precompute", "random_state", "selection"})
_HINTS: Final = {
    "positive": "there are no bounds on factors",
    "class_weight": "compute a column of weights in SQL, and fit(..., sample_weight=)",
    "l1_ratio": "ElasticNet has it",
    "multi_class": "classes= says how many there are; each has factors of its own beyond two",
    "random_state": "nothing is drawn",
    "algorithm": "it is Lloyd's",
}


class Estimator(ABC):
    """What these models have in common."""

    __slots__ = ("_features", "_fitted", "_settings")

    _said: str = "value"

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._settings = dict(settings)
        self._features: list[str] = []
        self._fitted: int | None = None

    def get_params(self, deep: bool = True) -> dict[str, object]:  # noqa: FBT001, FBT002 - scikit-learn's
        """All settings by name."""
        del deep
        return dict(self._settings)

    def _fit(self, rows: DMatrix) -> Self:
        self._fitted = draft_of(rows).add(self._operation(rows))
        self._features = rows.feature_names
        return self

    @abstractmethod
    def _operation(self, rows: DMatrix) -> Fit:
        """What the plan does to fit it."""

    @property
    def _node(self) -> int:
        if self._fitted is None:
            raise PlanError("the model is not fitted yet", hint="model.fit(table, ...)")
        return self._fitted

    def predict(
        self,
        X: DMatrix | Table | Sequence[Table],  # noqa: N803 - scikit-learn's name
        *,
        keep: Sequence[str] = (),
        name: str = "prediction",
    ) -> Table:
        """What the model says of each row, as a table: the columns of `keep`, then `name`."""
        return self._applied(X, self._said, keep, name)

    def _applied(self, data: object, what: str, keep: Sequence[str], name: str) -> Table:
        from mc2.plan.linear_models import Apply

        model = self._node
        rows = _matrix(data, {"features": self._features})
        operation = Apply(
            model=model,
            matrix=node_of(rows),
            keep=names_of(keep, "keep", kinds_of(rows)),
            name=text_of(name, "name"),
            what=what,
        )
        draft = draft_of(rows)
        return Table(draft, draft.add(operation))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def fitted_estimator(fit: Fit, features: Sequence[str], node: int) -> Estimator:
    """A model of an earlier job, with the settings that it was fitted with there."""
    from mc2.plan.linear_models import FitClusters
    from mc2.plan.literals import parse_float

    found: Estimator
    if isinstance(fit, FitClusters):
        found = KMeans(fit.clusters, max_iter=fit.rounds, random_state=fit.seed)
    else:
        found = _fitted_regression(fit, parse_float(fit.penalty), parse_float(fit.sparsity))
    found._features, found._fitted = list(features), node  # noqa: SLF001 - one module
    return found


def _fitted_regression(fit: FitLinear, squares: float, sizes: float) -> Estimator:
    if fit.family == "logistic":
        whole = squares + sizes
        return LogisticRegression(
            "elasticnet" if sizes else "l2" if squares else None,
            C=1 / whole if whole else 1.0,
            l1_ratio=sizes / whole if sizes else None,
            fit_intercept=fit.intercept,
            max_iter=fit.rounds,
            classes=fit.classes,
        )
    if fit.per_weight:
        alpha = squares + sizes / 2
        return ElasticNet(alpha, l1_ratio=sizes / 2 / alpha, fit_intercept=fit.intercept)
    return Ridge(squares, fit_intercept=fit.intercept)


class _Regression(Estimator):
    __slots__ = ()

    def fit(
        self,
        X: DMatrix | Table | Sequence[Table],  # noqa: N803 - scikit-learn's name
        y: str | None = None,
        sample_weight: str | None = None,
        **columns: Any,
    ) -> Self:
        """Describe the fit: `y` and `sample_weight` name columns, the others are features.

        `columns` are `features` and `exclude` of `DMatrix`. Raises: PlanError.
        """
        return self._fit(_matrix(X, {"label": y, "weight": sample_weight, **columns}))


class LinearRegression(_Regression):
    """Least squares without a penalty, as scikit-learn's class of this name."""

    __slots__ = ()

    def __init__(self, *, fit_intercept: bool = True, **others: object) -> None:
        _refuse(others, "LinearRegression", _NOTHING | _EXACT)
        super().__init__({"fit_intercept": _yes(fit_intercept, "fit_intercept")})

    def _operation(self, rows: DMatrix) -> Fit:
        from mc2.plan.linear_models import FitLinear

        intercept = self._settings["fit_intercept"] is True
        return FitLinear(node_of(rows), "linear", "0.0", intercept)


class Ridge(_Regression):
    """Least squares with an L2 penalty of `alpha`, as scikit-learn's class of this name."""

    __slots__ = ()

    def __init__(self, alpha: float = 1.0, *, fit_intercept: bool = True, **others: object) -> None:
        _refuse(others, "Ridge", _NOTHING | _EXACT | {"max_iter", "random_state"})
        _number(alpha, "alpha", 0.0)
        super().__init__({"alpha": alpha, "fit_intercept": _yes(fit_intercept, "fit_intercept")})

    def _operation(self, rows: DMatrix) -> Fit:
        from mc2.plan.linear_models import FitLinear
        from mc2.plan.literals import float_text

        intercept = self._settings["fit_intercept"] is True
        penalty = float_text(_number(self._settings["alpha"], "alpha", 0.0))
        return FitLinear(node_of(rows), "linear", penalty, intercept)


class ElasticNet(_Regression):
    """Least squares with L1 and L2 penalties, as scikit-learn's class of this name.

    It goes to the end, whatever `tol` and `max_iter` say.
    """

    __slots__ = ()

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        **others: object,
    ) -> None:
        _refuse(others, type(self).__name__, _NOTHING | _EXACT | _SEARCH)
        if not _number(alpha, "alpha", 0.0):
            raise PlanError("alpha is a number above 0", hint="LinearRegression has no penalty")
        if _number(l1_ratio, "l1_ratio", 0.0) > 1:
            raise PlanError("l1_ratio is a number from 0 to 1")
        intercept = _yes(fit_intercept, "fit_intercept")
        super().__init__({"alpha": alpha, "l1_ratio": l1_ratio, "fit_intercept": intercept})

    def _operation(self, rows: DMatrix) -> Fit:
        from mc2.plan.linear_models import FitLinear
        from mc2.plan.literals import float_text

        alpha = _number(self._settings["alpha"], "alpha", 0.0)
        share = _number(self._settings["l1_ratio"], "l1_ratio", 0.0)
        return FitLinear(
            node_of(rows),
            "linear",
            float_text(alpha * (1 - share)),
            self._settings["fit_intercept"] is True,
            sparsity=float_text(2 * alpha * share),
            per_weight=True,
        )


class Lasso(ElasticNet):
    """Least squares with an L1 penalty, as scikit-learn's class of this name."""

    __slots__ = ()

    def __init__(self, alpha: float = 1.0, *, fit_intercept: bool = True, **others: object) -> None:
        if "l1_ratio" in others:
            raise PlanError("Lasso takes no l1_ratio= here", hint=_HINTS["l1_ratio"])
        super().__init__(alpha, l1_ratio=1.0, fit_intercept=fit_intercept, **others)

    def get_params(self, deep: bool = True) -> dict[str, object]:  # noqa: FBT001, FBT002 - scikit-learn's
        """All settings by name."""
        return {n: v for n, v in super().get_params(deep).items() if n != "l1_ratio"}


class LogisticRegression(_Regression):
    """Classes 0, 1, … with penalties of 1 / `C`, as scikit-learn's class of this name.

    `classes` says how many there are: no script sees the labels. `penalty` is "l2", "l1",
    "elasticnet" with an `l1_ratio`, or None; an infinite `C` leaves it out, too. It goes on to the
    end, whatever `tol` and `solver` say; if `max_iter` steps do not reach it, the job fails.
    """

    __slots__ = ()

    _said = "class"

    def __init__(
        self,
        penalty: str | None = "l2",
        *,
        C: float = 1.0,  # noqa: N803 - scikit-learn's name
        l1_ratio: float | None = None,
        fit_intercept: bool = True,
        max_iter: int = 100,
        classes: int = 2,
        **others: object,
    ) -> None:
        _refuse(others, "LogisticRegression", _NOTHING | _EXACT | {"random_state"})
        if penalty not in {"l1", "l2", "elasticnet", None}:
            raise PlanError("penalty= is 'l2', 'l1', 'elasticnet' or None")
        if (l1_ratio is not None) != (penalty == "elasticnet"):
            raise PlanError("l1_ratio= and penalty='elasticnet' come together")
        if l1_ratio is not None and _number(l1_ratio, "l1_ratio", 0.0) > 1:
            raise PlanError("l1_ratio is a number from 0 to 1")
        if isinstance(classes, bool) or not isinstance(classes, int) or not 2 <= classes <= 256:
            raise PlanError("classes= is a whole number from 2 to 256")
        if not isinstance(C, (int, float)) or isinstance(C, bool) or not C > 0:
            raise PlanError("C= is a number above 0")
        _count(max_iter, "max_iter", 10_000)
        super().__init__(
            {
                "penalty": penalty,
                "C": C,
                "l1_ratio": l1_ratio,
                "fit_intercept": _yes(fit_intercept, "fit_intercept"),
                "max_iter": max_iter,
                "classes": classes,
            }
        )

    def _operation(self, rows: DMatrix) -> Fit:
        from mc2.plan.linear_models import FitLinear
        from mc2.plan.literals import float_text

        own: dict[str, Any] = self._settings
        cost = 0.0 if own["penalty"] is None else 1 / own["C"]
        share = {"l1": 1.0, "elasticnet": own["l1_ratio"]}.get(own["penalty"], 0.0)
        return FitLinear(
            node_of(rows),
            "logistic",
            float_text(cost * (1 - share)),
            own["fit_intercept"] is True,
            own["max_iter"],
            sparsity=float_text(cost * share),
            classes=own["classes"],
        )

    def predict_proba(
        self,
        X: DMatrix | Table | Sequence[Table],  # noqa: N803 - scikit-learn's name
        *,
        keep: Sequence[str] = (),
        name: str = "probability",
    ) -> Table:
        """The probability of class 1 for each row, as a table; or that of each class."""
        return self._applied(X, "probability", keep, name)

    def decision_function(
        self,
        X: DMatrix | Table | Sequence[Table],  # noqa: N803 - scikit-learn's name
        *,
        keep: Sequence[str] = (),
        name: str = "margin",
    ) -> Table:
        """The margin of each row, above 0 for class 1, as a table; or that of each class."""
        return self._applied(X, "margin", keep, name)


class KMeans(Estimator):
    """k-means by Lloyd's algorithm, as scikit-learn's class of this name with `tol=0`.

    `init` is "k-means++", with rows drawn by `random_state` (other ones than scikit-learn draws),
    or a list of centres, each a list of numbers in the order of the features.
    """

    __slots__ = ()

    _said = "cluster"

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: str | Sequence[Sequence[float]] = "k-means++",
        n_init: int | str = "auto",
        max_iter: int = 300,
        tol: float = 0.0,
        random_state: int | None = 0,
        **others: object,
    ) -> None:
        _refuse(others, "KMeans", _NOTHING)
        _count(n_clusters, "n_clusters", 4096)
        _count(max_iter, "max_iter", 10_000)
        if n_init != "auto":
            _count(n_init, "n_init", 100)
        if tol != 0:
            raise PlanError("tol= is 0: rounds go on until no centre moves, or max_iter are done")
        seed = 0 if random_state is None else random_state
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
            raise PlanError("random_state= is a whole number from 0")
        if isinstance(init, str) and init != "k-means++":
            raise PlanError("init= is 'k-means++' or a list of centres")
        super().__init__(
            {
                "n_clusters": n_clusters,
                "init": init,
                "n_init": n_init,
                "max_iter": max_iter,
                "random_state": seed,
            }
        )

    def fit(
        self,
        X: DMatrix | Table | Sequence[Table],  # noqa: N803 - scikit-learn's name
        y: None = None,
        sample_weight: str | None = None,
        **columns: Any,
    ) -> Self:
        """Describe the fit over all columns, or those of `features=`. Raises: PlanError."""
        if y is not None:
            raise PlanError("k-means takes no label", hint="leave y out")
        return self._fit(_matrix(X, {"weight": sample_weight, **columns}))

    def _operation(self, rows: DMatrix) -> Fit:
        from mc2.plan.linear_models import FitClusters
        from mc2.plan.literals import float_text

        own: dict[str, Any] = self._settings
        centres: tuple[str, ...] = ()
        if not isinstance(own["init"], str):
            numbers = _centres(own["init"], own["n_clusters"], len(rows.feature_names))
            centres = tuple(float_text(n) for n in numbers)
        starts = 1 if centres or own["n_init"] == "auto" else own["n_init"]
        seed = 0 if centres else own["random_state"]
        return FitClusters(
            node_of(rows),
            own["n_clusters"], own["max_iter"], seed, starts, centres,
        )  # fmt: skip


def _centres(values: object, clusters: int, width: int) -> list[float]:
    rows = values if isinstance(values, (list, tuple)) else []
    whole = [row for row in rows if isinstance(row, (list, tuple)) and len(row) == width]
    if len(rows) != clusters or len(whole) != clusters:
        raise PlanError("init= has not n_clusters centres, each with a number for each feature")
    return [_number(n, "a number in init", -1e30) for row in whole for n in row]


def _matrix(data: object, roles: Mapping[str, Any]) -> DMatrix:
    if isinstance(data, DMatrix):
        if any(value for name, value in roles.items() if name != "features"):
            raise PlanError("a DMatrix says itself which column is what", hint="fit(matrix)")
        return data
    given = data if isinstance(data, (list, tuple)) else [data]
    return DMatrix(*given, **{n: v for n, v in roles.items() if v is not None})


def _refuse(others: Mapping[str, object], what: str, ignored: frozenset[str]) -> None:
    for name in others:
        if name not in ignored:
            raise PlanError(f"{what} takes no {name}= here", hint=_HINTS.get(name, ""))


def _number(value: object, what: str, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= 1e30:
        raise PlanError(f"{what} is a number from {least:g} to 1e30")
    return float(value)


def _count(value: object, what: str, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise PlanError(f"{what}= is a whole number from 1 to {most}")


def _yes(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise PlanError(f"{what}= is True or False")
    return value
