"""How alike texts are, and where one stands in a list of them."""

from __future__ import annotations

from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.arithmetic import Operation, compute
from mc2.operators.constants import constant
from mc2.operators.handles import Layout, SecretColumn, known_of, words_of
from mc2.operators.logic import choose, column, conjunction, value_marks
from mc2.operators.numbers import count_bytes
from mc2.operators.phrases import position, replace, substring_at
from mc2.operators.run import Run
from mc2.operators.texts import ANY_RUN, concat, fitted, literal_steps, matches
from mc2.plan.oblivious_bytes import SOUNDEX_BYTES
from mc2.plan.types import INT32, STRING

_MARK: Final = ","


def count_edits(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """How many edits of a character lie between two texts."""
    out = np.empty(a.rows, dtype=np.uint64)
    run.call(_native.count_edits, words_of(a), words_of(b), out)
    return column(run, Layout(INT32), out, conjunction(run, known_of(a), known_of(b)))


def soundex(run: Run, a: SecretColumn) -> SecretColumn:
    """The Soundex code; the text itself where it begins with no letter of ASCII."""
    code = Layout(STRING, SOUNDEX_BYTES)
    out, sounds = np.empty((a.rows, code.words), dtype=np.uint64), np.empty(a.rows, dtype=np.uint8)
    run.call(_native.soundex, words_of(a), out, sounds)
    most = max(SOUNDEX_BYTES, a.layout.text_bytes)
    found = column(run, code, out, known_of(a))
    return choose(run, sounds, fitted(found, most), fitted(a, most))


def find_in_set(run: Run, a: SecretColumn, listed: SecretColumn) -> SecretColumn:
    """The place of the first text among the second's parts between commas; 0 if there is none.

    With commas around both, that of a part is that of the comma before it. Places are counted by
    the commas up to there: by how much shorter the list is without them.
    """
    mark = constant(Layout(STRING, 1), _MARK.encode(), a.rows)
    one = constant(Layout(INT32), 1, a.rows)
    nowhere = np.zeros(a.rows, dtype=np.uint8)
    part, whole = (
        concat(run, concat(run, mark, text, nowhere), mark, nowhere) for text in (a, listed)
    )
    place = position(run, whole, part, characters=False)
    before = substring_at(run, whole, one, place, characters=False)
    bare = replace(run, before, _MARK.encode(), b"")
    first, second = (count_bytes(run, text, INT32) for text in (before, bare))
    found = compute(run, Operation.SUBTRACT, first, second, INT32, nowhere)
    several = matches(run, a, (ANY_RUN, *literal_steps(_MARK), ANY_RUN))
    none = column(run, Layout(INT32), np.zeros(a.rows, dtype=np.uint64), known_of(found))
    return choose(run, value_marks(run, several), none, found)
