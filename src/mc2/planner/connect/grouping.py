"""groupBy, rollup, cube, pivot, distinct: steps that make one row of many."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from mc2.errors import PlanError
from mc2.planner.connect.expressions import Expressions, Value
from mc2.planner.connect.frame import Frame, quoted, unique
from mc2.planner.connect.literals import literal
from mc2.planner.connect.message import Message, unsupported
from mc2.planner.connect.projecting import kept, project
from mc2.planner.connect.scope import OneFrame
from mc2.planner.connect.translator import Translate, Translator

_NUMBER: Final = re.compile(r"-?[0-9.]+(e-?[0-9]+)?")
_PIVOTED: Final = "__pivot"


def _aggregate(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    scope = Expressions(OneFrame(frame))
    kind = message.text("group_type").removeprefix("GROUP_TYPE_")
    keys = scope.columns(message.items("grouping_expressions"))
    pivot, sets = message.take("pivot"), message.items("grouping_sets")
    for key in keys:
        if _NUMBER.fullmatch(key.sql):
            raise unsupported("a number as a grouping key", "name the column")
    values = scope.columns(message.items("aggregate_expressions"))
    if kind == "PIVOT":
        return _pivot(self, frame, keys, values, pivot)
    if not keys and not values:
        raise PlanError("agg names nothing to compute")
    clause = _clause(kind, keys, [[v.sql for v in _set(scope, s)] for s in sets])
    return project(self.program, frame, [*keys, *values], tail=clause)


def _set(scope: Expressions, value: object) -> Sequence[Value]:
    message = Message(value, "a grouping set")
    found = scope.columns(message.items("grouping_set"))
    message.done()
    return found


def _clause(kind: str, keys: Sequence[Value], sets: Sequence[Sequence[str]]) -> str:
    listed = ", ".join(k.sql for k in keys)
    match kind:
        case "GROUPBY":
            return f" GROUP BY {listed}" if keys else ""
        case "ROLLUP" | "CUBE":
            return f" GROUP BY {kind} ({listed})"
        case "GROUPING_SETS":
            inner = ", ".join(f"({', '.join(s)})" for s in sets)
            return f" GROUP BY GROUPING SETS ({inner})"
        case _:
            raise unsupported(f"grouping of kind {kind or 'nothing'}")


def _pivot(
    self: Translator, frame: Frame, keys: Sequence[Value], values: Sequence[Value], pivot: object
) -> Frame:
    """First one row for each combination, then one column for each value: as Spark does.

    So what has no rows is NULL in the result, also a count.
    """
    message = Message(pivot, "a pivot")
    column = Expressions(OneFrame(frame)).value(message.take("col"))
    wanted = [literal(v) for v in message.items("values")]
    message.done()
    if not wanted:
        raise unsupported(
            "pivot without its values",
            'the columns of a result must not depend on the data: pivot("c", ["a", "b"])',
        )
    inner = unique([*(k.name for k in keys), _PIVOTED, *(v.name for v in values)])
    named = [replace(column, name=_PIVOTED, inner="")]
    plain = [replace(v, name=n) for v, n in zip([*keys, *named, *values], inner, strict=True)]
    clause = f" GROUP BY {', '.join(v.sql for v in [*keys, column])}"
    grouped = project(self.program, frame, plain, tail=clause)
    key_columns = kept(grouped.visible[: len(keys)])
    shown_keys = [replace(c, name=k.name) for c, k in zip(key_columns, keys, strict=True)]
    result = [*shown_keys]
    for sql, shown in wanted:
        test = f"{quoted(_PIVOTED)} <=> {sql}"
        shown_value = "null" if shown == "NULL" else shown
        for value, name in zip(values, inner[len(keys) + 1 :], strict=True):
            cell = f"max(CASE WHEN {test} THEN {quoted(name)} END)"
            whole = shown_value if len(values) == 1 else f"{shown_value}_{value.name}"
            result.append(Value(cell, whole, named=True))
    second = f" GROUP BY {', '.join(k.sql for k in shown_keys)}" if keys else ""
    return project(self.program, grouped, result, tail=second)


def _distinct(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    names = [str(n) for n in message.items("column_names")]
    if message.flag("within_watermark"):
        raise unsupported("a stream")
    if message.flag("all_columns_as_keys") or not names:
        return project(self.program, frame, kept(frame.visible), distinct=True)
    keys = [frame.find([name]) for name in names]
    chosen = {k.inner for k in keys}
    rest = [c for c in frame.visible if c.inner not in chosen]
    if not rest:
        return project(self.program, frame, kept(frame.visible), distinct=True)
    # Spark keeps any row of each key; the least one is the same whenever the job runs.
    order = ", ".join(quoted(c.inner) for c in rest)
    window = f"PARTITION BY {', '.join(quoted(k.inner) for k in keys)} ORDER BY {order}"
    number = unique([*(c.inner for c in frame.columns), "row_number"])[-1]
    numbered = [
        *kept(frame.visible),
        Value(f"row_number() OVER ({window})", number, named=True),
    ]
    inside = project(self.program, frame, numbered)
    place = inside.visible[-1].inner
    return project(
        self.program, inside, kept(inside.visible[:-1]), tail=f" WHERE {quoted(place)} = 1"
    )


KINDS: Final[Mapping[str, Translate]] = {
    "aggregate": _aggregate,
    "deduplicate": _distinct,
}
