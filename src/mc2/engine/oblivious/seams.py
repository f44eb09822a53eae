"""Where the chunks that one task reads meet those of the next: no row follows an empty place.

Within its own chunks each task looks itself. What it must tell of its first and last place is as
secret as its rows, so it travels with the flags of all tasks, and the last task compares: step T9
of docs/spec/task.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mc2.formats.fixed import ChunkForm
from mc2.operators import logic
from mc2.operators.handles import Marks, SecretMarks, marks_of
from mc2.operators.run import Flag, Run
from mc2.plan.stages import Layout

_OPEN, _SOME, _FRESH = range(3)
"""A place without a row is last; a row is first, and other tasks read what is before it; public:
a run of rows that was sealed at once starts here, whatever others have read."""

_KINDS: Final = 3


class Seams:
    """The bits of all tasks that share an input, at places that follow from the layout."""

    def __init__(self, layout: Layout) -> None:
        self._inputs = [i for i, split in enumerate(layout.split) if split]
        self._tasks = layout.partitions

    @property
    def bits(self) -> int:
        """How many bits a run keeps for them."""
        return len(self._inputs) * self._tasks * _KINDS

    def mark(self, run: Run, place: tuple[int, int], present: SecretMarks, form: ChunkForm) -> None:
        """Keep what the others must know of the chunks of a task; `place`: its input and number.

        `present` says of each place of the chunks whether a row is there.
        """
        rows, (before, after) = marks_of(present), form.goes_on
        if after:
            last = logic.complement(run, rows[-1:].copy())
            run.set_bit(self._place(*place, _OPEN), SecretMarks(last))
        if before:
            run.set_bit(self._place(*place, _SOME), SecretMarks(rows[:1].copy()))
        if not before or len(form.segments) > 1:
            fresh = np.ones(1, dtype=np.uint8)
            run.set_bit(self._place(*place, _FRESH), SecretMarks(fresh))

    def _place(self, number: int, task: int, kind: int) -> int:
        return (self._inputs.index(number) * self._tasks + task) * _KINDS + kind

    def check(self, run: Run) -> None:
        """Raise a flag if rows follow a place without one, over all tasks of an input."""
        for number in self._inputs:
            self._check(run, [self._of_task(run, number, task) for task in range(self._tasks)])

    def _of_task(self, run: Run, number: int, task: int) -> list[Marks]:
        places = [self._place(number, task, kind) for kind in range(_KINDS)]
        return [marks_of(run.bit(place)) for place in places]

    def _check(self, run: Run, tasks: Sequence[Sequence[Marks]]) -> None:
        is_open = np.zeros(1, dtype=np.uint8)
        for found in tasks:
            late = logic.conjunction(run, is_open, found[_SOME])
            run.raise_where(SecretMarks(late), Flag.OUT_OF_DOMAIN)
            goes_on = logic.conjunction(run, is_open, logic.complement(run, found[_FRESH]))
            is_open = logic.disjunction(run, goes_on, found[_OPEN])
