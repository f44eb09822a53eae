"""Linear and logistic regression with an L2 penalty, as scikit-learn defines them.

Linear: the normal equations of shifted and scaled columns, by Cholesky's decomposition, then three
corrections by what is left of the labels, which win back the digits that squaring loses. Logistic:
Newton's method; a step is halved while it makes the loss worse, and once a whole step changes
nothing any more, nothing changes. How often it runs is public.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mc2 import _native
from mc2.ml.moments import LearningRows, Reals, Scaled, Words, scaled, scaled_weights, words, zeros
from mc2.operators.run import Run

_CORRECTIONS: Final = 3
_CHOICES: Final = 8  # 1, 1/2, … 1/128 of a step of Newton's


@dataclass(frozen=True, slots=True)
class Fitted:
    """The factors of each feature, then the constant; whether columns depend on others; the end.

    `dropped` counts columns that depend on those before them. `state` is of Newton's method:
    whether it came to its end, and after how many steps.
    """

    factors: Reals
    dropped: Words
    state: Words


@dataclass(frozen=True, slots=True)
class _Problem:
    x: Scaled
    z: Reals
    weights: Scaled
    penalties: Reals
    scales: Reals


def _problem(run: Run, rows: LearningRows, penalty: float, *, intercept: bool) -> _Problem:
    weights = scaled_weights(run, rows)
    own = weights.columns[0]
    x = scaled(run, rows.features, rows.present, own if intercept else None)
    z = x.columns
    if intercept:
        ones, nothing = np.ones((1, rows.rows)), zeros(1)
        constant = zeros(1, rows.rows)
        run.call(_native.standardise, ones, rows.present, nothing, np.ones(1), constant)
        z = np.concatenate([z, constant])
    scales = np.concatenate([x.scales, np.ones(len(z) - len(x.scales))])
    penalties = zeros(len(z))
    run.call(_native.linear_penalties, penalty, x.scales, weights.scales, penalties)
    return _Problem(x, z, weights, penalties, scales)


def _restored(run: Run, problem: _Problem, factors: Reals, base: Reals, unit: Reals) -> Reals:
    """Factors for columns as they came, then the constant."""
    x = problem.x
    if len(factors) == len(x.scales):
        factors = np.concatenate([factors, zeros(1)])
    found = zeros(len(factors))
    run.call(_native.restore_factors, factors, x.shifts, x.scales, base, unit, found)
    return found


def fit_linear(run: Run, rows: LearningRows, penalty: float, *, intercept: bool) -> Fitted:
    """The factors that make `sum of w (y - f(x))^2 + penalty * sum of factors^2` least."""
    if rows.labels is None:
        raise ValueError("a regression has labels")
    problem = _problem(run, rows, penalty, intercept=intercept)
    weights = problem.weights.columns[0]
    y = scaled(run, rows.labels.reshape(1, -1), rows.present, weights if intercept else None)
    count = len(problem.z)
    squares, products = words(count * count), words(count)
    run.call(_native.gram, problem.z, weights, squares)
    factors, steps = zeros(count), zeros(count)
    margins, left = zeros(rows.rows), zeros(rows.rows)
    greatest, scale, unit = zeros(1), zeros(1), zeros(1)
    dropped = np.zeros(1, dtype=np.uint64)
    for _ in range(_CORRECTIONS + 1):
        run.call(_native.linear_margins, problem.z, factors, margins)
        run.call(_native.residuals, y.columns[0], margins, weights, left)
        shift = zeros(1)
        run.checked(_native.moment_extents, left.reshape(1, -1), rows.present, shift, greatest)
        run.call(_native.moment_scales, greatest, greatest, False, scale, unit)
        run.call(_native.projections, problem.z, left, scale, products)
        run.call(
            _native.solve_linear,
            squares, products, unit, problem.penalties, problem.scales, factors, steps,
            dropped,
        )  # fmt: skip
        run.call(_native.add_steps, steps, factors)
    found = _restored(run, problem, factors, y.shifts, y.units)
    return Fitted(found, dropped, np.zeros(2, dtype=np.uint64))


def fit_logistic(
    run: Run, rows: LearningRows, penalty: float, *, intercept: bool, rounds: int, may_end: bool
) -> Fitted:
    """The factors that make `sum of w loss + penalty / 2 * sum of factors^2` least.

    All `rounds` are run, and change nothing once the end is reached; `may_end` leaves out those,
    which shows how many there were.
    """
    if rows.labels is None:
        raise ValueError("a regression has labels")
    run.checked(_native.check_classes, rows.labels, rows.present)
    problem = _problem(run, rows, penalty, intercept=intercept)
    weights = problem.weights.columns[0]
    labels = zeros(1, rows.rows)
    run.call(
        _native.standardise,
        rows.labels.reshape(1, -1), rows.present, zeros(1), np.ones(1), labels,
    )  # fmt: skip
    count = len(problem.z)
    factors, steps = zeros(count), zeros(count)
    margins, directions = zeros(rows.rows), zeros(rows.rows)
    residual, curvature = zeros(rows.rows), zeros(rows.rows)
    squares, products, losses = words(count * count), words(count), words(_CHOICES + 1)
    dropped, state = np.zeros(1, dtype=np.uint64), np.zeros(2, dtype=np.uint64)
    one = np.ones(1)
    for _ in range(rounds):
        run.call(_native.linear_margins, problem.z, factors, margins)
        run.call(_native.logistic_parts, labels[0], margins, weights, residual, curvature)
        run.call(_native.gram, problem.z, curvature, squares)
        run.call(_native.projections, problem.z, residual, one, products)
        run.call(
            _native.solve_linear,
            squares, products, one, problem.penalties, problem.scales, factors, steps,
            dropped,
        )  # fmt: skip
        run.call(_native.linear_margins, problem.z, steps, directions)
        run.call(_native.logistic_losses, labels[0], margins, directions, weights, losses)
        run.call(
            _native.advance_factors,
            losses, rows.rows, problem.penalties, steps, factors, state,
        )  # fmt: skip
        if may_end and state[0]:
            break
    found = _restored(run, problem, factors, zeros(1), one)
    return Fitted(found, dropped, state)


def margins_of(run: Run, features: Reals, factors: Reals) -> Reals:
    """The constant plus the sum of features times factors, for each row."""
    x = np.concatenate([features, np.ones((1, features.shape[1]))])
    found = zeros(features.shape[1])
    run.call(_native.linear_margins, x, factors, found)
    return found


def probabilities_of(run: Run, margins: Reals) -> Reals:
    """`1 / (1 + e^-margin)` for each row."""
    found = zeros(len(margins))
    run.call(_native.logistic_probabilities, margins, found)
    return found
