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
    codes_of,
    known_of,
    marks_of,
    order_of,
    with_order,
    words_of,
)
from mc2.operators.logic import complement, conjunction
from mc2.operators.packing import (
    Form,
    Lying,
    Packer,
    Source,
    first_packed,
    sort_packed,
    to_front,
)
from mc2.operators.planes import UNSIGNED, Key, bit_planes, order_keys, real_places
from mc2.operators.run import Flag, Run

_SIGN_BIT: Final = 63
_FEW: Final = 8  # rows are sorted by parts if not more than one of so many is kept
_TOP_BITS: Final = 8 * 64
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
    run: Run,
    table: SecretTable,
    orders: Sequence[Order],
    ties: Ties | None = None,
    first: int | None = None,
) -> SecretTable:
    """The rows in order, those that are there first; equal ones in order of all columns.

    Of `first`, which is public, only so many rows come out, or a few more.
    """
    if ties is None:
        ties = Ties(list(table.columns), nullable=list(table.columns))
    packer = Packer(run, Form(), table.rows)
    packer.mark(complement(run, marks_of(table.present)))
    lying: dict[int, Lying] = {}
    for one in orders:
        _add_order(packer, one, lying)
    sorted_by = {id(one.column) for one in orders}
    for name in ties.columns:
        value = table.columns[name]
        if id(value) not in sorted_by and name not in ties.decided:
            _add_order(packer, Order(value, nullable=name in ties.nullable), lying)
        for marks in _positive(run, value):
            packer.mark(marks)
    bits = packer.form.used
    packed = packer.table(table, lying)
    planes = _sorted(run, packer.written(), bits, first)
    moved = Source(planes).table(run, packed)
    if ties.unique and moved.rows:
        _refuse_ties(run, Source(planes).highest(run, bits), moved.present)
    return moved


def _add_order(packer: Packer, one: Order, lying: dict[int, Lying]) -> None:
    """Add what rows are sorted by next, and where it lies."""
    if one.nullable:
        known = known_of(one.column)
        packer.mark(known if one.nulls_first else complement(packer.run, known))
    found = packer.key(one.column, descending=one.descending)
    if found is not None:
        lying.setdefault(id(one.column), found)


def _sorted(run: Run, planes: Sequence[Words], bits: int, first: int | None) -> list[Words]:
    """Sort packed rows; where few are wanted, and keys are short, these and one more alone.

    One more, because two rows that agree must be seen where the last wanted one is one of them.
    """
    rows = len(planes[0])
    if first is not None and first < rows // _FEW and bits <= _TOP_BITS:
        return first_packed(run, planes, bits, first + 1)
    return sort_packed(run, planes, bits)


def _refuse_ties(run: Run, keys: Sequence[Words], present: SecretMarks) -> None:
    """Raise a flag if two rows that are there have the same keys: facts said there are none."""
    starts = np.empty(len(keys[0]), dtype=np.uint8)
    run.call(_native.starts, list(keys), starts)
    equal = conjunction(run, marks_of(present), complement(run, starts))
    run.raise_where(SecretMarks(equal), Flag.DUPLICATE_KEY)


def _positive(run: Run, value: SecretColumn) -> list[Marks]:
    """Puts -0 before +0, which are equal in every other key: marks of each double of a value."""
    found, words = [], words_of(value)
    for place in real_places(value.layout):
        marks = np.empty(value.rows, dtype=np.uint8)
        run.call(_native.spread_bit, np.ascontiguousarray(words[:, place]), _SIGN_BIT, marks)
        found.append(complement(run, marks))
    return found


def tie_keys(
    run: Run, table: SecretTable, ties: Ties, sorted_by: Collection[SecretColumn] = ()
) -> list[Key]:
    """What `sort_table` orders equal rows by, as keys of their own; `sorted_by` comes before."""
    keys: list[Key] = []
    before = {id(column) for column in sorted_by}
    for name in ties.columns:
        value = table.columns[name]
        if id(value) not in before and name not in ties.decided:
            keys += order_keys(run, value, nullable=name in ties.nullable)
        # The first mark is the highest bit: it counts most.
        marks = _positive(run, value)[::-1]
        keys += [Key(words, UNSIGNED) for words in bit_planes(run, marks, value.rows)[::-1]]
    return keys


def limit(run: Run, table: SecretTable, count: int | None, offset: int = 0) -> SecretTable:
    """So many rows after the first `offset`, of a table whose rows that are there stand first."""
    start = min(offset, table.rows)
    end = table.rows if count is None else min(start + count, table.rows)
    del run  # a cut at public places
    return cut(table, start, end)


def cut(table: SecretTable, start: int, end: int) -> SecretTable:
    """The places from `start` up to `end`, both public."""
    columns = {}
    for name, c in table.columns.items():
        codes, order = codes_of(c), order_of(c)
        columns[name] = SecretColumn(
            c.layout,
            words_of(c)[start:end].copy(),
            known_of(c)[start:end].copy(),
            c.ends,
            c.domain,
            None if codes is None else codes[start:end].copy(),
        )
        if order is not None:
            columns[name] = with_order(columns[name], order[start:end].copy())
    return SecretTable(columns, SecretMarks(marks_of(table.present)[start:end].copy()))


def rows_to_front(run: Run, table: SecretTable) -> SecretTable:
    """The rows that are there first, in the order in which they are."""
    return to_front(run, table, table.rows)


def bounded(run: Run, table: SecretTable, rows: int) -> SecretTable:
    """The same rows in so many places; a flag if there are more."""
    if rows >= table.rows:
        return table
    check_bound(run, marks_of(table.present), rows)
    return to_front(run, table, rows)


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
