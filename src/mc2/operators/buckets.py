"""Which of equal parts of a range numbers are in: SQL's width_bucket, in doubles."""

from __future__ import annotations

import math

import numpy as np

from mc2 import _native
from mc2.operators.arithmetic import Operation, compute
from mc2.operators.comparisons import equal_marks, less_marks
from mc2.operators.constants import constant
from mc2.operators.conversions import cast
from mc2.operators.handles import Layout, Marks, SecretColumn, known_of, words_of
from mc2.operators.logic import choose, column, complement, conjunction
from mc2.operators.run import Run
from mc2.plan.types import DOUBLE, INT64, integer_range


def width_bucket(
    run: Run,
    value: SecretColumn,
    first: SecretColumn,
    last: SecretColumn,
    count: SecretColumn,
    counts: Marks,
) -> SecretColumn:
    """The place, from 1, of a number among so many equal parts from one end to the other.

    0 is before them and one more than there are behind them; the second end may be the lower one.
    NULL where an end is infinite or NaN, both are equal, the number is NaN, or there are no parts
    or 2^63 - 1.
    """
    rising = less_marks(run, first, last)
    there = conjunction(
        run,
        _defined(run, value, first, last, count),
        *(known_of(c) for c in (value, first, last, count)),
    )
    before = _chosen(run, rising, less_marks(run, value, first), less_marks(run, first, value))
    inside = _chosen(run, rising, less_marks(run, value, last), less_marks(run, last, value))
    nowhere = np.zeros(value.rows, dtype=np.uint8)
    part = _distance(run, rising, value, first)
    whole = _distance(run, rising, last, first)
    many = compute(
        run, Operation.MULTIPLY, cast(run, count, DOUBLE, nowhere), part, DOUBLE, nowhere
    )
    place = compute(run, Operation.DIVIDE, many, whole, DOUBLE, nowhere)
    counted = conjunction(run, counts, there, complement(run, before), inside)
    behind = conjunction(run, counts, there, complement(run, before), complement(run, inside))
    one, zero = (constant(Layout(INT64), number, value.rows) for number in (1, 0))
    found = compute(run, Operation.ADD, cast(run, place, INT64, counted), one, INT64, counted)
    after = compute(run, Operation.ADD, count, one, INT64, behind)
    found = choose(run, before, zero, choose(run, inside, found, after))
    return column(run, found.layout, words_of(found), there)


def _defined(
    run: Run, value: SecretColumn, first: SecretColumn, last: SecretColumn, count: SecretColumn
) -> Marks:
    def real(number: float) -> SecretColumn:
        return constant(value.layout, number, value.rows)

    def whole(number: int) -> SecretColumn:
        return constant(count.layout, number, value.rows)

    found = complement(run, equal_marks(run, first, last))
    for end in (first, last):
        above, below = less_marks(run, real(-math.inf), end), less_marks(run, end, real(math.inf))
        found = conjunction(run, found, above, below)
    some = less_marks(run, whole(0), count)
    few = less_marks(run, count, whole(integer_range(INT64)[1]))
    return conjunction(run, found, less_marks(run, value, real(math.nan)), some, few)


def _chosen(run: Run, which: Marks, a: Marks, b: Marks) -> Marks:
    out = np.empty_like(a)
    run.call(_native.select_marks, which, a, b, out)
    return out


def _distance(run: Run, rising: Marks, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """From the second to the first, or back where the range falls."""
    upper, lower = choose(run, rising, a, b), choose(run, rising, b, a)
    nowhere = np.zeros(a.rows, dtype=np.uint8)
    return compute(run, Operation.SUBTRACT, upper, lower, DOUBLE, nowhere)
