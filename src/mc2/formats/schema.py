"""Column types and schemas, as manifests, plans and results write them.

A type is text: `boolean`, `int8` to `int64`, `float`, `double`, `decimal(p,s)`, `string`,
`binary`, `date`, `timestamp` (microseconds, no zone), `timestamp_utc` (microseconds, an instant),
`list<T>` and `struct<name:T,…>`. Spec: docs/spec/schema.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from mc2.crypto.digest import Digest, digest
from mc2.crypto.labels import Label
from mc2.errors import FormatError
from mc2.formats.canonical import Json, encode
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS

DECIMAL_DIGITS: Final = 38
_NESTING: Final = 8
_COLUMN_NAME_LENGTH: Final = 255
_SIMPLE: Final = frozenset(
    {
        "boolean", "int8", "int16", "int32", "int64", "float", "double",
        "string", "binary", "date", "timestamp", "timestamp_utc",
    }
)  # fmt: skip
_DECIMAL: Final = re.compile(r"decimal\(([1-9][0-9]?),(0|[1-9][0-9]?)\)")
_WORD: Final = re.compile(r"[a-z0-9_]+")
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class DataType:
    """A column type. `name` is the word before any bracket; the rest stands in its own field."""

    name: str
    precision: int = 0
    scale: int = 0
    element: DataType | None = None
    fields: tuple[tuple[str, DataType], ...] = ()

    def __str__(self) -> str:
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.name == "list":
            return f"list<{self.element}>"
        if self.name == "struct":
            return "struct<" + ",".join(f"{n}:{t}" for n, t in self.fields) + ">"
        return self.name

    @property
    def has_width(self) -> bool:
        """Whether values differ in length, so that hiding their sizes needs a declared width."""
        return self.name in {"string", "binary", "list", "struct"}


def decimal(precision: int, scale: int) -> DataType:
    """`decimal(precision, scale)`. Raises: FormatError beyond 38 digits."""
    if not 1 <= precision <= DECIMAL_DIGITS or not 0 <= scale <= precision:
        raise FormatError(f"decimal({precision},{scale}) is beyond {DECIMAL_DIGITS} digits")
    return DataType("decimal", precision, scale)


def parse_type(text: str) -> DataType:
    """Read a type in its one spelling. Raises: FormatError."""
    if len(text) > LIMITS.note_bytes:
        raise FormatError("a column type is too long")
    found, end = _type_at(text, 0, 0)
    if end != len(text):
        raise FormatError(f"{text!r} is not a column type")
    return found


def _type_at(text: str, start: int, depth: int) -> tuple[DataType, int]:
    if depth > _NESTING:
        raise FormatError(f"column types nest no deeper than {_NESTING}")
    if number := _DECIMAL.match(text, start):
        return decimal(int(number[1]), int(number[2])), number.end()
    word = _WORD.match(text, start)
    name, after = (word[0], word.end()) if word else ("", start)
    if name in _SIMPLE:
        return DataType(name), after
    if name == "list" and text.startswith("<", after):
        element, end = _type_at(text, after + 1, depth + 1)
        return DataType("list", element=element), _expect(text, end, ">")
    if name == "struct" and text.startswith("<", after):
        return _struct_at(text, after + 1, depth)
    raise FormatError(f"{text!r} is not a column type")


def _struct_at(text: str, start: int, depth: int) -> tuple[DataType, int]:
    fields: list[tuple[str, DataType]] = []
    end = start
    while True:
        field = _FIELD.match(text, end)
        if not field or field[0] in dict(fields):
            raise FormatError(f"{text!r} is not a column type")
        inner, end = _type_at(text, _expect(text, field.end(), ":"), depth + 1)
        fields.append((field[0], inner))
        if not text.startswith(",", end):
            return DataType("struct", fields=tuple(fields)), _expect(text, end, ">")
        end += 1


def _expect(text: str, at: int, character: str) -> int:
    if not text.startswith(character, at):
        raise FormatError(f"{text!r} is not a column type")
    return at + 1


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name as the owner wrote it, its type, and whether it may hold NULL."""

    name: str
    type: DataType
    nullable: bool = True

    def json(self) -> Json:
        """The column as canonical JSON has it."""
        return {"name": self.name, "nullable": self.nullable, "type": str(self.type)}

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one column. Raises: FormatError."""
        fields = Fields(value, "a column")
        name = fields.text("name", _COLUMN_NAME_LENGTH)
        nullable = fields.boolean("nullable")
        kind = parse_type(fields.text("type", LIMITS.note_bytes))
        fields.done()
        if not name or any(ord(c) < 32 for c in name):
            raise FormatError("a column name is empty or holds a control character")
        return cls(name, kind, nullable)


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a table, in order; no two names differ in case alone."""

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.columns) <= LIMITS.columns:
            raise FormatError(f"a table has 1 to {LIMITS.columns} columns")
        if len({c.name.casefold() for c in self.columns}) != len(self.columns):
            raise FormatError("two columns have one name (upper and lower case are the same)")

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(c.name for c in self.columns)

    def by_name(self) -> Mapping[str, Column]:
        """The columns by their exact names."""
        return {c.name: c for c in self.columns}

    def json(self) -> Json:
        """The schema as canonical JSON has it."""
        return [c.json() for c in self.columns]

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read a schema. Raises: FormatError."""
        if not isinstance(value, list) or len(value) > LIMITS.columns:
            raise FormatError("a schema is not a list of columns")
        return cls(tuple(Column.read(item) for item in value))

    @property
    def digest(self) -> Digest:
        """The schema's name, which every chunk of the table is bound to."""
        return _digest(self)


@lru_cache(maxsize=256)
def _digest(schema: Schema) -> Digest:
    """Each part of a chunk asks for it, and writing JSON takes as long as decrypting one."""
    return digest(Label.SCHEMA.prefix() + encode(schema.json()))


def width_paths(schema: Schema) -> tuple[str, ...]:
    """What needs a declared width: `name`, a list's elements as `name[]`, a field as `name.f`.

    The width of a string or binary is its most bytes (in UTF-8), that of a list its most elements.
    """
    return tuple(p for c in schema.columns for p, _ in _loose_parts(c.name, c.type))


def _loose_parts(path: str, kind: DataType) -> Iterator[tuple[str, DataType]]:
    if kind.name in {"string", "binary", "list"}:
        yield path, kind
    if kind.element is not None:
        yield from _loose_parts(f"{path}[]", kind.element)
    for name, inner in kind.fields:
        yield from _loose_parts(f"{path}.{name}", inner)
