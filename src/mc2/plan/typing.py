"""The type of an expression over given columns, and whether it may be NULL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
    Lambda,
    Literal,
    Parameter,
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


@dataclass(frozen=True, slots=True)
class Inside(Mapping[str, Column]):
    """The columns that an expression inside of lambdas stands over, and what these are given."""

    columns: Mapping[str, Column]
    parameters: Mapping[str, Argument] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Column:
        """A column by name."""
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        """The names of the columns."""
        return iter(self.columns)

    def __len__(self) -> int:
        """How many columns there are."""
        return len(self.columns)


def parameters_of(columns: Mapping[str, Column]) -> Mapping[str, Argument]:
    """What lambdas around an expression over such columns are given, by name."""
    return columns.parameters if isinstance(columns, Inside) else {}


def type_of(  # noqa: PLR0911 - one a case
    expression: Expression, columns: Mapping[str, Column]
) -> Argument:
    """What is known of an expression's value. Raises: PlanError if it is not well typed."""
    match expression:
        case ColumnRef(name):
            return _column(name, columns)
        case Literal(text, kind):
            if text is not None:
                literal_value(text, kind)
            return Argument(kind, text is None, expression)
        case Call(name, arguments):
            return _call(name, arguments, columns)
        case Cast(value, kind, strict):
            return _cast(type_of(value, columns), kind, strict=strict)
        case Case(branches, otherwise):
            return _case(branches, type_of(otherwise, columns), columns)
        case InList(value, items):
            return _in_list(type_of(value, columns), items)
        case Parameter(name):
            return _parameter(name, parameters_of(columns))
        case Lambda():
            raise PlanError("a lambda stands where no function takes one")


def _column(name: str, columns: Mapping[str, Column]) -> Argument:
    if name not in columns:
        raise PlanError(f"there is no column {name[:60]!r} here")
    return Argument(columns[name].type, columns[name].nullable)


def _parameter(name: str, known: Mapping[str, Argument]) -> Argument:
    if name not in known:
        raise PlanError(f"no lambda around it has a parameter {name!r}")
    return known[name]


def _call(name: str, arguments: tuple[Expression, ...], columns: Mapping[str, Column]) -> Argument:
    known = function(name)
    found: list[Argument] = []
    for place, argument in enumerate(arguments):
        given = known.lambdas.get(place)
        if given is None:
            found.append(type_of(argument, columns))
        elif isinstance(argument, Lambda):
            found.append(type_of(argument.body, inside(argument, given(tuple(found)), columns)))
        else:
            raise PlanError(f"argument {place + 1} of {name} must be a lambda")
    kind, nullable = known.type(tuple(found))
    return Argument(kind, nullable)


def inside(one: Lambda, given: tuple[Argument, ...], columns: Mapping[str, Column]) -> Inside:
    """What the body of a lambda stands over. Raises: PlanError if its parameters do not fit."""
    known = parameters_of(columns)
    names = one.parameters
    if not 1 <= len(names) <= len(given):
        raise PlanError(f"a lambda here has 1 to {len(given)} parameters, not {len(names)}")
    if len({*names, *known}) < len(names) + len(known):
        raise PlanError(
            "two parameters of lambdas, one inside of the other, have one name",
            hint="call one of them otherwise",
        )
    over = columns.columns if isinstance(columns, Inside) else columns
    return Inside(over, {**known, **dict(zip(names, given, strict=False))})


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
