"""A DataFrame while it becomes SQL: which columns it has, and what the names in its code mean.

Spark lets two columns of a DataFrame have one name, and tells them apart by the DataFrame that they
came from (`a.id`, `b.id`); in SQL every column has a name of its own, here called `inner`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlglot.dialects.spark import Spark

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.planner.names import same, suggestion

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_KEYWORDS: Final = frozenset(Spark.Tokenizer.KEYWORDS)


@dataclass(frozen=True, slots=True)
class FrameColumn:
    """A column: the name that Spark shows, the name in SQL, and what may stand before the name.

    An empty `inner` says that the column is gone. A hidden one is no part of the result, but its
    DataFrame may still be asked for it, like the second key after `join(..., "id")`.
    """

    name: str
    inner: str
    type: DataType
    nullable: bool
    qualifiers: tuple[tuple[str, ...], ...] = ()
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """A DataFrame that stands in a script under a variable, or as a dataset by its name.

    `origins` holds, for each DataFrame that this one is made of (by the client's number), its
    columns as they are here; None where two parts of this one are that same DataFrame.
    """

    source: str
    node: int
    columns: tuple[FrameColumn, ...]
    origins: Mapping[int, tuple[FrameColumn, ...] | None] = field(default_factory=dict)

    @property
    def visible(self) -> tuple[FrameColumn, ...]:
        """The columns of the result."""
        return tuple(c for c in self.columns if not c.hidden)

    @property
    def is_variable(self) -> bool:
        """Whether the script has a variable for it; a dataset has none."""
        return "." not in self.source

    @property
    def sql(self) -> str:
        """How a FROM clause names it."""
        if self.is_variable:
            return f"{{{self.source}}}"
        return ".".join(quoted(part) for part in self.source.split("."))

    def known_as(self, plan_id: int | None) -> Frame:
        """The same, and its columns answer to one more DataFrame."""
        if plan_id is None:
            return self
        return replace(self, origins={**self.origins, plan_id: self.visible})

    def find(self, parts: Sequence[str], plan_id: int | None = None) -> FrameColumn:
        """The column that a name means. Raises: PlanError if none or several do."""
        shown = ".".join(parts)
        columns = self.visible
        if plan_id is not None:
            if plan_id not in self.origins:
                raise PlanError(
                    f"the column {shown!r} is of another DataFrame, which this one is not made of",
                    hint="join the two DataFrames first",
                )
            known = self.origins[plan_id]
            if known is None:
                raise PlanError(
                    f"the column {shown!r} is ambiguous: a DataFrame is joined with itself here",
                    hint='give both sides names: a.alias("x"), b.alias("y"), col("x.id")',
                )
            columns = known
        found = [c for c in columns if matches(c, parts)]
        if not found and plan_id is None:  # a join's second key, or what `select` just left out
            found = [c for c in self.columns if c.hidden and matches(c, parts)]
        if len(found) > 1 and len({c.inner for c in found}) > 1:
            raise PlanError(
                f"the column {shown!r} is ambiguous: {len(found)} columns have that name",
                hint="take it of its DataFrame: df.id, or give the DataFrames an alias",
            )
        if not found or not found[0].inner:
            here = suggestion(parts[-1], [c.name for c in self.visible])
            raise PlanError(f"there is no column {shown!r} here", hint=here)
        return found[0]


def matches(column: FrameColumn, parts: Sequence[str]) -> bool:
    """Whether `name` or `qualifier.name` means this column."""
    *qualifier, name = parts
    if not same(column.name, name):
        return False
    return not qualifier or any(
        len(q) == len(qualifier) and all(map(same, q, qualifier)) for q in column.qualifiers
    )


def carried(
    origins: Mapping[int, tuple[FrameColumn, ...] | None], inner: Callable[[str], str]
) -> dict[int, tuple[FrameColumn, ...] | None]:
    """Origins after a step that gives columns new inner names; "" for those that are gone."""
    return {
        plan_id: None
        if columns is None
        else tuple(replace(c, inner=inner(c.inner) if c.inner else "") for c in columns)
        for plan_id, columns in origins.items()
    }


def unique(names: Iterable[str]) -> list[str]:
    """Names of columns in a plan: the second of one name gets a number."""
    taken: set[str] = set()
    found = []
    for name in names:
        fresh, number = name, 2
        while fresh.casefold() in taken:
            fresh, number = f"{name}_{number}", number + 1
        taken.add(fresh.casefold())
        found.append(fresh)
    return found


def quoted(name: str) -> str:
    """A name as SQL writes it, in backticks if it needs them."""
    if _PLAIN.fullmatch(name) and name.upper() not in _KEYWORDS:
        return name
    return "`" + name.replace("`", "``") + "`"


def split_name(text: str) -> list[str]:
    """The parts of a column's name: dots separate, unless they stand in backticks.

    Raises: PlanError.
    """
    parts, at = [], 0
    pattern = re.compile(r"`((?:[^`]|``)+)`|([^`.]+)")
    while True:
        match = pattern.match(text, at)
        if match is None:
            raise PlanError(f"{text!r} is no name of a column", hint="write `a.b` in backticks")
        parts.append(match[1].replace("``", "`") if match[1] is not None else match[2])
        at = match.end()
        if at == len(text):
            return parts
        if text[at] != ".":
            raise PlanError(f"{text!r} is no name of a column", hint="write `a.b` in backticks")
        at += 1
