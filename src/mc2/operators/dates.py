"""Functions of dates and times (docs/spec/plan.md): days and microseconds since 1970-01-01."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np

from mc2 import _native
from mc2.errors import EngineError
from mc2.formats.schema import DataType
from mc2.operators.arithmetic import Operation, check_integers
from mc2.operators.conversions import MICROSECONDS_PER_DAY
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    Words,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.logic import column, conjunction
from mc2.operators.run import Flag, Run
from mc2.plan.types import DATE, INT32, TIMESTAMP

DATE_FIELDS: Final = (
    "year", "quarter", "month", "day", "day_of_week", "day_of_year", "week",
)  # fmt: skip
DATE_UNITS: Final = ("year", "quarter", "month", "week")
TIME_UNITS: Final = {
    "day": MICROSECONDS_PER_DAY,
    "hour": 3_600_000_000,
    "minute": 60_000_000,
    "second": 1_000_000,
}
"""Microseconds in a unit of time."""

_ENDS: Final = {
    "quarter": (1, 4), "month": (1, 12), "day": (1, 31), "day_of_year": (1, 366), "week": (1, 53),
    "hour": (0, 23), "minute": (0, 59), "second": (0, 59),
}  # fmt: skip
_EPOCH: Final = date(1970, 1, 1).toordinal()
_WEEK: Final = 7
_SUNDAY_LAST: Final = 5  # from 1 for Sunday to 0 for Monday, but for whole weeks
_DAY_MINUTES: Final = 1440
_TO_THURSDAY: Final = 3  # days from Monday
_INFINITY: Final = 2**63 - 1
"""No time, but the engine's word for one that never comes."""
_PARTS: Final = {"hour": 24, "minute": 60, "second": 60}


def days_of(run: Run, a: SecretColumn) -> Words:
    """The day of each date or time."""
    if a.type == DATE:
        return flat_words_of(a)
    out = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.floor_divide, flat_words_of(a), MICROSECONDS_PER_DAY, out)
    return out


def date_field(run: Run, what: str, a: SecretColumn) -> SecretColumn:
    """A field of a date or time, by the names of `DATE_FIELDS` and hour, minute, second."""
    out = np.empty(a.rows, dtype=np.uint64)
    if what in DATE_FIELDS:
        run.call(_native.date_field, DATE_FIELDS.index(what), days_of(run, a), out)
    elif what in _PARTS:
        whole = np.empty(a.rows, dtype=np.uint64)
        run.call(_native.floor_divide, flat_words_of(a), TIME_UNITS[what], whole)
        run.call(_native.modulo, whole, _PARTS[what], out)
    else:
        raise EngineError(f"oblivious mode has no field {what} of a date")
    found = column(run, Layout(INT32), out, known_of(a))
    return SecretColumn(found.layout, words_of(found), known_of(found), _field_ends(what, a))


def _field_ends(what: str, a: SecretColumn) -> tuple[int, int] | None:
    """The least and the greatest value of a field, of all days or of those that there can be."""
    if what != "year" or a.type.name != "date" or a.ends is None:
        return _ENDS.get(what)
    least, greatest = (day + _EPOCH for day in a.ends)
    if least < 1 or greatest > date.max.toordinal():
        return None
    return date.fromordinal(least).year, date.fromordinal(greatest).year


def iso_day_of_week(run: Run, a: SecretColumn) -> SecretColumn:
    """1 for Monday to 7 for Sunday."""
    day, out = np.empty((2, a.rows), dtype=np.uint64)
    run.call(_native.date_field, DATE_FIELDS.index("day_of_week"), days_of(run, a), day)
    from_monday = _sum(run, day, np.full_like(day, _SUNDAY_LAST))
    run.call(_native.modulo, from_monday, _WEEK, out)
    return column(run, Layout(INT32), _sum(run, out, np.ones_like(out)), known_of(a))


def iso_year(run: Run, a: SecretColumn) -> SecretColumn:
    """The year that the ISO week belongs to: that of its Thursday."""
    start = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.truncate_date, DATE_UNITS.index("week"), days_of(run, a), start)
    thursday = _sum(run, start, np.full_like(start, _TO_THURSDAY))
    return date_field(run, "year", SecretColumn(Layout(DATE), thursday.reshape(-1, 1), known_of(a)))


def exact_second(run: Run, a: SecretColumn, kind: DataType) -> SecretColumn:
    """The second of a time with its microseconds, as a decimal of six fraction digits."""
    out = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.modulo, flat_words_of(a), TIME_UNITS["minute"], out)
    return column(run, Layout(kind), out, known_of(a))


def next_day(run: Run, a: SecretColumn, day: int, counts: Marks) -> SecretColumn:
    """The next date after it on a public day of the week: 1 for Monday to 7 for Sunday."""
    here, away = flat_words_of(iso_day_of_week(run, a)), np.empty(a.rows, dtype=np.uint64)
    ahead = _difference(run, np.full_like(here, day + _WEEK - 1), here)
    run.call(_native.modulo, ahead, _WEEK, away)
    by = SecretColumn(
        Layout(INT32), _sum(run, away, np.ones_like(away)).reshape(-1, 1), known_of(a)
    )
    return shift(run, a, by, DATE, counts)


