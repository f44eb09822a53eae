"""Runs the stages of a plan one after the other, with exchanges in memory and no keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from mc2.engine.fragment import FragmentInput, open_fragment
from mc2.engine.outputs import Output
from mc2.formats.schema import Schema
from mc2.plan.check import CheckedPlan
from mc2.plan.fragments import fragment, source_name
from mc2.plan.stages import DatasetSource, ExchangeSource, InputSize, StagePlan, layout_of
from mc2.plan.stages_cut import cut
from tests.support.plans import LIMITS, Job


@dataclass
class Rows:
    """A source in memory."""

    schema: Schema
    found: list[pa.RecordBatch]

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from self.found


@dataclass
class StageRun:
    """A plan over in-memory tables, cut for some partitions."""

    checked: CheckedPlan
    tables: Mapping[str, Any]
    partitions: int
    broadcast_rows: int = 0
    key: bytes = b""
    blocks: dict[tuple[int, int, int, int], list[pa.RecordBatch]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chunks = {n: list(t.batches()) or [] for n, t in self.tables.items()}
        sizes = [
            InputSize(i.row_bound, max(1, len(self.chunks[i.dataset])), 0, i.row_bound)
            for i in self.checked.plan.inputs
        ]
        layout = layout_of(sizes, self.partitions, self.broadcast_rows)
        self.stages: StagePlan = cut(self.checked, layout)

    def run(self) -> Mapping[str, Output]:
        for stage, partition in self.stages.tasks():
            checked = fragment(self.checked.plan, self.stages, stage)
            inputs = self.inputs(stage, partition)
            with open_fragment(checked, inputs, LIMITS, lambda _: None, key=self.key) as found:
                for place, exchange in enumerate(self.stages.stages[stage].exchanges):
                    for part, batch in found.parts(exchange):
                        self.blocks.setdefault((stage, place, partition, part), []).append(batch)
        last = self.stages.last
        checked = fragment(self.checked.plan, self.stages, last)
        read = self.inputs(last, 0)
        with open_fragment(checked, read, LIMITS, lambda _: None, key=self.key) as found:
            return found.outputs()

    def inputs(self, stage: int, partition: int) -> Mapping[str, FragmentInput]:
        found = {}
        for place, source in enumerate(self.stages.stages[stage].sources):
            match source:
                case DatasetSource(input=number):
                    name = self.checked.plan.inputs[number].dataset
                    chunks = self.chunks[name]
                    wanted = self.stages.chunks(source, stage, partition)
                    rows = Rows(
                        self.tables[name].schema, [chunks[i] for i in wanted if i < len(chunks)]
                    )
                    found[source_name(place)] = FragmentInput(rows)
                case ExchangeSource():
                    found[source_name(place)] = self.exchanged(source, partition)
        return found

    def exchanged(self, source: ExchangeSource, partition: int) -> FragmentInput:
        exchange = self.stages.stages[source.stage].exchanges[source.exchange]
        part = self.stages.part(source, partition)
        batches = [
            batch
            for producer in self.stages.producers(source, partition)
            for batch in self.blocks.get((source.stage, source.exchange, producer, part), [])
        ]
        rows = Rows(exchange.written, batches)
        return FragmentInput(rows, source.ordered, exchange.partial, exchange.schema)


def stage_run(job: Job, partitions: int, outputs: Mapping[str, int], **more: Any) -> StageRun:
    return StageRun(job.check(**outputs), job.sources, partitions, **more)
