"""What names mean in one step: the columns of a DataFrame, or of the two sides of a join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mc2.errors import PlanError
from mc2.planner.connect.frame import Frame, FrameColumn, matches, quoted
from mc2.planner.names import same


@dataclass(frozen=True, slots=True)
class Found:
    """A column, how the step's SQL names it, and which field of it is meant, if one is."""

    sql: str
    column: FrameColumn
    field: str = ""


def found_in(frame: Frame, parts: Sequence[str], plan_id: int | None, before: str = "") -> Found:
    """A column, or a field of a column that is a struct. Raises: PlanError."""
    try:
        column = frame.find(parts, plan_id)
    except PlanError:
        if len(parts) == 1:
            raise
        column = frame.find(parts[:-1], plan_id)
        fields = [name for name, _ in column.type.fields if same(name, parts[-1])]
        if len(fields) != 1:
            raise
        inner = f"{before}{quoted(column.inner)}.{quoted(fields[0])}"
        return Found(inner, column, parts[-1])
    return Found(f"{before}{quoted(column.inner)}", column)


class Scope(Protocol):
    """Resolves names."""

    def find(self, parts: Sequence[str], plan_id: int | None) -> Found:
        """The one column of a name. Raises: PlanError."""
        ...

    def star(self, qualifier: Sequence[str], plan_id: int | None) -> list[Found]:
        """What `*` or `x.*` stands for. Raises: PlanError."""
        ...


@dataclass(frozen=True, slots=True)
class OneFrame:
    """The columns of one DataFrame."""

    frame: Frame

    def find(self, parts: Sequence[str], plan_id: int | None) -> Found:
        """See `Scope`."""
        return found_in(self.frame, parts, plan_id)

    def star(self, qualifier: Sequence[str], plan_id: int | None) -> list[Found]:
        """See `Scope`."""
        columns = self.frame.visible
        if plan_id is not None:
            known = self.frame.origins.get(plan_id)
            if known is None or not all(c.inner for c in known):
                raise PlanError("df.* names a DataFrame that this one is not made of")
            columns = known
        if qualifier:
            named = tuple(c for c in columns if _of(c, qualifier))
            if not named:
                return _fields(self.frame, qualifier, plan_id)
            columns = named
        return [Found(quoted(c.inner), c) for c in columns]


def _fields(frame: Frame, parts: Sequence[str], plan_id: int | None) -> list[Found]:
    """All fields of the column that stands before a star. Raises: PlanError if it is no struct."""
    try:
        column = frame.find(parts, plan_id)
    except PlanError:
        column = None
    if column is None or not column.type.fields:
        raise PlanError(f"there is no DataFrame and no struct called {'.'.join(parts)!r} here")
    sql = quoted(column.inner)
    return [Found(f"{sql}.{quoted(name)}", column, name) for name, _ in column.type.fields]


@dataclass(frozen=True, slots=True)
class TwoFrames:
    """The columns of both sides of a join, which its SQL calls `l` and `r`."""

    left: Frame
    right: Frame

    def find(self, parts: Sequence[str], plan_id: int | None) -> Found:
        """See `Scope`."""
        sides = [("l", self.left), ("r", self.right)]
        shown = ".".join(parts)
        if plan_id is not None:
            sides = [(s, f) for s, f in sides if plan_id in f.origins]
            if len(sides) > 1:
                raise PlanError(
                    f"the column {shown!r} is ambiguous: both sides of the join are made of its "
                    "DataFrame",
                    hint='give both sides names: a.alias("x"), b.alias("y"), col("x.id")',
                )
        else:
            with_it = [(s, f) for s, f in sides if any(matches(c, parts) for c in f.visible)]
            if len(with_it) > 1:
                raise PlanError(
                    f"the column {shown!r} is ambiguous: both sides of the join have it",
                    hint="take it of its DataFrame: df.id, or give the DataFrames an alias",
                )
            sides = with_it
        if not sides:
            both = sorted({c.name for f in (self.left, self.right) for c in f.visible})
            raise PlanError(f"there is no column {shown!r} here", hint=f"there are: {both}")
        side, frame = sides[0]
        return found_in(frame, parts, plan_id, f"{side}.")

    def star(self, qualifier: Sequence[str], plan_id: int | None) -> list[Found]:
        """See `Scope`."""
        del qualifier, plan_id
        raise PlanError("* may not stand in the condition of a join", hint="name the columns")


def _of(column: FrameColumn, qualifier: Sequence[str]) -> bool:
    return any(len(q) == len(qualifier) and all(map(same, q, qualifier)) for q in column.qualifiers)
