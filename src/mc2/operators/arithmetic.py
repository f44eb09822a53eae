"""Arithmetic on columns of whole numbers, doubles and decimals: exact, or a flag.

`counts` says for which rows an error counts: rows that are there and that an expression needs
(branches of CASE guard theirs). What is NULL never counts. Decimals follow docs/spec/plan.md:
computed exactly, rounded once, halves away from zero.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from mc2 import _native
from mc2.errors import EngineError
from mc2.formats.schema import DECIMAL_DIGITS, DataType
from mc2.operators.constants import constant
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    Words,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.logic import column, conjunction
from mc2.operators.run import Flag, Run
from mc2.plan.types import integer_range


class Operation(IntEnum):
    """What to do with two numbers: as the kernels number it."""

    ADD = 0
    SUBTRACT = 1
    MULTIPLY = 2
    DIVIDE = 3
    REMAINDER = 4


def compute(
    run: Run, what: Operation, a: SecretColumn, b: SecretColumn, kind: DataType, counts: Marks
) -> SecretColumn:
    """Two columns of numbers into one of the type that the plan says.

    Raises: EngineError for what oblivious mode cannot do.
    """
    layout = Layout(kind)
    known = conjunction(run, known_of(a), known_of(b))
    counted = conjunction(run, counts, known)
    if layout.is_real:
        words = as_kept(run, _reals(run, what, a, b, counted), kind)
    elif kind.name == "decimal":
        words = _decimals(run, what, a, b, kind, counted)
    else:
        words = np.empty(a.rows, dtype=np.uint64)
        pair = (flat_words_of(a), flat_words_of(b))
        run.checked(_native.integers, int(what), *pair, counted, words)
        check_integers(run, words, kind, counted, Flag.OVERFLOW)
    return column(run, layout, words, known)


def check_integers(run: Run, words: Words, kind: DataType, counted: Marks, flag: Flag) -> None:
    """Raise a flag where whole numbers are outside of an integer type's range."""
    if kind.name != "int64":
        run.checked(_native.check_range, words, *integer_range(kind), counted, int(flag))


def negative(run: Run, a: SecretColumn, counts: Marks) -> SecretColumn:
    """The number with the other sign: 0 - a, but for doubles, where that would lose -0."""
    if a.layout.is_real:
        return compute(run, Operation.MULTIPLY, a, constant(a.layout, -1.0, a.rows), a.type, counts)
    return compute(run, Operation.SUBTRACT, constant(a.layout, 0, a.rows), a, a.type, counts)


def _reals(run: Run, what: Operation, a: SecretColumn, b: SecretColumn, counted: Marks) -> Words:
    words = np.empty(a.rows, dtype=np.uint64)
    if what is Operation.REMAINDER:
        run.checked(_native.remainders, flat_words_of(a), flat_words_of(b), counted, words)
    else:
        run.checked(_native.doubles, int(what), flat_words_of(a), flat_words_of(b), counted, words)
    return words


def as_kept(run: Run, words: Words, kind: DataType) -> Words:
    """Doubles as a type keeps them: floats are doubles that 32 bits could hold.

    A sum, difference, product or quotient of floats that is rounded to a double, and then to 32
    bits, is the one that is rounded to 32 bits at once: a double has more than twice the digits.
    """
    if kind.name != "float":
        return words
    out, fits = np.empty_like(words), np.empty(len(words), dtype=np.uint8)
    run.call(_native.double_to_float, words, out, fits)  # too large is infinite
    return out


# --- decimals: wide numbers inside, one word only where they are kept


def widened(run: Run, a: SecretColumn) -> Words:
    """The values of a decimal or integer column as wide numbers."""
    if a.layout.is_wide:
        return words_of(a)
    out = np.empty((a.rows, 2), dtype=np.uint64)
    run.call(_native.widen, flat_words_of(a), out)
    return out


def narrowed(run: Run, wide: Words, layout: Layout, counted: Marks) -> Words:
    """Wide numbers in the words of a layout. Raises a flag where they do not fit."""
    if layout.is_wide:
        return wide
    out = np.empty(len(wide), dtype=np.uint64)
    run.checked(_native.narrow, wide, counted, out)
    return out


def scaled(run: Run, wide: Words, digits: int, precision: int, counted: Marks) -> Words:
    """Wide numbers times ten to the power of `digits`, which may be negative; rounded then."""
    if digits == 0:
        return wide
    unit = np.zeros_like(wide)
    power = 10 ** max(digits, 0)
    unit[:] = np.array([power % 2**64, power >> 64], dtype=np.uint64)
    out = np.empty_like(wide)
    run.checked(_native.multiply_wide, wide, unit, max(-digits, 0), precision, counted, out)
    return out


