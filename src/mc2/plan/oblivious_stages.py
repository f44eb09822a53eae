"""Cuts a plan in oblivious mode into stages. A pure function of the plan and the layout.

Rows stay in the task that read them, and only tables of public sizes move: a whole side of a join
to every task, what tasks have made of their rows (groups, first rows) to one task, or all rows in
the rounds of a sort over all tasks (`mc2.plan.oblivious_deals`). Nothing is spread by the value of
a key. What this module does not know how to split runs in one task, over gathered rows.
Spec: docs/spec/task.md, section "Oblivious mode".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from mc2.formats.canonical import Json
from mc2.formats.schema import Schema
from mc2.plan.check import CheckedPlan
from mc2.plan.facts import Facts
from mc2.plan.oblivious_apart import adds_up, carried_side, worth_sorting
from mc2.plan.oblivious_deals import Deal, deals_for, places_for
from mc2.plan.oblivious_joins import JoinForm, join_form
from mc2.plan.oblivious_steps import sorted_columns, ties
from mc2.plan.ordering import ordered_nodes
from mc2.plan.plan import Plan, PlanOutput
from mc2.plan.relations import (
    Aggregate,
    Distinct,
    Filter,
    Join,
    Limit,
    Mark,
    Project,
    RowBound,
    Scan,
    Sort,
    Union,
    Values,
)
from mc2.plan.stages import (
    DatasetSource,
    Exchange,
    ExchangeSource,
    Layout,
    Source,
    Stage,
    StagePlan,
)
from mc2.plan.stages_hints import most_read, only_readers, order_shows
from mc2.plan.stages_pieces import ROOT, Piece, Pieces, Placed
from mc2.plan.stages_write import group_order, members_of
from mc2.plan.windows import Window

OBLIVIOUS_BROADCAST_ROWS: Final = 4096
"""Inputs of no more rows are read by one task: sorting them costs less than a task."""

_ONE_SOURCE = (Project, Filter, Sort, Limit, RowBound, Distinct, Aggregate, Window)
_REDUCING = (Sort, Limit, RowBound, Distinct, Aggregate)
_KEEP_LEFT = frozenset({"left", "semi", "anti", "single"})
_BOTH = frozenset({"inner", "cross"})


@dataclass(frozen=True, slots=True)
class Step:
    """A node of the plan, over the results of earlier steps of its stage, by place.

    Or of a source of the stage: then the step reads an input, or what another stage hands on of
    this node. `work`: what of the node is done. `arrange` sorts a task's own rows, in `places`,
    by what the node needs next to each other; `carry` finds the row that later tasks must see;
    `finish` computes the node of rows that are in order over all tasks.
    """

    node: int
    reads: tuple[int, ...]
    source: int | None = None
    work: str = "compute"
    places: int | None = None

    def json(self) -> Json:
        """The step as canonical JSON has it."""
        return {
            "node": self.node,
            "reads": list(self.reads),
            "source": self.source,
            "work": self.work,
            "places": self.places,
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


def cut_obliviously(checked: CheckedPlan, layout: Layout) -> StagePlan:
    """The stages of a plan in oblivious mode, for a layout that is one for it."""
    cutter = _Cutter(checked, layout)
    for index in range(len(checked.plan.nodes)):
        cutter.place(index)
    pieces = cutter.pieces
    wanted = {
        n: pieces.into_root(cutter.placed[n])
        for n in sorted({o.node for o in checked.plan.outputs})
    }
    pieces.merge()
    return _write(checked.plan, layout, cutter, wanted)


class _Cutter:
    """Places one node of the plan after the other."""

    def __init__(self, checked: CheckedPlan, layout: Layout) -> None:
        self._nodes = checked.plan.nodes
        self._facts: Sequence[Facts] = checked.facts
        self._layout = layout
        self._ordered = ordered_nodes(checked.plan.nodes)
        self._shows = order_shows(checked)
        self._only_reader = only_readers(checked)
        self.pieces = Pieces(layout.partitions)
        self.placed: list[Placed] = []
        self.node_of: dict[int, int] = {}
        self.reduced: dict[int, tuple[int, int | None]] = {}
        self.work: dict[int, tuple[str, int | None]] = {}
        self.deals: dict[int, Deal] = {}
        self._rooms: list[int] = []
        self._stays: dict[int, int] = {}

    def place(self, index: int) -> None:
        """Find the group of a node, and write its pieces."""
        sources = [self.placed[s] for s in self._nodes[index].operation.sources]
        if any(s.group_is(ROOT, self.pieces) for s in sources):
            self.placed.append(self._in_root(index, sources))
        else:
            self.placed.append(self._placed(index, sources))
        self._rooms.append(self._room(index))

    def _room(self, index: int) -> int:
        """How many rows of a node one task has at most, if it is split."""
        operation, rows = self._nodes[index].operation, self._facts[index].rows
        piece = self.placed[index].piece
        match operation:
            case _ if self.work.get(piece, ("", None))[0] == "finish":
                room = self.work[piece][1] or rows
            case Scan():
                room = self._layout.rooms[operation.input]
            case Join() | Mark():
                room = self._room_of_join(index, operation)
            case _:
                room = sum(self._rooms[s] for s in operation.sources)
        return min(room, rows)

    def _room_of_join(self, index: int, operation: Join | Mark) -> int:
        """As many rows as of the side that stays, if each of those comes out once at most."""
        form, stays = self._form(operation), self._stays.get(index)
        once = isinstance(operation, Mark) or operation.how in {"semi", "anti", "single"}
        if stays == 0 and (form.to_one or once):
            return self._rooms[operation.left]
        if stays == 1 and form.of_one:
            return self._rooms[operation.right]
        return self._facts[index].rows

    def _placed(  # noqa: PLR0911 - one a case
        self, index: int, sources: list[Placed]
    ) -> Placed:
        operation = self._nodes[index].operation
        match operation:
            case Scan():
                split = self._layout.split[operation.input]
                piece = self.pieces.dataset(self._nodes[index], split=split)
                self.node_of[piece] = index
                return Placed(piece, split=split, ordered=True)
            case Values():
                return self._over(index, [], split=False)
            case Union():
                return self._union(index, sources)
            case Join() | Mark():
                return self._join(index, operation, sources[0], sources[1])
            case Sort() | Aggregate() | Distinct() if self._is_sorted_apart(index, sources[0]):
                return self._sorted_apart(index, sources[0])
            case _ if isinstance(operation, _REDUCING) and sources[0].split:
                return self._over(index, [self._gathered(index, sources[0])], split=False)
            case Window() if sources[0].split:
                whole = self.pieces.exchange(sources[0], "gather")
                return self._over(index, [whole], split=False)
            case _ if isinstance(operation, _ONE_SOURCE):
                return self._over(index, sources, split=sources[0].split)
            case _:  # models, and whatever nobody has taught this module to split: right first
                return self._in_root(index, sources)

    def _over(self, index: int, sources: list[Placed], *, split: bool) -> Placed:
        """The node itself over tables of its group."""
        piece = self.pieces.operation(self._nodes[index], [s.piece for s in sources])
        self.node_of[piece] = index
        return Placed(piece, split=split, ordered=self._ordered[index])

    def _in_root(self, index: int, sources: list[Placed]) -> Placed:
        read = [self.pieces.into_root(s) for s in sources]
        piece = self.pieces.operation(self._nodes[index], read)
        self.node_of[piece] = index
        self.pieces.join_group(piece, ROOT)
        return Placed(piece, split=False, ordered=self._ordered[index])

    # --- to one task, as little as may be

    def _gathered(self, index: int, source: Placed) -> Placed:
        """The rows of all tasks for a node, after each task has computed it of its own rows."""
        operation = self._nodes[index].operation
        found: Placed
        rows: int | None = None
        match operation:
            case Aggregate() if self._sums_apart(index, operation):
                found = self.pieces.exchange(source, "gather", partial=operation)
            case Distinct() if self._fewer(index):
                found = self.pieces.exchange(source, "gather")
            case Sort() if (reader := self._only_reader[index]) and most_read(reader) is not None:
                found, rows = self.pieces.exchange(source, "gather"), most_read(reader)
            case Limit() if most_read(operation) is not None:
                found, rows = self.pieces.exchange(source, "gather"), most_read(operation)
            case RowBound():
                found, rows = self.pieces.exchange(source, "gather"), operation.rows
            case _:
                return self.pieces.exchange(source, "gather")
        self.reduced[found.piece] = index, rows
        return found

    def _sums_apart(self, index: int, operation: Aggregate) -> bool:
        """Whether sums of sums are the same bits, and groups fewer places than their rows."""
        if not adds_up(operation, self._schema(operation.source)):
            return False
        return not operation.keys or self._fewer(index)

    def _fewer(self, index: int) -> bool:
        """Whether all tasks together hand on fewer groups than half their rows."""
        (source,) = self._nodes[index].operation.sources
        groups = self._facts[index].rows * self._layout.partitions
        return 2 * groups <= self._facts[source].rows

    def _single(self, index: int, sources: list[Placed]) -> Placed:
        read = [self.pieces.exchange(s, "gather") for s in sources]
        return self._over(index, read, split=False)

    # --- in order over all tasks

    def _is_sorted_apart(self, index: int, source: Placed) -> bool:
        """Whether all rows are sorted over the tasks for a node, as public sizes have it."""
        operation = self._nodes[index].operation
        rows, room = self._facts[operation.sources[0]].rows, self._rooms[operation.sources[0]]
        if not source.split or not worth_sorting(self._layout, rows, room):
            return False
        match operation:
            case Aggregate():
                sums = adds_up(operation, self._schema(operation.source))
                return bool(operation.keys) and sums and not self._fewer(index)
            case Sort():
                reader = self._only_reader[index]
                first = None if reader is None else most_read(reader)
                return first is None or 2 * first * self._layout.partitions > rows
            case _:
                return not self._fewer(index)

    def _sorted_apart(self, index: int, source: Placed) -> Placed:
        """A node over rows that all tasks have sorted together."""
        operation, room = self._nodes[index].operation, self._rooms[self._source(index)]
        if not isinstance(operation, Sort):
            room = min(room, self._facts[index].rows)
        places = places_for(self._layout.partitions, room)
        dealt = self._in_order(index, [source.piece], places)
        more = 0
        if not isinstance(operation, Sort):
            more = self._layout.partitions
        if more or self._ties_are_refused(index):
            dealt = self._dealt(dealt, Deal("edges", places), "deal")
        return self._finished(index, [dealt], places + more)

    def _source(self, index: int) -> int:
        (source,) = self._nodes[index].operation.sources
        return source

    def _ties_are_refused(self, index: int) -> bool:
        operation = self._nodes[index].operation
        if not isinstance(operation, Sort):
            return False
        names = self._schema(operation.source).names
        return ties(self._facts[operation.source], names, sorted_columns(operation)).unique

    def _in_order(self, index: int, reads: list[int], places: int) -> int:
        """The rows of a node's sources in order over all tasks, so many in each."""
        piece = self.pieces.operation(self._nodes[index], reads)
        self.node_of[piece] = index
        self.work[piece] = "arrange", places
        for deal in deals_for(self._layout.partitions, places):
            piece = self._dealt(piece, deal, "deal")
        return piece

    def _dealt(self, piece: int, deal: Deal, kind: str) -> int:
        source = Placed(piece, split=True, ordered=False)
        found = self.pieces.exchange(source, kind, split=True).piece
        self.deals[found] = deal
        return found

    def _finished(self, index: int, reads: list[int], room: int) -> Placed:
        piece = self.pieces.operation(self._nodes[index], reads)
        self.node_of[piece] = index
        self.work[piece] = "finish", room
        return Placed(piece, split=True, ordered=self._ordered[index])

    def _joined_apart(
        self, index: int, operation: Join | Mark, left: Placed, right: Placed
    ) -> Placed | None:
        """A join over the rows of both sides in one order; None if a whole side is sent instead.

        Each task sees with its own rows the last one of the carried side of each task before it.
        """
        sides = operation.left, operation.right
        if sides[0] == sides[1] or not (left.split and right.split):
            return None
        carried = carried_side(operation, self._form(operation))
        rows, tasks = [self._facts[s].rows for s in sides], self._layout.partitions
        room = sum(self._rooms[s] for s in sides)
        if carried is None or not worth_sorting(self._layout, sum(rows), room):
            return None
        places = places_for(tasks, room)
        # What one task holds at once: the rows in order and as two sides, or a part and a whole.
        if 2 * places >= rows[1 - carried] // tasks + rows[carried]:
            return None
        read = [self.pieces.exchange(s, "keep").piece for s in (left, right)]
        dealt = self._in_order(index, read, places)
        last = self.pieces.operation(self._nodes[index], [dealt])
        self.node_of[last] = index
        self.work[last] = "carry", None
        whole = Deal("whole", places)
        both = [
            self._dealt(dealt, whole, "keep"),
            self._dealt(last, replace(whole, places=1), "broadcast"),
        ]
        return self._finished(index, both, places)

    # --- several sources

    def _union(self, index: int, sources: list[Placed]) -> Placed:
        in_order = self._ordered[index] and self._shows[index]
        if in_order or not all(s.split for s in sources):
            return self._single(index, sources)
        read = [self.pieces.exchange(s, "keep") for s in sources]
        return self._over(index, read, split=True)

    def _join(self, index: int, operation: Join | Mark, left: Placed, right: Placed) -> Placed:
        """One side is sent whole to every task and the other stays, or both come in one order."""
        apart = self._joined_apart(index, operation, left, right)
        if apart is not None:
            return apart
        whole = self._whole_side(operation, left, right)
        if whole is None:
            return self._single(index, [left, right])
        self._stays[index] = 1 if whole == "left" else 0
        ways = ("broadcast", "keep") if whole == "left" else ("keep", "broadcast")
        read = [
            self.pieces.exchange(side, way, split=True)
            for side, way in zip((left, right), ways, strict=True)
        ]
        return self._over(index, read, split=True)

    def _whole_side(self, operation: Join | Mark, left: Placed, right: Placed) -> str | None:
        """The side of which every task must see all rows: none may be split then."""
        if operation.left == operation.right or not (left.split or right.split):
            return None
        how = "mark" if isinstance(operation, Mark) else operation.how
        rights = "right" if left.split else None
        lefts = "left" if right.split else None
        if how in _KEEP_LEFT or how == "mark":
            return rights
        if how == "right":
            return lefts
        return self._whole_of_pairs(operation, lefts, rights) if how in _BOTH else None

    def _whole_of_pairs(
        self, operation: Join | Mark, lefts: str | None, rights: str | None
    ) -> str | None:
        """A join that rests on a unique side checks that it is unique: over all of its rows."""
        form = self._form(operation)
        facts = self._facts[operation.left], self._facts[operation.right]
        if form.to_one or form.of_one:
            return rights if form.to_one else lefts
        if rights and lefts:
            return lefts if facts[0].rows < facts[1].rows else rights
        return rights or lefts

    def _form(self, operation: Join | Mark) -> JoinForm:
        schemas = [self._schema(s) for s in operation.sources]
        facts = self._facts[operation.left], self._facts[operation.right]
        return join_form(operation, schemas[0], schemas[1], facts)

    def _schema(self, index: int) -> Schema:
        schema = self._nodes[index].schema
        if schema is None:
            raise TypeError("only relations are joined")
        return schema


