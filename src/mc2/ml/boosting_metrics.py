"""Metrics of boosting: exact sums of losses, so that they do not depend on the order of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from mc2.errors import EngineError
from mc2.ml.boosting_parameters import BoostingParameters, Objective

_SUM_UNITS: Final = float(1 << 30)

# Name: (number of the kernel's loss, objectives that it fits, whether the mean's root is taken).
_LOGISTIC: Final = frozenset({Objective.LOGISTIC})
_REAL: Final = frozenset({Objective.SQUARED_ERROR})
_SOFTMAX: Final = frozenset({Objective.SOFTMAX})
_POISSON: Final = frozenset({Objective.POISSON})
METRICS: Final = {
    "logloss": (0, _LOGISTIC, False),
    "error": (1, _LOGISTIC, False),
    "rmse": (2, _REAL, True),
    "mae": (3, _REAL, False),
    "mlogloss": (4, _SOFTMAX, False),
    "merror": (5, _SOFTMAX, False),
    "poisson-nloglik": (6, _POISSON, False),
    "auc": (-1, _LOGISTIC | _SOFTMAX, False),
}
_DEFAULTS: Final = {
    Objective.LOGISTIC: "logloss",
    Objective.SQUARED_ERROR: "rmse",
    Objective.SOFTMAX: "mlogloss",
    Objective.POISSON: "poisson-nloglik",
}


def metric_names(parameters: BoostingParameters) -> tuple[str, ...]:
    """The metrics to compute, the objective's own by default. Raises: EngineError."""
    names = parameters.metrics or (_DEFAULTS[parameters.objective],)
    for name in names:
        if name not in METRICS or parameters.objective not in METRICS[name][1]:
            fitting = [n for n, (_, fits, _) in METRICS.items() if parameters.objective in fits]
            raise EngineError(
                f"oblivious training has no metric {name} for {parameters.name}",
                hint=f"choose of {', '.join(fitting)}",
            )
    return names


def is_ranked(name: str) -> bool:
    """Whether a metric compares rows with one another, so that no sum over rows gives it."""
    return METRICS[name][0] < 0


def is_maximised(name: str) -> bool:
    """Whether more of a metric is better."""
    return is_ranked(name)


def metric_number(name: str) -> int:
    """The number of the kernel's loss."""
    return METRICS[name][0]


def metric_value(name: str, sums: Sequence[int], greatest: Sequence[float]) -> float:
    """The metric from its sums, once they are public."""
    top, bottom = (s * (u / _SUM_UNITS) for s, u in zip(sums, greatest, strict=True))
    if bottom <= 0:
        return math.nan
    return math.sqrt(top / bottom) if METRICS[name][2] else top / bottom
