"""Aggregates of the pairs of a join, from aggregates of its sides that are grouped before it.

A row of a grouped side stands for as many rows as it counts. So counts multiply, a sum of one side
is taken as often as the other side counts, and what is least stays so (Yan and Larson: Eager
aggregation and lazy aggregation, 1995). All of it is exact, or refused: integers and decimals are
computed in types that hold whatever there could be, and sums fail at the end alone, where they do
not fit, as they do in the plan as it is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from math import prod
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DECIMAL_DIGITS, Column, DataType, decimal
from mc2.plan.expressions import (
    Case,
    Cast,
    ColumnRef,
    Expression,
    Literal,
    When,
    call,
    columns_of,
    literal,
)
from mc2.plan.magnitudes import Magnitudes, held_by, holding, is_exact
from mc2.plan.relations import AggregateColumn, NamedExpression
from mc2.plan.signatures import Argument
from mc2.plan.types import DOUBLE, INT64, is_integer, sum_type
from mc2.plan.typing import type_of

AGAIN: Final = frozenset({"min", "max", "bool_and", "bool_or", "bits_and_of", "bits_or_of"})
"""Aggregates of which repetitions change nothing."""

_DISTINCT: Final = frozenset({"count", "sum", "avg", "min", "max"})
_SUMS: Final = frozenset({"sum", "avg"})
_MORE_DIGITS: Final = 10  # of a sum of decimals: `mc2.plan.types.sum_type`
_ZERO: Final = Literal("0", INT64)
_ONE: Final = Literal("1", INT64)


@dataclass(frozen=True, slots=True)
class Grouped:
    """A side of a join: its columns, its rows at most, and whether it is grouped before.

    `loose`: its columns are NULL in rows of the other side that have no partner.
    """

    columns: frozenset[str]
    rows: int
    magnitudes: Magnitudes
    grouped: bool
    loose: bool


@dataclass(frozen=True, slots=True)
class _Number:
    """An exact number, its type, and its greatest magnitude in units of that."""

    expression: Expression
    type: DataType
    most: int


@dataclass(slots=True)
class Weights:
    """What is aggregated of each side below a join of at most so many `pairs`, and above it.

    `below` are the aggregates of each grouped side, `above` those of the join's rows, `results`
    what is computed of these in the end. `read` are the columns of the sides that `above` reads as
    they are. `fresh` makes names; `magnitudes` are those of the join's columns.
    """

    sides: tuple[Grouped, Grouped]
    pairs: int
    magnitudes: Magnitudes
    fresh: Callable[[], str]
    below: tuple[list[AggregateColumn], list[AggregateColumn]] = field(
        default_factory=lambda: ([], [])
    )
    above: list[AggregateColumn] = field(default_factory=list)
    results: list[NamedExpression] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    _names: dict[str, str] = field(default_factory=dict)

    def add(self, wanted: AggregateColumn, result: Column) -> None:
        """Add an aggregate of the pairs, whose result is such a column. Raises: PlanError."""
        if wanted.distinct and wanted.function in _DISTINCT:
            found = self._as_it_is(wanted)
        elif wanted.function in AGAIN:
            found = self._again(wanted)
        elif wanted.function in {"count", "count_star"}:
            found = call("coalesce", self._count(wanted), _ZERO)
        elif wanted.function in _SUMS and is_exact(self._typed(wanted.arguments[0]).type):
            total = self._sum(wanted)
            if wanted.function == "sum":
                found = _cast(total, result.type)
            else:
                number = self._count(wanted)
                if result.nullable:
                    number = call("nullif", number, _ZERO)
                found = self._mean(total, number, result.type)
        else:
            raise PlanError(f"{wanted.function} of pairs is not found without them")
        self.results.append(NamedExpression(wanted.name, found))

    def weight(self, but: int | None = None) -> Expression | None:
        """For how many pairs a row of the join stands; leaving a side out. None for one."""
        found = [self._counted(s) for s in (0, 1) if self.sides[s].grouped and s != but]
        return found[0] if len(found) == 1 else call("multiply", *found) if found else None

    def _most_weight(self, but: int | None) -> int:
        return prod(s.rows for n, s in enumerate(self.sides) if s.grouped and n != but)

    # --- which side has it

    def _side(self, wanted: AggregateColumn) -> int | None:
        """The grouped side below whose grouping an aggregate can be computed."""
        parts = [*wanted.arguments, *([] if wanted.where is None else [wanted.where])]
        read = frozenset[str]().union(*map(columns_of, parts))
        for place, side in enumerate(self.sides):
            if not (side.grouped and read and read <= side.columns):
                continue
            # Of rows without a partner nothing is computed below, where above a column is NULL.
            plain = all(isinstance(p, ColumnRef) for p in parts)
            if plain or (not side.loose and all(map(side.magnitudes.never_fails, parts))):
                return place
        return None

    def _under(self, side: int, column: AggregateColumn) -> ColumnRef:
        """A column that a grouped side has, of one aggregate."""
        known = f"{side} {column.function} {column.arguments!r} {column.where!r}"
        if known not in self._names:
            self._names[known] = self.fresh()
            of = _named(column, self._names[known])
            self.below[side].append(of)
        return ColumnRef(self._names[known])

    def _counted(self, side: int) -> Expression:
        found = self._under(side, AggregateColumn("", "count_star", ()))
        return call("coalesce", found, _ONE) if self.sides[side].loose else found

    def _over(self, column: AggregateColumn) -> ColumnRef:
        """A column above, of one aggregate of the join's rows."""
        known = f"above {column.function} {column.arguments!r} {column.distinct} {column.where!r}"
        if known not in self._names:
            self._names[known] = self.fresh()
            self.above.append(_named(column, self._names[known]))
        return ColumnRef(self._names[known])

    def _reading(self, wanted: AggregateColumn) -> None:
        for part in (*wanted.arguments, wanted.where):
            self.read |= frozenset() if part is None else columns_of(part)

    # --- the aggregates

    def _as_it_is(self, wanted: AggregateColumn) -> Expression:
        self._reading(wanted)
        return self._over(wanted)

    def _again(self, wanted: AggregateColumn) -> Expression:
        side = self._side(wanted)
        if side is None:
            return self._as_it_is(wanted)
        return self._over(AggregateColumn("", wanted.function, (self._under(side, wanted),)))

    def _count(self, wanted: AggregateColumn) -> Expression:
        """How many pairs have a value; NULL for no pairs."""
        where = wanted.where
        counts = AggregateColumn("", "count", wanted.arguments, where=where)
        if not wanted.arguments:
            counts = AggregateColumn("", "count_star", (), where=where)
        side = self._side(counts)
        if side is not None:
            own: Expression = self._under(side, counts)
            if self.sides[side].loose:
                own = call("coalesce", own, _ZERO)
            weight = self.weight(but=side)
            found = own if weight is None else call("multiply", own, weight)
            return self._over(AggregateColumn("", "sum", (found,)))
        self._reading(wanted)
        loose = (a for a in wanted.arguments if self._typed(a).nullable)
        some: list[Expression] = [call("is_not_null", a) for a in loose]
        some += [] if where is None else [where]
        test = None if not some else some[0] if len(some) == 1 else call("and", *some)
        return self._over(AggregateColumn("", "sum", (self.weight() or _ONE,), where=test))

    def _typed(self, expression: Expression) -> Argument:
        return type_of(expression, self.magnitudes.columns)

    def _sum(self, wanted: AggregateColumn) -> _Number:
        """The sum over all pairs, in a type that holds whatever it could be, or else an int64."""
        (argument,) = wanted.arguments
        side, kind = self._side(wanted), self._typed(argument).type
        most = self.magnitudes.most(argument)
        one = _Number(argument, kind, most)
        where, weight = wanted.where, self.weight()
        if side is None:
            self._reading(wanted)
        else:
            rows = self.sides[side].rows
            below = _added(one, most * rows, last=False)
            name = self._under(side, AggregateColumn("", "sum", (below.expression,), where=where))
            one = _Number(name, sum_type(below.type), below.most)
            where, weight = None, self.weight(but=side)
        total = most * self.pairs
        if weight is not None:
            one = _times(one, _Number(weight, INT64, self._most_weight(but=side)), total)
        last = _added(one, total, last=True)
        found = self._over(AggregateColumn("", "sum", (last.expression,), where=where))
        return _Number(found, sum_type(last.type), total)

    def _mean(self, total: _Number, count: Expression, kind: DataType) -> Expression:
        if kind == DOUBLE:  # as in grouping: the sum is an int64, or it fails
            whole = Cast(_cast(total, INT64), DOUBLE)
            return call("divide", whole, Cast(count, DOUBLE))
        return _rounded_mean(total, _Number(count, INT64, self.pairs), kind)


