"""Exact sums of doubles, most of which DuckDB adds up itself as whole numbers.

A double between 2^-12 and 2^30, or with few digits, is a whole multiple of 2^-64: such multiples
are added in 128 bits, without any loss for 2^33 rows. The others are listed and summed here.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from mc2.engine.routines import Routine, exact_sum

_UNIT: Final = 1 << 64
_LARGEST: Final = 1 << 30


def counted(value: str) -> str:
    """SQL: a double as a whole number of units; NULL where it is none, or too large."""
    units = f"({value} * {_UNIT}e0)"
    fits = f"abs({value}) < {_LARGEST}e0 AND trunc({units}) = {units}"
    return f"(CASE WHEN {fits} THEN CAST({units} AS HUGEINT) END)"


def total(listed: list[float] | None, units: str | None) -> float | None:
    """The sum of doubles and of so many units, rounded once; None if there are neither."""
    if not listed:
        return None if units is None else int(units) / _UNIT
    parts, left = list(listed), int(units or 0)
    while left:
        part = float(left)
        parts.append(part / _UNIT)
        left -= int(part)
    return exact_sum(np.array(parts, np.float64))


def _totals(lists: pa.Array | pa.ChunkedArray, units: pa.Array | pa.ChunkedArray) -> pa.Array:
    pairs = zip(lists.to_pylist(), units.to_pylist(), strict=True)
    return pa.array([total(listed, n) for listed, n in pairs], pa.float64())


TOTAL: Final = Routine("mc2_total", ("DOUBLE[]", "VARCHAR"), "DOUBLE", _totals)
"""The exact sum of a list of doubles and of units, rounded once."""
