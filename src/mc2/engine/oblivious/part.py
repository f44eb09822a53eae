"""Runs one task's part of a plan in oblivious mode, between blocks of other tasks.

Nodes are computed by the facts of the whole plan: what is true of all rows is true of some. What a
task hands on has places for as many rows as there could be, and the flags of all it computed; so
whether anything failed is looked at once, by the task with the outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mc2.engine.oblivious.learning import Together
from mc2.engine.oblivious.pairs_apart import PairRun
from mc2.engine.oblivious.parts import fitted
from mc2.engine.oblivious.seams import Seams
from mc2.engine.oblivious.sheets import dealt
from mc2.engine.outputs import ChunkSource, ModelOutput, PaddedOutput
from mc2.errors import PlanError
from mc2.operators import ordering
from mc2.operators.blocks import absent_row, read_blocks, write_blocks
from mc2.operators.chunks import layout_in
from mc2.operators.handles import Layout, SecretTable
from mc2.operators.run import Run as Trace
from mc2.operators.run import use_threads
from mc2.operators.sheets import Sheet, read_sheet, write_sheet
from mc2.plan.check import CheckedPlan
from mc2.plan.oblivious_written import ObliviousExchange, ObliviousStage, Step
from mc2.plan.plan import PlanOutput
from mc2.plan.relations import Aggregate, Distinct, Join, Limit, RowBound, Scan, Sort
from mc2.plan.stages import DatasetSource, StagePlan


@dataclass(frozen=True, slots=True)
class PartInput:
    """A source of a stage: chunks of an input, or the plaintexts of blocks in order."""

    chunks: ChunkSource | None = None
    blocks: Callable[[], Sequence[bytes]] | None = None


@dataclass(frozen=True, slots=True)
class PartSettings:
    """How a part is run: threads of kernels, the job's random key, whom to tell of progress.

    `partition`: which of the stage's tasks it is, from 0. `together`: who trains with this task.
    """

    threads: int = 1
    key: bytes = b""
    progress: Callable[[str], None] = lambda _: None
    trace: Trace | None = None
    partition: int = 0
    together: Together | None = None


class Part:
    """The tables of one task of a stage."""

    def __init__(
        self,
        checked: CheckedPlan,
        stages: StagePlan,
        stage: int,
        inputs: Sequence[PartInput],
        settings: PartSettings,
    ) -> None:
        """Compute a part. Raises: as `mc2.engine.oblivious.run.execute`, but for its end."""
        here = stages.stages[stage]
        if not isinstance(here, ObliviousStage):
            raise PlanError("the stage is one of another mode")
        use_threads(settings.threads)
        self._checked, self._stages, self._stage = checked, stages, here
        self._inputs = inputs
        trace = settings.trace or Trace()
        self._seams = Seams(stages.layout)
        trace.keep_bits(self._seams.bits)
        self._run = _PartRun(checked, {}, settings.progress, trace, settings.key, settings.together)
        self._partition = settings.partition
        self._results: list[SecretTable | Sheet | None] = []
        for step in here.steps:
            self._results.append(self._computed(step))

    def _computed(  # noqa: C901, PLR0911 - one a kind of work
        self, step: Step
    ) -> SecretTable | Sheet | None:
        if step.source is not None:
            return self._read(step, step.source)
        here = self._partition, self._stage.tasks
        match step.work:
            case "arrange" if step.places is not None:
                read = [self._table(place) for place in step.reads]
                return self._run.arranged(step.node, read, step.places, step.part)
            case "carry":
                sheet = self._sheet(step.reads[0])
                return self._run.carried(step.node, sheet, *here, step.part)
            case "finish":
                found = [self._sheet(place) for place in step.reads]
                return self._run.finished(step.node, found, *here, step.part)
            case "number" | "last" | "partner" | "place" | "pair" | "match":
                return self._paired(step)
            case "means" if step.part is not None:
                return self._run.means(step.node, step.part, self._table(step.reads[0]))
            case "distances" if step.part is not None:
                read = [self._table(place) for place in step.reads]
                return self._run.distances(step.node, step.part, *read)
            case "together":
                return self._run.together(step.node, [self._table(p) for p in step.reads])
            case "compute" if step.part is not None:
                near, far = (self._table(place) for place in step.reads)
                return self._run.part_joined(step.node, step.part, near, far)
        operation = self._checked.plan.nodes[step.node].operation
        if isinstance(operation, Aggregate) and self._partial(step.reads[0]) is not None:
            return self._merged(step, operation)
        tables = {
            node: table
            for node, place in zip(operation.sources, step.reads, strict=True)
            if isinstance(table := self._results[place], SecretTable)
        }
        return self._run.over(step.node, tables)

    def _paired(self, step: Step) -> SecretTable | Sheet:
        """The work of a join of many rows with many."""
        here, found = (self._partition, self._stage.tasks), [self._sheet(p) for p in step.reads]
        if step.work == "match":
            return self._run.matched(step.node, found, self._partition)
        if step.places is None:
            return self._run.told_of_pairs(step.node, step.work, found[0])
        made = self._run.placed if step.work == "place" else self._run.paired
        return made(step.node, found, *here, step.places)

    def _table(self, place: int) -> SecretTable:
        table = self._results[place]
        if not isinstance(table, SecretTable):
            raise TypeError("a model is no table")
        return table

    def _sheet(self, place: int) -> Sheet:
        sheet = self._results[place]
        if not isinstance(sheet, Sheet):
            raise TypeError("the rows of a step are in no order")
        return sheet

    # --- what is read

    def _exchange(self, source: int) -> ObliviousExchange | None:
        found = self._stage.sources[source]
        if isinstance(found, DatasetSource):
            return None
        exchange = self._stages.stages[found.stage].exchanges[found.exchange]
        if not isinstance(exchange, ObliviousExchange):
            raise PlanError("the exchange is one of another mode")
        return exchange

    def _partial(self, place: int) -> Aggregate | None:
        """What tasks have aggregated that a step reads, if it reads such."""
        source = self._stage.steps[place].source
        exchange = None if source is None else self._exchange(source)
        return None if exchange is None else exchange.partial

    def _merged(self, step: Step, operation: Aggregate) -> SecretTable:
        parts = [(self._partial(place), self._table(place)) for place in step.reads]
        found = [(part, table) for part, table in parts if part is not None]
        return self._run.put_together(step.node, operation, found)

    def _producer(self, source: int) -> Step:
        """The step of another stage of which a source hands on."""
        found = self._stage.sources[source]
        if isinstance(found, DatasetSource):
            raise TypeError("no step hands on an input")
        stage = self._stages.stages[found.stage]
        if not isinstance(stage, ObliviousStage):
            raise PlanError("the stage is one of another mode")
        return stage.steps[stage.exchanges[found.exchange].node]

    def _read(self, step: Step, source: int) -> SecretTable | Sheet:
        given, exchange = self._inputs[source], self._exchange(source)
        if exchange is None:
            if given.chunks is None:
                raise TypeError("an input is read by its chunks")
            return self._scanned(step.node, source, given.chunks)
        if given.blocks is None:
            raise TypeError("an exchange is read by its blocks")
        if exchange.deal is not None:
            sheet = read_sheet(self._run.trace, given.blocks())
            deal = exchange.deal
            return dealt(self._run.trace, deal, self._stage.tasks, self._partition, sheet)
        layouts = self._run.layouts(self._producer(source), exchange)
        table = read_blocks(self._run.trace, layouts, given.blocks())
        whole = exchange.partial is None and self._producer(source).part is None
        rows = self._run.most(step.node) if whole else table.rows
        return ordering.bounded(self._run.trace, table, rows)

    def _scanned(self, node: int, source: int, chunks: ChunkSource) -> SecretTable:
        found, here = self._run.scanned(node, chunks), self._stage.sources[source]
        if isinstance(here, DatasetSource) and here.split and chunks.form.row_bound:
            place = here.input, self._partition
            self._seams.mark(self._run.trace, place, found.present, chunks.form)
        return found

    # --- what is handed on

    def blocks(self) -> list[list[list[tuple[bytes, int]]]]:
        """The blocks of each exchange, part by part: plaintexts, and how many places each has."""
        tables: list[SecretTable | tuple[Sheet, Sequence[slice]]] = []
        for exchange in self._stage.exchanges:
            if not isinstance(exchange, ObliviousExchange):
                raise PlanError("the exchange is one of another mode")
            if exchange.deal is not None:
                parts = exchange.deal.parts(self._stage.tasks, self._partition)
                tables.append((self._sheet(exchange.node), parts))
                continue
            step = self._stage.steps[exchange.node]
            table = self._run.handed_on(step, exchange, self._table(exchange.node))
            tables.append(table)
        # All is computed now: the flags are complete.
        trace = self._run.trace
        return [
            list(write_sheet(trace, *found))
            if isinstance(found, tuple)
            else [list(write_blocks(trace, found))]
            for found in tables
        ]

    def outputs(self) -> Mapping[str, PaddedOutput | ModelOutput]:
        """The outputs of the whole plan, from its last stage. Raises: EngineError."""
        found: dict[str, PaddedOutput | ModelOutput] = {}
        for last, output in zip(self._stages.outputs, self._checked.plan.outputs, strict=True):
            table = self._results[last.node]
            given = table if isinstance(table, SecretTable) else None
            found[output.name] = self._run.put_out(output, given)
        self._seams.check(self._run.trace)
        self._run.trace.finish()
        return found


class _PartRun(PairRun):
    """A run of single nodes over tables that somebody else keeps."""

    def over(self, index: int, tables: Mapping[int, SecretTable]) -> SecretTable | None:
        """A node over these tables; None for what is no table."""
        self._tables = dict(tables)
        self._compute(index)
        return self._tables.pop(index, None)

    def most(self, index: int) -> int:
        """How many places a table of a node has at most."""
        return self._facts[index].rows

    def scanned(self, index: int, chunks: ChunkSource) -> SecretTable:
        """A scan of some chunks of its input; of none, one place without a row."""
        operation = self._plan.nodes[index].operation
        if not isinstance(operation, Scan):
            raise TypeError("inputs are scanned")
        if not chunks.form.row_bound:
            names = [n for n in operation.columns if n in self._steps.needed[index]]
            return absent_row({n: layout_in(chunks.form, n) for n in names})
        self._sources = {self._plan.inputs[operation.input].dataset: chunks}
        found = self.over(index, {})
        if found is None:
            raise TypeError("a scan gives a table")
        return found

    def layouts(self, step: Step, exchange: ObliviousExchange) -> dict[str, Layout]:
        """How the columns of an exchange of a step lie in words."""
        if exchange.partial is None:
            whole = step.part is None
            return self.table_layouts(step.node) if whole else self._of_part(step)
        source = self._aggregate_of(exchange.reader or 0).source
        return self.group_layouts(replace(exchange.partial, source=source))

    def _of_part(self, step: Step) -> dict[str, Layout]:
        if isinstance(self._plan.nodes[step.node].operation, Join):
            return self.table_layouts(step.node)
        return self.value_layouts(step.node, step.part or 0)

    def handed_on(self, step: Step, exchange: ObliviousExchange, table: SecretTable) -> SecretTable:
        """What goes into the blocks of an exchange: in layouts that facts alone decide."""
        if exchange.partial is not None and exchange.reader is not None:
            source = self._aggregate_of(exchange.reader).source
            part = replace(exchange.partial, source=source)
            made = self.grouped if step.part is None else self.grouped_values
            table = made(exchange.reader, part, table)
        elif exchange.reader is not None:
            table = self._reduced(step.node, exchange.reader, exchange.rows, table)
        return fitted(table, self.layouts(step, exchange))

    def _reduced(
        self, index: int, reader: int, rows: int | None, table: SecretTable
    ) -> SecretTable:
        """Of a task's own rows what a node makes of all."""
        operation = self._plan.nodes[reader].operation
        most = table.rows if rows is None else min(rows, table.rows)
        match operation:
            case Distinct():
                found = self._of_one(operation, table, reader)
                return ordering.bounded(self.trace, found, self._facts[reader].rows)
            case Sort():
                return ordering.limit(self.trace, self._sort(operation, table), most)
            case Limit():
                return ordering.limit(self.trace, self._in_front(index, table), most)
            case RowBound():
                return ordering.bounded(self.trace, table, most)
            case _:
                raise PlanError(f"no task computes {operation.OP} of its own rows")

    def put_together(
        self, index: int, operation: Aggregate, found: Sequence[tuple[Aggregate, SecretTable]]
    ) -> SecretTable:
        """An aggregate of what tasks have aggregated, with the columns that are read."""
        table = self.merged(index, operation, found)
        names = [n for n in table.columns if n in self._steps.needed[index]]
        return SecretTable({n: table.columns[n] for n in names}, table.present)

    def put_out(self, output: PlanOutput, table: SecretTable | None) -> PaddedOutput | ModelOutput:
        """An output, from the table of its node if it is one."""
        self._tables = {} if table is None else {output.node: table}
        return self.output(output)
