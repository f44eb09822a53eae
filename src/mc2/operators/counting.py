"""Counts that stand in rows, for rows that stand for others."""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    Words,
    flat_words_of,
    known_of,
    marks_of,
)
from mc2.operators.logic import complement, conjunction
from mc2.operators.run import Flag, Run
from mc2.plan.types import INT64

NUMBER: Final = Layout(INT64)
"""How numbers of rows lie in words."""


def number_column(words: Words) -> SecretColumn:
    """Words as a column of numbers, all of them known."""
    return SecretColumn(NUMBER, words.reshape(-1, 1), np.ones(len(words), dtype=np.uint8))


def as_words(run: Run, marks: Marks) -> Words:
    """Marks as words of 0 and 1."""
    out = np.empty(len(marks), dtype=np.uint64)
    run.call(_native.marks_to_words, marks, out)
    return out


def is_some(run: Run, counts: Words) -> Marks:
    """Where a count is not zero."""
    none = np.empty(len(counts), dtype=np.uint8)
    run.call(_native.equal_rows, counts.reshape(-1, 1), np.zeros((1, 1), np.uint64), none)
    return complement(run, none)


def check_total(run: Run, present: SecretMarks, counts: SecretColumn, most: int) -> None:
    """Raise a flag if rows that are there stand for more together than a bound allows."""
    if not counts.rows:
        return
    keep = conjunction(run, marks_of(present), known_of(counts))
    first = np.zeros_like(keep)
    first[:1] = 1
    low, high = np.empty(counts.rows, dtype=np.uint64), np.empty(counts.rows, dtype=np.int64)
    run.call(_native.running_sum, first, keep, flat_words_of(counts).view(np.int64), low, high)
    everywhere = np.ones(1, dtype=np.uint8)
    total = low[-1:].copy()  # below 2^62: there are no more pairs than that
    run.checked(_native.check_range, total, 0, most, everywhere, int(Flag.BOUND_EXCEEDED))


def all_there(rows: int) -> SecretMarks:
    """All of so many places are there."""
    return SecretMarks(np.ones(rows, dtype=np.uint8))