def _named(column: AggregateColumn, name: str) -> AggregateColumn:
    return AggregateColumn(name, column.function, column.arguments, column.distinct, column.where)


def _cast(number: _Number, kind: DataType) -> Expression:
    return number.expression if number.type == kind else Cast(number.expression, kind)


def _held(most: int, scale: int) -> DataType:
    found = holding(most, scale)
    if found is None:
        raise PlanError(f"a sum could have more than {DECIMAL_DIGITS} digits")
    return found


def _added(one: _Number, total: int, *, last: bool) -> _Number:
    """A number to add up to a sum of so much at most, in a type whose sum does not fail before.

    The `last` sum of integers is an int64, where it fails if it is none.
    """
    if is_integer(one.type):
        if last or total <= held_by(INT64):
            return _Number(one.expression, one.type, total)
        one = _Number(Cast(one.expression, _held(one.most, 0)), _held(one.most, 0), one.most)
    digits = _held(total, one.type.scale).precision
    if sum_type(one.type).precision >= digits:
        return _Number(one.expression, one.type, total)
    wider = decimal(digits - _MORE_DIGITS, one.type.scale)
    return _Number(Cast(one.expression, wider), wider, total)


def _times(one: _Number, count: _Number, total: int) -> _Number:
    """A number so often as a count says; all products together are `total` at most."""
    if is_integer(one.type) and total <= held_by(INT64):
        return _Number(call("multiply", _cast(one, INT64), count.expression), INT64, total)
    return _product(one, count, total)


