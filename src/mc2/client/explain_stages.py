"""How a plan would be spread over workers, and what their hosts would see of it.

How many chunks an input has is not in the plan, so every input with more rows than are sent whole
to each task counts as one with chunks for all tasks. The enclaves cut the plan themselves, by the
same rules (`mc2.plan.stages_cut`); small jobs stay with one worker whatever their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mc2.client.plan_words import names, rows
from mc2.formats.canonical import Json
from mc2.plan.check import CheckedPlan
from mc2.plan.oblivious_rewrites import as_run
from mc2.plan.oblivious_stages import OBLIVIOUS_BROADCAST_ROWS
from mc2.plan.stages import (
    BROADCAST_ROWS,
    DatasetSource,
    Exchange,
    ExchangeSource,
    InputSize,
    Source,
    Stage,
    StagePlan,
    layout_of,
)
from mc2.plan.stages_cut import cut
from mc2.plan.stages_shown import operations_of

_WAYS: Final = {
    "keep": "which stay in their task",
    "hash": "spread over the tasks by key",
    "deal": "dealt out over the tasks by place",
    "gather": "all in one task",
    "broadcast": "all in every task",
}
_HOST_ALONE: Final = (
    "when each chunk of the inputs is read, and its size",
    "how long the job takes",
    "the size of each sealed result",
)
_HOST_SPREAD: Final = (
    "which task runs in which worker, when, and for how long",
    "which chunks of the inputs each task reads, and their sizes",
    "how many blocks go from which task to which, and their sizes",
    "the size of each sealed result",
)
_OBLIVIOUS: Final = "of an oblivious plan, all of this follows from public sizes alone"


@dataclass(frozen=True, slots=True)
class StagesExplained:
    """The stages for some workers; none for one worker."""

    checked: CheckedPlan
    stages: StagePlan | None

    def json(self) -> dict[str, Json]:
        """The stages as data; they count from 1, as in the text."""
        found = self.stages.stages if self.stages is not None else ()
        return {
            "stages": [self._stage_json(n, s) for n, s in enumerate(found, 1)],
            "host_sees": list(self._host_sees()),
        }

    def text(self) -> str:
        """The stages as text, each line ended."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield "STAGES"
        if self.stages is None:
            yield "  one, in one worker"
        else:
            for number, stage in enumerate(self.stages.stages, 1):
                yield from self._stage_lines(number, stage)
        yield ""
        yield "WHAT THE HOST SEES, beside the plan itself"
        for seen in self._host_sees():
            yield f"  {seen}"

    def _stage_lines(self, number: int, stage: Stage) -> Iterator[str]:
        done = ", ".join(operations_of(self.checked.plan.nodes, stage)) or "reads"
        yield f"  {number}. {_tasks(stage.tasks)}: {done}"
        for source in stage.sources:
            yield f"    reads {self._source(source)}"
        for exchange in stage.exchanges:
            yield f"    hands on {_columns(exchange)}{_parts(exchange)}"

    def _source(self, source: Source) -> str:
        if isinstance(source, DatasetSource):
            given = self.checked.plan.inputs[source.input]
            share = "each task its chunks" if source.split else "whole"
            return f"{given.dataset}, {rows(given.row_bound)}, {share}"
        return f"rows of stage {source.stage + 1}, {_WAYS[source.kind]}"

    def _host_sees(self) -> tuple[str, ...]:
        seen = _HOST_ALONE if self.stages is None else _HOST_SPREAD
        return (*seen, _OBLIVIOUS) if self.checked.plan.mode == "oblivious" else seen

    def _stage_json(self, number: int, stage: Stage) -> Json:
        return {
            "stage": number,
            "tasks": stage.tasks,
            "operations": list(operations_of(self.checked.plan.nodes, stage)),
            "sources": [self._source_json(s) for s in stage.sources],
            "exchanges": [
                {
                    "columns": list(e.schema.names),
                    "partitions": e.partitions,
                    "partial_sums": e.partial is not None,
                }
                for e in stage.exchanges
            ],
        }

    def _source_json(self, source: Source) -> Json:
        match source:
            case DatasetSource():
                return {
                    "dataset": self.checked.plan.inputs[source.input].dataset,
                    "split": source.split,
                }
            case ExchangeSource():
                return {
                    "stage": source.stage + 1,
                    "exchange": source.exchange + 1,
                    "kind": source.kind,
                }


def explain_stages(checked: CheckedPlan, workers: int) -> StagesExplained:
    """How a plan would be spread over some workers; one that reads what is kept stays in one.

    Raises: FormatError, PlanError.
    """
    if any(i.kept is not None for i in checked.plan.inputs):
        return StagesExplained(checked, None)
    if workers == 1:
        return StagesExplained(checked, None)
    sizes = [
        InputSize(i.row_bound, workers, 0, -(-i.row_bound // workers)) for i in checked.plan.inputs
    ]
    oblivious = checked.plan.mode == "oblivious"
    whole = OBLIVIOUS_BROADCAST_ROWS if oblivious else BROADCAST_ROWS
    run = as_run(checked)
    return StagesExplained(run, cut(run, layout_of(sizes, workers, whole)))


def _tasks(count: int) -> str:
    return "one task" if count == 1 else f"{count} tasks"


def _columns(exchange: Exchange) -> str:
    sums = exchange.partial
    if sums is None:
        return names(exchange.schema.names)
    return f"partial sums for {names((*sums.keys, *(a.name for a in sums.aggregates)))}"


def _parts(exchange: Exchange) -> str:
    return "" if exchange.partitions == 1 else f", in {exchange.partitions} parts"
