"""The case of rows that several tasks sort together, for the register of `cases`."""

from __future__ import annotations

from collections.abc import Sequence

from mc2.operators import grouping, lining, planes, sheets
from mc2.operators.handles import SecretTable
from mc2.operators.joining import On
from mc2.operators.ordering import Order, Ties
from mc2.operators.run import Run
from mc2.operators.sheets import Sheet
from mc2.plan.types import INT64

_SPARE = 3


def sorted_together(tables: Sequence[SecretTable], run: Run) -> list[SecretTable]:
    """Two tasks' rows in one order, of which `i` and `t` are columns, and what comes of it."""
    left, right = tables
    layouts = planes.layouts_of(left)
    every = list(layouts)
    found = []
    for table in tables:
        orders = [Order(table.columns["i"], descending=True)]
        keys = lining.sort_keys(run, table, orders, Ties(every, nullable=every))
        sheet = sheets.table_sheet(run, table, keys, table.rows + _SPARE)
        found.append(_handed_on(run, sheet))
    both = sheets.merged(run, found)
    sheets.refuse_equal(run, both, layouts)
    table = sheets.table_of(run, both, layouts)
    first = grouping.Aggregate("first", "min", sheets.edge_marks(table.rows, 1, 2), INT64)
    own = sheets.of_own(run, grouping.group(run, table, ["t"], [first]), "first")
    return [table, own, *_joined(run, left, right)]


def _handed_on(run: Run, sheet: Sheet) -> Sheet:
    parts = sheets.write_sheet(run, sheet, [slice(0, 2), slice(2, 2), slice(2, None)])
    return sheets.read_sheet(run, [plain for part in parts for plain, _ in part])


def _joined(run: Run, left: SecretTable, right: SecretTable) -> list[SecretTable]:
    on = [
        On(left.columns["i"], right.columns["i"]),
        On(left.columns["t"], right.columns["t"], nulls=True),
    ]
    lined = sheets.sorted_sheet(run, *lining.line_up(run, left, right, on), left.rows + right.rows)
    layouts = planes.layouts_of(right)
    last = sheets.table_of(run, sheets.last_right(run, lined, layouts), layouts)
    return [last, *sheets.both_sides(run, lined, planes.layouts_of(left), layouts)]
