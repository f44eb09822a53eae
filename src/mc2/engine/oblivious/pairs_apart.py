"""Joins of many rows with many over rows that several tasks have in one order.

Pairs are numbered (`mc2.operators.pairing`), and each task has places for as many of them as any
other, whatever keys there are: a place finds its left row by where that row's pairs start, and its
right row by the keys of the left one and which of its partners it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mc2.engine.oblivious.joins import Joiner
from mc2.engine.oblivious.sheets import SheetRun
from mc2.operators import joining, lining, ordering, pairing, sheets
from mc2.operators.handles import Layout, SecretMarks, SecretTable, marks_of
from mc2.operators.logic import conjunction
from mc2.operators.pairing import Numbers
from mc2.operators.sheets import Sheet
from mc2.plan.oblivious_apart import PAIR, RANK, numbered_pairs
from mc2.plan.oblivious_joins import JoinForm
from mc2.plan.types import INT64

_START: Final = "\0start"  # no column of a plan starts so
_NUMBER: Final = Layout(INT64)


class PairRun(SheetRun):
    """A run of nodes, joins among them whose pairs several tasks number."""

    def told_of_pairs(self, index: int, work: str, sheet: Sheet) -> Sheet:
        """What others need of a task's rows: of `last` and `partner` its last row of those sought.

        `number`: how many of its rows have the keys of its first and of its last one.
        """
        if work == "number":
            return pairing.told_numbers(self.trace, sheet)
        layouts = self._left(index, _START) if work == "last" else self._right(index)
        return sheets.last_right(self.trace, sheet, layouts)

    def placed(
        self, index: int, found: Sequence[Sheet], task: int, tasks: int, places: int
    ) -> Sheet:
        """Left rows by where their pairs start, and this task's share of all places of pairs."""
        sheet, numbers = found[0], self._numbers(index, found, task)
        left, right = (self.table_layouts(s) for s in self._sides(index))
        rows, _ = sheets.both_sides(self.trace, sheet, left, right)
        there = conjunction(self.trace, marks_of(rows.present), numbers.has_pairs)
        rows = SecretTable({**rows.columns, _START: numbers.start}, SecretMarks(there))
        bound = self._facts[index].rows
        share = -(-bound // tasks)
        asked = pairing.markers(range(task * share, (task + 1) * share), bound, PAIR)
        on = [joining.On(asked.columns[PAIR], rows.columns[_START])]
        keys, planes = lining.line_up(self.trace, asked, rows, on)
        return sheets.sorted_sheet(self.trace, keys, planes, places)

    def paired(
        self, index: int, found: Sequence[Sheet], task: int, tasks: int, places: int
    ) -> Sheet:
        """Places of pairs with their left rows, and right rows, by keys and which partner it is."""
        del tasks
        lined, told, sheet, last = found
        lefts = self._left(index, _START)
        asked, rows = sheets.both_sides(self.trace, sheet, {PAIR: _NUMBER}, lefts)
        earlier = sheets.table_of(self.trace, sheets.cut_sheet(last, slice(0, task)), lefts)
        pairs = pairing.placed(self.trace, rows, earlier, asked, (_START, PAIR))
        numbers = self._numbers(index, (lined, told), task)
        left, right = (self.table_layouts(s) for s in self._sides(index))
        _, partners = sheets.both_sides(self.trace, lined, left, right)
        partners = SecretTable({**partners.columns, RANK: numbers.rank}, partners.present)
        return self._in_line(self._pair_form(index), (pairs, partners), places)

    def matched(self, index: int, found: Sequence[Sheet], task: int) -> SecretTable:
        """The pairs at a task's own places."""
        layouts = self._left(index, PAIR), self._right(index)
        pairs, partners = sheets.both_sides(self.trace, found[0], *layouts)
        if task:
            earlier = sheets.cut_sheet(found[1], slice(0, task))
            carried = sheets.table_of(self.trace, earlier, layouts[1])
            partners = ordering.union_all([carried, partners], list(partners.columns))
        needed = self._steps.needed[index]
        joiner = Joiner(self.trace, self._pair_form(index), pairs, partners, needed)
        return self._kept(index, joiner.join("inner"))

    def _numbers(self, index: int, found: Sequence[Sheet], task: int) -> Numbers:
        return pairing.numbers(self.trace, found[0], found[1], task, self._facts[index].rows)

    def _pair_form(self, index: int) -> JoinForm:
        form, _ = self._form(self._join_of(index, None))
        return numbered_pairs(form)

    def _sides(self, index: int) -> tuple[int, ...]:
        return self._join_of(index, None).sources

    def _left(self, index: int, more: str) -> dict[str, Layout]:
        return {**self.table_layouts(self._sides(index)[0]), more: _NUMBER}

    def _right(self, index: int) -> dict[str, Layout]:
        return {**self.table_layouts(self._sides(index)[1]), RANK: _NUMBER}