def truncate(run: Run, unit: str, a: SecretColumn) -> SecretColumn:
    """The start of the unit that a date or time lies in."""
    out = np.empty(a.rows, dtype=np.uint64)
    if unit in DATE_UNITS:
        run.call(_native.truncate_date, DATE_UNITS.index(unit), days_of(run, a), out)
        if a.type != DATE:
            out = _times(run, out, MICROSECONDS_PER_DAY)
    elif unit in TIME_UNITS:
        if a.type == DATE:
            return a
        run.call(_native.floor_divide, flat_words_of(a), TIME_UNITS[unit], out)
        out = _times(run, out, TIME_UNITS[unit])
    else:
        raise EngineError(f"oblivious mode has no unit {unit}")
    return column(run, a.layout, out, known_of(a))


def last_day(run: Run, a: SecretColumn) -> SecretColumn:
    """The last day of the month."""
    out = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.last_day, flat_words_of(a), out)
    return column(run, a.layout, out, known_of(a))


def add_months(run: Run, a: SecretColumn, months: SecretColumn) -> SecretColumn:
    """The same day so many months later, on the last day of a month that is shorter."""
    known = conjunction(run, known_of(a), known_of(months))
    day, out = days_of(run, a), np.empty(a.rows, dtype=np.uint64)
    run.call(_native.add_months, day, flat_words_of(months), out)
    if a.type != DATE:
        time = np.empty(a.rows, dtype=np.uint64)
        run.call(_native.modulo, flat_words_of(a), MICROSECONDS_PER_DAY, time)
        out = _sum(run, _times(run, out, MICROSECONDS_PER_DAY), time)
    return column(run, a.layout, out, known)


def shift(
    run: Run, a: SecretColumn, by: SecretColumn, kind: DataType, counts: Marks
) -> SecretColumn:
    """So many days (dates) or microseconds (times) later."""
    known = conjunction(run, known_of(a), known_of(by))
    counted, out = conjunction(run, counts, known), np.empty(a.rows, dtype=np.uint64)
    add = int(Operation.ADD)
    run.checked(_native.integers, add, flat_words_of(a), flat_words_of(by), counted, out)
    if kind == DATE:
        check_integers(run, out, INT32, counted, Flag.OVERFLOW)
    return column(run, Layout(kind), out, known)


def difference(
    run: Run, a: SecretColumn, b: SecretColumn, kind: DataType, counts: Marks
) -> SecretColumn:
    """Days, or microseconds, from the second to the first."""
    known = conjunction(run, known_of(a), known_of(b))
    counted, out = conjunction(run, counts, known), np.empty(a.rows, dtype=np.uint64)
    subtract = int(Operation.SUBTRACT)
    run.checked(_native.integers, subtract, flat_words_of(a), flat_words_of(b), counted, out)
    check_integers(run, out, kind, counted, Flag.OVERFLOW)
    return column(run, Layout(kind), out, known)


def make_date(
    run: Run, year: SecretColumn, month: SecretColumn, day: SecretColumn, counts: Marks
) -> SecretColumn:
    """A date from its fields; a flag where there is no such day."""
    fields = (year, month, day)
    known = conjunction(run, *(known_of(f) for f in fields))
    counted, out = conjunction(run, counts, known), np.empty(year.rows, dtype=np.uint64)
    run.checked(_native.make_date, *(flat_words_of(f) for f in fields), counted, out)
    return column(run, Layout(DATE), out, known)


def make_timestamp(run: Run, fields: Sequence[SecretColumn], counts: Marks) -> SecretColumn:
    """A time from year, month, day, hour, minute and second, a decimal of six fraction digits.

    Midnight may be hour 24, and a minute's end second 60. Raises a flag where there is no such
    moment.
    """
    year, month, day, hour, minute, second = fields
    known = conjunction(run, *(known_of(f) for f in fields))
    counted, flag = conjunction(run, counts, known), int(Flag.BAD_CAST)
    days = flat_words_of(make_date(run, year, month, day, counted))
    minutes = _sum(run, _times(run, flat_words_of(hour), 60), flat_words_of(minute))
    for words, most in (
        (flat_words_of(minute), 59),
        (minutes, _DAY_MINUTES),
        (flat_words_of(second), TIME_UNITS["minute"]),
    ):
        run.checked(_native.check_range, words, 0, most, counted, flag)
    out = np.empty(year.rows, dtype=np.uint64)
    factors = np.full_like(days, MICROSECONDS_PER_DAY)
    run.checked(_native.integers, int(Operation.MULTIPLY), days, factors, counted, out)
    for more in (_times(run, minutes, TIME_UNITS["minute"]), flat_words_of(second)):
        start, out = out, np.empty_like(out)
        run.checked(_native.integers, int(Operation.ADD), start, more, counted, out)
    run.checked(_native.check_range, out, -_INFINITY, _INFINITY - 1, counted, flag)
    return column(run, Layout(TIMESTAMP), out, known)


def _times(run: Run, words: Words, factor: int) -> Words:
    """Numbers that are far from overflow, times a public one."""
    return _of_both(run, Operation.MULTIPLY, words, np.full_like(words, factor))


def _sum(run: Run, a: Words, b: Words) -> Words:
    return _of_both(run, Operation.ADD, a, b)


def _difference(run: Run, a: Words, b: Words) -> Words:
    return _of_both(run, Operation.SUBTRACT, a, b)


def _of_both(run: Run, what: Operation, a: Words, b: Words) -> Words:
    out, nobody = np.empty_like(a), np.zeros(len(a), dtype=np.uint8)
    run.checked(_native.integers, int(what), a, b, nobody, out)
    return out
