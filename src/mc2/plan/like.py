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
