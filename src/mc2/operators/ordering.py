"""Sorting, limits, bounds, and tables one after the other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.handles import (
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    Words,
    flat_words_of,
    known_of,
    marks_of,
    words_of,
)
from mc2.operators.logic import complement, conjunction
from mc2.operators.planes import (
    SIGNED,
    Key,
    absent_key,
    compacted,
    flatten,
    layouts_of,
    order_keys,
    rebuild,
    sort_planes,
)
from mc2.operators.run import Flag, Run

_SIGN_BIT: Final = 63
_LESS: Final = 1


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """A column to sort by; `nullable`: whether rows that are there could have no value."""

    column: SecretColumn
    descending: bool = False
    nulls_first: bool = True
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Ties:
    """What orders rows that are equal in all that they are sorted by: public.

    Columns from left to right, ascending, NULL first: docs/spec/plan.md. `columns` are those that
    are looked at, and `decided` those among them in which such rows agree. With `unique` there are
    no two rows that are equal in all that has been looked at, or a flag is raised.
    """

    columns: Sequence[str]
    decided: Collection[str] = ()
    nullable: Collection[str] = ()
    unique: bool = False


def sort_table(
    run: Run, table: SecretTable, orders: Sequence[Order], ties: Ties | None = None
) -> SecretTable:
    """The rows in order, those that are there first; equal ones in order of all columns."""
    if ties is None:
        ties = Ties(list(table.columns), nullable=list(table.columns))
    keys = [absent_key(run, table.present)]
    for one in orders:
        keys += order_keys(
            run,
            one.column,
            descending=one.descending,
            nulls_first=one.nulls_first,
            nullable=one.nullable,
        )
    sorted_by = {id(one.column) for one in orders}
    for name in ties.columns:
        value = table.columns[name]
        if id(value) not in sorted_by and name not in ties.decided:
            keys += order_keys(run, value, nullable=name in ties.nullable)
        if value.layout.is_real:
            keys.append(_sign_key(run, value))
    found, planes = sort_planes(run, keys, flatten(run, table))
    moved = rebuild(run, layouts_of(table), planes)
    if ties.unique and table.rows:
        _refuse_ties(run, found, moved.present)
    return moved


def _refuse_ties(run: Run, keys: Sequence[Words], present: SecretMarks) -> None:
    """Raise a flag if two rows that are there have the same keys: facts said there are none."""
    starts = np.empty(len(keys[0]), dtype=np.uint8)
    run.call(_native.starts, list(keys), starts)
    equal = conjunction(run, marks_of(present), complement(run, starts))
    run.raise_where(SecretMarks(equal), Flag.DUPLICATE_KEY)


def _sign_key(run: Run, value: SecretColumn) -> Key:
    """Puts -0 before +0, which are equal in every other key."""
    marks, words = np.empty(value.rows, dtype=np.uint8), np.empty(value.rows, dtype=np.uint64)
    run.call(_native.spread_bit, flat_words_of(value), _SIGN_BIT, marks)
    run.call(_native.marks_to_words, marks, words)
    return Key(words, SIGNED).reversed()


def limit(run: Run, table: SecretTable, count: int | None, offset: int = 0) -> SecretTable:
    """So many rows after the first `offset`, of a table whose rows that are there stand first."""
    start = min(offset, table.rows)
    end = table.rows if count is None else min(start + count, table.rows)
    del run  # a cut at public places
    return cut(table, start, end)


def cut(table: SecretTable, start: int, end: int) -> SecretTable:
    """The places from `start` up to `end`, both public."""
    columns = {
        name: SecretColumn(c.layout, words_of(c)[start:end].copy(), known_of(c)[start:end].copy())
        for name, c in table.columns.items()
    }
    return SecretTable(columns, SecretMarks(marks_of(table.present)[start:end].copy()))


def rows_to_front(run: Run, table: SecretTable) -> SecretTable:
    """The rows that are there first, in the order in which they are."""
    keep = marks_of(table.present)
    planes = compacted(run, flatten(run, table), keep, table.rows)
    return rebuild(run, layouts_of(table), planes)


def bounded(run: Run, table: SecretTable, rows: int) -> SecretTable:
    """The same rows in so many places; a flag if there are more."""
    if rows >= table.rows:
        return table
    keep = marks_of(table.present)
    check_bound(run, keep, rows)
    planes = compacted(run, flatten(run, table), keep, rows)
    return rebuild(run, layouts_of(table), planes)


def check_bound(run: Run, keep: Marks, rows: int) -> None:
    """Raise a flag if more rows are marked than a bound allows."""
    if len(keep) <= rows:
        return
    ranks = np.empty(len(keep), dtype=np.uint64)
    run.call(_native.ranks, keep, ranks)
    everywhere = np.ones(1, dtype=np.uint8)
    last = ranks[-1:].copy()
    run.checked(_native.check_range, last, 0, rows, everywhere, int(Flag.BOUND_EXCEEDED))


def declassified_rows(run: Run, table: SecretTable, leak: str) -> int:
    """How many rows are there, made public as the plan says: `sizes`, or `rounded` up."""
    ranks = np.zeros(max(1, table.rows), dtype=np.uint64)
    if table.rows:
        run.call(_native.ranks, marks_of(table.present), ranks)
    last = ranks[-1:].copy()
    if leak == "rounded":
        # Only the power of two is made public, so it is found by comparisons with public numbers.
        powers = np.array([1 << i for i in range(table.rows.bit_length())], dtype=np.uint64)
        above, words = np.empty(len(powers), dtype=np.uint8), np.empty_like(powers)
        run.call(_native.compare, _LESS, False, powers, np.repeat(last, len(powers)), above)
        run.call(_native.marks_to_words, above, words)
        found = sum(run.declassify(words, "rows of a bound, rounded up to a power of two"))
        return min(1 << found, table.rows)
    return run.declassify(last, "rows of a bound")[0]


def union_all(tables: Sequence[SecretTable], names: Sequence[str]) -> SecretTable:
    """All rows of tables of the same layouts, one table after the other; columns go by place."""
    columns = {}
    for place, name in enumerate(names):
        parts = [list(t.columns.values())[place] for t in tables]
        words = np.concatenate([words_of(p) for p in parts])
        known = np.concatenate([known_of(p) for p in parts])
        columns[name] = SecretColumn(parts[0].layout, words, known)
    present = np.concatenate([marks_of(t.present) for t in tables])
    return SecretTable(columns, SecretMarks(present))


def present_marks(run: Run, table: SecretTable, *marks: Marks) -> Marks:
    """The rows that are there and have all of these marks."""
    return conjunction(run, marks_of(table.present), *marks)
