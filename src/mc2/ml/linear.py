"""Linear and logistic regression with L2 and L1 penalties, as scikit-learn defines them.

Linear: the normal equations of shifted and scaled columns, by Cholesky's decomposition, then three
corrections by what is left of the labels, which win back the digits that squaring loses. Logistic:
Newton's method; a step is halved while it makes the loss worse, and once a whole step changes
nothing any more, nothing changes. How often it runs is public. With an L1 penalty each step goes to
the least of the penalised quadratic (`mc2.ml.sparse`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mc2 import _native
from mc2.ml.doubles import Doubles
from mc2.ml.moments import LearningRows, Reals, Scaled, Words, scaled, scaled_weights, words, zeros
from mc2.ml.sparse import Quadratic, Signed
from mc2.operators.logic import conjunction, disjunction
from mc2.operators.run import Run

_CORRECTIONS: Final = 3
_CHOICES: Final = 8  # 1, 1/2, … 1/128 of a step of Newton's
_SHARES: Final = np.array([*(0.5**k for k in range(_CHOICES)), 0.0]).reshape(-1, 1)
_SUM_UNIT: Final = 2.0**-50
_LOSS_UNIT: Final = 2.0**-40
_ROUNDED: Final = 2.0**-38  # what rounding adds to the loss of a row
_DONE: Final = 2.0**-33  # a step of Newton's that ends the iteration


@dataclass(frozen=True, slots=True)
class Penalty:
    """What factors cost: so much times their squares, so much times their sizes.

    `per_weight`: times the sum of all weights, too.
    """

    squares: float = 0.0
    sizes: float = 0.0
    per_weight: bool = False


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
class Problem:
    """Columns about their means, the constant behind them; `unit` is what penalties count in."""

    x: Scaled
    z: Reals
    weights: Scaled
    unit: Reals
    penalties: Reals
    scales: Reals


def problem_of(run: Run, rows: LearningRows, penalty: Penalty, *, intercept: bool) -> Problem:
    """What there is to solve."""
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
    unit = weights.scales
    if penalty.per_weight:
        total = words(1)
        run.call(_native.projections, own.reshape(1, -1), np.ones(rows.rows), np.ones(1), total)
        unit = Doubles(run).of_words(total, _SUM_UNIT)
    penalties = zeros(len(z))
    run.call(_native.linear_penalties, penalty.squares, x.scales, unit, penalties)
    return Problem(x, z, weights, unit, penalties, scales)


def _sizes(d: Doubles, problem: Problem, penalty: Penalty, scale: Reals) -> Reals:
    """What sizes of factors of scaled columns cost. A constant column is kept at 0."""
    given = d.multiply(d.multiply(problem.x.scales, penalty.sizes), d.multiply(problem.unit, scale))
    return d.choose(d.equal(problem.x.scales, 0.0), 1.0, given)


def restored(run: Run, problem: Problem, factors: Reals, base: Reals, unit: Reals) -> Reals:
    """Factors for columns as they came, then the constant."""
    x = problem.x
    if len(factors) == len(x.scales):
        factors = np.concatenate([factors, zeros(1)])
    found = zeros(len(factors))
    run.call(_native.restore_factors, factors, x.shifts, x.scales, base, unit, found)
    return found


class _Plain:
    """Steps to the least of a quadratic whose penalties are squares."""

    def __init__(self, run: Run, problem: Problem, squares: Words) -> None:
        self._run, self._problem, self._squares = run, problem, squares
        self.dropped = np.zeros(1, dtype=np.uint64)

    def step(self, factors: Reals, products: Words, unit: Reals) -> Reals:
        """What to add to factors; `products` times `unit` pull at them."""
        steps = zeros(len(factors))
        problem = self._problem
        self._run.call(
            _native.solve_linear,
            self._squares, products, unit, problem.penalties, problem.scales, factors, steps,
            self.dropped,
        )  # fmt: skip
        return steps


class _Sparse:
    """Steps to the least of a quadratic with an L1 penalty: which factors are 0 is found once."""

    def __init__(self, run: Run, problem: Problem, squares: Words, sizes: Reals) -> None:
        self._doubles = Doubles(run)
        self._path = Quadratic(self._doubles, squares, problem.scales, sizes, problem.penalties)
        self._found: Signed | None = None
        self.dropped = np.zeros(1, dtype=np.uint64)  # the penalty decides

    def step(self, factors: Reals, products: Words, unit: Reals) -> Reals:
        """What to add to factors; `products` times `unit` pull at them."""
        pull = self._doubles.of_words(products, self._doubles.multiply(unit, _SUM_UNIT))
        if self._found is None:
            self._found = self._path.least(factors, pull)
        else:
            known = replace(self._found, factors=factors)
            self._found = self._path.ended(known, factors, pull)
        return self._doubles.subtract(self._found.factors, factors)


def fit_linear(run: Run, rows: LearningRows, penalty: Penalty, *, intercept: bool) -> Fitted:
    """The factors that make `sum of w (y - f(x))^2` and what they cost least."""
    if rows.labels is None:
        raise ValueError("a regression has labels")
    problem = problem_of(run, rows, penalty, intercept=intercept)
    weights = problem.weights.columns[0]
    y = scaled(run, rows.labels.reshape(1, -1), rows.present, weights if intercept else None)
    count = len(problem.z)
    squares, products = words(count * count), words(count)
    run.call(_native.gram, problem.z, weights, squares)
    solver: _Plain | _Sparse = _Plain(run, problem, squares)
    if penalty.sizes:
        d = Doubles(run)
        sizes = d.multiply(_sizes(d, problem, penalty, y.scales), 0.5)
        solver = _Sparse(run, problem, squares, sizes)
    factors = zeros(count)
    margins, left = zeros(rows.rows), zeros(rows.rows)
    greatest, scale, unit = zeros(1), zeros(1), zeros(1)
    for _ in range(_CORRECTIONS + 1):
        run.call(_native.linear_margins, problem.z, factors, margins)
        run.call(_native.residuals, y.columns[0], margins, weights, left)
        shift = zeros(1)
        run.checked(_native.moment_extents, left.reshape(1, -1), rows.present, shift, greatest)
        run.call(_native.moment_scales, greatest, greatest, False, scale, unit)
        run.call(_native.projections, problem.z, left, scale, products)
        run.call(_native.add_steps, solver.step(factors, products, unit), factors)
    found = restored(run, problem, factors, y.shifts, y.units)
    return Fitted(found, solver.dropped, np.zeros(2, dtype=np.uint64))


def fit_logistic(
    run: Run, rows: LearningRows, penalty: Penalty, *, intercept: bool, rounds: int, may_end: bool
) -> Fitted:
    """The factors that make `sum of w loss` and what they cost least: squares half as much here.

    All `rounds` are run, and change nothing once the end is reached; `may_end` leaves out those,
    which shows how many there were.
    """
    if rows.labels is None:
        raise ValueError("a regression has labels")
    run.checked(_native.check_classes, rows.labels, rows.present)
    problem = problem_of(run, rows, penalty, intercept=intercept)
    weights = problem.weights.columns[0]
    labels = zeros(1, rows.rows)
    run.call(
        _native.standardise,
        rows.labels.reshape(1, -1), rows.present, zeros(1), np.ones(1), labels,
    )  # fmt: skip
    count = len(problem.z)
    factors = zeros(count)
    margins, directions = zeros(rows.rows), zeros(rows.rows)
    residual, curvature = zeros(rows.rows), zeros(rows.rows)
    squares, products, losses = words(count * count), words(count), words(_CHOICES + 1)
    state, one, d = np.zeros(2, dtype=np.uint64), np.ones(1), Doubles(run)
    sizes = _sizes(d, problem, penalty, one) if penalty.sizes else None
    for _ in range(rounds):
        run.call(_native.linear_margins, problem.z, factors, margins)
        run.call(_native.logistic_parts, labels[0], margins, weights, residual, curvature)
        run.call(_native.gram, problem.z, curvature, squares)
        run.call(_native.projections, problem.z, residual, one, products)
        plain = _Plain(run, problem, squares)
        solver = plain if sizes is None else _Sparse(run, problem, squares, sizes)
        steps = solver.step(factors, products, one)
        run.call(_native.linear_margins, problem.z, steps, directions)
        run.call(_native.logistic_losses, labels[0], margins, directions, weights, losses)
        if sizes is None:
            run.call(
                _native.advance_factors,
                losses, rows.rows, problem.penalties, steps, factors, state,
            )  # fmt: skip
        else:
            factors = _advanced(d, losses, rows.rows, problem, sizes, steps, factors, state)
        if may_end and state[0]:
            break
    found = restored(run, problem, factors, zeros(1), one)
    return Fitted(found, solver.dropped, state)


def _advanced(  # noqa: PLR0913, PLR0917 - as the kernel `advance_factors`, with sizes
    d: Doubles,
    losses: Words,
    rows: int,
    problem: Problem,
    sizes: Reals,
    steps: Reals,
    factors: Reals,
    state: Words,
) -> Reals:
    """Take the greatest step that makes nothing worse, until nothing changes."""
    after = d.add(factors, d.multiply(_SHARES, steps))
    squares = d.multiply(d.multiply(after, after), d.multiply(problem.penalties, 0.5))
    cost = d.multiply(d.magnitude(after[:, : len(sizes)]), sizes)
    whole = np.concatenate([squares, cost], axis=1).T
    goals = d.add(d.of_words(losses, _LOSS_UNIT), d.folded(d.add, whole)[0])
    now = goals[-1:]
    bound = d.add(d.add(now, rows * _ROUNDED), d.multiply(now, _ROUNDED / 4))
    good, chosen = d.at_most(goals[:-1], bound), zeros(1)
    for k in reversed(range(_CHOICES)):
        chosen = d.choose(good[k : k + 1], _SHARES[k], chosen)
    most = d.greatest(d.folded(d.greatest, d.magnitude(factors)), 1.0)
    small = d.at_most(d.folded(d.greatest, d.magnitude(steps)), d.multiply(most, _DONE))
    done = np.empty(1, dtype=np.uint8)
    d.run.call(_native.words_to_marks, state[:1], done)
    found = d.choose(done, factors, d.add(factors, d.multiply(chosen, steps)))
    ends = conjunction(d.run, small, d.equal(chosen, 1.0))
    d.run.call(_native.marks_to_words, disjunction(d.run, done, ends), state[:1])
    return found
