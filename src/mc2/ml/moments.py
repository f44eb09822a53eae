"""Rows as linear models and k-means read them: columns of doubles, shifted and scaled.

All arithmetic is in kernels whose sums are exact, so that results are the same bits for any order
of the rows, any number of threads, and both modes. Nothing here looks at a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.operators.run import Run

Reals = npt.NDArray[np.float64]
Marks = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]

STEP: Final = 64  # kernels take rows in whole steps


@dataclass(frozen=True, slots=True)
class LearningRows:
    """Features one after the other, each of the same number of rows, which is a multiple of 64.

    `weights` are 1 for each row if None is given. Only rows that are `present` count.
    """

    features: Reals
    present: Marks
    labels: Reals | None = None
    weights: Reals | None = None

    @property
    def rows(self) -> int:
        """How many places there are."""
        return int(self.features.shape[1])

    @property
    def count(self) -> int:
        """How many features there are."""
        return int(self.features.shape[0])


def whole_steps(rows: int) -> int:
    """The number of places that so many rows need."""
    return -(-max(rows, 1) // STEP) * STEP


def zeros(*shape: int) -> Reals:
    """Doubles, all 0."""
    return np.zeros(shape, dtype=np.float64)


def words(count: int) -> Words:
    """Room for sums of 128 bits."""
    return np.zeros((2, count), dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class Scaled:
    """Columns as `(x - shifts) * scales`, all within -1 to 1, and what is 1 / `scales`."""

    columns: Reals
    shifts: Reals
    scales: Reals
    units: Reals


def scaled_weights(run: Run, rows: LearningRows) -> Scaled:
    """Weights within 1; those of rows that are not there are 0."""
    given = np.ones(rows.rows) if rows.weights is None else rows.weights
    return scaled(run, given.reshape(1, -1), rows.present, None)


def scaled(
    run: Run, x: Reals, present: Marks, weights: Reals | None, *, common: bool = False
) -> Scaled:
    """Columns about their means if there are `weights`, else about 0; `common` scales all alike."""
    count = x.shape[0]
    raw, shifts, scales, units = zeros(count), zeros(count), zeros(count), zeros(count)
    run.checked(_native.moment_extents, x, present, shifts, raw)
    run.call(_native.moment_scales, raw, raw, False, scales, units)
    greatest = raw
    out = zeros(*x.shape)
    if weights is not None:
        run.call(_native.standardise, x, present, shifts, scales, out)
        top, bottom = words(count), words(1)
        run.call(_native.projections, out, weights, np.ones(1), top)
        run.call(_native.projections, np.ones((1, x.shape[1])), weights, np.ones(1), bottom)
        shifts = zeros(count)
        run.call(_native.quotients, top, bottom, units, shifts)
        greatest = zeros(count)
        run.checked(_native.moment_extents, x, present, shifts, greatest)
    if weights is not None or common:
        run.call(_native.moment_scales, greatest, raw, common, scales, units)
    run.call(_native.standardise, x, present, shifts, scales, out)
    return Scaled(out, shifts, scales, units)
