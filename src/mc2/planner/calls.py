"""Spark's functions, by name, as expressions of a plan. Nothing else is a function in a query.

Listed is what means exactly the same here; each family has a module of its own. Functions that
look at the clock or at chance are refused with the reason, and those that are simply not here with
a hint.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mc2.errors import PlanError
from mc2.planner.call_rules import MANY, Arguments, Columns, Rule, apply, cast, choose, negate
from mc2.planner.calls_choice import CHOICE
from mc2.planner.calls_lists import LISTS
from mc2.planner.calls_moments import MOMENTS
from mc2.planner.calls_numbers import NUMBERS
from mc2.planner.calls_texts import TEXTS
from mc2.planner.names import suggestion
from mc2.planner.typed import Typed

__all__ = ["FUNCTIONS", "REFUSED", "apply", "build_call", "cast", "choose", "negate"]

FUNCTIONS: Final[Mapping[str, Rule]] = {**CHOICE, **NUMBERS, **TEXTS, **MOMENTS, **LISTS}
"""All scalar functions of a query, by Spark's name."""


def build_call(name: str, arguments: Arguments, columns: Columns) -> Typed:
    """A call of a function of Spark. Raises: PlanError."""
    known = name.lower()
    if known == "unix_timestamp" and not arguments:
        raise PlanError("unix_timestamp() may not stand in a plan", hint=_CLOCK)
    if known in REFUSED:
        raise PlanError(f"{known} may not stand in a plan", hint=REFUSED[known])
    rule = FUNCTIONS.get(known)
    if rule is None:
        raise PlanError(f"there is no function {known!r} here", hint=suggestion(known, FUNCTIONS))
    if not rule.least <= len(arguments) <= rule.most:
        count = str(rule.least) if rule.least == rule.most else f"{rule.least} to {rule.most}"
        count = f"at least {rule.least}" if rule.most == MANY else count
        hint = f"{known}({', '.join(['...'] * rule.least)})"
        raise PlanError(f"{known} takes {count} arguments, not {len(arguments)}", hint=hint)
    return rule.build(arguments, columns)


_CLOCK: Final = "its value depends on when the job runs, and owners approve one fixed program"
_CHANCE: Final = "its value is left to chance, and the same job must give the same answer"
_ORDER: Final = "its value depends on the order of rows, which is not fixed; use min_by or max_by"

REFUSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("current_date", "current_timestamp", "curdate", "now", "localtimestamp"), _CLOCK,
    ),
    **dict.fromkeys(("rand", "random", "randn", "uuid", "shuffle"), _CHANCE),
    **dict.fromkeys(
        ("first", "first_value", "last", "last_value", "monotonically_increasing_id"), _ORDER,
    ),
    **dict.fromkeys(
        ("row_number", "rank", "dense_rank", "lag", "lead", "ntile"),
        "window functions are not planned yet; aggregate with GROUP BY",
    ),
}  # fmt: skip
"""Functions that Spark knows and a query may not use, with the reason."""
