"""One way to group the sides of a join before it is made, for an aggregate of its pairs.

What a side is grouped by is all that is read of it above: by the condition of the join, by those of
its rows, by the groups, and by aggregates that are not found below. Rows that agree in these have
the same partners and go the same way, so one row stands for them, with how many they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Schema
from mc2.plan.expressions import (
    ColumnRef,
    Expression,
    Literal,
    columns_of,
    substituted,
)
from mc2.plan.matching import all_of, conjuncts, names_of
from mc2.plan.oblivious_draft import Draft
from mc2.plan.oblivious_weights import Grouped, Weights
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Filter,
    Join,
    NamedExpression,
    PairBound,
    Project,
)
from mc2.plan.shapes import NO_USEFUL_BOUND
from mc2.plan.types import BOOLEAN, INT64, has_parts, holds_floats

LOOSE: Final[Mapping[str, tuple[bool, bool]]] = {
    "inner": (False, False),
    "cross": (False, False),
    "left": (False, True),
    "right": (True, False),
    "full": (True, True),
}
"""Kinds of joins that make pairs, and of which sides columns are NULL where there is no partner."""

_SIDES: Final = (0, 1)
_WORTH: Final = 4
"""A side with one partner for each row of the other is grouped if so many rows become one."""
_TRUE: Final = Literal("true", BOOLEAN)
_ONE: Final = Literal("1", INT64)


@dataclass(frozen=True, slots=True)
class Chain:
    """What stands between an aggregate and the join whose pairs it is of.

    `columns` are those that the aggregate reads, `steps` the conditions and the bounds on the way,
    from below: all in terms of the join's columns. `index` is the place of the join.
    """

    join: Join
    index: int
    columns: Mapping[str, Expression]
    steps: tuple[Expression | int, ...]


class Sides:
    """The sides of a join, of which some are `grouped`, for an aggregate of its pairs.

    `earlier` is what else can be done for an aggregate that was added: for those of the sides.
    """

    def __init__(
        self,
        draft: Draft,
        chain: Chain,
        grouped: tuple[bool, bool],
        earlier: Callable[[int], int],
    ) -> None:
        self._draft, self._chain, self._earlier = draft, chain, earlier
        self._join, self._loose = chain.join, LOOSE[chain.join.how]
        self._grouped, self._place = grouped, (chain.index, grouped)
        self._names = [frozenset(draft.schema(s).names) for s in chain.join.sources]
        self._tests: tuple[list[Expression], list[Expression]] = ([], [])
        self._on = self._without_tests(chain.join.on, self._tests_of_join())
        self._steps = self._without_tests_of_rows()
        self._bases = [self._tested(side) for side in _SIDES]
        self._computed: tuple[list[NamedExpression], list[NamedExpression]] = ([], [])
        self._weights = self._weighing()

    def made(self, operation: Aggregate, schema: Schema) -> int:
        """A node with the columns of the aggregate. Raises: PlanError, FormatError."""
        columns = schema.by_name()
        for one in operation.aggregates:
            self._weights.add(_with_columns(one, self._chain.columns), columns[one.name])
        keys = {k: self._key(self._chain.columns[k]) for k in operation.keys}
        counted = any(isinstance(step, int) for step in self._steps)
        weight = (self._weights.weight() if counted else None) or _ONE
        self._weights.read |= names_of(keys.values()) | names_of(
            [e for e in (self._on, *self._steps) if e is not None and not isinstance(e, int)]
        )
        left, right = (self._side(side) for side in _SIDES)
        self._check_worth((left, right))
        pairs = self._draft.add(*self._joined(left, right))
        for step in self._steps:
            if isinstance(step, int):
                pairs = self._draft.add(PairBound(pairs, step, counts=weight))
            else:
                pairs = self._draft.add(Filter(pairs, step))
        return self._put_together(pairs, keys, self._weights)

    # --- conditions on one side go below

    def _tests_of_join(self) -> tuple[bool, bool]:
        """On which sides a part of the join's condition says nothing but which rows it is about."""
        if self._join.how in {"inner", "cross"}:
            return True, True
        return self._loose if self._loose != (True, True) else (False, False)

    def _without_tests(
        self, condition: Expression | None, allowed: tuple[bool, bool]
    ) -> Expression | None:
        """What is left of a condition when its parts on one side alone are tested there."""
        left = []
        for part in conjuncts(condition):
            side = self._side_of(part)
            if side is not None and allowed[side] and self._never_fails(side, part):
                self._tests[side].append(part)
            elif not (isinstance(part, Literal) and part.text == "true"):
                left.append(part)
        return all_of(left)

    def _without_tests_of_rows(self) -> list[Expression | int]:
        """The steps; what a bound has counted is left out behind it alone."""
        found: list[Expression | int] = []
        allowed = not self._loose[0], not self._loose[1]
        for step in self._chain.steps:
            if isinstance(step, int):
                found.append(step)
                allowed = False, False
            elif (left := self._without_tests(step, allowed)) is not None:
                found.append(left)
        return found

    def _side_of(self, part: Expression) -> int | None:
        read = columns_of(part)
        return next((s for s in _SIDES if read and read <= self._names[s]), None)

    def _never_fails(self, side: int, part: Expression) -> bool:
        return self._draft.magnitudes(self._join.sources[side]).never_fails(part)

    def _tested(self, side: int) -> int:
        test, source = all_of(self._tests[side]), self._join.sources[side]
        return source if test is None else self._draft.add(Filter(source, test))

    # --- what is aggregated, and by what

    def _weighing(self) -> Weights:
        pairs = self._draft.rows(self._chain.index)
        if pairs >= NO_USEFUL_BOUND:
            raise PlanError("nobody knows how many pairs there are at most")
        sides = [
            Grouped(
                self._bases[side],
                self._names[side],
                self._draft.rows(self._bases[side]),
                self._draft.magnitudes(self._bases[side]),
                self._grouped[side],
                self._loose[side],
            )
            for side in _SIDES
        ]
        magnitudes = self._draft.magnitudes(self._chain.index)
        return Weights((sides[0], sides[1]), pairs, magnitudes, self._draft.name_of, self._place)

    def _key(self, key: Expression) -> Expression:
        """A key of the groups, computed below if that is possible: it may have fewer values."""
        side = self._side_of(key)
        if isinstance(key, ColumnRef) or side is None or not self._grouped[side]:
            return key
        if self._loose[side] or not self._never_fails(side, key):
            return key
        computed = NamedExpression(self._draft.name_of(self._bases[side], key), key)
        if computed not in self._computed[side]:
            self._computed[side].append(computed)
        return ColumnRef(computed.name)

    def _side(self, side: int) -> int:
        """A side as it is joined."""
        if not self._grouped[side]:
            return self._bases[side]
        read = self._weights.read & self._names[side]
        if not read and not self._computed[side]:
            # Without keys there would be one row even of none, which no pair stands for.
            name = self._draft.name_of(self._bases[side], _TRUE)
            self._computed[side].append(NamedExpression(name, _TRUE))
        source = self._with_computed(side, read)
        computed = [c.name for c in self._computed[side]]
        columns = self._draft.schema(source).columns
        keys = [c for c in columns if c.name in read or c.name in computed]
        if any(holds_floats(c.type) or has_parts(c.type) for c in keys):
            raise PlanError("equal keys of rows may differ in what is computed of them")
        names, below = tuple(c.name for c in keys), tuple(self._weights.below[side])
        return self._earlier(self._draft.add(Aggregate(source, names, below)))

    def _check_worth(self, sides: tuple[int, int]) -> None:
        """Where no pairs are saved, rows must be: grouping them costs what a join with one does."""
        if self._draft.has_pairs(self._join):
            return
        for base, side, grouped in zip(self._bases, sides, self._grouped, strict=True):
            if grouped and self._draft.rows(side) * _WORTH > self._draft.rows(base):
                raise PlanError("grouped rows are nearly as many as before")

    def _with_computed(self, side: int, read: Collection[str]) -> int:
        """A side with the keys that are computed of it."""
        computed, source = self._computed[side], self._bases[side]
        if not computed:
            return source
        needed = {*read, *names_of(terms_of(self._weights.below[side]))}
        kept = [n for n in self._draft.schema(source).names if n in needed]
        same = [NamedExpression(n, ColumnRef(n)) for n in kept]
        return self._draft.add(Project(source, (*same, *computed)))

    # --- the join, and what is above it

    def _joined(self, left: int, right: int) -> tuple[Join, int]:
        """The join, and how many rows a bound above it allows: each stands for a pair at least."""
        how, room = self._join.how, self._draft.room(self._chain.index)
        if self._on is not None:
            return Join(left, right, how, self._on), room
        if how not in {"inner", "cross"}:
            raise PlanError("rows without a partner need a condition that both sides are read by")
        return Join(left, right, "cross", None), room

    def _put_together(self, pairs: int, keys: Mapping[str, Expression], weights: Weights) -> int:
        """The groups of the join's rows, and what is computed of these in the end."""
        above = weights.above
        if any(key != ColumnRef(name) for name, key in keys.items()):
            read = sorted(names_of(terms_of(above)))
            names = {n: self._draft.name_of(self._place, n) if n in keys else n for n in read}
            renamed = [NamedExpression(names[n], ColumnRef(n)) for n in read]
            computed = [NamedExpression(name, key) for name, key in keys.items()]
            pairs = self._draft.add(Project(pairs, (*computed, *renamed)))
            meanings = {n: ColumnRef(name) for n, name in names.items()}
            above = [_with_columns(one, meanings) for one in above]
        groups = self._draft.add(Aggregate(pairs, tuple(keys), tuple(above)))
        for added in (weights.steps, weights.dividends):
            if added:
                before = self._draft.schema(groups).names
                same = [NamedExpression(n, ColumnRef(n)) for n in before]
                groups = self._draft.add(Project(groups, (*same, *dict.fromkeys(added))))
        same = [NamedExpression(k, ColumnRef(k)) for k in keys]
        return self._draft.add(Project(groups, (*same, *weights.results)))


def terms_of(aggregates: Iterable[AggregateColumn]) -> list[Expression]:
    """All that some aggregates compute of rows."""
    return [e for a in aggregates for e in (*a.arguments, a.where) if e is not None]


def _with_columns(one: AggregateColumn, columns: Mapping[str, Expression]) -> AggregateColumn:
    """An aggregate over other columns."""
    return replace(
        one,
        arguments=tuple(substituted(a, columns) for a in one.arguments),
        where=None if one.where is None else substituted(one.where, columns),
    )
