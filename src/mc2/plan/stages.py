"""A plan cut into stages: what each task of a job reads, computes and hands on.

Every enclave of an epoch cuts its own copy of the plan (`mc2.plan.stages_cut`) and compares
digests; the untrusted side only carries blocks between tasks. Spec: docs/spec/task.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from mc2.crypto.digest import Digest, digest
from mc2.errors import FormatError
from mc2.formats.canonical import Json, encode
from mc2.formats.limits import LIMITS
from mc2.formats.schema import Schema
from mc2.plan.expressions import Expression
from mc2.plan.partial import partial_schema
from mc2.plan.plan import Node, PlanOutput
from mc2.plan.relations import Aggregate

TYPE: Final = "mc2/stages/v1"
PARTITIONS: Final = 1024
KINDS: Final = ("broadcast", "deal", "gather", "hash", "keep")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a job is spread. It follows from public sizes alone, and changes no answer.

    `partitions`: tasks of each stage that is split. `chunks`: those of each input, by place;
    inputs marked in `split` are read in as many parts, others by one task. A relation of at most
    `broadcast_rows` is sent whole to every task of a join rather than split. `rooms`: how many rows
    of each input one task reads at most. A part of fewer than `piece_rows` rows is joined by one
    task, however much larger than the others it is.
    """

    partitions: int
    chunks: tuple[int, ...]
    split: tuple[bool, ...]
    broadcast_rows: int
    rooms: tuple[int, ...]
    piece_rows: int

    def __post_init__(self) -> None:
        if not 1 <= self.partitions <= PARTITIONS:
            raise FormatError(f"a job has 1 to {PARTITIONS} partitions")
        if not len(self.chunks) == len(self.split) == len(self.rooms):
            raise FormatError("a layout does not say of every input whether it is split")

    def json(self) -> Json:
        """The layout as canonical JSON has it."""
        return {
            "partitions": self.partitions,
            "chunks": list(self.chunks),
            "split": list(self.split),
            "broadcast_rows": self.broadcast_rows,
            "rooms": list(self.rooms),
            "piece_rows": self.piece_rows,
        }


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """An input of the plan, by place: `split` over the stage's tasks, or all of it in each."""

    input: int
    split: bool

    def json(self) -> Json:
        """The source as canonical JSON has it."""
        return {"input": self.input, "split": self.split}


@dataclass(frozen=True, slots=True)
class ExchangeSource:
    """What an earlier stage hands on.

    `kind`: a task reads what the task of its own number wrote (`keep`), its own part of what every
    task wrote (`hash`: by keys, `deal`: by public places), or all that every task wrote (`gather`
    into one task, `broadcast` to many). `ordered`: the rows, task after task, stand in the
    relation's order.
    """

    stage: int
    exchange: int
    kind: str
    ordered: bool

    def json(self) -> Json:
        """The source as canonical JSON has it."""
        return {
            "stage": self.stage,
            "exchange": self.exchange,
            "kind": self.kind,
            "ordered": self.ordered,
        }


Source: TypeAlias = DatasetSource | ExchangeSource


@dataclass(frozen=True, slots=True)
class Exchange:
    """A relation that a stage hands on, as each of its tasks writes it.

    `keys` are what rows are spread by over `partitions` parts; without keys all are in part 0.
    With `partial`, each task first sums up its rows, and readers put the sums together.
    """

    node: int
    partitions: int
    keys: tuple[Expression, ...]
    partial: Aggregate | None
    schema: Schema

    @property
    def written(self) -> Schema:
        """The columns of the blocks."""
        return self.schema if self.partial is None else partial_schema(self.partial, self.schema)

    def json(self) -> Json:
        """The exchange as canonical JSON has it."""
        return {
            "node": self.node,
            "partitions": self.partitions,
            "keys": [k.json() for k in self.keys],
            "partial": None if self.partial is None else self.partial.json(),
            "schema": self.schema.json(),
        }


@dataclass(frozen=True, slots=True)
class Stage:
    """A piece of the plan that `tasks` tasks run, each over its part of the sources.

    `nodes` read each other by their place here; a scan's `input` is a place in `sources`.
    """

    tasks: int
    sources: tuple[Source, ...]
    nodes: tuple[Node, ...]
    exchanges: tuple[Exchange, ...]

    def json(self) -> Json:
        """The stage as canonical JSON has it."""
        return {
            "tasks": self.tasks,
            "sources": [s.json() for s in self.sources],
            "nodes": [n.json() for n in self.nodes],
            "exchanges": [e.json() for e in self.exchanges],
        }


