"""Column declarations as people write them: `amount:decimal(12,2)`, `id:int64 not null`.

The spelling of types is that of docs/spec/schema.md. What an owner declares goes before what
would be inferred.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mc2.errors import FormatError, UsageError
from mc2.formats.schema import Column, Schema, parse_type

_NOT_NULL = " not null"


def parse_columns(texts: Iterable[str]) -> dict[str, Column]:
    """Read declarations; each text holds one, or several separated by commas.

    Raises: UsageError.
    """
    found: dict[str, Column] = {}
    for text in texts:
        for part in _split(text):
            column = _parse_column(part)
            if column.name in found:
                raise UsageError(f"column {column.name!r} is declared twice")
            found[column.name] = column
    return found


def column_text(column: Column) -> str:
    """A declaration that reads back as the same column; how a schema is shown to people."""
    return f"{column.name}:{column.type}" + ("" if column.nullable else _NOT_NULL)


def declare(inferred: Schema, declared: Mapping[str, Column]) -> Schema:
    """A schema in which declared columns replace inferred ones. Raises: UsageError."""
    unknown = set(declared) - set(inferred.names)
    if unknown:
        raise UsageError(
            f"there is no column {min(unknown)!r} to declare",
            hint=f"the columns are {', '.join(inferred.names)}",
        )
    return Schema(tuple(declared.get(c.name, c) for c in inferred.columns))


def named_columns(name: str, columns: Iterable[Column]) -> Schema:
    """The schema of a table called `name`. Raises: UsageError where names do not do."""
    checked = []
    for column in columns:
        try:
            checked.append(Column.read(column.json()))  # its own rules for names and types
        except FormatError as error:
            raise UsageError(
                f"{name}: column {column.name!r}: {error}", hint="rename the column or its fields"
            ) from None
    try:
        return Schema(tuple(checked))
    except FormatError as error:
        raise UsageError(f"{name}: {error}", hint="rename the columns") from None


def _parse_column(text: str) -> Column:
    *_, name_end = (-1, *_outside(text, ":"))  # names may hold colons; types only in brackets
    kind = text[name_end + 1 :].strip()
    nullable = not kind.endswith(_NOT_NULL)
    try:
        found = parse_type(kind.removesuffix(_NOT_NULL).rstrip())
    except FormatError as error:
        raise UsageError(
            f"a column is declared as name:type: {error}",
            hint="for instance amount:decimal(12,2) or id:int64 not null",
        ) from None
    return Column(text[:name_end].strip(), found, nullable)


def _split(text: str) -> Iterator[str]:
    start = 0
    for at in _outside(text, ","):
        yield text[start:at]
        start = at + 1
    yield text[start:]


def _outside(text: str, mark: str) -> Iterator[int]:
    """Where a mark stands outside of brackets."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character in "(<") - (character in ")>")
        if character == mark and depth == 0:
            yield at
