"""Runs a checked plan in oblivious mode: each node by operators whose traces are public.

A node's table has as many places as its public bound says, whatever rows there are; which of them
are there is secret until a recipient opens the result.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from mc2.engine.oblivious.calls import literal_number
from mc2.engine.oblivious.expressions import Evaluator
from mc2.engine.oblivious.joins import Joiner
from mc2.engine.oblivious.learning import Learner, Together
from mc2.engine.oblivious.linear import LinearLearner
from mc2.engine.oblivious.windows import compute_window
from mc2.engine.outputs import ChunkSource, ModelOutput, ModelSource, PaddedOutput
from mc2.errors import EngineError, PlanError
from mc2.formats.fixed import fixed_places
from mc2.formats.limits import LIMITS
from mc2.formats.schema import Schema, width_paths
from mc2.operators import collecting, counting, grouping, joining, logic, ordering, statistics
from mc2.operators.chunks import read_chunks, write_chunks
from mc2.operators.constants import column_of_values
from mc2.operators.elements import in_layout
from mc2.operators.few_groups import group_few
from mc2.operators.handles import (
    SecretColumn,
    SecretMarks,
    SecretTable,
    layout_of,
    marks_of,
)
from mc2.operators.joining import On
from mc2.operators.lists import exploded
from mc2.operators.run import Run as Trace
from mc2.operators.run import keep_memory, use_threads
from mc2.operators.seams import ends_of
from mc2.plan.bands import rooms
from mc2.plan.check import CheckedPlan, uses
from mc2.plan.expressions import ColumnRef, Expression, Literal
from mc2.plan.facts import Facts, collected_most
from mc2.plan.linear_models import Apply, FitClusters, FitLinear
from mc2.plan.models import (
    Annotate,
    CrossValidate,
    History,
    Matrix,
    Predict,
    Recall,
    Slice,
    Train,
)
from mc2.plan.oblivious_functions import STATISTICS
from mc2.plan.oblivious_joins import join_form
from mc2.plan.oblivious_lists import COLLECTING
from mc2.plan.oblivious_models import sizes_show
from mc2.plan.oblivious_rewrites import as_run
from mc2.plan.oblivious_steps import is_computed, sorted_columns, steps, ties
from mc2.plan.ordering import ordered_nodes
from mc2.plan.plan import Operation, Plan, PlanOutput
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Distinct,
    Explode,
    Filter,
    Join,
    Limit,
    Mark,
    PairBound,
    Project,
    RowBound,
    Scan,
    Sort,
    Union,
    Values,
)
from mc2.plan.shapes import NO_USEFUL_BOUND, LinearShape, ModelShape
from mc2.plan.typing import type_of
from mc2.plan.windows import Window

_CHUNK_ROWS: Final = 1 << 16
_CHUNK_BYTES: Final = 8 * 1024 * 1024


def execute(  # noqa: PLR0913 - what a run has
    checked: CheckedPlan,
    tables: Mapping[str, ChunkSource],
    progress: Callable[[str], None],
    trace: Trace | None = None,
    *,
    threads: int = 1,
    key: bytes = b"",
    together: Together | None = None,
) -> Mapping[str, PaddedOutput | ModelOutput]:
    """Compute a plan's outputs, by name, from its inputs, by dataset: `as_run` of it is run.

    `progress` is told in words what is being done, never a value of the data. Kernels use so many
    `threads`, by a fixed partition. `key` is 32 random bytes of this job alone, which nobody
    outside knows: trainings draw from it what they do at random. Plans without any need none.
    Trainings that `together` names run there: of what they alone read nothing is computed here.

    Raises: PlanError if the plan is none for oblivious mode; EngineError if a computation failed,
    without saying where; what reading an input raises.
    """
    if checked.plan.mode != "oblivious":
        raise PlanError("the plan is for another mode")
    use_threads(threads)
    checked = as_run(checked)
    run = PlanRun(checked, tables, progress, trace or Trace(), key, together)
    apart = frozenset(() if together is None else together.nodes)
    wanted = _wanted(checked.plan, [o.node for o in checked.plan.outputs], apart)
    for index in range(len(checked.plan.nodes)):
        run.compute(index, skip=index not in wanted)
    found = {o.name: run.output(o) for o in checked.plan.outputs}
    run.trace.finish()
    return found


def compute_rows(
    checked: CheckedPlan,
    tables: Mapping[str, ChunkSource],
    nodes: Sequence[int],
    trace: Trace,
) -> tuple[Mapping[int, SecretTable], Mapping[int, SecretMarks]]:
    """The rows of some nodes, by node, those that are there first: what one matrix takes of them.

    And, by input, the ends of the chunks that were read (`mc2.operators.seams`). `tables` may have
    some chunks of an input alone, if every node takes each row by itself
    (`mc2.plan.trained_together`).

    Raises: as `execute`; nothing that failed shows before the flags of `trace` are looked at.
    """
    run = PlanRun(checked, tables, lambda _: None, trace, b"")
    wanted = _wanted(checked.plan, nodes, frozenset())
    ends: dict[int, SecretMarks] = {}
    for index in sorted(wanted):
        run.compute(index)
        operation = checked.plan.nodes[index].operation
        if isinstance(operation, Scan):
            ends[operation.input] = run.ends(index, operation)
    return {n: run.rows(n) for n in nodes}, ends


def _wanted(plan: Plan, nodes: Iterable[int], apart: Collection[int]) -> set[int]:
    """The nodes that some nodes rest on, and these; of what is trained apart nothing is read."""
    found: set[int] = set()
    waiting = list(nodes)
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += () if here in apart else plan.nodes[here].operation.sources
    return found


def _statistic(evaluator: Evaluator, column: AggregateColumn) -> statistics.Statistic:
    """A statistic of rows, with its arguments computed where its condition holds."""
    where, here = None, evaluator
    if column.where is not None:
        where = logic.value_marks(evaluator.run, evaluator.of(column.where))
        here = evaluator.where(where)
    value, *others = column.arguments
    second, share = None, 0.0
    if column.function.startswith("percentile"):
        share = float(others[0].text or 0) if isinstance(others[0], Literal) else 0.0
    elif others:
        second = here.of(others[0])
    return statistics.Statistic(column.name, column.function, here.of(value), second, share, where)


class PlanRun:
    """One run: the tables of the nodes that others still read."""

    _keeps_scans = True  # until limits have fetched from them

    def __init__(
        self,
        checked: CheckedPlan,
        tables: Mapping[str, ChunkSource],
        progress: Callable[[str], None],
        trace: Trace,
        key: bytes,
        together: Together | None = None,
    ) -> None:
        keep_memory()
        self.trace = trace
        self._plan = checked.plan
        self._facts: tuple[Facts, ...] = checked.facts
        self._learner = Learner(trace, checked.plan, key, progress, together)
        self._linear = LinearLearner(trace)
        self._shapes = checked.shapes
        self._rooms = rooms(checked.plan.nodes)
        self._sources = tables
        self._sizes_show = sizes_show(checked.plan.nodes)
        self._progress = progress
        self._ordered = ordered_nodes(checked.plan.nodes)
        self._tables: dict[int, SecretTable] = {}
        self._readers_left = uses(checked.plan.nodes, checked.plan.outputs)
        self._steps = steps(
            checked.plan, checked.facts, self._readers_left, fetches=self._keeps_scans
        )
        for late in self._steps.late.values():
            for fetch in late.fetches:
                self._readers_left[fetch.source] += 1

    def rows(self, index: int) -> SecretTable:
        """The rows of a node that others still read, those that are there first."""
        return self._in_front(index, self._tables[index])

    def ends(self, index: int, operation: Scan) -> SecretMarks:
        """The ends of the chunks of a scan, which has just been computed."""
        chunks = self._sources[self._plan.inputs[operation.input].dataset]
        return ends_of(self.trace, self._tables[index].present, chunks.form)

    def compute(self, index: int, *, skip: bool = False) -> None:
        """Compute a node into a table with no more places than its bound; or leave it out."""
        if not skip:
            self._compute(index)
        late = self._steps.late.get(index)
        fetched = () if late is None else tuple(f.source for f in late.fetches)
        for source in (*self._plan.nodes[index].operation.sources, *fetched):
            self._readers_left[source] -= 1
            if not self._readers_left[source]:
                self._tables.pop(source, None)
                self._learner.forget_matrix(source)
                self._linear.forget_matrix(source)

    def _compute(self, index: int) -> None:
        node = self._plan.nodes[index]
        self._progress(f"node {index}: {node.operation.OP}")
        match node.operation:
            case Matrix(sources=sources) as operation:
                tables = [self._in_front(s, self._tables[s]) for s in sources]
                places = (
                    sum(t.rows for t in tables) if self._sizes_show else self._facts[index].rows
                )
                self._learner.add_matrix(index, operation, tables, places)
                self._linear.add_matrix(index, operation, tables)
            case Train() as operation:
                self._learner.train(index, operation)
            case Slice() | Annotate() as operation:
                self._learner.derive(index, operation)
            case FitLinear() | FitClusters() as operation:
                self._linear.fit(index, operation)
            case Recall() as operation:
                self._recall(index, operation)
            case operation:
                table = self._node(index, operation)
                names = [n for n in self._schema(index).names if n in self._steps.needed[index]]
                table = SecretTable({n: table.columns[n] for n in names}, table.present)
                self._tables[index] = ordering.bounded(self.trace, table, self._facts[index].rows)

    def _recall(self, index: int, operation: Recall) -> None:
        """Load a model that an earlier job kept, as secret as it was there."""
        shape, source = self._shapes[index], self._plan.inputs[operation.input]
        kept = self._sources[source.dataset]
        if not isinstance(kept, ModelSource):
            raise EngineError(f"{source.dataset} is no kept model")
        if isinstance(shape, ModelShape) and source.model is not None:
            self._learner.recall(index, shape, source.model.matrix, kept.file())
        elif isinstance(shape, LinearShape):
            self._linear.recall(index, shape, kept.file())

    def _schema(self, index: int) -> Schema:
        schema = self._plan.nodes[index].schema
        if schema is None:
            raise TypeError("oblivious plans have relations only")
        return schema

    def _node(self, index: int, operation: Operation) -> SecretTable:  # noqa: PLR0911 - one a case
        match operation:
            case Scan():
                return self._scan(operation)
            case Values():
                return self._values(index, operation)
            case Join() | Mark():
                return self._join(operation, index)
            case Union(sources=sources):
                return self._union(index, sources)
            case Aggregate():
                source = self._tables[operation.source]
                return self._aggregate(operation, source, index)
            case Window():
                return self._window(operation, index)
            case Explode():
                return self._explode(operation, self._tables[operation.source])
            case Apply():
                return self._linear.told(operation, self._schema(index), self._facts[index])
            case Predict() | History() | CrossValidate():
                facts = self._facts[index]
                return self._learner.told(index, operation, self._schema(index), facts)
            case _:
                return self._of_one(operation, self._tables[operation.sources[0]], index)

    def _of_one(self, operation: Operation, source: SecretTable, index: int) -> SecretTable:
        match operation:
            case Project():
                evaluator, needed = Evaluator.over(self.trace, source), self._steps.needed[index]
                wanted = [c for c in operation.columns if is_computed(c, needed)]
                columns = {c.name: evaluator.of(c.expression) for c in wanted}
                return SecretTable(columns, source.present)
            case Filter():
                return self._tested(source, self._steps.filters[index])
            case Distinct():
                by = self._facts[operation.source].fewest(list(source.columns))
                return grouping.group(self.trace, source, list(source.columns), [], None, by)
            case Sort():
                return self._sort(operation, source, self._steps.first.get(index))
            case Limit():
                return self._fetched(index, self._limit(operation, source))
            case RowBound():
                return self._bound(operation, source)
            case _:
                raise EngineError(f"oblivious mode has no node {operation.OP}")

    def _explode(self, operation: Explode, source: SecretTable) -> SecretTable:
        elements = Evaluator.over(self.trace, source).of(operation.expression)
        names = operation.name, operation.position
        return exploded(self.trace, source, elements, *names, outer=operation.outer)

    def _scan(self, operation: Scan) -> SecretTable:
        source = self._plan.inputs[operation.input]
        chunks = self._sources[source.dataset]
        if chunks.form.schema != source.schema or chunks.form.facts != source.facts:
            raise EngineError(f"{source.dataset} has other columns than the plan says")
        return read_chunks(self.trace, chunks.form, list(chunks.plains()), operation.columns)

    def _values(self, index: int, operation: Values) -> SecretTable:
        columns = {}
        for place, column in enumerate(self._schema(index).columns):
            layout = layout_of(column.type, self._facts[index].widths or {}, column.name)
            values = [literal_number(row[place]) for row in operation.rows]
            columns[column.name] = column_of_values(layout, values)
        present = np.ones(len(operation.rows), dtype=np.uint8)
        return SecretTable(columns, SecretMarks(present))

    def _tested(self, table: SecretTable, condition: Expression | None) -> SecretTable:
        """The rows for which a condition is true; all of them for none."""
        if condition is None:
            return table
        value = Evaluator.over(self.trace, table).of(condition)
        return SecretTable(table.columns, logic.restrict(self.trace, table.present, value))

    def _join(self, operation: Join | Mark, index: int) -> SecretTable:
        before = self._steps.before.get(index, (None, None))
        left = self._tested(self._tables[operation.left], before[0])
        right = self._tested(self._tables[operation.right], before[1])
        schemas = self._schema(operation.left), self._schema(operation.right)
        facts = self._facts[operation.left], self._facts[operation.right]
        room = self._rooms.get(index, NO_USEFUL_BOUND)
        form = join_form(operation, *schemas, facts, room)
        joiner = Joiner(self.trace, form, left, right, self._steps.needed[index])
        if isinstance(operation, Mark):
            return joiner.mark(operation.name)
        return joiner.join(operation.how)

    def _union(self, index: int, sources: tuple[int, ...]) -> SecretTable:
        names = self._schema(index).names
        tables = []
        for source in sources:
            table = self._tables[source]
            columns = zip(names, table.columns.values(), strict=True)
            fitted = {n: self._fitted(c, index, n) for n, c in columns}
            tables.append(SecretTable(fitted, table.present))
        return ordering.union_all(tables, names)

    def _aggregate(self, operation: Aggregate, source: SecretTable, index: int) -> SecretTable:
        by = self._facts[operation.source].fewest(operation.keys)
        rows = self._facts[index].rows
        left_out = self._steps.left_out.get(index, frozenset())
        keys = [k for k in operation.keys if k not in left_out]
        lists = [a for a in operation.aggregates if a.function in COLLECTING]
        if lists:
            return self._collect(operation, source, index, lists)
        last = [a for a in operation.aggregates if a.function in STATISTICS]
        others = tuple(a for a in operation.aggregates if a not in last)
        rest = replace(operation, aggregates=others)
        wanted = self._wanted(rest, source, index)
        if not last:
            columns = self._schema(operation.source).columns
            nullable = [c.name for c in columns if c.nullable]
            return group_few(self.trace, source, keys, wanted, rows, by, nullable)
        more = [_statistic(Evaluator.over(self.trace, source), a) for a in last]
        return statistics.group_statistics(self.trace, source, keys, wanted, more, rows, by)

    def _collect(
        self,
        operation: Aggregate,
        source: SecretTable,
        index: int,
        lists: Sequence[AggregateColumn],
    ) -> SecretTable:
        """An aggregate of which some give all values of a group."""
        left = tuple(a for a in operation.aggregates if a not in lists)
        rest = self._aggregate(replace(operation, aggregates=left), source, index)
        rest = ordering.rows_to_front(self.trace, rest)
        wanted = [self._collected(operation.source, source, a) for a in lists]
        by = self._facts[operation.source].fewest(operation.keys)
        found = collecting.collect_groups(self.trace, source, operation.keys, wanted, rest.rows, by)
        return SecretTable({**rest.columns, **found}, rest.present)

    def _collected(
        self, index: int, source: SecretTable, column: AggregateColumn
    ) -> collecting.Collected:
        where, here = None, Evaluator.over(self.trace, source)
        if column.where is not None:
            where = logic.value_marks(self.trace, here.of(column.where))
            here = here.where(where)
        value, *others = column.arguments
        mark = None
        if column.function == "join_texts" and isinstance(others[0], Literal):
            mark = (others[0].text or "").encode()
        return collecting.Collected(
            column.name,
            here.of(value),
            collected_most(column, self._facts[index].rows),
            column.distinct or column.function == "collect_set",
            mark,
            where,
        )

    def _wanted(
        self, operation: Aggregate, source: SecretTable, index: int
    ) -> list[grouping.Aggregate]:
        """The aggregates of a node over some rows, with their arguments computed."""
        schema = self._schema(index)
        evaluator = Evaluator.over(self.trace, source)
        wanted = []
        for column in operation.aggregates:
            where, here = None, evaluator
            if column.where is not None:
                where = logic.value_marks(self.trace, evaluator.of(column.where))
                here = evaluator.where(where)
            argument = here.of(column.arguments[0]) if column.arguments else None
            kind = schema.by_name()[column.name].type
            wanted.append(
                grouping.Aggregate(
                    column.name, column.function, argument, kind, where, column.distinct
                )
            )
        return wanted

    def _window(self, operation: Window, index: int) -> SecretTable:
        schemas = self._schema(operation.source), self._schema(index)
        source = self._tables[operation.source]
        return compute_window(self.trace, operation, source, schemas, self.window_ties(operation))

    def window_ties(self, operation: Window) -> ordering.Ties:
        """What to look at, where rows of one partition are equal in its order."""
        orders = (k.expression for k in operation.order)
        names = [e.name for e in orders if isinstance(e, ColumnRef)]
        return self._ties(operation.source, [*operation.keys, *names])

    def _sort(self, operation: Sort, source: SecretTable, first: int | None = None) -> SecretTable:
        return ordering.sort_table(self.trace, source, *self.orders(operation, source), first)

    def orders(
        self, operation: Sort, source: SecretTable
    ) -> tuple[list[ordering.Order], ordering.Ties]:
        """What a sort compares, and then its ties."""
        evaluator = Evaluator.over(self.trace, source)
        columns = self._schema(operation.source).by_name()
        orders = [
            ordering.Order(
                evaluator.of(k.expression),
                k.descending,
                k.nulls_first,
                type_of(k.expression, columns).nullable,
            )
            for k in operation.keys
        ]
        return orders, self._ties(operation.source, sorted_columns(operation))

    def ties_are_refused(self, operation: Sort) -> bool:
        """Whether facts say that no two rows are equal in all that a sort compares."""
        return self._ties(operation.source, sorted_columns(operation)).unique

    def _ties(self, index: int, sorted_by: Sequence[str]) -> ordering.Ties:
        """What to look at, where rows agree in some columns: up to where no two agree."""
        schema = self._schema(index)
        found = ties(self._facts[index], schema.names, sorted_by)
        nullable = [c.name for c in schema.columns if c.nullable]
        return ordering.Ties(found.columns, found.decided, nullable, unique=found.unique)

    def _in_front(self, index: int, table: SecretTable) -> SecretTable:
        """The rows that are there first, in the order of the node or in that of all columns."""
        if self._ordered[index]:
            return ordering.rows_to_front(self.trace, table)
        return ordering.sort_table(self.trace, table, [], self._ties(index, []))

    def _limit(self, operation: Limit, source: SecretTable) -> SecretTable:
        table = self._in_front(operation.source, source)
        return ordering.limit(self.trace, table, operation.count, operation.offset)

    def _fetched(self, index: int, table: SecretTable) -> SecretTable:
        """The rows that a limit keeps, with the columns that they get at last."""
        late = self._steps.late.get(index)
        for fetch in () if late is None else late.fetches:
            source = self._tables[fetch.source]
            on = [On(table.columns[a], source.columns[b]) for a, b in fetch.by]
            theirs = {name: source.columns[c] for name, c in fetch.columns}
            table = joining.fetched(self.trace, table, SecretTable(theirs, source.present), on)
        return table

    def _bound(self, operation: RowBound, source: SecretTable) -> SecretTable:
        if isinstance(operation, PairBound):
            counts = Evaluator.over(self.trace, source).of(operation.counts)
            counting.check_total(self.trace, source.present, counts, operation.rows)
        table = ordering.bounded(self.trace, source, operation.rows)
        if operation.leak == "none":
            return table
        ordering.check_bound(self.trace, marks_of(source.present), operation.rows)
        rows = ordering.declassified_rows(self.trace, table, operation.leak)
        return ordering.bounded(self.trace, table, rows)

    def _fitted(self, value: SecretColumn, index: int, name: str) -> SecretColumn:
        """A column in rows of the size that facts say."""
        return in_layout(value, layout_of(value.type, self._facts[index].widths or {}, name))

    def output(self, output: PlanOutput) -> PaddedOutput | ModelOutput:
        """The result of an output: its rows first, in chunks of one size; or a model."""
        self._progress(f"computing {output.name}")
        index = output.node
        shape = self._shapes[index]
        if isinstance(shape, LinearShape):
            return self._linear.kept(index) if output.keep else self._linear.output(index, shape)
        if output.kind == "model":
            return self._learner.kept(index) if output.keep else self._learner.output(index)
        schema, facts = self._schema(index), self._facts[index]
        table = self._in_front(index, self._tables[index])
        widths = {path: max(1, (facts.widths or {}).get(path, 1)) for path in width_paths(schema)}
        columns = {n: self._fitted(c, index, n) for n, c in table.columns.items()}
        places = fixed_places(schema, widths, _rows_per_chunk(schema, widths, table.rows))
        chunks = write_chunks(self.trace, SecretTable(columns, table.present), schema, places)
        return PaddedOutput(schema, places, widths, table.rows, tuple(chunks))


def _rows_per_chunk(schema: Schema, widths: Mapping[str, int], rows: int) -> int:
    """By public facts alone: for chunks of about 8 MiB, and not more places than rows."""
    wanted = max(1, min(rows, _CHUNK_ROWS, LIMITS.chunk_rows))
    while wanted > 1 and fixed_places(schema, widths, wanted).size > _CHUNK_BYTES:
        wanted //= 2
    return wanted
