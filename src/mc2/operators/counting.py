"""Counts that stand in rows, for rows that stand for others."""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.handles import Layout, Marks, SecretColumn, SecretMarks, Words
from mc2.operators.logic import complement
from mc2.operators.run import Run
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


def all_there(rows: int) -> SecretMarks:
    """All of so many places are there."""
    return SecretMarks(np.ones(rows, dtype=np.uint8))
