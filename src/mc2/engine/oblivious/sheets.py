"""Nodes over rows that all tasks sort together: each task's rows in order, and what comes of all.

What a task computes at the end is the node itself, over its own run of the rows and what of others
could belong to it: groups that several tasks have, the row before, the last partner before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mc2.engine.oblivious.calls import one_layout
from mc2.engine.oblivious.joins import Joiner
from mc2.engine.oblivious.parts import PartsRun, fitted
from mc2.engine.oblivious.windows_apart import Beside, WindowHere, arrange_window, refuse_equal
from mc2.errors import FormatError, PlanError
from mc2.operators import grouping, joining, lining, ordering, partial, sheets
from mc2.operators.blocks import absent_row
from mc2.operators.handles import SecretTable
from mc2.operators.planes import equality_keys
from mc2.operators.run import Run
from mc2.operators.sheets import Sheet
from mc2.plan.oblivious_apart import as_left, carried_side, full_parts, makes_pairs
from mc2.plan.oblivious_deals import Deal, partner
from mc2.plan.oblivious_joins import JoinForm, join_form
from mc2.plan.oblivious_windows import window_reach
from mc2.plan.plan import Operation
from mc2.plan.relations import Aggregate, Distinct, Join, Mark, Sort
from mc2.plan.types import INT64
from mc2.plan.windows import Window

_FIRST: Final = "\0first"


def dealt(run: Run, deal: Deal, tasks: int, task: int, sheet: Sheet) -> Sheet:
    """What a task has after a round, of the parts that it got, in order of their writers.

    Raises: FormatError if it got other parts than the round has.
    """
    if deal.way == "whole":
        return sheet
    every = range(deal.places)
    sizes = [len(every[deal.parts(tasks, writer)[task]]) for writer in range(tasks)]
    if sheet.rows != sum(sizes):
        raise FormatError("tasks handed on other parts than a round of a sort has")
    ends = [sum(sizes[: w + 1]) for w in range(tasks)]
    parts = [
        sheets.cut_sheet(sheet, slice(e - s, e)) for s, e in zip(sizes, ends, strict=True) if s
    ]
    match deal.way:
        case "pairs":
            other = partner(tasks, deal.round, task)
            if other is None:
                return sheet
            start = deal.places if other < task else 0
            both = sheets.merged(run, parts)
            return sheets.cut_sheet(both, slice(start, start + deal.places))
        case "halves":
            return _middle(run, parts, before=task > 0, after=task < tasks - 1)
        case "edges" | "around":
            return sheet
        case _:
            return sheets.merged(run, parts)


def _middle(run: Run, parts: Sequence[Sheet], *, before: bool, after: bool) -> Sheet:
    """A task's run of all rows, once its halves have met those of its neighbours."""
    own = parts[1 if before else 0]
    half = own.rows // 2
    lower, upper = sheets.cut_sheet(own, slice(0, half)), sheets.cut_sheet(own, slice(half, None))
    if before:
        both = sheets.merged(run, [parts[0], lower])
        lower = sheets.cut_sheet(both, slice(both.rows - half, None))
    if after:
        both = sheets.merged(run, [upper, parts[-1]])
        upper = sheets.cut_sheet(both, slice(0, own.rows - half))
    return sheets.joined_sheets([lower, upper])


