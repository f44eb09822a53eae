"""XGBoost as scripts see it: `train` and `cv`. Public as `mc2.xgboost`.

Arguments have stock XGBoost's names and defaults wherever they mean the same. Columns are given by
name, because a script never holds data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mc2.errors import PlanError
from mc2.planner.boosters import Booster
from mc2.planner.callbacks import EarlyStopping, LearningRateScheduler, check_count, read_callbacks
from mc2.planner.drafted import draft_of, node_of
from mc2.planner.formulas import metric, objective
from mc2.planner.matrices import DMatrix, kinds_of
from mc2.planner.tables import Table

if TYPE_CHECKING:  # `import mc2` stays light
    from mc2.plan.models import Controls, Evaluation, Stopping
    from mc2.plan.training import Dropout

__all__ = ["Booster", "DMatrix", "EarlyStopping", "LearningRateScheduler", "cv", "train"]

_ROUNDS: Final = 100_000
_PARTIES: Final = 64
_TRAIN_HINTS: Final = {
    "feval": "custom_metric= is its name today",
    "evals_result": "release model.history(): it is a table",
    "nfold": "cv takes it",
    "fpreproc": "prepare the rows in SQL",
}


def train(  # noqa: PLR0913 - stock XGBoost's arguments, and ours
    params: Mapping[str, Any],
    dtrain: DMatrix,
    num_boost_round: int = 10,
    *,
    evals: Sequence[tuple[DMatrix, str]] = (),
    obj: Callable[..., object] | None = None,
    custom_metric: Callable[..., object] | None = None,
    maximize: bool | None = None,
    early_stopping_rounds: int | None = None,
    verbose_eval: bool | int | None = True,
    xgb_model: Booster | None = None,
    callbacks: Sequence[EarlyStopping | LearningRateScheduler] = (),
    min_leaf_rows: int = 0,
    min_leaf_owners: int = 0,
    strip_statistics: bool = False,
    public_thresholds: bool = False,
    on_dropout: str = "error",
    least_parties: int = 2,
    **others: object,
) -> Booster:
    """Train a model, as `xgboost.train` does with the same arguments.

    `obj` and `custom_metric` are functions of the script, over numpy's functions, and become a part
    of the plan. `verbose_eval` changes nothing: nobody sees metrics but who gets `history()`.

    Four more arguments say what the model must not tell of single rows. `min_leaf_rows` and
    `min_leaf_owners`: the job fails if a leaf has fewer rows, or rows of fewer owners.
    `strip_statistics` takes covers and gains out of the model. `public_thresholds`: the job
    fails if the model splits at anything but the `bin_edges` of the matrix.

    When a party whose rows stay at home drops out, `on_dropout="continue"` goes on without it from
    that round on, while rows of `least_parties` are left.

    Raises: PlanError if a parameter is not known, is refused, or has no such value.
    """
    from mc2.plan.models import Train

    _refuse_others(others, "train")
    del verbose_eval
    _check_matrix(dtrain, "train")
    check_count(num_boost_round, "num_boost_round", _ROUNDS)
    if xgb_model is not None and not isinstance(xgb_model, Booster):
        raise PlanError("xgb_model= is a model of this script")
    stopping, rates = _callbacks(callbacks, num_boost_round, early_stopping_rounds, maximize)
    operation = Train(
        matrix=node_of(dtrain),
        parameters=read_params(params, dtrain),
        num_boost_round=num_boost_round,
        evaluations=_evaluations(evals),
        stopping=stopping,
        learning_rates=rates,
        start=None if xgb_model is None else node_of(xgb_model),
        objective=None if obj is None else objective(obj),
        metric=None if custom_metric is None else metric(custom_metric),
        controls=_checked(min_leaf_rows, min_leaf_owners, strip_statistics, public_thresholds),
        dropout=_dropout(on_dropout, least_parties),
    )
    draft = draft_of(dtrain)
    return Booster(draft, draft.add(operation))


def cv(  # noqa: PLR0913 - stock XGBoost's arguments
    params: Mapping[str, Any],
    dtrain: DMatrix,
    num_boost_round: int = 10,
    *,
    nfold: int = 3,
    stratified: bool = False,
    folds: str | None = None,
    metrics: str | Sequence[str] = (),
    obj: Callable[..., object] | None = None,
    custom_metric: Callable[..., object] | None = None,
    maximize: bool | None = None,
    early_stopping_rounds: int | None = None,
    as_pandas: bool = True,
    verbose_eval: bool | int | None = None,
    show_stdv: bool = True,
    seed: int = 0,
    callbacks: Sequence[EarlyStopping | LearningRateScheduler] = (),
    shuffle: bool = True,
    **others: object,
) -> Table:
    """Cross-validate, as `xgboost.cv` does with the same arguments.

    The result is a table of round, evaluation (`train`, `test`), metric, mean and std. `folds`
    names a column that says of each row in which fold it is; it must be no feature.

    Raises: PlanError.
    """
    from mc2.plan.models import CrossValidate

    _refuse_others(others, "cv")
    del as_pandas, verbose_eval, show_stdv
    _check_matrix(dtrain, "cv")
    check_count(num_boost_round, "num_boost_round", _ROUNDS)
    check_count(nfold, "nfold", 1000)
    _check_folds(seed, folds, dtrain)
    chosen = [metrics] if isinstance(metrics, str) else list(metrics)
    stopping, rates = _callbacks(callbacks, num_boost_round, early_stopping_rounds, maximize)
    settings = {**params, "eval_metric": chosen} if chosen else params
    operation = CrossValidate(
        matrix=node_of(dtrain),
        parameters=read_params(settings, dtrain),
        num_boost_round=num_boost_round,
        parts=0 if folds is not None else nfold,
        stratified=stratified is True,
        shuffle=shuffle is True,
        seed=seed,
        folds=folds,
        stopping=stopping,
        learning_rates=rates,
        objective=None if obj is None else objective(obj),
        metric=None if custom_metric is None else metric(custom_metric),
    )
    draft = draft_of(dtrain)
    return Table(draft, draft.add(operation))


def _check_folds(seed: object, folds: object, dtrain: DMatrix) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise PlanError("seed= is a whole number from 0")
    if folds is not None and folds not in kinds_of(dtrain):
        raise PlanError(
            "folds= is a column of the matrix's tables",
            hint='DMatrix(t, exclude=["site"]), folds="site"',
        )


def _refuse_others(others: Mapping[str, object], what: str) -> None:
    for name in others:
        raise PlanError(f"{what} takes no {name}= here", hint=_TRAIN_HINTS.get(name, ""))


def _check_matrix(value: object, what: str) -> None:
    if not isinstance(value, DMatrix):
        raise PlanError(f"{what} takes a DMatrix", hint="DMatrix(table, label=...)")


def read_params(params: object, dtrain: DMatrix) -> tuple[Any, ...]:
    """Training parameters as the plan has them: features by their places. Raises: PlanError."""
    from mc2.plan.parameters import parameters

    if not isinstance(params, dict) or not all(isinstance(n, str) for n in params):
        raise PlanError("params is a dictionary", hint='{"objective": "binary:logistic"}')
    features = dtrain.feature_names
    found = dict(params)
    signs = found.get("monotone_constraints")
    if isinstance(signs, dict):
        _check_features(list(signs), features)
        found["monotone_constraints"] = [signs.get(name, 0) for name in features]
    elif isinstance(signs, str):
        found["monotone_constraints"] = _signs(signs)
    groups = found.get("interaction_constraints")
    if isinstance(groups, (list, tuple)):
        found["interaction_constraints"] = [_places(group, features) for group in groups]
    return parameters(found)


def _signs(text: str) -> list[int]:
    items = text.strip().removeprefix("(").removesuffix(")").split(",")
    known = {"-1": -1, "0": 0, "1": 1}
    if not all(i.strip() in known for i in items):
        raise PlanError("monotone_constraints is text like (1,0,-1), or a dictionary by feature")
    return [known[i.strip()] for i in items]


def _places(group: object, features: Sequence[str]) -> object:
    if not isinstance(group, (list, tuple)):
        return group
    _check_features([n for n in group if isinstance(n, str)], features)
    return [features.index(n) if isinstance(n, str) else n for n in group]


def _check_features(names: Sequence[object], features: Sequence[str]) -> None:
    for name in names:
        if name not in features:
            raise PlanError(
                f"a constraint names {str(name)[:60]!r}, which is no feature",
                hint=f"features are: {', '.join(features)}",
            )


def _callbacks(
    callbacks: object,
    rounds: int,
    early_stopping_rounds: int | None,
    maximize: bool | None,  # noqa: FBT001 - stock XGBoost's argument
) -> tuple[Stopping | None, tuple[str, ...]]:
    stopping = None
    if early_stopping_rounds is not None:
        plain = EarlyStopping(rounds=early_stopping_rounds, maximize=maximize)
        stopping = plain.stopping
    stopping, rates = read_callbacks(callbacks, rounds, stopping)
    if maximize is not None:
        if stopping is None:
            raise PlanError("maximize= goes with early stopping")
        stopping = replace(stopping, maximize=bool(maximize))
    return stopping, rates


def _evaluations(evals: object) -> tuple[Evaluation, ...]:
    from mc2.plan.models import Evaluation

    if not isinstance(evals, (list, tuple)):
        raise PlanError("evals is a list of pairs", hint='evals=[(dtest, "test")]')
    found = []
    for pair in evals:
        if (
            not isinstance(pair, (tuple, list))
            or len(pair) != 2
            or not isinstance(pair[0], DMatrix)
            or not isinstance(pair[1], str)
        ):
            raise PlanError("evals is a list of pairs", hint='evals=[(dtest, "test")]')
        found.append(Evaluation(pair[1], node_of(pair[0])))
    return tuple(found)


def _dropout(on_dropout: object, least_parties: int) -> Dropout | None:
    from mc2.plan.training import Dropout

    if on_dropout not in {"error", "continue"}:
        raise PlanError('on_dropout= is "error" or "continue"')
    check_count(least_parties, "least_parties", _PARTIES)
    return Dropout(least_parties) if on_dropout == "continue" else None


def _checked(*given: Any) -> Controls:
    from mc2.plan.models import Controls

    controls = Controls(*given)
    for name, value, most in (
        ("min_leaf_rows", controls.leaf_rows, 10_000_000),
        ("min_leaf_owners", controls.leaf_owners, 64),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise PlanError(f"{name}= is a whole number from 0 to {most}")
    if controls.bare not in {True, False} or controls.public_thresholds not in {True, False}:
        raise PlanError("strip_statistics= and public_thresholds= are True or False")
    return controls
