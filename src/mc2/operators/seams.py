"""Where the chunks that one reader of an input has meet those of the next.

No row follows an empty place of those that were sealed at once. Within its own chunks each reader
looks itself; what it must tell of its first and last place is as secret as its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mc2.formats.fixed import ChunkForm
from mc2.operators import logic
from mc2.operators.handles import SecretMarks, marks_of
from mc2.operators.run import Flag, Run

_OPEN, _SOME, _FRESH = range(3)
"""A place without a row is last; a row is first, and other readers have what is before it; public:
a run of rows that was sealed at once starts here, whatever others have read."""

END_MARKS: Final = 3


def ends_of(run: Run, present: SecretMarks, form: ChunkForm) -> SecretMarks:
    """What others must know of a reader's chunks.

    `present` says of each place of the chunks, of which there is at least one, whether a row is
    there.
    """
    rows, (before, after) = marks_of(present), form.goes_on
    found = np.zeros(END_MARKS, dtype=np.uint8)
    if after:
        found[_OPEN:_SOME] = logic.complement(run, rows[-1:].copy())
    if before:
        found[_SOME:_FRESH] = rows[:1]
    if not before or len(form.segments) > 1:
        found[_FRESH:] = 1
    return SecretMarks(found)


def no_ends() -> SecretMarks:
    """What a reader tells that has no chunks of an input."""
    return SecretMarks(np.zeros(END_MARKS, dtype=np.uint8))


def check_ends(run: Run, readers: Sequence[SecretMarks]) -> None:
    """Raise a flag if a row follows an empty place; `readers` in order of their chunks."""
    is_open = np.zeros(1, dtype=np.uint8)
    for reader in readers:
        last, first, fresh = (marks_of(reader)[i : i + 1].copy() for i in range(END_MARKS))
        late = logic.conjunction(run, is_open, first)
        run.raise_where(SecretMarks(late), Flag.OUT_OF_DOMAIN)
        goes_on = logic.conjunction(run, is_open, logic.complement(run, fresh))
        is_open = logic.disjunction(run, goes_on, last)
