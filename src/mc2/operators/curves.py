"""Exponentials, logarithms and powers of doubles: the same bits on every machine."""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.comparisons import less_marks
from mc2.operators.constants import constant
from mc2.operators.handles import SecretColumn, flat_words_of, known_of
from mc2.operators.logic import column, conjunction
from mc2.operators.run import Run

CURVES: Final = ("exp", "ln", "log2", "log10")
"""As the kernel numbers them."""


def curve(run: Run, what: str, a: SecretColumn) -> SecretColumn:
    """One of `CURVES` of doubles; logarithms are NULL at zero and below."""
    out, known = np.empty(a.rows, dtype=np.uint64), known_of(a)
    run.call(_native.curve, CURVES.index(what), flat_words_of(a), out)
    if what != "exp":
        known = conjunction(run, known, less_marks(run, constant(a.layout, 0.0, a.rows), a))
    return column(run, a.layout, out, known)


def power(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """The first to the power of the second, with the special cases of C99's pow."""
    out = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.power, flat_words_of(a), flat_words_of(b), out)
    return column(run, a.layout, out, conjunction(run, known_of(a), known_of(b)))
