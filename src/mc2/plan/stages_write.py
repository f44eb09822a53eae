"""Writes groups of pieces as stages, in an order in which each comes after those that it reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

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

T = TypeVar("T")
E = TypeVar("E", bound=Exchange)


@dataclass(slots=True)
class Draft(Generic[T, E]):
    """A stage being written: what it reads, what it computes, what it hands on; each once."""

    tasks: int
    sources: list[Source] = field(default_factory=list)
    computed: list[T] = field(default_factory=list)
    exchanges: list[E] = field(default_factory=list)


def place_in(found: list[T], value: T) -> int:
    """The place of a value in a list, to which it is added if it is not there."""
    if value not in found:
        found.append(value)
    return found.index(value)


class StageWriter(ABC, Generic[T, E]):
    """Writes the groups of some pieces, each as a draft; modes differ in what a stage computes."""

    def __init__(self, pieces: Pieces, partitions: int) -> None:
        """Write all groups; `places` then tells where in its stage each piece is computed."""
        self._pieces = pieces
        self._partitions = partitions
        self._stage: dict[int, int] = {}
        self.drafts: list[Draft[T, E]] = []
        self.places: dict[int, int] = {}

    def write(self) -> None:
        """Write all groups as stages, the last one for the outputs."""
        members = members_of(self._pieces)
        for group in group_order(self._pieces, members):
            mine = members.get(group, [])
            split = any(self._pieces.items[m].split for m in mine)
            draft = Draft[T, E](self._partitions if split else 1)
            self._stage[group] = len(self.drafts)
            self.drafts.append(draft)
            for member in mine:
                self.places[member] = self._member(draft, member)

    def _member(self, draft: Draft[T, E], place: int) -> int:
        piece = self._pieces.items[place]
        if piece.origin is None:
            return self._operation(draft, place, piece)
        origin = self._pieces.direct(piece.origin)
        stage = self._stage[self._pieces.group(origin)]
        exchange = self._exchange(self.drafts[stage], place, piece, self.places[origin])
        number = place_in(self.drafts[stage].exchanges, exchange)
        source = ExchangeSource(stage, number, piece.kind, piece.ordered)
        return self._read(draft, place_in(draft.sources, source), piece, exchange)

    def _reads(self, piece: Piece) -> dict[int, int]:
        """Where in the stage each piece is that an operation reads."""
        return {r: self.places[self._pieces.direct(r)] for r in piece.reads}

    @abstractmethod
    def _operation(self, draft: Draft[T, E], place: int, piece: Piece) -> int:
        """Add an operation, or the scan of an input; its place."""

    @abstractmethod
    def _exchange(self, producer: Draft[T, E], place: int, piece: Piece, origin: int) -> E:
        """What is handed on of a place of the stage that computes it."""

    @abstractmethod
    def _read(self, draft: Draft[T, E], source: int, piece: Piece, exchange: E) -> int:
        """Add the reading of a source; its place."""


def write_stages(
    plan: Plan, layout: Layout, pieces: Pieces, wanted: Mapping[int, int]
) -> StagePlan:
    """The stages of a plan; `wanted` says for each node that is put out which piece it is."""
    writer = _NodeWriter(pieces, layout.partitions)
    writer.write()
    outputs = tuple(
        replace(o, node=writer.places[pieces.direct(wanted[o.node])]) for o in plan.outputs
    )
    stages = tuple(
        Stage(d.tasks, tuple(d.sources), tuple(d.computed), tuple(d.exchanges))
        for d in writer.drafts
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


class _NodeWriter(StageWriter[Node, Exchange]):
    """Writes stages that are plans of their own."""

    def _operation(self, draft: Draft[Node, Exchange], place: int, piece: Piece) -> int:
        del place
        if piece.node is None:
            raise RuntimeError("every piece but the first is an operation or an exchange")
        operation = piece.node.operation
        if piece.dataset and isinstance(operation, Scan):
            source = place_in(draft.sources, DatasetSource(operation.input, piece.split))
            operation = replace(operation, input=source)
        else:
            operation = renumbered(operation, self._reads(piece))
        return place_in(draft.computed, Node(operation, piece.node.schema))

    def _exchange(
        self, producer: Draft[Node, Exchange], place: int, piece: Piece, origin: int
    ) -> Exchange:
        del place
        schema = producer.computed[origin].schema
        if schema is None:
            raise RuntimeError("only relations are exchanged")
        parts = self._partitions if piece.kind == "hash" else 1
        return Exchange(origin, parts, piece.keys, apart(piece), schema)

    def _read(
        self, draft: Draft[Node, Exchange], source: int, piece: Piece, exchange: Exchange
    ) -> int:
        schema = exchange.schema
        shown = schema if piece.partial is None else result_schema(piece.partial, schema)
        return place_in(draft.computed, _scan(source, shown))


def apart(piece: Piece) -> Aggregate | None:
    """The aggregate as it stands over the rows of the exchange alone."""
    return None if piece.partial is None else replace(piece.partial, source=0)


def _scan(source: int, schema: Schema) -> Node:
    return Node(Scan(source, schema.names), schema)
