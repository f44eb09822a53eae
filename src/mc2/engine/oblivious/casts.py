"""Casts over secret columns: of lists by element, of structs by field, others by kernels."""

from __future__ import annotations

from typing import Final

from mc2.formats.schema import DataType
from mc2.operators import encodings, lenient, lists, spelling
from mc2.operators.conversions import cast
from mc2.operators.elements import cleared_where
from mc2.operators.handles import Marks, SecretColumn, known_of
from mc2.operators.run import Run

_CHARSET: Final = "UTF-8"


def cast_value(
    run: Run, value: SecretColumn, kind: DataType, counts: Marks, *, strict: bool
) -> SecretColumn:
    """The values as another type; what does not fit fails where it counts if `strict`, or is NULL.

    Raises: EngineError for what no checked plan holds.
    """
    if value.type == kind:
        return value
    if kind.element is not None:
        return _elements(run, value, kind.element, counts, strict=strict)
    if kind.name == "struct":
        return _fields(run, value, kind, counts, strict=strict)
    if kind.name == "string":
        return _to_text(run, value, counts, strict=strict)
    if value.type.name == "string":
        return _from_text(run, value, kind, counts, strict=strict)
    return cast(run, value, kind, counts) if strict else lenient.try_cast(run, value, kind)


def _to_text(run: Run, value: SecretColumn, counts: Marks, *, strict: bool) -> SecretColumn:
    if value.type.name == "binary":
        return encodings.decode(run, value, _CHARSET, counts, strict=strict)
    return spelling.to_text(run, value, counts)


def _from_text(
    run: Run, value: SecretColumn, kind: DataType, counts: Marks, *, strict: bool
) -> SecretColumn:
    if kind.name == "binary":
        return encodings.encode(run, value, _CHARSET, counts)
    return spelling.from_text(run, value, kind, counts, strict=strict)


def _elements(
    run: Run, value: SecretColumn, kind: DataType, counts: Marks, *, strict: bool
) -> SecretColumn:
    def change(elements: SecretColumn, counted: Marks) -> SecretColumn:
        return cast_value(run, elements, kind, counted, strict=strict)

    return lists.each(run, value, change, counts)


def _fields(
    run: Run, value: SecretColumn, kind: DataType, counts: Marks, *, strict: bool
) -> SecretColumn:
    fields = zip(value.type.fields, kind.fields, strict=True)
    parts = [
        cast_value(run, lists.field(run, value, name), inner, counts, strict=strict)
        for (name, _), (_, inner) in fields
    ]
    return cleared_where(run, lists.make_struct(run, kind, parts), known_of(value))
