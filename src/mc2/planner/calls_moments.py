"""Spark's functions of dates and times. Session time is UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import decimal
from mc2.plan.functions_moments import DAYS
from mc2.plan.types import (
    BOOLEAN,
    DATE,
    INT32,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
)
from mc2.planner.call_rules import (
    EPOCH,
    Arguments,
    Columns,
    Rule,
    apply,
    as_moment,
    cast,
    negate,
    number,
    signed,
    since_epoch,
    text,
    text_literal,
)
from mc2.planner.typed import Typed, constant, convert

UNIT_MICROS: Final = {
    "microsecond": 1, "millisecond": 10**3, "second": 10**6, "minute": 60 * 10**6,
    "hour": 3600 * 10**6, "day": 86400 * 10**6, "week": 7 * 86400 * 10**6,
}  # fmt: skip
"""Units of a fixed length, in microseconds."""
UNIT_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
"""Units of a number of months."""

_TRUNC_UNITS: Final = {
    "year": "year", "yyyy": "year", "yy": "year", "quarter": "quarter", "month": "month",
    "mon": "month", "mm": "month", "week": "week", "day": "day", "dd": "day", "hour": "hour",
    "minute": "minute", "second": "second", "millisecond": "millisecond",
    "microsecond": "microsecond",
}  # fmt: skip
_FIELDS: Final = {
    **dict.fromkeys(("year", "y", "years", "yr", "yrs"), "year"),
    **dict.fromkeys(("yearofweek",), "iso_year"),
    **dict.fromkeys(("quarter", "qtr"), "quarter"),
    **dict.fromkeys(("month", "mon", "mons", "months"), "month"),
    **dict.fromkeys(("week", "w", "weeks"), "week"),
    **dict.fromkeys(("day", "d", "days"), "day"),
    **dict.fromkeys(("dayofweek", "dow"), "day_of_week"),
    **dict.fromkeys(("dayofweek_iso", "dow_iso"), "iso_day_of_week"),
    "doy": "day_of_year",
    **dict.fromkeys(("hour", "h", "hours", "hr", "hrs"), "hour"),
    **dict.fromkeys(("minute", "m", "min", "mins", "minutes"), "minute"),
    **dict.fromkeys(("second", "s", "sec", "seconds", "secs"), "exact_second"),
}
_DEFAULT_FORMAT: Final = "yyyy-MM-dd HH:mm:ss"
_FIRST_DAY: Final = constant(date(1970, 1, 1), DATE)


def part_of(field: str, value: Typed, columns: Columns) -> Typed:
    """`extract(field FROM value)`. Raises: PlanError."""
    name = _FIELDS.get(field.lower())
    if name is None:
        raise PlanError(f"there is no part {field.lower()!r}", hint=f"one of {', '.join(_FIELDS)}")
    return signed(name).build([value], columns)


def _date_part(arguments: Arguments, columns: Columns) -> Typed:
    return part_of(text_literal(arguments[0], "the part", "year"), arguments[1], columns)


def _weekday(arguments: Arguments, columns: Columns) -> Typed:
    day = signed("iso_day_of_week").build(arguments, columns)
    return apply("subtract", [day, number(1)], columns)


def _date_add(*, sign: int) -> Rule:
    def build(arguments: Arguments, columns: Columns) -> Typed:
        days = convert(arguments[1], INT32, columns)
        if sign < 0:
            days = negate(days, columns)
        return apply("date_add", [as_moment(arguments[0], DATE, columns), days], columns)

    return Rule(2, 2, build)


def _add_months(arguments: Arguments, columns: Columns) -> Typed:
    parts = [as_moment(arguments[0], DATE, columns), convert(arguments[1], INT32, columns)]
    return apply("add_months", parts, columns)


def _unit(value: Typed) -> Typed:
    given = text_literal(value, "the unit", "month").lower()
    if given not in _TRUNC_UNITS:
        raise PlanError(f"there is no unit {given!r}", hint=f"one of {', '.join(_TRUNC_UNITS)}")
    return text(_TRUNC_UNITS[given])


def _trunc(arguments: Arguments, columns: Columns) -> Typed:
    return apply(
        "truncate_to", [_unit(arguments[1]), as_moment(arguments[0], DATE, columns)], columns
    )


def _instant(value: Typed, columns: Columns) -> Typed:
    """The value as a timestamp; one without a zone stays so."""
    return value if value.type == TIMESTAMP else as_moment(value, TIMESTAMP_UTC, columns)


def _date_trunc(arguments: Arguments, columns: Columns) -> Typed:
    return apply("truncate_to", [_unit(arguments[0]), _instant(arguments[1], columns)], columns)


def _next_day(arguments: Arguments, columns: Columns) -> Typed:
    given = text_literal(arguments[1], "the day of the week", "Mon").title()
    names = {name: day for day in DAYS for name in (day, day[:2], _LONG_DAYS[day])}
    if given not in names:
        raise PlanError(f"there is no day {given!r}", hint=f"one of {', '.join(DAYS)}")
    return apply("next_day", [as_moment(arguments[0], DATE, columns), text(names[given])], columns)


_LONG_DAYS: Final = {
    "Mon": "Monday", "Tue": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday", "Fri": "Friday",
    "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip


def _months_between(arguments: Arguments, columns: Columns) -> Typed:
    rounded = arguments[2] if len(arguments) == 3 else constant(True, BOOLEAN)  # a value
    pair = [as_moment(a, TIMESTAMP_UTC, columns) for a in arguments[:2]]
    return apply("months_between", [*pair, rounded], columns)


def _read(kind: str, *, strict: bool) -> Rule:
    """`to_date` and `to_timestamp`: as a cast, or by a pattern."""
    target = {"date": DATE, "timestamp": TIMESTAMP_UTC, "timestamp_ntz": TIMESTAMP}[kind]

    def build(arguments: Arguments, columns: Columns) -> Typed:
        if len(arguments) == 1 or arguments[0].type != STRING:
            return cast(arguments[0], target, columns, strict=strict)
        pattern = text(text_literal(arguments[1], "the pattern", "yyyy-MM-dd"))
        name = "parse_moment" if strict else "try_parse_moment"
        return cast(apply(name, [arguments[0], pattern], columns), target, columns)

    return Rule(1, 2, build)


def _date_format(arguments: Arguments, columns: Columns) -> Typed:
    value = arguments[0]
    if value.type != DATE:
        value = _instant(value, columns)
    pattern = text(text_literal(arguments[1], "the pattern", "yyyy-MM-dd"))
    return apply("format_moment", [value, pattern], columns)


def _to_char(arguments: Arguments, columns: Columns) -> Typed:
    if arguments[0].type.name not in {"date", "timestamp", "timestamp_utc"}:
        raise PlanError("to_char is of dates and times here", hint="write CAST(... AS STRING)")
    return _date_format(arguments, columns)


def _unix_timestamp(arguments: Arguments, columns: Columns) -> Typed:
    value = arguments[0]
    if value.type == STRING:
        given = arguments[1:] or [text(_DEFAULT_FORMAT)]
        value = _read("timestamp", strict=True).build([value, *given], columns)
    micros = apply("timestamp_diff", [as_moment(value, TIMESTAMP_UTC, columns), EPOCH], columns)
    return apply("integer_divide", [micros, constant(10**6, INT64)], columns)


def _epoch(divisor: int) -> Rule:
    """Seconds or less since 1970, rounded down."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        value = as_moment(arguments[0], TIMESTAMP_UTC, columns)
        if divisor == 10**6:
            return apply("epoch_second", [value], columns)
        micros = apply("timestamp_diff", [value, EPOCH], columns)
        if divisor == 1:
            return micros
        unit = constant(divisor, INT64)
        rest = apply("modulo", [micros, unit], columns)
        return apply("integer_divide", [apply("subtract", [micros, rest], columns), unit], columns)

    return Rule(1, 1, build)


