"""Functions of numbers that DuckDB lacks, or gives with other digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Final

from mc2.engine.routines import RANGE, ZERO, Routine
from mc2.engine.routines_rows import row_by_row, type_name
from mc2.formats.schema import DataType
from mc2.plan.types import INTEGER_BITS, integer_range, is_integer

_CONTEXT: Final = Context(prec=700, Emax=2000, Emin=-2000)
ROUNDINGS: Final = {
    "round": ROUND_HALF_UP,
    "round_even": ROUND_HALF_EVEN,
    "floor_to": ROUND_FLOOR,
    "ceil_to": ROUND_CEILING,
}
"""How each rounding function rounds."""


def _guarded(compute: Callable[..., float]) -> Callable[..., float]:
    """As IEEE 754 says: too large is infinite, and what has no value is NaN."""

    def run(*values: float) -> float:
        try:
            return compute(*values)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    return run


def _width_bucket(value: float, low: float, high: float, count: int) -> int | None:
    ends = math.isfinite(low) and math.isfinite(high) and low != high
    if count <= 0 or count == 2**63 - 1 or math.isnan(value) or not ends:
        return None
    bottom, top = min(low, high), max(low, high)
    if low < high:
        before, after, part = value < bottom, value >= top, value - bottom
    else:
        before, after, part = value > top, value <= bottom, top - value
    if before or after:
        return 0 if before else count + 1
    return int(count * part / (top - bottom)) + 1


def _bit_get(value: int, place: int, width: int) -> int:
    if not 0 <= place < width:
        raise ValueError(RANGE)
    return value >> place & 1


def bit_get(kind: DataType) -> Routine:
    """The bit at a place of an integer type."""
    width = INTEGER_BITS[kind.name]
    return row_by_row(
        f"bit_get_{kind}", f"{kind} int32", "int8", lambda v, p: _bit_get(v, p, width)
    )


def shift(name: str, kind: DataType) -> Routine:
    """`shift_left`, `shift_right` or `shift_right_unsigned` of an integer type."""
    width = INTEGER_BITS[kind.name]

    def run(value: int, places: int) -> int:
        many = places % width
        if name == "shift_right":
            return value >> many
        bits: int = value % 2**width
        bits = bits << many if name == "shift_left" else bits >> many
        bits %= 2**width
        return bits - 2**width if bits >= 2 ** (width - 1) else bits

    return row_by_row(f"{name}_{kind}", f"{kind} int32", kind, run)


def rounded(name: str, kind: DataType, digits: int, result: DataType) -> Routine:
    """A rounding function with so many fraction digits. A double counts as its shortest text."""
    way = ROUNDINGS[name]
    unit = Decimal(1).scaleb(-digits)

    def exact(value: Decimal) -> Decimal:
        found = value.quantize(unit, way, _CONTEXT)
        if result.name == "decimal":
            found = found.quantize(Decimal(1).scaleb(-result.scale), context=_CONTEXT)
            if abs(found) >= 10 ** (result.precision - result.scale):
                raise ValueError(RANGE)
        return found

    def of_double(value: float) -> float:
        return float(exact(Decimal(repr(value)))) if math.isfinite(value) else value

    def of_integer(value: int) -> int:
        found = int(exact(Decimal(value)))
        low, high = integer_range(result)
        if not low <= found <= high:
            raise ValueError(RANGE)
        return found

    compute: Callable[..., object] = of_integer if is_integer(kind) else exact
    if kind.name == "double":
        compute = of_double
    place = f"m{-digits}" if digits < 0 else str(digits)
    return row_by_row(f"{name}_{type_name(kind)}_{place}", (kind,), result, compute)


def divide_whole(left: DataType, right: DataType) -> Routine:
    """The quotient of two decimals, cut towards zero, as int64."""

    def run(a: Decimal, b: Decimal) -> int:
        if not b:
            raise ValueError(ZERO)
        found = math.trunc(Fraction(a) / Fraction(b))
        if not -(2**63) <= found < 2**63:
            raise ValueError(RANGE)
        return found

    return row_by_row(f"whole_{type_name(left)}_{type_name(right)}", (left, right), "int64", run)


_REALS: Final[dict[str, Callable[[float], float]]] = {
    "cbrt": math.cbrt,
    "expm1": math.expm1,
    "asin": math.asin,
    "acos": math.acos,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "atan": math.atan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
    "asinh": math.asinh,
    "acosh": math.acosh,
}


def _sinh(value: float) -> float:
    try:
        return math.sinh(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _atanh(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) == 1 else math.atanh(value)


def _log1p(value: float) -> float | None:
    return None if value <= -1 else math.log1p(value)


def _logarithm(base: float, value: float) -> float | None:
    if base <= 0 or value <= 0:
        return None
    top, bottom = math.log(value), math.log(base)
    if bottom == 0:
        return math.nan if top == 0 or math.isnan(top) else math.copysign(math.inf, top)
    return top / bottom


REALS: Final = {
    **{
        name: row_by_row(name, "double", "double", _guarded(compute))
        for name, compute in {**_REALS, "sinh": _sinh, "atanh": _atanh}.items()
    },
    "atan2": row_by_row("atan2", "double double", "double", math.atan2),
    "hypot": row_by_row("hypot", "double double", "double", _guarded(math.hypot)),
    "log1p": row_by_row("log1p", "double", "double", _log1p),
    "logarithm": row_by_row("logarithm", "double double", "double", _logarithm),
    "width_bucket": row_by_row(
        "width_bucket", "double double double int64", "int64", _width_bucket
    ),
}
"""Functions of doubles: with the C library's digits, whatever engine runs them."""
