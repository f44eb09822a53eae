"""Bits of whole numbers in two's complement."""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.formats.schema import DataType
from mc2.operators.constants import constant
from mc2.operators.handles import Layout, Marks, SecretColumn, Words, flat_words_of, known_of
from mc2.operators.logic import column, conjunction
from mc2.operators.run import Flag, Run
from mc2.plan.types import INT8, INTEGER_BITS

_WORD: Final = 64
_OPERATIONS: Final = {
    "bits_and": 0, "bits_or": 1, "bits_xor": 2, "shift_left": 3, "shift_right": 4,
    "shift_right_unsigned": 5, "bit_count": 6,
}  # fmt: skip
"""As the kernel numbers them."""


def combine_bits(run: Run, function: str, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """`bits_and`, `bits_or`, `bits_xor`, or a shift by places modulo the width of the first."""
    width = INTEGER_BITS[a.type.name] if function.startswith("shift") else _WORD
    words = _bits(run, function, width, a, flat_words_of(b))
    return column(run, a.layout, words, conjunction(run, known_of(a), known_of(b)))


def turn_bits(run: Run, a: SecretColumn) -> SecretColumn:
    """All bits turned."""
    ones = flat_words_of(constant(a.layout, -1, a.rows))
    return column(run, a.layout, _bits(run, "bits_xor", _WORD, a, ones), known_of(a))


def count_bits(run: Run, a: SecretColumn, kind: DataType) -> SecretColumn:
    """How many bits are set, of 64 where the number is below zero."""
    words = _bits(run, "bit_count", _WORD, a, flat_words_of(a))
    return column(run, Layout(kind), words, known_of(a))


def get_bit(run: Run, a: SecretColumn, place: SecretColumn, counts: Marks) -> SecretColumn:
    """The bit at a place from the right; a flag is raised where there is no such place."""
    known = conjunction(run, known_of(a), known_of(place))
    counted = conjunction(run, counts, known)
    last, flag = INTEGER_BITS[a.type.name] - 1, int(Flag.OVERFLOW)
    run.checked(_native.check_range, flat_words_of(place), 0, last, counted, flag)
    moved = _bits(run, "shift_right", _WORD, a, flat_words_of(place))
    marks, words = np.empty(a.rows, dtype=np.uint8), np.empty_like(moved)
    run.call(_native.spread_bit, moved, 0, marks)
    run.call(_native.marks_to_words, marks, words)
    return column(run, Layout(INT8), words, known)


def _bits(run: Run, function: str, width: int, a: SecretColumn, b: Words) -> Words:
    out = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.bits, _OPERATIONS[function], width, flat_words_of(a), b, out)
    return out
