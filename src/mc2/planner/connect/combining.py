"""join, union, intersect, except, unpivot: steps over several tables, or over one several times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mc2.errors import PlanError
from mc2.planner.connect.expressions import Expressions, Value
from mc2.planner.connect.frame import Frame, FrameColumn, carried, quoted, unique
from mc2.planner.connect.literals import text_sql
from mc2.planner.connect.message import Message, unsupported
from mc2.planner.connect.projecting import kept
from mc2.planner.connect.scope import OneFrame, TwoFrames
from mc2.planner.connect.translator import Translate, Translator
from mc2.planner.connect.types import sql_type
from mc2.planner.names import same

_JOINS: Final = {
    "INNER": "JOIN",
    "FULL_OUTER": "FULL JOIN",
    "LEFT_OUTER": "LEFT JOIN",
    "RIGHT_OUTER": "RIGHT JOIN",
    "LEFT_ANTI": "LEFT ANTI JOIN",
    "LEFT_SEMI": "LEFT SEMI JOIN",
    "CROSS": "CROSS JOIN",
}
_SETS: Final = {"UNION": "UNION", "INTERSECT": "INTERSECT", "EXCEPT": "EXCEPT"}


@dataclass(frozen=True, slots=True)
class _Item:
    """A column of a join's result: its SQL, and the column of its side that it is."""

    sql: str
    column: FrameColumn
    side: str


def _join(self: Translator, message: Message) -> Frame:
    left, right = self.frame(message.take("left")), self.frame(message.take("right"))
    kind = message.text("join_type").removeprefix("JOIN_TYPE_")
    using = [str(name) for name in message.items("using_columns")]
    condition = message.take("join_condition")
    message.take("join_data_type")  # of Scala's joinWith only: says nothing about rows
    if kind not in _JOINS:
        raise unsupported(f"a join of kind {kind or 'nothing'}")
    if kind == "INNER" and not using and condition is None:
        kind = "CROSS"
    pairs = [(left.find([name]), right.find([name])) for name in using]
    on = _on(left, right, pairs, condition)
    if kind == "CROSS" and on:
        kind = "INNER"
    if kind != "CROSS":
        on = f" ON {on or 'true'}"
    items = _items(kind, left, right, pairs)
    return _joined(self, kind, (left, right), items, on)


def _on(
    left: Frame,
    right: Frame,
    pairs: Sequence[tuple[FrameColumn, FrameColumn]],
    condition: object,
) -> str:
    if condition is not None:
        return Expressions(TwoFrames(left, right)).value(condition).sql
    return " AND ".join(f"l.{quoted(a.inner)} = r.{quoted(b.inner)}" for a, b in pairs)


def _items(
    kind: str,
    left: Frame,
    right: Frame,
    pairs: Sequence[tuple[FrameColumn, FrameColumn]],
) -> list[_Item]:
    lefts = [_Item(f"l.{quoted(c.inner)}", c, "l") for c in left.columns]
    rights = [_Item(f"r.{quoted(c.inner)}", c, "r") for c in right.columns]
    if kind in {"LEFT_SEMI", "LEFT_ANTI"}:
        rights = []
    if not pairs:
        return [*lefts, *rights]
    keys = [_key(kind, a, b) for a, b in pairs]
    left_keys, right_keys = {a.inner for a, _ in pairs}, {b.inner for _, b in pairs}
    rest = [i for i in lefts if i.column.inner not in left_keys]
    rest += [i for i in rights if i.column.inner not in right_keys]
    # A side's own key, which only its DataFrame can still name, where it differs from the result's.
    hidden = [
        i for i in lefts if i.column.inner in left_keys and kind in {"RIGHT_OUTER", "FULL_OUTER"}
    ]
    hidden += [i for i in rights if i.column.inner in right_keys and kind != "RIGHT_OUTER"]
    return [*keys, *rest, *(replace(i, column=replace(i.column, hidden=True)) for i in hidden)]


def _key(kind: str, left: FrameColumn, right: FrameColumn) -> _Item:
    a, b = f"l.{quoted(left.inner)}", f"r.{quoted(right.inner)}"
    if kind == "FULL_OUTER":
        return _Item(f"coalesce({a}, {b})", replace(left, qualifiers=()), "")
    return _Item(b, right, "r") if kind == "RIGHT_OUTER" else _Item(a, left, "l")


