"""Arithmetic over literals alone, done while a query is written.

DuckDB does none of it here (see `mc2.engine.database`), and `a <= 1 + 10` over a join would be a
condition that may fail, which must wait for the join. Only whole numbers and decimals are computed,
where the result is exact and fits its type: what fails is left to fail, if a row asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Final

from mc2.engine.sql_terms import Term
from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.plan.expressions import Literal, literal
from mc2.plan.types import INTEGER_BITS

_EXACT: Final = Context(prec=100)  # two decimals of 38 digits and their product fit


def folded_call(name: str, arguments: Sequence[Term], kind: DataType) -> Literal | None:
    """The literal that a sum, difference or product of two literals is; None if it is not one."""
    if name not in {"add", "subtract", "multiply"} or not _exact(kind):
        return None
    values = [_value(a) for a in arguments]
    if None in values:
        return None
    a, b = (Decimal(v) for v in values if v is not None)
    match name:
        case "add":
            found = _EXACT.add(a, b)
        case "subtract":
            found = _EXACT.subtract(a, b)
        case _:
            found = _EXACT.multiply(a, b)
    return _literal(found, kind)


def folded_cast(inner: Term, kind: DataType) -> Literal | None:
    """The literal that another one is in a wider type; None if it is not one."""
    value = _value(inner)
    return None if value is None or not _exact(kind) else _literal(value, kind)


def _exact(kind: DataType) -> bool:
    return kind.name in INTEGER_BITS or kind.name == "decimal"


def _value(term: Term) -> Decimal | None:
    return Decimal(term.literal) if term.literal is not None and _exact(term.type) else None


def _literal(value: Decimal, kind: DataType) -> Literal | None:
    """The value in a type; None where it must be rounded or does not fit."""
    whole = kind.name in INTEGER_BITS
    if whole and value != value.to_integral_value():
        return None
    try:
        return literal(int(value) if whole else value, kind)
    except PlanError:
        return None
