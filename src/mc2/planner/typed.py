"""Expressions with their types while a query is planned, and Spark's conversions between types.

A plan converts nothing by itself, so this is where every conversion of Spark's ANSI mode becomes
a cast that a reviewer can see. Constants are converted here and now, exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Column, DataType, decimal
from mc2.plan.expressions import EXPRESSION_DEPTH, Call, Cast, Expression, Literal, children
from mc2.plan.expressions import literal as make_literal
from mc2.plan.literals import Value, literal_value
from mc2.plan.types import (
    DATE,
    INT32,
    INT64,
    INTEGER_BITS,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    common_type,
    integer_range,
    is_integer,
    is_numeric,
)
from mc2.plan.typing import type_of

_MOMENTS: Final = ("date", "timestamp", "timestamp_utc")
_DEEPEST: Final = EXPRESSION_DEPTH - 8  # what the planner itself may still put around it


@dataclass(frozen=True, slots=True)
class Typed:
    """An expression, its type, and whether it may be NULL. `untyped`: it is a bare NULL."""

    expression: Expression
    type: DataType
    nullable: bool
    untyped: bool = False

    @property
    def literal(self) -> Literal | None:
        """The constant that it is, if it is one."""
        return self.expression if isinstance(self.expression, Literal) else None


NULL: Final = Typed(Literal(None, STRING), STRING, nullable=True, untyped=True)
"""NULL without a type; what stands beside it gives it one."""


def typed(expression: Expression, columns: Mapping[str, Column]) -> Typed:
    """Type an expression over some columns. Raises: PlanError."""
    if _depth(expression) > _DEEPEST:
        raise PlanError(
            "the expression nests too deeply", hint="name an inner part of it in a subquery"
        )
    found = type_of(expression, columns)
    return Typed(expression, found.type, found.nullable)


def _depth(expression: Expression) -> int:
    return 1 + max((_depth(c) for c in children(expression)), default=0)


def constant(value: Value | None, kind: DataType) -> Typed:
    """A constant of a type. Raises: PlanError if the type does not hold the value."""
    return Typed(make_literal(value, kind), kind, nullable=value is None)


def number(text: str) -> Typed:
    """A number as a query writes it: Spark's int, bigint, decimal or (with an exponent) double.

    Raises: PlanError if it has too many digits.
    """
    if "e" in text.lower():
        return constant(float(text), DataType("double"))
    if text.isdigit():
        value = int(text) if len(text) <= 40 else 10**40
        for kind in (INT32, INT64):
            if value <= integer_range(kind)[1]:
                return constant(value, kind)
    exact = Decimal(text)
    return constant(exact, _decimal_of(exact))


def _decimal_of(value: Decimal) -> DataType:
    """The smallest decimal type that holds a number. Raises: PlanError beyond 38 digits."""
    _, digits, exponent = value.as_tuple()
    scale = max(-int(exponent), 0)
    precision = max(len(digits) + max(int(exponent), 0), scale, 1)
    if precision > 38:
        raise PlanError("a number has more than 38 digits", hint="write it with an exponent: 1e40")
    return decimal(precision, scale)


def convert(value: Typed, kind: DataType, columns: Mapping[str, Column]) -> Typed:
    """The value in another type, as Spark converts it unasked; a constant at once.

    Raises: PlanError where Spark's ANSI mode has no such conversion, or it could lose something.
    """
    if value.untyped:
        return constant(None, kind)
    if value.type == kind:
        return value
    if value.literal is not None:
        folded = fold(value.literal, kind)
        if folded is not None:
            return folded
    if _widens(value.type, kind):
        return typed(Cast(value.expression, kind), columns)
    raise PlanError(
        f"{value.type} does not become {kind} by itself",
        hint=f"write the conversion: CAST(... AS {spark_name(kind)})",
    )


def _widens(source: DataType, target: DataType) -> bool:
    if source.name in _MOMENTS and target.name in _MOMENTS:
        return True
    try:
        return common_type(target, source) == target
    except PlanError:
        return False


def unify(values: Sequence[Typed], columns: Mapping[str, Column]) -> tuple[Typed, ...]:
    """Values in their common type. Raises: PlanError if there is none, or all are bare NULL."""
    known = [v for v in values if not v.untyped]
    if not known:
        raise PlanError("NULL has no type here", hint="write CAST(NULL AS STRING), or another type")
    kind = _common(known)
    return tuple(convert(v, kind, columns) for v in values)


def _common(values: Sequence[Typed]) -> DataType:
    """The common type; a text constant beside a date or time is meant to be one, too."""
    moments = [v.type for v in values if v.type.name in _MOMENTS]
    kinds = [v.type for v in values if not (moments and v.type == STRING and v.literal is not None)]
    found = kinds[0]
    for kind in kinds[1:]:
        found = common_type(found, kind)
    return found


def arithmetic(values: Sequence[Typed], columns: Mapping[str, Column]) -> tuple[Typed, ...]:
    """Numbers in the types in which Spark computes with them.

    Decimals keep their own digits, and an integer constant beside one has only those it needs.
    """
    known = [v for v in values if not v.untyped]
    for value in known:
        if not is_numeric(value.type):
            raise PlanError(
                f"a {value.type} is not a number", hint="write the conversion: CAST(... AS DOUBLE)"
            )
    if not known:
        raise PlanError("NULL has no type here", hint="write CAST(NULL AS INT), or another type")
    kind = _common(known)
    if kind.name != "decimal":
        return tuple(convert(v, kind, columns) for v in values)
    return tuple(_as_decimal(v, kind, columns) for v in values)


def _as_decimal(value: Typed, kind: DataType, columns: Mapping[str, Column]) -> Typed:
    if value.type.name == "decimal":
        return value
    if value.untyped:
        return constant(None, kind)
    if value.literal is not None and value.literal.text is not None:
        exact = Decimal(value.literal.text)
        return constant(exact, _decimal_of(exact))
    return convert(value, common_type(value.type, decimal(1, 0)), columns)


def fold(value: Literal, kind: DataType) -> Typed | None:
    """A constant in another type if that is exact and certain; otherwise None."""
    if value.text is None:
        return constant(None, kind)
    found = literal_value(value.text, value.type)
    try:
        changed = _changed(found, value.type, kind)
        return None if changed is None else constant(changed, kind)
    except (PlanError, OverflowError):
        return None


def _changed(value: Value, source: DataType, kind: DataType) -> Value | None:
    if is_integer(source) or source.name == "decimal":
        return _changed_number(value, kind)
    if source == STRING and kind.name in _MOMENTS and isinstance(value, str):
        return _moment(value, kind)
    return None


def _changed_number(value: Value, kind: DataType) -> Value | None:
    if not isinstance(value, (int, Decimal)):
        return None
    if kind.name in INTEGER_BITS:
        return int(value) if value == int(value) else None
    if kind.name == "decimal":
        return Decimal(value)
    if kind.name == "double":  # the nearest double, which the text of the constant determines
        return float(value)
    return None


def _moment(text: str, kind: DataType) -> Value | None:
    """A date or time from text in ISO form; with a zone only where the type has one."""
    try:
        if kind == DATE:
            return date.fromisoformat(text) if len(text) == len("2026-01-31") else None
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if kind == TIMESTAMP:
        return found if found.tzinfo is None else None
    if kind == TIMESTAMP_UTC:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return None


def all_true(conditions: Sequence[Expression]) -> Expression:
    """The conjunction, without nesting: `a AND b AND c` is one call."""
    flat: list[Expression] = []
    for condition in conditions:
        if isinstance(condition, Call) and condition.function == "and":
            flat.extend(condition.arguments)
        else:
            flat.append(condition)
    return flat[0] if len(flat) == 1 else Call("and", tuple(flat))


def spark_name(kind: DataType) -> str:
    """The type as one writes it in a query: `BIGINT`."""
    if kind.element is not None:
        return f"ARRAY<{spark_name(kind.element)}>"
    if kind.name == "struct":
        return f"STRUCT<{', '.join(f'{n}: {spark_name(t)}' for n, t in kind.fields)}>"
    names = {
        "int8": "TINYINT",
        "int16": "SMALLINT",
        "int32": "INT",
        "int64": "BIGINT",
        "timestamp": "TIMESTAMP_NTZ",
        "timestamp_utc": "TIMESTAMP",
    }
    return names.get(kind.name, str(kind).upper())
