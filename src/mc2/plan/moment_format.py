"""Patterns of dates and times, a part of Spark's: `yyyy-MM-dd HH:mm:ss.SSS`.

Letters are fields, by letter and how many of them stand together; what stands between two `'` is
text, and `''` is one `'`; all other characters stand for themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from mc2.errors import PlanError

_LONGEST: Final = 100  # characters
_RUN: Final = re.compile(r"([A-Za-z])\1*|'((?:[^']|'')*)'|[^A-Za-z']")
FIELDS: Final = frozenset(
    {
        "y", "yy", "yyyy", "M", "MM", "MMM", "MMMM", "d", "dd", "D", "DDD", "Q", "q", "E", "EE",
        "EEE", "EEEE", "H", "HH", "h", "hh", "m", "mm", "s", "ss", "a",
        *("S" * n for n in range(1, 7)),
    }
)  # fmt: skip
"""Fields that a pattern may have."""

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
DAYS: Final = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip
_SHORT: Final = 3
_WHOLE: Final = 4
_NOT_READ: Final = frozenset({"D", "DDD", "Q", "q", "E", "EE", "EEE", "EEEE"})


def written_name(name: str, letters: int) -> str:
    """A month or day by a field of so many letters: four mean the whole name."""
    return name if letters == _WHOLE else name[:_SHORT]


@dataclass(frozen=True, slots=True)
class Piece:
    """A field, or a text that stands for itself."""

    text: str
    is_field: bool


def read_format(pattern: str) -> tuple[Piece, ...]:
    """The pieces of a pattern. Raises: PlanError."""
    if len(pattern) > _LONGEST:
        raise PlanError(f"a pattern of dates has at most {_LONGEST} characters")
    pieces, at = [], 0
    while at < len(pattern):
        found = _RUN.match(pattern, at)
        if found is None:
            raise PlanError("a quote in the pattern of dates is not closed")
        at = found.end()
        pieces.append(_piece(found))
    return tuple(pieces)


def _piece(found: re.Match[str]) -> Piece:
    if found[1]:
        if found[0] not in FIELDS:
            raise PlanError(
                f"{found[0]!r} may not stand in a pattern of dates",
                hint="fields are yyyy, MM, MMM, dd, HH, hh, mm, ss, SSS, a, EEE and the like; "
                "put text between quotes",
            )
        return Piece(found[0], is_field=True)
    if found[2] is not None:
        return Piece(found[2].replace("''", "'") or "'", is_field=False)
    if found[0] in "#{}[]":
        raise PlanError(
            f"{found[0]!r} may not stand in a pattern of dates", hint="put it in quotes"
        )
    return Piece(found[0], is_field=False)


def check_parsable(pieces: tuple[Piece, ...]) -> None:
    """Check that text can be read by a pattern in one way only. Raises: PlanError."""
    fields = [p.text for p in pieces if p.is_field]
    for field in fields:
        if field in _NOT_READ:
            raise PlanError(f"{field!r} can be written but not read")
    letters = [f[0] for f in fields]
    if len(set(letters)) != len(letters):
        raise PlanError("a pattern of dates has one field twice")
    if ("h" in letters) != ("a" in letters) or {"h", "H"} <= set(letters):
        raise PlanError("h and a stand together in a pattern of dates, and not beside H")
    for one, other in pairwise(pieces):
        if one.is_field and other.is_field and len(one.text) == 1 and one.text != "a":
            raise PlanError(
                "a field of one letter stands before another field", hint="write MM, dd, HH"
            )
