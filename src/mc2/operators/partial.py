"""Aggregates in two steps: of the rows of one task, then of what all tasks made of theirs.

Only where two steps give the bits that one would: counts, extremes, truth, exact sums. Sums of
doubles go on as states, which are rounded when all are added up. `mc2.plan.partial` says which
they are, and the columns between the steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from mc2 import _native
from mc2.formats.schema import DECIMAL_DIGITS, DataType, Schema, decimal
from mc2.operators.exact import ADDED, STATE, STATES
from mc2.operators.grouping import Aggregate, finished, group
from mc2.operators.handles import (
    Layout,
    SecretColumn,
    SecretTable,
    known_of,
    layout_of,
    marks_of,
)
from mc2.operators.ordering import union_all
from mc2.operators.run import Run
from mc2.operators.sheets import of_own
from mc2.operators.spread import SPREADS
from mc2.plan.partial import ADDENDS, partial_columns
from mc2.plan.relations import Aggregate as Groups
from mc2.plan.types import DOUBLE, INT64
from mc2.plan.widths import width_of

_COUNTS: Final = frozenset({"count", "count_star"})
_SUMS: Final = frozenset({"sum", "avg", *SPREADS})
_FIRST: Final = "\0first"  # no column of a plan has such a name


def layouts(operation: Groups, source: Schema, widths: Mapping[str, int]) -> dict[str, Layout]:
    """How the columns between the steps lie in words; `widths` are of the texts of the rows."""
    columns = source.by_name()
    found: dict[str, Layout] = {}
    for i, key in enumerate(operation.keys):
        found[f"k{i}"] = layout_of(columns[key].type, widths, key)
    place = 0
    for one in operation.aggregates:
        kinds = list(partial_columns(one, columns))
        if kinds[0] == ADDENDS:
            found[f"p{place}"] = STATE
            place, kinds = place + 1, kinds[1:]
        elif one.function in _SUMS:  # in the one type that has room for sums of all
            kinds[0] = decimal(DECIMAL_DIGITS, kinds[0].scale)
        for kind in kinds:
            width = max(1, width_of(one.arguments[0], widths)) if kind.has_width else 0
            found[f"p{place}"] = Layout(kind, width)
            place += 1
    return found


def merged_aggregate(name: str, function: str, kind: DataType) -> Aggregate:
    """An aggregate as the second step needs it."""
    return Aggregate(name, function, None, kind)


def partial_groups(
    run: Run,
    table: SecretTable,
    keys: Sequence[str],
    aggregates: Sequence[Aggregate],
    bound: int | None,
    by: Sequence[str] | None,
) -> SecretTable:
    """The groups of some rows: keys `k0`, …, then `p0`, … of each aggregate in order.

    A sum is one column, a mean two: its sum and its count. So is a variance, whose argument here
    are squared distances from the mean of all rows.
    """
    parts: list[Aggregate] = []
    for one in aggregates:
        if one.function in _SUMS and one.argument is not None:
            if one.argument.layout.is_real:
                parts.append(replace(one, function=STATES, kind=STATE.type))
            else:
                total = decimal(DECIMAL_DIGITS, one.argument.type.scale)
                parts.append(replace(one, function="sum", kind=total))
            if one.function != "sum":
                parts.append(replace(one, function="count", kind=INT64))
        else:
            parts.append(one)
    named = [replace(one, name=f"\0p{i}") for i, one in enumerate(parts)]
    found = group(run, table, keys, named, bound, by)
    columns = {f"k{i}": found.columns[key] for i, key in enumerate(keys)}
    columns |= {f"p{i}": found.columns[one.name] for i, one in enumerate(named)}
    return SecretTable(columns, found.present)


def together(
    found: Sequence[tuple[Sequence[str], SecretTable]],
    aggregates: Sequence[tuple[str, str]],
    layouts: Mapping[str, Layout],
) -> SecretTable:
    """The rows of several parts of an aggregate, with NULL for what is another part's.

    `found`: each part's aggregates by name, and what `partial_groups` gave for these. `aggregates`:
    names and functions of all, and `layouts` their columns between the steps.
    """
    tables = []
    for names, table in found:
        own = iter([c for n, c in table.columns.items() if n.startswith("p")])
        columns, place = {n: c for n, c in table.columns.items() if n.startswith("k")}, 0
        for name, function in aggregates:
            for _ in range(_count(function)):
                layout = layouts[f"p{place}"]
                here = next(own) if name in names else nulls(layout, table.rows)
                columns[f"p{place}"] = here
                place += 1
        tables.append(SecretTable(columns, table.present))
    return union_all(tables, list(layouts))


def nulls(layout: Layout, rows: int) -> SecretColumn:
    """A column of so many NULLs."""
    words = np.zeros((rows, layout.words), dtype=np.uint64)
    return SecretColumn(layout, words, np.zeros(rows, dtype=np.uint8))


def merged_groups(  # noqa: PLR0913, PLR0917 - the groups, and which of them
    run: Run,
    table: SecretTable,
    keys: Sequence[str],
    aggregates: Sequence[Aggregate],
    bound: int | None,
    by: Sequence[str] | None,
    where: SecretColumn | None = None,
) -> SecretTable:
    """The groups of all tasks' groups: keys and aggregates under their own names.

    Of `aggregates` only names, functions and types are read. With `where` (`sheets.edge_marks`),
    only groups that start at a task's own rows: of others their rows may not all be here.
    """
    places = {key: f"k{i}" for i, key in enumerate(keys)}
    parts: list[Aggregate] = []
    starts = []
    for one in aggregates:
        starts.append(len(parts))
        for place in range(len(parts), len(parts) + _count(one.function)):
            value = table.columns[f"p{place}"]
            parts.append(_again(one, value, f"p{place}"))
    if where is not None:
        parts.append(Aggregate(_FIRST, "min", where, INT64))
    found = group(
        run,
        table,
        list(places.values()),
        parts,
        bound,
        None if by is None else [places[k] for k in by],
    )
    if where is not None:
        found = of_own(run, found, _FIRST)
    columns = {key: found.columns[place] for key, place in places.items()}
    for one, start in zip(aggregates, starts, strict=True):
        columns[one.name] = _result(run, one, found, start)
    return SecretTable(columns, found.present)


def _count(function: str) -> int:
    """How many columns an aggregate has between the steps."""
    return 2 if function in _SUMS and function != "sum" else 1


def _again(one: Aggregate, value: SecretColumn, name: str) -> Aggregate:
    """What makes one of several tasks' values."""
    counted = one.function in _SUMS and value.type == INT64
    if one.function in _COUNTS or counted:
        return Aggregate(name, "sum", value, INT64)
    if one.function in _SUMS and value.layout == STATE:
        return Aggregate(name, ADDED, value, DOUBLE)
    if one.function in _SUMS:
        return Aggregate(name, "sum", value, value.type)
    return Aggregate(name, one.function, value, one.kind)


def _result(run: Run, one: Aggregate, found: SecretTable, start: int) -> SecretColumn:
    value = found.columns[f"p{start}"]
    present = marks_of(found.present)
    if one.function in _COUNTS:
        return finished(run, one, {"\0count": value}, present)
    if one.function not in _SUMS:
        return value
    count = found.columns[f"p{start + 1}"] if _count(one.function) > 1 else _some(run, value)
    return finished(run, one, {"\0value": value, "\0count": count}, present)


def _some(run: Run, value: SecretColumn) -> SecretColumn:
    """1 where there is a sum, in place of how many values it has."""
    words = np.empty(value.rows, dtype=np.uint64)
    run.call(_native.marks_to_words, known_of(value), words)
    return SecretColumn(Layout(INT64), words.reshape(-1, 1), np.ones(value.rows, dtype=np.uint8))
