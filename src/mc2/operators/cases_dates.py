"""Cases of operators of dates and times, and of their texts: see `mc2.operators.cases`."""

from __future__ import annotations

from mc2.formats.schema import decimal
from mc2.operators import dates, moment_texts, months
from mc2.operators.made import INSTANT, TEXT, Made, case, everywhere
from mc2.operators.run import Run
from mc2.plan.types import DATE, INT32

_SECONDS = decimal(8, 6)
_YEAR = 31_556_952_000_000  # microseconds


@case("dates.of_weeks")
def _of_weeks(run: Run, made: Made) -> object:
    day, time = made.column(DATE, 30_000), made.column(INSTANT, 50 * _YEAR)
    return [
        dates.iso_year(run, day), dates.iso_year(run, time),
        dates.exact_second(run, time, _SECONDS), dates.next_day(run, day, 3, everywhere(made)),
    ]  # fmt: skip


@case("dates.make_timestamp")
def _make_timestamp(run: Run, made: Made) -> object:
    fields = [made.column(INT32, below) for below in (3000, 14, 33, 26, 62)]
    second = made.column(decimal(16, 6), 61_000_000)
    return dates.make_timestamp(run, [*fields, second], everywhere(made))


@case("months")
def _months(run: Run, made: Made) -> object:
    a, b, counts = (*(made.column(INSTANT, 90 * _YEAR) for _ in range(2)), everywhere(made))
    months.check_years(run, made.column(DATE, 30_000), counts)
    found = [months.months_between(run, a, b, counts, rounded=rounded) for rounded in (True, False)]
    return [*found, months.whole_months(run, a, b, counts)]


_PATTERNS = (
    "yyyy-MM-dd HH:mm:ss.SSS",
    "EEEE d MMMM 'at' h a",
    "yy/D DDD Q E MMM",
    "",
    "''''SSSSSS",
)


@case("moment_texts.parse_moment")
def _parse_moment(run: Run, made: Made) -> object:
    text, counts = made.column(TEXT, 127, 26), everywhere(made)
    patterns = ("yyyy-MM-dd HH:mm:ss.SSS", "d MMMM yy h:m a", "'more than 16 bytes' M", "")
    return [
        moment_texts.parse_moment(run, text, p, counts, strict=strict)
        for p in patterns
        for strict in (True, False)
    ]


@case("moment_texts.format_moment")
def _format_moment(run: Run, made: Made) -> object:
    some = [made.column(DATE, 30_000), made.column(INSTANT, 50 * _YEAR)]
    counts = everywhere(made)
    return [moment_texts.format_moment(run, a, p, counts) for a in some for p in _PATTERNS]
