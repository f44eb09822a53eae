"""Exact sums of doubles, rounded once, over whole arrays at a time.

A large power of two, added to each value and taken away again, leaves its high digits: multiples of
one unit, so few digits each that their sum is exact in any order. What is left goes the same way
(the extraction of Rump, Ogita and Oishi). `math.fsum` adds the few parts up and rounds once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_AT_A_TIME: Final = 65536
_FEW: Final = 64  # values that are added up sooner than cut
_CUTS: Final = 4  # of 36 binary digits or more each; what spreads wider is added up as it is
_LARGEST_EXPONENT, _SMALLEST_EXPONENT = 1020, -900


def parts(values: Floats) -> Iterator[float]:
    """Few doubles with the same exact sum. Infinities and NaN stand among them as they are."""
    for start in range(0, len(values), _AT_A_TIME):
        rest = values[start : start + _AT_A_TIME]
        for _ in range(_CUTS if len(rest) > _FEW else 0):
            unit = _unit(rest, len(rest))
            if unit is None:
                break
            high = (rest + unit) - unit
            yield float(high.sum())
            rest = rest - high
        yield from rest[rest != 0].tolist()


def sums(values: Floats, bounds: Sequence[int]) -> Floats:
    """The sum of each group of values, rounded once; groups end where the next one begins.

    Raises: OverflowError, ValueError as `math.fsum` does.
    """
    found = np.zeros(len(bounds) - 1)
    starts, sizes = np.asarray(bounds[:-1]), np.diff(bounds)
    some = np.flatnonzero(sizes)
    unsure = some
    unit = _unit(values, int(sizes.max(initial=0)))
    if unit is not None:
        first = (values + unit) - unit
        rest = values - first
        # The rest is at most 2^-53 of the unit; one binary digit more is to be safe.
        finer = unit * 2.0 ** (int(sizes.max()).bit_length() + 1 - 52)
        second = (rest + finer) - finer
        begin = starts[some]
        found[some] = np.add.reduceat(first, begin) + np.add.reduceat(second, begin)
        unsure = some[np.maximum.reduceat(np.abs(rest - second), begin) > 0]
    elif not values.any():
        return found
    for place in unsure.tolist():
        found[place] = math.fsum(values[bounds[place] : bounds[place + 1]].tolist())
    return found


def _unit(values: Floats, count: int) -> float | None:
    """What leaves so high digits of so many values that their sum is exact; None for odd values."""
    largest = float(np.max(np.abs(values), initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return None
    exponent = math.frexp(largest)[1]
    top = exponent + (count + 1).bit_length()
    if top > _LARGEST_EXPONENT or exponent < _SMALLEST_EXPONENT:
        return None
    return math.ldexp(1.0, top)
