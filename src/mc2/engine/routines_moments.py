"""Functions of dates and times over microseconds since 1970, in years from 1 to 9999."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final

from mc2.engine.routines import PARSE, RANGE, Routine
from mc2.engine.routines_rows import row_by_row
from mc2.plan.functions_moments import DAYS as SHORT_DAYS
from mc2.plan.moment_format import DAYS, MONTHS, Piece, read_format, written_name

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # everything is UTC here
_MICROSECOND: Final = timedelta(microseconds=1)
_MONTH_SECONDS: Final = 31 * 86400
_DAY_MICROS: Final = 86400 * 10**6


def _moment(micros: int) -> datetime:
    try:
        return _EPOCH + micros * _MICROSECOND
    except OverflowError:
        raise ValueError(RANGE) from None


def _last_day(moment: datetime) -> bool:
    return moment.day == monthrange(moment.year, moment.month)[1]


def _months_between(one: int, other: int, *, rounded: bool) -> float:
    a, b = _moment(one), _moment(other)
    months = (a.year - b.year) * 12 + a.month - b.month
    if a.day == b.day or (_last_day(a) and _last_day(b)):
        return float(months)
    seconds = [m % _DAY_MICROS // 10**6 for m in (one, other)]
    between = (a.day - b.day) * 86400 + seconds[0] - seconds[1]
    found = months + between / _MONTH_SECONDS
    return (found * 1e8 + 0.5) // 1 / 1e8 if rounded else found


def _whole_months(one: int, other: int) -> int:
    a, b = _moment(one), _moment(other)
    months = (a.year - b.year) * 12 + a.month - b.month
    within = (a.day, one % _DAY_MICROS), (b.day, other % _DAY_MICROS)
    if months > 0 and within[0] < within[1]:
        return months - 1
    if months < 0 and within[0] > within[1]:
        return months + 1
    return months


MOMENTS: Final = {
    "months_between": row_by_row(
        "months_between", "int64 int64", "double", lambda a, b: _months_between(a, b, rounded=False)
    ),
    "months_between_rounded": row_by_row(
        "months_between_rounded", "int64 int64", "double",
        lambda a, b: _months_between(a, b, rounded=True),
    ),
    "whole_months": row_by_row("whole_months", "int64 int64", "int64", _whole_months),
}  # fmt: skip
"""Functions of two moments in microseconds."""

_WRITERS: Final[dict[str, Callable[[datetime, int], str]]] = {
    "y": lambda m, n: f"{m.year % 100:02}" if n == 2 else f"{m.year:0{n}}",  # yy
    "M": lambda m, n: written_name(MONTHS[m.month - 1], n) if n > 2 else f"{m.month:0{n}}",  # MMM
    "d": lambda m, n: f"{m.day:0{n}}",
    "D": lambda m, n: f"{m.timetuple().tm_yday:0{n}}",
    "Q": lambda m, _: str((m.month + 2) // 3),
    "q": lambda m, _: str((m.month + 2) // 3),
    "E": lambda m, n: written_name(DAYS[m.weekday()], n),
    "H": lambda m, n: f"{m.hour:0{n}}",
    "h": lambda m, n: f"{(m.hour + 11) % 12 + 1:0{n}}",
    "m": lambda m, n: f"{m.minute:0{n}}",
    "s": lambda m, n: f"{m.second:0{n}}",
    "S": lambda m, n: f"{m.microsecond:06}"[:n],
    "a": lambda m, _: "AM" if m.hour < 12 else "PM",  # noon
}


def format_moment(pattern: str) -> Routine:
    """Microseconds to text by a pattern."""
    pieces = read_format(pattern)

    def run(micros: int) -> str:
        moment = _moment(micros)
        return "".join(
            _WRITERS[p.text[0]](moment, len(p.text)) if p.is_field else p.text for p in pieces
        )

    return row_by_row(f"format_{pattern.encode().hex()}", "int64", "string", run)


def _reading(piece: Piece) -> str:
    if not piece.is_field:
        return re.escape(piece.text)
    letter, many = piece.text[0], len(piece.text)
    if letter == "a":
        digits = "(?i:AM|PM)"
    elif letter == "M" and many > 2:  # MMM
        digits = "|".join(written_name(m, many) for m in MONTHS)
    elif letter == "S" or many > 1:
        digits = f"[0-9]{{{many}}}"
    else:
        digits = "[0-9]{1,4}" if letter == "y" else "[0-9]{1,2}"
    return f"(?P<{letter}>{digits})"


def parse_moment(pattern: str, *, strict: bool) -> Routine:
    """Text to a timestamp by a pattern; what does not fit fails, or is NULL."""
    pieces = read_format(pattern)
    reader = re.compile("".join(map(_reading, pieces)) + r"\Z")
    short = any(p.is_field and p.text == "yy" for p in pieces)

    def run(text: str) -> datetime | None:
        found = reader.match(text)
        try:
            return _built({} if found is None else found.groupdict(), short=short)
        except ValueError:
            if strict:
                raise ValueError(PARSE) from None
            return None

    prefix = "parse" if strict else "try_parse"
    return row_by_row(f"{prefix}_{pattern.encode().hex()}", "string", "timestamp", run)


def _built(fields: dict[str, str], *, short: bool) -> datetime:
    if not fields:
        raise ValueError(PARSE)
    year = int(fields.get("y", "1970")) + (2000 if short else 0)
    month = fields.get("M", "1")
    number = int(month) if month.isdigit() else 1 + [m[:3] for m in MONTHS].index(month[:3])
    day = date(year, number, int(fields.get("d", "1")))
    hour = int(fields.get("H", "0"))
    if "h" in fields:
        if not 1 <= int(fields["h"]) <= 12:  # hours of a clock
            raise ValueError(PARSE)
        hour = int(fields["h"]) % 12 + (12 if fields["a"].upper() == "PM" else 0)
    micros = int(fields.get("S", "0").ljust(6, "0"))
    return datetime(  # noqa: DTZ001  # everything is UTC here
        day.year,
        day.month,
        day.day,
        hour,
        int(fields.get("m", "0")),
        int(fields.get("s", "0")),
        micros,
    )


def day_number(name: str) -> int:
    """1 for Mon to 7 for Sun."""
    return SHORT_DAYS.index(name) + 1
