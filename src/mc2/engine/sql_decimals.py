"""Exact decimal arithmetic: in DuckDB's own 128 bits where they suffice, else in a routine."""

from __future__ import annotations

from typing import Final

from mc2.engine.routines import decimal_routine
from mc2.engine.sql_terms import Scribe, Term, cast_to
from mc2.formats.schema import DECIMAL_DIGITS, DataType
from mc2.formats.schema import decimal as decimal_of

_SHORT: Final = 18  # digits of a 64-bit decimal
_SMALL: Final = 10**18  # twice as much still fits 64 bits
_SAFE_DIGITS: Final = 37  # twice a number of so many digits still fits a signed 128-bit integer


def combine(scribe: Scribe, function: str, a: Term, b: Term, result: DataType) -> str:
    """`add`, `subtract`, `multiply`, `divide` or `remainder` of two decimals, rounded half up."""
    native = _NATIVE[function](scribe, a, b, result)
    if native is not None:
        return native
    return scribe.call(decimal_routine(function, a.type, b.type, result), a.sql, b.sql)


def holds_all(function: str, a: DataType, b: DataType, result: DataType) -> bool:
    """Whether `add`, `subtract` or `multiply` of such decimals always fits, without rounding."""
    if any(kind.name != "decimal" for kind in (a, b, result)):
        return False
    if function == "multiply":
        digits, scale = a.precision + b.precision, a.scale + b.scale
    else:
        scale = max(a.scale, b.scale)
        digits = max(a.precision - a.scale, b.precision - b.scale) + 1 + scale
    return result.scale == scale and result.precision >= digits


def _sum(sign: str, a: Term, b: Term, result: DataType) -> str | None:
    # DuckDB widens both as Spark does and checks for 38 digits; it must lose no digit before.
    scale = max(a.type.scale, b.type.scale)
    digits = max(t.type.precision - t.type.scale for t in (a, b))
    if result.scale == scale and digits + scale <= DECIMAL_DIGITS:
        return cast_to(f"({a.sql} {sign} {b.sql})", result)
    return None


def _product(_scribe: Scribe, a: Term, b: Term, result: DataType) -> str | None:
    scale = a.type.scale + b.type.scale
    digits = a.type.precision + b.type.precision
    exact = scale <= DECIMAL_DIGITS and digits <= DECIMAL_DIGITS
    if exact or scale == result.scale:
        left = a.sql
        if max(a.type.precision, b.type.precision) <= _SHORT < min(digits, result.precision):
            # DuckDB gives no more than 18 digits for two short factors; a longer one it heeds.
            # Where 18 hold every product, 64 bits do.
            left = cast_to(left, decimal_of(_SHORT + 1, a.type.scale))
        return cast_to(f"({left} * {b.sql})", result)
    return None


def _remainder(_scribe: Scribe, a: Term, b: Term, result: DataType) -> str | None:
    scale = max(a.type.scale, b.type.scale)
    digits = max(t.type.precision - t.type.scale for t in (a, b))
    if digits + scale > DECIMAL_DIGITS:
        return None
    common = decimal_of(max(digits + scale, 1), scale)
    return cast_to(f"({cast_to(a.sql, common)} % {cast_to(b.sql, common)})", result)


def _quotient(scribe: Scribe, a: Term, b: Term, result: DataType) -> str | None:
    shift = result.scale + b.type.scale - a.type.scale
    if a.type.precision + shift > _SAFE_DIGITS or b.type.precision > _SAFE_DIGITS or shift < 0:
        return None
    return divide_integers(
        scribe,
        f"({unscaled(a)} * CAST('{10**shift}' AS HUGEINT))",
        unscaled(b),
        result,
    )


_NATIVE: Final = {
    "add": lambda _scribe, a, b, result: _sum("+", a, b, result),
    "subtract": lambda _scribe, a, b, result: _sum("-", a, b, result),
    "multiply": _product,
    "divide": _quotient,
    "remainder": _remainder,
}


def unscaled(term: Term) -> str:
    """The digits of a decimal as a HUGEINT: 12.50 gives 1250."""
    if term.type.scale == 0:
        return f"CAST({term.sql} AS HUGEINT)"
    unit = decimal_of(term.type.scale + 1, 0)
    if term.type.precision + unit.precision <= DECIMAL_DIGITS:
        wide = cast_to(term.sql, decimal_of(max(term.type.precision, _SHORT + 1), term.type.scale))
        factor = cast_to(f"'{10**term.type.scale}'", unit)
        return f"CAST(({wide} * {factor}) AS HUGEINT)"
    return f"CAST(replace(CAST({term.sql} AS VARCHAR), '.', '') AS HUGEINT)"


def scaled(sql: str, kind: DataType) -> str:
    """The decimal that has the digits of a HUGEINT; fails if they are too many."""
    whole = f"CAST({sql} AS DECIMAL(38,0))"
    if kind.scale == 0:
        return cast_to(whole, kind)
    unit = f"0.{'0' * (kind.scale - 1)}1"
    return cast_to(f"({whole} * CAST('{unit}' AS DECIMAL(38,{kind.scale})))", kind)


def divide_integers(scribe: Scribe, numerator: str, denominator: str, result: DataType) -> str:
    """The quotient of two HUGEINT terms as digits of a decimal, rounded half away from zero."""
    pair = Term(f"[{numerator}, {denominator}]", DataType("list"), nullable=False)

    def body(v: str) -> str:
        n, d = f"{v}[1]", f"{v}[2]"
        # Most numbers are small, and 128 bits divide ten times as slowly.
        small = f"abs({n}) <= {_SMALL} AND abs({d}) <= {_SMALL}"
        short = _rounded_quotient(f"CAST({n} AS BIGINT)", f"CAST({d} AS BIGINT)", "BIGINT")
        long = _rounded_quotient(n, d, "HUGEINT")
        return scaled(f"(CASE WHEN {small} THEN CAST({short} AS HUGEINT) ELSE {long} END)", result)

    return scribe.let(pair, body)


def _rounded_quotient(n: str, d: str, kind: str) -> str:
    up = f"CAST(sign({n}) * sign({d}) AS {kind})"
    return (
        f"({n} // {d} + CASE WHEN 2 * abs({n} % {d}) >= abs({d}) THEN {up} "
        f"ELSE CAST(0 AS {kind}) END)"
    )
