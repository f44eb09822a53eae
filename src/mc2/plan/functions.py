"""The functions of a plan, by name; each family has a module of its own.

Spec: docs/spec/plan.md.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from mc2.errors import PlanError
from mc2.plan.functions_choice import CHOICE
from mc2.plan.functions_hashes import HASHES
from mc2.plan.functions_lists import LISTS
from mc2.plan.functions_moments import MOMENTS
from mc2.plan.functions_numbers import NUMBERS
from mc2.plan.functions_texts import TEXTS
from mc2.plan.signatures import Argument, Function

__all__ = ["FUNCTIONS", "Argument", "function"]

FUNCTIONS: Final = {f.name: f for f in (*CHOICE, *NUMBERS, *TEXTS, *MOMENTS, *LISTS, *HASHES)}
"""All scalar functions by name."""


def function(name: str) -> Function:
    """A function by name. Raises: PlanError."""
    try:
        return FUNCTIONS[name]
    except KeyError:
        near = get_close_matches(name[:63], FUNCTIONS, n=3)
        raise PlanError(
            f"there is no function {name[:63]!r}",
            hint=f"did you mean {' or '.join(near)}?" if near else "",
        ) from None
