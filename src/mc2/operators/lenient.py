"""Sums, products and casts that are NULL where the others fail."""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.formats.schema import DECIMAL_DIGITS, DataType
from mc2.operators.arithmetic import Operation, narrowed, scaled, widened
from mc2.operators.comparisons import less_marks
from mc2.operators.constants import constant
from mc2.operators.conversions import MICROSECONDS_PER_DAY, cast, rounded, whole_part
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    Words,
    known_of,
    words_of,
)
from mc2.operators.logic import column, complement, conjunction
from mc2.operators.run import Run
from mc2.plan.types import INT64, INTEGER_BITS, integer_range

_WIDE: Final = Layout(DataType("decimal", DECIMAL_DIGITS, 0))
_INT64_END: Final = 2.0**63
_INSTANT_DAYS: Final = (2**63 - 1) // MICROSECONDS_PER_DAY
"""How far from 1970 a day is whose start fits a timestamp."""


def try_compute(
    run: Run, what: Operation, a: SecretColumn, b: SecretColumn, kind: DataType
) -> SecretColumn:
    """A sum, difference or product of whole numbers, or NULL beyond the range of its type."""
    x, y = widened(run, a), widened(run, b)
    out, nowhere = np.empty_like(x), _nowhere(a)
    if what is Operation.MULTIPLY:
        run.checked(_native.multiply_wide, x, y, 0, DECIMAL_DIGITS, nowhere, out)
    else:
        subtract = what is Operation.SUBTRACT
        run.checked(_native.add_wide, x, y, subtract, DECIMAL_DIGITS, nowhere, out)
    return integer_or_null(run, out, kind, conjunction(run, known_of(a), known_of(b)))


def try_cast(run: Run, a: SecretColumn, kind: DataType) -> SecretColumn:
    """A cast, or NULL where the value does not fit."""
    nowhere, known = _nowhere(a), known_of(a)
    if a.layout.is_real and kind.name in {"decimal", "float"} and a.type != kind:
        words, fits = rounded(run, a, kind)
        return column(run, Layout(kind), words, conjunction(run, known, fits))
    if kind.name == "decimal":
        return _try_decimal(run, a, kind)
    if a.type.name == "date":
        found = cast(run, a, kind, nowhere)
        inside = between(run, widened(run, a), -_INSTANT_DAYS, _INSTANT_DAYS, known)
        return column(run, found.layout, words_of(found), inside)
    if kind.name not in INTEGER_BITS:
        return cast(run, a, kind, nowhere)  # which always fits
    if a.layout.is_real:
        low, high = (constant(a.layout, sign * _INT64_END, a.rows) for sign in (-1, 1))
        inside = complement(run, less_marks(run, a, low))
        known = conjunction(run, known, inside, less_marks(run, a, high))
        whole = cast(run, a, INT64, nowhere)
        return integer_or_null(run, widened(run, whole), kind, known)
    wide = whole_part(run, a, nowhere) if a.type.name == "decimal" else widened(run, a)
    return integer_or_null(run, wide, kind, known)


def integer_or_null(run: Run, wide: Words, kind: DataType, known: Marks) -> SecretColumn:
    """Wide numbers as an integer type, NULL where they do not fit it or are not known."""
    low, high = integer_range(kind)
    known = between(run, wide, low, high, known)
    return column(
        run, Layout(kind), narrowed(run, wide, Layout(INT64), np.zeros_like(known)), known
    )


def _try_decimal(run: Run, a: SecretColumn, kind: DataType) -> SecretColumn:
    wide, known = widened(run, a), known_of(a)
    digits = kind.scale - a.type.scale
    if digits >= 0:  # else it may not fit 128 bits any more
        most = 10 ** (kind.precision - digits) - 1
        known = between(run, wide, -most, most, known)
    wide = scaled(run, wide, digits, DECIMAL_DIGITS, _nowhere(a))
    if digits < 0:
        most = 10**kind.precision - 1
        known = between(run, wide, -most, most, known)
    layout = Layout(kind)
    return column(run, layout, narrowed(run, wide, layout, _nowhere(a)), known)


def between(run: Run, wide: Words, low: int, high: int, known: Marks) -> Marks:
    """Where wide numbers are in a public range, and known."""
    value = SecretColumn(_WIDE, wide, known)
    ends = [constant(_WIDE, end, len(wide)) for end in (low, high)]
    beyond = less_marks(run, value, ends[0]), less_marks(run, ends[1], value)
    return conjunction(run, known, *(complement(run, b) for b in beyond))


def _nowhere(a: SecretColumn) -> Marks:
    return np.zeros(a.rows, dtype=np.uint8)
