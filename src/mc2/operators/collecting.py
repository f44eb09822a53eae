"""All values of a group as a list, of which there are no more than a public number.

Rows are sorted by group, those that count last in theirs and the least of them at the end. So the
last row of each group has its values right before it, at public distances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mc2 import _native
from mc2.operators.constants import constant
from mc2.operators.elements import (
    Elements,
    cleared_where,
    elements,
    is_less,
    listed,
    numbers,
    without_gaps,
)
from mc2.operators.grouping import group, rows_in_groups
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    Words,
    known_of,
    marks_of,
    words_of,
)
from mc2.operators.lists import in_one_text
from mc2.operators.logic import column, conjunction, truth, value_marks
from mc2.operators.ordering import cut
from mc2.operators.packing import to_front
from mc2.operators.planes import canonical
from mc2.operators.run import Flag, Run

_VALUE, _VALID = "\0value", "\0valid"  # no column of a plan has such a name


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    """The values of a column in order, of rows where `where` is 1: `most` of a group at most.

    `distinct` takes equal values once. With a `mark` the values are texts, and joined by it.
    """

    name: str
    argument: SecretColumn
    most: int
    distinct: bool = False
    mark: bytes | None = None
    where: Marks | None = None


def collect_groups(
    run: Run,
    table: SecretTable,
    keys: Sequence[str],
    wanted: Sequence[Collected],
    bound: int,
    by: Sequence[str],
) -> Mapping[str, SecretColumn]:
    """Lists or texts of groups, in order of the keys `by`, which decide all keys, in front.

    There are `bound` places, one without keys. A flag is raised where a group has more values than
    places for them. Cost: a sort each, and one more where values count once.
    """
    return {one.name: _collected(run, table, by if keys else (), one, bound) for one in wanted}


def _collected(
    run: Run, table: SecretTable, keys: Sequence[str], one: Collected, bound: int
) -> SecretColumn:
    rows = _rows(run, table, keys, one)
    moved, starts = rows_in_groups(run, rows, keys, (_VALID, _VALUE))
    valid = value_marks(run, moved.columns[_VALID])
    count, last = np.empty(len(starts), dtype=np.uint64), np.empty_like(starts)
    run.call(_native.running_count, starts, valid, count)
    run.call(_native.ends, starts, last)
    ends = conjunction(run, last, marks_of(moved.present))
    run.checked(_native.check_range, count, 0, one.most, ends, int(Flag.BOUND_EXCEEDED))
    before = _before(run, moved.columns[_VALUE], count, one.most)
    found = SecretTable({_VALUE: before}, SecretMarks(ends))
    found = to_front(run, found, bound) if keys else cut(found, found.rows - 1, found.rows)
    inside = elements(run, found.columns[_VALUE])
    lists = listed(run, without_gaps(run, inside, inside.there), marks_of(found.present))
    return lists if one.mark is None else _joined(run, lists, one.mark)


def _rows(run: Run, table: SecretTable, keys: Sequence[str], one: Collected) -> SecretTable:
    """Keys and values, NULL where a row does not count; of no rows, one that does not count."""
    value, known = canonical(run, one.argument), known_of(one.argument)
    if one.where is not None:
        known = conjunction(run, known, one.where)
    value = column(run, value.layout, words_of(value), known)
    columns = {**{k: canonical(run, table.columns[k]) for k in keys}, _VALUE: value}
    rows = SecretTable(columns, table.present)
    if one.distinct:
        rows = group(run, rows, [*keys, _VALUE], [])
    if not keys:
        rows = _as_one_group(run, rows)
    value = rows.columns[_VALUE]
    valid = truth(run, known_of(value), np.ones(rows.rows, dtype=np.uint8))
    return SecretTable({**rows.columns, _VALID: valid}, rows.present)


def _as_one_group(run: Run, rows: SecretTable) -> SecretTable:
    """All places, at least one: the group is there even if no row is."""
    value = cleared_where(run, rows.columns[_VALUE], marks_of(rows.present))
    if not rows.rows:
        value = constant(value.layout, None, 1)
    return SecretTable({_VALUE: value}, SecretMarks(np.ones(value.rows, dtype=np.uint8)))


def _before(run: Run, value: SecretColumn, count: Words, most: int) -> SecretColumn:
    """At each row the values of the last rows up to it, as many as count: behind empty places."""
    rows, layout = value.rows, value.layout
    words = np.zeros((rows, most, layout.words), dtype=np.uint64)
    known, there = np.zeros((2, rows, most), dtype=np.uint8)
    for place in range(most):
        back = most - 1 - place
        if back < rows:
            words[back:, place] = words_of(value)[: rows - back]
            known[back:, place] = known_of(value)[: rows - back]
        distance = numbers(np.full(rows, back, dtype=np.uint64))
        there[:, place] = is_less(run, distance, numbers(count))
    marks, there = known.reshape(-1), there.reshape(-1)
    inside = column(run, layout, words.reshape(-1, layout.words), conjunction(run, marks, there))
    return listed(run, Elements(most, there, inside), np.ones(rows, dtype=np.uint8))


def _joined(run: Run, lists: SecretColumn, mark: bytes) -> SecretColumn:
    """The texts of lists, joined by a public one; NULL where there are none."""
    inside = elements(run, lists)
    between = constant(Layout(inside.value.type, max(1, len(mark))), mark, lists.rows)
    text = in_one_text(run, lists, between, None, np.zeros(lists.rows, dtype=np.uint8))
    some = conjunction(run, inside.there_at(0), known_of(text))
    return column(run, text.layout, words_of(text), some)
