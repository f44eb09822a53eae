"""Numbers as people read them: whole digits in threes with commas, and so many after the point."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.formats.schema import DECIMAL_DIGITS, DataType
from mc2.operators.arithmetic import scaled, widened
from mc2.operators.comparisons import equal_marks, less_marks
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
from mc2.operators.logic import choose, column, complement, conjunction
from mc2.operators.phrases import trim_any
from mc2.operators.rounding import round_exact
from mc2.operators.run import Flag, Run
from mc2.operators.texts import concat, fitted
from mc2.plan.types import STRING

Bytes = npt.NDArray[np.uint8]
_THREE: Final = 3
_SIGN_BIT: Final = 63
_MORE_DIGITS: Final = 18
_PART_DIGITS: Final = 8
"""That a kernel writes of one number."""
_LIMB_DIGITS: Final = 2 * _PART_DIGITS


def format_decimal(run: Run, a: SecretColumn, digits: int) -> SecretColumn:
    """A decimal with commas and a public number of fraction digits, rounded to even.

    What is below zero keeps its sign, also where no digit of it is left.
    """
    kept = min(digits, a.type.scale)
    whole_digits = a.type.precision - a.type.scale + (kept < a.type.scale)
    nowhere = np.zeros_like(known_of(a))
    kind = DataType("decimal", min(DECIMAL_DIGITS, whole_digits + kept), kept)
    rounded = a if kept == a.type.scale else round_exact(run, a, kept, "round_even", kind, nowhere)
    zero = constant(a.layout, 0, a.rows)
    shown = _digits(run, _magnitude(run, rounded), whole_digits + kept)
    text = _pointed(run, shown, whole_digits, kept, digits)
    return _signed(run, text, less_marks(run, a, zero), known_of(a))


def format_double(run: Run, a: SecretColumn, digits: int, counts: Marks) -> SecretColumn:
    """A double with commas and so many fraction digits, at most 20, by its text.

    What its shortest text says is rounded to even, as of decimals. A flag for numbers with more
    than 38 digits, these included.
    """
    known = known_of(a)
    below, special = _sign(run, a), _specials(run, a)
    near, fits = _scaled(run, a, digits)
    ordinary = conjunction(run, *(complement(run, marks) for marks, _ in special))
    unfit = conjunction(run, counts, known, ordinary, complement(run, fits))
    run.raise_where(SecretMarks(unfit), Flag.OUT_OF_DOMAIN)
    shown = _digits(run, _to_even(run, a, near, digits), DECIMAL_DIGITS)
    found = _pointed(run, shown, DECIMAL_DIGITS - digits, digits, digits)
    found = _signed(run, found, conjunction(run, below, ordinary), known)
    for marks, name in special:
        text = constant(found.layout, name.encode(), a.rows)
        found = choose(run, marks, text, found)
    return column(run, found.layout, words_of(found), known)


def _sign(run: Run, a: SecretColumn) -> Marks:
    out = np.empty(a.rows, dtype=np.uint8)
    run.call(_native.spread_bit, flat_words_of(a), _SIGN_BIT, out)
    return out


def _specials(run: Run, a: SecretColumn) -> list[tuple[Marks, str]]:
    """Where doubles are no numbers, and what they are called."""
    names = {math.nan: "NaN", math.inf: "\u221e", -math.inf: "-\u221e"}
    return [
        (equal_marks(run, a, constant(a.layout, value, a.rows)), name)
        for value, name in names.items()
    ]


def _scaled(run: Run, a: SecretColumn, digits: int) -> tuple[SecretColumn, Marks]:
    """The shortest text's number without sign times a power of ten, halves up, where it fits."""
    wide, fits = np.empty((a.rows, 2), dtype=np.uint64), np.empty(a.rows, dtype=np.uint8)
    run.call(_native.double_to_decimal, flat_words_of(a), digits, DECIMAL_DIGITS, wide, fits)
    kind = DataType("decimal", DECIMAL_DIGITS, digits)
    return _magnitude(run, column(run, Layout(kind), wide, fits)), fits


def _to_even(run: Run, a: SecretColumn, near: SecretColumn, digits: int) -> SecretColumn:
    """What halves up made of doubles, one less where it is odd and there was a half.

    A text with a half there has no digit beyond the seventeenth after it, and fewer than 21 before
    its point: it is exact with so many more digits, and fits.
    """
    wide, exact = words_of(near), np.zeros(a.rows, dtype=np.uint8)
    fine, fits = _scaled(run, a, digits + _MORE_DIGITS)
    layout = Layout(DataType("decimal", DECIMAL_DIGITS, 0))
    unit, half, one = (
        constant(layout, n, a.rows) for n in (10**_MORE_DIGITS, 5 * 10 ** (_MORE_DIGITS - 1), 1)
    )
    rest, less = np.empty_like(wide), np.empty_like(wide)
    run.checked(_native.remainder_wide, words_of(fine), words_of(unit), exact, rest)
    run.checked(_native.add_wide, wide, words_of(one), True, DECIMAL_DIGITS, exact, less)
    tie = equal_marks(run, SecretColumn(layout, rest, known_of(near)), half)
    odd = np.empty(a.rows, dtype=np.uint8)
    run.call(_native.spread_bit, np.ascontiguousarray(wide[:, 0]), 0, odd)
    lower = SecretColumn(near.layout, less, known_of(near))
    return choose(run, conjunction(run, fits, tie, odd), lower, near)


