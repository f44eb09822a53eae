"""Public values as columns: literals of the plan, which everybody may read."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np

from mc2.operators.handles import Layout, SecretColumn, SecretMarks

_WORD: Final = (1 << 64) - 1


def words_of_value(layout: Layout, value: float | bytes) -> list[int]:
    """The words of one public value: unscaled for decimals, bytes for texts."""
    if isinstance(value, bytes):
        if len(value) > layout.text_bytes:
            raise ValueError("the text is longer than its column allows")
        padded = value.ljust(8 * (layout.words - 1), b"\0")
        return [*(word for (word,) in struct.iter_unpack(">Q", padded)), len(value)]
    if layout.is_real:
        return list(struct.unpack("=Q", struct.pack("=d", value)))
    number = int(value)
    return [(number >> (64 * place)) & _WORD for place in range(layout.words)]


def constant(layout: Layout, value: float | bytes | None, rows: int) -> SecretColumn:
    """A column of one public value, or of NULL."""
    words = np.zeros((rows, layout.words), dtype=np.uint64)
    if value is not None:
        words[:] = np.array(words_of_value(layout, value), dtype=np.uint64)
    known = np.full(rows, int(value is not None), dtype=np.uint8)
    return SecretColumn(layout, words, known)


def column_of_values(layout: Layout, values: Sequence[float | bytes | None]) -> SecretColumn:
    """A column of public values, one a row; None is NULL."""
    rows = [words_of_value(layout, v) if v is not None else [0] * layout.words for v in values]
    words = np.array(rows, dtype=np.uint64).reshape(len(values), layout.words)
    known = np.array([v is not None for v in values], dtype=np.uint8)
    return SecretColumn(layout, words, known)


def all_marks(rows: int, *, value: bool) -> SecretMarks:
    """Marks that are all alike."""
    return SecretMarks(np.full(rows, int(value), dtype=np.uint8))
