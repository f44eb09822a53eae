"""Joins: both sides are sorted together by their keys, and what one has is carried to the other.

With a side whose keys are unique, one sort and one scan do (a foreign-key join). Otherwise rows are
repeated as often as the other side has partners, up to a public bound, after Krastnikov,
Kerschbaum, Stebila, "Efficient oblivious database joins" (PVLDB 13, 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from mc2 import _native
from mc2.formats.schema import DataType
from mc2.operators.arithmetic import Operation
from mc2.operators.grouping import check_unique
from mc2.operators.handles import (
    Layout,
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
    UNSIGNED,
    Key,
    bit_planes,
    compacted,
    flatten,
    joined,
    layouts_of,
    marks_at,
    plane_count,
    planes_of,
    rebuild,
    sort_planes,
    value_keys,
)
from mc2.operators.run import Flag, Run
from mc2.operators.texts import fitted


@dataclass(frozen=True, slots=True, eq=False)
class On:
    """What must be equal: a column of each side, of one type. `nulls` lets NULL equal NULL."""

    left: SecretColumn
    right: SecretColumn
    nulls: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Together:
    """The rows of both sides in the order of their keys, the right ones of a group first.

    `planes` are those of the left table in left rows and those of the right one in right rows.
    """

    starts: Marks
    is_left: Marks
    lefts: Marks  # that can have partners: they are there, and no key is NULL
    rights: Marks
    planes: list[Words]


def look_up(
    run: Run, left: SecretTable, right: SecretTable, on: Sequence[On], *, unique: bool
) -> tuple[SecretTable, SecretTable, Marks]:
    """For each left row a right row with the same keys, if there is one.

    Gives the left table in another order, the partners of its rows, and where there is one.
    `unique` raises a flag if two right rows have the same keys.
    """
    both = _sort_together(run, left, right, on)
    if unique:
        check_unique(run, both.starts, both.rights)
    mine = both.planes[: plane_count(layouts_of(left))]
    carried, seen = [], np.empty_like(both.starts)
    for plane in both.planes[: plane_count(layouts_of(right))]:
        out = np.empty_like(plane)
        run.call(_native.fill_forward, both.starts, both.rights, plane, out, seen)
        carried.append(out)
    found = bit_planes(run, [conjunction(run, seen, both.lefts)], len(seen))
    moved = compacted(run, [*mine, *carried, *found], both.is_left, left.rows)
    marks = marks_at(run, moved[-1:], 0)
    kept = rebuild(run, layouts_of(left), moved[: len(mine)])
    partners = rebuild(run, layouts_of(right), moved[len(mine) : -1], marks)
    return kept, partners, marks


def side_by_side(left: SecretTable, right: SecretTable, present: Marks) -> SecretTable:
    """The columns of two tables of one length."""
    return SecretTable({**left.columns, **right.columns}, SecretMarks(present))


def join_unique(
    run: Run, left: SecretTable, right: SecretTable, on: Sequence[On], *, outer: bool
) -> SecretTable:
    """The left rows with their partners, of which there is at most one each.

    With `outer` also those without one, with NULLs. There are as many places as left rows.
    """
    kept, partners, found = look_up(run, left, right, on, unique=True)
    present = marks_of(kept.present)
    return side_by_side(kept, partners, present if outer else conjunction(run, present, found))


def partnered(
    run: Run, left: SecretTable, right: SecretTable, on: Sequence[On]
) -> tuple[SecretTable, Marks]:
    """The left rows, and whether each has a partner: for semi and anti joins, and EXISTS."""
    kept, _, found = look_up(run, left, SecretTable({}, right.present), on, unique=False)
    return kept, found


def match(
    run: Run, left: SecretTable, right: SecretTable, on: Sequence[On], bound: int
) -> SecretTable:
    """All pairs of rows with the same keys, in `bound` places; a flag if there are more.

    Pairs of one left row stand together.
    """
    both = _sort_together(run, left, right, on)
    # Right rows of a group come first: at left rows their count is complete, at right rows the
    # pairs so far are those of earlier groups.
    rank = _running_count(run, both.starts, both.rights)
    many_right = _of_group(run, both.starts, rank)
    many_left = _of_group(run, both.starts, _running_count(run, both.starts, both.lefts))
    copies = _where(run, both.lefts, many_right)
    mine = both.planes[: plane_count(layouts_of(left))]
    pairs_left, _, valid = _expand(run, mine, copies, bound)

    theirs = both.planes[: plane_count(layouts_of(right))]
    placing = [rank, many_right, _running_total(run, copies)]
    repeated, copy, _ = _expand(
        run, [*theirs, *placing], _where(run, both.rights, many_left), bound
    )
    # Copy c of the right row of rank r (from 1) belongs to the group's left row c, there to
    # partner r: at place `first of the group` + c * partners + r - 1.
    rank, many_right, before = repeated[len(theirs) :]
    place = _add(run, before, _add(run, _multiply(run, copy, many_right), rank))
    absent = _where_zero(run, rank)
    keys = [Key(absent, SIGNED), Key(place, UNSIGNED)]
    _, aligned = sort_planes(run, keys, repeated[: len(theirs)])
    return side_by_side(
        rebuild(run, layouts_of(left), pairs_left, valid),
        rebuild(run, layouts_of(right), aligned, valid),
        valid,
    )


def cross(run: Run, left: SecretTable, right: SecretTable) -> SecretTable:
    """Each left row with each right row: copies at public places."""
    first = _taken(left, np.repeat(np.arange(left.rows), right.rows))
    second = _taken(right, np.tile(np.arange(right.rows), left.rows))
    present = conjunction(run, marks_of(first.present), marks_of(second.present))
    return side_by_side(first, second, present)


def numbered(table: SecretTable, name: str) -> SecretTable:
    """A table with a column more, of row numbers."""
    words = np.arange(table.rows, dtype=np.uint64).reshape(-1, 1)
    numbers = SecretColumn(Layout(DataType("int64")), words, np.ones(table.rows, dtype=np.uint8))
    return SecretTable({**table.columns, name: numbers}, table.present)


def with_nulls(run: Run, table: SecretTable, missing: SecretTable, present: Marks) -> SecretTable:
    """The rows of a table that are marked, and NULLs for the columns of a missing one."""
    nulls = {
        name: SecretColumn(
            c.layout,
            np.zeros((table.rows, c.layout.words), dtype=np.uint64),
            np.zeros(table.rows, dtype=np.uint8),
        )
        for name, c in missing.columns.items()
    }
    there = conjunction(run, marks_of(table.present), present)
    return SecretTable({**table.columns, **nulls}, SecretMarks(there))


def check_one(run: Run, many: SecretColumn, where: Marks) -> None:
    """Raise a flag where a count is above one."""
    counted = conjunction(run, where, known_of(many))
    flag = int(Flag.DUPLICATE_KEY)
    run.checked(_native.check_range, flat_words_of(many), 0, 1, counted, flag)


def _taken(table: SecretTable, places: np.ndarray) -> SecretTable:
    columns = {
        name: SecretColumn(c.layout, words_of(c)[places], known_of(c)[places])
        for name, c in table.columns.items()
    }
    return SecretTable(columns, SecretMarks(marks_of(table.present)[places]))


# --- both sides as one table


def _sort_together(run: Run, left: SecretTable, right: SecretTable, on: Sequence[On]) -> _Together:
    rows = left.rows + right.rows
    pairs = [_of_one_width(one) for one in on]
    partner = [
        conjunction(run, marks_of(table.present), *(known_of(c) for c in keys))
        for table, keys in (
            (left, [one.left for one in pairs if not one.nulls]),
            (right, [one.right for one in pairs if not one.nulls]),
        )
    ]
    keys = [key for one in pairs for key in _keys_of(run, one)]
    side = np.zeros(rows, dtype=np.uint8)
    side[: left.rows] = 1
    # Last of all by side, and in the same word, whether a row takes part: rows that do not may
    # stand among those of their words, and have no partners.
    (last,) = bit_planes(run, [np.concatenate(partner), side], rows)
    payload = [
        np.concatenate([_or_zeros(a, left.rows), _or_zeros(b, right.rows)])
        for a, b in zip_longest(flatten(run, left), flatten(run, right))
    ]
    sorted_keys, planes = sort_planes(run, [*keys, Key(last, SIGNED)], payload)
    starts = np.zeros(rows, dtype=np.uint8)
    starts[:1] = 1
    if keys:
        run.call(_native.starts, sorted_keys[:-1], starts)
    part, is_left = (marks_at(run, sorted_keys[-1:], place) for place in (0, 1))
    rights = conjunction(run, part, complement(run, is_left))
    return _Together(starts, is_left, conjunction(run, part, is_left), rights, planes)


def _of_one_width(one: On) -> On:
    if not one.left.layout.is_text:
        if one.left.layout != one.right.layout:
            raise TypeError("what must be equal is of one layout")
        return one
    size = max(one.left.layout.text_bytes, one.right.layout.text_bytes)
    return On(fitted(one.left, size), fitted(one.right, size), one.nulls)


def _keys_of(run: Run, one: On) -> list[Key]:
    found = []
    if one.nulls:
        known = np.empty(one.left.rows + one.right.rows, dtype=np.uint64)
        marks = np.concatenate([known_of(one.left), known_of(one.right)])
        run.call(_native.marks_to_words, marks, known)
        found.append(Key(known, SIGNED))
    sides = zip(value_keys(run, one.left), value_keys(run, one.right), strict=True)
    return found + [Key(np.concatenate([a.words, b.words]), a.flip) for a, b in sides]


def _or_zeros(plane: Words | None, rows: int) -> Words:
    return np.zeros(rows, dtype=np.uint64) if plane is None else plane


# --- counting, on words


def _running_count(run: Run, starts: Marks, keep: Marks) -> Words:
    out = np.empty(len(starts), dtype=np.uint64)
    run.call(_native.running_count, starts, keep, out)
    return out


def _of_group(run: Run, starts: Marks, running: Words) -> Words:
    """The value at the last row of the group, at all its rows."""
    ends, seen = np.empty((2, len(starts)), dtype=np.uint8)
    out = np.empty_like(running)
    run.call(_native.ends, starts, ends)
    run.call(_native.fill_backward, starts, ends, running, out, seen)
    return out


def _running_total(run: Run, counts: Words) -> Words:
    """Sums from the first row on."""
    starts, everywhere = np.zeros(len(counts), np.uint8), np.ones(len(counts), np.uint8)
    starts[:1] = 1
    low, high = np.empty_like(counts), np.empty(len(counts), dtype=np.int64)
    run.call(_native.running_sum, starts, everywhere, counts.view(np.int64), low, high)
    return low


def _where(run: Run, keep: Marks, words: Words) -> Words:
    out = np.empty((len(words), 1), dtype=np.uint64)
    run.call(_native.clear_rows, keep, words.reshape(-1, 1), out)
    return out.reshape(-1)


def _where_zero(run: Run, words: Words) -> Words:
    """1 where a word is zero."""
    marks, out = np.empty(len(words), dtype=np.uint8), np.empty_like(words)
    run.call(_native.equal_rows, words.reshape(-1, 1), np.zeros((1, 1), np.uint64), marks)
    run.call(_native.marks_to_words, marks, out)
    return out


def _add(run: Run, a: Words, b: Words) -> Words:
    return _arithmetic(run, Operation.ADD, a, b)


def _multiply(run: Run, a: Words, b: Words) -> Words:
    return _arithmetic(run, Operation.MULTIPLY, a, b)


def _arithmetic(run: Run, what: Operation, a: Words, b: Words) -> Words:
    """Of numbers that stay far below 2^63 wherever they mean anything."""
    out, nobody = np.empty_like(a), np.zeros(len(a), dtype=np.uint8)
    run.checked(_native.integers, int(what), a, b, nobody, out)
    return out


def _expand(
    run: Run, planes: Sequence[Words], counts: Words, bound: int
) -> tuple[list[Words], Words, Marks]:
    """Rows as often as their counts say: the planes, which copy each is, and where there is one."""
    rows = joined(planes)
    out = np.empty((bound, rows.shape[1]), dtype=np.uint64)
    copy, valid = np.empty(bound, dtype=np.uint64), np.empty(bound, dtype=np.uint8)
    run.checked(_native.expand, rows, counts, out, copy, valid)
    return planes_of(out), copy, valid