def _magnitude(run: Run, a: SecretColumn) -> SecretColumn:
    """Without the sign, in two words."""
    layout = Layout(DataType("decimal", DECIMAL_DIGITS, a.type.scale))
    value = SecretColumn(layout, widened(run, a), np.ones_like(known_of(a)))
    zero, turned = constant(layout, 0, a.rows), np.empty_like(words_of(value))
    nowhere = np.zeros_like(known_of(a))
    pair = words_of(zero), words_of(value)
    run.checked(_native.add_wide, *pair, True, DECIMAL_DIGITS, nowhere, turned)
    return choose(
        run, less_marks(run, value, zero), SecretColumn(layout, turned, known_of(value)), value
    )


def _digits(run: Run, a: SecretColumn, count: int) -> Bytes:
    """The lowest digits of numbers that are not below zero, with all zeros before them."""
    wide, nowhere = words_of(a), np.zeros(a.rows, dtype=np.uint8)
    unit = constant(Layout(DataType("decimal", DECIMAL_DIGITS, 0)), 10**_LIMB_DIGITS, a.rows)
    found: list[Bytes] = []
    for _ in range(-(-count // _LIMB_DIGITS)):  # from the last digits on
        rest, above = np.empty_like(wide), np.empty_like(wide)
        run.checked(_native.remainder_wide, wide, words_of(unit), nowhere, rest)
        run.checked(_native.add_wide, wide, rest, True, DECIMAL_DIGITS, nowhere, above)
        wide = scaled(run, above, -_LIMB_DIGITS, DECIMAL_DIGITS, nowhere)
        low = np.ascontiguousarray(rest[:, 0])
        high = np.empty_like(low)
        run.call(_native.floor_divide, low, 10**_PART_DIGITS, high)
        out = np.empty((a.rows, 1 + _LIMB_DIGITS // 8), dtype=np.uint64)
        parts = [(0, _PART_DIGITS)] * 2
        run.call(_native.spell_parts, np.ascontiguousarray(np.stack([high, low], 1)), parts, out)
        found.insert(0, _bytes_of(out))
    return np.concatenate(found, axis=1)[:, -count:]


def _bytes_of(words: Words) -> Bytes:
    """The bytes of texts, one a column: copies at public places."""
    return words[:, :-1].astype(">u8").view(np.uint8).reshape(len(words), -1)


def _text_of(run: Run, columns: Bytes) -> SecretColumn:
    """Texts of one public length."""
    rows, length = columns.shape
    layout = Layout(STRING, length)
    padded = np.zeros((rows, 8 * (layout.words - 1)), dtype=np.uint8)
    padded[:, :length] = columns
    words = np.full((rows, layout.words), length, dtype=np.uint64)
    words[:, :-1] = padded.view(">u8")
    return column(run, layout, words, np.ones(rows, dtype=np.uint8))


def _pointed(run: Run, shown: Bytes, whole: int, kept: int, digits: int) -> SecretColumn:
    """Digits with commas, without zeros before them, then a point and as many as there shall be."""
    rows = len(shown)
    places: list[Bytes] = []
    for place in range(whole - 1):
        places.append(shown[:, place : place + 1])
        if (whole - place) % _THREE == 1:
            places.append(np.full((rows, 1), ord(","), dtype=np.uint8))
    last = shown[:, max(whole - 1, 0) :] if whole else np.concatenate([_zeros(rows, 1), shown], 1)
    end = [last[:, :1]]
    if digits:
        point = np.full((rows, 1), ord("."), dtype=np.uint8)
        end += [point, last[:, 1:], _zeros(rows, digits - kept)]
    behind = _text_of(run, np.concatenate(end, axis=1))
    if not places:
        return behind
    front = trim_any(
        run, _text_of(run, np.concatenate(places, axis=1)), "0,", start=True, end=False
    )
    return concat(run, front, behind, np.zeros(rows, dtype=np.uint8))


def _zeros(rows: int, count: int) -> Bytes:
    return np.full((rows, count), ord("0"), dtype=np.uint8)


def _signed(run: Run, a: SecretColumn, below: Marks, known: Marks) -> SecretColumn:
    sign = constant(Layout(STRING, 1), b"-", a.rows)
    turned = concat(run, sign, a, np.zeros_like(known))
    found = choose(run, below, turned, fitted(a, turned.layout.text_bytes))
    return column(run, found.layout, words_of(found), known)
