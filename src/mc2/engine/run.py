"""Runs a checked plan in encrypted mode: relations in DuckDB, models in XGBoost.

A node's result is kept as a table where several others read it; the nodes between are parts of one
query, which DuckDB optimises as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, Protocol

import pyarrow as pa

from mc2.engine import linear, trees
from mc2.engine.database import Database, DatabaseAhead
from mc2.engine.inputs import HELD_SHARE, inputs_to_hold, read_inputs
from mc2.engine.limits import EngineLimits
from mc2.engine.matrices import MatrixData
from mc2.engine.opened_models import opened_numbers, opened_trees
from mc2.engine.outputs import ModelOutput, Output, TableOutput, TableSource
from mc2.engine.routines import Routine
from mc2.engine.sql_lookups import select
from mc2.engine.sql_relations import QueryWriter
from mc2.engine.sql_terms import Scribe
from mc2.errors import EngineError
from mc2.formats.worker_progress import round_trained
from mc2.operators.run import use_threads
from mc2.plan.check import CheckedPlan, uses
from mc2.plan.drawn_edges import drawn_matrices
from mc2.plan.linear_models import Apply, LinearOperation
from mc2.plan.models import (
    Annotate,
    CrossValidate,
    History,
    Inspect,
    Matrix,
    ModelOperation,
    Predict,
    Recall,
    Slice,
    Train,
)
from mc2.plan.ordering import ordered_nodes
from mc2.plan.plan import Node, PlanOutput
from mc2.plan.relations import RowBound, Scan
from mc2.plan.shapes import LinearShape, MatrixShape, ModelShape, Shape, TableShape

_CHAIN: Final = 40  # nodes nested in one query, so that no plan exhausts DuckDB's stack


def execute(
    checked: CheckedPlan,
    tables: Mapping[str, TableSource],
    limits: EngineLimits,
    progress: Callable[[str], None],
    ahead: DatabaseAhead | None = None,
    key: bytes = b"",
) -> Mapping[str, Output]:
    """Compute a plan's outputs, by name, from its inputs, by dataset.

    `ahead` is a database that was opened within the same limits. `key` is 32 random bytes of this
    job alone, which nobody outside knows: noisy edges are drawn from it. Plans without need none.

    `progress` is told in words what is being done, never a value of the data. What it raises ends
    the run.

    Raises: EngineError, and what reading an input raises.
    """
    with ahead.take() if ahead is not None else Database(limits) as database:
        run = Run(checked, database, limits, progress)
        run.key = key
        run.read_inputs(tables)
        for index in range(len(checked.plan.nodes)):
            run.compute(index)
        return {o.name: run.output(o) for o in checked.plan.outputs}


class Together(Protocol):
    """The trainings of a plan that several enclaves share."""

    @property
    def nodes(self) -> Collection[int]:
        """Their nodes."""
        ...

    @property
    def read(self) -> Collection[int]:
        """The inputs that they alone read, by place."""
        ...

    def train(self, node: int, tell: Callable[[int], None]) -> tuple[bytes, trees.Metrics]:
        """Train; the model's file and its metrics."""
        ...