def _joined(
    self: Translator, kind: str, sides: tuple[Frame, Frame], items: Sequence[_Item], on: str
) -> Frame:
    left, right = sides
    inner = unique(i.column.inner for i in items)
    listed = [
        i.sql if i.sql.partition(".")[2] == quoted(name) else f"{i.sql} AS {quoted(name)}"
        for i, name in zip(items, inner, strict=True)
    ]
    new = {
        side: {i.column.inner: name for i, name in zip(items, inner, strict=True) if i.side == side}
        for side in ("l", "r")
    }
    origins = carried(left.origins, lambda old: new["l"].get(old, ""))
    for plan_id, columns in carried(right.origins, lambda old: new["r"].get(old, "")).items():
        if kind not in {"LEFT_SEMI", "LEFT_ANTI"}:
            origins[plan_id] = None if plan_id in left.origins else columns
    text = f"SELECT {', '.join(listed)} FROM {left.sql} AS l {_JOINS[kind]} {right.sql} AS r{on}"
    merged = replace(left, origins=origins)
    return self.program.step(text, merged, [i.column for i in items], others=(right,))


def _set_operation(self: Translator, message: Message) -> Frame:
    left = self.frame(message.take("left_input"))
    right = self.frame(message.take("right_input"))
    kind = message.text("set_op_type").removeprefix("SET_OP_TYPE_")
    every, by_name = message.flag("is_all"), message.flag("by_name")
    missing = message.flag("allow_missing_columns")
    if kind not in _SETS:
        raise unsupported(f"a set operation of kind {kind or 'nothing'}")
    a, b = kept(left.visible), kept(right.visible)
    if by_name:
        a, b = _by_name(left, right, missing=missing)
    if len(a) != len(b):
        raise PlanError(f"one table has {len(a)} columns, the other {len(b)}")
    word = f"{_SETS[kind]} ALL" if every else _SETS[kind]
    inner = unique(v.name for v in a)
    first = ", ".join(_as(v, name) for v, name in zip(a, inner, strict=True))
    second = ", ".join(_as(v, name) for v, name in zip(b, inner, strict=True))
    text = f"SELECT {first} FROM {left.sql} {word} SELECT {second} FROM {right.sql}"
    columns = [
        FrameColumn(v.name, name, left.columns[0].type, nullable=True)
        for v, name in zip(a, inner, strict=True)
    ]
    new = {v.inner: name for v, name in zip(a, inner, strict=True) if v.inner}
    origins = carried(left.origins, lambda old: new.get(old, ""))
    return self.program.step(text, replace(left, origins=origins), columns, others=(right,))


def _as(value: Value, name: str) -> str:
    return value.sql if value.sql == quoted(name) else f"{value.sql} AS {quoted(name)}"


def _by_name(left: Frame, right: Frame, *, missing: bool) -> tuple[list[Value], list[Value]]:
    a: list[Value] = []
    b: list[Value] = []
    others = list(right.visible)
    for column, value in zip(left.visible, kept(left.visible), strict=True):
        match = next((c for c in others if same(c.name, column.name)), None)
        if match is None and not missing:
            raise PlanError(
                f"the second table has no column {column.name!r}",
                hint="unionByName(..., allowMissingColumns=True) fills it with NULL",
            )
        a.append(value)
        if match is None:
            b.append(_absent(column))
        else:
            others.remove(match)
            b.append(kept([match])[0])
    if others and not missing:
        raise PlanError(f"the first table has no column {others[0].name!r}")
    for column in others:
        a.append(_absent(column))
        b.append(kept([column])[0])
    return a, b


def _absent(column: FrameColumn) -> Value:
    return Value(f"CAST(NULL AS {sql_type(column.type).upper()})", column.name)


def _unpivot(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    scope = Expressions(OneFrame(frame))
    ids = scope.columns(message.items("ids"))
    given = message.take("values")
    if given is None:
        taken = {v.inner for v in ids}
        values = kept(c for c in frame.visible if c.inner not in taken)
    else:
        values = scope.columns(Message(given, "the values of unpivot").items("values"))
    if not values:
        raise PlanError("unpivot needs at least one column of values")
    variable, value_name = message.text("variable_column_name"), message.text("value_column_name")
    names = unique([*(v.name for v in ids), variable, value_name])
    parts = []
    for value in values:
        items = [Value(i.sql, i.name) for i in ids]
        items += [Value(text_sql(value.name), variable), Value(value.sql, value_name)]
        listed = ", ".join(_as(v, n) for v, n in zip(items, names, strict=True))
        parts.append(f"SELECT {listed} FROM {frame.sql}")
    shown = [*(v.name for v in ids), variable, value_name]
    columns = [
        FrameColumn(s, n, frame.columns[0].type, nullable=True)
        for s, n in zip(shown, names, strict=True)
    ]
    return self.program.step(" UNION ALL ".join(parts), replace(frame, origins={}), columns)


KINDS: Final[Mapping[str, Translate]] = {
    "join": _join,
    "set_op": _set_operation,
    "unpivot": _unpivot,
}
