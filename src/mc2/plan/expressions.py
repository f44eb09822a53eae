"""Scalar expressions of a plan: columns, literals, calls, casts, CASE, IN, functions of elements.

They are plain data. What a function accepts and gives stands in `mc2.plan.functions`; that an
expression fits the columns it stands over is found by `mc2.plan.typing`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS
from mc2.formats.schema import DataType, parse_type
from mc2.plan.literals import Value, literal_text

EXPRESSION_DEPTH: Final = 48  # nested in a node's JSON it stays under the limit of canonical JSON
ARGUMENTS: Final = 4096  # of one call, CASE or IN list
LITERAL_LENGTH: Final = 65536  # characters
_FUNCTION_NAME_LENGTH: Final = 63
_PARAMETERS: Final = 2  # of one lambda
_PARAMETER: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """The value of a column of the source relation, by its exact name."""

    name: str

    def json(self) -> Json:
        """The expression as canonical JSON has it."""
        return {"kind": "column", "name": self.name}


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: its exact text, or None for NULL, and its type. `literal()` makes one."""

    text: str | None
    type: DataType

    def json(self) -> Json:
        """The expression as canonical JSON has it."""
        return {"kind": "literal", "type": str(self.type), "value": self.text}


@dataclass(frozen=True, slots=True)
class Call:
    """A function of `mc2.plan.functions` on its arguments."""

    function: str
    arguments: tuple[Expression, ...]

    def json(self) -> Json:
        """The expression as canonical JSON has it."""
        return {
            "kind": "call",
            "function": self.function,
            "arguments": [a.json() for a in self.arguments],
        }


@dataclass(frozen=True, slots=True)
class Cast:
    """A conversion. Where the value does not fit, `strict` fails the job; otherwise it is NULL."""

    value: Expression
    type: DataType
    strict: bool = True

    def json(self) -> Json:
        """The expression as canonical JSON has it."""
        return {
            "kind": "cast",
            "value": self.value.json(),
            "type": str(self.type),
            "strict": self.strict,
        }


@dataclass(frozen=True, slots=True)
class When:
    """One branch of CASE."""

    condition: Expression
    value: Expression

    def json(self) -> Json:
        """The branch as canonical JSON has it."""
        return {"when": self.condition.json(), "then": self.value.json()}


@dataclass(frozen=True, slots=True)
class Case:
    """The value of the first branch whose condition is true, else `otherwise`.

    Branches after the first true one are not evaluated, so CASE guards a division.
    """

    branches: tuple[When, ...]
    otherwise: Expression

    def json(self) -> Json:
        """The expression as canonical JSON has it."""
        return {
            "kind": "case",
            "branches": [b.json() for b in self.branches],
            "else": self.otherwise.json(),
        }


@dataclass(frozen=True, slots=True)
class InList:
    """Whether a value equals one of some literals of its type, with SQL's rules for NULL."""

    value: Expression
    items: tuple[Literal, ...]

    def json(self) -> Json:
        """The expression as canonical JSON has it."""
        return {"kind": "in", "value": self.value.json(), "items": [i.json() for i in self.items]}


@dataclass(frozen=True, slots=True)
class Parameter:
    """The value that a lambda around it is given by this name."""

    name: str

    def json(self) -> Json:
        """The expression as canonical JSON has it."""
        return {"kind": "parameter", "name": self.name}


@dataclass(frozen=True, slots=True)
class Lambda:
    """What a function of lists does with each element: an argument, and nothing else.

    No name stands twice among its parameters and those of the lambdas around it.
    """

    parameters: tuple[str, ...]
    body: Expression

    def json(self) -> Json:
        """The expression as canonical JSON has it."""
        return {
            "kind": "lambda",
            "parameters": list(self.parameters),
            "body": self.body.json(),
        }


Expression: TypeAlias = ColumnRef | Literal | Call | Cast | Case | InList | Parameter | Lambda


def literal(value: Value | None, kind: DataType) -> Literal:
    """A constant of a type; None is NULL. Raises: PlanError if the type does not hold the value."""
    return Literal(None if value is None else literal_text(value, kind), kind)


def call(function: str, *arguments: Expression) -> Call:
    """A call, shorter to write."""
    return Call(function, arguments)


