"""Spark's functions of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from mc2.errors import PlanError
from mc2.plan.types import DOUBLE, FLOAT, INT64, as_decimal, is_integer
from mc2.planner.call_rules import (
    Arguments,
    Columns,
    Rule,
    apply,
    choose,
    integer_literal,
    negate,
    number,
    numeric,
    signed,
)
from mc2.planner.typed import Typed, arithmetic, constant, convert, unify

_REALS: Final = (
    "sqrt", "exp", "ln", "log2", "log10", "cbrt", "expm1", "log1p", "sin", "cos", "tan", "asin",
    "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "hypot", "rint",
    "factorial",
)  # fmt: skip


def _whole(function: str) -> Rule:
    """Floor and ceil: of an integer it is itself, as bigint; with digits it is a decimal."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        value = arithmetic(arguments[:1], columns)[0]
        if len(arguments) == 2:
            digits = integer_literal(arguments[1], f"the digits of {function}")
            exact = value if value.type.name == "decimal" else _decimal(value, columns)
            return apply(f"{function}_to", [exact, number(digits)], columns)
        if is_integer(value.type):
            return convert(value, INT64, columns)
        kind = DOUBLE if value.type == FLOAT else value.type
        return apply(function, [convert(value, kind, columns)], columns)

    return Rule(1, 2, build)


def _decimal(value: Typed, columns: Columns) -> Typed:
    if is_integer(value.type):
        return convert(value, as_decimal(value.type), columns)
    raise PlanError(
        "with digits it takes a decimal here", hint="write CAST(... AS DECIMAL(30, 15)) around it"
    )


def _round(function: str) -> Rule:
    def build(arguments: Arguments, columns: Columns) -> Typed:
        value = arithmetic(arguments[:1], columns)[0]
        digits = arguments[1] if len(arguments) == 2 else number(0)
        places = integer_literal(digits, f"the digits of {function}")
        if is_integer(value.type) and places >= 0:
            return value
        if value.type == FLOAT:
            raise PlanError(
                "rounding takes no FLOAT here", hint="write CAST(... AS DOUBLE) around it"
            )
        return apply(function, [value, number(places)], columns)

    return Rule(1, 2, build)


def _log(arguments: Arguments, columns: Columns) -> Typed:
    values = [convert(a, DOUBLE, columns) for a in arguments]
    return apply("ln" if len(values) == 1 else "logarithm", values, columns)


def _bits(function: str) -> Rule:
    def build(arguments: Arguments, columns: Columns) -> Typed:
        values = unify(arguments, columns)
        if not is_integer(values[0].type):
            raise PlanError(f"bits are of integers, not of {values[0].type}")
        return apply(function, values, columns)

    return Rule(2, 2, build)


def bits(function: str, arguments: Arguments, columns: Columns) -> Typed:
    """The operators `&`, `|`, `^` and `~`. Raises: PlanError."""
    if len(arguments) == 2:
        return _bits(function).build(arguments, columns)
    return apply(function, arguments, columns)


def _bit_count(arguments: Arguments, columns: Columns) -> Typed:
    return apply("bit_count", arguments, columns)


def _nanvl(arguments: Arguments, columns: Columns) -> Typed:
    values = [convert(a, DOUBLE, columns) if a.type != FLOAT else a for a in arguments]
    values = list(unify(values, columns))
    test = apply("is_nan", values[:1], columns)
    return choose([(test, values[1])], values[0], columns)


def try_divide(arguments: Arguments, columns: Columns) -> Typed:
    """The quotient or NULL."""
    values = arithmetic(arguments, columns)
    if not any(v.type.name == "decimal" for v in values):
        values = tuple(convert(v, DOUBLE, columns) for v in values)
    return apply("try_divide", values, columns)


def _div(arguments: Arguments, columns: Columns) -> Typed:
    values = arithmetic(arguments, columns)
    if not any(v.type.name == "decimal" for v in values):
        values = tuple(convert(v, INT64, columns) for v in values)
    return apply("integer_divide", values, columns)


def _scaled(factor: float, *, divide: bool) -> Rule:
    """`x * (180 / pi)` and `x / (180 / pi)`, as Java computes them."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        value = convert(arguments[0], DOUBLE, columns)
        name = "divide" if divide else "multiply"
        return apply(name, [value, constant(factor, DOUBLE)], columns)

    return Rule(1, 1, build)


def _inverse(function: str) -> Rule:
    def build(arguments: Arguments, columns: Columns) -> Typed:
        inner = apply(function, [convert(arguments[0], DOUBLE, columns)], columns)
        return apply("divide", [constant(1.0, DOUBLE), inner], columns)

    return Rule(1, 1, build)


def _fixed(value: float) -> Rule:
    return Rule(0, 0, lambda _arguments, _columns: constant(value, DOUBLE))


def _zero_if_null(arguments: Arguments, columns: Columns) -> Typed:
    return apply("coalesce", unify([arguments[0], number(0)], columns), columns)


def _null_if_zero(arguments: Arguments, columns: Columns) -> Typed:
    return apply("nullif", unify([arguments[0], number(0)], columns), columns)


def _uniform(function: str) -> Rule:
    """Shifts: of a bigint or an int."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        value = arguments[0]
        if is_integer(value.type) and value.type != INT64:
            value = convert(value, number(0).type, columns)
        return apply(function, [value, convert(arguments[1], number(0).type, columns)], columns)

    return Rule(2, 2, build)


NUMBERS: Final[Mapping[str, Rule]] = {
    "abs": numeric("abs", 1),
    "positive": Rule(1, 1, lambda a, columns: arithmetic(a, columns)[0]),
    "negative": Rule(1, 1, lambda a, columns: negate(a[0], columns)),
    "sign": signed("sign"),
    "signum": signed("sign"),
    "round": _round("round"),
    "bround": _round("round_even"),
    "floor": _whole("floor"),
    "ceil": _whole("ceil"),
    "ceiling": _whole("ceil"),
    **{name: signed(name) for name in _REALS},
    "log": Rule(1, 2, _log),
    "pow": signed("power"),
    "power": signed("power"),
    "degrees": _scaled(180 / math.pi, divide=False),
    "radians": _scaled(math.pi / 180, divide=False),
    "cot": _inverse("tan"),
    "sec": _inverse("cos"),
    "csc": _inverse("sin"),
    "pi": _fixed(math.pi),
    "e": _fixed(math.e),
    "mod": numeric("remainder", 2),
    "pmod": numeric("modulo", 2),
    "div": Rule(2, 2, _div),
    "try_add": numeric("try_add", 2),
    "try_subtract": numeric("try_subtract", 2),
    "try_multiply": numeric("try_multiply", 2),
    "try_divide": Rule(2, 2, try_divide),
    "try_mod": numeric("try_remainder", 2),
    "width_bucket": signed("width_bucket"),
    "nanvl": Rule(2, 2, _nanvl),
    "zeroifnull": Rule(1, 1, _zero_if_null),
    "nullifzero": Rule(1, 1, _null_if_zero),
    "shiftleft": _uniform("shift_left"),
    "shiftright": _uniform("shift_right"),
    "shiftrightunsigned": _uniform("shift_right_unsigned"),
    "bit_count": Rule(1, 1, _bit_count),
    "bit_get": Rule(
        2, 2, lambda a, c: apply("bit_get", [a[0], convert(a[1], number(0).type, c)], c)
    ),
    "getbit": Rule(
        2, 2, lambda a, c: apply("bit_get", [a[0], convert(a[1], number(0).type, c)], c)
    ),
}
"""Rules by Spark's name."""
