"""Aggregates of the pairs of a join, from aggregates of its sides that are grouped before it.

A row of a grouped side stands for as many rows as it counts. So counts multiply, a sum of one side
is taken as often as the other side counts, and what is least stays so (Yan and Larson: Eager
aggregation and lazy aggregation, 1995). All of it is exact, or refused: integers and decimals are
computed in types that hold whatever there could be, and sums fail at the end alone, where they do
not fit, as they do in the plan as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from math import prod
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Column, DataType
from mc2.plan.exact_sums import Number, RoundedMean, added, cast, times
from mc2.plan.expressions import Cast, ColumnRef, Expression, Literal, call, columns_of
from mc2.plan.magnitudes import Magnitudes, is_exact
from mc2.plan.relations import AggregateColumn, NamedExpression
from mc2.plan.signatures import Argument
from mc2.plan.types import DOUBLE, INT64, sum_type
from mc2.plan.typing import type_of

AGAIN: Final = frozenset({"min", "max", "bool_and", "bool_or", "bits_and_of", "bits_or_of"})
"""Aggregates of which repetitions change nothing."""

_DISTINCT: Final = frozenset({"count", "sum", "avg", "min", "max"})
_SUMS: Final = frozenset({"sum", "avg"})
_PARTS: Final = ("step", "dividend")
_ZERO: Final = Literal("0", INT64)
_ONE: Final = Literal("1", INT64)


@dataclass(frozen=True, slots=True)
class Grouped:
    """A side of a join: its columns, its rows at most, and whether it is grouped before.

    `loose`: its columns are NULL in rows of the other side that have no partner. `place` is what it
    is told from others by.
    """

    place: int
    columns: frozenset[str]
    rows: int
    magnitudes: Magnitudes
    grouped: bool
    loose: bool


@dataclass(slots=True)
class Weights:
    """What is aggregated of each side below a join of at most so many `pairs`, and above it.

    `below` are the aggregates of each grouped side, `above` those of the join's rows, `results`
    what is computed of these in the end, of `steps` and `dividends` that are computed before.
    `read` are the columns of the sides that `above` reads as they are. `magnitudes` are those of
    the join's columns; `name_of` gives names to what is computed, and `place` is what tells this
    join from others.
    """

    sides: tuple[Grouped, Grouped]
    pairs: int
    magnitudes: Magnitudes
    name_of: Callable[..., str]
    place: Hashable
    below: tuple[list[AggregateColumn], list[AggregateColumn]] = field(
        default_factory=lambda: ([], [])
    )
    above: list[AggregateColumn] = field(default_factory=list)
    steps: list[NamedExpression] = field(default_factory=list)
    dividends: list[NamedExpression] = field(default_factory=list)
    results: list[NamedExpression] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

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
                found = cast(total, result.type)
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
        found = replace(column, name=self.name_of(self.sides[side].place, column))
        if found not in self.below[side]:
            self.below[side].append(found)
        return ColumnRef(found.name)

    def _counted(self, side: int) -> Expression:
        found = self._under(side, AggregateColumn("", "count_star", ()))
        return call("coalesce", found, _ONE) if self.sides[side].loose else found

    def _over(self, column: AggregateColumn) -> ColumnRef:
        """A column above, of one aggregate of the join's rows."""
        column = replace(column, name="")
        found = replace(column, name=self.name_of(self.place, column))
        if found not in self.above:
            self.above.append(found)
        return ColumnRef(found.name)

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

    def _sum(self, wanted: AggregateColumn) -> Number:
        """The sum over all pairs, in a type that holds whatever it could be, or else an int64."""
        (argument,) = wanted.arguments
        side, kind = self._side(wanted), self._typed(argument).type
        most = self.magnitudes.most(argument)
        one = Number(argument, kind, most)
        where = wanted.where
        if side is None:
            self._reading(wanted)
        else:
            rows = self.sides[side].rows
            below = added(one, most * rows, last=False)
            name = self._under(side, AggregateColumn("", "sum", (below.expression,), where=where))
            one = Number(name, sum_type(below.type), below.most)
            where = None
        weight = self.weight(but=side)
        total = most * self.pairs
        if weight is not None:
            one = times(one, Number(weight, INT64, self._most_weight(but=side)), total)
        last = added(one, total, last=True)
        found = self._over(AggregateColumn("", "sum", (last.expression,), where=where))
        return Number(found, sum_type(last.type), total)

    def _mean(self, total: Number, count: Expression, kind: DataType) -> Expression:
        if kind == DOUBLE:  # as in grouping: the sum is an int64, or it fails
            whole = Cast(cast(total, INT64), DOUBLE)
            return call("divide", whole, Cast(count, DOUBLE))
        names = [self.name_of(self.place, kind, n, total.expression, count) for n in _PARTS]
        parts = RoundedMean(total, Number(count, INT64, self.pairs), kind, (names[0], names[1]))
        self.steps.append(NamedExpression(names[0], parts.step()))
        self.dividends.append(NamedExpression(names[1], parts.dividend()))
        return parts.quotient()