class Run:
    """One run: what is stored so far, and how to write queries over it.

    `shuffled` are the inputs whose rows have no order. From `key` noisy edges are drawn.
    """

    key: bytes = b""

    def __init__(
        self,
        checked: CheckedPlan,
        database: Database,
        limits: EngineLimits,
        progress: Callable[[str], None],
        shuffled: Collection[int] = (),
        together: Together | None = None,
    ) -> None:
        self._plan = checked.plan
        self._drawn = drawn_matrices(checked.plan.nodes)
        self._shapes = checked.shapes
        self._lineages = checked.lineages
        self._database = database
        self._threads = limits.threads
        self._memory_bytes = limits.memory_bytes
        self._progress = progress
        self._ordered = ordered_nodes(self._plan.nodes, shuffled)
        self._stored: dict[int, str] = {}
        self._inputs: dict[int, tuple[str, Mapping[str, int]]] = {}
        self._kept_models: dict[int, TableSource] = {}
        self._matrices: dict[int, MatrixData] = {}
        self._models: dict[int, trees.Model] = {}
        self._linear_models: dict[int, linear.LinearModel] = {}
        self._plain_rows: dict[int, linear.PlainRows] = {}
        self._together = together
        shared = () if together is None else together.nodes
        self._linear_matrices, self._boosted_matrices = _readers(self._plan.nodes, shared)
        self._uses = uses(self._plan.nodes, self._plan.outputs)
        self._readers_left = list(self._uses)
        self._depths: list[int] = []

    def read_inputs(self, tables: Mapping[str, TableSource]) -> None:
        """Attach each input; some are held in memory, to be opened once or to be joined well."""
        reads = read_inputs(self._plan, self._uses)
        held = inputs_to_hold(self._plan, reads, self._uses, self._memory_bytes)
        room = self._memory_bytes // HELD_SHARE
        for place, source in enumerate(self._plan.inputs):
            table = tables[source.dataset]
            if table.schema != source.schema:
                raise EngineError(f"{source.dataset} has other columns than the plan says")
            if source.model is not None:
                self._kept_models[place] = table
                continue
            names = reads[place].names
            self._attach(place, table, names)
            self._inputs[place] = (f"s{place}", {n: i for i, n in enumerate(names)})
            if place in held or reads[place].times > 1:
                self._progress(f"reading {source.dataset}")
            taken = self._database.hold(f"s{place}", room) if place in held else None
            if taken is not None:
                room -= taken
            elif reads[place].times > 1:
                self._store_input(place, len(names))

    def _store_input(self, place: int, columns: int) -> None:
        """Store an input that is too large to be held in the database, which bounds its memory."""
        query = select(", ".join(f"c{i}" for i in range(columns)), f"s{place}")
        self._database.store(f"i{place}", query, ())
        self._inputs[place] = (f"i{place}", self._inputs[place][1])

    def _attach(self, place: int, table: TableSource, names: tuple[str, ...]) -> None:
        """Make the columns that the plan reads of an input readable as `s` and its place."""
        self._database.attach(f"s{place}", table, names)

    def compute(self, index: int) -> None:
        """Compute a node, unless it can be part of the query of the only one that reads it."""
        operation, shape = self._plan.nodes[index].operation, self._shapes[index]
        self._depths.append(self._depth(operation.sources))
        match operation:
            case _ if isinstance(operation, ModelOperation):
                if isinstance(shape, TableShape):
                    self._keep(index, self._said(index, operation))
                else:
                    self._learn(index, operation, shape)
            case _ if isinstance(operation, LinearOperation):
                self._linear(index, operation)
            case Scan():
                pass
            case RowBound():
                self._store(index, operation.OP)
                if self._database.count(f"t{index}") > operation.rows:
                    raise EngineError(
                        f"node {index} has more rows than its declared bound of {operation.rows}",
                        hint="declare a larger bound in the script",
                    )
            case _ if self._uses[index] > 1 or self._depths[index] > _CHAIN:
                self._store(index, operation.OP)
        for source in operation.sources:
            self._readers_left[source] -= 1
            if not self._readers_left[source]:  # a matrix is as large as its rows: let it go
                self._matrices.pop(source, None)
                self._plain_rows.pop(source, None)

    def _store(self, index: int, what: str) -> None:
        self._progress(f"node {index}: {what}")
        query, routines = self.query(index, in_order=False)
        self._database.store(f"t{index}", query, routines)
        self._stored[index] = f"t{index}"

    def _depth(self, sources: Sequence[int]) -> int:
        """How many nodes nest in the query of a node over these sources."""
        return 1 + max((self._depths[s] for s in sources if s not in self._stored), default=0)

    def _learn(self, index: int, operation: ModelOperation, shape: Shape) -> None:
        """Compute a matrix or a model, or load one."""
        match operation, shape:
            case Recall(), ModelShape() | LinearShape():
                self._recall(index, operation, shape)
            case Matrix(), MatrixShape():
                if index not in self._boosted_matrices | self._linear_matrices:
                    return  # whoever trains on it reads its rows
                rows = [self._rows(s) for s in operation.sources]
                if index in self._boosted_matrices:
                    self._matrices[index] = trees.matrix(shape, rows, self._threads)
                if index in self._linear_matrices:
                    self._plain_rows[index] = linear.rows(shape, rows)
            case Train(), ModelShape():
                self._models[index] = self._trained(index, operation, shape)
            case Slice(), ModelShape():
                self._models[index] = trees.part(self._models[operation.model], operation, shape)
            case Annotate(), ModelShape():
                model = self._models[operation.model]
                self._models[index] = trees.annotated(model, operation, shape)

    def _said(self, index: int, operation: ModelOperation) -> pa.Table:
        """What a model says: of rows, of its training, of itself."""
        match operation:
            case Predict():
                model, data = self._models[operation.model], self._matrices[operation.matrix]
                self._progress(f"node {index}: predicting")
                return trees.predict(model, operation, data, self._table(index).schema)
            case CrossValidate():
                data = self._matrices[operation.matrix]
                tell = self._teller(index, operation.num_boost_round)
                return trees.validate(operation, data, self._threads, tell)
            case Inspect():
                return trees.inspected(self._models[operation.model], operation)
            case History():
                return trees.history(self._models[operation.model])
            case _:
                raise TypeError("a checked plan has tables where it says so")

    def _recall(self, index: int, operation: Recall, shape: ModelShape | LinearShape) -> None:
        """Load a kept model, whichever mode the job had that kept it."""
        raw, facts = self._file(operation), self._plan.inputs[operation.input].model
        secret = facts is not None and facts.mode == "oblivious"
        if isinstance(shape, LinearShape):
            load = opened_numbers if secret else linear.recalled
            self._linear_models[index] = load(shape, raw)
            return
        if facts is not None and secret:
            raw = opened_trees(shape, facts.matrix, raw)
        self._models[index] = trees.recalled(shape, raw, self._threads)

    def _file(self, operation: Recall) -> bytes:
        """The file of a kept model: one row with one value."""
        self._progress(f"reading {self._plan.inputs[operation.input].dataset}")
        (batch,) = self._kept_models[operation.input].batches()
        (raw,) = batch.column(0).to_pylist()
        return bytes(raw)

    def _linear(self, index: int, operation: LinearOperation) -> None:
        """Fit a linear model or clusters, or say what one says of rows."""
        shape, data = self._shapes[index], self._plain_rows[operation.matrix]
        self._progress(f"node {index}: {operation.OP}")
        use_threads(self._threads)
        if isinstance(shape, LinearShape):
            self._linear_models[index] = linear.fit(shape, data)
        elif isinstance(operation, Apply):
            model = self._linear_models[operation.model]
            self._keep(index, linear.said(model, operation, data, self._table(index).schema))

    def _teller(self, index: int, rounds: int) -> Callable[[int], None]:
        return lambda n: self._progress(round_trained(index, n, rounds))

    def _trained(self, index: int, operation: Train, shape: ModelShape) -> trees.Model:
        start = None if operation.start is None else self._models[operation.start]
        tell = self._teller(index, operation.num_boost_round)
        if self._together is not None and index in self._together.nodes:
            raw, metrics = self._together.train(index, tell)
            return trees.trained_apart(shape, raw, metrics, self._threads)
        owners = self._owners(operation.matrix) if operation.controls.leaf_owners > 1 else ()
        matrices: Mapping[int, MatrixData] = self._matrices
        if operation.matrix in self._drawn:
            draw = self._drawn.index(operation.matrix)
            shapes = {i: s for i, s in enumerate(self._shapes) if isinstance(s, MatrixShape)}
            matrices = trees.cut_to_drawn(
                operation, shapes, matrices, self.key, draw, self._threads
            )
        return trees.train(shape, matrices, start, owners, self._threads, tell)

    def _owners(self, matrix: int) -> list[str]:
        """The one owner of each source of a matrix. Raises: EngineError if one has several."""
        found = []
        for source in self._plan.nodes[matrix].operation.sources:
            names = self._lineages[source].datasets
            owners = {o for i in self._plan.inputs if i.dataset in names for o in i.owners}
            if len(owners) != 1:
                raise EngineError("a source of the matrix has rows of several owners")
            found.append(owners.pop())
        return found

    def _keep(self, index: int, table: pa.Table) -> None:
        self._database.put(f"t{index}", table, self._table(index).schema)
        self._stored[index] = f"t{index}"

    def _writer(self, scribe: Scribe) -> QueryWriter:
        return QueryWriter(self._plan.nodes, self._ordered, self._stored, self._inputs, scribe)

    def _table(self, index: int) -> TableShape:
        shape = self._shapes[index]
        if not isinstance(shape, TableShape):
            raise TypeError("a checked plan reads tables where it says so")
        return shape

    def query(self, index: int, *, in_order: bool) -> tuple[str, Iterable[Routine]]:
        """The query of a relation that was computed, and the routines that it calls."""
        scribe = Scribe()
        text = self._writer(scribe).query(index, in_order=in_order)
        return text, scribe.routines.values()

    def _rows(self, index: int) -> pa.Table:
        """The rows of a relation, in its order or in that of all columns."""
        shape = self._table(index)
        query, routines = self.query(index, in_order=True)
        found = self._database.fetch(query, shape.schema, routines)
        if found.num_rows > shape.row_bound:
            raise EngineError(f"node {index} has more rows than its bound of {shape.row_bound}")
        return found

    def output(self, output: PlanOutput) -> Output:
        """The result of an output."""
        self._progress(f"computing {output.name}")
        if output.kind == "model":
            model = self._models.get(output.node) or self._linear_models[output.node]
            return ModelOutput(model.raw())
        return TableOutput(self._table(output.node).schema, self._rows(output.node))


def _readers(
    nodes: Sequence[Node], shared: Collection[int]
) -> tuple[frozenset[int], frozenset[int]]:
    """Which nodes linear models read, and which XGBoost does but for trainings that are shared."""
    plain, boosted = set[int](), set[int]()
    for index, node in enumerate(nodes):
        if index in shared:
            continue
        read = plain if isinstance(node.operation, LinearOperation) else boosted
        read.update(node.operation.sources)
    return frozenset(plain), frozenset(boosted)
