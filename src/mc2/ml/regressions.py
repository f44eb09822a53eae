"""Regressions of all families: how one is fitted, and what it says of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mc2 import _native
from mc2.ml.doubles import Doubles
from mc2.ml.linear import Fitted, Penalty, fit_linear, fit_logistic
from mc2.ml.moments import LearningRows, Reals, zeros
from mc2.ml.multinomial import fit_multinomial, shares
from mc2.operators.run import Run

_BINARY: Final = 2


@dataclass(frozen=True, slots=True)
class Asked:
    """What a regression is asked for; without `classes` it is a linear one."""

    penalty: Penalty
    intercept: bool
    rounds: int
    classes: int = 0


def fit_regression(run: Run, rows: LearningRows, asked: Asked, *, may_end: bool) -> Fitted:
    """Fit one. All rounds are run, unless it `may_end` where nothing changes any more."""
    penalty, intercept, rounds = asked.penalty, asked.intercept, asked.rounds
    if not asked.classes:
        return fit_linear(run, rows, penalty, intercept=intercept)
    if asked.classes == _BINARY:
        return fit_logistic(run, rows, penalty, intercept=intercept, rounds=rounds, may_end=may_end)
    return fit_multinomial(
        run, rows, penalty, asked.classes, intercept=intercept, rounds=rounds, may_end=may_end
    )


def margins_of(run: Run, features: Reals, factors: Reals) -> Reals:
    """The constant plus the sum of features times factors; of several classes a row for each."""
    x = np.concatenate([features, np.ones((1, features.shape[1]))])
    found = zeros(*factors.shape[:-1], features.shape[1])
    for of, out in zip(np.atleast_2d(factors), np.atleast_2d(found), strict=True):
        run.call(_native.linear_margins, x, np.ascontiguousarray(of), out)
    return found


def probabilities_of(run: Run, margins: Reals) -> Reals:
    """Of class 1, by the margins of two classes; of each, by a row for each of several."""
    if margins.ndim > 1:
        return shares(Doubles(run), margins)[0]
    found = zeros(len(margins))
    run.call(_native.logistic_probabilities, margins, found)
    return found
