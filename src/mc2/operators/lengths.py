"""Lists whose length a value says, in as many places as are public: what stands behind is not made.

Whoever takes fewer elements, or says how many there are at most, gives the places (`list_slice`,
`list_at_most`).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.arithmetic import Operation, compute
from mc2.operators.comparisons import less_marks
from mc2.operators.constants import constant
from mc2.operators.elements import (
    Elements,
    cleared_where,
    elements,
    in_one_layout,
    is_less,
    listed,
    numbers,
    places_below,
    repeated,
)
from mc2.operators.handles import (
    MOST_TEXT_BYTES,
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    Words,
    known_of,
    words_of,
)
from mc2.operators.logic import choose, column, complement, conjunction, disjunction
from mc2.operators.phrases import position, substring_at
from mc2.operators.run import Flag, Run
from mc2.plan.types import INT32, STRING

MOST_ELEMENTS: Final = 100_000
"""Of a list that a value says the length of: docs/spec/plan.md."""
_WORDS: Final = (1 << 64) - 1
_LEAST: Final = -(1 << 31)
_ADD, _SUBTRACT, _MULTIPLY = 0, 1, 2


def at_most(run: Run, a: SecretColumn, most: int, counts: Marks) -> SecretColumn:
    """The same lists in so many places; a flag is raised where there are more elements."""
    found = elements(run, a)
    if found.most <= most:
        return a
    beyond = conjunction(run, counts, found.there_at(most))
    run.raise_where(SecretMarks(beyond), Flag.BOUND_EXCEEDED)
    return listed(run, found.first(most), known_of(a))


def repeat_up_to(
    run: Run, value: SecretColumn, count: SecretColumn, most: int, counts: Marks
) -> SecretColumn:
    """The same value so many times, none for less than none; the first `most` of them."""
    known = known_of(count)
    flag, counted = int(Flag.OVERFLOW), conjunction(run, counts, known)
    words = words_of(count).reshape(-1)
    run.checked(_native.check_range, words, _LEAST, MOST_ELEMENTS, counted, flag)
    there = places_below(run, words, most)
    every = cleared_where(run, repeated(value, most), there)
    return listed(run, Elements(most, there, every), known)


def sequence(
    run: Run,
    ends: tuple[SecretColumn, SecretColumn],
    step: SecretColumn,
    most: int,
    counts: Marks,
) -> SecretColumn:
    """From the first to the last, each so much after the one before; the first `most` of them.

    A flag is raised where the step leads away, or there are more than 100,000.
    """
    rows = step.rows
    known = conjunction(run, *(known_of(v) for v in (*ends, step)))
    start, end, by = (numbers(words_of(v).reshape(-1)) for v in (*ends, step))
    zero = numbers(np.zeros(rows, dtype=np.uint64))
    falls, grows, shrinks = (is_less(run, a, b) for a, b in ((end, start), (zero, by), (by, zero)))
    # Distances and strides are words without a sign: they may have all of the 64 bits.
    far = choose(run, falls, _words(run, _SUBTRACT, start, end), _words(run, _SUBTRACT, end, start))
    stride = choose(run, falls, _words(run, _SUBTRACT, zero, by), by)
    goes = disjunction(run, falls, is_less(run, start, end))
    leads = disjunction(
        run, conjunction(run, falls, shrinks), conjunction(run, complement(run, falls), grows)
    )
    counted = conjunction(run, counts, known, goes)
    wrong = disjunction(run, complement(run, leads), _too_many(run, far, stride))
    run.raise_where(SecretMarks(conjunction(run, counted, wrong)), Flag.OVERFLOW)
    value, there, moves = start, known, conjunction(run, goes, leads)
    values, marks = [value], [there]
    for _ in range(most - 1):
        there = conjunction(run, there, moves, complement(run, _below(run, far, stride)))
        value = _words(run, _ADD, value, by)
        far = _words(run, _SUBTRACT, far, stride)
        values.append(value)
        marks.append(there)
    every = np.stack(marks, axis=1).reshape(-1)
    words = np.concatenate([words_of(v) for v in values], axis=1).reshape(-1, 1)
    made = column(run, ends[0].layout, words, every)
    return listed(run, Elements(most, every, made), known)


def _too_many(run: Run, far: SecretColumn, stride: SecretColumn) -> Marks:
    """Where a distance is 100,000 strides or more: these fit 64 bits if the stride is short."""
    long_stride = numbers(np.full(far.rows, _WORDS // MOST_ELEMENTS, dtype=np.uint64))
    many = numbers(np.full(far.rows, MOST_ELEMENTS, dtype=np.uint64))
    product = _words(run, _MULTIPLY, stride, many)
    fits = complement(run, _below(run, long_stride, stride))
    return conjunction(run, fits, complement(run, _below(run, far, product)))


def _words(run: Run, what: int, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """Sums, differences and products that wrap round."""
    out, nowhere = np.empty(a.rows, dtype=np.uint64), np.zeros(a.rows, dtype=np.uint8)
    pair = words_of(a).reshape(-1), words_of(b).reshape(-1)
    run.checked(_native.integers, what, *pair, nowhere, out)
    return numbers(out)


def _below(run: Run, a: SecretColumn, b: SecretColumn) -> Marks:
    """Where a word without a sign is less than another."""
    out = np.empty(a.rows, dtype=np.uint8)
    run.call(_native.less_rows, words_of(a), words_of(b), out)
    return out


def split(run: Run, a: SecretColumn, mark: bytes, most: int, limit: int | None) -> SecretColumn:
    """The parts of texts between occurrences of a public text; the first `most` of them.

    With a `limit` there are no more than so many, and the last one is all that is left.
    """
    rows, known = a.rows, known_of(a)
    here = constant(Layout(STRING, len(mark)), mark, rows)
    zero, one, whole = (constant(Layout(INT32), n, rows) for n in (0, 1, MOST_TEXT_BYTES))
    nowhere, rest, there = np.zeros_like(known), a, known
    parts: list[SecretColumn] = []
    marks: list[Marks] = []
    for number in range(min(most, limit or most)):
        place = position(run, rest, here, characters=False)
        found = conjunction(run, there, less_marks(run, zero, place))
        before = compute(run, Operation.SUBTRACT, place, one, INT32, nowhere)
        part = substring_at(run, rest, one, before, characters=False)
        part = choose(run, found, *in_one_layout([part, rest]))
        parts.append(rest if number + 1 == limit else part)
        marks.append(there)
        after = constant(Layout(INT32), len(mark), rows)
        behind = compute(run, Operation.ADD, place, after, INT32, nowhere)
        rest, there = substring_at(run, rest, behind, whole, characters=False), found
    every = np.stack(marks, axis=1).reshape(-1)
    layout = parts[0].layout
    words: Words = np.stack([words_of(p) for p in in_one_layout(parts)], axis=1)
    value = column(run, layout, words.reshape(-1, layout.words), every)
    return listed(run, Elements(len(parts), every, value), known)
