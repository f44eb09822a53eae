"""Training parameters of XGBoost that a plan may set: an allow-list, each with its type.

A name that is not listed is refused, never passed on: a misspelt one would change a model in
silence, and some would reach outside (a GPU, another process, a file). Aliases have one spelling in
a plan, XGBoost's own (`eta`, not `learning_rate`). Floats stand as text, see `mc2.plan.literals`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from mc2.errors import PlanError
from mc2.formats.canonical import Json, encode
from mc2.plan.literals import float_text, parse_float

ParameterValue: TypeAlias = (
    "bool | int | str | tuple[str, ...] | tuple[int, ...] | tuple[tuple[int, ...], ...]"
)
"""A value as the plan holds it; a float is its text."""

_CLASSES: Final = 1000
_ITEMS: Final = 4096
_LARGEST: Final = 2**31 - 1
_ANY_SEED: Final = 2**53 - 1

OBJECTIVES: Final = (
    "binary:hinge", "binary:logistic", "binary:logitraw", "count:poisson", "multi:softmax",
    "multi:softprob", "rank:map", "rank:ndcg", "rank:pairwise", "reg:absoluteerror", "reg:gamma",
    "reg:linear", "reg:logistic", "reg:pseudohubererror", "reg:quantileerror", "reg:squarederror",
    "reg:squaredlogerror", "reg:tweedie", "survival:aft", "survival:cox",
)  # fmt: skip
_METRICS: Final = (
    "aft-nloglik", "auc", "aucpr", "cox-nloglik", "error", "gamma-deviance", "gamma-nloglik",
    "interval-regression-accuracy", "logloss", "mae", "map", "map-", "mape", "merror", "mlogloss",
    "mphe", "ndcg", "ndcg-", "poisson-nloglik", "pre", "quantile", "rmse", "rmsle",
)  # fmt: skip
_METRIC_AT: Final = re.compile(
    r"(?:(?:error|tweedie-nloglik)@[0-9](?:\.[0-9]{1,9})?|(?:ndcg|map|pre)@[1-9][0-9]{0,5}-?)\Z"
)

ALIASES: Final = {
    "colsample_by_level": "colsample_bylevel",
    "l1_reg": "alpha",
    "learning_rate": "eta",
    "min_split_loss": "gamma",
    "random_state": "seed",
    "reg_alpha": "alpha",
    "reg_lambda": "lambda",
}
"""Other names that XGBoost knows for the same parameter."""

REFUSED: Final = {
    "device": "an enclave has no GPU; the engine trains on the CPU",
    "gpu_id": "an enclave has no GPU; the engine trains on the CPU",
    "predictor": "the engine predicts on the CPU",
    "nthread": "the number of threads is the engine's, and changes no result",
    "n_jobs": "the number of threads is the engine's, and changes no result",
    "num_workers": "the number of workers is the engine's, and changes no result",
    "verbosity": "nothing is printed inside an enclave; ask for the history of the training",
    "silent": "nothing is printed inside an enclave; ask for the history of the training",
    "validate_parameters": "all parameters are checked when the plan is made",
    "max_row_perbatch": "it changes no model",
    "sparse_threshold": "it changes no model",
    "single_precision_histogram": "XGBoost knows it no more",
    "debug_synchronize": "it is for developers of XGBoost",
    "fail_on_invalid_gpu_id": "an enclave has no GPU; the engine trains on the CPU",
    "n_estimators": "it is an argument of train, num_boost_round, not a parameter",
    "num_boost_round": "it is an argument of train, not a parameter",
    "early_stopping_rounds": "it is an argument of train, not a parameter",
    "enable_categorical": "name the categorical columns in the matrix",
    "missing": "it is an argument of the matrix, not a parameter",
}
"""Parameters that XGBoost knows and a plan may not set, with the reason."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One training parameter under XGBoost's own name, with its value as the plan holds it."""

    name: str
    value: ParameterValue

    def json(self) -> Json:
        """The value as canonical JSON has it."""
        if isinstance(self.value, tuple):
            return [list(i) if isinstance(i, tuple) else i for i in self.value]
        return self.value

    @property
    def argument(self) -> str | list[str]:
        """The value as `xgboost.train` takes it."""
        match self.value:
            case bool():
                return "1" if self.value else "0"
            case int():
                return str(self.value)
            case str():
                return self.value
            case items if self.name == "eval_metric":
                return [str(i) for i in items]
            case items if self.name == "interaction_constraints":
                return encode([list(i) for i in items if isinstance(i, tuple)]).decode()
            case items:
                joined = ",".join(str(i) for i in items)
                return f"({joined})" if self.name == "monotone_constraints" else f"[{joined}]"


