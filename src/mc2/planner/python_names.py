"""Names that Python functions over rows may have: those that mean nothing else in a query."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from mc2.errors import PlanError
from mc2.planner.aggregate_calls import AGGREGATES
from mc2.planner.calls import FUNCTIONS, REFUSED
from mc2.planner.sql_text import parse_query

_CLAUSES: Final = (
    "explode", "explode_outer", "posexplode", "posexplode_outer", "inline", "inline_outer",
    "stack", "grouping", "grouping_id", "cume_dist", "dense_rank", "percent_rank", "nth_value",
    "ilike", "in", "like", "rlike", "when", "window",
)  # fmt: skip
"""Names that mean something to a clause of a query, and are no function of a value."""


def check_free(name: str) -> None:
    """Refuse a name by which SQL means something else. Raises: PlanError."""
    known = name.lower()
    taken = known in {*FUNCTIONS, *REFUSED, *AGGREGATES, *_CLAUSES}
    if not taken:
        try:
            found = parse_query(f"SELECT {name}(1)", (), "spark")[0].expressions
            taken = [type(f) for f in found] != [exp.Anonymous] or found[0].this != name
        except PlanError:
            taken = True
    if taken:
        raise PlanError(
            f"the function {name!r} is called like one of SQL, which queries would mean",
            hint="give it another name",
        )
