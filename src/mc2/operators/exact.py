"""Exact sums of doubles that go on elsewhere: what one task has added up, for another to add to.

A state is the sum itself, of 35 words, and bits for NaN and infinities: nothing of it is rounded.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.formats.schema import DataType
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    Words,
    flat_words_of,
    words_of,
)
from mc2.operators.ordering import bounded, union_all
from mc2.operators.run import Run

STATE: Final = Layout(DataType("binary"), 280)
"""36 words: a column of states moves with rows like any other, and nobody reads it as a text."""

STATES: Final = "\0states"
"""The function of an aggregate that gives states; no function of a plan has such a name."""

ADDED: Final = "\0added"
"""The function of an aggregate that adds states up, and rounds."""

_TILE: Final = 4096
_SPARE: Final = 8  # a tile has so many times as many rows as there may be groups


def group_states(  # noqa: PLR0913 - rows in groups, and which of them count
    run: Run,
    starts: Marks,
    ends: Marks,
    keep: Marks,
    argument: SecretColumn,
    groups: int,
    *,
    least: int = _TILE,
) -> SecretColumn:
    """The exact sum of each group, in the places that `ordering.bounded` gives those `ends`.

    Some rows at a time, no fewer than `least`: a state is far wider than a row.
    """
    values, rows = flat_words_of(argument), argument.rows
    tile = rows if _SPARE * groups >= rows else max(least, _SPARE * groups)
    so_far = np.zeros(STATE.words, dtype=np.uint64)
    found = []
    for start in range(0, rows, tile):
        part = slice(start, min(start + tile, rows))
        out = np.empty((part.stop - start, STATE.words), dtype=np.uint64)
        given = [np.ascontiguousarray(a[part]) for a in (starts, keep, values)]
        run.call(_native.exact_states, *given, so_far, out)
        known = np.ones(len(out), dtype=np.uint8)
        column = SecretColumn(STATE, out, known)
        table = SecretTable({STATES: column}, SecretMarks(ends[part].copy()))
        found.append(bounded(run, table, min(groups, table.rows)))
    return bounded(run, union_all(found, [STATES]), groups).columns[STATES]


def added_up(run: Run, starts: Marks, keep: Marks, states: SecretColumn) -> Words:
    """The sums of the states of a group so far, rounded."""
    out = np.empty(states.rows, dtype=np.uint64)
    run.call(_native.sum_states, starts, keep, words_of(states), out)
    return out
