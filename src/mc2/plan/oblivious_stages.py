"""Cuts a plan in oblivious mode into stages. A pure function of the plan and the layout.

Rows stay in the task that read them, and only tables of public sizes move: a whole side of a join
to every task, what tasks have made of their rows (groups, first rows) to one task, or all rows in
the rounds of a sort over all tasks (`mc2.plan.oblivious_deals`). Nothing is spread by the value of
a key. What this module does not know how to split runs in one task, over gathered rows.
Spec: docs/spec/task.md, section "Oblivious mode".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mc2.formats.schema import Schema
from mc2.plan.check import CheckedPlan
from mc2.plan.facts import Facts
from mc2.plan.oblivious_apart import (
    PAIR_PLACES,
    as_left,
    carried_side,
    full_parts,
    makes_pairs,
    worth_sorting,
)
from mc2.plan.oblivious_deals import Deal, deals_for, places_for
from mc2.plan.oblivious_joins import JoinForm, join_form
from mc2.plan.oblivious_parts import Part, parts_of, real_sums, summed, weight
from mc2.plan.oblivious_steps import sorted_columns, ties
from mc2.plan.oblivious_windows import TOLD_PLACES, window_reach
from mc2.plan.oblivious_written import Notes, Work, write_obliviously
from mc2.plan.ordering import ordered_nodes
from mc2.plan.relations import (
    Aggregate,
    Distinct,
    Explode,
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
from mc2.plan.stages import Layout, StagePlan
from mc2.plan.stages_hints import most_read, only_readers, order_shows
from mc2.plan.stages_pieces import ROOT, Pieces, Placed
from mc2.plan.windows import Window

OBLIVIOUS_BROADCAST_ROWS: Final = 4096
"""Inputs of no more rows are read by one task: sorting them costs less than a task."""

_ONE_SOURCE = (Project, Filter, Explode, Sort, Limit, RowBound, Distinct, Aggregate, Window)
_REDUCING = (Sort, Limit, RowBound, Distinct, Aggregate)
_KEEP_LEFT = frozenset({"left", "semi", "anti", "single"})
_BOTH = frozenset({"inner", "cross"})
_WITH_ROOM = frozenset({"finish", "together", "match"})


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
    return write_obliviously(checked.plan, layout, pieces, cutter.notes, wanted)


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
        self.notes = Notes()
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
            case _ if (work := self.notes.work.get(piece, Work())).kind in _WITH_ROOM:
                room = work.places or rows
            case Scan():
                room = self._layout.rooms[operation.input]
            case Join() | Mark():
                room = self._room_of_join(index, operation)
            case Explode():
                places = -(-rows // max(1, self._facts[operation.source].rows))
                room = self._rooms[operation.source] * places
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
                self.notes.node_of[piece] = index
                return Placed(piece, split=split, ordered=True)
            case Values():
                return self._over(index, [], split=False)
            case Union():
                return self._union(index, sources)
            case Join() | Mark():
                return self._join(index, operation, sources[0], sources[1])
            case Sort() | Aggregate() | Distinct() if self._is_sorted_apart(index, sources[0]):
                return self._sorted_apart(index, sources[0])
            case Aggregate() if parts := self._parts(index, sources[0]):
                return self._in_parts(index, operation, sources[0], parts)
            case _ if sources and self._is_reduced(index, sources[0]):
                return self._over(index, [self._gathered(index, sources[0])], split=False)
            case Window() if sources[0].split:
                apart = self._window_apart(index, operation, sources[0])
                return apart or self._single(index, sources)
            case _ if isinstance(operation, _ONE_SOURCE):
                return self._over(index, sources, split=sources[0].split)
            case _:  # models, and whatever nobody has taught this module to split: right first
                return self._in_root(index, sources)

    def _over(self, index: int, sources: list[Placed], *, split: bool) -> Placed:
        """The node itself over tables of its group."""
        piece = self.pieces.operation(self._nodes[index], [s.piece for s in sources])
        self.notes.node_of[piece] = index
        return Placed(piece, split=split, ordered=self._ordered[index])

    def _in_root(self, index: int, sources: list[Placed]) -> Placed:
        read = [self.pieces.into_root(s) for s in sources]
        piece = self.pieces.operation(self._nodes[index], read)
        self.notes.node_of[piece] = index
        self.pieces.join_group(piece, ROOT)
        return Placed(piece, split=False, ordered=self._ordered[index])

    # --- to one task, as little as may be

    def _gathered(self, index: int, source: Placed) -> Placed:
        """The rows of all tasks for a node, after each task has computed it of its own rows."""
        operation = self._nodes[index].operation
        found: Placed
        rows: int | None = None
        match operation:
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
        self.notes.reduced[found.piece] = index, rows
        return found

    def _fewer(self, index: int, wide: int = 1) -> bool:
        """Whether all tasks together hand on less in groups than half their rows.

        `wide`: how many rows a group is as wide as.
        """
        (source,) = self._nodes[index].operation.sources
        groups = self._facts[index].rows * self._layout.partitions
        return 2 * groups * wide <= self._facts[source].rows

    # --- groups, in parts

    def _parts(self, index: int, source: Placed) -> tuple[Part, ...] | None:
        """The parts of an aggregate that tasks compute of their own rows; None: one task does."""
        operation = self._nodes[index].operation
        if not isinstance(operation, Aggregate) or not source.split:
            return None
        schema = self._schema(operation.source)
        parts = parts_of(operation, schema)
        if parts is None:
            return None
        if operation.keys and not self._fewer(index, weight(operation, schema)):
            return parts if self._are_sorted(operation, parts) else None
        rows, room = self._facts[operation.source].rows, self._rooms[operation.source]
        if any(p.kind == "distinct" for p in parts):
            return parts if worth_sorting(self._layout, rows, room) else None
        return parts

    def _in_parts(
        self, index: int, operation: Aggregate, source: Placed, parts: Sequence[Part]
    ) -> Placed:
        """Each part by what its aggregates need; one task puts all of them together."""
        if operation.keys and not self._fewer(
            index, weight(operation, self._schema(operation.source))
        ):
            return self._groups_in_order(index, operation, source, parts)
        found = [self._part(index, source, parts[0].of(operation))]
        for number, part in enumerate(parts[1:], 1):
            if part.kind == "distinct":
                rows = self._distinct_rows(index, source, number)
            else:
                rows = self._distances(index, source, number, part.means(operation))
            found.append(self._part(index, rows, part.of(operation)))
        return self._over(index, found, split=False)

    def _are_sorted(self, operation: Aggregate, parts: Sequence[Part]) -> bool:
        """Whether groups of all parts are sorted over the tasks: many, with distinct values."""
        schema, source = self._schema(operation.source), operation.source
        # States of sums of doubles are wider than what one task holds of all rows.
        if real_sums(summed(operation), schema) or any(p.kind == "spread" for p in parts):
            return False
        return worth_sorting(self._layout, self._facts[source].rows, self._rooms[source])

    def _groups_in_order(
        self, index: int, operation: Aggregate, source: Placed, parts: Sequence[Part]
    ) -> Placed:
        """Groups of all parts of all tasks in one order; each is put together where it starts."""
        tasks, copies = self._layout.partitions, len(parts)
        every = [source, *(self._distinct_rows(index, source, n) for n in range(1, copies))]
        rooms = [self._rooms[operation.source]]
        rooms += [self.notes.work[p.piece].places or 0 for p in every[1:]]
        groups = sum(min(room, self._facts[index].rows) for room in rooms)
        places = places_for(tasks, groups, copies)
        kept = [self.pieces.exchange(p, "keep").piece for p in every]
        dealt = self._in_order(index, kept, places)
        dealt = self._dealt(dealt, Deal("edges", places, copies=copies), "deal")
        return self._finished(index, [dealt], places + tasks * copies)

    def _part(self, index: int, rows: Placed, part: Aggregate) -> Placed:
        found = self.pieces.exchange(rows, "gather", partial=part)
        self.notes.reduced[found.piece] = index, None
        return found

    def _distinct_rows(self, index: int, source: Placed, number: int) -> Placed:
        """Each value of an argument once, in the task where it starts in the order of all."""
        tasks = self._layout.partitions
        places = places_for(tasks, self._rooms[self._source(index)])
        kept = self.pieces.exchange(source, "keep").piece
        dealt = self._in_order(index, [kept], places, number)
        dealt = self._dealt(dealt, Deal("edges", places), "deal")
        return self._finished(index, [dealt], places + tasks, number)

    def _distances(self, index: int, source: Placed, number: int, means: Aggregate) -> Placed:
        """The squared distances of a task's rows from the means of all, which one task told all."""
        sums = self._part(index, source, means)
        told = self._worked(index, [sums.piece], Work("means", None, number))
        means_of_all = self.pieces.exchange(told, "broadcast", split=True)
        kept = self.pieces.exchange(source, "keep")
        reads = [kept.piece, means_of_all.piece]
        return self._worked(index, reads, Work("distances", None, number))

    def _worked(self, index: int, reads: list[int], work: Work) -> Placed:
        piece = self.pieces.operation(self._nodes[index], reads)
        self.notes.node_of[piece] = index
        self.notes.work[piece] = work
        return Placed(piece, split=self.pieces.items[piece].split, ordered=False)

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
                schema = self._schema(operation.source)
                parts = parts_of(operation, schema)
                plain = parts is not None and len(parts) == 1
                if not plain or not operation.keys or self._fewer(index):
                    return False
                return not real_sums(summed(operation), schema)
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

    def _in_order(self, index: int, reads: list[int], places: int, part: int | None = None) -> int:
        """The rows of a node's sources in order over all tasks, so many in each."""
        piece = self._works(index, reads, Work("arrange", places, part))
        return self._through(piece, places)

    def _through(self, piece: int, places: int) -> int:
        """Rows of tasks after all rounds of a sort over the tasks."""
        for deal in deals_for(self._layout.partitions, places):
            piece = self._dealt(piece, deal, "deal")
        return piece

    def _dealt(self, piece: int, deal: Deal, kind: str) -> int:
        source = Placed(piece, split=True, ordered=False)
        found = self.pieces.exchange(source, kind, split=True).piece
        self.notes.deals[found] = deal
        return found

    def _finished(self, index: int, reads: list[int], room: int, part: int | None = None) -> Placed:
        piece = self.pieces.operation(self._nodes[index], reads)
        self.notes.node_of[piece] = index
        self.notes.work[piece] = Work("finish", room, part)
        return Placed(piece, split=True, ordered=self._ordered[index])

    def _window_apart(self, index: int, operation: Window, source: Placed) -> Placed | None:
        """A window over rows that all tasks have sorted together; None if one task must do it.

        Each task sees so many places of its neighbours, and what all others tell of their rows.
        """
        reach = window_reach(operation, self._schema(operation.source).by_name())
        if reach is None:
            return None
        rows, tasks = self._facts[operation.source].rows, self._layout.partitions
        # Of what a task has, so much is left to tell beside what its neighbours see.
        room = max(self._rooms[operation.source], reach + TOLD_PLACES)
        if not worth_sorting(self._layout, rows, room):
            return None
        places = places_for(tasks, room)
        dealt = self._in_order(index, [source.piece], places)
        near = self._dealt(dealt, Deal("around", places, reach=reach), "deal")
        told = self.pieces.operation(self._nodes[index], [near])
        self.notes.node_of[told] = index
        self.notes.work[told] = Work("carry")
        both = [
            self._dealt(near, Deal("whole", places + 2 * reach), "keep"),
            self._dealt(told, Deal("whole", 2 * TOLD_PLACES), "broadcast"),
        ]
        return self._finished(index, both, places)

    def _joined_apart(
        self,
        index: int,
        operation: Join | Mark,
        left: Placed,
        right: Placed,
        part: int | None = None,
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
        dealt = self._in_order(index, read, places, part)
        last = self.pieces.operation(self._nodes[index], [dealt])
        self.notes.node_of[last] = index
        self.notes.work[last] = Work("carry", None, part)
        whole = Deal("whole", places)
        both = [
            self._dealt(dealt, whole, "keep"),
            self._dealt(last, replace(whole, places=1), "broadcast"),
        ]
        return self._finished(index, both, places, part)

    def _pairs_apart(
        self, index: int, operation: Join, left: Placed, right: Placed
    ) -> Placed | None:
        """A join of many with many; None if a whole side is sent, and room is for all its pairs.

        Rows of both sides in one order number their pairs; places of pairs find their left rows in
        an order of both, and in a third one their right rows, as in a join with one partner each.
        """
        sides, tasks = operation.sources, self._layout.partitions
        if sides[0] == sides[1] or not (left.split and right.split):
            return None
        if not makes_pairs(operation, self._form(operation)):
            return None
        rooms, rows = [self._rooms[s] for s in sides], [self._facts[s].rows for s in sides]
        if not worth_sorting(self._layout, sum(rows), sum(rooms)):
            return None
        bound = self._facts[index].rows
        places = places_for(tasks, sum(rooms))
        middle = places_for(tasks, places + -(-bound // tasks))
        last = places_for(tasks, middle + places)
        # What one task holds at once: the rows in order and as two sides, or all pairs of its part.
        if 2 * last >= min(bound, rooms[0] * rows[1], rooms[1] * rows[0]):
            return None
        read = [self.pieces.exchange(s, "keep").piece for s in (left, right)]
        lined = self._in_order(index, read, places)
        numbers = self._works(index, [lined], Work("number"))
        first = [(lined, places, "keep"), (numbers, PAIR_PLACES, "broadcast")]
        middles = self._sorted_anew(index, first, Work("place", middle))
        lasts = self._works(index, [middles], Work("last"))
        second = [*first, (middles, middle, "keep"), (lasts, 1, "broadcast")]
        paired = self._sorted_anew(index, second, Work("pair", last))
        partners = self._works(index, [paired], Work("partner"))
        both = self._whole([(paired, last, "keep"), (partners, 1, "broadcast")])
        piece = self._works(index, both, Work("match", last))
        return Placed(piece, split=True, ordered=self._ordered[index])

    def _is_reduced(self, index: int, source: Placed) -> bool:
        """Whether what tasks make of their own rows comes together in one task."""
        operation = self._nodes[index].operation
        if type(operation) is RowBound and self._are_numbered(operation):
            return False
        return isinstance(operation, _REDUCING) and source.split

    def _are_numbered(self, operation: RowBound) -> bool:
        """Whether tasks have numbered the rows that a bound counts, and none is beyond it."""
        source = operation.source
        while isinstance(below := self._nodes[source].operation, Project):
            source = below.source
        work = self.notes.work.get(self.placed[source].piece, Work())
        return work.kind == "match" and self._facts[source].rows <= operation.rows

    def _works(self, index: int, reads: list[int], work: Work) -> int:
        return self._worked(index, reads, work).piece

    def _whole(self, tables: Sequence[tuple[int, int, str]]) -> list[int]:
        """Tables as another stage reads them: of each its piece, its places and how they go."""
        return [self._dealt(piece, Deal("whole", n), kind) for piece, n, kind in tables]

    def _sorted_anew(self, index: int, tables: Sequence[tuple[int, int, str]], work: Work) -> int:
        """What a work makes of tables of other stages, in order over all tasks."""
        piece = self._works(index, self._whole(tables), work)
        return self._through(piece, work.places or 0)

    def _full_apart(
        self, index: int, operation: Join, left: Placed, right: Placed
    ) -> Placed | None:
        """A `full` join in two parts, of which at least the second is over rows in one order."""
        rows = [self._facts[s].rows for s in operation.sources]
        kept, alone = full_parts(operation, self._form(operation), rows)
        near, far = (left, right) if kept.left == operation.left else (right, left)
        alones = self._joined_apart(index, alone, far, near, 1)
        if alones is None:
            return None
        pairs, room = self._joined_apart(index, kept, near, far, 0), self._rooms[kept.left]
        if pairs is None:
            own, whole = (
                self.pieces.exchange(near, "keep"),
                self.pieces.exchange(far, "broadcast", split=True),
            )
            pairs = self._worked(index, [own.piece, whole.piece], Work("compute", None, 0))
            room = room if self._form(kept).to_one else self._facts[index].rows
        else:
            room = self.notes.work[pairs.piece].places or 0
        room += self.notes.work[alones.piece].places or 0
        reads = [self.pieces.exchange(p, "keep").piece for p in (pairs, alones)]
        return self._worked(index, reads, Work("together", room))

    # --- several sources

    def _union(self, index: int, sources: list[Placed]) -> Placed:
        in_order = self._ordered[index] and self._shows[index]
        if in_order or not all(s.split for s in sources):
            return self._single(index, sources)
        read = [self.pieces.exchange(s, "keep") for s in sources]
        return self._over(index, read, split=True)

    def _join(self, index: int, operation: Join | Mark, left: Placed, right: Placed) -> Placed:
        """One side is sent whole to every task and the other stays, or both come in one order."""
        if isinstance(operation, Join) and operation.how == "full":
            apart = self._full_apart(index, operation, left, right)
        elif isinstance(operation, Join) and operation.how == "right":
            apart = self._joined_apart(index, as_left(operation), right, left)
        else:
            apart = self._joined_apart(index, operation, left, right)
        if apart is None and isinstance(operation, Join):
            apart = self._pairs_apart(index, operation, left, right)
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
