"""How calls of a query become calls of a plan: arguments counted, converted, and put in place.

A query's function is a rule: how many arguments it takes, and what builds the expression. Most
rules read the signatures of the plan's function and put in the conversions of Spark's ANSI mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from mc2.errors import PlanError
from mc2.formats.schema import Column, DataType, parse_type
from mc2.plan.expressions import Call, Case, Cast, Literal, When
from mc2.plan.functions import function as plan_function
from mc2.plan.literals import literal_value
from mc2.plan.signatures import Signature
from mc2.plan.types import (
    BINARY,
    BOOLEAN,
    DATE,
    DOUBLE,
    INT32,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    TYPE_CLASSES,
    is_integer,
)
from mc2.planner.typed import Typed, arithmetic, constant, convert, fold, spark_name, typed, unify

Columns: TypeAlias = Mapping[str, Column]
Arguments: TypeAlias = Sequence[Typed]
Build: TypeAlias = Callable[[Arguments, Columns], Typed]

MANY: Final = 1000
_SHOWN: Final = TYPE_CLASSES["flat"] - {"binary", "string"}
"""Types that become text by themselves where a function takes text."""
EPOCH: Final = constant(datetime(1970, 1, 1, tzinfo=UTC), TIMESTAMP_UTC)
_CLASS_OF_TEXT: Final = {"moment": DATE, "instant": TIMESTAMP_UTC}
"""As what a text counts where a date or time is wanted."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How many arguments a function of a query takes, and what it is in a plan."""

    least: int
    most: int
    build: Build


def apply(function: str, arguments: Arguments, columns: Columns) -> Typed:
    """A call of a function of the plan. Raises: PlanError if the types do not fit."""
    return typed(Call(function, tuple(a.expression for a in arguments)), columns)


def signed(function: str, *defaults: Typed, least: int = 0, order: Sequence[int] = ()) -> Rule:
    """By the signatures of the plan's function.

    `defaults` stand for arguments left out at the end; `order` says which argument of the query
    is each argument of the plan.
    """
    lines = plan_function(function).signatures
    longest = max(len(line.parameters) for line in lines)
    shortest = min(len(line.parameters) for line in lines)
    most = MANY if any(line.repeats for line in lines) else longest

    def build(arguments: Arguments, columns: Columns) -> Typed:
        given = list(arguments)
        if defaults and len(given) < longest:
            given += defaults[len(defaults) - (longest - len(given)) :]
        if order:
            given = [given[i] for i in order]
        return apply(function, _fitted(lines, given, columns), columns)

    return Rule(least or shortest - len(defaults), most, build)


def _fitted(lines: Sequence[Signature], arguments: Arguments, columns: Columns) -> list[Typed]:
    """The arguments as one of some signatures takes them. Raises: PlanError if none does."""
    refusal: PlanError | None = None
    for line in sorted(lines, key=lambda line: not _exact(line, arguments)):
        parameters = line.expanded(len(arguments))
        if parameters is None:
            continue
        try:
            pairs = zip(arguments, parameters, strict=True)
            return [_fit(a, p, line, columns) for a, p in pairs]
        except PlanError as error:
            refusal = refusal or error
    raise refusal or PlanError("the function takes another number of arguments")


def _exact(line: Signature, arguments: Arguments) -> bool:
    parameters = line.expanded(len(arguments))
    return parameters is not None and all(
        p in line.letters or p.startswith("list<") or str(a.type) == p
        for a, p in zip(arguments, parameters, strict=True)
    )


def _fit(value: Typed, parameter: str, line: Signature, columns: Columns) -> Typed:
    if parameter.startswith("list<"):
        return value
    if parameter in line.letters:
        word = line.letters[parameter]
        if word in _CLASS_OF_TEXT and (value.type == STRING or value.untyped):
            return as_moment(value, _CLASS_OF_TEXT[word], columns)
        if word == "instant" and value.type == DATE:
            return convert(value, TIMESTAMP_UTC, columns)
        return convert(value, value.type, columns)
    return _in_type(value, parse_type(parameter), columns)


def _in_type(value: Typed, kind: DataType, columns: Columns) -> Typed:
    if kind == STRING:
        return as_text(value, columns)
    if kind == BINARY:
        return as_bytes(value, columns)
    if kind.name in TYPE_CLASSES["moment"]:
        return as_moment(value, kind, columns)
    return convert(value, kind, columns)


def as_text(value: Typed, columns: Columns) -> Typed:
    """The value as text, as Spark shows it. Raises: PlanError for bytes, lists and structs."""
    if value.type.name in _SHOWN and not value.untyped:
        return cast(value, STRING, columns)
    return convert(value, STRING, columns)


