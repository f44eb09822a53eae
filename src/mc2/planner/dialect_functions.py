"""Functions of DuckDB's and PostgreSQL's SQL that a plan can say exactly, by their own names.

A name stands here only if it means what it means there: where Spark has another function of the
same name, another order of arguments or another result for some values, there is a rule of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mc2.errors import PlanError
from mc2.plan.types import DATE, DOUBLE, STRING, TIMESTAMP, is_integer, is_numeric
from mc2.planner.call_rules import (
    MANY,
    Arguments,
    Columns,
    Rule,
    apply,
    integer_literal,
    number,
    text,
)
from mc2.planner.calls_choice import CHOICE
from mc2.planner.calls_moments import MOMENTS
from mc2.planner.calls_numbers import NUMBERS
from mc2.planner.calls_texts import TEXTS
from mc2.planner.typed import Typed

_LONGEST_TEXT: Final = 2**31 - 1
_Test = Callable[[Typed], bool]


def _is_text(value: Typed) -> bool:
    return value.untyped or value.type == STRING


def _is_double(value: Typed) -> bool:
    return value.untyped or value.type == DOUBLE


def _is_moment(value: Typed) -> bool:
    return value.type in (DATE, TIMESTAMP)


def _is_number(value: Typed) -> bool:
    return value.untyped or is_numeric(value.type)


def _is_whole(value: Typed) -> bool:
    return value.untyped or is_integer(value.type)


def _of(test: _Test, rule: Rule, least: int, most: int, wanted: str) -> Rule:
    """A rule of Spark's for values of one kind, so that nothing is converted unasked."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        if not all(test(a) for a in arguments):
            raise PlanError(f"it takes {wanted} here", hint="write the conversion: CAST(...)")
        return rule.build(arguments, columns)

    return Rule(least, most, build)


def _texts(name: str, least: int, most: int) -> Rule:
    return _of(_is_text, TEXTS[name], least, most, "texts")


def _doubles(name: str, count: int) -> Rule:
    return _of(_is_double, NUMBERS[name], count, count, "doubles")


def _moment(name: str) -> Rule:
    return _of(_is_moment, MOMENTS[name], 1, 1, "a date or time")


def _concat(arguments: Arguments, columns: Columns) -> Typed:
    """`concat`, for which NULL is no text at all."""
    if not all(_is_text(a) for a in arguments):
        raise PlanError("concat takes texts here", hint="write CAST(... AS VARCHAR)")
    known = [a for a in arguments if not a.untyped]
    parts = [apply("coalesce", [a, text("")], columns) if a.nullable else a for a in known]
    return TEXTS["concat"].build(parts or [text("")], columns)


def _substring(arguments: Arguments, columns: Columns) -> Typed:
    """From a place that is written, 1 or later: engines differ on those before the text."""
    if not _is_text(arguments[0]) or integer_literal(arguments[1], "the start of substring") < 1:
        raise PlanError("substring takes a text, and a start of 1 or later here")
    length = arguments[2] if len(arguments) == 3 else number(_LONGEST_TEXT)
    if integer_literal(length, "the length of substring") < 0:
        raise PlanError("a length is not below zero")
    return TEXTS["substring"].build([*arguments[:2], length], columns)


def _side(name: str) -> Rule:
    def build(arguments: Arguments, columns: Columns) -> Typed:
        if not _is_text(arguments[0]) or integer_literal(arguments[1], "the length") < 0:
            raise PlanError(f"{name} takes a text and a length that is not below zero here")
        return TEXTS[name].build(arguments, columns)

    return Rule(2, 2, build)


def _round(*, doubles: bool) -> Rule:
    """Half away from zero: of decimals; of doubles only where a dialect does it as plans do."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        value = arguments[0]
        digits = integer_literal(arguments[1], "the digits") if len(arguments) == 2 else 0
        exact = is_integer(value.type) or value.type.name == "decimal"
        if digits < 0 or not (exact or (doubles and value.type == DOUBLE)):
            raise PlanError(
                "it rounds a decimal here, to no less than 0 digits",
                hint="write CAST(... AS DECIMAL(18, 6)) around it, or Spark's round",
            )
        return NUMBERS["round"].build([value, number(digits)], columns)

    return Rule(1, 2, build)


def _replace(arguments: Arguments, columns: Columns) -> Typed:
    return _texts("replace", 3, 3).build(arguments, columns)


def _position(arguments: Arguments, columns: Columns) -> Typed:
    return _texts("instr", 2, 2).build(arguments, columns)


_COMMON: Final[Mapping[str, Rule]] = {
    **{name: CHOICE[name] for name in ("coalesce", "nullif", "greatest", "least")},
    "abs": _of(_is_number, NUMBERS["abs"], 1, 1, "a number"),
    "mod": _of(_is_whole, NUMBERS["mod"], 2, 2, "integers"),
    **{name: _of(_is_number, NUMBERS[name], 1, 1, "a number") for name in ("floor", "ceil")},
    "ceiling": _of(_is_number, NUMBERS["ceil"], 1, 1, "a number"),
    **{name: _doubles(name, 1) for name in ("exp", "sqrt", "sin", "cos", "tan", "atan")},
    **{name: _doubles("power", 2) for name in ("pow", "power")},
    **{name: _texts(name, 1, 1) for name in ("lower", "upper", "length", "md5")},
    "trim": _texts("trim", 1, 1),
    "ltrim": _texts("ltrim", 1, 1),
    "rtrim": _texts("rtrim", 1, 1),
    "replace": Rule(3, 3, _replace),
    "starts_with": _texts("startswith", 2, 2),
    "strpos": Rule(2, 2, _position),
    "left": _side("left"),
    "right": _side("right"),
    "substring": Rule(2, 3, _substring),
    "substr": Rule(2, 3, _substring),
    "concat": Rule(1, MANY, _concat),
    "concat_ws": _texts("concat_ws", 2, MANY),
}

DIALECT_FUNCTIONS: Final[Mapping[str, Mapping[str, Rule]]] = {
    "duckdb": {
        **_COMMON,
        "round": _round(doubles=True),
        "ifnull": CHOICE["ifnull"],
        "ends_with": _texts("endswith", 2, 2),
        "contains": _texts("contains", 2, 2),
        "instr": Rule(2, 2, _position),
        **{name: _moment(name) for name in ("year", "quarter", "month", "day", "dayofyear")},
    },
    "postgres": {
        **_COMMON,
        "round": _round(doubles=False),
        "char_length": _texts("length", 1, 1),
        "div": _of(_is_whole, NUMBERS["div"], 2, 2, "integers"),
    },
}
"""Rules by dialect and name."""


def parts_of_moments(value: Typed) -> Mapping[str, Rule]:
    """What `extract` gives of a value, by the part's name. Raises: PlanError if it is no moment."""
    if not _is_moment(value):
        raise PlanError("extract is of a date or a timestamp here", hint="write CAST(... AS DATE)")
    parts = ["year", "quarter", "month", "day"]
    parts += ["hour", "minute"] if value.type == TIMESTAMP else []
    return {
        **{name: MOMENTS[name] for name in parts},
        "doy": MOMENTS["dayofyear"],
        "week": MOMENTS["weekofyear"],
    }
