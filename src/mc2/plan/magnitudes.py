"""How great exact numbers can be, as everybody knows beforehand; so which arithmetic never fails.

Magnitudes count units of the last digit of a type: 1.50 as decimal(4, 2) is 150 of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from mc2.formats.schema import DECIMAL_DIGITS, Column, DataType, decimal
from mc2.plan.expressions import Call, Cast, ColumnRef, Expression, Lambda, Literal, children, walk
from mc2.plan.oblivious_joins import fails_itself, may_fail
from mc2.plan.types import is_integer
from mc2.plan.typing import type_of

_ADDED: Final = frozenset({"add", "subtract"})


def is_exact(kind: DataType) -> bool:
    """Whether values are integers or decimals."""
    return is_integer(kind) or kind.name == "decimal"


def held_by(kind: DataType) -> int:
    """The greatest magnitude of which a type holds both signs."""
    if kind.name == "decimal":
        return int("9" * kind.precision)
    return (1 << (int(kind.name.removeprefix("int")) - 1)) - 1


def holding(most: int, scale: int) -> DataType | None:
    """The narrowest decimal type for such magnitudes; None if no type holds them."""
    digits = max(len(str(most)), scale, 1)
    return decimal(digits, scale) if digits <= DECIMAL_DIGITS else None


@dataclass(frozen=True, slots=True)
class Magnitudes:
    """Of expressions over some columns, of which `ranges` are the declared ends."""

    columns: Mapping[str, Column]
    ranges: Mapping[str, tuple[int, int]]

    def most(self, expression: Expression) -> int:
        """The greatest magnitude of an exact number, if it has a value at all."""
        kind = type_of(expression, self.columns).type
        found = self._made(expression, kind)
        least = 1 if is_integer(kind) else 0  # integers reach one further below zero
        limit = held_by(kind) + least
        return limit if found is None else min(found, limit)

    def never_fails(self, expression: Expression) -> bool:
        """Whether an expression has a value, or NULL, for every row that there could be."""
        if any(isinstance(part, Lambda) for part in walk(expression)):
            return not may_fail(expression)
        if not all(self.never_fails(part) for part in children(expression)):
            return False
        if not fails_itself(expression):
            return True
        kind = type_of(expression, self.columns).type
        found = self._made(expression, kind) if is_exact(kind) else None
        return found is not None and found <= held_by(kind)

    def _made(self, expression: Expression, kind: DataType) -> int | None:
        """What the parts of an expression make of it at most, whether its type holds that or not.

        None where that is not known, or rounded.
        """
        match expression:
            case ColumnRef(name):
                ends = self.ranges.get(name) if is_integer(kind) else None
                return None if ends is None else max(abs(end) for end in ends)
            case Literal(text):
                return 0 if text is None else int(abs(Decimal(text).scaleb(kind.scale)))
            case Call("negate", (value,)):
                return self.most(value)
            case Call(function, (first, second)) if function in {*_ADDED, "multiply"}:
                return self._of_two(function, first, second, kind)
            case Cast(value=value) if is_exact(type_of(value, self.columns).type):
                return self._at_scale(value, kind.scale)
            case _:
                return None

    def _of_two(
        self, function: str, first: Expression, second: Expression, kind: DataType
    ) -> int | None:
        scales = [type_of(e, self.columns).type.scale for e in (first, second)]
        if function == "multiply":
            return self.most(first) * self.most(second) if sum(scales) == kind.scale else None
        parts = [self._at_scale(e, kind.scale) for e in (first, second)]
        known = [p for p in parts if p is not None]
        return sum(known) if len(known) == len(parts) else None

    def _at_scale(self, expression: Expression, scale: int) -> int | None:
        """A magnitude in units of a type with as many digits after the point, or more."""
        more = scale - type_of(expression, self.columns).type.scale
        return self.most(expression) * 10**more if more >= 0 else None
