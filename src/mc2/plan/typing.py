"""The type of an expression over given columns, and whether it may be NULL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Column, DataType
from mc2.plan.expressions import (
    Call,
    Case,
    Cast,
    ColumnRef,
    Expression,
    InList,
    Literal,
    When,
)
from mc2.plan.functions import Argument, function
from mc2.plan.literals import literal_value
from mc2.plan.types import BOOLEAN, TYPE_CLASSES

_NUMBERS: Final = TYPE_CLASSES["integer"] | TYPE_CLASSES["fraction"] | {"decimal"}
_EXACT: Final = TYPE_CLASSES["integer"] | {"decimal"}
_MOMENTS: Final = TYPE_CLASSES["moment"]
CASTS: Final[Mapping[str, frozenset[str]]] = {
    "boolean": frozenset({"boolean", "string"}) | _NUMBERS,
    **{name: frozenset({"boolean", "string"}) | _NUMBERS for name in _EXACT},
    **{name: frozenset({"boolean", "string"}) | _NUMBERS for name in TYPE_CLASSES["fraction"]},
    "string": frozenset({"string", "binary", "boolean"}) | _NUMBERS | _MOMENTS,
    "binary": frozenset({"binary", "string"}),
    "date": frozenset({"string"}) | _MOMENTS,
    "timestamp": frozenset({"string"}) | _MOMENTS,
    "timestamp_utc": frozenset({"string"}) | _MOMENTS,
}
"""To which types each type can be cast, see docs/spec/plan.md."""


def type_of(expression: Expression, columns: Mapping[str, Column]) -> Argument:
    """What is known of an expression's value. Raises: PlanError if it is not well typed."""
    match expression:
        case ColumnRef(name):
            if name not in columns:
                raise PlanError(f"there is no column {name[:60]!r} here")
            return Argument(columns[name].type, columns[name].nullable)
        case Literal(text, kind):
            if text is not None:
                literal_value(text, kind)
            return Argument(kind, text is None, expression)
        case Call(name, arguments):
            return _call(name, tuple(type_of(a, columns) for a in arguments))
        case Cast(value, kind, strict):
            return _cast(type_of(value, columns), kind, strict=strict)
        case Case(branches, otherwise):
            return _case(branches, type_of(otherwise, columns), columns)
        case InList(value, items):
            return _in_list(type_of(value, columns), items)


def _call(name: str, arguments: tuple[Argument, ...]) -> Argument:
    kind, nullable = function(name).type(arguments)
    return Argument(kind, nullable)


def castable(source: DataType, kind: DataType) -> bool:
    """Whether a type can be cast to another; lists and structs can if what is inside can."""
    if source.element is not None and kind.element is not None:
        return castable(source.element, kind.element)
    if source.name == kind.name == "struct" and len(source.fields) == len(kind.fields):
        pairs = zip(source.fields, kind.fields, strict=True)
        return all(castable(a, b) for (_, a), (_, b) in pairs)
    return source == kind or kind.name in CASTS.get(source.name, frozenset())


def _cast(value: Argument, kind: DataType, *, strict: bool) -> Argument:
    if not castable(value.type, kind):
        raise PlanError(f"{value.type} cannot be cast to {kind}")
    return Argument(kind, value.nullable or not strict)


def _case(
    branches: tuple[When, ...], otherwise: Argument, columns: Mapping[str, Column]
) -> Argument:
    nullable = otherwise.nullable
    for branch in branches:
        if type_of(branch.condition, columns).type != BOOLEAN:
            raise PlanError("a condition of CASE is not boolean")
        value = type_of(branch.value, columns)
        if value.type != otherwise.type:
            raise PlanError(f"CASE gives {value.type} here and {otherwise.type} there")
        nullable = nullable or value.nullable
    return Argument(otherwise.type, nullable)


def _in_list(value: Argument, items: tuple[Literal, ...]) -> Argument:
    for item in items:
        if item.type != value.type:
            raise PlanError(f"IN compares {value.type} with {item.type}")
        if item.text is not None:
            literal_value(item.text, item.type)
    return Argument(BOOLEAN, value.nullable or any(i.text is None for i in items))
