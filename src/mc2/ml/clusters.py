"""k-means by Lloyd's algorithm, as scikit-learn defines it, from given or drawn centres.

Rows are drawn by a race that anyone can repeat: a function of the seed and a row's place gives
each row a random number, and the row with the greatest chance wins, each in proportion to its
weight and its squared distance from the centres so far (k-means++).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.ml.moments import (
    LearningRows,
    Marks,
    Reals,
    Scaled,
    scaled,
    scaled_weights,
    whole_steps,
    words,
    zeros,
)
from mc2.operators.run import Run

_KEYS: Final = 1 << 20  # draws of one start; the next start's keys lie above
_FAR: Final = 1e30  # farther than any row


@dataclass(frozen=True, slots=True)
class Start:
    """Where centres start: `given` ones, or drawn `times` over, of which the best end is kept."""

    given: Reals | None = None
    times: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Clusters:
    """Centres, one a row, and the weighted sum of squared distances to them."""

    centres: Reals
    inertia: Reals


@dataclass(frozen=True, slots=True)
class _Problem:
    run: Run
    rows: LearningRows
    x: Scaled
    weights: Scaled
    clusters: int
    rounds: int
    may_end: bool

    @property
    def unit(self) -> Reals:
        """The one unit of all columns."""
        return self.x.units[:1]


def fit_clusters(
    run: Run, rows: LearningRows, clusters: int, start: Start, *, rounds: int, may_end: bool
) -> Clusters:
    """Centres that no round moves any more, or those after the last one.

    `may_end` leaves out rounds that change nothing, which shows how many there were.
    """
    weights = scaled_weights(run, rows)
    x = scaled(run, rows.features, rows.present, weights.columns[0], common=True)
    problem = _Problem(run, rows, x, weights, clusters, rounds, may_end)
    best, inertia = zeros(clusters, rows.count), zeros(1)
    for turn in range(1 if start.given is not None else start.times):
        centres = _start(problem, start, turn)
        found = _lloyd(problem, centres)
        if turn == 0:
            best, inertia = centres, found
        else:
            run.call(_native.keep_better, centres.reshape(-1), found, best.reshape(-1), inertia)
    restored = zeros(clusters, rows.count)
    run.call(_native.restore_centres, best, x.shifts, problem.unit, restored)
    return Clusters(restored, inertia)


def _start(problem: _Problem, start: Start, turn: int) -> Reals:
    run, rows, x = problem.run, problem.rows, problem.x
    if start.given is not None:
        return _given(problem, start.given)
    centres = zeros(problem.clusters, rows.count)
    distances = np.ones(rows.rows)
    for place in range(problem.clusters):
        key = (start.seed << 32) + turn * _KEYS + place
        centre = centres[place]
        run.call(
            _native.draw_row,
            x.columns, problem.weights.columns[0], distances, rows.present, key, centre,
        )  # fmt: skip
        if place == 0:
            distances = np.full(rows.rows, _FAR)
        run.call(_native.closer, x.columns, centre, rows.present, distances)
    return centres


def _given(problem: _Problem, given: Reals) -> Reals:
    """Public numbers, brought to the rows' secret scale."""
    wide = zeros(given.shape[1], whole_steps(len(given)))
    wide[:, : len(given)] = given.T
    there = np.ones(wide.shape[1], dtype=np.uint8)
    moved = zeros(*wide.shape)
    x = problem.x
    problem.run.call(_native.standardise, wide, there, x.shifts, x.scales, moved)
    return np.ascontiguousarray(moved[:, : len(given)].T)


def _lloyd(problem: _Problem, centres: Reals) -> Reals:
    """Moves centres in place; the inertia of what they are at the end."""
    run, rows = problem.run, problem.rows
    labels = np.zeros(rows.rows, dtype=np.uint32)
    distances, inertia = zeros(rows.rows), zeros(1)
    sums = words(problem.clusters * (rows.count + 2))
    spread = float(1 << (4 * rows.count).bit_length())
    changed = np.zeros(1, dtype=np.uint64)

    def assign() -> None:
        run.call(
            _native.nearest_centres, problem.x.columns, centres, rows.present, labels, distances
        )
        run.call(
            _native.cluster_sums,
            problem.x.columns, labels, distances, problem.weights.columns[0], problem.clusters,
            spread, sums,
        )  # fmt: skip

    for _ in range(problem.rounds):
        assign()
        run.call(_native.move_centres, sums, centres, changed)
        if problem.may_end and not changed[0]:
            break
    assign()
    run.call(
        _native.cluster_inertia,
        sums, rows.count, problem.clusters, spread, problem.unit, problem.weights.units, inertia,
    )  # fmt: skip
    return inertia


def labels_of(run: Run, features: Reals, present: Marks, centres: Reals) -> npt.NDArray[np.uint32]:
    """The number of the nearest centre for each row; the first of several."""
    labels = np.zeros(features.shape[1], dtype=np.uint32)
    distances = zeros(features.shape[1])
    run.call(_native.nearest_centres, features, centres, present, labels, distances)
    return labels