@dataclass(frozen=True, slots=True)
class StagePlan:
    """All stages, each after those that it reads; the last has one task and gives the outputs.

    `outputs` name nodes of the last stage.
    """

    plan: Digest
    layout: Layout
    stages: tuple[Stage, ...]
    outputs: tuple[PlanOutput, ...]

    def json(self) -> Json:
        """The stages as canonical JSON has them."""
        return {
            "type": TYPE,
            "plan": self.plan,
            "layout": self.layout.json(),
            "stages": [s.json() for s in self.stages],
            "outputs": [o.json() for o in self.outputs],
        }

    @property
    def digest(self) -> Digest:
        """What enclaves compare before any of them runs a task."""
        return digest(encode(self.json()))

    @property
    def last(self) -> int:
        """The place of the last stage."""
        return len(self.stages) - 1

    def chunks(self, source: DatasetSource, stage: int, partition: int) -> range:
        """The chunks of a dataset that a task reads: runs of equal length, in order."""
        count = self.layout.chunks[source.input]
        if not source.split:
            return range(count)
        tasks = self.stages[stage].tasks
        return range(partition * count // tasks, (partition + 1) * count // tasks)

    def producers(self, source: ExchangeSource, partition: int) -> range:
        """The tasks of a source whose blocks a task reads."""
        if source.kind == "keep":
            return range(partition, partition + 1)
        return range(self.stages[source.stage].tasks)

    def part(self, source: ExchangeSource, partition: int) -> int:
        """The part of an exchange that a task reads."""
        return partition if source.kind in {"hash", "deal"} else 0

    def tasks(self) -> Sequence[tuple[int, int]]:
        """Every task but the last one, by stage and partition, in an order that runs."""
        return [(s, p) for s in range(self.last) for p in range(self.stages[s].tasks)]


@dataclass(frozen=True, slots=True)
class InputSize:
    """What is public of an input: row bound, chunks, their bytes in sum, the rows of a chunk."""

    rows: int
    chunks: int
    size: int
    chunk_rows: int

    def room(self, partitions: int) -> int:
        """How many rows the task with the most chunks reads at most."""
        return min(self.rows, -(-self.chunks // partitions) * self.chunk_rows)


BROADCAST_ROWS: Final = 100_000
PIECE_ROWS: Final = 262_144
"""Two full blocks: fewer rows are joined faster than a task is begun."""
_ROOM: Final = 6
"""How many times its sealed inputs a job may need: decompressed, and hash tables over it."""
_WORTH_SHARING: Final = 64 * 1024 * 1024
"""Bytes of sealed inputs below which moving blocks takes longer than one enclave computes."""


def choose_layout(inputs: Sequence[InputSize], members: int, worker_bytes: int) -> Layout:
    """One fat task where the data fit one worker and are few, else partitions that fit.

    `worker_bytes`: what the engine of each of the `members` may use.
    """
    size = sum(i.size for i in inputs)
    need = _ROOM * size
    if need <= worker_bytes and (members == 1 or size < _WORTH_SHARING):
        return layout_of(inputs, 1)
    # A stage's tasks are spread over the members in whole rounds.
    rounds = -(-need // (worker_bytes * members))
    return layout_of(inputs, min(rounds * members, PARTITIONS))


def layout_of(
    inputs: Sequence[InputSize],
    partitions: int,
    broadcast_rows: int = BROADCAST_ROWS,
    piece_rows: int = PIECE_ROWS,
) -> Layout:
    """A layout of so many partitions. Raises: FormatError."""
    if any(i.chunks > LIMITS.chunks for i in inputs):
        raise FormatError(f"an input has more than {LIMITS.chunks} chunks")
    split = tuple(partitions > 1 and i.chunks > 1 and i.rows > broadcast_rows for i in inputs)
    return Layout(
        partitions=partitions,
        chunks=tuple(i.chunks for i in inputs),
        split=split,
        broadcast_rows=broadcast_rows,
        rooms=tuple(
            i.room(partitions if apart else 1) for i, apart in zip(inputs, split, strict=True)
        ),
        piece_rows=piece_rows,
    )
