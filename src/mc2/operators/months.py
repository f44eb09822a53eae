"""Months between two times (docs/spec/plan.md), in the years 1 to 9999."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.arithmetic import Operation, compute
from mc2.operators.comparisons import equal_marks, less_marks
from mc2.operators.constants import constant
from mc2.operators.conversions import MICROSECONDS_PER_DAY, cast
from mc2.operators.dates import TIME_UNITS, date_field, days_of, last_day
from mc2.operators.elements import numbers
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.logic import choose, column, conjunction, disjunction
from mc2.operators.numbers import floored, whole
from mc2.operators.run import Flag, Run
from mc2.plan.types import DATE, DOUBLE, INT64

_EPOCH: Final = date(1970, 1, 1).toordinal()
_FIRST_DAY: Final = date.min.toordinal() - _EPOCH
_LAST_DAY: Final = date.max.toordinal() - _EPOCH
_DAY_SECONDS: Final = 86_400
_MONTH_SECONDS: Final = 31 * _DAY_SECONDS
_EIGHT_DIGITS: Final = 1e8
_YEAR_MONTHS: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class _Moment:
    """Its month as one number, its day in it, whether that is the last, and its microseconds."""

    month: SecretColumn
    day: SecretColumn
    time: SecretColumn
    is_last: Marks


def check_years(run: Run, a: SecretColumn, counts: Marks) -> None:
    """Raise a flag for dates and times that are in none of the years 1 to 9999."""
    counted, flag = conjunction(run, counts, known_of(a)), int(Flag.OUT_OF_DOMAIN)
    ends = [_FIRST_DAY, _LAST_DAY]
    if a.type != DATE:
        ends = [_FIRST_DAY * MICROSECONDS_PER_DAY, (_LAST_DAY + 1) * MICROSECONDS_PER_DAY - 1]
    run.checked(_native.check_range, flat_words_of(a), *ends, counted, flag)


def months_between(
    run: Run, a: SecretColumn, b: SecretColumn, counts: Marks, *, rounded: bool
) -> SecretColumn:
    """Months from the second time to the first, a day being 1/31 of one.

    Whole between equal days, or last days, of months. Each step is rounded as doubles are; at the
    end to eight digits if `rounded`.
    """
    one, other, known = _both(run, a, b, counts)
    months = _less(run, one.month, other.month)
    days = _times(run, _less(run, one.day, other.day), _DAY_SECONDS)
    seconds = [floored(run, m.time, TIME_UNITS["second"]) for m in (one, other)]
    apart = _real(run, _more(run, days, _less(run, *seconds)))
    share = _doubles(run, Operation.DIVIDE, apart, float(_MONTH_SECONDS))
    found = _sum(run, _real(run, months), share)
    if rounded:
        units = _doubles(run, Operation.MULTIPLY, found, _EIGHT_DIGITS)
        raised = _doubles(run, Operation.ADD, units, 0.5)
        nowhere = np.zeros_like(known)
        cut = _real(run, whole(run, raised, INT64, nowhere, upwards=False))
        found = _doubles(run, Operation.DIVIDE, cut, _EIGHT_DIGITS)
    same = disjunction(
        run, equal_marks(run, one.day, other.day), conjunction(run, one.is_last, other.is_last)
    )
    chosen = choose(run, same, _real(run, months), found)
    return column(run, chosen.layout, words_of(chosen), known)


def whole_months(run: Run, a: SecretColumn, b: SecretColumn, counts: Marks) -> SecretColumn:
    """Whole months from the second time to the first, towards zero."""
    one, other, known = _both(run, a, b, counts)
    months = _less(run, one.month, other.month)
    within = [_more(run, _times(run, m.day, MICROSECONDS_PER_DAY), m.time) for m in (one, other)]
    zero = _constant(0, a.rows)
    short = conjunction(run, less_marks(run, zero, months), less_marks(run, *within))
    over = conjunction(run, less_marks(run, months, zero), less_marks(run, within[1], within[0]))
    found = choose(run, short, _more(run, months, _constant(-1, a.rows)), months)
    found = choose(run, over, _more(run, months, _constant(1, a.rows)), found)
    return column(run, found.layout, words_of(found), known)


def _both(
    run: Run, a: SecretColumn, b: SecretColumn, counts: Marks
) -> tuple[_Moment, _Moment, Marks]:
    known = conjunction(run, known_of(a), known_of(b))
    counted = conjunction(run, counts, known)
    for time in (a, b):
        check_years(run, time, counted)
    return _moment(run, a), _moment(run, b), known


def _moment(run: Run, a: SecretColumn) -> _Moment:
    days = SecretColumn(Layout(DATE), days_of(run, a).reshape(-1, 1), np.ones_like(known_of(a)))
    time = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.modulo, flat_words_of(a), MICROSECONDS_PER_DAY, time)
    year, month, day = (_number(date_field(run, f, days)) for f in ("year", "month", "day"))
    is_last = equal_marks(run, last_day(run, days), days)
    return _Moment(_more(run, _times(run, year, _YEAR_MONTHS), month), day, numbers(time), is_last)


def _number(a: SecretColumn) -> SecretColumn:
    return numbers(flat_words_of(a))


def _constant(value: int, rows: int) -> SecretColumn:
    return constant(Layout(INT64), value, rows)


def _exact(run: Run, what: Operation, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """Of parts of times, which are far from overflow."""
    return compute(run, what, a, b, INT64, np.zeros(a.rows, dtype=np.uint8))


def _more(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    return _exact(run, Operation.ADD, a, b)


def _less(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    return _exact(run, Operation.SUBTRACT, a, b)


def _times(run: Run, a: SecretColumn, factor: int) -> SecretColumn:
    return _exact(run, Operation.MULTIPLY, a, _constant(factor, a.rows))


def _real(run: Run, a: SecretColumn) -> SecretColumn:
    return cast(run, a, DOUBLE, np.zeros(a.rows, dtype=np.uint8))


def _sum(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    return compute(run, Operation.ADD, a, b, DOUBLE, np.zeros(a.rows, dtype=np.uint8))


def _doubles(run: Run, what: Operation, a: SecretColumn, by: float) -> SecretColumn:
    other = constant(a.layout, by, a.rows)
    return compute(run, what, a, other, DOUBLE, np.zeros(a.rows, dtype=np.uint8))
