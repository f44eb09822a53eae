"""Types, as Spark Connect writes them, to ours and back; and the words that Spark has for them."""

from __future__ import annotations

import re
from typing import Any, Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType, decimal
from mc2.planner.connect.message import Json, Message, unsupported

_SIMPLE: Final = {
    "boolean": "boolean", "byte": "int8", "short": "int16", "integer": "int32", "long": "int64",
    "float": "float", "double": "double", "string": "string", "binary": "binary", "date": "date",
    "timestamp": "timestamp_utc", "timestamp_ntz": "timestamp",
}  # fmt: skip
_MESSAGES: Final = {ours: theirs for theirs, ours in _SIMPLE.items()}
_WORDS: Final = {
    "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint",
    "timestamp": "timestamp_ntz", "timestamp_utc": "timestamp",
}  # fmt: skip
_TREE_WORDS: Final = {"int8": "byte", "int16": "short", "int32": "integer", "int64": "long"}
_TYPE_TEXT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_<>,:() ]{0,254}")


def read_type(value: object) -> DataType:
    """A type from its message. Raises: PlanError."""
    message = Message(value, "a type")
    kind, inner = message.one()
    if kind == "decimal":
        # Left out, they are Spark's decimal(10,0).
        return decimal(int(inner.get("precision", 10)), int(inner.get("scale", 0)))
    if kind == "array":
        return DataType("list", element=read_type(inner.get("element_type")))
    if kind == "struct":
        fields = inner.get("fields", ())
        return DataType(
            "struct", fields=tuple((f["name"], read_type(f["data_type"])) for f in fields)
        )
    if kind == "string" and inner.get("collation", "UTF8_BINARY") != "UTF8_BINARY":
        raise unsupported(f"the collation {inner['collation']}")
    if kind not in _SIMPLE:
        raise unsupported(f"the type {kind}")
    return DataType(_SIMPLE[kind])


def type_message(kind: DataType) -> Json:
    """A type as the client reads it."""
    if kind.name == "decimal":
        return {"decimal": {"precision": kind.precision, "scale": kind.scale}}
    if kind.name == "list" and kind.element is not None:
        return {"array": {"element_type": type_message(kind.element), "contains_null": True}}
    if kind.name == "struct":
        fields = [
            {"name": name, "data_type": type_message(inner), "nullable": True}
            for name, inner in kind.fields
        ]
        return {"struct": {"fields": fields}}
    if kind.name not in _MESSAGES:
        raise unsupported(f"the type {kind}")
    return {_MESSAGES[kind.name]: {}}


def schema_message(columns: Any) -> Json:
    """A schema as the client reads it, of (name, type, nullable)."""
    fields = [
        {"name": name, "data_type": type_message(kind), "nullable": nullable}
        for name, kind, nullable in columns
    ]
    return {"struct": {"fields": fields}}


def sql_type(kind: DataType) -> str:
    """A type as SQL writes it: `bigint`, `array<int>`."""
    if kind.name == "list" and kind.element is not None:
        return f"array<{sql_type(kind.element)}>"
    if kind.name == "struct":
        return "struct<" + ",".join(f"{n}:{sql_type(t)}" for n, t in kind.fields) + ">"
    return _WORDS.get(kind.name, str(kind))


def type_text(text: str) -> str:
    """A type that the client wrote as text, safe to stand in SQL. Raises: PlanError."""
    if not _TYPE_TEXT.fullmatch(text):
        raise PlanError(f"{text!r} is not a type", hint='for example "bigint"')
    return text.upper()


def tree_string(columns: Any, level: int | None = None) -> str:
    """What `printSchema` prints, of (name, type, nullable)."""
    lines = ["root"]
    for name, kind, nullable in columns:
        lines += _branch(name, kind, f"nullable = {str(nullable).lower()}", 1, level)
    return "\n".join(lines) + "\n"


def _branch(name: str, kind: DataType, note: str, depth: int, level: int | None) -> list[str]:
    word = {"list": "array", "struct": "struct"}.get(kind.name)
    word = word or _TREE_WORDS.get(kind.name) or sql_type(kind)
    lines = [f"{' |   ' * (depth - 1)} |-- {name}: {word} ({note})"]
    if level is not None and level > 0 and depth >= level:
        return lines
    if kind.name == "list" and kind.element is not None:
        lines += _branch("element", kind.element, "containsNull = true", depth + 1, level)
    for inner, inner_kind in kind.fields:
        lines += _branch(inner, inner_kind, "nullable = true", depth + 1, level)
    return lines
