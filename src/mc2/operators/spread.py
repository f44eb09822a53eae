"""Variances and standard deviations of groups, to the bit as docs/spec/plan.md says.

The mean is the exact sum, rounded, over the count; squared distances from it are rounded each and
summed exactly. So the order of rows never shows.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.arithmetic import Operation
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    Words,
    flat_words_of,
    known_of,
)
from mc2.operators.logic import column, conjunction
from mc2.operators.run import Run
from mc2.plan.types import DOUBLE

SPREADS: Final = frozenset({"stddev_samp", "stddev_pop", "var_samp", "var_pop"})
"""The aggregates that are computed here."""

_LESS: Final = 1


def square_root(run: Run, a: SecretColumn) -> SecretColumn:
    """The square root of doubles; NaN below zero."""
    out = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.square_roots, flat_words_of(a), out)
    return column(run, a.layout, out, known_of(a))


def squared_distances(
    run: Run, starts: Marks, keep: Marks, argument: SecretColumn, count: Words
) -> SecretColumn:
    """At the last row of each group: the sum of squared distances from the group's mean.

    Before the last row it is of no meaning. `count` is how many rows are kept so far.
    """
    values = flat_words_of(argument)
    total, squares = np.empty_like(values), np.empty_like(values)
    run.call(_native.exact_sum, starts, keep, values, total)
    divisor = np.empty_like(values)
    run.call(_native.integer_to_double, _of_group(run, starts, count), divisor)
    mean = _computed(run, Operation.DIVIDE, _of_group(run, starts, total), divisor)
    run.call(_native.exact_sum, starts, keep, _squares(run, values, mean), squares)
    known = np.ones(argument.rows, dtype=np.uint8)
    return SecretColumn(Layout(DOUBLE), squares.reshape(-1, 1), known)


def distances(run: Run, value: SecretColumn, mean: SecretColumn) -> SecretColumn:
    """The squared distance of each value from a mean of its own; NULL where there is no value."""
    squares = _squares(run, flat_words_of(value), flat_words_of(mean))
    return column(run, Layout(DOUBLE), squares, known_of(value))


def _squares(run: Run, values: Words, means: Words) -> Words:
    far = _computed(run, Operation.SUBTRACT, values, means)
    return _computed(run, Operation.MULTIPLY, far, far)


def spread(
    run: Run, function: str, squares: SecretColumn, count: SecretColumn, counts: Marks
) -> SecretColumn:
    """The statistic of groups: NULL without values, and of a sample of a single one."""
    sample = int(function.endswith("_samp"))
    least = np.full(count.rows, sample, dtype=np.uint64)
    some, divisor = np.empty(count.rows, dtype=np.uint8), np.empty(count.rows, dtype=np.uint64)
    run.call(_native.compare, _LESS, False, least, flat_words_of(count), some)
    nowhere = np.zeros(count.rows, dtype=np.uint8)
    left = np.empty_like(divisor)
    what = int(Operation.SUBTRACT)
    run.checked(_native.integers, what, flat_words_of(count), least, nowhere, left)
    run.call(_native.integer_to_double, left, divisor)
    variance = _computed(run, Operation.DIVIDE, flat_words_of(squares), divisor)
    found = column(run, Layout(DOUBLE), variance, conjunction(run, some, counts))
    return square_root(run, found) if function.startswith("stddev") else found


def _computed(run: Run, what: Operation, a: Words, b: Words) -> Words:
    """Of doubles; nothing is an error: what is divided by zero is not used."""
    out, nowhere = np.empty_like(a), np.zeros(len(a), dtype=np.uint8)
    run.checked(_native.doubles, int(what), a, b, nowhere, out)
    return out


def _of_group(run: Run, starts: Marks, words: Words) -> Words:
    """What stands at the last row of its group, for each row."""
    ends, seen = np.empty_like(starts), np.empty_like(starts)
    run.call(_native.ends, starts, ends)
    out = np.empty_like(words)
    run.call(_native.fill_backward, starts, ends, words, out, seen)
    return out
