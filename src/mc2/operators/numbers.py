"""Functions of numbers beside the four operations: whole parts, signs, remainders above zero."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from mc2 import _native
from mc2.formats.schema import DECIMAL_DIGITS, DataType
from mc2.operators.arithmetic import Operation, as_kept, compute, narrowed, scaled, widened
from mc2.operators.comparisons import equal_marks, less_marks
from mc2.operators.constants import constant
from mc2.operators.conversions import cast
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    Words,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.logic import choose, column, complement, conjunction
from mc2.operators.run import Run
from mc2.plan.types import DOUBLE, INT64

_LAST_FACTORIAL: Final = 20
"""The last one in 64 bits."""


def whole(
    run: Run, a: SecretColumn, kind: DataType, counts: Marks, *, upwards: bool
) -> SecretColumn:
    """The next whole number down, or up: of a double an int64, of a decimal one without digits."""
    counted = conjunction(run, counts, known_of(a))
    if not a.layout.is_real:
        return _whole_decimal(run, a, kind, counted, upwards=upwards)
    cut = cast(run, a, INT64, counts)  # towards zero
    back = cast(run, cut, a.type, counts)
    beyond = less_marks(run, back, a) if upwards else less_marks(run, a, back)
    one = constant(Layout(INT64), 1 if upwards else -1, a.rows)
    moved = compute(run, Operation.ADD, cut, one, INT64, conjunction(run, counted, beyond))
    return choose(run, beyond, moved, cut)


def _whole_decimal(
    run: Run, a: SecretColumn, kind: DataType, counted: Marks, *, upwards: bool
) -> SecretColumn:
    wide_type = DataType("decimal", DECIMAL_DIGITS, a.type.scale)
    layout = Layout(wide_type)
    unit = constant(layout, 10**a.type.scale, a.rows)
    nothing = constant(layout, 0, a.rows)
    value, rest, cut = widened(run, a), *(np.empty((a.rows, 2), np.uint64) for _ in range(2))
    run.checked(_native.remainder_wide, value, words_of(unit), counted, rest)
    run.checked(_native.add_wide, value, rest, True, DECIMAL_DIGITS, counted, cut)
    left = SecretColumn(layout, rest, known_of(a))
    beyond = less_marks(run, nothing, left) if upwards else less_marks(run, left, nothing)
    moved = np.empty_like(cut)
    here = conjunction(run, counted, beyond)
    down = not upwards
    run.checked(_native.add_wide, cut, words_of(unit), down, DECIMAL_DIGITS, here, moved)
    chosen = np.empty_like(cut)
    run.call(_native.select_rows, beyond, moved, cut, chosen)
    words = scaled(run, chosen, -a.type.scale, kind.precision, counted)
    return column(run, Layout(kind), narrowed(run, words, Layout(kind), counted), known_of(a))


def sign(run: Run, a: SecretColumn) -> SecretColumn:
    """-1, 0 or 1 as a double; NaN of NaN."""
    zero, one, less = (constant(a.layout, value, a.rows) for value in (0.0, 1.0, -1.0))
    found = choose(run, less_marks(run, a, zero), less, one)
    found = choose(run, equal_marks(run, a, zero), zero, found)
    nan = constant(a.layout, float("nan"), a.rows)
    found = choose(run, equal_marks(run, a, nan), a, found)
    return column(run, a.layout, words_of(found), known_of(a))


def modulo(
    run: Run, a: SecretColumn, b: SecretColumn, kind: DataType, counts: Marks
) -> SecretColumn:
    """The remainder, and where it is below zero the remainder of its sum with the divisor."""
    rest = compute(run, Operation.REMAINDER, a, b, kind, counts)
    if rest.layout.is_real:
        return _real_modulo(run, rest, b)
    nothing, none = (constant(c.layout, 0, a.rows) for c in (rest, b))
    turns = conjunction(run, less_marks(run, rest, nothing), less_marks(run, none, b))
    above = compute(run, Operation.ADD, rest, b, kind, conjunction(run, counts, turns))
    return choose(run, turns, above, rest)


def _real_modulo(run: Run, rest: SecretColumn, divisor: SecretColumn) -> SecretColumn:
    """In doubles, for floats too, which are rounded at the end."""
    wide, nowhere = Layout(DOUBLE), np.zeros(rest.rows, dtype=np.uint8)
    first, by = (SecretColumn(wide, words_of(c), known_of(c)) for c in (rest, divisor))
    sum_ = compute(run, Operation.ADD, first, by, DOUBLE, nowhere)
    above = compute(run, Operation.REMAINDER, sum_, by, DOUBLE, nowhere)
    below = less_marks(run, first, constant(wide, 0.0, rest.rows))
    found = choose(run, below, above, first)
    words = as_kept(run, flat_words_of(found), rest.type)
    return column(run, rest.layout, words, known_of(rest))


def whole_quotient(run: Run, a: SecretColumn, b: SecretColumn, counts: Marks) -> SecretColumn:
    """The quotient of two decimals, cut towards zero, as int64."""
    known = conjunction(run, known_of(a), known_of(b))
    counted, scale = conjunction(run, counts, known), max(a.type.scale, b.type.scale)
    x, y = (
        scaled(run, widened(run, c), scale - c.type.scale, DECIMAL_DIGITS, counted) for c in (a, b)
    )
    rest, whole, found = (np.empty_like(x) for _ in range(3))
    # What is left over goes first, and the division is exact then.
    run.checked(_native.remainder_wide, x, y, counted, rest)
    run.checked(_native.add_wide, x, rest, True, DECIMAL_DIGITS, counted, whole)
    run.checked(_native.divide_wide, whole, y, 0, DECIMAL_DIGITS, counted, found)
    return column(run, Layout(INT64), narrowed(run, found, Layout(INT64), counted), known)


def unless_zero(
    run: Run, what: Operation, a: SecretColumn, b: SecretColumn, kind: DataType, counts: Marks
) -> SecretColumn:
    """A quotient or a remainder, and NULL where the divisor is zero."""
    zero = constant(b.layout, 0.0 if b.layout.is_real else 0, b.rows)
    some = complement(run, equal_marks(run, b, zero))
    found = compute(run, what, a, b, kind, conjunction(run, counts, some))
    return column(run, found.layout, words_of(found), conjunction(run, known_of(found), some))


def factorial(run: Run, a: SecretColumn) -> SecretColumn:
    """The factorials of whole numbers from 0 to 20, else NULL."""
    found = constant(Layout(INT64), 1, a.rows)
    for number in range(2, _LAST_FACTORIAL + 1):
        reached = less_marks(run, constant(a.layout, number - 1, a.rows), a)
        found = choose(run, reached, constant(found.layout, math.factorial(number), a.rows), found)
    beyond = constant(a.layout, _LAST_FACTORIAL + 1, a.rows)
    inside = conjunction(
        run, less_marks(run, constant(a.layout, -1, a.rows), a), less_marks(run, a, beyond)
    )
    return column(run, found.layout, words_of(found), conjunction(run, known_of(a), inside))


def floored(run: Run, a: SecretColumn, divisor: int) -> SecretColumn:
    """Whole numbers over a public divisor, rounded down."""
    out = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.floor_divide, flat_words_of(a), divisor, out)
    return column(run, Layout(INT64), out, known_of(a))


def count_bytes(run: Run, a: SecretColumn, kind: DataType) -> SecretColumn:
    """How many bytes a text has."""
    out: Words = np.ascontiguousarray(words_of(a)[:, -1])
    return column(run, Layout(kind), out, known_of(a))
