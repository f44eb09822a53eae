"""Exponentials, logarithms, roots, angles: the same bits on every machine."""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.comparisons import less_marks
from mc2.operators.constants import constant
from mc2.operators.handles import Marks, SecretColumn, flat_words_of, known_of
from mc2.operators.logic import column, conjunction
from mc2.operators.run import Run

CURVES: Final = (
    "exp", "ln", "log2", "log10", "expm1", "log1p", "cbrt", "sinh", "cosh", "tanh", "asinh",
    "acosh", "atanh",
)  # fmt: skip
"""As the kernel numbers them."""
ANGLES: Final = ("sin", "cos", "tan", "asin", "acos", "atan")
"""As the kernel numbers them."""
OF_TWO: Final = ("power", "logarithm", "hypot")
"""As the kernel numbers them: the logarithm is of the second, to the base that the first is."""
_ABOVE: Final = {"ln": 0.0, "log2": 0.0, "log10": 0.0, "log1p": -1.0}
"""What gives NULL, and everything below it."""


def curve(run: Run, what: str, a: SecretColumn) -> SecretColumn:
    """One of `CURVES` of doubles; logarithms are NULL where there is none, and at their pole."""
    out, known = np.empty(a.rows, dtype=np.uint64), known_of(a)
    run.call(_native.curve, CURVES.index(what), flat_words_of(a), out)
    if what in _ABOVE:
        known = conjunction(run, known, _above(run, a, _ABOVE[what]))
    return column(run, a.layout, out, known)


def angle(run: Run, what: str, a: SecretColumn) -> SecretColumn:
    """One of `ANGLES` of doubles."""
    out = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.angle, ANGLES.index(what), flat_words_of(a), out)
    return column(run, a.layout, out, known_of(a))


def curve_of_two(run: Run, what: str, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """One of `OF_TWO` of doubles; logarithms are NULL where one of both is zero or below."""
    out, known = np.empty(a.rows, dtype=np.uint64), conjunction(run, known_of(a), known_of(b))
    run.call(_native.curve_of_two, OF_TWO.index(what), flat_words_of(a), flat_words_of(b), out)
    if what == "logarithm":
        both = conjunction(run, _above(run, a, 0.0), _above(run, b, 0.0))
        known = conjunction(run, known, both)
    return column(run, a.layout, out, known)


def angle_of_point(run: Run, y: SecretColumn, x: SecretColumn) -> SecretColumn:
    """The angle of the point (x, y), with the special cases of C99's atan2."""
    out = np.empty(y.rows, dtype=np.uint64)
    run.call(_native.angle_of_point, flat_words_of(y), flat_words_of(x), out)
    return column(run, y.layout, out, conjunction(run, known_of(y), known_of(x)))


def _above(run: Run, a: SecretColumn, least: float) -> Marks:
    return less_marks(run, constant(a.layout, least, a.rows), a)