class SheetRun(PartsRun):
    """A run of nodes whose rows several tasks have in order."""

    # --- a task's own rows

    def arranged(
        self, index: int, tables: Sequence[SecretTable], places: int, part: int | None = None
    ) -> Sheet:
        """A task's own rows by what a node needs next to each other, in so many places."""
        operation = self._plan.nodes[index].operation
        if isinstance(operation, Join | Mark):
            return self._lined_up(index, self._join_of(index, part), tables, places)
        if part is not None:
            return self.values_arranged(index, tables[0], places, part)
        table = tables[0]
        match operation:
            case Sort():
                table = fitted(table, self.table_layouts(operation.source))
                table = ordering.bounded(self.trace, table, places)
                keys = lining.sort_keys(self.trace, table, *self.orders(operation, table))
            case Aggregate():
                by = self._facts[operation.source].fewest(operation.keys)
                table = self.grouped_parts(index, tables)
                table = fitted(table, self.group_layouts(operation))
                table = ordering.bounded(self.trace, table, places)
                named = [table.columns[f"k{operation.keys.index(name)}"] for name in by]
                keys = equality_keys(self.trace, named, table.present)
            case Distinct():
                table = self._of_one(operation, table, index)
                table = fitted(table, self.table_layouts(operation.source))
                table = ordering.bounded(self.trace, table, places)
                by = self._facts[operation.source].fewest(list(table.columns))
                keys = equality_keys(self.trace, [table.columns[n] for n in by], table.present)
            case Window():
                table = fitted(table, self.table_layouts(operation.source))
                table = ordering.bounded(self.trace, table, places)
                schema, ties = self._schema(operation.source), self.window_ties(operation)
                return arrange_window(self.trace, operation, table, schema, ties, places)
            case _:
                raise PlanError(f"no tasks sort rows for {operation.OP}")
        return sheets.table_sheet(self.trace, table, keys, places)

    def _lined_up(
        self, index: int, operation: Join | Mark, tables: Sequence[SecretTable], places: int
    ) -> Sheet:
        """The rows of both sides by what must be equal, those of the carried side first."""
        before = self._steps.before.get(index, (None, None))
        sides = [self._tested(t, c) for t, c in zip(tables, before, strict=True)]
        form, turned = self._form(operation)
        sides[1] = self._tested(sides[1], form.right_only)
        found = [
            fitted(t, self.table_layouts(s)) for t, s in zip(sides, operation.sources, strict=True)
        ]
        over = found[0].rows + found[1].rows - places
        if over > 0:
            larger = 0 if found[0].rows > found[1].rows else 1
            rows = found[larger].rows - over
            found[larger] = ordering.bounded(self.trace, found[larger], rows)
        return self._in_line(form, found, places, turned=turned)

    def _in_line(
        self, form: JoinForm, found: Sequence[SecretTable], places: int, *, turned: bool = False
    ) -> Sheet:
        """The rows of two tables by what must be equal, right ones first; of `turned` left ones."""
        joiner = Joiner(self.trace, form, found[0], found[1], frozenset())
        on = [joining.On(*one_layout(o.left, o.right), o.nulls) for o in joiner.on()]
        if turned:
            found, on = found[::-1], [joining.On(o.right, o.left, o.nulls) for o in on]
        keys, planes = lining.line_up(self.trace, found[0], found[1], on)
        return sheets.sorted_sheet(self.trace, keys, planes, places)

    def _form(self, operation: Join | Mark) -> tuple[JoinForm, bool]:
        """A join's form, and whether it is the left side whose rows are carried."""
        schemas = [self._schema(s) for s in operation.sources]
        facts = self._facts[operation.left], self._facts[operation.right]
        form = join_form(operation, schemas[0], schemas[1], facts)
        side = carried_side(operation, form)
        if side is None and not makes_pairs(operation, form):
            raise PlanError("no one row of this join stands for those in earlier tasks")
        return form, side == 0

    def carried(
        self, index: int, sheet: Sheet, task: int, tasks: int, part: int | None = None
    ) -> Sheet:
        """What others need of a task: of a join the last row of the carried side, if it has one."""
        node = self._plan.nodes[index].operation
        if isinstance(node, Window):
            beside = self._beside(node, sheet, task, tasks)
            return self._window_over(index, node, sheet, beside).told()
        operation = self._join_of(index, part)
        _, turned = self._form(operation)
        layouts = self.table_layouts(operation.sources[0 if turned else 1])
        return sheets.last_right(self.trace, sheet, layouts)

    def _join_of(self, index: int, part: int | None) -> Join | Mark:
        """A join as it is sorted over the tasks, or a part of a `full` one."""
        operation = self._plan.nodes[index].operation
        if not isinstance(operation, Join | Mark):
            raise TypeError("only joins carry rows")
        if isinstance(operation, Join) and operation.how == "right":
            return as_left(operation)
        if part is None or isinstance(operation, Mark):
            return operation
        schemas = [self._schema(s) for s in operation.sources]
        facts = self._facts[operation.left], self._facts[operation.right]
        form = join_form(operation, schemas[0], schemas[1], facts)
        return full_parts(operation, form, [f.rows for f in facts])[part]

    # --- the parts of a full join

    def part_joined(
        self, index: int, part: int, near: SecretTable, far: SecretTable
    ) -> SecretTable:
        """A part of a `full` join of a task's own rows, `near`, with all of the other side."""
        operation = self._join_of(index, part)
        self._tables = {operation.sources[0]: near, operation.sources[1]: far}
        return self._filled(index, self._join(operation, index))

    def _filled(self, index: int, table: SecretTable) -> SecretTable:
        """The columns of a `full` join that are read: NULL where a part has none."""
        layouts, here = self.table_layouts(index), table.columns
        missing = absent_row({n: la for n, la in layouts.items() if n not in here})
        every = np.ones(table.rows, dtype=np.uint8)
        return fitted(joining.with_nulls(self.trace, table, missing, every), layouts)

    def together(self, index: int, parts: Sequence[SecretTable]) -> SecretTable:
        """The rows of all parts of a `full` join that a task has."""
        found = ordering.union_all(parts, list(self.table_layouts(index)))
        return ordering.bounded(self.trace, found, self._facts[index].rows)

    # --- of all rows

    def finished(
        self,
        index: int,
        found: Sequence[Sheet],
        task: int,
        tasks: int,
        part: int | None = None,
    ) -> SecretTable:
        """A node of the rows that a task has once all are in order; or a part of an aggregate."""
        operation = self._plan.nodes[index].operation
        if isinstance(operation, Window):
            return self._kept(index, self._window_here(index, operation, found, task, tasks))
        if isinstance(operation, Join) and part is not None:
            join = self._join_of(index, part)
            return self._filled(index, self._joined(index, join, found, task))
        if part is not None:
            return self.values_here(index, part, found[0], *_edges(task, tasks))
        return self._kept(index, self._finished(index, operation, found, task, tasks))

    def _kept(self, index: int, table: SecretTable) -> SecretTable:
        """The columns of a node that are read, in no more places than it has rows."""
        names = [n for n in self._schema(index).names if n in self._steps.needed[index]]
        kept = SecretTable({n: table.columns[n] for n in names}, table.present)
        return ordering.bounded(self.trace, kept, self._facts[index].rows)

    def _window_here(
        self, index: int, operation: Window, found: Sequence[Sheet], task: int, tasks: int
    ) -> SecretTable:
        beside = self._beside(operation, found[0], task, tasks)
        here = self._window_over(index, operation, found[0], beside)
        if self.window_ties(operation).unique:
            layouts = self.table_layouts(operation.source)
            refuse_equal(self.trace, found[0], layouts, beside)
        return here.computed(found[1], task, tasks)

    def _window_over(
        self, index: int, operation: Window, sheet: Sheet, beside: Beside
    ) -> WindowHere:
        table = sheets.table_of(self.trace, sheet, self.table_layouts(operation.source))
        schemas = self._schema(operation.source), self._schema(index)
        return WindowHere(self.trace, operation, table, schemas, beside)

    def _beside(self, operation: Window, sheet: Sheet, task: int, tasks: int) -> Beside:
        reach = window_reach(operation, self._schema(operation.source).by_name())
        if reach is None:
            raise PlanError("a window needs more than tasks tell of their rows")
        before, after = (reach if other else 0 for other in (task > 0, task < tasks - 1))
        return Beside(before, sheet.rows - before - after, after)

    def _finished(
        self, index: int, operation: Operation, found: Sequence[Sheet], task: int, tasks: int
    ) -> SecretTable:
        copies = self.copies(index) if isinstance(operation, Aggregate) else 1
        before, after = _edges(task, tasks, copies)
        match operation:
            case Join() | Mark():
                return self._joined(index, self._join_of(index, None), found, task)
            case Sort():
                return self._sorted_here(operation, found[0], before, after)
            case Aggregate():
                return self._merged_here(index, operation, found[0], before, after)
            case Distinct():
                return self._distinct_here(operation, found[0], before, after)
            case _:
                raise PlanError(f"no tasks sort rows for {operation.OP}")

    def _merged_here(
        self, index: int, operation: Aggregate, sheet: Sheet, before: int, after: int
    ) -> SecretTable:
        """The groups that start at a task's own rows."""
        table = sheets.table_of(self.trace, sheet, self.group_layouts(operation))
        columns = self._schema(index).by_name()
        wanted = [
            partial.merged_aggregate(a.name, a.function, columns[a.name].type)
            for a in operation.aggregates
        ]
        by = self._facts[operation.source].fewest(operation.keys)
        groups = (operation.keys, wanted, self._facts[index].rows, by)
        where = sheets.edge_marks(table.rows, before, after)
        return partial.merged_groups(self.trace, table, *groups, where)

    def _distinct_here(
        self, operation: Distinct, sheet: Sheet, before: int, after: int
    ) -> SecretTable:
        table = sheets.table_of(self.trace, sheet, self.table_layouts(operation.source))
        by = self._facts[operation.source].fewest(list(table.columns))
        where = sheets.edge_marks(table.rows, before, after)
        once = grouping.Aggregate(_FIRST, "min", where, INT64)
        found = grouping.group(self.trace, table, list(table.columns), [once], None, by)
        return sheets.of_own(self.trace, found, _FIRST)

    def _sorted_here(self, operation: Sort, sheet: Sheet, before: int, after: int) -> SecretTable:
        layouts = self.table_layouts(operation.source)
        if not self.ties_are_refused(operation):
            return sheets.table_of(self.trace, sheet, layouts)
        end = sheet.rows - after
        sheets.refuse_equal(self.trace, sheets.cut_sheet(sheet, slice(0, end)), layouts)
        return sheets.table_of(self.trace, sheets.cut_sheet(sheet, slice(before, end)), layouts)

    def _joined(
        self, index: int, operation: Join | Mark, found: Sequence[Sheet], task: int
    ) -> SecretTable:
        form, turned = self._form(operation)
        order = operation.sources[::-1] if turned else operation.sources
        layouts = [self.table_layouts(s) for s in order]
        matching, partners = sheets.both_sides(self.trace, found[0], layouts[0], layouts[1])
        if task:
            earlier = sheets.cut_sheet(found[1], slice(0, task))
            carried = sheets.table_of(self.trace, earlier, layouts[1])
            partners = ordering.union_all([carried, partners], list(partners.columns))
        sides = (partners, matching) if turned else (matching, partners)
        joiner = Joiner(self.trace, form, *sides, self._steps.needed[index])
        if isinstance(operation, Mark):
            return joiner.mark(operation.name)
        return joiner.join(operation.how)


def _edges(task: int, tasks: int, copies: int = 1) -> tuple[int, int]:
    """How many places of the task before and of the one after stand beside a task's own."""
    return (1 if task > 0 else 0), (tasks * copies - 1 if task < tasks - 1 else 0)
