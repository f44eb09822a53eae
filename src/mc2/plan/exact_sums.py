"""Exact arithmetic of plans: integers and decimals in types that hold whatever there could be.

Spark's rules for decimals give a type by its operands' types alone, and cut fraction digits beyond
38. Here magnitudes are known, so a type is chosen in which nothing is cut, or there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DECIMAL_DIGITS, DataType, decimal
from mc2.plan.expressions import Case, Cast, ColumnRef, Expression, When, call, literal
from mc2.plan.magnitudes import held_by, holding
from mc2.plan.types import INT64, is_integer, sum_type

_MORE_DIGITS: Final = 10
"""Of a sum of decimals (`mc2.plan.types.sum_type`)."""
_KEPT_SCALE: Final = 6
"""Products of decimals keep so many digits after the point (`mc2.plan.types.adjusted_decimal`)."""


@dataclass(frozen=True, slots=True)
class Number:
    """An exact number, its type, and its greatest magnitude in units of that."""

    expression: Expression
    type: DataType
    most: int


def cast(number: Number, kind: DataType) -> Expression:
    """A number as another type, which must hold it, or fails the job."""
    return number.expression if number.type == kind else Cast(number.expression, kind)


def _held(most: int, scale: int) -> DataType:
    found = holding(most, scale)
    if found is None:
        raise PlanError(f"a sum could have more than {DECIMAL_DIGITS} digits")
    return found


def added(one: Number, total: int, *, last: bool) -> Number:
    """A number to add up to a sum of so much at most, in a type whose sum does not fail before.

    The `last` sum of integers is an int64, where it fails if it is none.
    """
    if is_integer(one.type):
        if last or total <= held_by(INT64):
            return Number(one.expression, one.type, total)
        one = Number(Cast(one.expression, _held(one.most, 0)), _held(one.most, 0), one.most)
    digits = _held(total, one.type.scale).precision
    if sum_type(one.type).precision >= digits:
        return Number(one.expression, one.type, total)
    wider = decimal(digits - _MORE_DIGITS, one.type.scale)
    return Number(Cast(one.expression, wider), wider, total)


def times(one: Number, count: Number, total: int) -> Number:
    """A number so often as a count says; all products together are `total` at most."""
    if is_integer(one.type) and total <= held_by(INT64):
        return Number(call("multiply", cast(one, INT64), count.expression), INT64, total)
    return _product(one, count, total)


def _product(one: Number, count: Number, most: int) -> Number:
    """The product with a whole number, as a decimal of the same scale. Raises: PlanError."""
    _held(most, one.type.scale)
    narrow, whole = _held(one.most, one.type.scale), _held(count.most, 0)
    precision = narrow.precision + whole.precision + 1
    if precision > DECIMAL_DIGITS and narrow.scale > _KEPT_SCALE:
        raise PlanError("a product of decimals could be rounded")
    kind = decimal(min(precision, DECIMAL_DIGITS), narrow.scale)
    pair = cast(one, narrow), Cast(count.expression, whole)
    return Number(call("multiply", *pair), kind, most)


@dataclass(frozen=True, slots=True)
class RoundedMean:
    """A sum by a count, rounded half away from zero once: as `avg` of decimals is.

    A quotient of decimals has been rounded before it can be cast to fewer digits. So the dividend
    is made a multiple of the divisor first: (2a ± n - (2a ± n) mod 2n) / 2n, where a is the sum in
    units of the result and n the count. What is used twice is computed before, under `names`.
    """

    total: Number
    count: Number
    kind: DataType
    names: tuple[str, str]

    def step(self) -> Expression:
        """As many units of the result as are counted."""
        scale = self.kind.scale
        unit = literal(Decimal(1).scaleb(-scale), decimal(max(scale, 1), scale))
        return call("multiply", self._number(), unit)

    def dividend(self) -> Expression:
        """Twice the sum, and half of the divisor more, away from zero. Raises: PlanError."""
        total, step = self.total, ColumnRef(self.names[0])
        held = self._held()
        narrow = cast(total, _held(total.most, total.type.scale))
        below = call("lt", total.expression, literal(Decimal(0), total.type))
        half = Case((When(below, call("negate", step)),), step)
        return call("add", Cast(call("add", narrow, narrow), held), Cast(half, held))

    def quotient(self) -> Expression:
        """The mean."""
        step, dividend = (ColumnRef(name) for name in self.names)
        rest = call("remainder", dividend, call("add", step, step))
        # Of so many digits a quotient has no more after the point than its dividend, or six.
        even = Cast(call("subtract", dividend, rest), decimal(DECIMAL_DIGITS, self.kind.scale))
        return Cast(call("divide", even, call("add", self._number(), self._number())), self.kind)

    def _number(self) -> Expression:
        return Cast(self.count.expression, _held(self.count.most, 0))

    def _held(self) -> DataType:
        """A type for the dividend, of which a sum of two more has 38 digits at most."""
        scale = self.kind.scale
        twice = 2 * self.total.most * 10 ** (scale - self.total.type.scale) + self.count.most
        return decimal(_held(100 * twice, scale).precision - 2, scale)
