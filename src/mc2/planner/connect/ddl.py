"""Schemas as Spark's DDL writes them: `id bigint, name string NOT NULL`, or one type alone."""

from __future__ import annotations

import re
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType, decimal

_NAMES: Final = {
    "boolean": "boolean", "tinyint": "int8", "byte": "int8", "smallint": "int16", "short": "int16",
    "int": "int32", "integer": "int32", "bigint": "int64", "long": "int64", "float": "float",
    "real": "float", "double": "double", "string": "string", "binary": "binary", "date": "date",
    "timestamp": "timestamp_utc", "timestamp_ltz": "timestamp_utc", "timestamp_ntz": "timestamp",
}  # fmt: skip
_TOKEN: Final = re.compile(r"\s*(`(?:[^`]|``)+`|[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[<>(),:])")
_NOT_NAMES: Final = ("<", ">", "(", ")", ",", ":")

Field = tuple[str, DataType, bool]


def parse_ddl(text: str) -> list[Field] | DataType:
    """The fields of a table, or one type. Raises: PlanError."""
    try:
        reader = _Reader(text)
        kind = reader.type()
        reader.end()
    except PlanError:
        reader = _Reader(text)
        fields = reader.fields("")
        reader.end()
        return fields
    return kind


def declared(given: object) -> DataType:
    """The type that a Python function is declared to return. Raises: PlanError."""
    if not isinstance(given, str):
        raise PlanError("a Python function says what type it returns", hint='udf(f, "double")')
    found = parse_ddl(given)
    if not isinstance(found, DataType):
        raise PlanError("a Python function returns one value", hint='udf(f, "double")')
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        at = 0
        while at < len(text.rstrip()):
            token = _TOKEN.match(text, at)
            if token is None:
                raise self._error()
            self._tokens.append(token[1])
            at = token.end()

    def _error(self) -> PlanError:
        return PlanError(
            f"{self._text!r} is no schema", hint='write "id bigint, name string", or a StructType'
        )

    def _peek(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def _next(self, wanted: str = "") -> str:
        token = self._peek()
        if not token or (wanted and token.lower() != wanted):
            raise self._error()
        return self._tokens.pop(0)

    def end(self) -> None:
        """Nothing may follow. Raises: PlanError."""
        if self._tokens:
            raise self._error()

    def type(self) -> DataType:
        """One type. Raises: PlanError."""
        word = self._next().lower()
        if word == "array":
            self._next("<")
            element = self.type()
            self._next(">")
            return DataType("list", element=element)
        if word == "struct":
            self._next("<")
            inner = self.fields(":")
            self._next(">")
            return DataType("struct", fields=tuple((name, kind) for name, kind, _ in inner))
        if word in {"decimal", "dec", "numeric"}:
            return self._decimal()
        if word not in _NAMES:
            raise self._error()
        return DataType(_NAMES[word])

    def _decimal(self) -> DataType:
        if self._peek() != "(":
            return decimal(10, 0)
        self._next("(")
        precision, scale = self._number(), 0
        if self._peek() == ",":
            self._next(",")
            scale = self._number()
        self._next(")")
        return decimal(precision, scale)

    def _number(self) -> int:
        token = self._next()
        if not token.isdigit():
            raise self._error()
        return int(token)

    def fields(self, between: str) -> list[Field]:
        """Names with types. Raises: PlanError."""
        found: list[Field] = []
        while True:
            name = self._next()
            if name in _NOT_NAMES:
                raise self._error()
            if self._peek() == ":":
                self._next(":")
            elif between:
                raise self._error()
            kind = self.type()
            nullable = self._peek().lower() != "not"
            if not nullable:
                self._next("not")
                self._next("null")
            found.append((_plain(name), kind, nullable))
            if self._peek() != ",":
                return found
            self._next(",")


def _plain(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name
