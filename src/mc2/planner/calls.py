"""Spark's functions, by name, as expressions of a plan. Nothing else is a function in a query.

Listed is what means exactly the same here. Functions that look at the clock or at chance are
refused with the reason, and those that are simply not here with a hint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Column, DataType
from mc2.plan.expressions import Call, Case, Cast, Literal, When
from mc2.plan.literals import literal_value
from mc2.plan.types import (
    BOOLEAN,
    DATE,
    DOUBLE,
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    is_integer,
)
from mc2.planner.names import suggestion
from mc2.planner.typed import (
    NULL,
    Typed,
    arithmetic,
    constant,
    convert,
    fold,
    spark_name,
    typed,
    unify,
)

Columns = Mapping[str, Column]
Arguments = Sequence[Typed]
Build = Callable[[Arguments, Columns], Typed]

_LONGEST_TEXT: Final = 2**31 - 1
_TRUNC_UNITS: Final = {
    "year": "year", "yyyy": "year", "yy": "year", "quarter": "quarter", "month": "month",
    "mon": "month", "mm": "month", "week": "week", "day": "day", "dd": "day", "hour": "hour",
    "minute": "minute", "second": "second",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Rule:
    least: int
    most: int
    build: Build


def build_call(name: str, arguments: Arguments, columns: Columns) -> Typed:
    """A call of a function of Spark. Raises: PlanError."""
    known = name.lower()
    if known in REFUSED:
        raise PlanError(f"{known} may not stand in a plan", hint=REFUSED[known])
    rule = FUNCTIONS.get(known)
    if rule is None:
        raise PlanError(f"there is no function {known!r} here", hint=suggestion(known, FUNCTIONS))
    if not rule.least <= len(arguments) <= rule.most:
        count = str(rule.least) if rule.least == rule.most else f"{rule.least} to {rule.most}"
        count = f"at least {rule.least}" if rule.most == _MANY else count
        hint = f"{known}({', '.join(['...'] * rule.least)})"
        raise PlanError(f"{known} takes {count} arguments, not {len(arguments)}", hint=hint)
    return rule.build(arguments, columns)


def apply(function: str, arguments: Arguments, columns: Columns) -> Typed:
    """A call of a function of the plan. Raises: PlanError if the types do not fit."""
    return typed(Call(function, tuple(a.expression for a in arguments)), columns)


def _plain(function: str, *kinds: DataType) -> _Rule:
    """Each argument in one fixed type."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        pairs = zip(arguments, kinds, strict=True)
        return apply(function, [convert(a, kind, columns) for a, kind in pairs], columns)

    return _Rule(len(kinds), len(kinds), build)


def _joined(function: str, least: int, most: int) -> _Rule:
    """All arguments in their common type."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        if len(arguments) == 1:
            return arguments[0]
        return apply(function, unify(arguments, columns), columns)

    return _Rule(least, most, build)


def _numeric(function: str) -> _Rule:
    def build(arguments: Arguments, columns: Columns) -> Typed:
        return apply(function, arithmetic(arguments, columns), columns)

    return _Rule(1, 2, build)


def _whole(function: str) -> _Rule:
    """Floor and ceil: of an integer it is itself, as bigint."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        value = arithmetic(arguments, columns)[0]
        if is_integer(value.type):
            return convert(value, INT64, columns)
        kind = DOUBLE if value.type == FLOAT else value.type
        return apply(function, [convert(value, kind, columns)], columns)

    return _Rule(1, 1, build)


def _round(arguments: Arguments, columns: Columns) -> Typed:
    value = arithmetic(arguments[:1], columns)[0]
    digits = arguments[1] if len(arguments) == 2 else constant(0, INT32)
    places = _integer_literal(digits, "the digits of round")
    if is_integer(value.type):
        if places < 0:
            raise PlanError(
                "round takes no negative digits of an integer here",
                hint="write CAST(... AS DECIMAL(20, 0)) around the number",
            )
        return value
    if value.type == FLOAT:
        raise PlanError("round takes no FLOAT here", hint="write CAST(... AS DOUBLE) around it")
    return apply("round", [value, constant(places, INT32)], columns)


