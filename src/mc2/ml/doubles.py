"""Arithmetic on arrays of secret doubles, element by element, by kernels alone.

Shapes are public, and so is where numbers stand; no number is looked at. Sums run in a fixed order,
so that they have the same bits on every machine.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.ml.moments import Marks, Reals, Words, zeros
from mc2.operators.run import Run

_ADD, _SUBTRACT, _MULTIPLY, _DIVIDE = range(4)
_EQUAL, _LESS, _AT_MOST = range(3)
_EXP, _LN = range(2)
_ONE = np.array([[1], [0]], dtype=np.uint64)

Numbers = npt.ArrayLike


class Doubles:
    """Arithmetic of one run. Operands are brought to one shape as numpy does it."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def add(self, a: Numbers, b: Numbers) -> Reals:
        """A + b."""
        return self._two(_ADD, a, b)

    def subtract(self, a: Numbers, b: Numbers) -> Reals:
        """A - b."""
        return self._two(_SUBTRACT, a, b)

    def multiply(self, a: Numbers, b: Numbers) -> Reals:
        """A * b."""
        return self._two(_MULTIPLY, a, b)

    def divide(self, a: Numbers, b: Numbers) -> Reals:
        """A / b; by zero it is infinite or NaN, and no error."""
        return self._two(_DIVIDE, a, b)

    def exp(self, a: Reals) -> Reals:
        """E to the power of a."""
        return self._curve(_EXP, a)

    def ln(self, a: Reals) -> Reals:
        """The natural logarithm."""
        return self._curve(_LN, a)

    def magnitude(self, a: Reals) -> Reals:
        """A without its sign."""
        return self.greatest(a, self.subtract(0.0, a))

    def equal(self, a: Numbers, b: Numbers) -> Marks:
        """1 where a = b."""
        return self._compared(_EQUAL, a, b)

    def less(self, a: Numbers, b: Numbers) -> Marks:
        """1 where a < b."""
        return self._compared(_LESS, a, b)

    def at_most(self, a: Numbers, b: Numbers) -> Marks:
        """1 where a <= b."""
        return self._compared(_AT_MOST, a, b)

    def choose(self, where: Marks, a: Numbers, b: Numbers) -> Reals:
        """A where it is marked, b elsewhere."""
        shape = np.broadcast_shapes(np.shape(where), np.shape(a), np.shape(b))
        x, y, _ = _pair(np.broadcast_to(a, shape), np.broadcast_to(b, shape))
        marks = np.ascontiguousarray(np.broadcast_to(where, shape)).reshape(-1)
        out = np.empty(len(x), dtype=np.uint64)
        self.run.call(_native.select, marks, x, y, out)
        return out.view(np.float64).reshape(shape)

    def least(self, a: Numbers, b: Numbers) -> Reals:
        """The lesser one."""
        return self.choose(self.less(a, b), a, b)

    def greatest(self, a: Numbers, b: Numbers) -> Reals:
        """The greater one."""
        return self.choose(self.less(a, b), b, a)

    def of_marks(self, marks: Marks) -> Reals:
        """1 where it is marked, 0 elsewhere."""
        return self.choose(marks, 1.0, 0.0)

    def folded(self, combine: Callable[[Reals, Reals], Reals], a: Reals) -> Reals:
        """All along the first axis combined, in a fixed order: it is 1 long then."""
        while len(a) > 1:
            half = len(a) // 2
            both = combine(a[:half], a[half : 2 * half])
            a = np.concatenate([both, a[2 * half :]])
        return a

    def of_words(self, words: Words, unit: Numbers) -> Reals:
        """Exact sums as doubles, times a unit."""
        count = words.shape[1]
        units, out = np.ascontiguousarray(np.broadcast_to(unit, (count,)), np.float64), zeros(count)
        self.run.call(_native.quotients, np.ascontiguousarray(words), _ONE.copy(), units, out)
        return out

    def _two(self, what: int, a: Numbers, b: Numbers) -> Reals:
        x, y, shape = _pair(a, b)
        out = np.empty(len(x), dtype=np.uint64)
        self.run.checked(_native.doubles, what, x, y, np.zeros(len(x), dtype=np.uint8), out)
        return out.view(np.float64).reshape(shape)

    def _compared(self, what: int, a: Numbers, b: Numbers) -> Marks:
        x, y, shape = _pair(a, b)
        out = np.empty(len(x), dtype=np.uint8)
        self.run.call(_native.compare, what, True, x, y, out)
        return out.reshape(shape)

    def _curve(self, what: int, a: Reals) -> Reals:
        out = np.empty(a.size, dtype=np.uint64)
        self.run.call(_native.curve, what, np.ascontiguousarray(a).reshape(-1).view(np.uint64), out)
        return out.view(np.float64).reshape(a.shape)


def _pair(a: Numbers, b: Numbers) -> tuple[Words, Words, tuple[int, ...]]:
    """Both in one shape, as the words that kernels read."""
    x, y = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    return _words(x), _words(y), x.shape


def _words(a: Reals) -> Words:
    return np.ascontiguousarray(a).reshape(-1).view(np.uint64)