# --- pieces as stages


@dataclass(slots=True)
class _Draft:
    """A stage being written."""

    tasks: int
    sources: list[Source] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    exchanges: list[ObliviousExchange] = field(default_factory=list)

    def source(self, source: Source) -> int:
        if source not in self.sources:
            self.sources.append(source)
        return self.sources.index(source)

    def exchange(self, exchange: ObliviousExchange) -> int:
        if exchange not in self.exchanges:
            self.exchanges.append(exchange)
        return self.exchanges.index(exchange)

    def step(self, step: Step) -> int:
        if step not in self.steps:
            self.steps.append(step)
        return self.steps.index(step)


def _write(plan: Plan, layout: Layout, cutter: _Cutter, wanted: dict[int, int]) -> StagePlan:
    writer = _Writer(plan, layout, cutter)
    for group in group_order(cutter.pieces, writer.members):
        writer.write(group)
    outputs = tuple(writer.output(o, wanted[o.node]) for o in plan.outputs)
    stages = tuple(
        ObliviousStage(d.tasks, tuple(d.sources), (), tuple(d.exchanges), tuple(d.steps))
        for d in writer.drafts
    )
    return StagePlan(plan.digest, layout, stages, outputs)


class _Writer:
    def __init__(self, plan: Plan, layout: Layout, cutter: _Cutter) -> None:
        self._plan = plan
        self._partitions = layout.partitions
        self._cutter = cutter
        self._pieces = cutter.pieces
        self.members = members_of(cutter.pieces)
        self._stage: dict[int, int] = {}
        self.drafts: list[_Draft] = []
        self.places: dict[int, int] = {}

    def output(self, output: PlanOutput, piece: int) -> PlanOutput:
        """An output of the last stage, by the step that gives it."""
        return replace(output, node=self.places[self._pieces.direct(piece)])

    def write(self, group: int) -> None:
        """Write one group as a stage."""
        members = self.members.get(group, [])
        split = any(self._pieces.items[m].split for m in members)
        draft = _Draft(self._partitions if split else 1)
        self._stage[group] = len(self.drafts)
        self.drafts.append(draft)
        for member in members:
            self.places[member] = self._member(draft, member, self._pieces.items[member])

    def _member(self, draft: _Draft, place: int, piece: Piece) -> int:
        if piece.origin is not None:
            return self._exchanged(draft, place, piece, self._pieces.direct(piece.origin))
        node = self._cutter.node_of[place]
        operation = self._plan.nodes[node].operation
        if isinstance(operation, Scan):
            source = draft.source(DatasetSource(operation.input, piece.split))
            return draft.step(Step(node, (), source))
        reads = tuple(self.places[self._pieces.direct(r)] for r in piece.reads)
        return draft.step(Step(node, reads, None, *self._work(place)))

    def _work(self, place: int) -> tuple[str, int | None]:
        work, places = self._cutter.work.get(place, ("compute", None))
        return work, places if work == "arrange" else None

    def _exchanged(self, draft: _Draft, place: int, piece: Piece, origin: int) -> int:
        stage = self._stage[self._pieces.group(origin)]
        producer = self.drafts[stage]
        here = self.places[origin]
        node = producer.steps[here].node
        schema = self._plan.nodes[node].schema
        if schema is None:
            raise TypeError("only relations are exchanged")
        partial = None if piece.partial is None else replace(piece.partial, source=0)
        reader, rows = self._cutter.reduced.get(place, (None, None))
        deal = self._cutter.deals.get(place)
        parts = self._partitions if piece.kind == "deal" else 1
        handed = ObliviousExchange(here, parts, (), partial, schema, reader, rows, deal)
        exchange = producer.exchange(handed)
        source = ExchangeSource(stage, exchange, piece.kind, piece.ordered)
        return draft.step(Step(node, (), draft.source(source)))