def _from_epoch(micros: int) -> Rule:
    return Rule(1, 1, lambda arguments, columns: since_epoch(arguments[0], micros, columns))


def _from_unixtime(arguments: Arguments, columns: Columns) -> Typed:
    moment = since_epoch(arguments[0], 10**6, columns)
    pattern = arguments[1] if len(arguments) == 2 else text(_DEFAULT_FORMAT)
    return _date_format([moment, pattern], columns)


def _unix_date(arguments: Arguments, columns: Columns) -> Typed:
    return apply("date_diff", [as_moment(arguments[0], DATE, columns), _FIRST_DAY], columns)


def _from_unix_date(arguments: Arguments, columns: Columns) -> Typed:
    return apply("date_add", [_FIRST_DAY, convert(arguments[0], INT32, columns)], columns)


def _make_timestamp(zone: bool) -> Rule:  # noqa: FBT001  # one of a table
    def build(arguments: Arguments, columns: Columns) -> Typed:
        *whole, second = arguments
        parts = [convert(a, INT32, columns) for a in whole]
        exact = decimal(16, 6)
        seconds = second if second.type == exact else cast(second, exact, columns)
        found = apply("make_timestamp", [*parts, seconds], columns)
        return convert(found, TIMESTAMP_UTC, columns) if zone else found

    return Rule(6, 6, build)


