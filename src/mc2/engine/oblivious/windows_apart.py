"""Windows over rows that several tasks have in one order.

Each task has its own run of rows, so many places of its neighbours as the functions look beyond it,
and of all others what `mc2.operators.carried` tells. What it gives are its own rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mc2.engine.oblivious.expressions import Evaluator
from mc2.engine.oblivious.windows import (
    framed,
    neighbour_of,
    rank_parts,
    span_of,
    window_orders,
)
from mc2.formats.schema import Schema
from mc2.operators import carried, ordering, sheets, windows
from mc2.operators.grouping import Aggregate
from mc2.operators.handles import Layout, SecretColumn, SecretMarks, SecretTable, marks_of
from mc2.operators.planes import layouts_of
from mc2.operators.run import Run
from mc2.operators.sheets import Sheet
from mc2.plan.oblivious_windows import TOLD_PLACES, is_near
from mc2.plan.windows import NEIGHBOURS, RANKINGS, Window, WindowColumn

_SIDES = 2  # what is before others' rows, and what is after them


@dataclass(frozen=True, slots=True)
class Beside:
    """How many places of the tasks next to it stand before and after a task's own ones."""

    before: int
    own: int
    after: int


def arrange_window(
    run: Run,
    operation: Window,
    table: SecretTable,
    schema: Schema,
    ties: ordering.Ties,
    places: int,
) -> Sheet:
    """A task's own rows by partition, then in order; `schema` is that of the source."""
    orders = window_orders(run, operation, table, schema.by_name())
    by_key, by_order = windows.window_keys(run, table, operation.keys, orders)
    rest = ordering.tie_keys(run, table, ties)
    return sheets.table_sheet(run, table, [*by_key, *by_order, *rest], places)


class WindowHere:
    """A window over the rows that a task has, those of its neighbours among them."""

    def __init__(
        self,
        run: Run,
        operation: Window,
        table: SecretTable,
        schemas: tuple[Schema, Schema],
        beside: Beside,
    ) -> None:
        self._run, self._operation, self._table = run, operation, table
        self._before, self._after = (s.by_name() for s in schemas)
        self._beside = beside
        self._here = Evaluator.over(run, table)
        orders = window_orders(run, operation, table, self._before)
        keys = windows.window_keys(run, table, operation.keys, orders)
        self._framed = {
            place: framed(run, self._here, one, self._after[one.name].type)
            for place, one in enumerate(operation.columns)
            if one.frame is not None
        }
        grow = {
            place: what
            for place, what in self._framed.items()
            if not is_near(operation.columns[place], self._before)
        }
        self._line = carried.line_of(run, marks_of(table.present), keys, grow)

    def told(self) -> Sheet:
        """What other tasks must know of these rows: those after this task, then those before it.

        A neighbour has the nearest rows itself. So what is told to tasks after this one ends so
        many places before its own end, and begins as many before its own start.
        """
        beside, run = self._beside, self._run
        reach = max(beside.before, beside.after)
        end = beside.before + beside.own + beside.after
        forward = self._line.cut(0, beside.before + beside.own - reach)
        backward = self._line.cut(beside.before + reach, end)
        found = [carried.told(run, line) for line in (forward, backward)]
        return sheets.plain_sheet(run, ordering.union_all(found, list(found[0].columns)))

    def computed(self, sheet: Sheet, task: int, tasks: int) -> SecretTable:
        """The task's own rows with the functions' columns; `sheet`: what all tasks told in turn."""
        run = self._run
        told = sheets.table_of(run, sheet, layouts_of(self._line.table))
        size = _SIDES * TOLD_PLACES
        before = [ordering.cut(told, t * size, t * size + TOLD_PLACES) for t in range(task)]
        after = [
            ordering.cut(told, t * size + TOLD_PLACES, (t + 1) * size)
            for t in range(task + 1, tasks)
        ]
        nobody = ordering.cut(told, 0, 0)
        names = list(told.columns)
        sides = [ordering.union_all([nobody, *side], names) for side in (before, after)]
        line = self._line.around(sides[0], sides[1])
        functions = carried.functions_of(run, line)
        rows = carried.ordered(run, line)
        spare = sides[0].rows, sides[1].rows
        columns = dict(self._own(self._table, 0).columns)
        for place, one in enumerate(self._operation.columns):
            what = functions.get(place)
            columns[one.name] = self._function(place, one, rows, what, spare)
        return SecretTable(columns, self._own(self._table, 0).present)

    def _function(
        self,
        place: int,
        one: WindowColumn,
        rows: windows.Ordered,
        what: Aggregate | windows.Pick | None,
        spare: tuple[int, int],
    ) -> SecretColumn:
        run, start = self._run, spare[0]
        move = carried.padded(*spare)
        if one.function in RANKINGS:
            found = windows.rank_rows(run, rows, one.function, rank_parts(one))
            return self._own_of(found, start)
        if one.function in NEIGHBOURS:
            value, away, default = neighbour_of(self._here, one)
            pair = windows.arrayed(value, move), windows.arrayed(default, move)
            return self._own_of(windows.neighbour(run, rows, pair[0], away, pair[1]), start)
        if what is None:
            what = windows.rearranged(self._framed[place], move)
        parts = windows.frame_parts(run, rows, what, span_of(one))
        own = {name: self._own_of(part, start) for name, part in parts.items()}
        present = marks_of(self._own(self._table, 0).present)
        return windows.frame_value(run, what, own, present)

    def _own_of(self, value: SecretColumn, start: int) -> SecretColumn:
        everywhere = SecretMarks(np.ones(value.rows, dtype=np.uint8))
        return self._own(SecretTable({"": value}, everywhere), start).columns[""]

    def _own(self, table: SecretTable, start: int) -> SecretTable:
        """The task's own places of a table whose first `start` ones are others'."""
        first = start + self._beside.before
        return ordering.cut(table, first, first + self._beside.own)


def refuse_equal(run: Run, sheet: Sheet, layouts: Mapping[str, Layout], beside: Beside) -> None:
    """Raise a flag if two rows stand in order of nothing, as facts say that none do."""
    first = max(0, beside.before - 1)
    own = sheets.cut_sheet(sheet, slice(first, beside.before + beside.own))
    sheets.refuse_equal(run, own, layouts)
