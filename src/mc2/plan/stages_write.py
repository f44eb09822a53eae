"""Writes groups of pieces as stages, in an order in which each comes after those that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mc2.formats.schema import Schema
from mc2.plan.build import renumbered
from mc2.plan.partial import result_schema
from mc2.plan.plan import Node, Plan
from mc2.plan.relations import Aggregate, Scan
from mc2.plan.stages import (
    DatasetSource,
    Exchange,
    ExchangeSource,
    Layout,
    Source,
    Stage,
    StagePlan,
)
from mc2.plan.stages_pieces import ROOT, Piece, Pieces


@dataclass(slots=True)
class _Draft:
    """A stage being written."""

    tasks: int
    sources: list[Source] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)

    def source(self, source: Source) -> int:
        if source not in self.sources:
            self.sources.append(source)
        return self.sources.index(source)

    def exchange(self, exchange: Exchange) -> int:
        if exchange not in self.exchanges:
            self.exchanges.append(exchange)
        return self.exchanges.index(exchange)

    def node(self, node: Node) -> int:
        if node not in self.nodes:
            self.nodes.append(node)
        return self.nodes.index(node)


def write_stages(
    plan: Plan, layout: Layout, pieces: Pieces, wanted: Mapping[int, int]
) -> StagePlan:
    """The stages of a plan; `wanted` says for each node that is put out which piece it is."""
    writer = _Writer(pieces, layout.partitions)
    for group in group_order(pieces, writer.members):
        writer.write(group)
    outputs = tuple(
        replace(o, node=writer.places[pieces.direct(wanted[o.node])]) for o in plan.outputs
    )
    stages = tuple(
        Stage(d.tasks, tuple(d.sources), tuple(d.nodes), tuple(d.exchanges)) for d in writer.drafts
    )
    return StagePlan(plan.digest, layout, stages, outputs)


def members_of(pieces: Pieces) -> dict[int, list[int]]:
    """The pieces of each group that are really computed or read."""
    members: dict[int, list[int]] = {}
    for place in range(1, len(pieces.items)):
        if pieces.direct(place) == place:
            members.setdefault(pieces.group(place), []).append(place)
    return members


def group_order(pieces: Pieces, members: Mapping[int, Sequence[int]]) -> list[int]:
    """Groups after those that they read, as early as their first piece stands; root last."""
    done: dict[int, None] = {}
    root = pieces.group(ROOT)
    for group in [g for g in sorted(members) if g != root]:
        _visit(pieces, members, group, done)
    done[root] = None
    return list(done)


def _visit(
    pieces: Pieces, members: Mapping[int, Sequence[int]], group: int, done: dict[int, None]
) -> None:
    waiting = [group]
    while waiting:
        here = waiting[-1]
        origins = (pieces.items[m].origin for m in members[here])
        below = [g for o in origins if o is not None if (g := pieces.group(o)) not in done]
        if below and here not in done:
            waiting += below
        else:
            done[here] = None
            waiting.pop()


class _Writer:
    def __init__(self, pieces: Pieces, partitions: int) -> None:
        self._pieces = pieces
        self._partitions = partitions
        self.members = members_of(pieces)
        self._stage: dict[int, int] = {}
        self.drafts: list[_Draft] = []
        self.places: dict[int, int] = {}

    def write(self, group: int) -> None:
        """Write one group as a stage."""
        split = any(self._pieces.items[m].split for m in self.members.get(group, ()))
        draft = _Draft(self._partitions if split else 1)
        self._stage[group] = len(self.drafts)
        self.drafts.append(draft)
        for member in self.members.get(group, ()):
            self.places[member] = self._member(draft, self._pieces.items[member])

    def _member(self, draft: _Draft, piece: Piece) -> int:
        if piece.origin is not None:
            return self._exchanged(draft, piece, self._pieces.direct(piece.origin))
        if piece.node is None:
            raise RuntimeError("every piece but the first is an operation or an exchange")
        operation = piece.node.operation
        if piece.dataset and isinstance(operation, Scan):
            place = draft.source(DatasetSource(operation.input, piece.split))
            return draft.node(Node(replace(operation, input=place), piece.node.schema))
        places = {r: self.places[self._pieces.direct(r)] for r in piece.reads}
        return draft.node(Node(renumbered(operation, places), piece.node.schema))

    def _exchanged(self, draft: _Draft, piece: Piece, origin: int) -> int:
        stage = self._stage[self._pieces.group(origin)]
        producer = self.drafts[stage]
        schema = producer.nodes[self.places[origin]].schema
        if schema is None:
            raise RuntimeError("only relations are exchanged")
        parts = self._partitions if piece.kind == "hash" else 1
        place = producer.exchange(
            Exchange(self.places[origin], parts, piece.keys, _apart(piece), schema)
        )
        source = draft.source(ExchangeSource(stage, place, piece.kind, piece.ordered))
        shown = schema if piece.partial is None else result_schema(piece.partial, schema)
        return draft.node(_scan(source, shown))


def _apart(piece: Piece) -> Aggregate | None:
    """The aggregate as it stands over the rows of the exchange alone."""
    return None if piece.partial is None else replace(piece.partial, source=0)


def _scan(source: int, schema: Schema) -> Node:
    return Node(Scan(source, schema.names), schema)
