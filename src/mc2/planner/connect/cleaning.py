"""na.fill, na.drop, na.replace: steps that deal with NULL and NaN."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.planner.connect.expressions import Value
from mc2.planner.connect.frame import Frame, FrameColumn, quoted
from mc2.planner.connect.literals import literal
from mc2.planner.connect.message import Message, unsupported
from mc2.planner.connect.projecting import kept, project
from mc2.planner.connect.translator import Translate, Translator
from mc2.planner.connect.types import sql_type

_FRACTIONS: Final = ("float", "double")
_NUMBERS: Final = ("int8", "int16", "int32", "int64", "float", "double", "decimal")
_KINDS_OF: Final = {"string": ("string",), "boolean": ("boolean",)}


def _fill(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    names = [str(n) for n in message.items("cols")]
    values = message.items("values")
    if not values:
        raise PlanError("na.fill names no value")
    if len(values) not in {1, len(names)}:
        raise PlanError("na.fill has another number of values than of columns")
    fills: dict[str, Any] = {}
    if len(values) > 1 or (names and len(names) == len(values)):
        for name, value in zip(names, values, strict=True):
            fills[frame.find([name]).inner] = value
    else:
        chosen = [frame.find([n]) for n in names] or list(frame.visible)
        fills = {c.inner: values[0] for c in chosen}
    fills = {k: v for k, v in fills.items() if _fits(frame, k, v)}
    return _changed(self, frame, dict.fromkeys(fills, _filled), fills)


def _fits(frame: Frame, inner: str, value: Mapping[str, Any]) -> bool:
    """Whether a value is of the kind of a column: Spark passes over the others."""
    column = next(c for c in frame.columns if c.inner == inner)
    return column.type.name in _kinds(value)


def _kinds(value: Mapping[str, Any]) -> tuple[str, ...]:
    kind = next((k for k in value if k != "data_type"), "")
    return _KINDS_OF.get(kind, _NUMBERS)


def _changed(
    self: Translator,
    frame: Frame,
    changes: Mapping[str, Callable[[FrameColumn, Any], str]],
    values: Mapping[str, Any],
) -> Frame:
    if not changes:
        return frame
    items = [
        Value(changes[c.inner](c, values[c.inner]), c.name) if c.inner in changes else kept([c])[0]
        for c in frame.visible
    ]
    return project(self.program, frame, items)


def _filled(column: FrameColumn, value: Any) -> str:
    fill = _constant(value, column.type)
    name = quoted(column.inner)
    if column.type.name in _FRACTIONS:  # NaN counts as missing, too
        return f"CASE WHEN {name} IS NULL OR isnan({name}) THEN {fill} ELSE {name} END"
    return f"coalesce({name}, {fill})"


def _constant(value: object, kind: DataType) -> str:
    return f"CAST({literal(value)[0]} AS {sql_type(kind).upper()})"


def _drop(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    names = [str(n) for n in message.items("cols")]
    least = message.take("min_non_nulls")
    columns = [frame.find([n]) for n in names] or list(frame.visible)
    tests = [_present(c) for c in columns]
    if least is None:
        condition = " AND ".join(tests)
    else:
        ones = " + ".join(f"CASE WHEN {t} THEN 1 ELSE 0 END" for t in tests)
        condition = f"({ones}) >= {int(least)}"
    return self.program.step(f"SELECT * FROM {frame.sql} WHERE {condition}", frame)


def _present(column: FrameColumn) -> str:
    name = quoted(column.inner)
    if column.type.name in _FRACTIONS:
        return f"{name} IS NOT NULL AND NOT isnan({name})"
    return f"{name} IS NOT NULL"


def _replace(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    names = [str(n) for n in message.items("cols")]
    pairs = [_pair(r) for r in message.items("replacements")]
    if not pairs:
        raise PlanError("na.replace names no value")
    kinds = {_kinds(old) for old, _ in pairs}
    if len(kinds) != 1:
        raise unsupported("na.replace of values of several types", "replace them one by one")
    columns = [frame.find([n]) for n in names] or list(frame.visible)
    allowed = kinds.pop()
    chosen = {c.inner: _fitting(c, pairs) for c in columns if c.type.name in allowed}
    chosen = {inner: fitting for inner, fitting in chosen.items() if fitting}
    return _changed(self, frame, dict.fromkeys(chosen, _replaced), chosen)


def _fitting(column: FrameColumn, pairs: Sequence[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Without pairs whose old value, such as NaN, no column of this type holds."""
    if column.type.name in _FRACTIONS:
        return list(pairs)
    return [pair for pair in pairs if not _endless(pair[0])]


def _endless(value: Mapping[str, Any]) -> bool:
    number = value.get("double", value.get("float", 0.0))
    return number in {"NaN", "Infinity", "-Infinity"} or not math.isfinite(float(number))


def _pair(value: object) -> tuple[Any, Any]:
    message = Message(value, "a replacement")
    pair = message.take("old_value"), message.take("new_value")
    message.done()
    return pair


def _replaced(column: FrameColumn, pairs: Sequence[tuple[Any, Any]]) -> str:
    name, kind = quoted(column.inner), column.type
    whens = "".join(
        f" WHEN {name} = {_constant(old, kind)} THEN {_constant(new, kind)}" for old, new in pairs
    )
    return f"CASE{whens} ELSE {name} END"


KINDS: Final[Mapping[str, Translate]] = {
    "fill_na": _fill,
    "drop_na": _drop,
    "replace": _replace,
}
