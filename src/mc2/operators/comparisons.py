"""Comparison of columns, with SQL's rules for NULL, NaN and the two zeros (docs/spec/plan.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.constants import column_of_values
from mc2.operators.handles import (
    Marks,
    SecretColumn,
    Words,
    codes_of,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.logic import choose, complement, conjunction, disjunction, truth
from mc2.operators.planes import SIGNED, canonical, ordered_words, value_keys
from mc2.operators.run import Run

_EQUAL: Final = 0
_LESS: Final = 1


def equal_marks(run: Run, a: SecretColumn, b: SecretColumn) -> Marks:
    """1 where the words are equal as values; says nothing where one is NULL."""
    out = np.empty(a.rows, dtype=np.uint8)
    if a.layout.is_text or a.layout.is_nested:
        run.call(_native.equal_rows, ordered_words(run, a), ordered_words(run, b), out)
    elif a.layout.is_wide:
        run.call(_native.compare_wide, _EQUAL, words_of(a), words_of(b), out)
    else:
        run.call(_native.compare, _EQUAL, a.layout.is_real, flat_words_of(a), flat_words_of(b), out)
    return out


def less_marks(run: Run, a: SecretColumn, b: SecretColumn) -> Marks:
    """1 where the first is less; says nothing where one is NULL."""
    out = np.empty(a.rows, dtype=np.uint8)
    if a.layout.is_nested:
        return _less_part(run, a, b)
    if a.layout.is_text:
        run.call(_native.less_rows, words_of(a), words_of(b), out)
    elif a.layout.is_wide:
        run.call(_native.compare_wide, _LESS, words_of(a), words_of(b), out)
    else:
        run.call(_native.compare, _LESS, a.layout.is_real, flat_words_of(a), flat_words_of(b), out)
    return out


def _less_part(run: Run, a: SecretColumn, b: SecretColumn) -> Marks:
    """Of lists and structs: the first word that differs decides."""
    found = np.zeros(a.rows, dtype=np.uint8)
    for mine, other in reversed(list(zip(value_keys(run, a), value_keys(run, b), strict=True))):
        below, alike = np.empty((2, a.rows), dtype=np.uint8)
        pair = (mine.words.reshape(-1, 1), other.words.reshape(-1, 1))
        run.call(_native.equal_rows, *pair, alike)
        if mine.flip == SIGNED:
            run.call(_native.compare, _LESS, False, mine.words, other.words, below)
        else:
            run.call(_native.less_rows, *pair, below)
        found = disjunction(run, below, conjunction(run, alike, found))
    return found


def equal(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """Whether a = b."""
    return truth(run, equal_marks(run, a, b), _both_known(run, a, b))


def equal_constant(run: Run, value: SecretColumn, *texts: bytes) -> SecretColumn:
    """Whether a text is one of some that everybody knows: by its code, if it has one."""
    found = np.zeros(value.rows, dtype=np.uint8)
    codes, domain = codes_of(value), value.domain
    for text in texts:
        if codes is not None and domain is not None:
            place = _place(domain, text)
        elif len(text) <= value.layout.text_bytes:
            place = words_of(column_of_values(value.layout, [text]))
        else:
            place = None
        if place is not None:
            words = words_of(value) if codes is None else codes.reshape(-1, 1)
            same = np.empty_like(found)
            run.call(_native.equal_rows, words, place, same)
            found = disjunction(run, found, same)
    return truth(run, found, known_of(value))


def _place(domain: Sequence[bytes], text: bytes) -> Words | None:
    """The code of a text, as one row; None for what is not in the domain."""
    if text not in domain:
        return None
    return np.array([[domain.index(text)]], dtype=np.uint64)


def unequal(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """Whether a <> b."""
    return truth(run, complement(run, equal_marks(run, a, b)), _both_known(run, a, b))


def less(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """Whether a < b."""
    return truth(run, less_marks(run, a, b), _both_known(run, a, b))


def at_most(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """Whether a <= b."""
    return truth(run, complement(run, less_marks(run, b, a)), _both_known(run, a, b))


def same(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """Whether a IS NOT DISTINCT FROM b: NULL equals NULL, and the answer is never NULL."""
    values = conjunction(run, equal_marks(run, a, b), _both_known(run, a, b))
    nulls = conjunction(run, complement(run, known_of(a)), complement(run, known_of(b)))
    return truth(run, disjunction(run, values, nulls), np.ones(a.rows, dtype=np.uint8))


def greatest(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """The greater one; where one is NULL, the other."""
    return canonical(run, choose(run, _takes(run, less_marks(run, b, a), a, b), a, b))


def least(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """The lesser one; where one is NULL, the other."""
    return canonical(run, choose(run, _takes(run, less_marks(run, a, b), a, b), a, b))


def _takes(run: Run, wins: Marks, a: SecretColumn, b: SecretColumn) -> Marks:
    """Where to take a: it is there, and wins or is alone."""
    alone = complement(run, known_of(b))
    return conjunction(run, known_of(a), disjunction(run, wins, alone))


def _both_known(run: Run, a: SecretColumn, b: SecretColumn) -> Marks:
    return conjunction(run, known_of(a), known_of(b))
