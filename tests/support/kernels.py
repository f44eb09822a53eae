"""What tests of the native kernels share: inputs that find mistakes, and both instruction sets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mc2 import _native

UNSIGNED = 1 << 63
UNSIGNED_DOWN = (1 << 63) - 1
SIGNED = 0
SIGNED_DOWN = (1 << 64) - 1

# Lengths around every boundary of the networks: empty, below a vector, powers of two, and between.
SIZES = [*range(71), 127, 128, 129, 255, 257, 500, 1000, 1024, 1025, 2049, 3000]
ISAS = [isa for isa in ("avx2", "portable") if _native.isa_supported(isa)]


def kinds_of_keys(rows: int, seed: int = 7) -> Iterator[NDArray[np.uint64]]:
    """Keys that tell a network's mistakes: random ones alone never tie."""
    rng = np.random.default_rng(seed)
    yield rng.integers(0, 2**64, rows, dtype=np.uint64)
    yield rng.integers(0, 3, rows, dtype=np.uint64)
    yield np.full(rows, 2**64 - 1, dtype=np.uint64)
    yield np.arange(rows, dtype=np.uint64)
    yield np.arange(rows, dtype=np.uint64)[::-1].copy()
    mixed = rng.integers(0, 2, rows, dtype=np.uint64)
    yield (0 - mixed) ^ (mixed << np.uint64(63))  # 0 and the greatest signed word


def row_numbers(rows: int) -> NDArray[np.uint64]:
    """0, 1, 2 and so on: a payload that shows where each row went."""
    return np.arange(rows, dtype=np.uint64)
