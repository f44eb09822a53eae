"""Hashes of several values of any types, chained: each begins where the one before ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.elements import known_places
from mc2.operators.handles import Layout, Marks, SecretColumn, Words, known_of, words_of
from mc2.operators.run import Run
from mc2.plan.types import INT32, INT64

_HASHES: Final = {"murmur3": (0, INT32), "xxhash64": (1, INT64)}
"""As the kernels number them, and the types of their answers."""
_START: Final = 42
_FOUR: Final = frozenset({"boolean", "int8", "int16", "int32", "date", "float"})
_BYTES: Final = 3
"""Words of the bytes of a decimal of more than 18 digits."""


def hash_of(run: Run, name: str, values: Sequence[SecretColumn]) -> SecretColumn:
    """`murmur3` or `xxhash64` of all values of a row; NULL changes nothing."""
    which, kind = _HASHES[name]
    so_far = np.full(values[0].rows, _START, dtype=np.uint64)
    for value in values:
        _take(run, which, value.layout, words_of(value), known_of(value), so_far)
    known = np.ones(len(so_far), dtype=np.uint8)
    return SecretColumn(Layout(kind), so_far.reshape(-1, 1), known)


def _take(run: Run, which: int, layout: Layout, words: Words, known: Marks, so_far: Words) -> None:
    """Hash what stands in some words from `so_far` on, which becomes the hash."""
    if layout.is_nested:  # one part after the other; NULL has none
        for start, inside in layout.places():
            there, _ = known_places(run, np.ascontiguousarray(words[:, start]))
            value = np.ascontiguousarray(words[:, start + 1 : start + 1 + inside.words])
            _take(run, which, inside, value, there, so_far)
    elif layout.is_text:
        run.call(_native.hash_texts, which, words, known, so_far)
    elif layout.is_wide:
        shortest = np.empty((len(words), _BYTES), dtype=np.uint64)
        run.call(_native.number_bytes, words, shortest)
        run.call(_native.hash_texts, which, shortest, known, so_far)
    else:
        flat = words.reshape(-1)
        if layout.is_real:
            flat = np.empty_like(flat)
            half = layout.type.name == "float"
            run.call(_native.real_bits, half, words.reshape(-1).view(np.float64), flat)
        width = 4 if layout.type.name in _FOUR else 8
        run.call(_native.hash_words, which, width, flat, known, so_far)
