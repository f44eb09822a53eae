"""Quantiles with noise: counts of public cells, to each of which discrete Laplace noise is added.

The noise is exactly distributed: it is made of integers and fair coins alone, as Canonne, Kamath
and Steinke do (The Discrete Gaussian for Differential Privacy, 2020, algorithms 1 and 2), since
noise made of floats tells of what it hides (Mironov 2012). Edges follow from the noisy counts and
from nothing else. Spec: docs/spec/plan.md, section "Noisy edges".
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from hashlib import blake2b
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

from mc2.errors import EngineError
from mc2.plan.literals import float_text
from mc2.plan.matrices import Edges
from mc2.plan.noisy_edges import NoisyEdges

KEY_BYTES: Final = 32
_PURPOSE: Final = b"mc2 noisy edges"
_WORD: Final = 8


def draw_edges(
    declared: NoisyEdges, values: npt.NDArray[np.float32], key: bytes, matrix: int
) -> Edges:
    """Edges of one feature of the `matrix`-th matrix that has some; NaN is no value.

    The same `key`, place and feature give the same noise: it is for one set of rows alone.

    Raises: EngineError.
    """
    if len(key) != KEY_BYTES:
        raise EngineError(f"a run that draws edges needs a key of {KEY_BYTES} bytes")
    lines = np.array(declared.lines, dtype=np.float32)
    present = values[~np.isnan(values)]
    cells = np.searchsorted(lines[:-1], present, side="right")
    counts = np.bincount(cells, minlength=declared.cells).tolist()
    coins = Coins(key, f"{matrix} {declared.feature}".encode())
    noisy = [count + discrete_laplace(coins, declared.budget) for count in counts]
    chosen = quantile_cells(noisy, declared.edges)
    return Edges(declared.feature, tuple(float_text(declared.lines[c]) for c in chosen))


def quantile_cells(counts: Sequence[int], edges: int) -> list[int]:
    """The cells in which quantiles lie, each once: the first up to which enough rows were counted.

    Counts may be negative; if they sum up to nothing, one cell is all.
    """
    sums = list(accumulate(counts))
    most = [s * (edges + 1) for s in accumulate(sums, max)]
    total = max(sums[-1], 0)
    found = {bisect_left(most, total * number) for number in range(1, edges + 1)}
    return sorted({min(cell, len(counts) - 1) for cell in found})


class Coins:
    """Fair random integers from a key and the name of what they are for."""

    def __init__(self, key: bytes, name: bytes) -> None:
        self._key = blake2b(name, key=key, digest_size=KEY_BYTES, person=_PURPOSE).digest()
        self._words: list[int] = []
        self._blocks = 0

    def below(self, bound: int) -> int:
        """An integer from 0 on below a bound, each as likely as the others."""
        bits = (bound - 1).bit_length()
        while True:
            found = self._bits(bits)
            if found < bound:
                return found

    def _bits(self, bits: int) -> int:
        found = 0
        for _ in range(-(-bits // (8 * _WORD))):
            found = found << (8 * _WORD) | self._word()
        return found & ((1 << bits) - 1)

    def _word(self) -> int:
        if not self._words:
            block = blake2b(self._blocks.to_bytes(_WORD, "big"), key=self._key).digest()
            self._blocks += 1
            parts = range(0, len(block), _WORD)
            self._words = [int.from_bytes(block[p : p + _WORD], "big") for p in parts]
        return self._words.pop()


def discrete_laplace(coins: Coins, epsilon: Fraction) -> int:
    """An integer y with a probability in proportion to exp(-epsilon·|y|), exactly."""
    step, scale = epsilon.numerator, epsilon.denominator
    while True:
        rest = coins.below(scale)
        if not _exponential_coin(coins, rest, scale):
            continue
        whole = 0
        while _exponential_coin(coins, 1, 1):
            whole += 1
        size = (rest + scale * whole) // step
        negative = bool(coins.below(2))
        if size or not negative:  # zero has one sign
            return -size if negative else size


def _exponential_coin(coins: Coins, over: int, under: int) -> bool:
    """True with the probability exp(-over/under), for a fraction from 0 to 1."""
    number = 1
    while coins.below(under * number) < over:
        number += 1
    return number % 2 == 1
