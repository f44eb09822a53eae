"""Functions of dates and times in oblivious mode: how long what they write can be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from string import digits
from typing import Final

from mc2.errors import PlanError
from mc2.plan.expressions import Expression, Literal
from mc2.plan.moment_format import DAYS, MONTHS, Piece, read_format, written_name

MOMENTS: Final = frozenset(
    {
        "exact_second", "iso_year", "next_day", "months_between", "whole_months",
        "make_timestamp", "format_moment", "parse_moment", "try_parse_moment",
    }
)  # fmt: skip
_MOST_DIGITS: Final = {"y": 4, "D": 3}
"""Of a field of one letter; two of others that are no names."""
_TWO: Final = 2
_ONE_DIGIT: Final = frozenset({"Q", "q"})


def names_of(field: str) -> tuple[str, ...] | None:
    """What a field of a pattern may become, if these are names."""
    letter, many = field[0], len(field)
    if letter == "E":
        return tuple(written_name(d, many) for d in DAYS)
    if letter == "M" and many > _TWO:
        return tuple(written_name(m, many) for m in MONTHS)
    return ("AM", "PM") if letter == "a" else None


def digits_of(field: str) -> tuple[int, int]:
    """The fewest and the most digits that a field of a pattern may become."""
    letter, many = field[0], len(field)
    if letter in _ONE_DIGIT or letter == "S" or many > 1:
        return many, many
    return 1, _MOST_DIGITS.get(letter, _TWO)


def check_moment(function: str, arguments: Sequence[Expression]) -> None:
    """Check that oblivious mode can read by a pattern in one way only. Raises: PlanError.

    Behind digits of which nobody knows how many they are stands no digit.
    """
    if not function.endswith("parse_moment"):
        return
    pattern = arguments[1]
    pieces = read_format(pattern.text or "") if isinstance(pattern, Literal) else ()
    for one, other in pairwise(pieces):
        open_ = one.is_field and names_of(one.text) is None and len(one.text) == 1
        if open_ and not other.is_field and other.text[0] in digits:
            raise PlanError(
                "a field of one letter stands before a digit in the pattern of dates, and "
                "oblivious mode could not tell which is which",
                hint="write MM, dd, HH",
            )


def piece_bytes(piece: Piece) -> int:
    """The most bytes that a piece of a pattern becomes."""
    if not piece.is_field:
        return len(piece.text.encode())
    names = names_of(piece.text)
    return digits_of(piece.text)[1] if names is None else max(map(len, names))


def pattern_bytes(pattern: str) -> int:
    """The most bytes of a date or time that is written by a pattern; one at least."""
    return max(1, sum(map(piece_bytes, read_format(pattern))))
