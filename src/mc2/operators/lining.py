"""What rows of several tasks are sorted by: keys that stay the same from task to task.

A key is a word of its own, beside the rows, so that sheets are merged without another look at them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from mc2.operators.handles import (
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    Words,
    known_of,
    marks_of,
)
from mc2.operators.joining import On
from mc2.operators.logic import complement, conjunction
from mc2.operators.ordering import Order, Ties, tie_keys, union_all
from mc2.operators.planes import (
    SIGNED,
    Key,
    absent_key,
    bit_planes,
    flatten,
    marks_at,
    order_keys,
    value_keys,
)
from mc2.operators.run import Run


def sort_keys(run: Run, table: SecretTable, orders: Sequence[Order], ties: Ties) -> list[Key]:
    """What `sort_table` sorts by: rows that are there, their order, what parts equal ones."""
    keys = [absent_key(run, table.present)]
    for one in orders:
        keys += order_keys(
            run,
            one.column,
            descending=one.descending,
            nulls_first=one.nulls_first,
            nullable=one.nullable,
        )
    return keys + tie_keys(run, table, ties, [one.column for one in orders])


def line_up(
    run: Run, left: SecretTable, right: SecretTable, on: Sequence[On]
) -> tuple[list[Key], list[Words]]:
    """The rows of both sides, one side after the other, and what they are sorted by together.

    Last of all by side, right rows first; `sides` reads that key. Both columns of what must be
    equal have one layout.
    """
    rows = left.rows + right.rows
    keys: list[Key] = []
    takes_part = [marks_of(left.present), marks_of(right.present)]
    for one in on:
        both = _one_column(one)
        if one.nulls:
            keys += order_keys(run, both)
            continue
        keys += value_keys(run, both)
        known = known_of(one.left), known_of(one.right)
        takes_part = [conjunction(run, a, b) for a, b in zip(takes_part, known, strict=True)]
    side = np.zeros(rows, dtype=np.uint8)
    side[: left.rows] = 1
    # In the same word whether a row takes part: rows that do not may stand among those of their
    # words, and have no partners.
    (last,) = bit_planes(run, [np.concatenate(takes_part), side], rows)
    planes = zip_longest(flatten(run, left), flatten(run, right))
    nothing = [np.zeros(t.rows, dtype=np.uint64) for t in (left, right)]
    payload = [
        np.concatenate([nothing[0] if a is None else a, nothing[1] if b is None else b])
        for a, b in planes
    ]
    return [*keys, Key(last, SIGNED)], payload


def _one_column(one: On) -> SecretColumn:
    tables = [SecretTable({"": c}, SecretMarks(known_of(c))) for c in (one.left, one.right)]
    return union_all(tables, [""]).columns[""]


def sides(run: Run, last: Words) -> tuple[Marks, Marks]:
    """Of the last key of rows that stand together: the left rows, and the right ones that match."""
    part, is_left = (marks_at(run, [last], place) for place in (0, 1))
    return is_left, conjunction(run, part, complement(run, is_left))
