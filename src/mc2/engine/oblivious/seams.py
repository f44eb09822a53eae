"""The ends of all tasks' chunks, as bits that travel with the flags of all tasks.

The last task compares them: step T9 of docs/spec/task.md.
"""

from __future__ import annotations

import numpy as np

from mc2.formats.fixed import ChunkForm
from mc2.operators.handles import SecretMarks, marks_of
from mc2.operators.run import Run
from mc2.operators.seams import END_MARKS, check_ends, ends_of
from mc2.plan.stages import Layout


class Seams:
    """The bits of all tasks that share an input, at places that follow from the layout."""

    def __init__(self, layout: Layout) -> None:
        self._inputs = [i for i, split in enumerate(layout.split) if split]
        self._tasks = layout.partitions

    @property
    def bits(self) -> int:
        """How many bits a run keeps for them."""
        return len(self._inputs) * self._tasks * END_MARKS

    def mark(self, run: Run, place: tuple[int, int], present: SecretMarks, form: ChunkForm) -> None:
        """Keep what the others must know of the chunks of a task; `place`: its input and number.

        `present` says of each place of the chunks whether a row is there.
        """
        ends = marks_of(ends_of(run, present, form))
        for kind, bit in enumerate(self._bits(*place)):
            run.set_bit(bit, SecretMarks(ends[kind : kind + 1].copy()))

    def _bits(self, number: int, task: int) -> range:
        first = (self._inputs.index(number) * self._tasks + task) * END_MARKS
        return range(first, first + END_MARKS)

    def check(self, run: Run) -> None:
        """Raise a flag if rows follow a place without one, over all tasks of an input."""
        for number in self._inputs:
            check_ends(run, [self._of_task(run, number, task) for task in range(self._tasks)])

    def _of_task(self, run: Run, number: int, task: int) -> SecretMarks:
        return SecretMarks(
            np.concatenate([marks_of(run.bit(place)) for place in self._bits(number, task)])
        )
