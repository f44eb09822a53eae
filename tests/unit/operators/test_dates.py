"""Functions of dates and times against Python's datetime."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.secrets import everywhere, secret, values

from mc2.errors import EngineError
from mc2.operators import dates
from mc2.operators.handles import Layout
from mc2.operators.run import Run
from mc2.plan.types import DATE, INT32, INT64, TIMESTAMP

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - timestamps have no zone
YEARS = st.datetimes(dt.datetime(1600, 1, 1), dt.datetime(2400, 1, 1))  # noqa: DTZ001 - as above
FIELDS = {
    "year": lambda t: t.year,
    "quarter": lambda t: (t.month + 2) // 3,
    "month": lambda t: t.month,
    "day": lambda t: t.day,
    "day_of_week": lambda t: t.isoweekday() % 7 + 1,
    "day_of_year": lambda t: t.timetuple().tm_yday,
    "week": lambda t: t.isocalendar()[1],
    "hour": lambda t: t.hour,
    "minute": lambda t: t.minute,
    "second": lambda t: t.second,
}


def microseconds(t):
    return (t - EPOCH) // dt.timedelta(microseconds=1)


def both(moments):
    times = [None if t is None else microseconds(t) for t in moments]
    days = [None if t is None else (t.date() - EPOCH.date()).days for t in moments]
    return secret(Layout(TIMESTAMP), times), secret(Layout(DATE), days)


MOMENTS = st.lists(st.none() | YEARS, min_size=1, max_size=5)


@given(MOMENTS)
def test_fields(moments):
    run = Run()
    times, days = both(moments)
    for name, field in FIELDS.items():
        expected = [None if t is None else field(t) for t in moments]
        assert values(dates.date_field(run, name, times)) == expected
        if name not in {"hour", "minute", "second"}:
            assert values(dates.date_field(run, name, days)) == expected


@given(MOMENTS)
def test_units(moments):
    run = Run()
    times, days = both(moments)
    day = {"hour": 0, "minute": 0, "second": 0, "microsecond": 0}
    starts = {
        "year": lambda t: t.replace(month=1, day=1, **day),
        "month": lambda t: t.replace(day=1, **day),
        "week": lambda t: t.replace(**day) - dt.timedelta(days=t.weekday()),
        "day": lambda t: t.replace(**day),
        "minute": lambda t: t.replace(second=0, microsecond=0),
    }
    for unit, start in starts.items():
        expected = [None if t is None else start(t) for t in moments]
        found = values(dates.truncate(run, unit, times))
        assert found == [None if t is None else microseconds(t) for t in expected]
        found = values(dates.truncate(run, unit, days))
        assert found == [None if t is None else (t.date() - EPOCH.date()).days for t in expected]


@given(MOMENTS, st.integers(-500, 500))
def test_later_and_between(moments, by):
    run = Run()
    times, days = both(moments)
    more = secret(Layout(INT64), [by] * len(moments))
    counts = everywhere(times)
    later = dates.shift(run, days, more, DATE, counts)
    assert values(dates.difference(run, later, days, INT32, counts)) == [
        None if t is None else by for t in moments
    ]
    later = dates.shift(run, times, more, TIMESTAMP, counts)
    assert values(dates.difference(run, later, times, INT64, counts)) == [
        None if t is None else by for t in moments
    ]
    months = dates.add_months(run, times, more)
    fields = zip(
        values(dates.date_field(run, "year", months)),
        values(dates.date_field(run, "month", months)),
        values(dates.date_field(run, "second", months)), moments, strict=True,
    )  # fmt: skip
    for year, month, second, t in fields:
        if t is not None:
            place = t.year * 12 + t.month - 1 + by
            assert (year, month, second) == (place // 12, place % 12 + 1, t.second)
    run.finish()


def test_dates_from_fields():
    run = Run()
    y, m, d = (secret(Layout(INT32), v) for v in ([2024, 2023], [2, 2], [29, None]))
    assert values(dates.make_date(run, y, m, d, everywhere(y))) == [19_782, None]
    run.finish()
    assert values(dates.last_day(run, secret(Layout(DATE), [19_753]))) == [19_753]
    dates.make_date(run, y, m, secret(Layout(INT32), [30, 1]), everywhere(y))
    with pytest.raises(EngineError, match="converted"):
        run.finish()


def test_what_there_is_not_is_refused():
    times, _ = both([EPOCH])
    with pytest.raises(EngineError, match="no field"):
        dates.date_field(Run(), "century", times)
    with pytest.raises(EngineError, match="no unit"):
        dates.truncate(Run(), "century", times)
