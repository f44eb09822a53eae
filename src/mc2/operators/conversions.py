"""Casts between types of fixed width; `mc2.operators.spelling` has those of text."""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.errors import EngineError
from mc2.formats.schema import DECIMAL_DIGITS, DataType
from mc2.operators.arithmetic import (
    Operation,
    check_integers,
    narrowed,
    scaled,
    widened,
)
from mc2.operators.comparisons import equal_marks
from mc2.operators.constants import constant
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    Words,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.logic import column, complement, conjunction
from mc2.operators.run import Flag, Run
from mc2.plan.types import INT64, INTEGER_BITS

MICROSECONDS_PER_DAY: Final = 86_400_000_000
_INSTANTS: Final = ("timestamp", "timestamp_utc")


def cast(run: Run, a: SecretColumn, kind: DataType, counts: Marks) -> SecretColumn:
    """A column in another type; what does not fit raises a flag where it counts.

    Raises: EngineError for casts that oblivious mode does not have.
    """
    if a.type == kind:
        return a
    counted = conjunction(run, counts, known_of(a))
    source, target = a.type.name, kind.name
    if target in INTEGER_BITS:
        words = _to_integer(run, a, counted)
        check_integers(run, words, kind, counted, Flag.BAD_CAST)
    elif target == "decimal":
        words = _to_decimal(run, a, kind, counted)
    elif target in {"double", "float"} and _is_number(a.type):
        words = _to_real(run, a, kind, counted)
    elif target == "boolean" and _is_number(a.type):
        zero = constant(a.layout, 0.0 if a.layout.is_real else 0, a.rows)
        set_marks = complement(run, equal_marks(run, a, zero))
        words = np.empty(a.rows, dtype=np.uint64)
        run.call(_native.marks_to_words, set_marks, words)
    elif source == "date" and target in _INSTANTS:
        words = np.empty(a.rows, dtype=np.uint64)
        unit = flat_words_of(constant(Layout(INT64), MICROSECONDS_PER_DAY, a.rows))
        multiply = int(Operation.MULTIPLY)
        run.checked(_native.integers, multiply, flat_words_of(a), unit, counted, words)
    elif source in _INSTANTS and target == "date":
        words = np.empty(a.rows, dtype=np.uint64)
        run.call(_native.floor_divide, flat_words_of(a), MICROSECONDS_PER_DAY, words)
    elif source in _INSTANTS and target in _INSTANTS:
        words = words_of(a)
    else:
        raise EngineError(
            f"oblivious mode has no cast from {a.type} to {kind}",
            hint="bring the column in the type that you need, or run in encrypted mode",
        )
    return column(run, Layout(kind), words, known_of(a))


def _is_number(kind: DataType) -> bool:
    return kind.name in INTEGER_BITS or kind.name in {"boolean", "decimal", "double", "float"}


def _to_integer(run: Run, a: SecretColumn, counted: Marks) -> Words:
    if a.layout.is_real:
        words = np.empty(a.rows, dtype=np.uint64)
        run.checked(_native.double_to_integer, flat_words_of(a), counted, words)
        return words
    if a.type.name == "decimal":
        return narrowed(run, whole_part(run, a, counted), Layout(INT64), counted)
    if a.type.name in INTEGER_BITS or a.type.name == "boolean":
        return flat_words_of(a).copy()
    raise EngineError(f"oblivious mode has no cast from {a.type} to an integer")


def whole_part(run: Run, a: SecretColumn, counted: Marks) -> Words:
    """Decimals cut towards zero, as wide numbers."""
    unit = constant(Layout(DataType("decimal", DECIMAL_DIGITS, 0)), 10**a.type.scale, a.rows)
    wide = widened(run, a)
    rest, whole = np.empty_like(wide), np.empty_like(wide)
    # What is left over goes first, and the division is exact then.
    run.checked(_native.remainder_wide, wide, words_of(unit), counted, rest)
    run.checked(_native.add_wide, wide, rest, True, DECIMAL_DIGITS, counted, whole)
    return scaled(run, whole, -a.type.scale, DECIMAL_DIGITS, counted)


def _to_decimal(run: Run, a: SecretColumn, kind: DataType, counted: Marks) -> Words:
    if a.layout.is_text:
        raise EngineError(f"oblivious mode has no cast from {a.type} to {kind}")
    if a.layout.is_real:
        return _that_fit(run, a, kind, counted)
    digits = kind.scale - a.type.scale
    wide = widened(run, a)
    if digits == 0:
        summed = np.empty_like(wide)
        nothing = np.zeros_like(wide)
        run.checked(_native.add_wide, wide, nothing, False, kind.precision, counted, summed)
        return narrowed(run, summed, Layout(kind), counted)
    return narrowed(run, scaled(run, wide, digits, kind.precision, counted), Layout(kind), counted)


def _to_real(run: Run, a: SecretColumn, kind: DataType, counted: Marks) -> Words:
    narrow = kind.name == "float"
    if a.layout.is_real:
        return _that_fit(run, a, kind, counted) if narrow else flat_words_of(a).copy()
    words = np.empty(a.rows, dtype=np.uint64)
    if narrow or a.type.name == "decimal":
        run.call(_native.decimal_to_double, widened(run, a), a.type.scale, narrow, words)
    else:
        run.call(_native.integer_to_double, flat_words_of(a), words)
    return words


# --- doubles and floats that are rounded


def rounded(run: Run, a: SecretColumn, kind: DataType) -> tuple[Words, Marks]:
    """Doubles as floats, or both as decimals, and where they fit.

    To a decimal goes what the shortest text of a double says, rounded half away from zero.
    """
    rows = a.rows
    fits = np.empty(rows, dtype=np.uint8)
    if kind.name == "float":
        words = np.empty(rows, dtype=np.uint64)
        run.call(_native.double_to_float, flat_words_of(a), words, fits)
        return words, fits
    wide, nowhere = np.empty((rows, 2), dtype=np.uint64), np.zeros(rows, dtype=np.uint8)
    digits = kind.scale, kind.precision
    run.call(_native.double_to_decimal, flat_words_of(a), *digits, wide, fits)
    return narrowed(run, wide, Layout(kind), nowhere), fits


def _that_fit(run: Run, a: SecretColumn, kind: DataType, counted: Marks) -> Words:
    words, fits = rounded(run, a, kind)
    unfit = conjunction(run, counted, complement(run, fits))
    run.raise_where(SecretMarks(unfit), Flag.BAD_CAST)
    return words
