"""What an owner declares of a table for everybody to know: it is signed, and checked when used.

Facts are public. They let an oblivious plan reserve no more room than it must: a join on a unique
key has no more rows than the other side, and groups of a column are no more than its values.
Spec: docs/spec/dataset.md, section "Facts".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self, TypeVar

from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields, check_sorted_unique, text_item
from mc2.formats.limits import LIMITS
from mc2.formats.schema import Schema

MOST_DOMAIN: Final = 256
MOST_WIDTH: Final = 1 << 24
_MOST_KEYS: Final = 64
_NAME_LENGTH: Final = 255
_VALUE_LENGTH: Final = 1016
_PAIR: Final = 2
_RANGED: Final = frozenset({"int8", "int16", "int32", "int64", "date"})
_ASCENDING: Final = _RANGED | {"timestamp", "timestamp_utc"}
_NUMBER: Final = re.compile(r"(?:0|-?[1-9][0-9]{0,18})\Z")

T = TypeVar("T")

Range = tuple[int, int]
"""The least and the greatest value: whole numbers, or dates in days since 1970-01-01."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """Declared facts of one table.

    `widths`: the most bytes of a text and the most elements of a list, by path. `unique`: lists of
    columns in which no two rows agree, NULL being equal to NULL. `ranges`: of whole numbers and
    dates. `domains`: all values that a text column has, NULL apart. `ascending`: columns of whole
    numbers, dates or times without NULL, in each of which no row has less than the row before it.
    Nothing is implied by another.
    """

    widths: Mapping[str, int] = field(default_factory=dict)
    unique: tuple[tuple[str, ...], ...] = ()
    ranges: Mapping[str, Range] = field(default_factory=dict)
    domains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ascending: tuple[str, ...] = ()

    def check(self, schema: Schema) -> None:
        """Check that the facts are of these columns. Raises: FormatError."""
        columns = schema.by_name()
        if list(self.unique) != sorted(set(self.unique)):
            raise FormatError("the unique keys are not in order, or one stands twice")
        for key in self.unique:
            check_sorted_unique(key, "the columns of a unique key")
            if not key or not set(key) <= set(columns):
                raise FormatError("a unique key names no column, or one that is not there")
        for name, (low, high) in self.ranges.items():
            kind = columns[name].type if name in columns else None
            if kind is None or kind.name not in _RANGED or low > high:
                raise FormatError(f"the range of {name!r} is none of whole numbers or dates")
        for name, values in self.domains.items():
            check_sorted_unique(values, f"the domain of {name}")
            if name not in columns or columns[name].type.name != "string" or not values:
                raise FormatError(f"the domain of {name!r} is none of a text column")
        check_sorted_unique(self.ascending, "the ascending columns")
        for name in self.ascending:
            if name not in columns or columns[name].type.name not in _ASCENDING:
                raise FormatError(f"{name!r} is no column of whole numbers, dates or times")

    def json(self) -> Json:
        """The facts as canonical JSON has them. Numbers are text: they may have 64 bits."""
        return {
            "widths": dict(self.widths),
            "unique": [list(key) for key in self.unique],
            "ranges": {name: [str(low), str(high)] for name, (low, high) in self.ranges.items()},
            "domains": {name: list(values) for name, values in self.domains.items()},
            "ascending": list(self.ascending),
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read facts; whether they fit a table is for `check`. Raises: FormatError."""
        fields = Fields(value, "the facts of a table")
        ascending = text_item("an ascending column", _column)
        found = cls(
            _read_map(fields.value("widths"), "a width", _width),
            read_keys(fields),
            _read_map(fields.value("ranges"), "a range", _range),
            _read_map(fields.value("domains"), "a domain", _domain),
            fields.items("ascending", LIMITS.columns, ascending),
        )
        fields.done()
        return found


def read_keys(fields: Fields) -> tuple[tuple[str, ...], ...]:
    """The unique keys of a table, under `unique`. Raises: FormatError."""
    name = text_item("a column of a unique key", _column)

    def key(item: Json) -> tuple[str, ...]:
        return Fields({"key": item}, "a unique key").items("key", LIMITS.columns, name)

    return fields.items("unique", _MOST_KEYS, key)


def _column(text: str, what: str) -> str:
    if not 1 <= len(text) <= _NAME_LENGTH:
        raise FormatError(f"{what} is not a column's name")
    return text


def _read_map(value: Json, what: str, read: Callable[[Json, str], T]) -> dict[str, T]:
    if not isinstance(value, Mapping) or len(value) > 4 * LIMITS.columns:
        raise FormatError(f"{what} is not in an object by columns")
    return {name: read(value[name], f"{what} of {name[:60]!r}") for name in value}


def _width(value: Json, what: str) -> int:
    return Fields({"width": value}, what).integer("width", 0, MOST_WIDTH)


def _number(text: str, what: str) -> int:
    if not _NUMBER.match(text):
        raise FormatError(f"{what} is not a whole number")
    return int(text)


def _range(value: Json, what: str) -> Range:
    found = Fields({"range": value}, what).items("range", 2, text_item(what, _number))
    if len(found) != _PAIR or not -(1 << 63) <= found[0] <= found[1] < 1 << 63:
        raise FormatError(f"{what} is not a least and a greatest value")
    return found[0], found[1]


def _domain(value: Json, what: str) -> tuple[str, ...]:
    read = text_item(what, _value)
    return Fields({"domain": value}, what).items("domain", MOST_DOMAIN, read)


def _value(text: str, what: str) -> str:
    if len(text.encode()) > _VALUE_LENGTH:
        raise FormatError(f"{what} has a value beyond {_VALUE_LENGTH} bytes")
    return text
