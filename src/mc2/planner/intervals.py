"""Intervals: months, or microseconds, while a query is planned. A plan itself has numbers only.

An interval can be computed with, compared, and added to dates and times. It cannot be stored, since
no column has such a type: its own expression is one that no plan takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Column, DataType
from mc2.plan.expressions import Call
from mc2.plan.types import DATE, DOUBLE, INT32, INT64, TIMESTAMP, TIMESTAMP_UTC, is_integer
from mc2.planner.call_rules import apply, cast
from mc2.planner.calls_moments import UNIT_MICROS, UNIT_MONTHS, unit_of
from mc2.planner.typed import Typed, constant, convert

Columns = Mapping[str, Column]
MONTHS: Final = DataType("interval in months")
MICROS: Final = DataType("interval in time")
_DAY: Final = UNIT_MICROS["day"]
_MOMENTS: Final = (DATE, TIMESTAMP, TIMESTAMP_UTC)
_NUMBER: Final = re.compile(r"\s*([+-]?[0-9]+(?:\.[0-9]{1,9})?)\s*\Z")
_PAIRS: Final = re.compile(
    r"\s*(?:interval\s+)?((?:[+-]?[0-9]+(?:\.[0-9]+)?\s+[a-z]+\s*)+)\Z", re.IGNORECASE
)
_PAIR: Final = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?)\s+([a-z]+)", re.IGNORECASE)
_CLOCK: Final = ("day", "hour", "minute", "second")
_PARTS: Final = {
    "year": (MONTHS, 12, 0), "month": (MONTHS, 1, 12), "day": (MICROS, _DAY, 0),
    "hour": (MICROS, UNIT_MICROS["hour"], 24), "minute": (MICROS, UNIT_MICROS["minute"], 60),
}  # fmt: skip


_NOTHING: Final = constant(0, INT64)


@dataclass(frozen=True, slots=True)
class Interval(Typed):
    """An interval. `amount` is its length; `whole_days`: it is written in days or weeks."""

    amount: Typed = _NOTHING
    whole_days: bool = False


def interval(kind: DataType, amount: Typed, *, whole_days: bool = False) -> Interval:
    """An interval of some length."""
    poison = Call("interval", (amount.expression,))
    return Interval(poison, kind, amount.nullable, amount=amount, whole_days=whole_days)


def _fixed(kind: DataType, amount: int, *, whole_days: bool = False) -> Interval:
    length = constant(amount, INT32 if kind == MONTHS else INT64)
    return interval(kind, length, whole_days=whole_days)


def read_interval(text: str, unit: str, last: str) -> Interval:
    """`INTERVAL 'text' unit TO last`; empty words where a query has none. Raises: PlanError."""
    if last:
        return _span(text, unit.lower(), last.lower())
    if unit:
        return _pairs([(text, unit)])
    found = _PAIRS.match(text)
    if found is None:
        raise PlanError("this is no interval", hint="for example INTERVAL '1 day 2 hours'")
    return _pairs(_PAIR.findall(found[1]))


def _pairs(pairs: list[tuple[str, str]]) -> Interval:
    months, micros, days = 0, Decimal(0), True
    kinds = set()
    for text, name in pairs:
        number, unit = _NUMBER.match(text), unit_of(name)
        if number is None or ("." in text and unit != "second"):
            raise PlanError("this is no length of an interval", hint="for example INTERVAL '3' DAY")
        kinds.add(MONTHS if unit in UNIT_MONTHS else MICROS)
        if unit in UNIT_MONTHS:
            months += int(number[1]) * UNIT_MONTHS[unit]
        else:
            micros += Decimal(number[1]) * UNIT_MICROS[unit]
            days = days and unit in {"day", "week"}
    if len(kinds) > 1:
        raise PlanError("an interval has months or time, not both", hint="add one after the other")
    if kinds == {MONTHS}:
        return _fixed(MONTHS, months)
    return _fixed(MICROS, int(micros), whole_days=days)


def _span(text: str, first: str, last: str) -> Interval:
    sign = -1 if text.strip().startswith("-") else 1
    bare = text.strip().lstrip("+-")
    if (first, last) == ("year", "month"):
        found = re.fullmatch(r"([0-9]{1,9})-([0-9]{1,2})", bare)
        if found is None or int(found[2]) > 11:
            raise PlanError("this is no interval", hint="for example INTERVAL '1-2' YEAR TO MONTH")
        return _fixed(MONTHS, sign * (12 * int(found[1]) + int(found[2])))
    if first not in _CLOCK or last not in _CLOCK or _CLOCK.index(first) >= _CLOCK.index(last):
        raise PlanError("there is no such interval", hint="for example DAY TO SECOND")
    names = _CLOCK[_CLOCK.index(first) : _CLOCK.index(last) + 1]
    parts = [p for p in re.split(r"[ :]", bare) if p]
    form = r"[0-9]{1,9}" + "".join(
        (" +" if name == "hour" else ":") + r"[0-9]{1,2}" for name in names[1:]
    )
    fraction = r"(?:\.[0-9]{1,9})?" if last == "second" else ""
    if not re.fullmatch(form + fraction, bare):
        raise PlanError("this is no such interval", hint="for example '1 02:03:04' DAY TO SECOND")
    total = sum(Decimal(p) * UNIT_MICROS[n] for p, n in zip(parts, names, strict=True))
    return _fixed(MICROS, sign * int(total))


def combine(operator: str, left: Typed, right: Typed, columns: Columns) -> Typed | None:
    """`add`, `subtract`, `multiply` or `divide` where a side is an interval, or both are moments.

    None if there is neither. Raises: PlanError if there is no such operation.
    """
    if isinstance(left, Interval) and isinstance(right, Interval):
        return _both(operator, left, right, columns)
    if isinstance(left, Interval) or isinstance(right, Interval):
        return _one(operator, left, right, columns)
    if operator == "subtract" and left.type in _MOMENTS and right.type in _MOMENTS:
        return _between(left, right, columns)
    return None


def _both(operator: str, left: Interval, right: Interval, columns: Columns) -> Typed:
    if operator not in {"add", "subtract"}:
        raise _none(operator)
    a, b = same_kind(left, right)
    return interval(left.type, apply(operator, [a, b], columns))


def same_kind(left: Typed, right: Typed) -> tuple[Typed, Typed]:
    """The lengths of two intervals. Raises: PlanError if one counts months, and one time."""
    if not isinstance(left, Interval) or not isinstance(right, Interval):
        raise PlanError("an interval is compared with intervals only")
    if left.type != right.type:
        raise PlanError("months and time do not compare", hint="months differ in length")
    return left.amount, right.amount


def _one(operator: str, left: Typed, right: Typed, columns: Columns) -> Typed:
    if operator == "add" and isinstance(left, Interval):
        left, right = right, left
    if operator in {"add", "subtract"} and isinstance(right, Interval):
        length = negated(right, columns) if operator == "subtract" else right
        return _later(left, length, columns)
    if operator == "multiply" and isinstance(right, Interval):
        left, right = right, left
    if operator in {"multiply", "divide"} and isinstance(left, Interval):
        return _scaled(operator, left, right, columns)
    raise _none(operator)


def _none(operator: str) -> PlanError:
    return PlanError(
        f"{operator} has no meaning for these and an interval",
        hint="add it to a date or time, or multiply it by a number",
    )


def _scaled(operator: str, left: Interval, right: Typed, columns: Columns) -> Interval:
    kind = left.amount.type
    if operator == "multiply" and is_integer(right.type):
        return interval(
            left.type, apply("multiply", [left.amount, convert(right, kind, columns)], columns)
        )
    values = [convert(v, DOUBLE, columns) for v in (left.amount, right)]
    exact = apply("round", [apply(operator, values, columns), constant(0, INT32)], columns)
    return interval(left.type, cast(exact, kind, columns))


def negated(value: Interval, columns: Columns) -> Interval:
    """The interval in the other direction."""
    literal = value.amount.literal
    if literal is not None and literal.text is not None:
        return _fixed(value.type, -int(literal.text), whole_days=value.whole_days)
    return interval(value.type, apply("negate", [value.amount], columns))


def _later(moment: Typed, length: Interval, columns: Columns) -> Typed:
    if moment.type not in _MOMENTS:
        raise _none("add")
    if length.type == MONTHS:
        return apply("add_months", [moment, length.amount], columns)
    literal = length.amount.literal
    if moment.type == DATE and length.whole_days and literal is not None and literal.text:
        days = constant(int(literal.text) // _DAY, INT32)
        return apply("date_add", [moment, days], columns)
    instant = convert(moment, TIMESTAMP_UTC, columns) if moment.type == DATE else moment
    return apply("timestamp_add", [instant, length.amount], columns)


def _between(left: Typed, right: Typed, columns: Columns) -> Interval:
    if left.type == DATE and right.type == DATE:
        days = cast(apply("date_diff", [left, right], columns), INT64, columns)
        return interval(MICROS, apply("multiply", [days, constant(_DAY, INT64)], columns))
    kind = TIMESTAMP if TIMESTAMP_UTC not in (left.type, right.type) else TIMESTAMP_UTC
    pair = [convert(v, kind, columns) for v in (left, right)]
    return interval(MICROS, apply("timestamp_diff", pair, columns))


def part_of_interval(field: str, value: Interval, columns: Columns) -> Typed:
    """`extract(field FROM interval)`. Raises: PlanError."""
    unit = unit_of(field)
    kind, size, most = _PARTS.get(unit, (None, 1, 0))
    if unit == "second" and value.type == MICROS:
        rest = apply("remainder", [value.amount, constant(60 * 10**6, INT64)], columns)
        exact = cast(rest, DataType("decimal", 8, 0), columns)
        unit_size = constant(Decimal("0.000001"), DataType("decimal", 6, 6))
        return cast(
            apply("multiply", [exact, unit_size], columns), DataType("decimal", 8, 6), columns
        )
    if kind != value.type:
        raise PlanError(f"this interval has no {unit}", hint=f"one of {', '.join(_PARTS)}, second")
    wide = convert(value.amount, INT64, columns)
    found = apply("integer_divide", [wide, constant(size, INT64)], columns)
    if most:
        found = apply("remainder", [found, constant(most, INT64)], columns)
    narrow = {"month": DataType("int8"), "hour": DataType("int8"), "minute": DataType("int8")}
    return cast(found, narrow.get(unit, INT32), columns)


def make_interval(name: str, arguments: list[Typed], columns: Columns) -> Interval:
    """`make_ym_interval` and `make_dt_interval`. Raises: PlanError."""
    kind, units = (MONTHS, ("year", "month")) if name == "make_ym_interval" else (MICROS, _CLOCK)
    if len(arguments) > len(units):
        raise PlanError(f"{name} takes at most {len(units)} arguments")
    total = constant(0, INT32 if kind == MONTHS else INT64)
    for value, unit in zip(arguments, units, strict=False):
        total = apply("add", [total, _length(value, unit, total.type, columns)], columns)
    return interval(kind, total)


def _length(value: Typed, unit: str, kind: DataType, columns: Columns) -> Typed:
    if unit == "second":
        exact = cast(value, DataType("decimal", 18, 6), columns)
        million = constant(Decimal(10**6), DataType("decimal", 7, 0))
        return cast(apply("multiply", [exact, million], columns), INT64, columns)
    size = UNIT_MONTHS.get(unit) or UNIT_MICROS[unit]
    return apply("multiply", [convert(value, kind, columns), constant(size, kind)], columns)
