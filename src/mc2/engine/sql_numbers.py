"""Functions of numbers in DuckDB's words, where needed with the rules of Spark's ANSI mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mc2.engine import sql_decimals
from mc2.engine.routines import ZERO, decimal_routine
from mc2.engine.routines_numbers import REALS, bit_get, divide_whole, rounded, shift
from mc2.engine.sql_print import Print, called, infix, named, template
from mc2.engine.sql_terms import Scribe, Term, cast_to, raising
from mc2.engine.sql_types import sql_type
from mc2.formats.schema import DataType
from mc2.plan.types import TYPE_CLASSES, bounded_decimal, is_integer


def not_zero(term: Term) -> bool:
    """Whether a term is a literal other than zero."""
    return term.literal is not None and float(term.literal) != 0


def _arithmetic(name: str, operator: str) -> Print:
    def write(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
        a, b = arguments
        if result.name == "decimal":
            return sql_decimals.combine(scribe, name, a, b, result)
        return cast_to(f"({a.sql} {operator} {b.sql})", result)

    return write


def _divide(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    if result.name == "decimal":
        return sql_decimals.combine(scribe, "divide", arguments[0], arguments[1], result)
    return _unless_zero(scribe, arguments, result, "/")


def _remainder(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    if result.name in TYPE_CLASSES["fraction"]:
        return _unless_zero(scribe, arguments, result, "%")
    return _arithmetic("remainder", "%")(scribe, arguments, result)


def _unless_zero(scribe: Scribe, arguments: Sequence[Term], result: DataType, operator: str) -> str:
    """Floats do not fail by themselves: a zero divisor does here, unless the dividend is NULL."""
    a, b = arguments
    if not_zero(b):
        return f"({a.sql} {operator} {b.sql})"

    def body(x: str, y: str) -> str:
        zero = f"CAST('0' AS {sql_type(result)})"
        fail = raising(ZERO, result)
        return f"CASE WHEN {y} = {zero} AND {x} IS NOT NULL THEN {fail} ELSE {x} {operator} {y} END"

    return "(" + scribe.let(a, lambda x: scribe.let(b, lambda y: body(x, y))) + ")"


def _logarithm(name: str) -> Print:
    def write(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
        return scribe.let(
            arguments[0], lambda x: f"CASE WHEN {x} > CAST(0 AS DOUBLE) THEN {name}({x}) END"
        )

    return write


def _sign(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    def body(x: str) -> str:
        return f"CASE WHEN isnan({x}) THEN {x} ELSE CAST(sign({x}) AS DOUBLE) END"

    return scribe.let(arguments[0], body)


def _negate(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    if result.name in TYPE_CLASSES["integer"]:  # a sign would widen the type, and not overflow
        return f"({cast_to('0', result)} - {arguments[0].sql})"
    return cast_to(f"(- {arguments[0].sql})", result)


def _round(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    value, digits = arguments[0], int(arguments[1].literal or "0")
    if result.name != "decimal":
        return f"round({value.sql}, {digits})"
    if digits >= 0:
        return cast_to(value.sql, result)  # DuckDB rounds decimals half away from zero
    wide = bounded_decimal(value.type.precision + 1, value.type.scale)
    return cast_to(f"round({cast_to(value.sql, wide)}, {digits})", result)


def _whole(name: str) -> Print:
    def write(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
        return cast_to(f"{name}({arguments[0].sql})", result)

    return write


def _whole_quotient(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    a, b = arguments
    if a.type.name == "decimal":
        return scribe.call(divide_whole(a.type, b.type), a.sql, b.sql)
    return cast_to(f"({a.sql} // {b.sql})", result)


def _modulo(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    a, b = arguments
    if result.name == "decimal":
        return scribe.call(decimal_routine("modulo", a.type, b.type, result), a.sql, b.sql)
    wide = "DOUBLE" if not is_integer(result) else "HUGEINT"

    def body(x: str, y: str) -> str:
        rest = Term(f"CAST({x} % {y} AS {wide})", result, nullable=True)
        positive = scribe.let(
            rest, lambda r: f"CASE WHEN {r} < 0 THEN ({r} + {y}) % {y} ELSE {r} END"
        )
        found = cast_to(f"({positive})", result)
        if is_integer(result):
            return found
        zero = f"{y} = {cast_to('0', result)} AND {x} IS NOT NULL"
        return f"CASE WHEN {zero} THEN {raising(ZERO, result)} ELSE {found} END"

    return "(" + scribe.let(a, lambda x: scribe.let(b, lambda y: body(x, y))) + ")"


def _try(name: str, operator: str) -> Print:
    """The same as without `try_`, but NULL where that fails."""

    def write(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
        a, b = arguments
        if result.name == "decimal":
            lenient = decimal_routine(name, a.type, b.type, result, lenient=True)
            return scribe.call(lenient, a.sql, b.sql)
        divisor = f"nullif({b.sql}, {cast_to('0', b.type)})" if operator in "/%" else b.sql
        if not is_integer(result):
            return cast_to(f"({a.sql} {operator} {divisor})", result)
        sql = f"(CAST({a.sql} AS HUGEINT) {operator} CAST({divisor} AS HUGEINT))"
        return cast_to(sql, result, strict=False)

    return write


def _round_to(name: str) -> Print:
    def write(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
        value, digits = arguments[0], int(arguments[1].literal or "0")
        if is_integer(value.type) and digits >= 0:
            return value.sql
        if name == "round" and value.type.name == "double":
            return f"round({value.sql}, {digits})"
        if name == "round" and value.type.name == "decimal":
            return _round(scribe, arguments, result)
        return scribe.call(rounded(name, value.type, digits, result), value.sql)

    return write


def _shift(name: str) -> Print:
    return lambda scribe, arguments, result: scribe.call(
        shift(name, result), *(a.sql for a in arguments)
    )


def _bit_get(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    return scribe.call(bit_get(arguments[0].type), *(a.sql for a in arguments))


def _bit_count(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    return cast_to(f"bit_count(CAST({arguments[0].sql} AS BIGINT))", result)


def _factorial(n: str) -> str:
    return f"CASE WHEN {n} BETWEEN 0 AND 20 THEN CAST(factorial({n}) AS BIGINT) END"


NUMBERS: Final[Mapping[str, Print]] = {
    "add": _arithmetic("add", "+"),
    "subtract": _arithmetic("subtract", "-"),
    "multiply": _arithmetic("multiply", "*"),
    "divide": _divide,
    "integer_divide": _whole_quotient,
    "remainder": _remainder,
    "negate": _negate,
    "abs": template("CAST(abs({0}) AS {type})"),
    "sign": _sign,
    **{n: _round_to(n) for n in ("round", "round_even", "floor_to", "ceil_to")},
    "floor": _whole("floor"),
    "ceil": _whole("ceil"),
    "sqrt": template("sqrt({0})"),
    "exp": template("exp({0})"),
    "ln": _logarithm("ln"),
    "log2": _logarithm("log2"),
    "log10": _logarithm("log10"),
    "power": template("power({0}, {1})"),
    "modulo": _modulo,
    "try_add": _try("add", "+"),
    "try_subtract": _try("subtract", "-"),
    "try_multiply": _try("multiply", "*"),
    "try_divide": _try("divide", "/"),
    "try_remainder": _try("remainder", "%"),
    **{name: called(routine) for name, routine in REALS.items()},
    "rint": template("round_even({0}, 0)"),
    "factorial": named(_factorial),
    "bits_and": infix("&"),
    "bits_or": infix("|"),
    "bits_xor": template("xor({0}, {1})"),
    "bits_not": template("(~{0})"),
    **{n: _shift(n) for n in ("shift_left", "shift_right", "shift_right_unsigned")},
    "bit_count": _bit_count,
    "bit_get": _bit_get,
}
"""Printers by function."""
