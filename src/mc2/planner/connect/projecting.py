"""select, withColumn, drop, toDF: steps that choose and rename columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.planner.connect.expressions import Expressions, Value
from mc2.planner.connect.frame import (
    Frame,
    FrameColumn,
    carried,
    matches,
    quoted,
    split_name,
    unique,
)
from mc2.planner.connect.message import Message, entries
from mc2.planner.connect.program import Program
from mc2.planner.connect.scope import OneFrame
from mc2.planner.connect.translator import Translate, Translator
from mc2.planner.names import same

_UNKNOWN: Final = DataType("boolean")
"""Stands where a step will say which type a column has."""


def project(
    program: Program,
    frame: Frame,
    values: Sequence[Value],
    *,
    tail: str = "",
    distinct: bool = False,
) -> Frame:
    """A step that gives these values as columns. Raises: PlanError."""
    inner = unique(v.name for v in values)
    items = [_item(v, name) for v, name in zip(values, inner, strict=True)]
    by_inner = {c.inner: c for c in frame.columns}
    columns = tuple(
        FrameColumn(v.name, name, _UNKNOWN, True, _qualifiers(v, by_inner))
        for v, name in zip(values, inner, strict=True)
    )
    new: dict[str, str] = {}
    for value, name in zip(values, inner, strict=True):
        if value.inner:
            new.setdefault(value.inner, name)
    renamed = replace(frame, origins=carried(frame.origins, lambda old: new.get(old, "")))
    word = "DISTINCT " if distinct else ""
    text = f"SELECT {word}{', '.join(items)} FROM {frame.sql}{tail}"
    return program.step(text, renamed, columns)


def _item(value: Value, name: str) -> str:
    return value.sql if value.sql == quoted(name) else f"{value.sql} AS {quoted(name)}"


def _qualifiers(value: Value, columns: Mapping[str, FrameColumn]) -> tuple[tuple[str, ...], ...]:
    return columns[value.inner].qualifiers if value.inner in columns else ()


def kept(columns: Iterable[FrameColumn]) -> list[Value]:
    """Columns as they are."""
    return [Value(quoted(c.inner), c.name, c.inner) for c in columns]


def final(program: Program, frame: Frame) -> Frame:
    """The frame without hidden columns, and under the names that Spark shows where it can."""
    visible = frame.visible
    if not visible:
        # Rows without columns: only their number counts, and some column must carry it.
        first = frame.columns[0]
        return project(program, frame, [Value(quoted(first.inner), "row", first.inner)])
    plain = len(visible) == len(frame.columns) and all(
        c.inner == name for c, name in zip(visible, unique(c.name for c in visible), strict=True)
    )
    return frame if plain else project(program, frame, kept(visible))


def _project(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    expressions = message.items("expressions")
    if not expressions:
        return replace(frame, columns=tuple(replace(c, hidden=True) for c in frame.columns))
    return project(self.program, frame, Expressions(OneFrame(frame)).columns(expressions))


def widened(
    self: Translator, below: Frame, narrow: Frame, inner: Mapping[str, Any]
) -> Frame | None:
    """A `select` again, with all columns below it behind its own, hidden.

    None if it is more than a choice of values for each row, such as an aggregate.
    """
    values = Expressions(OneFrame(below)).columns(inner["expressions"])
    taken = {v.inner for v in values if v.inner}
    more = kept(c for c in below.visible if c.inner not in taken)
    if not more:
        return None
    try:
        whole = project(self.program, below, [*values, *more])
    except PlanError:
        return None
    hidden = tuple(replace(c, hidden=True) for c in whole.columns[len(values) :])
    columns = (*whole.columns[: len(values)], *hidden)
    # The origins that the narrow one has by its own number stay what they are there.
    own = {p: c for p, c in narrow.origins.items() if p not in whole.origins}
    return replace(whole, columns=columns, origins={**whole.origins, **own})


def _with_columns(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    scope = Expressions(OneFrame(frame))
    new = [scope.value({"alias": alias}) for alias in message.items("aliases")]
    for number, value in enumerate(new):
        if any(same(value.name, other.name) for other in new[:number]):
            raise PlanError(f"withColumns names {value.name!r} twice")
    values: list[Value] = []
    placed: set[str] = set()
    for old in kept(frame.visible):
        fresh = next((n for n in new if same(n.name, old.name)), None)
        values.append(old if fresh is None else fresh)
        if fresh is not None:
            placed.add(fresh.name)
    values += [n for n in new if n.name not in placed]
    return project(self.program, frame, values)


def _renamed(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    renames = [(str(r["col_name"]), str(r["new_col_name"])) for r in message.items("renames")]
    renames += [(o, str(n)) for o, n in entries(message.take("rename_columns_map", {}), "renames")]
    names = [c.name for c in frame.visible]
    changed: set[int] = set()
    for old, new in renames:
        for place, name in enumerate(names):
            if same(name, old):
                names[place] = new
                changed.add(place)
    values = [
        replace(v, name=name, inner="" if place in changed else v.inner)
        for place, (v, name) in enumerate(zip(kept(frame.visible), names, strict=True))
    ]
    return project(self.program, frame, values) if changed else frame


def _to_df(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    names = [str(n) for n in message.items("column_names")]
    if len(names) != len(frame.visible):
        raise PlanError(f"toDF names {len(names)} columns, and there are {len(frame.visible)}")
    values = [
        replace(v, name=name, inner="") for v, name in zip(kept(frame.visible), names, strict=True)
    ]
    return project(self.program, frame, values)


def _drop(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    gone: set[str] = set()
    for name in message.items("column_names"):
        gone |= {c.inner for c in frame.visible if matches(c, [str(name)])}
    for expression in message.items("columns"):
        gone |= _dropped(frame, expression)
    left = [c for c in frame.visible if c.inner not in gone]
    if len(left) == len(frame.visible):
        return frame
    if not left:
        return replace(frame, columns=tuple(replace(c, hidden=True) for c in frame.columns))
    return project(self.program, frame, kept(left))


def _dropped(frame: Frame, expression: object) -> set[str]:
    """The columns that `drop(...)` means; one that is not there is no error, as in Spark."""
    content = Message(expression, "a column")
    content.take("common")
    kind, inner = content.one()
    if kind != "unresolved_attribute":
        raise PlanError("drop takes columns, not values")
    parts = split_name(str(inner["unparsed_identifier"]))
    number = inner.get("plan_id")
    if number is None:
        return {c.inner for c in frame.visible if matches(c, parts)}
    known = frame.origins.get(int(number), ())
    if known is None:
        raise PlanError(
            f"the column {parts[-1]!r} is ambiguous", hint="give the DataFrames an alias"
        )
    return {c.inner for c in known if matches(c, parts)}


KINDS: Final[Mapping[str, Translate]] = {
    "project": _project,
    "with_columns": _with_columns,
    "with_columns_renamed": _renamed,
    "to_df": _to_df,
    "drop": _drop,
}
