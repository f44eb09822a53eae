"""Arithmetic that DuckDB does not do exactly, in Python over Arrow arrays.

Sums of floats: exact, then rounded once, so they depend neither on the order of rows nor on the
number of threads, and another engine can give the same bits. Decimals: exact with any number of
digits, then rounded half up, which DuckDB's 128 bits cannot always hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mc2.engine.exact_sums import parts, sums
from mc2.formats.schema import DataType

RANGE: Final = "mc2:range"
"""The message of an error by which `mc2.engine.database` knows a value out of range."""

ZERO: Final = "mc2:zero"
"""The message of an error by which `mc2.engine.database` knows a division by zero."""

TEXT: Final = "mc2:text"
"""The message of an error by which `mc2.engine.database` knows bytes or characters out of a set."""

PARSE: Final = "mc2:parse"
"""The message of an error by which `mc2.engine.database` knows text that no pattern fits."""

_AT_A_TIME: Final = 65536
_TOGETHER: Final = 1 << 20  # values that may stand as Python's floats at once
_DIGITS: Final = 200  # more than any intermediate result has


@dataclass(frozen=True, slots=True)
class Routine:
    """A function that SQL may call: its name, its types in SQL, and what it computes."""

    name: str
    parameters: tuple[str, ...]
    result: str
    compute: Callable[..., pa.Array]


Floats = npt.NDArray[np.float64]


def _one_by_one(values: Floats) -> Iterator[float]:
    """The values as Python floats, of which only some exist at a time."""
    for start in range(0, len(values), _AT_A_TIME):
        yield from values[start : start + _AT_A_TIME].tolist()


def exact_sum(values: Floats) -> float:
    """The sum of doubles, rounded once; with infinities or NaN what IEEE 754 says."""
    try:
        return math.fsum(parts(values))
    except OverflowError:  # some partial sum is beyond the doubles; the whole need not be
        endless = values[~np.isfinite(values)]
        if len(endless):
            with np.errstate(invalid="ignore"):
                return float(np.sum(endless))
        return _fraction_to_float(sum(map(Fraction, _one_by_one(values)), Fraction(0)))
    except ValueError:  # infinities of both signs
        return math.nan


def _fraction_to_float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def mean(values: Floats) -> float:
    """The exact sum, rounded, divided by the count."""
    return exact_sum(values) / len(values)


def squared_deviations(values: Floats) -> float:
    """The sum of squared distances from the mean, each rounded, summed exactly."""
    if not np.isfinite(values).all():
        return math.nan
    with np.errstate(over="ignore", invalid="ignore"):
        return exact_sum(np.square(values - mean(values)))


def variance(values: Floats, *, sample: bool) -> float | None:
    """Variance of a population, or of a sample: None for a single value."""
    divisor = len(values) - 1 if sample else len(values)
    return squared_deviations(values) / divisor if divisor else None


def deviation(values: Floats, *, sample: bool) -> float | None:
    """The square root of the variance."""
    found = variance(values, sample=sample)
    return None if found is None else math.sqrt(found)


def _sums(values: Floats, bounds: Sequence[int]) -> Floats:
    """The exact sum of each group of values, rounded once."""
    try:
        return sums(values, bounds)
    except (OverflowError, ValueError):
        found = [exact_sum(values[start:end]) for start, end in pairwise(bounds)]
        return np.array(found, np.float64)


def _means(values: Floats, bounds: Sequence[int]) -> Floats:
    return _sums(values, bounds) / np.diff(bounds)


def _variances(values: Floats, bounds: Sequence[int], *, sample: bool) -> Floats:
    """The variance of each group; not a number for those of a single value."""
    sizes = np.diff(bounds)
    far = values - np.repeat(_means(values, bounds), sizes)
    return _sums(np.square(far), bounds) / (sizes - sample)


_Compute = Callable[[Floats], float | None]
_Batch = Callable[[Floats, Sequence[int]], Floats]


def _over_lists(
    compute: _Compute, batch: _Batch
) -> Callable[[pa.Array | pa.ChunkedArray], pa.Array]:
    """An aggregate over lists: of many short ones together, which gives the same bits faster."""

    def run(lists: pa.Array | pa.ChunkedArray) -> pa.Array:
        array = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
        sizes = pc.list_value_length(array).fill_null(0).to_numpy()
        values = array.flatten().to_numpy(zero_copy_only=False)
        bounds = [0, *np.cumsum(sizes).tolist()]
        if len(values) <= _TOGETHER and np.isfinite(values).all():
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                many = batch(values, bounds)
            defined = ~np.isnan(many) & (sizes > 0)
            if defined[sizes > 1].all():
                return pa.array(many, pa.float64(), mask=~defined)
        found = [compute(values[a:b]) if a != b else None for a, b in pairwise(bounds)]
        return pa.array(found, pa.float64())

    return run


_FLOATS: Final[Mapping[str, tuple[_Compute, _Batch]]] = {
    "sum": (exact_sum, _sums),
    "avg": (mean, _means),
    "var_samp": (partial(variance, sample=True), partial(_variances, sample=True)),
    "var_pop": (partial(variance, sample=False), partial(_variances, sample=False)),
    "stddev_samp": (
        partial(deviation, sample=True),
        lambda v, b: np.sqrt(_variances(v, b, sample=True)),
    ),
    "stddev_pop": (
        partial(deviation, sample=False),
        lambda v, b: np.sqrt(_variances(v, b, sample=False)),
    ),
}
FLOAT_AGGREGATES: Final = {
    name: Routine(f"mc2_{name}", ("DOUBLE[]",), "DOUBLE", _over_lists(*both))
    for name, both in _FLOATS.items()
}
"""Aggregates over the list of a group's doubles; a group without any gives NULL."""


