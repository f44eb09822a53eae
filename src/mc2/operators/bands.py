"""Joins by a band: pairs in which a value of one row lies between two of the other.

In order of keys and values, the points between two ends are neighbours. So each range is repeated
as often as there are points in it, and each copy looks up its own one by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mc2 import _native
from mc2.formats.schema import DataType
from mc2.operators.arithmetic import Operation
from mc2.operators.ascending import in_order
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
from mc2.operators.joining import (
    On,
    expanded,
    join_unique,
    look_up,
    numbered,
)
from mc2.operators.logic import conjunction
from mc2.operators.ordering import Order, Ties, sort_table, union_all
from mc2.operators.run import Run
from mc2.operators.texts import fitted

_NUMBER: Final = Layout(DataType("int64"))
_VALUE: Final = "\0value"  # no column of a plan starts so
_SIDE: Final = "\0side"
_KIND: Final = "\0kind"
_RANGE: Final = "\0range"
_COUNT: Final = "\0count"
_RANK: Final = "\0rank"
_POINT, _LOW, _HIGH = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """What a point must lie between: columns of the ranges, and whether it may be equal to them."""

    point: SecretColumn
    low: SecretColumn
    high: SecretColumn
    above_low: bool = False  # not equal to it
    below_high: bool = False


def match_band(
    run: Run,
    points: SecretTable,
    ranges: SecretTable,
    on: Sequence[On],
    reach: Reach,
    bound: int,
) -> SecretTable:
    """All pairs that agree in their keys with a point within its range, in `bound` places.

    Of `on`, left is the points' side. Rows with NULL in a key, a point or an end have no pair. A
    flag is raised if there are more.
    """
    keys = [*(p.left for p in on), reach.point]
    ends = [[*(p.right for p in on), end] for end in (reach.low, reach.high)]
    first, behind = _counted_before(run, (points, ranges), keys, ends, reach)
    # Points in order, each with its number.
    there = _taking_part(run, points, keys)
    chosen = SecretTable(points.columns, SecretMarks(there))
    orders = [Order(key, nullable=False) for key in keys]
    found = numbered(sort_table(run, chosen, orders, Ties([])), _RANK)
    number = in_order(run, found.columns[_RANK], np.ones(found.rows, dtype=np.uint8))
    found = SecretTable({**found.columns, _RANK: number}, found.present)
    # Each range as often as points lie in it: from `first` on, up to the one before `behind`.
    fits = np.empty(ranges.rows, dtype=np.uint8)
    run.call(_native.compare, 1, False, first, behind, fits)
    takes = conjunction(run, fits, *(_taking_part(run, ranges, e) for e in ends))
    copies = np.empty((ranges.rows, 1), dtype=np.uint64)
    spread = _computed(run, Operation.SUBTRACT, behind, first)
    run.call(_native.clear_rows, takes, spread.reshape(-1, 1), copies)
    counted = SecretTable({**ranges.columns, _RANK: _column(first)}, ranges.present)
    pairs, copy = expanded(run, counted, copies.reshape(-1), bound)
    rank = _computed(run, Operation.ADD, flat_words_of(pairs.columns[_RANK]), copy)
    wanted = SecretColumn(_NUMBER, rank.reshape(-1, 1), known_of(pairs.columns[_RANK]))
    rest = {n: c for n, c in pairs.columns.items() if n != _RANK}
    joined = join_unique(
        run,
        SecretTable({**rest, _RANGE: wanted}, pairs.present),
        found,
        [On(wanted, number)],
        outer=False,
    )
    names = [*points.columns, *ranges.columns]
    return SecretTable({n: joined.columns[n] for n in names}, joined.present)


def _counted_before(
    run: Run,
    tables: tuple[SecretTable, SecretTable],
    keys: Sequence[SecretColumn],
    ends: Sequence[Sequence[SecretColumn]],
    reach: Reach,
) -> list[Words]:
    """For each range, in its place, how many points stand before it begins, and before it is over.

    Points with a lesser key count too: they are numbers of places in the order of all points.
    """
    points, ranges = tables
    alike = [_of_one_width(columns) for columns in zip(keys, *ends, strict=True)]
    # At one value, an end stands before points that it does not leave behind, else after them.
    sides = (1, 2 if reach.above_low else 0, 0 if reach.below_high else 2)
    parts = [
        _part(run, table, columns, kind, sides[kind])
        for kind, table, columns in (
            (kind, ranges if kind else points, [columns[kind] for columns in alike])
            for kind in (_POINT, _LOW, _HIGH)
        )
    ]
    both = union_all(parts, list(parts[0].columns))
    compared = [n for n in both.columns if n not in {_KIND, _RANGE}]
    orders = [Order(both.columns[n], nullable=False) for n in compared]
    both = sort_table(run, both, orders, Ties([]))
    present = marks_of(both.present)
    kinds = [
        conjunction(run, present, _is(run, both.columns[_KIND], kind))
        for kind in (_POINT, _LOW, _HIGH)
    ]
    starts = np.zeros(both.rows, dtype=np.uint8)
    starts[:1] = 1
    count = np.empty(both.rows, dtype=np.uint64)
    run.call(_native.running_count, starts, kinds[_POINT], count)
    numbers = numbered(SecretTable({}, SecretMarks(np.ones(ranges.rows, np.uint8))), _RANGE)
    everywhere = marks_of(numbers.present)
    place = in_order(run, numbers.columns[_RANGE], everywhere)
    found = []
    for kind in (_LOW, _HIGH):
        source = SecretTable({_COUNT: _column(count)}, SecretMarks(kinds[kind]))
        on = [On(place, both.columns[_RANGE])]
        _, partners, _ = look_up(run, numbers, source, on, unique=True)
        found.append(flat_words_of(partners.columns[_COUNT]))
    return found


def _of_one_width(columns: Sequence[SecretColumn]) -> list[SecretColumn]:
    if not columns[0].layout.is_text:
        return list(columns)
    size = max(c.layout.text_bytes for c in columns)
    return [fitted(c, size) for c in columns]


def _part(
    run: Run, table: SecretTable, columns: Sequence[SecretColumn], kind: int, side: int
) -> SecretTable:
    """Rows of one kind as the counting sees them."""
    keys = {f"{_VALUE}{i}": c for i, c in enumerate(columns)}
    more = {_SIDE: _constant(side, table.rows), _KIND: _constant(kind, table.rows)}
    own = numbered(SecretTable({}, table.present), _RANGE).columns
    return SecretTable({**keys, **more, **own}, SecretMarks(_taking_part(run, table, columns)))


def _taking_part(run: Run, table: SecretTable, columns: Sequence[SecretColumn]) -> Marks:
    return conjunction(run, marks_of(table.present), *(known_of(c) for c in columns))


def _is(run: Run, column: SecretColumn, kind: int) -> Marks:
    marks = np.empty(column.rows, dtype=np.uint8)
    same = np.full((1, 1), kind, dtype=np.uint64)
    run.call(_native.equal_rows, words_of(column), same, marks)
    return marks


def _constant(value: int, rows: int) -> SecretColumn:
    return _column(np.full(rows, value, dtype=np.uint64))


def _column(words: Words) -> SecretColumn:
    return SecretColumn(_NUMBER, words.reshape(-1, 1), np.ones(len(words), dtype=np.uint8))


def _computed(run: Run, what: Operation, a: Words, b: Words) -> Words:
    """Of counts: nothing overflows where it means anything."""
    out, nobody = np.empty_like(a), np.zeros(len(a), dtype=np.uint8)
    run.checked(_native.integers, int(what), a, b, nobody, out)
    return out
