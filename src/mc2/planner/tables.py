"""A table as scripts see it: columns and a bound, never a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mc2.errors import PlanError

if TYPE_CHECKING:  # `import mc2` stays light: the planner is loaded when a script is compiled
    from mc2.planner.draft import Draft

_MOST_ROWS: Final = 10**12


class Table:
    """A table that a job reads or computes. It holds no rows: those exist in the enclave only."""

    __slots__ = ("_draft", "_node")

    def __init__(self, draft: Draft, node: int) -> None:
        from mc2.planner.draft import Draft

        if not isinstance(draft, Draft):  # a script cannot have one
            raise PlanError("tables come from job.table and job.sql")
        self._draft = draft
        self._node = node

    @property
    def column_names(self) -> list[str]:
        """The names of its columns, in order."""
        return [name for name, _ in self._columns()]

    @property
    def row_bound(self) -> int:
        """The most rows that it can have, as far as that is known beforehand."""
        from mc2.plan.shapes import TableShape

        shape = self._draft.shape(self._node)
        return shape.row_bound if isinstance(shape, TableShape) else 0

    def limit(self, count: int | None, *, offset: int = 0) -> Table:
        """Its first rows after `offset`, in its order; all of them if `count` is None.

        A table without an order, such as the result of a join, is first sorted by all its columns.

        Raises: PlanError if a number is negative or too large.
        """
        from mc2.plan.relations import Limit

        for number in (offset, 0 if count is None else count):
            if type(number) is not int or not 0 <= number <= _MOST_ROWS:
                raise PlanError(
                    f"limit takes whole numbers from 0 to {_MOST_ROWS}",
                    hint="table.limit(100), or table.limit(100, offset=200)",
                )
        return Table(self._draft, self._draft.add(Limit(self._node, count, offset)))

    def bound(self, rows: int, *, leak: str = "none") -> Table:
        """The same table, of which you know that it has at most so many rows; more fail the job.

        A job in oblivious mode reserves room for exactly so many, whatever there is. With `leak`
        "sizes" the host learns how many there are, with "rounded" that number rounded up to a
        power of two, and later steps are faster for it; "none" tells nothing.

        Raises: PlanError if the number or the word is none of these.
        """
        from mc2.plan.relations import LEAKS, RowBound

        if type(rows) is not int or not 0 <= rows <= _MOST_ROWS:
            raise PlanError(
                f"bound takes a whole number from 0 to {_MOST_ROWS}", hint="table.bound(10_000)"
            )
        if leak not in LEAKS:
            raise PlanError(f"leak is one of {', '.join(LEAKS)}")
        return Table(self._draft, self._draft.add(RowBound(self._node, rows, leak)))

    def _columns(self) -> list[tuple[str, str]]:
        from mc2.plan.shapes import TableShape

        shape = self._draft.shape(self._node)
        columns = shape.schema.columns if isinstance(shape, TableShape) else ()
        return [(c.name, str(c.type)) for c in columns]

    def __repr__(self) -> str:
        columns = ", ".join(f"{name} {kind}" for name, kind in self._columns())
        return f"Table({columns})"
