"""Stages of a plan in oblivious mode, as canonical JSON has them, and how pieces become such."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from mc2.formats.canonical import Json
from mc2.plan.oblivious_deals import Deal
from mc2.plan.plan import Plan
from mc2.plan.relations import Scan
from mc2.plan.stages import DatasetSource, Exchange, Layout, Stage, StagePlan
from mc2.plan.stages_pieces import Piece, Pieces
from mc2.plan.stages_write import Draft, StageWriter, apart, place_in

_SORTS: Final = frozenset({"arrange", "place", "pair"})


@dataclass(frozen=True, slots=True)
class Step:
    """A node of the plan, over the results of earlier steps of its stage, by place.

    Or of a source of the stage: then the step reads an input, or what another stage hands on of
    this node. `work`: what of the node is done. `arrange` sorts a task's own rows, in `places`,
    by what the node needs next to each other; `carry` finds the row that later tasks must see;
    `finish` computes the node of rows that are in order over all tasks. `part`: it is done for one
    part of an aggregate or a `full` join alone, by number; `means` and `distances` are work for the
    former, and `together` is one table of both parts of the latter. `number`, `place`, `last`,
    `pair`, `partner` and `match` are the work of a join of many rows with many.
    """

    node: int
    reads: tuple[int, ...]
    source: int | None = None
    work: str = "compute"
    places: int | None = None
    part: int | None = None

    def json(self) -> Json:
        """The step as canonical JSON has it."""
        return {
            "node": self.node,
            "reads": list(self.reads),
            "source": self.source,
            "work": self.work,
            "places": self.places,
            "part": self.part,
        }


@dataclass(frozen=True, slots=True)
class ObliviousExchange(Exchange):
    """What each task hands on of one step, `node`, in so many places whatever its rows are.

    `reader`: the node of the plan for which alone it is, and which has already been computed of
    the task's own rows; `rows`: of that no more than so many. `deal`: what is handed on are rows
    in order, to each task its part.
    """

    reader: int | None = None
    rows: int | None = None
    deal: Deal | None = None

    def json(self) -> Json:
        """The exchange as canonical JSON has it."""
        return {
            "node": self.node,
            "partial": None if self.partial is None else self.partial.json(),
            "schema": self.schema.json(),
            "reader": self.reader,
            "rows": self.rows,
            "deal": None if self.deal is None else self.deal.json(),
        }


@dataclass(frozen=True, slots=True)
class ObliviousStage(Stage):
    """A piece of a plan in oblivious mode: its facts are those of the whole plan."""

    steps: tuple[Step, ...] = ()

    def json(self) -> Json:
        """The stage as canonical JSON has it."""
        return {
            "tasks": self.tasks,
            "sources": [s.json() for s in self.sources],
            "steps": [s.json() for s in self.steps],
            "exchanges": [e.json() for e in self.exchanges],
        }


@dataclass(frozen=True, slots=True)
class Work:
    """What of a node a piece does, in so many places, and for which part of it."""

    kind: str = "compute"
    places: int | None = None
    part: int | None = None


@dataclass(slots=True)
class Notes:
    """What is known of pieces beside themselves.

    `node_of`: the node of the plan. `reduced`: of an exchange the node for which alone it is, and
    of how many rows of it. `work`: what is done, if not all of the node. `deals`: of an exchange
    the places that go to each task.
    """

    node_of: dict[int, int] = field(default_factory=dict)
    reduced: dict[int, tuple[int, int | None]] = field(default_factory=dict)
    work: dict[int, Work] = field(default_factory=dict)
    deals: dict[int, Deal] = field(default_factory=dict)


def write_obliviously(
    plan: Plan, layout: Layout, pieces: Pieces, notes: Notes, wanted: Mapping[int, int]
) -> StagePlan:
    """The stages of a plan; `wanted` says for each node that is put out which piece it is."""
    writer = _StepWriter(plan, pieces, notes, layout.partitions)
    writer.write()
    outputs = tuple(
        replace(o, node=writer.places[pieces.direct(wanted[o.node])]) for o in plan.outputs
    )
    stages = tuple(
        ObliviousStage(d.tasks, tuple(d.sources), (), tuple(d.exchanges), tuple(d.computed))
        for d in writer.drafts
    )
    return StagePlan(plan.digest, layout, stages, outputs)


class _StepWriter(StageWriter[Step, ObliviousExchange]):
    """Writes stages whose steps are nodes of the whole plan."""

    def __init__(self, plan: Plan, pieces: Pieces, notes: Notes, partitions: int) -> None:
        super().__init__(pieces, partitions)
        self._plan, self._notes = plan, notes

    def _operation(self, draft: Draft[Step, ObliviousExchange], place: int, piece: Piece) -> int:
        node = self._notes.node_of[place]
        operation = self._plan.nodes[node].operation
        if isinstance(operation, Scan):
            source = place_in(draft.sources, DatasetSource(operation.input, piece.split))
            return place_in(draft.computed, Step(node, (), source))
        work = self._notes.work.get(place, Work())
        places = work.places if work.kind in _SORTS else None
        reads = tuple(self._reads(piece)[r] for r in piece.reads)
        return place_in(draft.computed, Step(node, reads, None, work.kind, places, work.part))

    def _exchange(
        self, producer: Draft[Step, ObliviousExchange], place: int, piece: Piece, origin: int
    ) -> ObliviousExchange:
        schema = self._plan.nodes[producer.computed[origin].node].schema
        if schema is None:
            raise TypeError("only relations are exchanged")
        reader, rows = self._notes.reduced.get(place, (None, None))
        deal = self._notes.deals.get(place)
        parts = self._partitions if piece.kind == "deal" else 1
        return ObliviousExchange(origin, parts, (), apart(piece), schema, reader, rows, deal)

    def _read(
        self,
        draft: Draft[Step, ObliviousExchange],
        source: int,
        piece: Piece,
        exchange: ObliviousExchange,
    ) -> int:
        del exchange
        origin = self._pieces.direct(piece.origin or 0)
        producer = self.drafts[self._stage[self._pieces.group(origin)]]
        node = producer.computed[self.places[origin]].node
        return place_in(draft.computed, Step(node, (), source))