def _integer_literal(value: Typed, what: str) -> int:
    if value.literal is None or value.literal.text is None or not is_integer(value.type):
        raise PlanError(f"{what} must be written as an integer", hint="for example 2")
    return int(value.literal.text)


def _moment(function: str, *, clock: bool = False) -> _Rule:
    """A part of a date or time."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        value = arguments[0]
        if value.type == STRING and value.literal is not None:
            value = convert(value, TIMESTAMP_UTC if clock else DATE, columns)
        return apply(function, [value], columns)

    return _Rule(1, 1, build)


def _substring(arguments: Arguments, columns: Columns) -> Typed:
    length = arguments[2] if len(arguments) == 3 else constant(_LONGEST_TEXT, INT32)
    numbers = [convert(n, INT32, columns) for n in (arguments[1], length)]
    return apply("substring", [convert(arguments[0], STRING, columns), *numbers], columns)


def _left(arguments: Arguments, columns: Columns) -> Typed:
    return _substring([arguments[0], constant(1, INT32), arguments[1]], columns)


def _replace(arguments: Arguments, columns: Columns) -> Typed:
    new = arguments[2] if len(arguments) == 3 else constant("", STRING)
    texts = [convert(a, STRING, columns) for a in (*arguments[:2], new)]
    return apply("replace", texts, columns)


def _position(*, needle_first: bool) -> _Rule:
    def build(arguments: Arguments, columns: Columns) -> Typed:
        pair = tuple(reversed(arguments)) if needle_first else arguments
        return apply("position", [convert(a, STRING, columns) for a in pair], columns)

    return _Rule(2, 2, build)


def _concat(arguments: Arguments, columns: Columns) -> Typed:
    for argument in arguments:
        if argument.type != STRING:
            raise PlanError(f"{argument.type} is no text", hint="write CAST(... AS STRING)")
    return apply("concat", [convert(a, STRING, columns) for a in arguments], columns)


def _length(arguments: Arguments, columns: Columns) -> Typed:
    value = convert(NULL, STRING, columns) if arguments[0].untyped else arguments[0]
    return apply("length", [value], columns)


def _test(function: str) -> _Rule:
    def build(arguments: Arguments, columns: Columns) -> Typed:
        value = convert(NULL, STRING, columns) if arguments[0].untyped else arguments[0]
        return apply(function, [value], columns)

    return _Rule(1, 1, build)


def _if_not_null(arguments: Arguments, columns: Columns) -> Typed:
    test = apply("is_not_null", [convert(arguments[0], arguments[0].type, columns)], columns)
    return choose([(test, arguments[1])], arguments[2], columns)


def choose(branches: Sequence[tuple[Typed, Typed]], otherwise: Typed, columns: Columns) -> Typed:
    """CASE, with all results in their common type. Raises: PlanError."""
    for condition, _ in branches:
        if condition.type != BOOLEAN:
            raise PlanError(f"a condition is a {condition.type}, not a boolean")
    *values, last = unify([*(value for _, value in branches), otherwise], columns)
    whens = tuple(
        When(condition.expression, value.expression)
        for (condition, _), value in zip(branches, values, strict=True)
    )
    return typed(Case(whens, last.expression), columns)


def _date_diff(arguments: Arguments, columns: Columns) -> Typed:
    return apply("date_diff", [convert(a, DATE, columns) for a in arguments], columns)


def _date_add(*, sign: int) -> _Rule:
    def build(arguments: Arguments, columns: Columns) -> Typed:
        days = convert(arguments[1], INT32, columns)
        if sign < 0:
            days = negate(days, columns)
        return apply("date_add", [convert(arguments[0], DATE, columns), days], columns)

    return _Rule(2, 2, build)


def negate(value: Typed, columns: Columns) -> Typed:
    """The number with the other sign; a constant at once. Raises: PlanError."""
    number = arithmetic([value], columns)[0]
    literal = number.literal
    if literal is not None and literal.text is not None and literal.text[0].isdigit():
        positive_zero = literal.text.strip("0.") == "" and number.type != DOUBLE
        if not positive_zero:
            kind = number.type
            return typed(Literal(f"-{literal.text}", kind), columns)
        return number
    return apply("negate", [number], columns)


def _add_months(arguments: Arguments, columns: Columns) -> Typed:
    parts = [convert(arguments[0], DATE, columns), convert(arguments[1], INT32, columns)]
    return apply("add_months", parts, columns)


def _unit(value: Typed) -> Typed:
    text = value.literal.text if value.literal is not None and value.type == STRING else None
    if text is None or text.lower() not in _TRUNC_UNITS:
        raise PlanError(
            "the unit must be written as a text", hint=f"one of {', '.join(_TRUNC_UNITS)}"
        )
    return constant(_TRUNC_UNITS[text.lower()], STRING)


def _trunc(arguments: Arguments, columns: Columns) -> Typed:
    value = convert(arguments[0], DATE, columns)
    return apply("truncate_to", [_unit(arguments[1]), value], columns)


def _date_trunc(arguments: Arguments, columns: Columns) -> Typed:
    value = arguments[1]
    kind = value.type if value.type == TIMESTAMP else TIMESTAMP_UTC
    return apply("truncate_to", [_unit(arguments[0]), convert(value, kind, columns)], columns)


def _to(kind: DataType) -> _Rule:
    """A function that is named like a type: `INT(x)`."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        return cast(arguments[0], kind, columns)

    return _Rule(1, 1, build)


