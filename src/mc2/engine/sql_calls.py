"""The functions of a plan in DuckDB's words, where needed with the rules of Spark's ANSI mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from mc2.engine import sql_decimals
from mc2.engine.routines import ZERO
from mc2.engine.sql_terms import Scribe, Term, cast_to, positive_zero, raising
from mc2.engine.sql_types import sql_string, sql_type
from mc2.formats.schema import DataType
from mc2.plan.functions import function
from mc2.plan.like import ESCAPE
from mc2.plan.types import TYPE_CLASSES, bounded_decimal

Print: TypeAlias = Callable[[Scribe, Sequence[Term], DataType], str]
"""Writes a call of one function on terms, for a result of a type."""


def call(scribe: Scribe, name: str, arguments: Sequence[Term], result: DataType) -> str:
    """The SQL of a call that `mc2.plan.typing` has typed."""
    return _PRINTERS[name](scribe, arguments, result)


def may_fail(name: str, arguments: Sequence[Term]) -> bool:
    """Whether the function itself may fail on some values of these arguments."""
    if not function(name).fails:
        return False
    kind = arguments[0].type.name
    if name in {"divide", "remainder"}:
        return not (kind in TYPE_CLASSES["fraction"] and _not_zero(arguments[1]))
    exact = name in {"add", "subtract", "multiply", "negate", "abs", "round"}
    return not (exact and kind in TYPE_CLASSES["fraction"])


def _not_zero(term: Term) -> bool:
    return term.literal is not None and float(term.literal) != 0


def _template(text: str) -> Print:
    """A printer from a template in which `{0}`, `{1}` stand for arguments, each at most once."""

    def write(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
        return text.format(*(a.sql for a in arguments), type=sql_type(result))

    return write


def _infix(operator: str) -> Print:
    def write(_scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
        return "(" + f" {operator} ".join(a.sql for a in arguments) + ")"

    return write


def _listed(name: str) -> Print:
    def write(_scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
        return f"{name}({', '.join(a.sql for a in arguments)})"

    return write


def _extreme(name: str) -> Print:
    def write(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
        return positive_zero(_listed(name)(scribe, arguments, result), result)

    return write


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
    if _not_zero(b):
        return f"({a.sql} {operator} {b.sql})"

    def body(x: str, y: str) -> str:
        zero = f"CAST('0' AS {sql_type(result)})"
        fail = raising(ZERO, result)
        return f"CASE WHEN {y} = {zero} AND {x} IS NOT NULL THEN {fail} ELSE {x} {operator} {y} END"

    return "(" + scribe.let(a, lambda x: scribe.let(b, lambda y: body(x, y))) + ")"


def _lazy(word: str) -> Print:
    """AND and OR: an argument that may fail is evaluated only if the earlier ones leave it open."""
    decided = {"AND": "FALSE", "OR": "TRUE"}[word]

    def pair(scribe: Scribe, first: Term, rest: str) -> str:
        def body(v: str) -> str:
            open_ = v if word == "AND" else f"NOT {v}"
            both = f"({rest} {word} {v})"
            return f"CASE WHEN coalesce({open_}, TRUE) THEN {both} ELSE {decided} END"

        if not first.nullable:
            then = (rest, decided) if word == "AND" else (decided, rest)
            return f"CASE WHEN {first.sql} THEN {then[0]} ELSE {then[1]} END"
        return scribe.let(first, body)

    def write(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
        last = max((i for i, a in enumerate(arguments) if a.fails), default=0)
        if last == 0:
            return "(" + f" {word} ".join(a.sql for a in arguments) + ")"
        rest = f" {word} ".join(a.sql for a in arguments[last:])
        rest = f"({rest})"
        for term in reversed(arguments[:last]):
            rest = f"({pair(scribe, term, rest)})"
        return rest

    return write


def _coalesce(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    """As CASE where a later argument may fail: DuckDB computes parts of COALESCE ahead of it."""
    if not any(a.fails for a in arguments[1:]):
        return _listed("coalesce")(scribe, arguments, result)
    rest = arguments[-1].sql
    for term in reversed(arguments[:-1]):
        rest = _first_of(scribe, term, rest)
    return rest


def _first_of(scribe: Scribe, term: Term, rest: str) -> str:
    return scribe.let(term, lambda v: f"(CASE WHEN {v} IS NOT NULL THEN {v} ELSE {rest} END)")


def _nullif(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    a, b = arguments
    return scribe.let(a, lambda x: f"CASE WHEN {x} = {b.sql} THEN NULL ELSE {x} END")


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


def _substring(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    """Positions count from 1 and 0 means 1; a length below zero gives the empty text."""
    text, start, length = arguments

    def body(p: str, n: str) -> str:
        first = f"CASE WHEN {p} = 0 THEN 1 ELSE {p} END"
        many = f"CASE WHEN {n} < 0 THEN 0 ELSE {n} END"
        return f"substring({text.sql}, {first}, {many})"

    return scribe.let(start, lambda p: scribe.let(length, lambda n: body(p, n)))


def _length(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    name = "length" if arguments[0].type.name == "string" else "octet_length"
    return cast_to(f"{name}({arguments[0].sql})", result)


def _like(_scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    return f"({arguments[0].sql} LIKE {arguments[1].sql} ESCAPE {sql_string(ESCAPE)})"


def _truncate_to(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    return cast_to(f"date_trunc({arguments[0].sql}, {arguments[1].sql})", result)


def _part(name: str) -> Print:
    return _template(f"CAST({name}({{0}}) AS {{type}})")


_PRINTERS: Final[Mapping[str, Print]] = {
    "eq": _infix("="),
    "ne": _infix("<>"),
    "lt": _infix("<"),
    "le": _infix("<="),
    "gt": _infix(">"),
    "ge": _infix(">="),
    "same": _infix("IS NOT DISTINCT FROM"),
    "is_null": _template("({0} IS NULL)"),
    "is_not_null": _template("({0} IS NOT NULL)"),
    "is_nan": _template("coalesce(isnan({0}), FALSE)"),
    "and": _lazy("AND"),
    "or": _lazy("OR"),
    "not": _template("(NOT {0})"),
    "coalesce": _coalesce,
    "nullif": _nullif,
    "greatest": _extreme("greatest"),
    "least": _extreme("least"),
    "add": _arithmetic("add", "+"),
    "subtract": _arithmetic("subtract", "-"),
    "multiply": _arithmetic("multiply", "*"),
    "divide": _divide,
    "integer_divide": _template("CAST(({0} // {1}) AS {type})"),
    "remainder": _remainder,
    "negate": _negate,
    "abs": _template("CAST(abs({0}) AS {type})"),
    "sign": _sign,
    "round": _round,
    "floor": _whole("floor"),
    "ceil": _whole("ceil"),
    "sqrt": _template("sqrt({0})"),
    "exp": _template("exp({0})"),
    "ln": _logarithm("ln"),
    "log2": _logarithm("log2"),
    "log10": _logarithm("log10"),
    "power": _template("power({0}, {1})"),
    "lower": _template("lower({0})"),
    "upper": _template("upper({0})"),
    "trim": _template("trim({0}, ' ')"),
    "trim_start": _template("ltrim({0}, ' ')"),
    "trim_end": _template("rtrim({0}, ' ')"),
    "length": _length,
    "substring": _substring,
    "concat": _infix("||"),
    "like": _like,
    "contains": _template("contains({0}, {1})"),
    "starts_with": _template("starts_with({0}, {1})"),
    "ends_with": _template("ends_with({0}, {1})"),
    "replace": _template("replace({0}, {1}, {2})"),
    "position": _template("CAST(instr({0}, {1}) AS {type})"),
    "year": _part("year"),
    "quarter": _part("quarter"),
    "month": _part("month"),
    "day": _part("day"),
    "day_of_week": _template("CAST((dayofweek({0}) + 1) AS {type})"),
    "day_of_year": _part("dayofyear"),
    "week": _part("week"),
    "hour": _part("hour"),
    "minute": _part("minute"),
    "second": _part("second"),
    "date_add": _template("CAST(({0} + {1}) AS {type})"),
    "date_diff": _template("CAST(({0} - {1}) AS {type})"),
    "add_months": _template("CAST(({0} + to_months({1})) AS {type})"),
    "last_day": _template("CAST(last_day({0}) AS {type})"),
    "truncate_to": _truncate_to,
    "timestamp_add": _template("CAST(({0} + to_microseconds({1})) AS {type})"),
    "timestamp_diff": _template("(epoch_us({0}) - epoch_us({1}))"),
    "make_date": _template("make_date({0}, {1}, {2})"),
}
