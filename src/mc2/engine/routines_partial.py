"""Sums of floats in two steps, by which nobody can tell how many there were.

The exact sum of doubles is itself the exact sum of a few doubles: those travel between enclaves,
and only the last step rounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Final

import numpy as np
import pyarrow as pa

from mc2.engine.routines import FLOAT_AGGREGATES, Floats, Routine

_AT_A_TIME: Final = 65536


def _one_by_one(values: Floats) -> Iterator[float]:
    for start in range(0, len(values), _AT_A_TIME):
        yield from values[start : start + _AT_A_TIME].tolist()


def expansion(values: Floats) -> list[float]:
    """A few doubles whose exact sum is that of all values, and never none of them.

    The first is the sum, rounded; the second what rounding lost, rounded; and so on.
    """
    strange = values[~np.isfinite(values)]
    if len(strange):  # whatever else is there, these alone decide
        return [float(v) for v in np.unique(strange)]
    found: list[float] = []
    try:
        while True:
            rest = math.fsum(chain(_one_by_one(values), (-v for v in found)))
            if not rest:
                return found or [0.0]
            found.append(rest)
    except OverflowError:  # the sum is beyond the doubles, or nearly: all values are their own sum
        return list(_one_by_one(values))


def _expansions(lists: pa.Array | pa.ChunkedArray) -> pa.Array:
    array = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    bounds = array.offsets.to_pylist()
    values = array.values.to_numpy(zero_copy_only=False)
    present = array.is_valid().to_pylist()
    found = [
        expansion(values[bounds[i] : bounds[i + 1]])
        if present[i] and bounds[i] != bounds[i + 1]
        else None
        for i in range(len(array))
    ]
    return pa.array(found, pa.list_(pa.float64()))


def _means(lists: pa.Array | pa.ChunkedArray, counts: pa.Array | pa.ChunkedArray) -> pa.Array:
    sums = FLOAT_AGGREGATES["sum"].compute(lists).to_pylist()
    found = [
        None if s is None or not n else s / n for s, n in zip(sums, counts.to_pylist(), strict=True)
    ]
    return pa.array(found, pa.float64())


EXPANSION: Final = Routine("mc2_expansion", ("DOUBLE[]",), "DOUBLE[]", _expansions)
"""Doubles with the exact sum of a group's, see `expansion`."""

MEAN_OF_ADDENDS: Final = Routine("mc2_mean", ("DOUBLE[]", "BIGINT"), "DOUBLE", _means)
"""The exact sum of doubles, rounded, divided by a count."""
