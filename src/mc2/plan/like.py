r"""Patterns of LIKE: `%` is any text, `_` one character, a backslash takes the next as it is."""

from __future__ import annotations

from typing import Final

from mc2.errors import PlanError

ESCAPE: Final = "\\"
_SPECIAL: Final = frozenset({"%", "_", ESCAPE})


def check_pattern(pattern: str) -> None:
    """Check that each backslash stands before `%`, `_` or a backslash. Raises: PlanError.

    Engines differ on the other cases, so a plan has none of them.
    """
    at = 0
    while at < len(pattern):
        if pattern[at] == ESCAPE:
            at += 1
            if pattern[at : at + 1] not in _SPECIAL:
                raise PlanError(
                    "a backslash in a LIKE pattern stands before %, _ or a backslash only",
                    hint="write two backslashes to match one",
                )
        at += 1


def escape_with(pattern: str, escape: str) -> str:
    """The pattern with a backslash in the place of another escape. Raises: PlanError."""
    if escape == ESCAPE:
        return pattern
    written, at = [], 0
    while at < len(pattern):
        character = pattern[at]
        if character == escape:
            at += 1
            following = pattern[at : at + 1]
            if following not in {"%", "_", escape}:
                raise PlanError("the escape in a LIKE pattern stands before %, _ or itself only")
            written.append(f"{ESCAPE}{following}" if following in _SPECIAL else following)
        else:
            written.append(f"{ESCAPE}{ESCAPE}" if character == ESCAPE else character)
        at += 1
    return "".join(written)


def folded_pattern(pattern: str) -> str:
    """The pattern in lower case, by code point."""
    return "".join(low if len(low := c.lower()) == 1 else c for c in pattern)
