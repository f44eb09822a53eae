"""Arithmetic that DuckDB does not do exactly, in Python over Arrow arrays.

Sums of floats: exact, then rounded once, so they depend neither on the order of rows nor on the
number of threads, and another engine can give the same bits. Decimals: exact with any number of
digits, then rounded half up, which DuckDB's 128 bits cannot always hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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
        return math.fsum(_one_by_one(values))
    except OverflowError:  # some partial sum is beyond the doubles; the whole need not be
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


def _over_lists(
    compute: Callable[[Floats], float | None],
) -> Callable[[pa.Array | pa.ChunkedArray], pa.Array]:
    def run(lists: pa.Array | pa.ChunkedArray) -> pa.Array:
        array = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
        bounds = array.offsets.to_pylist()
        values = array.values.to_numpy(zero_copy_only=False)
        present = array.is_valid().to_pylist()
        found = [
            compute(values[bounds[i] : bounds[i + 1]])
            if present[i] and bounds[i] != bounds[i + 1]
            else None
            for i in range(len(array))
        ]
        return pa.array(found, pa.float64())

    return run


FLOAT_AGGREGATES: Final = {
    name: Routine(f"mc2_{name}", ("DOUBLE[]",), "DOUBLE", _over_lists(compute))
    for name, compute in {
        "sum": exact_sum,
        "avg": mean,
        "var_samp": lambda v: variance(v, sample=True),
        "var_pop": lambda v: variance(v, sample=False),
        "stddev_samp": lambda v: deviation(v, sample=True),
        "stddev_pop": lambda v: deviation(v, sample=False),
    }.items()
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
