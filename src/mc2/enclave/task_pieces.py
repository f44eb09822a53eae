"""Which tasks there are, where a partition may be shared by several: its pieces.

Everybody computes them from the receipts of what a stage reads, by the same rule
(`mc2.plan.stages_skew`): no host says what is a piece. Spec: docs/spec/task.md, section "Pieces".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mc2.crypto.digest import Digest
from mc2.errors import JobError
from mc2.formats.block import TaskName
from mc2.formats.task import TaskReceipt
from mc2.plan.stages import ExchangeSource, StagePlan
from mc2.plan.stages_skew import Share, share


class Place(NamedTuple):
    """A task: its stage and partition; and of a partition that is shared, which piece of how many.

    `piece` counts from 1; it and `pieces` are 0 where one task runs the partition.
    """

    stage: int
    partition: int
    piece: int = 0
    pieces: int = 0

    @classmethod
    def of(cls, task: TaskName) -> Place:
        """The place of a named task."""
        return cls(task.stage, task.partition, task.piece, task.pieces)

    def __str__(self) -> str:
        """What people call it."""
        text = f"task {self.partition} of stage {self.stage}"
        return f"piece {self.piece} of {self.pieces} of {text}" if self.pieces else text


def places(stage: int, partition: int, pieces: int) -> list[Place]:
    """The tasks of a partition that is shared by so many; one if that is 0."""
    if not pieces:
        return [Place(stage, partition)]
    return [Place(stage, partition, piece, pieces) for piece in range(1, pieces + 1)]


def fits(plan: StagePlan, sides: Sequence[int], place: Place) -> bool:
    """Whether a plan may have such a task; `sides` are those of its stage."""
    if place.stage >= plan.last or place.partition >= plan.stages[place.stage].tasks:
        return False
    if not place.pieces:
        return not place.piece
    most = plan.stages[place.stage].tasks  # a piece has at least the mean of all parts
    return bool(sides) and 1 <= place.piece <= place.pieces and 2 <= place.pieces <= most


class Shares:
    """How the partitions of a stage are shared.

    `read` has, for each place of a source of the stage that is one of its `sides`, the receipts of
    all tasks that wrote it, in order.
    """

    def __init__(
        self,
        plan: StagePlan,
        stage: int,
        sides: Sequence[int],
        read: Mapping[int, Sequence[TaskReceipt]],
    ) -> None:
        self._parts = plan.stages[stage].tasks
        self._least = plan.layout.piece_rows
        self._rows = {side: self._rows_of(plan, stage, side, read[side]) for side in sides}
        self._sums = {side: sum(map(sum, rows)) for side, rows in self._rows.items()}

    def _rows_of(
        self, plan: StagePlan, stage: int, side: int, receipts: Iterable[TaskReceipt]
    ) -> list[list[int]]:
        """For each part, how many rows each block has."""
        source = plan.stages[stage].sources[side]
        if not isinstance(source, ExchangeSource):
            raise JobError("only what other stages hand on is shared")
        found: list[list[int]] = [[] for _ in range(self._parts)]
        for receipt in receipts:
            for rows, blocks in zip(found, receipt.written[source.exchange], strict=True):
                rows += [b.rows for b in blocks]
        return found

    def of(self, partition: int) -> Share | None:
        """How a partition is shared, by its largest source; None if one task runs it."""
        by_size = sorted(self._rows, key=lambda side: (-sum(self._rows[side][partition]), side))
        for side in by_size:
            blocks = self._rows[side][partition]
            runs = share(blocks, self._sums[side], self._parts, self._least)
            if len(runs) > 1:
                return Share(side, runs)
        return None

    def count(self, partition: int) -> int:
        """How many pieces a partition has; 0 if one task runs it."""
        found = self.of(partition)
        return 0 if found is None else len(found.runs)


Receipts = Mapping[Place, tuple[Digest, TaskReceipt]]
"""The receipts that count, and their digests, by the tasks that they are of."""


class TaskSet:
    """The tasks that a job has by its receipts, of which there may be more every moment."""

    def __init__(self, plan: StagePlan, sides: Sequence[Sequence[int]], receipts: Receipts) -> None:
        self._plan = plan
        self._sides = sides
        self._receipts = receipts
        self._counts: dict[int, list[int]] = {}

    def forget(self, stage: int) -> None:
        """Compute anew how the partitions of a stage are shared: what it reads has changed."""
        self._counts.pop(stage, None)

    def of_stage(self, stage: int) -> list[Place] | None:
        """The tasks of a stage; None as long as nobody can know them."""
        counts = self._shared(stage)
        if counts is None:
            return None
        return [place for p, count in enumerate(counts) for place in places(stage, p, count)]

    def all(self) -> list[Place] | None:
        """All tasks but the last one; None as long as nobody can know them."""
        found: list[Place] = []
        for stage in range(self._plan.last):
            tasks = self.of_stage(stage)
            if tasks is None:
                return None
            found += tasks
        return found

    def reads(self, place: Place) -> list[list[Place]] | None:
        """The tasks that a task reads, source by source; None as long as nobody can know them."""
        found = []
        for source in self._plan.stages[place.stage].sources:
            if isinstance(source, ExchangeSource):
                counts = self._shared(source.stage)
                if counts is None:
                    return None
                producers = self._plan.producers(source, place.partition)
                found.append([t for p in producers for t in places(source.stage, p, counts[p])])
        return found

    def inputs(self, place: Place) -> tuple[tuple[Digest, ...], ...] | None:
        """The receipts that a task is to read, by digest; None if one is not there yet."""
        reads = self.reads(place)
        if reads is None or any(t not in self._receipts for tasks in reads for t in tasks):
            return None
        return tuple(tuple(self._receipts[t][0] for t in tasks) for tasks in reads)

    def read(self, place: Place) -> list[list[TaskReceipt]]:
        """The receipts themselves. Raises: KeyError before `inputs` has them."""
        return [[self._receipts[t][1] for t in tasks] for tasks in self.reads(place) or ()]

    def _shared(self, stage: int) -> list[int] | None:
        """For each partition of a stage, how many pieces it has; 0 if it is whole."""
        tasks = self._plan.stages[stage].tasks
        if not self._sides[stage]:
            return [0] * tasks
        if stage not in self._counts:
            # All that is cut was spread by hash, so any partition reads all tasks that wrote it.
            anyone = Place(stage, 0)
            if self.inputs(anyone) is None:
                return None
            shares = Shares(
                self._plan, stage, self._sides[stage], dict(enumerate(self.read(anyone)))
            )
            self._counts[stage] = [shares.count(p) for p in range(tasks)]
        return self._counts[stage]
