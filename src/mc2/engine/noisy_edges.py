"""Quantiles with noise: counts of public cells, to each of which discrete Laplace noise is added.

The noise is made of bits that are independent, each with a probability that is exact to 2^-128;
noise made of floats tells of what it hides (Mironov 2012). As many bits are drawn whatever comes
out, and none of them decides what is done next: so nobody can time the noise. Edges follow from
the noisy counts and from nothing else. Spec: docs/spec/plan.md, section "Noisy edges".
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Context, Decimal
from hashlib import blake2b, shake_256
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

from mc2.errors import EngineError
from mc2.plan.literals import float_text, parse_float
from mc2.plan.matrices import Edges
from mc2.plan.noisy_edges import NoisyEdges

KEY_BYTES: Final = 32
BITS: Final = 20
"""Of each of the two numbers whose difference is the noise of a cell."""

_PURPOSE: Final = b"mc2 noisy edges"
_WORD: Final = 64
_SURE: Final = 200
"""From e to the power of so much on, a bit is never 1."""

Counts = npt.NDArray[np.int64]


def draw_edges(
    declared: NoisyEdges, values: npt.NDArray[np.float32], key: bytes, matrix: int
) -> Edges:
    """Edges of one feature of the `matrix`-th matrix that has some; NaN is no value.

    The same `key`, place and feature give the same noise: it is for one set of rows alone.

    Raises: EngineError.
    """
    lines = np.array(declared.lines, dtype=np.float32)
    present = values[~np.isnan(values)]
    cells = np.searchsorted(lines[:-1], present, side="right")
    counts = np.bincount(cells, minlength=declared.cells)
    return edges_of_counts(declared, counts + noise(declared, key, matrix))


def edges_of_counts(declared: NoisyEdges, noisy: Counts) -> Edges:
    """Edges by the counts of a feature's cells, to which noise has been added."""
    chosen, lines = quantile_cells(noisy.tolist(), declared.edges), declared.lines
    return Edges(declared.feature, tuple(float_text(lines[c]) for c in chosen))


def quantile_cells(counts: Sequence[int], edges: int) -> list[int]:
    """The cells in which quantiles lie, each once: the first up to which enough rows were counted.

    Counts may be negative; if they sum up to nothing, one cell is all.
    """
    sums = list(accumulate(counts))
    most = [s * (edges + 1) for s in accumulate(sums, max)]
    total = max(sums[-1], 0)
    found = {bisect_left(most, total * number) for number in range(1, edges + 1)}
    return sorted({min(cell, len(counts) - 1) for cell in found})


def noise(declared: NoisyEdges, key: bytes, matrix: int) -> Counts:
    """The noise of each cell of a feature. Raises: EngineError without a key."""
    if len(key) != KEY_BYTES:
        raise EngineError(f"a run that draws edges needs a key of {KEY_BYTES} bytes")
    name = f"{matrix} {declared.feature}".encode()
    seed = blake2b(name, key=key, digest_size=KEY_BYTES, person=_PURPOSE).digest()
    return discrete_laplace(seed, parse_float(declared.epsilon), declared.cells)


def discrete_laplace(seed: bytes, epsilon: float, count: int) -> Counts:
    """Integers y with probabilities in proportion to exp(-epsilon·|y|).

    Each is the difference of two geometric numbers, whose binary digits are independent.
    """
    drawn = shake_256(seed).digest(2 * count * BITS * 2 * (_WORD // 8))
    words = np.frombuffer(drawn, dtype=">u8").reshape(count, 2, BITS, 2)
    high, low = words[..., 0], words[..., 1]
    chances = [_chance(epsilon, place) for place in range(BITS)]
    above = np.array([c >> _WORD for c in chances], dtype=np.uint64)
    below = np.array([c & ((1 << _WORD) - 1) for c in chances], dtype=np.uint64)
    bits = (high < above) | ((high == above) & (low < below))
    numbers = (bits * (np.int64(1) << np.arange(BITS))).sum(axis=-1)
    return np.asarray(numbers[:, 0] - numbers[:, 1], dtype=np.int64)


def _chance(epsilon: float, place: int) -> int:
    """The probability that a binary digit is 1, in units of 2^-128."""
    power = Decimal(epsilon) * (1 << place)
    if power > _SURE:
        return 0
    exact = Context(prec=80)
    odds = exact.add(1, exact.exp(power))
    return int(exact.divide(1 << (2 * _WORD), odds))