def cast(value: Typed, kind: DataType, columns: Columns, *, strict: bool = True) -> Typed:
    """An explicit CAST; an exact one of a constant at once. Raises: PlanError."""
    if value.untyped:
        return constant(None, kind)
    if value.type == kind:
        return value
    if value.literal is not None:
        folded = fold(value.literal, kind) or _exact_decimal(value.literal, kind)
        if folded is not None:
            return folded
        if strict and value.type == STRING and kind in (DATE, TIMESTAMP, TIMESTAMP_UTC):
            raise PlanError(
                f"this text is no {spark_name(kind)}",
                hint="write a date as 2026-01-31, and a time as 2026-01-31 12:00:00",
            )
    return typed(Cast(value.expression, kind, strict), columns)


def _exact_decimal(value: Literal, kind: DataType) -> Typed | None:
    """A text such as '1.50' as the decimal that it spells; so `1.50BD` arrives here."""
    if value.type != STRING or kind.name != "decimal" or value.text is None:
        return None
    try:
        literal_value(value.text, kind)
    except PlanError:
        return None
    return typed(Literal(value.text, kind), {})


_MANY: Final = 1000
_STRINGS: Final = (STRING, STRING)

FUNCTIONS: Final[Mapping[str, _Rule]] = {
    # choice and NULL
    "coalesce": _joined("coalesce", 1, _MANY),
    "ifnull": _joined("coalesce", 2, 2),
    "nvl": _joined("coalesce", 2, 2),
    "nvl2": _Rule(3, 3, _if_not_null),
    "nullif": _joined("nullif", 2, 2),
    "greatest": _joined("greatest", 2, _MANY),
    "least": _joined("least", 2, _MANY),
    "isnull": _test("is_null"),
    "isnotnull": _test("is_not_null"),
    "isnan": _test("is_nan"),
    # numbers
    "abs": _Rule(1, 1, _numeric("abs").build),
    "sign": _plain("sign", DOUBLE),
    "signum": _plain("sign", DOUBLE),
    "round": _Rule(1, 2, _round),
    "floor": _whole("floor"),
    "ceil": _whole("ceil"),
    "ceiling": _whole("ceil"),
    "sqrt": _plain("sqrt", DOUBLE),
    "exp": _plain("exp", DOUBLE),
    "ln": _plain("ln", DOUBLE),
    "log2": _plain("log2", DOUBLE),
    "log10": _plain("log10", DOUBLE),
    "pow": _plain("power", DOUBLE, DOUBLE),
    "power": _plain("power", DOUBLE, DOUBLE),
    "mod": _Rule(2, 2, _numeric("remainder").build),
    "negative": _Rule(1, 1, lambda a, columns: negate(a[0], columns)),
    # text
    "lower": _plain("lower", STRING),
    "lcase": _plain("lower", STRING),
    "upper": _plain("upper", STRING),
    "ucase": _plain("upper", STRING),
    "trim": _plain("trim", STRING),
    "ltrim": _plain("trim_start", STRING),
    "rtrim": _plain("trim_end", STRING),
    "length": _Rule(1, 1, _length),
    "char_length": _plain("length", STRING),
    "character_length": _plain("length", STRING),
    "substring": _Rule(2, 3, _substring),
    "substr": _Rule(2, 3, _substring),
    "left": _Rule(2, 2, _left),
    "concat": _Rule(1, _MANY, _concat),
    "contains": _plain("contains", *_STRINGS),
    "startswith": _plain("starts_with", *_STRINGS),
    "endswith": _plain("ends_with", *_STRINGS),
    "replace": _Rule(2, 3, _replace),
    "instr": _position(needle_first=False),
    "locate": _position(needle_first=True),
    "position": _position(needle_first=True),
    # dates and times
    "year": _moment("year"),
    "quarter": _moment("quarter"),
    "month": _moment("month"),
    "day": _moment("day"),
    "dayofmonth": _moment("day"),
    "dayofweek": _moment("day_of_week"),
    "dayofyear": _moment("day_of_year"),
    "weekofyear": _moment("week"),
    "hour": _moment("hour", clock=True),
    "minute": _moment("minute", clock=True),
    "second": _moment("second", clock=True),
    "date_add": _date_add(sign=1),
    "date_sub": _date_add(sign=-1),
    "datediff": _Rule(2, 2, _date_diff),
    "date_diff": _Rule(2, 2, _date_diff),
    "add_months": _Rule(2, 2, _add_months),
    "last_day": _plain("last_day", DATE),
    "trunc": _Rule(2, 2, _trunc),
    "date_trunc": _Rule(2, 2, _date_trunc),
    "make_date": _plain("make_date", INT32, INT32, INT32),
    "to_date": _to(DATE),
    # types
    "boolean": _to(BOOLEAN),
    "tinyint": _to(INT8),
    "smallint": _to(INT16),
    "int": _to(INT32),
    "bigint": _to(INT64),
    "float": _to(FLOAT),
    "double": _to(DOUBLE),
    "string": _to(STRING),
    "date": _to(DATE),
    "timestamp": _to(TIMESTAMP_UTC),
}
"""All scalar functions of a query, by Spark's name."""

_CLOCK: Final = "its value depends on when the job runs, and owners approve one fixed program"
_CHANCE: Final = "its value is left to chance, and the same job must give the same answer"
_ORDER: Final = "its value depends on the order of rows, which is not fixed; use min or max"

REFUSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("current_date", "current_timestamp", "curdate", "now", "localtimestamp",
         "unix_timestamp"), _CLOCK,
    ),
    **dict.fromkeys(("rand", "random", "randn", "uuid", "shuffle"), _CHANCE),
    **dict.fromkeys(
        ("first", "first_value", "last", "last_value", "any_value", "collect_list",
         "collect_set", "array_agg", "monotonically_increasing_id"), _ORDER,
    ),
    **dict.fromkeys(
        ("percentile_approx", "approx_percentile", "approx_count_distinct"),
        "it is approximate; count(DISTINCT ...) is exact",
    ),
    **dict.fromkeys(
        ("row_number", "rank", "dense_rank", "lag", "lead", "ntile"),
        "window functions are not planned yet; aggregate with GROUP BY",
    ),
}  # fmt: skip
"""Functions that Spark knows and a query may not use, with the reason."""
