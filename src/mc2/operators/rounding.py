"""Rounding to a public number of digits, and to whole doubles."""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.formats.schema import DECIMAL_DIGITS, DataType
from mc2.operators.arithmetic import (
    Operation,
    check_integers,
    narrowed,
    scaled,
    widened,
)
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
from mc2.operators.logic import choose, column, conjunction, disjunction
from mc2.operators.planes import planes_of
from mc2.operators.run import Flag, Run
from mc2.plan.types import INTEGER_BITS

WAYS: Final = frozenset({"round", "round_even", "floor_to", "ceil_to"})
_WHOLE: Final = Layout(DataType("decimal", DECIMAL_DIGITS, 0))


def round_exact(
    run: Run, a: SecretColumn, digits: int, way: str, kind: DataType, counts: Marks
) -> SecretColumn:
    """Whole numbers or decimals to so many fraction digits, public, or to tens and so on below 0.

    `way` is one of WAYS; halves go away from zero, or to the even digit.
    """
    dropped = a.type.scale - digits
    if dropped <= 0:
        return cast(run, a, kind, counts)
    counted = conjunction(run, counts, known_of(a))
    whole = _units(run, widened(run, a), dropped, way, counted)
    precision = kind.precision if kind.name == "decimal" else DECIMAL_DIGITS
    wide = scaled(run, whole, max(-digits, 0), precision, counted)
    words = narrowed(run, wide, Layout(kind), counted)
    if kind.name in INTEGER_BITS:
        check_integers(run, words, kind, counted, Flag.OVERFLOW)
    return column(run, Layout(kind), words, known_of(a))


def _units(run: Run, wide: Words, dropped: int, way: str, counted: Marks) -> Words:
    """How many times ten to the power of `dropped` each number is, rounded."""
    near = scaled(run, wide, -dropped, DECIMAL_DIGITS, counted)
    if way == "round":
        return near
    rows = len(wide)
    everywhere = np.ones(rows, dtype=np.uint8)
    unit, zero, one = (constant(_WHOLE, n, rows) for n in (10**dropped, 0, 1))
    rest, cut = np.empty_like(wide), np.empty_like(wide)
    run.checked(_native.remainder_wide, wide, words_of(unit), counted, rest)
    run.checked(_native.add_wide, wide, rest, True, DECIMAL_DIGITS, counted, cut)
    towards_zero = scaled(run, cut, -dropped, DECIMAL_DIGITS, counted)
    left = SecretColumn(_WHOLE, rest, everywhere)
    if way == "round_even":
        odd = np.empty(rows, dtype=np.uint8)
        run.call(_native.spread_bit, planes_of(near)[0], 0, odd)
        halves = [constant(_WHOLE, sign * 10**dropped // 2, rows) for sign in (1, -1)]
        tie = disjunction(run, *(equal_marks(run, left, half) for half in halves))
        return _chosen(run, conjunction(run, tie, odd), towards_zero, near)
    down = way == "floor_to"
    beyond = less_marks(run, left, zero) if down else less_marks(run, zero, left)
    moved = np.empty_like(wide)
    step = (towards_zero, words_of(one))
    run.checked(_native.add_wide, *step, down, DECIMAL_DIGITS, counted, moved)
    return _chosen(run, beyond, moved, towards_zero)


def _chosen(run: Run, keep: Marks, a: Words, b: Words) -> Words:
    out = np.empty_like(a)
    run.call(_native.select_rows, keep, a, b, out)
    return out


def whole_double(run: Run, a: SecretColumn, *, to_even: bool) -> SecretColumn:
    """The nearest whole number, as a double; halves away from zero, or to the even number."""
    out = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.round_doubles, to_even, flat_words_of(a), out)
    return column(run, a.layout, out, known_of(a))


def round_double(run: Run, a: SecretColumn, digits: int) -> SecretColumn:
    """Times a power of ten, to the nearest whole number, and back: as docs/spec/plan.md says.

    Where that is not finite it is the double itself.
    """
    power = constant(a.layout, 10.0 ** abs(digits), a.rows)
    there, back = (Operation.MULTIPLY, Operation.DIVIDE)
    if digits < 0:
        there, back = back, there
    found = _doubles(
        run, back, whole_double(run, _doubles(run, there, a, power), to_even=False), power
    )
    # Below minus infinity is nothing, and NaN is above infinity: what is finite is between both.
    low, high = (constant(a.layout, sign * float("inf"), a.rows) for sign in (-1, 1))
    finite = conjunction(run, less_marks(run, low, found), less_marks(run, found, high))
    chosen = choose(run, finite, found, a)
    return column(run, a.layout, flat_words_of(chosen), known_of(a))


def _doubles(run: Run, what: Operation, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    out, nowhere = np.empty(a.rows, dtype=np.uint64), np.zeros(a.rows, dtype=np.uint8)
    run.checked(_native.doubles, int(what), flat_words_of(a), flat_words_of(b), nowhere, out)
    return SecretColumn(a.layout, out.reshape(-1, 1), known_of(a))
