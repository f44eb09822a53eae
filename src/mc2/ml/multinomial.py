"""Logistic regression over several classes, with an L2 penalty, as scikit-learn defines it.

Newton's method over the factors of all classes at once. Adding the same to all classes' factors
changes nothing, so the last class lacks a constant, or without a penalty all of its factors; at the
end all are shifted so that they add up to nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.ml.doubles import Doubles
from mc2.ml.linear import Fitted, Penalty, Problem, problem_of, restored
from mc2.ml.moments import LearningRows, Marks, Reals, Words, words, zeros
from mc2.operators.handles import SecretMarks
from mc2.operators.logic import complement, conjunction, disjunction
from mc2.operators.run import Flag, Run

_SHARES: Final = (*(0.5**k for k in range(8)), 0.0)  # of a step of Newton's
_LEAST: Final = -300.0  # an exponent below which a class counts for nothing
_MOST_LOSS: Final = 1000.0
_LOSS_SCALE: Final = 2.0**-10  # sums of losses are in units of 2^-40


def fit_multinomial(  # noqa: PLR0913 - what a fit is asked for
    run: Run,
    rows: LearningRows,
    penalty: Penalty,
    classes: int,
    *,
    intercept: bool,
    rounds: int,
    may_end: bool,
) -> Fitted:
    """A row of factors, and then the constant, for each of the classes, which count from 0.

    All `rounds` are run, and change nothing once the end is reached; `may_end` leaves out those,
    which shows how many there were.
    """
    if rows.labels is None:
        raise ValueError("a regression has labels")
    d = Doubles(run)
    labels = _labels(d, rows.labels, rows.present, classes)
    fit = _Fit(d, problem_of(run, rows, penalty, intercept=intercept), labels, penalty)
    factors = zeros(len(fit.places))
    dropped, state = np.zeros(1, dtype=np.uint64), np.zeros(2, dtype=np.uint64)
    for _ in range(rounds):
        fit.step(factors, dropped, state)
        if may_end and state[0]:
            break
    return Fitted(fit.restored(factors), dropped, state)


def shares(d: Doubles, margins: Reals) -> tuple[Reals, Reals]:
    """The probability of each class, a row for each; and the logarithms of what they sum up to."""
    top = d.folded(d.greatest, margins)
    powers = d.exp(d.greatest(d.subtract(margins, top), _LEAST))
    whole = d.folded(d.add, powers)
    return d.divide(powers, whole), d.add(top, d.ln(whole))[0]


def _labels(d: Doubles, labels: Reals, present: Marks, classes: int) -> Reals:
    """1 where a row has a class, a row for each; a flag is raised for a label that is none."""
    found = [d.equal(labels, float(k)) for k in range(classes)]
    known = found[0]
    for marks in found[1:]:
        known = disjunction(d.run, known, marks)
    wrong = conjunction(d.run, present, complement(d.run, known))
    d.run.raise_where(SecretMarks(wrong), Flag.OUT_OF_DOMAIN)
    return d.of_marks(np.stack(found))


class _Fit:
    """One fit. Which factors there are is public: `places` of them in a row for each class."""

    def __init__(self, d: Doubles, problem: Problem, labels: Reals, penalty: Penalty) -> None:
        self._d, self._problem, self._labels = d, problem, labels
        self._weights = problem.weights.columns[0]
        self._classes, self._columns = len(labels), len(problem.z)
        self._free = not penalty.squares
        features = len(problem.x.scales)
        last = 0 if self._free else features
        count = (self._classes - 1) * self._columns + last
        self.places = np.arange(count)
        self._penalties = np.tile(problem.penalties, self._classes)[:count]
        self._scales = np.tile(problem.scales, self._classes)[:count]

    def _table(self, factors: Reals) -> Reals:
        """A row for each class, with 0 for factors that are left out."""
        found = zeros(self._classes * self._columns)
        found[self.places] = factors
        return found.reshape(self._classes, self._columns)

    def _margins(self, factors: Reals) -> Reals:
        found = zeros(self._classes, len(self._weights))
        for of, out in zip(self._table(factors), found, strict=True):
            self._d.run.call(_native.linear_margins, self._problem.z, of, out)
        return found

    def step(self, factors: Reals, dropped: Words, state: Words) -> None:
        """One step of Newton's, and as much of it as makes the loss no worse."""
        d, run, count = self._d, self._d.run, len(factors)
        margins = self._margins(factors)
        likely, _ = shares(d, margins)
        squares = self._bends(likely)
        products, unit = self._pulls(likely)
        steps = zeros(count)
        run.call(
            _native.solve_linear,
            squares, products, unit, self._penalties, self._scales, factors, steps, dropped,
        )  # fmt: skip
        losses = self._losses(margins, self._margins(steps))
        run.call(
            _native.advance_factors,
            losses, len(self._weights), self._penalties, steps, factors, state,
        )  # fmt: skip

    def _pulls(self, likely: Reals) -> tuple[Words, Reals]:
        """Exact sums in some unit: less the first derivatives of the loss."""
        run = self._d.run
        pulls, greatest = zeros(*likely.shape), zeros(self._classes)
        for label, share, pull in zip(self._labels, likely, pulls, strict=True):
            run.call(_native.residuals, label, share, self._weights, pull)
        every = np.ones(likely.shape[1], dtype=np.uint8)
        run.checked(_native.moment_extents, pulls, every, zeros(self._classes), greatest)
        scales, units = zeros(self._classes), zeros(self._classes)
        run.call(_native.moment_scales, greatest, greatest, True, scales, units)
        products = np.zeros((2, self._classes, self._columns), dtype=np.uint64)
        for k, pull in enumerate(pulls):
            sums = words(self._columns)
            run.call(_native.projections, self._problem.z, pull, scales[:1], sums)
            products[:, k] = sums
        found = products.reshape(2, -1)[:, : len(self.places)]
        return np.ascontiguousarray(found), units[:1]

    def _bends(self, likely: Reals) -> Words:
        """Exact sums: second derivatives of the loss."""
        run, size, count = self._d.run, self._columns, len(self.places)
        squares = np.zeros((2, self._classes, size, self._classes, size), dtype=np.uint64)
        for k, share in enumerate(likely):
            pull = zeros(len(share))
            for other in range(k, self._classes):
                own = np.full(len(share), float(other == k))
                run.call(_native.residuals, own, likely[other], self._weights, pull)
                block = words(size * size)
                run.call(_native.gram, self._problem.z, self._d.multiply(share, pull), block)
                squares[:, k, :, other] = block.reshape(2, size, size)
                squares[:, other, :, k] = block.reshape(2, size, size)
        whole = squares.reshape(2, self._classes * size, -1)[:, :count, :count]
        return np.ascontiguousarray(whole).reshape(2, -1)

    def _losses(self, margins: Reals, directions: Reals) -> Words:
        """Exact sums of losses at halved steps, and without one."""
        d = self._d
        found = []
        for share in _SHARES:
            there = d.add(margins, d.multiply(directions, share))
            own = d.folded(d.add, d.multiply(there, self._labels))[0]
            found.append(d.least(d.subtract(shares(d, there)[1], own), _MOST_LOSS))
        sums = words(len(_SHARES))
        scale = np.array([_LOSS_SCALE])
        d.run.call(_native.projections, np.stack(found), self._weights, scale, sums)
        return sums

    def restored(self, factors: Reals) -> Reals:
        """Factors for columns as they came, which add up to nothing over the classes."""
        d, one = self._d, np.ones(1)
        rows = [restored(d.run, self._problem, f, zeros(1), one) for f in self._table(factors)]
        found = np.stack(rows)
        mean = d.multiply(d.folded(d.add, found), 1 / self._classes)
        if not self._free:
            mean = np.concatenate([zeros(1, found.shape[1] - 1), mean[:, -1:]], axis=1)
        return d.subtract(found, mean)