def _decimals(
    run: Run, what: Operation, a: SecretColumn, b: SecretColumn, kind: DataType, counted: Marks
) -> Words:
    exact = _in_words(run, what, a, b, kind, counted)
    if exact is not None:
        return exact
    x, y = widened(run, a), widened(run, b)
    out = np.empty_like(x)
    if what is Operation.MULTIPLY:
        drop = a.type.scale + b.type.scale - kind.scale
        run.checked(_native.multiply_wide, x, y, drop, kind.precision, counted, out)
    elif what is Operation.DIVIDE:
        up = kind.scale - a.type.scale + b.type.scale
        if not 0 <= up <= DECIMAL_DIGITS:
            raise EngineError(f"oblivious mode cannot divide {a.type} by {b.type}")
        run.checked(_native.divide_wide, x, y, up, kind.precision, counted, out)
    else:
        out = _aligned(run, what, (x, a.type), (y, b.type), kind, counted)
    return narrowed(run, out, Layout(kind), counted)


def _in_words(
    run: Run, what: Operation, a: SecretColumn, b: SecretColumn, kind: DataType, counted: Marks
) -> Words | None:
    """Sums and products of numbers of one word each, where types say that nothing is too large.

    None where that cannot be told, or something has to be rounded.
    """
    if a.layout.is_wide or b.layout.is_wide or {a.type.name, b.type.name} != {"decimal"}:
        return None
    if what is Operation.MULTIPLY:
        return _product(run, a, b, kind, counted)
    if what in {Operation.ADD, Operation.SUBTRACT} and not Layout(kind).is_wide:
        return _sum(run, what, a, b, kind, counted)
    return None


def _product(
    run: Run, a: SecretColumn, b: SecretColumn, kind: DataType, counted: Marks
) -> Words | None:
    digits, scale = a.type.precision + b.type.precision, a.type.scale + b.type.scale
    if scale != kind.scale or digits > kind.precision:
        return None
    pair = flat_words_of(a), flat_words_of(b)
    if not Layout(kind).is_wide:
        return _whole(run, Operation.MULTIPLY, *pair, counted)
    wide = np.empty((a.rows, 2), dtype=np.uint64)
    run.call(_native.multiply_words, *pair, wide)
    return wide


def _sum(
    run: Run, what: Operation, a: SecretColumn, b: SecretColumn, kind: DataType, counted: Marks
) -> Words | None:
    scale = max(a.type.scale, b.type.scale)
    digits = max(t.precision - t.scale for t in (a.type, b.type)) + scale + 1
    if scale != kind.scale or digits > kind.precision:
        return None
    return _whole(
        run, what, _raised(run, a, scale, counted), _raised(run, b, scale, counted), counted
    )


def _raised(run: Run, a: SecretColumn, scale: int, counted: Marks) -> Words:
    """The words of a decimal at a greater scale, at which they still are words."""
    if a.type.scale == scale:
        return flat_words_of(a)
    unit = np.full(a.rows, 10 ** (scale - a.type.scale), dtype=np.uint64)
    return _whole(run, Operation.MULTIPLY, flat_words_of(a), unit, counted)


def _whole(run: Run, what: Operation, a: Words, b: Words, counted: Marks) -> Words:
    out = np.empty_like(a)
    run.checked(_native.integers, int(what), a, b, counted, out)
    return out


def _aligned(
    run: Run,
    what: Operation,
    a: tuple[Words, DataType],
    b: tuple[Words, DataType],
    kind: DataType,
    counted: Marks,
) -> Words:
    """Sums and remainders: of operands that have been given one scale."""
    scale = max(a[1].scale, b[1].scale)
    for _, operand in (a, b):
        if operand.precision - operand.scale + scale > DECIMAL_DIGITS:
            raise EngineError(
                f"oblivious mode cannot bring {a[1]} and {b[1]} to one scale",
                hint="cast them to fewer digits first",
            )
    x, y = (scaled(run, w, scale - t.scale, DECIMAL_DIGITS, counted) for w, t in (a, b))
    out = np.empty_like(x)
    if what is Operation.REMAINDER:
        run.checked(_native.remainder_wide, x, y, counted, out)
    else:
        subtract = what is Operation.SUBTRACT
        run.checked(_native.add_wide, x, y, subtract, DECIMAL_DIGITS, counted, out)
    return scaled(run, out, kind.scale - scale, kind.precision, counted)
