"""Runs the stages of a plan in oblivious mode one after the other, with blocks in memory.

What a host would see is kept: who hands on how many blocks of which sizes to whom, and the calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mc2.engine.oblivious.part import Part, PartInput, PartSettings
from mc2.engine.outputs import ModelOutput, PaddedOutput
from mc2.formats.manifest import chunk_count
from mc2.operators.run import Run
from mc2.plan.check import CheckedPlan
from mc2.plan.stages import DatasetSource, InputSize, StagePlan, layout_of
from mc2.plan.stages_cut import cut
from tests.support.oblivious import PaddedTable


@dataclass(frozen=True)
class SomeChunks:
    """A run of the chunks of a table."""

    table: PaddedTable
    chunks: range

    @property
    def form(self):
        form, rows = self.table.form, self.table.form.places.rows
        every = [  # the segment of each chunk, and how many rows it has room for
            (segment, min(rows, bound - start))
            for segment, bound in enumerate(form.segments)
            for start in range(0, bound, rows)
        ]
        mine = every[self.chunks.start : self.chunks.stop]
        found = tuple(
            sum(room for s, room in mine if s == segment)
            for segment in sorted({s for s, _ in mine})
        )
        around = [
            every[i][0] if 0 <= i < len(every) else None
            for i in (self.chunks.start - 1, self.chunks.stop)
        ]
        goes_on = bool(mine) and around[0] == mine[0][0], bool(mine) and around[1] == mine[-1][0]
        return replace(form, segments=found, goes_on=goes_on)

    def plains(self):
        every = list(self.table.plains())
        return [every[i] for i in self.chunks]


@dataclass
class ObliviousStages:
    """A plan over padded tables, cut for some partitions; inputs beyond `whole` rows are split."""

    checked: CheckedPlan
    tables: Mapping[str, PaddedTable]
    partitions: int
    whole: int = 0
    record: bool = False
    blocks: dict[tuple[int, int, int], list[list[tuple[bytes, int]]]] = field(default_factory=dict)
    seen: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        forms = [self.tables[i.dataset].form for i in self.checked.plan.inputs]
        sizes = [
            InputSize(f.row_bound, chunk_count(f.row_bound, f.places.rows), 0, f.places.rows)
            for f in forms
        ]
        layout = layout_of(sizes, self.partitions, self.whole)
        self.stages: StagePlan = cut(self.checked, layout)

    def run(self) -> Mapping[str, PaddedOutput | ModelOutput]:
        for stage, partition in self.stages.tasks():
            part, trace = self.part(stage, partition)
            for place, parts in enumerate(part.blocks()):
                self.blocks[stage, place, partition] = parts
                sizes = [[(len(raw), rows) for raw, rows in blocks] for blocks in parts]
                self.seen.append((stage, partition, place, sizes, trace.calls))
            assert trace.declassified == []
        part, trace = self.part(self.stages.last, 0)
        try:
            return part.outputs()
        finally:  # what was called is seen, also if the computation failed
            self.seen.append(trace.calls)

    def part(self, stage: int, partition: int) -> tuple[Part, Run]:
        trace = Run(record=self.record)
        inputs = [self.source(s, stage, partition) for s in self.stages.stages[stage].sources]
        settings = PartSettings(trace=trace, partition=partition)
        return Part(self.checked, self.stages, stage, inputs, settings), trace

    def source(self, source, stage: int, partition: int) -> PartInput:
        if isinstance(source, DatasetSource):
            table = self.tables[self.checked.plan.inputs[source.input].dataset]
            return PartInput(SomeChunks(table, self.stages.chunks(source, stage, partition)))
        here = self.stages.part(source, partition)
        found = [
            raw
            for producer in self.stages.producers(source, partition)
            for raw, _ in self.blocks[source.stage, source.exchange, producer][here]
        ]
        return PartInput(blocks=lambda: found)
