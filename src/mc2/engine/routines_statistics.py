"""Statistics of a group's values: exact sums of powers, so that the order of rows never shows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa

from mc2.engine.routines import Floats, Routine, exact_sum, mean
from mc2.engine.routines_lists import identity, ranked
from mc2.engine.routines_rows import row_by_row, type_name
from mc2.engine.sql_types import engine_arrow_type, sql_type
from mc2.formats.schema import DataType
from mc2.plan.types import list_of

_PAIR: Final = "STRUCT(x DOUBLE, y DOUBLE)[]"


def _powers(values: Floats, *powers: int) -> list[float]:
    """Sums of powers of the distances from the mean, each rounded, summed exactly."""
    if not np.isfinite(values).all():
        return [math.nan for _ in powers]
    with np.errstate(over="ignore", invalid="ignore"):
        far = values - mean(values)
        return [exact_sum(_product(far, power)) for power in powers]


def _product(values: Floats, power: int) -> Floats:
    found = values
    for _ in range(power - 1):
        found = found * values
    return found


def skewness(values: Floats) -> float | None:
    """The third standardised moment; None without spread."""
    second, third = _powers(values, 2, 3)
    if second == 0:
        return None
    return math.sqrt(len(values)) * third / math.sqrt(second * second * second)


def kurtosis(values: Floats) -> float | None:
    """The fourth standardised moment, less 3; None without spread."""
    second, fourth = _powers(values, 2, 4)
    return None if second == 0 else len(values) * fourth / (second * second) - 3


def _products(x: Floats, y: Floats) -> float:
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return math.nan
    with np.errstate(over="ignore", invalid="ignore"):
        return exact_sum((x - mean(x)) * (y - mean(y)))


def covariance(x: Floats, y: Floats, *, sample: bool) -> float | None:
    """Covariance of pairs, or of a sample of them: None for a single one."""
    divisor = len(x) - 1 if sample else len(x)
    return _products(x, y) / divisor if divisor else None


def correlation(x: Floats, y: Floats) -> float | None:
    """Pearson's correlation: None without spread."""
    (a,), (b,) = _powers(x, 2), _powers(y, 2)
    spread = math.sqrt(a * b)
    return _products(x, y) / spread if spread else None


def _single(compute: Callable[[Floats], float | None]) -> Callable[..., Any]:
    def run(values: list[float]) -> float | None:
        return compute(np.array(values, np.float64)) if values else None

    return run


def _pairs(compute: Callable[[Floats, Floats], float | None]) -> Callable[[pa.Array], pa.Array]:
    def run(lists: pa.Array | pa.ChunkedArray) -> pa.Array:
        found = []
        for pairs in lists.to_pylist():
            x = np.array([p["x"] for p in pairs or ()], np.float64)
            y = np.array([p["y"] for p in pairs or ()], np.float64)
            found.append(compute(x, y) if len(x) else None)
        return pa.array(found, pa.float64())

    return run


OF_ONE: Final = {
    name: row_by_row(name, (list_of(DataType("double")),), "double", _single(compute))
    for name, compute in {"skewness": skewness, "kurtosis": kurtosis}.items()
}
"""Statistics of a list of doubles."""

OF_PAIRS: Final = {
    name: Routine(f"mc2_{name}", (_PAIR,), "DOUBLE", _pairs(compute))
    for name, compute in {
        "covar_samp": lambda x, y: covariance(x, y, sample=True),
        "covar_pop": lambda x, y: covariance(x, y, sample=False),
        "corr": correlation,
    }.items()
}
"""Statistics of a list of pairs of doubles."""


def percentile(share: float) -> Routine:
    """A percentile of doubles, interpolated between two neighbours as Spark does."""

    def run(values: list[float]) -> float | None:
        if not values:
            return None
        ordered = np.sort(np.array(values, np.float64))
        place = share * (len(ordered) - 1)
        low, high = math.floor(place), math.ceil(place)
        a, b = float(ordered[low]), float(ordered[high])
        return a if low == high or a == b else (high - place) * a + (place - low) * b

    kinds = (list_of(DataType("double")),)
    return row_by_row(
        f"percentile_{share.hex()}".replace(".", "_").replace("-", "m").replace("+", "p"),
        kinds,
        "double",
        run,
    )


def mode(kind: DataType) -> Routine:
    """The most frequent value, and the least of several."""
    arrow = engine_arrow_type(kind)

    def most_frequent(values: list[Any]) -> Any:
        kept = {identity(v): v for v in values}
        counts = Counter(map(identity, values))
        most = max(counts.values(), default=0)
        return min((kept[i] for i, n in counts.items() if n == most), key=ranked, default=None)

    def run(lists: pa.Array | pa.ChunkedArray) -> pa.Array:
        return pa.array([most_frequent(v or []) for v in lists.to_pylist()], arrow)

    return Routine(f"mc2_mode_{type_name(kind)}", (sql_type(list_of(kind)),), sql_type(kind), run)