def unit_of(name: str) -> str:
    """A unit of time by its name. Raises: PlanError."""
    unit = name.lower().removesuffix("s") if len(name) > 2 else name.lower()
    if unit not in UNIT_MICROS and unit not in UNIT_MONTHS:
        known = ", ".join((*UNIT_MICROS, *UNIT_MONTHS))
        raise PlanError(f"there is no unit {name.lower()!r}", hint=f"one of {known}")
    return unit


def add_units(unit: str, many: Typed, value: Typed, columns: Columns) -> Typed:
    """`timestampadd(unit, many, value)`. Raises: PlanError."""
    moment = _instant(value, columns)
    name = unit_of(unit)
    if name in UNIT_MONTHS:
        months = convert(many, INT32, columns)
        if UNIT_MONTHS[name] > 1:
            months = apply("multiply", [months, number(UNIT_MONTHS[name])], columns)
        return apply("add_months", [moment, months], columns)
    micros = convert(many, INT64, columns)
    if UNIT_MICROS[name] > 1:
        micros = apply("multiply", [micros, constant(UNIT_MICROS[name], INT64)], columns)
    return apply("timestamp_add", [moment, micros], columns)


def diff_units(unit: str, start: Typed, end: Typed, columns: Columns) -> Typed:
    """`timestampdiff(unit, start, end)`: whole units. Raises: PlanError."""
    moments = [_instant(v, columns) for v in (end, start)]
    if moments[0].type != moments[1].type:
        moments = [convert(m, TIMESTAMP_UTC, columns) for m in moments]
    name = unit_of(unit)
    function, size = "timestamp_diff", UNIT_MICROS.get(name, 1)
    if name in UNIT_MONTHS:
        function, size = "whole_months", UNIT_MONTHS[name]
    found = apply(function, moments, columns)
    if size == 1:
        return found
    return apply("integer_divide", [found, constant(size, INT64)], columns)


def _date_diff(arguments: Arguments, columns: Columns) -> Typed:
    return apply("date_diff", [as_moment(a, DATE, columns) for a in arguments], columns)


MOMENTS: Final[Mapping[str, Rule]] = {
    **{name: signed(name) for name in ("year", "quarter", "month", "day", "hour", "minute")},
    "second": signed("second"),
    "dayofmonth": signed("day"),
    "dayofweek": signed("day_of_week"),
    "dayofyear": signed("day_of_year"),
    "weekofyear": signed("week"),
    "weekday": Rule(1, 1, _weekday),
    "dayname": signed("day_name"),
    "monthname": signed("month_name"),
    "date_part": Rule(2, 2, _date_part),
    "datepart": Rule(2, 2, _date_part),
    "date_add": _date_add(sign=1),
    "dateadd": _date_add(sign=1),
    "date_sub": _date_add(sign=-1),
    "datediff": Rule(2, 2, _date_diff),
    "date_diff": Rule(2, 2, _date_diff),
    "add_months": Rule(2, 2, _add_months),
    "months_between": Rule(2, 3, _months_between),
    "last_day": signed("last_day"),
    "next_day": Rule(2, 2, _next_day),
    "trunc": Rule(2, 2, _trunc),
    "date_trunc": Rule(2, 2, _date_trunc),
    "make_date": signed("make_date"),
    "make_timestamp": _make_timestamp(zone=True),
    "make_timestamp_ltz": _make_timestamp(zone=True),
    "make_timestamp_ntz": _make_timestamp(zone=False),
    "to_date": _read("date", strict=True),
    "to_timestamp": _read("timestamp", strict=True),
    "to_timestamp_ltz": _read("timestamp", strict=True),
    "to_timestamp_ntz": _read("timestamp_ntz", strict=True),
    "try_to_date": _read("date", strict=False),
    "try_to_timestamp": _read("timestamp", strict=False),
    "date_format": Rule(2, 2, _date_format),
    "to_char": Rule(2, 2, _to_char),
    "to_varchar": Rule(2, 2, _to_char),
    "unix_timestamp": Rule(1, 2, _unix_timestamp),
    "to_unix_timestamp": Rule(1, 2, _unix_timestamp),
    "from_unixtime": Rule(1, 2, _from_unixtime),
    "unix_seconds": _epoch(10**6),
    "unix_millis": _epoch(10**3),
    "unix_micros": _epoch(1),
    "unix_date": Rule(1, 1, _unix_date),
    "timestamp_seconds": _from_epoch(10**6),
    "timestamp_millis": _from_epoch(10**3),
    "timestamp_micros": _from_epoch(1),
    "date_from_unix_date": Rule(1, 1, _from_unix_date),
}
"""Rules by Spark's name."""
