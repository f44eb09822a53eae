"""Which column a name in a query means. Upper and lower case are the same, as in Spark.

A name that could mean two things is refused: nothing is chosen in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import count
from typing import Final

from sqlglot import exp

from mc2.formats.schema import Column
from mc2.plan.expressions import ColumnRef, Expression
from mc2.planner.sql_text import QueryText
from mc2.planner.typed import Typed, typed

_NUMBERED: Final = re.compile(r"(.+)#[1-9][0-9]*", re.DOTALL)


def same(a: str, b: str) -> bool:
    """Whether two names are one."""
    return a.casefold() == b.casefold()


def told_apart(names: Sequence[str]) -> list[str]:
    """The names with a number behind those that come again: `n`, `n#2`."""
    taken = {n.casefold() for n in names}
    seen: set[str] = set()
    found = []
    for name in names:
        new = name
        if name.casefold() in seen:
            numbered = (f"{name}#{number}" for number in count(2))
            new = next(n for n in numbered if n.casefold() not in taken)
        seen.add(new.casefold())
        taken.add(new.casefold())
        found.append(new)
    return found


def as_written(names: Sequence[str]) -> list[str]:
    """What a query called the columns that `told_apart` has named."""
    known = {n.casefold() for n in names}
    found = []
    for name in names:
        stem = _NUMBERED.fullmatch(name)
        found.append(stem[1] if stem and stem[1].casefold() in known else name)
    return found


@dataclass(frozen=True, slots=True)
class Visible:
    """A column that a query can name: its name, and what it is in terms of the plan's columns."""

    name: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Source:
    """A table in a FROM clause: its alias, its full name if it is a dataset, and its columns."""

    alias: str
    dataset: str | None
    columns: tuple[Visible, ...]

    def answers_to(self, qualifier: Sequence[str]) -> bool:
        """Whether `a.` or `party.table.` before a column means this table."""
        if len(qualifier) == 1:
            return same(self.alias, qualifier[0])
        return self.dataset is not None and same(self.dataset, ".".join(qualifier))


@dataclass(frozen=True, slots=True)
class Scope:
    """What the names of one SELECT mean.

    `merged` are the columns of USING, which stand for a pair; `columns` are the plan's columns of
    the relation below, with their types. `outer` finds what is a column of a query around this one.
    """

    where: QueryText
    sources: tuple[Source, ...]
    columns: Mapping[str, Column]
    merged: tuple[Visible, ...] = ()
    first_seen: dict[str, exp.Expr] = field(default_factory=dict)
    outer: Callable[[exp.Column], Typed | None] | None = None

    def resolve(self, node: exp.Column) -> Typed:
        """The column that a name means. Raises: PlanError if there is none, or more than one."""
        found = self.find(node)
        if not found:
            around = None if self.outer is None else self.outer(node)
            if around is None:
                raise self._unknown(node)
            return around
        if len(found) > 1:
            within = [s.alias for s, _ in found if s is not None]
            hint = "write " + " or ".join(f"{alias}.{node.name}" for alias in within)
            if len(set(within)) == 1:
                hint = f"name one of them where {within[0]} is made: AS other"
            raise self.where.error(node, f"{node.name!r} could be one of several columns", hint)
        expression = found[0][1].expression
        if isinstance(expression, ColumnRef):
            self.first_seen.setdefault(expression.name, node)
        return typed(expression, self.columns)

    def find(self, node: exp.Column) -> list[tuple[Source | None, Visible]]:
        """All columns that a name could mean."""
        qualifier = [part.name for part in node.parts[:-1]]
        if not qualifier:
            merged = [(None, v) for v in self.merged if same(v.name, node.name)]
            if merged:
                return list(merged)
        return [
            (source, column)
            for source in self.sources
            if not qualifier or source.answers_to(qualifier)
            for column in source.columns
            if same(column.name, node.name)
        ]

    def star(self, node: exp.Expr, qualifier: Sequence[str]) -> list[Visible]:
        """What `*` or `a.*` stands for. Raises: PlanError if there is no table `a`."""
        chosen = [s for s in self.sources if not qualifier or s.answers_to(qualifier)]
        if not chosen:
            raise self.where.error(node, f"there is no table {'.'.join(qualifier)!r} here")
        if qualifier:
            return [c for s in chosen for c in s.columns]
        rest = [
            c
            for s in chosen
            for c in s.columns
            if not any(same(c.name, m.name) for m in self.merged)
        ]
        return [*self.merged, *rest]

    def own_columns(self) -> dict[str, Column]:
        """The columns themselves, so that the scope knows those that look-ups add."""
        if not isinstance(self.columns, dict):
            raise TypeError("the columns of a FROM clause are a dictionary")
        return self.columns

    def look_up(self, node: exp.Column) -> Typed | None:
        """What a name means here or around; None if nothing. Raises: PlanError if several."""
        if self.find(node):
            return self.resolve(node)
        return None if self.outer is None else self.outer(node)

    def _unknown(self, node: exp.Column) -> Exception:
        qualifier = ".".join(part.name for part in node.parts[:-1])
        if qualifier and not any(s.answers_to(qualifier.split(".")) for s in self.sources):
            tables = ", ".join(s.alias for s in self.sources)
            return self.where.error(
                node, f"there is no table {qualifier!r} here", f"the tables are: {tables}"
            )
        names = [c.name for s in self.sources for c in s.columns]
        return self.where.error(
            node, f"there is no column {node.name!r} here", suggestion(node.name, names)
        )


def suggestion(name: str, names: Iterable[str]) -> str:
    """One sentence that says what may have been meant."""
    known = list(dict.fromkeys(names))
    lowered = {n.casefold(): n for n in known}
    near = get_close_matches(name.casefold(), lowered, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(lowered[n] for n in near) + "?"
    listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return f"there are: {listed}" if known else ""
