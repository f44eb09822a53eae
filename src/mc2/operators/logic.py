"""Truth values of three kinds, and choice between columns. SQL:2023 part 2, 6.43."""

from __future__ import annotations

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
    truth_of,
    with_truth,
    words_of,
)
from mc2.operators.run import Run
from mc2.plan.types import BOOLEAN

TRUTH = Layout(BOOLEAN)


def truth(run: Run, value: Marks, known: Marks) -> SecretColumn:
    """A boolean column of two marks for each row; what is not known is made zero."""
    found = conjunction(run, value, known)

    def words() -> Words:
        out = np.empty((len(found), 1), dtype=np.uint64)
        run.call(_native.marks_to_words, found, out.reshape(-1))
        return out

    return with_truth(TRUTH, found, known, words)


def value_marks(run: Run, column: SecretColumn) -> Marks:
    """The truth of a boolean column; zero where it is NULL."""
    known = truth_of(column)
    if known is not None:
        return known
    out = np.empty(column.rows, dtype=np.uint8)
    run.call(_native.words_to_marks, flat_words_of(column), out)
    return out


def is_true(run: Run, column: SecretColumn) -> SecretMarks:
    """Where a condition holds: not where it is false, nor where it is NULL."""
    return SecretMarks(value_marks(run, column))  # the words of NULLs are zeros


def both(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """AND."""
    value, known = np.empty((2, a.rows), dtype=np.uint8)
    pair = (value_marks(run, a), known_of(a), value_marks(run, b), known_of(b))
    run.call(_native.and_known, *pair, value, known)
    return truth(run, value, known)


def either(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """OR."""
    value, known = np.empty((2, a.rows), dtype=np.uint8)
    pair = (value_marks(run, a), known_of(a), value_marks(run, b), known_of(b))
    run.call(_native.or_known, *pair, value, known)
    return truth(run, value, known)


def negation(run: Run, a: SecretColumn) -> SecretColumn:
    """NOT."""
    return truth(run, complement(run, value_marks(run, a)), known_of(a))


def is_null(run: Run, a: SecretColumn, *, negated: bool = False) -> SecretColumn:
    """IS NULL, or IS NOT NULL: never NULL itself."""
    known = known_of(a)
    value = known if negated else complement(run, known)
    return truth(run, value, np.ones(a.rows, dtype=np.uint8))


def conjunction(run: Run, *marks: Marks) -> Marks:
    """1 where all are."""
    found = marks[0]
    for more in marks[1:]:
        out = np.empty_like(found)
        run.call(_native.and_marks, found, more, out)
        found = out
    return found


def disjunction(run: Run, a: Marks, b: Marks) -> Marks:
    """1 where one is."""
    out = np.empty_like(a)
    run.call(_native.or_marks, a, b, out)
    return out


def complement(run: Run, a: Marks) -> Marks:
    """1 where it is 0."""
    out = np.empty_like(a)
    run.call(_native.not_marks, a, out)
    return out


def restrict(run: Run, present: SecretMarks, condition: SecretColumn) -> SecretMarks:
    """The rows that are there and for which a condition holds: a filter, which moves nothing."""
    return SecretMarks(conjunction(run, marks_of(present), value_marks(run, condition)))


def choose(run: Run, keep: Marks, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """The values of one column where `keep` is 1, of the other elsewhere; of one layout."""
    if a.layout != b.layout:
        raise TypeError("a choice is between columns of one layout")
    words, known = np.empty_like(words_of(a)), np.empty_like(known_of(a))
    run.call(_native.select_rows, keep, words_of(a), words_of(b), words)
    run.call(_native.select_marks, keep, known_of(a), known_of(b), known)
    return SecretColumn(a.layout, words, known)


def column(run: Run, layout: Layout, words: np.ndarray, known: Marks) -> SecretColumn:
    """A column of what a kernel wrote, with the words of NULLs made zeros."""
    rows = words.reshape(-1, layout.words)
    cleared = np.empty_like(rows)
    run.call(_native.clear_rows, known, rows, cleared)
    return SecretColumn(layout, cleared, known)


def coalesce(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """The first, or the second where the first is NULL."""
    return choose(run, known_of(a), a, b)