def _product(one: _Number, count: _Number, most: int) -> _Number:
    """The product with a whole number, as a decimal of the same scale. Raises: PlanError."""
    _held(most, one.type.scale)
    narrow, whole = _held(one.most, one.type.scale), _held(count.most, 0)
    precision = narrow.precision + whole.precision + 1
    if precision > DECIMAL_DIGITS and narrow.scale > _KEPT_SCALE:
        raise PlanError("a product of decimals could be rounded")
    kind = decimal(min(precision, DECIMAL_DIGITS), narrow.scale)
    pair = _cast(one, narrow), Cast(count.expression, whole)
    return _Number(call("multiply", *pair), kind, most)


_KEPT_SCALE: Final = 6
"""Products of decimals keep so many digits after the point (`mc2.plan.types.adjusted_decimal`)."""


def _rounded_mean(total: _Number, count: _Number, kind: DataType) -> Expression:
    """A sum by a count, rounded half away from zero once: as `avg` of decimals is.

    A quotient of decimals has been rounded before it is cast. So the dividend is made a multiple of
    the divisor: (2a ± n - (2a ± n) mod 2n) / 2n, where a is the sum in units of the result.
    """
    up = 10 ** (kind.scale - total.type.scale)
    twice = 2 * total.most * up + count.most
    scale = kind.scale
    held = _held(100 * twice, scale)  # sums have a digit more than what is added
    unit = literal(Decimal(1).scaleb(-scale), decimal(max(scale, 1), scale))
    number = Cast(count.expression, _held(count.most, 0))
    step = call("multiply", number, unit)  # as many units of the result as are counted
    doubled = call("multiply", _cast(total, _held(total.most, total.type.scale)), _TWO)
    narrow = decimal(held.precision - 2, scale)
    half = Case((When(_below_zero(total), call("negate", step)),), step)
    dividend = call("add", Cast(doubled, narrow), Cast(half, narrow))
    divisor = call("multiply", number, _TWO)
    rest = call("remainder", dividend, call("multiply", step, _TWO))
    even = Cast(call("subtract", dividend, rest), _held(twice, scale))
    return Cast(call("divide", even, divisor), kind)


_TWO: Final = Literal("2", decimal(1, 0))


def _below_zero(number: _Number) -> Expression:
    return call("lt", number.expression, literal(Decimal(0), number.type))
