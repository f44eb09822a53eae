"""Functions of dates and times. Instants (timestamp_utc) are read in UTC."""

from __future__ import annotations

from typing import Final

from mc2.errors import PlanError
from mc2.plan.moment_format import check_parsable, read_format
from mc2.plan.signatures import OVERFLOW, Arguments, Nulls, define

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DATE_UNITS: Final = ("year", "quarter", "month", "week", "day")
UNITS: Final = (*DATE_UNITS, "hour", "minute", "second", "millisecond", "microsecond")
_PART: Final = "T -> int32 where T: moment"
_TIME_PART: Final = "T -> int32 where T: instant"


def _check_unit(arguments: Arguments) -> None:
    allowed = DATE_UNITS if arguments[1].type.name == "date" else UNITS
    if arguments[0].text not in allowed:
        raise PlanError(f"the unit of truncate_to is none of {', '.join(allowed)}")


def _check_day(arguments: Arguments) -> None:
    if arguments[1].text not in DAYS:
        raise PlanError(f"the day of next_day is none of {', '.join(DAYS)}")


def _check_format(arguments: Arguments) -> None:
    read_format(arguments[1].text)


def _check_parse(arguments: Arguments) -> None:
    check_parsable(read_format(arguments[1].text))


MOMENTS: Final = (
    # Dates and times. Instants (timestamp_utc) are read in UTC.
    define("year", _PART, "the year"),
    define("quarter", _PART, "the quarter, 1 to 4"),
    define("month", _PART, "the month, 1 to 12"),
    define("day", _PART, "the day of the month"),
    define("day_of_week", _PART, "1 for Sunday to 7 for Saturday"),
    define("day_of_year", _PART, "the day of the year"),
    define("week", _PART, "the ISO week of the year"),
    define("hour", _TIME_PART, "the hour"),
    define("minute", _TIME_PART, "the minute"),
    define("second", _TIME_PART, "the whole second"),
    define("date_add", "date, int32 -> date", "so many days later", fails=OVERFLOW),
    define("date_diff", "date, date -> int32", "days from the second to the first"),
    define("add_months", "T, int32 -> T where T: moment",
              "so many months later, on the last day of the month if it is shorter",
              fails=OVERFLOW),
    define("last_day", "date -> date", "the last day of the month"),
    define("truncate_to", "string, T -> T where T: moment",
           "the start of the year, quarter, month, week, day, hour, minute, second, millisecond "
           "or microsecond", literals=(0,), check=_check_unit),
    define("timestamp_add", "T, int64 -> T where T: instant", "so many microseconds later",
              fails=OVERFLOW),
    define("timestamp_diff", "T, T -> int64 where T: instant",
              "microseconds from the second to the first"),
    define("make_date", "int32, int32, int32 -> date", "from year, month and day",
              fails="there is no such day"),
    define("iso_year", _PART, "the year that the ISO week belongs to"),
    define("iso_day_of_week", _PART, "1 for Monday to 7 for Sunday"),
    define("exact_second", "T -> decimal(8,6) where T: instant", "the second with its fraction"),
    define("day_name", "T -> string where T: moment", "Sun to Sat"),
    define("month_name", "T -> string where T: moment", "Jan to Dec"),
    define("next_day", "date, string -> date", "the next such day of the week after it",
           literals=(1,), check=_check_day, fails=OVERFLOW),
    define("months_between", "T, T, boolean -> double where T: instant",
           "months from the second to the first, a day being 1/31, whole between equal or last "
           "days of months; rounded to 8 digits if the third is true", literals=(2,)),
    define("whole_months", "T, T -> int64 where T: instant",
           "whole months from the second to the first"),
    define("epoch_second", "T -> int64 where T: instant",
           "whole seconds since 1970, rounded down"),
    define("make_timestamp", "int32, int32, int32, int32, int32, decimal(16,6) -> timestamp",
           "from year, month, day, hour, minute and second", fails="there is no such moment"),
    define("format_moment", "T, string -> string where T: moment",
           'as a pattern says, see "Patterns of dates"', literals=(1,), check=_check_format,
           fails="the year does not fit the pattern"),
    define("parse_moment", "string, string -> timestamp",
           'read as a pattern says, see "Patterns of dates"', literals=(1,), check=_check_parse,
           fails="it does not fit the pattern"),
    define("try_parse_moment", "string, string -> timestamp",
           "read as a pattern says; NULL if it does not fit", Nulls.MAYBE, literals=(1,),
           check=_check_parse),
)  # fmt: skip
"""Parts of dates and times, and what is computed with them."""
