"""Functions of dates and times in oblivious mode: how long what they write can be."""

from __future__ import annotations

from typing import Final

from mc2.plan.moment_format import DAYS, MONTHS, Piece, read_format, written_name

MOMENTS: Final = frozenset(
    {
        "exact_second", "iso_year", "next_day", "months_between", "whole_months",
        "make_timestamp", "format_moment",
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


def piece_bytes(piece: Piece) -> int:
    """The most bytes that a piece of a pattern becomes."""
    if not piece.is_field:
        return len(piece.text.encode())
    names = names_of(piece.text)
    return digits_of(piece.text)[1] if names is None else max(map(len, names))


def pattern_bytes(pattern: str) -> int:
    """The most bytes of a date or time that is written by a pattern; one at least."""
    return max(1, sum(map(piece_bytes, read_format(pattern))))