def children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside."""
    match expression:
        case Call(_, arguments):
            return arguments
        case Cast(value=value):
            return (value,)
        case Case(branches, otherwise):
            inner = tuple(e for b in branches for e in (b.condition, b.value))
            return (*inner, otherwise)
        case InList(value, items):
            return (value, *items)
        case Lambda(body=body):
            return (body,)
        case _:
            return ()


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and all inside it, outer before inner, left before right."""
    yield expression
    for child in children(expression):
        yield from walk(child)


def columns_of(expression: Expression) -> frozenset[str]:
    """The names of the columns that an expression reads."""
    return frozenset(e.name for e in walk(expression) if isinstance(e, ColumnRef))


def substituted(expression: Expression, meanings: Mapping[str, Expression]) -> Expression:
    """The expression with other expressions in the place of some columns."""

    def inner(part: Expression) -> Expression:
        return substituted(part, meanings)

    match expression:
        case ColumnRef(name):
            return meanings.get(name, expression)
        case Call(function, arguments):
            return Call(function, tuple(inner(a) for a in arguments))
        case Case(branches, otherwise):
            whens = tuple(When(inner(b.condition), inner(b.value)) for b in branches)
            return Case(whens, inner(otherwise))
        case Cast() | InList():
            return replace(expression, value=inner(expression.value))
        case Lambda():
            return replace(expression, body=inner(expression.body))
        case _:
            return expression


def read_expression(value: Json, depth: int = 0) -> Expression:
    """Read a decoded expression. Raises: FormatError."""
    if depth > EXPRESSION_DEPTH:
        raise FormatError(
            f"an expression nests deeper than {EXPRESSION_DEPTH}",
            hint="name an inner part of it in a subquery",
        )
    fields = Fields(value, "an expression")
    kind = fields.choice("kind", tuple(_READERS))
    found = _READERS[kind](fields, depth + 1)
    fields.done()
    return found


def _read_column(fields: Fields, _depth: int) -> Expression:
    return ColumnRef(fields.text("name", 255))


def _read_literal(fields: Fields, _depth: int) -> Literal:
    kind = parse_type(fields.text("type", LIMITS.note_bytes))
    return Literal(fields.optional("value", lambda name: fields.text(name, LITERAL_LENGTH)), kind)


def _read_call(fields: Fields, depth: int) -> Expression:
    return Call(
        fields.text("function", _FUNCTION_NAME_LENGTH),
        fields.items("arguments", ARGUMENTS, lambda item: read_expression(item, depth)),
    )


def _read_cast(fields: Fields, depth: int) -> Expression:
    return Cast(
        read_expression(fields.value("value"), depth),
        parse_type(fields.text("type", LIMITS.note_bytes)),
        fields.boolean("strict"),
    )


def _read_case(fields: Fields, depth: int) -> Expression:
    def branch(value: Json) -> When:
        inner = Fields(value, "a branch of CASE")
        found = When(
            read_expression(inner.value("when"), depth), read_expression(inner.value("then"), depth)
        )
        inner.done()
        return found

    branches = fields.items("branches", ARGUMENTS, branch)
    if not branches:
        raise FormatError("CASE has no branch")
    return Case(branches, read_expression(fields.value("else"), depth))


def _read_in(fields: Fields, depth: int) -> Expression:
    def item(value: Json) -> Literal:
        found = read_expression(value, depth)
        if not isinstance(found, Literal):
            raise FormatError("a list after IN holds literals only")
        return found

    inner = read_expression(fields.value("value"), depth)
    items = fields.items("items", ARGUMENTS, item)
    if not items:
        raise FormatError("the list after IN is empty")
    return InList(inner, items)


def is_parameter_name(text: str) -> bool:
    """Whether a parameter may be called so."""
    return _PARAMETER.fullmatch(text) is not None


def _parameter_name(value: Json) -> str:
    if not isinstance(value, str) or not is_parameter_name(value):
        raise FormatError("the name of a parameter starts with a letter, and holds a-z, 0-9 and _")
    return value


def _read_parameter(fields: Fields, _depth: int) -> Expression:
    return Parameter(_parameter_name(fields.value("name")))


def _read_lambda(fields: Fields, depth: int) -> Expression:
    names = fields.items("parameters", _PARAMETERS, _parameter_name)
    return Lambda(names, read_expression(fields.value("body"), depth))


_READERS: Final = {
    "column": _read_column,
    "literal": _read_literal,
    "call": _read_call,
    "cast": _read_cast,
    "case": _read_case,
    "in": _read_in,
    "parameter": _read_parameter,
    "lambda": _read_lambda,
}
