"""Least of a quadratic with an L1 penalty, in a fixed number of steps: exact zeros, and no search.

With x = p - q and both above 0, `f(x) + sum of l1 |x|` is smooth. The primal-dual interior-point
method (Wright, *Primal-Dual Interior-Point Methods*, 1997) follows its central path until what is
left is 1e-13 of where it began; then each factor is one that is 0, or one whose sign is known, and
one more step of Newton's brings the others to the end. Whatever the numbers are, the same kernels
run as often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mc2 import _native
from mc2.ml.doubles import Doubles
from mc2.ml.moments import Marks, Reals, Words, whole_steps, words, zeros

_STEPS: Final = 40
_CENTRE: Final = 0.1  # of the way that a step of the path leaves
_BORDER: Final = 0.99  # of the way to where a factor would become 0
_END: Final = 1e-13
_NOTHING: Final = 2.0**-200
_BESIDE: Final = 2.0**-44  # what is added to a diagonal so that a right side can be any
_FIXED: Final = 2.0**60  # times a diagonal, which keeps a factor where it is
_TINY: Final = 2.0**-60
_SIGNS: Final = np.array([[1.0], [-1.0]])
_UNIT: Final = 2.0**-50


@dataclass(frozen=True, slots=True, eq=False)
class Signed:
    """Factors, and for each that has a penalty: whether it is not 0, and its sign."""

    factors: Reals
    there: Marks
    signs: Reals


class Quadratic:
    """A loss near some factors: `squares` are exact sums of products of columns.

    The first factors, as many as `l1`, have L1 penalties above 0; the others have none. `l2` are
    half their squares' penalties, for all.
    """

    def __init__(
        self, doubles: Doubles, squares: Words, scales: Reals, l1: Reals, l2: Reals
    ) -> None:
        self._doubles, self._squares, self._scales = doubles, squares, scales
        count = len(scales)
        self._matrix = zeros(count, whole_steps(count))
        self._matrix[:, :count] = doubles.of_words(squares, _UNIT).reshape(count, count)
        diagonal = np.diagonal(self._matrix[:, :count]).copy()
        self._whole = doubles.greatest(doubles.add(diagonal, l2), _NOTHING)
        self._l1, self._l2 = l1, l2

    def _times(self, x: Reals) -> Reals:
        """The second derivatives of the loss, times x."""
        found = zeros(self._matrix.shape[1])
        self._doubles.run.call(_native.linear_margins, self._matrix, x, found)
        return found[: len(x)]

    def _solved(self, more: Reals, right: Reals) -> Reals:
        """What gives `right`, with `more`, above 0, added to the diagonal."""
        d, count = self._doubles, len(right)
        steps, dropped = zeros(count), np.zeros(1, dtype=np.uint64)
        at = d.divide(d.subtract(0.0, right), more)
        d.run.call(
            _native.solve_linear,
            self._squares, words(count), np.ones(1), more, self._scales, at, steps, dropped,
        )  # fmt: skip
        return steps

    def _slopes(self, x: Reals, start: Reals, pull: Reals) -> Reals:
        """Derivatives at x of all but the L1 penalty; those of the loss at `start` are -`pull`."""
        d = self._doubles
        moved = self._times(d.subtract(x, start))
        return d.subtract(d.add(moved, d.multiply(self._l2, x)), pull)

    def least(self, start: Reals, pull: Reals) -> Signed:
        """Where the sum is least."""
        d, count = self._doubles, len(self._l1)
        size = d.greatest(_most(d, start), _most(d, d.divide(pull, self._whole)))
        size = d.greatest(size, _TINY)
        height = d.greatest(_most(d, self._l1), _most(d, pull))
        parts = np.broadcast_to(size, (2, count)).copy()
        slacks = np.broadcast_to(height, (2, count)).copy()
        end = d.multiply(d.multiply(size, height), _END)
        free = start[count:]
        for _ in range(_STEPS):
            x = np.concatenate([d.subtract(parts[0], parts[1]), free])
            slopes = self._slopes(x, start, pull)
            parts, slacks, free = self._step(parts, slacks, free, slopes, end)
        x = d.subtract(parts[0], parts[1])
        there = d.less(d.multiply(slacks, size), d.multiply(parts, height))
        up = d.of_marks(there[0])
        signs = d.choose(there[0], up, d.subtract(0.0, d.of_marks(there[1])))
        kept = d.less(0.5, d.magnitude(signs))
        factors = np.concatenate([d.choose(kept, x, 0.0), free])
        return self.ended(Signed(factors, kept, signs), start, pull)

    def _step(
        self, parts: Reals, slacks: Reals, free: Reals, slopes: Reals, end: Reals
    ) -> tuple[Reals, Reals, Reals]:
        """One step along the path."""
        d, count = self._doubles, len(self._l1)
        lack = d.subtract(d.add(self._l1, d.multiply(_SIGNS, slopes[:count])), slacks)
        gap = d.folded(d.add, d.multiply(parts, slacks).reshape(-1))
        goal = d.greatest(d.multiply(gap, _CENTRE / (2 * count)), end)
        ratio, toward = d.divide(parts, slacks), d.subtract(d.divide(goal, slacks), parts)
        wanted = d.subtract(toward, d.multiply(ratio, lack))
        width = d.divide(1.0, d.add(ratio[0], ratio[1]))
        right = d.multiply(d.subtract(wanted[0], wanted[1]), width)
        more = np.concatenate([d.add(self._l2[:count], width), self._beside[count:]])
        right = np.concatenate([right, d.subtract(0.0, slopes[count:])])
        step = self._solved(more, right)
        bent = d.add(self._times(step), d.multiply(self._l2, step))[:count]
        by = d.add(d.multiply(_SIGNS, bent), lack)
        of = d.subtract(toward, d.multiply(ratio, by))
        share = self._share(np.concatenate([parts, slacks]), np.concatenate([of, by]))
        return (
            d.add(parts, d.multiply(share, of)),
            d.add(slacks, d.multiply(share, by)),
            d.add(free, d.multiply(share, step[count:])),
        )

    @property
    def _beside(self) -> Reals:
        return self._doubles.multiply(self._whole, _BESIDE)

    def _share(self, now: Reals, step: Reals) -> Reals:
        """How much of a step leaves all of them above 0."""
        d = self._doubles
        falls = d.less(step, 0.0)
        way = d.divide(now, d.choose(falls, d.subtract(0.0, step), 1.0))
        shortest = d.folded(d.least, d.choose(falls, way, 2.0).reshape(-1))
        return d.least(1.0, d.multiply(shortest, _BORDER))

    def ended(self, found: Signed, start: Reals, pull: Reals) -> Signed:
        """The end, where it is known which factors are 0 and which signs the others have."""
        d, count = self._doubles, len(self._l1)
        slopes = self._slopes(found.factors, start, pull)
        whole = np.concatenate(
            [d.add(slopes[:count], d.multiply(self._l1, found.signs)), slopes[count:]]
        )
        there = np.concatenate([found.there, np.ones(len(whole) - count, dtype=np.uint8)])
        more = d.choose(there, d.add(self._l2, self._beside), d.multiply(self._whole, _FIXED))
        step = self._solved(more, d.choose(there, d.subtract(0.0, whole), 0.0))
        factors = d.choose(there, d.add(found.factors, step), 0.0)
        return Signed(factors, found.there, found.signs)


def _most(d: Doubles, a: Reals) -> Reals:
    return d.folded(d.greatest, d.magnitude(a))