def as_bytes(value: Typed, columns: Columns) -> Typed:
    """The value as bytes: of text those of UTF-8."""
    if value.type == STRING and not value.untyped:
        return cast(value, BINARY, columns)
    return convert(value, BINARY, columns)


def as_moment(value: Typed, kind: DataType, columns: Columns) -> Typed:
    """The value as a date or time; text is read as one."""
    if value.type == STRING and not value.untyped:
        return cast(value, kind, columns)
    return convert(value, kind, columns)


def joined(function: str, least: int, most: int) -> Rule:
    """All arguments in their common type."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        if len(arguments) == 1:
            return arguments[0]
        return apply(function, unify(arguments, columns), columns)

    return Rule(least, most, build)


def numeric(function: str, count: int) -> Rule:
    """Numbers, in the types in which Spark computes with them."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        return apply(function, arithmetic(arguments, columns), columns)

    return Rule(count, count, build)


def integer_literal(value: Typed, what: str) -> int:
    """The number that an argument must be written as. Raises: PlanError."""
    if value.literal is None or value.literal.text is None or not is_integer(value.type):
        raise PlanError(f"{what} must be written as an integer", hint="for example 2")
    return int(value.literal.text)


def text_literal(value: Typed, what: str, example: str) -> str:
    """The text that an argument must be written as. Raises: PlanError."""
    if value.literal is None or value.literal.text is None or value.type != STRING:
        raise PlanError(f"{what} must be written as a text", hint=f"for example '{example}'")
    return value.literal.text


def choose(branches: Sequence[tuple[Typed, Typed]], otherwise: Typed, columns: Columns) -> Typed:
    """CASE, with all results in their common type. Raises: PlanError."""
    for condition, _ in branches:
        if condition.type != BOOLEAN:
            raise PlanError(f"a condition is a {condition.type}, not a boolean")
    *values, last = unify([*(value for _, value in branches), otherwise], columns)
    whens = tuple(
        When(condition.expression, value.expression)
        for (condition, _), value in zip(branches, values, strict=True)
    )
    return typed(Case(whens, last.expression), columns)


def negate(value: Typed, columns: Columns) -> Typed:
    """The number with the other sign; a constant at once. Raises: PlanError."""
    number = arithmetic([value], columns)[0]
    literal = number.literal
    if literal is not None and literal.text is not None and literal.text[0].isdigit():
        positive_zero = literal.text.strip("0.") == "" and number.type != DOUBLE
        if not positive_zero:
            return typed(Literal(f"-{literal.text}", number.type), columns)
        return number
    return apply("negate", [number], columns)


def cast(value: Typed, kind: DataType, columns: Columns, *, strict: bool = True) -> Typed:
    """An explicit CAST; an exact one of a constant at once. Raises: PlanError."""
    if value.untyped:
        return constant(None, kind)
    if value.type == kind:
        return value
    if value.literal is not None:
        folded = fold(value.literal, kind) or _exact_decimal(value.literal, kind)
        if folded is not None:
            return folded
        if strict and value.type == STRING and kind in (DATE, TIMESTAMP, TIMESTAMP_UTC):
            raise PlanError(
                f"this text is no {spark_name(kind)}",
                hint="write a date as 2026-01-31, and a time as 2026-01-31 12:00:00",
            )
    if value.type == TIMESTAMP_UTC and is_integer(kind):
        return cast(apply("epoch_second", [value], columns), kind, columns, strict=strict)
    if is_integer(value.type) and kind == TIMESTAMP_UTC:
        return since_epoch(value, 10**6, columns)
    return typed(Cast(value.expression, kind, strict), columns)


def since_epoch(value: Typed, micros: int, columns: Columns) -> Typed:
    """The moment so many units of so many microseconds since 1970."""
    whole = convert(value, INT64, columns)
    if micros != 1:
        whole = apply("multiply", [whole, constant(micros, INT64)], columns)
    return apply("timestamp_add", [EPOCH, whole], columns)


def _exact_decimal(value: Literal, kind: DataType) -> Typed | None:
    """A text such as '1.50' as the decimal that it spells; so `1.50BD` arrives here."""
    if value.type != STRING or kind.name != "decimal" or value.text is None:
        return None
    try:
        literal_value(value.text, kind)
    except PlanError:
        return None
    return typed(Literal(value.text, kind), {})


def to_type(kind: DataType) -> Rule:
    """A function that is named like a type: `INT(x)`."""
    return Rule(1, 1, lambda arguments, columns: cast(arguments[0], kind, columns))


def number(value: int) -> Typed:
    """An integer that the planner puts in."""
    return constant(value, INT32)


def text(value: str) -> Typed:
    """A text that the planner puts in."""
    return constant(value, STRING)
