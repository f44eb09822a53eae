"""The parameters of oblivious boosting: XGBoost's names, checked; what it cannot do is an error."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, Self

from mc2.errors import EngineError

MOST_DEPTH: Final = 8
MOST_BINS: Final = 255
"""A byte holds the bin, and one of its values is for missing ones."""

_EXACT: Final = "exact"
_REFINED: Final = "refined"
_MOST_CELLS: Final = 32
_POISSON_STEP: Final = 0.7


class Objective(IntEnum):
    """What is learnt: as the kernels number it."""

    LOGISTIC = 0
    SQUARED_ERROR = 1
    POISSON = 2
    SOFTMAX = 3


OBJECTIVES: Final = {
    "binary:logistic": Objective.LOGISTIC,
    "reg:squarederror": Objective.SQUARED_ERROR,
    "count:poisson": Objective.POISSON,
    "multi:softprob": Objective.SOFTMAX,
}

_ALIASES: Final = {
    "eta": "learning_rate",
    "reg_lambda": "lambda",
    "reg_alpha": "alpha",
    "min_split_loss": "gamma",
    "random_state": "seed",
    "n_jobs": "nthread",
}

# What changes nothing of a model: accepted, and ignored.
_IGNORED: Final = {"nthread", "verbosity", "validate_parameters", "device", "max_cat_to_onehot"}
_ONLY: Final = {
    "tree_method": "hist",
    "booster": "gbtree",
    "grow_policy": "depthwise",
    "sampling_method": "uniform",
    "num_parallel_tree": 1,
    "max_leaves": 0,
    "device": "cpu",
    "multi_strategy": "one_output_per_tree",
}


@dataclass(frozen=True, slots=True)
class BoostingParameters:
    """What training does, all of it public. Numbers mean what they mean in XGBoost."""

    objective: Objective = Objective.SQUARED_ERROR
    classes: int = 1
    learning_rate: float = 0.3
    max_depth: int = 6
    max_bin: int = 256
    reg_lambda: float = 1.0
    reg_alpha: float = 0.0
    gamma: float = 0.0
    min_child_weight: float = 1.0
    max_delta_step: float = 0.0
    subsample: float = 1.0
    colsample_bytree: float = 1.0
    colsample_bylevel: float = 1.0
    colsample_bynode: float = 1.0
    scale_pos_weight: float = 1.0
    base_score: float | None = None
    seed: int = 0
    monotone: tuple[int, ...] = ()
    metrics: tuple[str, ...] = field(default=())
    refined: bool = False

    def cell_shift(self, bins: int) -> int:
        """Splits are looked for between cells of 2^shift bins first; 0 between all bins at once."""
        return max(0, (bins - 1).bit_length() - _MOST_CELLS.bit_length() + 1) if self.refined else 0

    @property
    def rules(self) -> tuple[float, float, float, float, float]:
        """Lambda, alpha, gamma, min_child_weight, max_delta_step: as the kernels take them."""
        step = self.max_delta_step
        return (self.reg_lambda, self.reg_alpha, self.gamma, self.min_child_weight, step)

    @property
    def extra(self) -> float:
        """The number that the objective's gradients need beside the rows."""
        if self.objective is Objective.POISSON:
            return self.max_delta_step
        return self.scale_pos_weight

    @property
    def name(self) -> str:
        """The objective's name in XGBoost."""
        return next(name for name, objective in OBJECTIVES.items() if objective is self.objective)

    @property
    def base_margin(self) -> float | None:
        """What `base_score` is as a margin."""
        score = self.base_score
        if score is None:
            return None
        if self.objective is Objective.LOGISTIC:
            return math.log(score) - math.log1p(-score)
        return math.log(score) if self.objective is Objective.POISSON else score

    @classmethod
    def read(cls, parameters: Mapping[str, Any], features: Sequence[str]) -> Self:
        """Check parameters by XGBoost's names. Raises: EngineError."""
        return cls(**_Reader(parameters, features).fields())


