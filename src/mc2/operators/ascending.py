"""Columns that rows come in order of: what makes a merge of a sort, and neighbours of a group.

An owner may declare that the rows of a table ascend in a column, and joins give their rows in order
of what they joined by. Rows that are not there stand between the others and take the place of the
one before them, so that conditions leave the order as it is.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    ends_of,
    flat_words_of,
    known_of,
    marks_of,
    order_of,
    with_order,
)
from mc2.operators.logic import complement, conjunction
from mc2.operators.run import Flag, Run

_ALL: Final = (1 << 64) - 1
_LEAST: Final = -(1 << 63)
_LESS: Final = 1


def may_ascend(layout: Layout) -> bool:
    """Whether rows can come in order of such a column: of one word, compared as a number."""
    return layout.words == 1 and not layout.is_real


def in_order(run: Run, value: SecretColumn, present: Marks, *, front: bool = False) -> SecretColumn:
    """The column with its order: its values in rows that are there ascend, none of them NULL.

    The caller knows that. Every other row takes the value of the one before it. With `front`, rows
    that are there stand before all others.
    """
    words, keep = flat_words_of(value), conjunction(run, present, known_of(value))
    if not front:
        # A row in front, so that rows before the first one that is there have a place as well.
        ends = ends_of(value.layout, value.ends)
        least = _LEAST if ends is None else ends[0]
        words = np.concatenate([np.array([least & _ALL], dtype=np.uint64), words])
        keep = np.concatenate([np.ones(1, dtype=np.uint8), keep])
    starts = np.zeros_like(keep)
    starts[:1] = 1
    order, seen = np.empty_like(words), np.empty_like(keep)
    run.call(_native.fill_forward, starts, keep, words, order, seen)
    return with_order(value, order if front else order[1:])


def checked_order(run: Run, value: SecretColumn, present: Marks) -> SecretColumn:
    """The column with its order, which somebody declared: a flag is raised if it is not so."""
    found = in_order(run, value, present)
    order = order_of(found)
    if order is None:
        raise TypeError("an order was just made")
    missing = conjunction(run, present, complement(run, known_of(value)))
    run.raise_where(SecretMarks(missing), Flag.OUT_OF_DOMAIN)
    below = np.empty(max(0, value.rows - 1), dtype=np.uint8)
    run.call(_native.compare, _LESS, False, order[1:], order[:-1], below)
    run.raise_where(SecretMarks(below), Flag.OUT_OF_DOMAIN)
    return found


def in_order_as(run: Run, table: SecretTable, source: SecretTable) -> SecretTable:
    """A table with rows of another one, as they followed one another: the same columns ascend."""
    present = marks_of(table.present)
    columns = {
        name: value if order_of(source.columns[name]) is None else in_order(run, value, present)
        for name, value in table.columns.items()
    }
    return SecretTable(columns, table.present)