def decimal_routine(
    function: str, left: DataType, right: DataType, result: DataType, *, lenient: bool = False
) -> Routine:
    """Exact `add`, `subtract`, `multiply`, `divide`, `remainder` or `modulo` of two decimal types.

    Where that fails, a `lenient` one gives NULL.
    """
    exact = _EXACT[function]
    types = "_".join(f"{t.precision}_{t.scale}" for t in (left, right, result))

    def compute(x: Decimal, y: Decimal, context: Context) -> Decimal | None:
        try:
            return _rounded(exact(x, y, context), result, context)
        except ValueError:
            if lenient:
                return None
            raise

    def run(a: pa.Array, b: pa.Array) -> pa.Array:
        context = Context(prec=_DIGITS, rounding=ROUND_HALF_UP)
        pairs = zip(a.to_pylist(), b.to_pylist(), strict=True)
        found = [None if x is None or y is None else compute(x, y, context) for x, y in pairs]
        return pa.array(found, pa.decimal128(result.precision, result.scale))

    sql = [f"DECIMAL({t.precision},{t.scale})" for t in (left, right, result)]
    prefix = "mc2_try" if lenient else "mc2"
    return Routine(f"{prefix}_{function}_{types}", (sql[0], sql[1]), sql[2], run)


def _rounded(value: Fraction | Decimal, kind: DataType, context: Context) -> Decimal:
    """Rounded half up to the type's scale. Raises: ValueError beyond its digits."""
    scaled = Fraction(value) * 10**kind.scale
    whole, rest = divmod(abs(scaled.numerator), scaled.denominator)
    whole += 2 * rest >= scaled.denominator
    if whole >= 10**kind.precision:
        raise ValueError(RANGE)
    return Decimal(whole if scaled >= 0 else -whole).scaleb(-kind.scale, context)


def _divide(a: Decimal, b: Decimal, _context: Context) -> Fraction:
    if not b:
        raise ValueError(ZERO)
    return Fraction(a) / Fraction(b)


def _remainder(a: Decimal, b: Decimal, context: Context) -> Decimal:
    if not b:
        raise ValueError(ZERO)
    return context.remainder(a, b)


def _modulo(a: Decimal, b: Decimal, context: Context) -> Decimal:
    rest = _remainder(a, b, context)
    return context.remainder(context.add(rest, b), b) if rest < 0 else rest


_EXACT: Final[dict[str, Callable[[Decimal, Decimal, Context], Decimal | Fraction]]] = {
    "add": lambda a, b, context: context.add(a, b),
    "subtract": lambda a, b, context: context.subtract(a, b),
    "multiply": lambda a, b, context: context.multiply(a, b),
    "divide": _divide,
    "remainder": _remainder,
    "modulo": _modulo,
}