class _Reader:
    def __init__(self, parameters: Mapping[str, Any], features: Sequence[str]) -> None:
        self._left: dict[str, Any] = {}
        for name, value in parameters.items():
            known = _ALIASES.get(name, name)
            if known in self._left:
                raise EngineError(f"the parameter {known} is given twice")
            self._left[known] = value
        self._features = features

    def fields(self) -> dict[str, Any]:
        for name, only in _ONLY.items():
            if self._left.pop(name, only) != only:
                raise _unsupported(f"{name} other than {only}")
        name = self._left.pop("objective", "reg:squarederror")
        if name not in OBJECTIVES:
            raise _unsupported(f"the objective {name}", f"choose one of {', '.join(OBJECTIVES)}")
        found = self._numbers(OBJECTIVES[name])
        found["monotone"] = self._monotone(self._left.pop("monotone_constraints", ()))
        found["metrics"] = _metrics(self._left.pop("eval_metric", ()))
        found["refined"] = self._refined(self._left.pop("split_search", _EXACT))
        for ignored in _IGNORED:
            self._left.pop(ignored, None)
        if self._left:
            raise _unsupported(f"the parameter {min(self._left)}")
        return found

    def _numbers(self, objective: Objective) -> dict[str, Any]:
        step = _POISSON_STEP if objective is Objective.POISSON else 0.0
        real, whole = self._real, self._whole
        shares = ("subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode")
        softmax = objective is Objective.SOFTMAX
        return {
            "objective": objective,
            "classes": whole("num_class", 2, 1000, None) if softmax else self._one_class(),
            "learning_rate": real("learning_rate", 0.3, lambda v: 0 <= v <= 1, "from 0 to 1"),
            "max_depth": whole("max_depth", 1, MOST_DEPTH, 6),
            "max_bin": whole("max_bin", 2, 256, 256),
            "reg_lambda": real("lambda", 1.0, _not_negative, "0 or more"),
            "reg_alpha": real("alpha", 0.0, _not_negative, "0 or more"),
            "gamma": real("gamma", 0.0, _not_negative, "0 or more"),
            "min_child_weight": real("min_child_weight", 1.0, _not_negative, "0 or more"),
            "max_delta_step": real("max_delta_step", step, _not_negative, "0 or more"),
            "scale_pos_weight": real("scale_pos_weight", 1.0, lambda v: v > 0, "above 0"),
            "seed": whole("seed", 0, 2**63 - 1, 0),
            "base_score": self._base_score(objective),
            **{n: real(n, 1.0, lambda v: 0 < v <= 1, "above 0, at most 1") for n in shares},
        }

    def _one_class(self) -> int:
        if self._left.pop("num_class", 0) not in {0, 1}:
            raise _unsupported("num_class without the objective multi:softprob")
        return 1

    def _base_score(self, objective: Objective) -> float | None:
        if self._left.get("base_score") is None:
            self._left.pop("base_score", None)
            return None
        if objective is Objective.LOGISTIC:
            return self._real("base_score", 0.5, lambda v: 0 < v < 1, "between 0 and 1")
        if objective is Objective.POISSON:
            return self._real("base_score", 1.0, lambda v: v > 0, "above 0")
        return self._real("base_score", 0.0, lambda _: True, "a number")

    def _real(self, name: str, default: float, holds: Callable[[float], bool], what: str) -> float:
        value = self._left.pop(name, default)
        wrong = EngineError(f"the parameter {name} must be {what}")
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise wrong from None
        if isinstance(value, bool) or not math.isfinite(number) or not holds(number):
            raise wrong
        return number

    def _whole(self, name: str, least: int, most: int, default: int | None) -> int:
        value = self._left.pop(name, default)
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise EngineError(f"oblivious training takes {name} from {least} to {most}")
        return value

    def _refined(self, given: object) -> bool:
        if given not in {_EXACT, _REFINED}:
            raise EngineError(f'split_search is "{_EXACT}" or "{_REFINED}"')
        return given == _REFINED

    def _monotone(self, given: object) -> tuple[int, ...]:
        signs: list[object]
        if isinstance(given, Mapping):
            if not set(given) <= set(self._features):
                raise EngineError("monotone_constraints name a feature that there is not")
            signs = [given.get(name, 0) for name in self._features]
        elif isinstance(given, str):
            signs = [_sign(part) for part in given.strip("() ").split(",") if part.strip()]
        else:
            signs = list(given) if isinstance(given, Sequence) else [None]
        signs += [0] * (len(self._features) - len(signs))
        if len(signs) > len(self._features) or any(s not in (-1, 0, 1) for s in signs):
            raise EngineError("monotone_constraints are -1, 0 or 1 for each feature")
        return tuple(int(s) for s in signs)  # type: ignore[call-overload]  # checked above


def _sign(text: str) -> int | None:
    return {"-1": -1, "0": 0, "1": 1, "+1": 1}.get(text.strip())


def _not_negative(value: float) -> bool:
    return value >= 0


def _metrics(given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,)
    if isinstance(given, Sequence) and all(isinstance(name, str) for name in given):
        return tuple(given)
    raise EngineError("eval_metric is a name or a list of names")


def _unsupported(what: str, hint: str | None = None) -> EngineError:
    return EngineError(
        f"oblivious training has no {what}",
        hint=hint or "leave it out, or run the plan in encrypted mode",
    )
