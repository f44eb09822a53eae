"""Where a query stands among the queries around it, and the rows its values are bound over.

A subquery that names columns of the query around it is planned over its *domain*: each combination
of those columns' values once. The domain's columns come first in the subquery's result, and every
clause keeps rows of different combinations apart; a join by these columns then gives each outer
row its answer. (Neumann and Kemper, "Unnesting arbitrary queries", BTW 2015, section 3.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from mc2.formats.schema import Column
from mc2.plan.build import PlanBuilder
from mc2.plan.plan import Operation
from mc2.planner.typed import Typed

Lookup = Callable[[exp.Column], Typed | None]
"""What a name means to an outer query; None if nothing."""


@dataclass(frozen=True, slots=True)
class Level:
    """`outer` finds names of the queries around; `domain` is the node of their values, if any."""

    outer: Lookup | None = None
    domain: int | None = None
    names: tuple[str, ...] = ()


TOP = Level()
"""A query that sees nothing around it."""


@dataclass(slots=True)
class Rows:
    """The relation that a clause's values are bound over. Look-ups add columns to it.

    `columns` are its columns, shared with whatever binds values; `find` says what a name means in
    it, or None. `reserved` are names of columns that stand beside it.
    """

    builder: PlanBuilder
    node: int
    columns: dict[str, Column]
    find: Lookup
    reserved: Mapping[str, Column] = field(default_factory=dict)

    def add(self, operation: Operation) -> None:
        """Put an operation over the rows, which keeps their columns. Raises: PlanError."""
        self.node = self.builder.add(operation)
        self.columns.update(self.builder.schema(self.node).by_name())

    def fresh(self, stem: str) -> str:
        """A name that no column has, upper and lower case being the same."""
        return free_name(stem, self.taken)

    @property
    def taken(self) -> set[str]:
        """All names, in lower case."""
        names = (*self.columns, *self.reserved, *self.builder.schema(self.node).names)
        return {n.casefold() for n in names}


def free_name(stem: str, taken: set[str]) -> str:
    """`stem_1`, or with the next number that is free."""
    number = 1
    while f"{stem}_{number}" in taken:
        number += 1
    return f"{stem}_{number}"
