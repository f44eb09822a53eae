"""Joins and marks of a plan, by the form of their conditions (`mc2.plan.oblivious_joins`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from mc2.engine.oblivious.calls import one_layout
from mc2.engine.oblivious.expressions import Evaluator
from mc2.operators import bands, comparisons, grouping, joining, logic, ordering
from mc2.operators.handles import (
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    known_of,
    marks_of,
)
from mc2.operators.joining import On
from mc2.operators.run import Run
from mc2.plan.expressions import Expression
from mc2.plan.matching import names_of
from mc2.plan.oblivious_joins import Compared, JoinForm
from mc2.plan.types import INT64

_OWN: Final = "\0"  # no column of a plan starts so
_ROW: Final = "\0row"
_KEY: Final = "\0key"
_LEAST: Final = "\0least"
_GREATEST: Final = "\0greatest"
_MANY: Final = "\0many"


class Joiner:
    """Joins two tables of one run by the form of a condition.

    `needed` are the columns that others read: no more are carried along, but for conditions.
    """

    def __init__(
        self,
        run: Run,
        form: JoinForm,
        left: SecretTable,
        right: SecretTable,
        needed: frozenset[str],
    ) -> None:
        self._run = run
        self._needed = needed
        self._form = form
        self._left = left
        self._right = right

    def join(self, how: str) -> SecretTable:
        """The join of a kind; rows that are there stand anywhere."""
        match how:
            case "inner" | "cross":
                return self._pairs(self._left, self._right)
            case "left":
                return self._outer()
            case "right":
                return self._turned().join("left")
            case "full":
                return self._full()
            case "single":
                return self._single()
            case _:
                rows, found, _ = self._asked()
                kept = found if how == "semi" else logic.complement(self._run, found)
                return _restricted(self._run, rows, kept)

    def mark(self, name: str) -> SecretTable:
        """The left side with a column that says whether each row has a partner."""
        run = self._run
        rows, found, unknown = self._asked()
        known = np.ones(rows.rows, dtype=np.uint8)
        if unknown is not None:
            open_ = logic.conjunction(run, unknown, logic.complement(run, found))
            known = logic.complement(run, open_)
        columns = {**rows.columns, name: logic.truth(run, found, known)}
        return SecretTable(columns, rows.present)

    def _narrow(self, table: SecretTable) -> SecretTable:
        """The columns that are read once rows have found each other."""
        form = self._form
        read = self._needed | names_of(t for t in (form.left_only, form.rest) if t is not None)
        kept = [n for n in table.columns if n in read or n.startswith(_OWN)]
        return _with_columns(table, kept)

    # --- pairs

    def on(self) -> list[On]:
        """What must be equal: columns of both sides."""
        return self._on(self._left, self._right)

    def _on(self, left: SecretTable, right: SecretTable) -> list[On]:
        """The equalities, as columns of both sides."""
        sides = Evaluator.over(self._run, left), Evaluator.over(self._run, right)
        return [
            On(sides[0].of(e.left), sides[1].of(e.right), e.nulls) for e in self._form.equalities
        ]

    def _pairs(self, left: SecretTable, right: SecretTable) -> SecretTable:
        """The pairs of rows for which the whole condition is true."""
        run, form = self._run, self._form
        on = self._on(left, right)
        if form.right_only is not None:
            right, form = self._tested(right, form.right_only), replace(form, right_only=None)
        if form.left_only is not None:
            left, form = self._tested(left, form.left_only), replace(form, left_only=None)
        ends = self._reach(left, right)
        left, right = self._narrow(left), self._narrow(right)
        if form.to_one and on:
            found = joining.join_unique(run, left, right, on, outer=False)
        elif form.of_one and on:
            turned = [On(one.right, one.left, one.nulls) for one in on]
            found = joining.join_unique(run, right, left, turned, outer=False)
            found = _with_columns(found, [*left.columns, *right.columns])
        elif ends is not None:
            form = replace(form, rest=None)
            found = self._within(left, right, on, ends)
        elif not on:
            found = joining.cross(run, left, right)
        else:
            # A task of several has a part of the rows alone, and needs room for no more pairs.
            bound = min(form.pairs, left.rows * right.rows)
            found = joining.match(run, left, right, on, bound)
        return self._tested(found, form.whole)

    def _reach(self, left: SecretTable, right: SecretTable) -> bands.Reach | None:
        """The columns of a band, if the condition is one."""
        band = self._form.band
        if band is None or any(e.nulls for e in self._form.equalities):
            return None
        points, ranges = (left, right) if band.of_left else (right, left)
        return bands.Reach(
            points.columns[band.point],
            ranges.columns[band.low.column],
            ranges.columns[band.high.column],
            above_low=band.low.strict,
            below_high=band.high.strict,
        )

    def _within(
        self, left: SecretTable, right: SecretTable, on: Sequence[On], reach: bands.Reach
    ) -> SecretTable:
        """The pairs of a band."""
        form, run = self._form, self._run
        bound = min(form.pairs, left.rows * right.rows)
        if form.band is not None and form.band.of_left:
            return bands.match_band(run, left, right, on, reach, bound)
        turned = [On(one.right, one.left, one.nulls) for one in on]
        found = bands.match_band(run, right, left, turned, reach, bound)
        return _with_columns(found, [*left.columns, *right.columns])

    def _tested(self, table: SecretTable, condition: Expression | None) -> SecretTable:
        if condition is None:
            return table
        value = Evaluator.over(self._run, table).of(condition)
        return SecretTable(table.columns, logic.restrict(self._run, table.present, value))

    # --- joins that keep rows without a partner

    def _turned(self) -> Joiner:
        """The same join with its sides changed."""
        form, band = self._form, self._form.band
        equalities = tuple(replace(e, left=e.right, right=e.left) for e in form.equalities)
        turned = replace(
            form,
            equalities=equalities,
            to_one=form.of_one,
            of_one=form.to_one,
            left_only=form.right_only,
            right_only=form.left_only,
            compared=None,
            band=None if band is None else replace(band, of_left=not band.of_left),
        )
        return Joiner(self._run, turned, self._right, self._left, self._needed)

    def _outer(self) -> SecretTable:
        """All rows of the left side, with their partners or NULLs."""
        form = self._form
        right = self._tested(self._right, form.right_only)
        if form.to_one:
            return self._with_partner(right)
        own = joining.numbered(self._left, _ROW)
        pairs = self._pairs(own, right)
        alone = self._alone(own, pairs)
        kept = joining.with_nulls(self._run, *alone[:1], right, alone[1])
        names = [n for n in pairs.columns if n != _ROW]
        return ordering.union_all([_with_columns(t, names) for t in (pairs, kept)], names)

    def _alone(self, own: SecretTable, pairs: SecretTable) -> tuple[SecretTable, Marks]:
        """Numbered rows, and which of them stand in no pair."""
        numbers = SecretTable({_ROW: pairs.columns[_ROW]}, pairs.present)
        on = [On(own.columns[_ROW], numbers.columns[_ROW])]
        rows, found = joining.partnered(self._run, own, numbers, on)
        return rows, logic.complement(self._run, found)

    def _with_partner(self, right: SecretTable) -> SecretTable:
        """Each left row with its one partner, or NULLs."""
        run, form = self._run, self._form
        on = self._on(self._left, right)
        left, right = self._narrow(self._left), self._narrow(right)
        rows, partners, found = joining.look_up(run, left, right, on, unique=True)
        tests = [t for t in (form.left_only, form.rest) if t is not None]
        for test in tests:
            pairs = joining.side_by_side(
                rows, partners, logic.conjunction(run, marks_of(rows.present), found)
            )
            found = marks_of(self._tested(pairs, test).present)
            partners = _cleared(run, partners, found)
        return joining.side_by_side(rows, partners, marks_of(rows.present))

    def _full(self) -> SecretTable:
        """All pairs, and the rows of both sides that stand in none."""
        own = joining.numbered(self._left, _ROW)
        other = _renamed(joining.numbered(self._right, _ROW), _ROW, _KEY)
        pairs = self._pairs(own, other)
        rows, alone = self._alone(own, pairs)
        lefts = joining.with_nulls(self._run, rows, self._right, alone)
        turned = _renamed(SecretTable({_KEY: pairs.columns[_KEY]}, pairs.present), _KEY, _ROW)
        rows, alone = self._alone(_renamed(other, _KEY, _ROW), turned)
        rights = joining.with_nulls(self._run, rows, self._left, alone)
        every = [*self._left.columns, *self._right.columns]
        names = [n for n in every if n in pairs.columns]
        return ordering.union_all([_with_columns(t, names) for t in (pairs, lefts, rights)], names)

    def _single(self) -> SecretTable:
        """Each left row with its one partner; a flag where one has several."""
        run, form = self._run, self._form
        if form.to_one:
            return self._outer()
        on = self._on(self._left, self._right)
        rows, partners, found = joining.look_up(
            run, joining.numbered(self._left, _ROW), self._right, on, unique=False
        )
        self._refuse_several(rows, found)
        names = [n for n in rows.columns if n != _ROW]
        return joining.side_by_side(_with_columns(rows, names), partners, marks_of(rows.present))

    def _refuse_several(self, rows: SecretTable, found: Marks) -> None:
        """Raise a flag where a row that has a partner has two: the plan has no use for others."""
        run = self._run
        columns = Evaluator.over(run, self._right)
        keys = {f"{_KEY}{i}": columns.of(e.right) for i, e in enumerate(self._form.equalities)}
        table = SecretTable(keys, self._right.present)
        count = grouping.Aggregate(_MANY, "count_star", None, INT64)
        groups = grouping.group(run, table, list(keys), [count])
        own = Evaluator.over(run, _restricted(run, rows, found))
        on = [
            On(own.of(e.left), groups.columns[name], e.nulls)
            for e, name in zip(self._form.equalities, keys, strict=True)
        ]
        left = SecretTable({}, SecretMarks(found))
        _, partners, matched = joining.look_up(run, left, groups, on, unique=False)
        joining.check_one(run, partners.columns[_MANY], matched)

    # --- whether there is a partner

    def _asked(self) -> tuple[SecretTable, Marks, Marks | None]:
        """The left rows, which of them have a partner, and for which that is not known."""
        run, form = self._run, self._form
        right = self._tested(self._right, form.right_only)
        unknown = None
        if form.unsure is not None:
            rows, found, unknown = self._asked_unsure(right)
        elif form.rest is None:
            on = self._on(self._left, right)
            rows, found = joining.partnered(run, self._narrow(self._left), right, on)
        elif form.compared is not None:
            rows, found = self._asked_compared(right, form.compared)
        elif form.to_one:
            on = self._on(self._left, right)
            left, right = self._narrow(self._left), self._narrow(right)
            rows, partners, found = joining.look_up(run, left, right, on, unique=True)
            here = logic.conjunction(run, marks_of(rows.present), found)
            found = marks_of(
                self._tested(joining.side_by_side(rows, partners, here), form.rest).present
            )
        else:
            own = joining.numbered(self._left, _ROW)
            rows, alone = self._alone(own, self._pairs(own, right))
            rows = _with_columns(rows, list(self._left.columns))  # without their numbers
            found = logic.complement(run, alone)
        if form.left_only is not None:
            holds = logic.value_marks(run, Evaluator.over(run, rows).of(form.left_only))
            found = logic.conjunction(run, found, holds)
            if unknown is not None:
                unknown = logic.conjunction(run, unknown, holds)
        return rows, found, unknown

    def _asked_compared(self, right: SecretTable, test: Compared) -> tuple[SecretTable, Marks]:
        """Whether a partner compares so: the least or the greatest one does, if any."""
        run = self._run
        of_right = Evaluator.over(run, right)
        keys = {f"{_KEY}{i}": of_right.of(e.right) for i, e in enumerate(self._form.equalities)}
        value = of_right.of(test.right)
        wanted = [
            grouping.Aggregate(name, function, value, value.type)
            for name, function in ((_LEAST, "min"), (_GREATEST, "max"))
        ]
        groups = grouping.group(run, SecretTable(keys, right.present), list(keys), wanted)
        of_left = Evaluator.over(run, self._left)
        on = [
            On(of_left.of(e.left), groups.columns[name], e.nulls)
            for e, name in zip(self._form.equalities, keys, strict=True)
        ]
        rows, partners, found = joining.look_up(
            run, self._narrow(self._left), groups, on, unique=True
        )
        mine = Evaluator.over(run, rows).of(test.left)
        answers = [
            _compare(run, test.function, mine, partners.columns[name])
            for name in (_LEAST, _GREATEST)
        ]
        either = logic.disjunction(run, *(logic.value_marks(run, a) for a in answers))
        return rows, logic.conjunction(run, found, either)

    def _asked_unsure(self, right: SecretTable) -> tuple[SecretTable, Marks, Marks]:
        """With one equality that could be NULL: unknown where that leaves it open.

        That is where the row's own value is NULL and there is any row to compare with, or where
        one of those has NULL.
        """
        run, form = self._run, self._form
        unsure = form.unsure
        if unsure is None:
            raise TypeError("only a mark with an equality that could be NULL comes here")
        everything = replace(form, equalities=(*form.equalities, unsure), unsure=None)
        left = joining.numbered(self._left, _ROW)
        first = Joiner(run, everything, left, right, self._needed)
        rows, found = joining.partnered(run, first._left, right, first._on(first._left, right))
        value = Evaluator.over(run, right).of(unsure.right)
        nothing = SecretMarks(logic.complement(run, known_of(value)))
        nulls = _restricted(run, right, marks_of(nothing))
        rows = SecretTable(
            {**rows.columns, _MANY: logic.truth(run, found, _ones(rows))}, rows.present
        )
        rows, any_null = joining.partnered(run, rows, nulls, self._on(rows, nulls))
        rows = SecretTable(
            {**rows.columns, _KEY: logic.truth(run, any_null, _ones(rows))}, rows.present
        )
        rows, any_row = joining.partnered(run, rows, right, self._on(rows, right))
        own = Evaluator.over(run, rows).of(unsure.left)
        own_null = logic.conjunction(run, logic.complement(run, known_of(own)), any_row)
        found = logic.value_marks(run, rows.columns[_MANY])
        unknown = logic.disjunction(run, own_null, logic.value_marks(run, rows.columns[_KEY]))
        return _with_columns(rows, list(self._left.columns)), found, unknown


def _compare(run: Run, function: str, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    a, b = one_layout(a, b)
    match function:
        case "ne":
            return comparisons.unequal(run, a, b)
        case "lt":
            return comparisons.less(run, a, b)
        case "le":
            return comparisons.at_most(run, a, b)
        case "gt":
            return comparisons.less(run, b, a)
        case _:
            return comparisons.at_most(run, b, a)


def _ones(table: SecretTable) -> Marks:
    return np.ones(table.rows, dtype=np.uint8)


def _restricted(run: Run, table: SecretTable, keep: Marks) -> SecretTable:
    present = logic.conjunction(run, marks_of(table.present), keep)
    return SecretTable(table.columns, SecretMarks(present))


def _with_columns(table: SecretTable, names: Sequence[str]) -> SecretTable:
    return SecretTable({n: table.columns[n] for n in names}, table.present)


def _renamed(table: SecretTable, old: str, new: str) -> SecretTable:
    columns = {new if n == old else n: c for n, c in table.columns.items()}
    return SecretTable(columns, table.present)


def _cleared(run: Run, table: SecretTable, keep: Marks) -> SecretTable:
    """The columns with NULL in rows that are not kept."""
    columns = {}
    for name, value in table.columns.items():
        nothing = SecretColumn(
            value.layout,
            np.zeros((value.rows, value.layout.words), dtype=np.uint64),
            np.zeros(value.rows, dtype=np.uint8),
        )
        columns[name] = logic.choose(run, keep, value, nothing)
    return SecretTable(columns, table.present)