Check = Callable[[Json], ParameterValue]


def _plain_number(value: Json | float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PlanError("is not a number")
    return value


def _number(low: float, high: float) -> Check:
    def check(value: Json) -> ParameterValue:
        try:
            number = parse_float(value) if isinstance(value, str) else float(_plain_number(value))
        except PlanError:
            raise PlanError("is not a number in its one exact spelling") from None
        if not low <= number <= high:  # nor is NaN
            raise PlanError(f"is not a number from {low:g} to {high:g}")
        return float_text(number)

    return check


def _integer(low: int, high: int = _LARGEST) -> Check:
    def check(value: Json) -> ParameterValue:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise PlanError(f"is not an integer from {low} to {high}")
        return value

    return check


def _boolean(value: Json) -> ParameterValue:
    if not isinstance(value, (bool, int)) or value not in {0, 1}:
        raise PlanError("is neither true nor false")
    return bool(value)


def _choice(*allowed: str) -> Check:
    def check(value: Json) -> ParameterValue:
        if not isinstance(value, str) or value not in allowed:
            raise PlanError(f"is none of {', '.join(allowed)}", hint=_near(value, allowed))
        return value

    return check


def _metrics(value: Json) -> ParameterValue:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not 1 <= len(items) <= 64:
        raise PlanError("is not a metric or a list of them")
    names = tuple(str(i) for i in items)
    for name in names:
        if name not in _METRICS and not _METRIC_AT.match(name):
            raise PlanError(
                f"names a metric that is not known: {name[:60]!r}", hint=_near(name, _METRICS)
            )
    if len(set(names)) != len(names):
        raise PlanError("names a metric twice")
    return names


def _signs(value: Json) -> ParameterValue:
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= _ITEMS:
        raise PlanError("is not a list with -1, 0 or 1 for each feature")
    signs = tuple(i for i in value if isinstance(i, int) and i in {-1, 0, 1})
    if len(signs) != len(value):
        raise PlanError("is not a list with -1, 0 or 1 for each feature")
    return signs


def _fractions(value: Json) -> ParameterValue:
    items = value if isinstance(value, (list, tuple)) else [value]
    check = _number(0.0, 1.0)
    if not 1 <= len(items) <= _CLASSES:
        raise PlanError("is not a list of numbers from 0 to 1")
    return tuple(str(check(i)) for i in items)


def _groups(value: Json) -> ParameterValue:
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= _ITEMS:
        raise PlanError("is not a list of lists of features")
    return tuple(_group(item) for item in value)


def _group(value: Json) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= _ITEMS:
        raise PlanError("is not a list of lists of features")
    found = tuple(i for i in value if isinstance(i, int) and not isinstance(i, bool) and i >= 0)
    if len(found) != len(value) or len(set(found)) != len(found):
        raise PlanError("is not a list of lists of features")
    return found


def _updaters(value: Json) -> ParameterValue:
    if not isinstance(value, str) or not value:
        raise PlanError("is not a list of updaters with commas between")
    for name in value.split(","):
        if name not in _UPDATERS:
            raise PlanError(
                f"names {name[:40]!r}, which is no updater", hint=_near(name, _UPDATERS)
            )
    return value


def _scores(value: Json | float) -> ParameterValue:
    check = _number(-3.4e38, 3.4e38)
    if not isinstance(value, (list, tuple)):
        return check(value)  # type: ignore[arg-type]  # floats from users
    if not 1 <= len(value) <= _CLASSES:
        raise PlanError("is not a number, or a list of them")
    return tuple(str(check(i)) for i in value)


def _near(name: object, known: Iterable[str]) -> str:
    """What may have been meant."""
    found = difflib.get_close_matches(str(name)[:60], list(known), n=3)
    return f"did you mean {' or '.join(found)}?" if found else ""


_UPDATERS: Final = (
    "coord_descent", "grow_colmaker", "grow_histmaker", "grow_quantile_histmaker", "prune",
    "refresh", "shotgun", "sync",
)  # fmt: skip
_SHARE: Final = _number(1e-9, 1.0)
_POSITIVE: Final = _number(0.0, 3.4e38)

ALLOWED: Final[Mapping[str, Check]] = {
    "aft_loss_distribution": _choice("extreme", "logistic", "normal"),
    "aft_loss_distribution_scale": _number(1e-9, 3.4e38),
    "alpha": _POSITIVE,
    "base_score": _scores,
    "booster": _choice("dart", "gblinear", "gbtree"),
    "colsample_bylevel": _SHARE,
    "colsample_bynode": _SHARE,
    "colsample_bytree": _SHARE,
    "disable_default_eval_metric": _boolean,
    "eta": _number(0.0, 1.0),
    "eval_metric": _metrics,
    "feature_selector": _choice("cyclic", "greedy", "random", "shuffle", "thrifty"),
    "gamma": _POSITIVE,
    "grow_policy": _choice("depthwise", "lossguide"),
    "huber_slope": _number(1e-9, 3.4e38),
    "interaction_constraints": _groups,
    "lambda": _POSITIVE,
    "lambdarank_bias_norm": _POSITIVE,
    "lambdarank_normalization": _boolean,
    "lambdarank_num_pair_per_sample": _integer(1),
    "lambdarank_pair_method": _choice("mean", "topk"),
    "lambdarank_score_normalization": _boolean,
    "lambdarank_unbiased": _boolean,
    "max_bin": _integer(2, 65536),
    "max_cached_hist_node": _integer(1),
    "max_cat_threshold": _integer(1),
    "max_cat_to_onehot": _integer(1),
    "max_delta_step": _POSITIVE,
    "max_depth": _integer(0, 64),
    "max_leaves": _integer(0),
    "min_child_weight": _POSITIVE,
    "monotone_constraints": _signs,
    "multi_strategy": _choice("multi_output_tree", "one_output_per_tree"),
    "ndcg_exp_gain": _boolean,
    "normalize_type": _choice("forest", "tree"),
    "num_class": _integer(2, _CLASSES),
    "num_parallel_tree": _integer(1, 10_000),
    "objective": _choice(*OBJECTIVES),
    "one_drop": _boolean,
    "process_type": _choice("default", "update"),
    "quantile_alpha": _fractions,
    "rate_drop": _number(0.0, 1.0),
    "refresh_leaf": _boolean,
    "sample_type": _choice("uniform", "weighted"),
    "sampling_method": _choice("uniform"),
    "scale_pos_weight": _POSITIVE,
    "seed": _integer(0, _ANY_SEED),
    "seed_per_iteration": _boolean,
    "skip_drop": _number(0.0, 1.0),
    "split_search": _choice("exact", "refined"),
    "subsample": _SHARE,
    "tolerance": _POSITIVE,
    "top_k": _integer(0),
    "tree_method": _choice("approx", "auto", "exact", "hist"),
    "tweedie_variance_power": _number(1.0, 2.0),
    "updater": _updaters,
}
"""The parameters that a plan may set, each with what it allows."""


def parameter(name: str, value: Json | float) -> Parameter:
    """Check one parameter as a user wrote it; its name may be an alias. Raises: PlanError.

    >>> parameter("learning_rate", 0.1)
    Parameter(name='eta', value='0.1')
    """
    known = ALIASES.get(name, name)
    if known in REFUSED:
        raise PlanError(f"the training parameter {name} cannot be set: {REFUSED[known]}")
    if known not in ALLOWED:
        raise PlanError(
            f"there is no training parameter {name[:60]!r}",
            hint=_near(name, (*ALLOWED, *ALIASES)) or "allowed are: " + ", ".join(ALLOWED),
        )
    try:
        return Parameter(known, ALLOWED[known](value))  # type: ignore[arg-type]  # floats from users
    except PlanError as error:
        raise PlanError(f"the training parameter {name} {error}", hint=error.hint) from None


def parameters(values: Mapping[str, Json | float]) -> tuple[Parameter, ...]:
    """Check a user's parameters: one spelling, sorted. Raises: PlanError."""
    found = tuple(sorted((parameter(n, v) for n, v in values.items()), key=lambda p: p.name))
    names = [p.name for p in found]
    for name in names:
        if names.count(name) > 1:
            raise PlanError(f"the training parameter {name} is set twice, once by an alias")
    return found


def read_parameters(value: Json) -> tuple[Parameter, ...]:
    """Read the parameters of a plan: only the one spelling of each. Raises: PlanError."""
    if not isinstance(value, Mapping):
        raise PlanError("the training parameters are not an object")
    found = parameters(dict(value))
    if encode({p.name: p.json() for p in found}) != encode(value):  # in Python, 1 equals True
        raise PlanError("the training parameters are not in their one spelling")
    return found
