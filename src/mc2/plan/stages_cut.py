"""Cuts a checked plan into stages. A pure function of the plan and the layout.

First every operation gets its pieces (`mc2.plan.stages_pieces`), with an exchange wherever rows
must move or several sources meet. Then groups that an exchange only passes through, task by task,
become one. What is left between groups are the exchanges of the stages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mc2.errors import PlanError
from mc2.plan.aggregates import AGGREGATES
from mc2.plan.build import renumbered
from mc2.plan.check import CheckedPlan
from mc2.plan.expressions import ColumnRef, Expression, columns_of
from mc2.plan.oblivious_stages import cut_obliviously
from mc2.plan.ordering import ordered_nodes
from mc2.plan.partial import splittable
from mc2.plan.plan import Node, Operation
from mc2.plan.relations import (
    Aggregate,
    Distinct,
    Explode,
    Filter,
    Join,
    Limit,
    Mark,
    NamedExpression,
    Project,
    Scan,
    Sort,
    Union,
    Values,
)
from mc2.plan.shapes import TableShape
from mc2.plan.stages import Layout, StagePlan
from mc2.plan.stages_hints import most_read, only_readers, order_shows
from mc2.plan.stages_keys import JoinKeys, join_keys
from mc2.plan.stages_pieces import ROOT, Pieces, Placed
from mc2.plan.stages_write import write_stages
from mc2.plan.windows import Window

_WHOLE_RIGHT = frozenset({"inner", "cross", "left", "single", "semi", "anti"})
_WHOLE_LEFT = frozenset({"inner", "cross", "right"})
"""Joins for which every task may see the whole of one side and its part of the other."""

_HOW = _WHOLE_RIGHT | _WHOLE_LEFT | {"full"}
_ONE_SOURCE = (Project, Filter, Explode, Sort, Limit, Distinct, Aggregate, Window)


def cut(checked: CheckedPlan, layout: Layout) -> StagePlan:
    """The stages of a plan. Raises: PlanError if the layout is not one for this plan."""
    if len(layout.split) != len(checked.plan.inputs):
        raise PlanError("the layout is for a plan with other inputs")
    if checked.plan.mode == "oblivious":
        return cut_obliviously(checked, layout)
    cutter = _Cutter(checked, layout)
    for index in range(len(checked.plan.nodes)):
        cutter.place(index)
    pieces = cutter.pieces
    wanted = {
        n: pieces.into_root(cutter.placed[n])
        for n in sorted({o.node for o in checked.plan.outputs})
    }
    pieces.merge()
    return write_stages(checked.plan, layout, pieces, wanted)


class _Cutter:
    """Places one node of the plan after the other."""

    def __init__(self, checked: CheckedPlan, layout: Layout) -> None:
        plan = checked.plan
        self._nodes = plan.nodes
        self._shapes = checked.shapes
        self._layout = layout
        self._ordered = ordered_nodes(plan.nodes)
        self._shows = order_shows(checked)
        self._only_reader = only_readers(checked)
        self.pieces = Pieces(layout.partitions)
        self.placed: list[Placed] = []

    def place(self, index: int) -> None:
        """Find the group of a node, and write its pieces."""
        sources = [self.placed[s] for s in self._nodes[index].operation.sources]
        if any(s.group_is(ROOT, self.pieces) for s in sources):
            self.placed.append(self._in_root(index, sources))
        else:
            self.placed.append(self._placed(index, sources))

    def _placed(self, index: int, sources: list[Placed]) -> Placed:
        operation = self._nodes[index].operation
        match operation:
            case Scan() | Values():
                return self._leaf(index, operation)
            case Union() | Join() | Mark():
                return self._together(index, operation, sources)
            case Sort() | Limit() | Distinct() | Aggregate() | Window() if sources[0].split:
                return self._in_two_steps(index, operation, sources[0])
            case _ if isinstance(operation, _ONE_SOURCE):
                return self._pipelined(index, sources[0])
            case _:  # models, and whatever nobody has taught this module to split: right first
                return self._in_root(index, sources)

    def _leaf(self, index: int, operation: Scan | Values) -> Placed:
        if isinstance(operation, Values):
            return Placed(self._node(index, []), split=False, ordered=self._ordered[index])
        split = self._layout.split[operation.input]
        piece = self.pieces.dataset(self._nodes[index], split=split)
        return Placed(piece, split=split, ordered=True)

    def _together(
        self, index: int, operation: Union | Join | Mark, sources: list[Placed]
    ) -> Placed:
        match operation:
            case Union():
                return self._union(index, sources)
            case Join():
                return self._join(index, operation, sources[0], sources[1])
            case Mark():
                return self._mark(index, sources[0], sources[1])

    def _in_two_steps(
        self, index: int, operation: Sort | Limit | Distinct | Aggregate | Window, source: Placed
    ) -> Placed:
        match operation:
            case Sort():
                return self._sort(index, operation, source)
            case Limit():
                return self._limit(index, operation, source)
            case Distinct():
                return self._distinct(index, source)
            case Aggregate():
                return self._aggregate(index, operation, source)
            case Window():
                return self._window(index, operation, source)

    def _node(self, index: int, sources: list[int]) -> int:
        """A piece that is the plan's own operation over other pieces."""
        node = self._nodes[index]
        places = dict(zip(node.operation.sources, sources, strict=True))
        return self.pieces.operation(Node(renumbered(node.operation, places), node.schema), sources)

    def _local(self, operation: Operation, source: Placed, index: int) -> Placed:
        """A piece that no node of the plan is: what a task does before it hands rows on."""
        schema = self._nodes[index].schema
        piece = self.pieces.operation(Node(operation, schema), [source.piece])
        return replace(source, piece=piece)

    def _bound(self, index: int) -> int:
        shape = self._shapes[index]
        return shape.row_bound if isinstance(shape, TableShape) else 0

    def _in_root(self, index: int, sources: list[Placed]) -> Placed:
        read = [self.pieces.into_root(s) for s in sources]
        piece = self._node(index, read)
        self.pieces.join_group(piece, ROOT)
        return Placed(piece, split=False, ordered=self._ordered[index])

    def _pipelined(self, index: int, source: Placed) -> Placed:
        piece = self._node(index, [source.piece])
        operation = self._nodes[index].operation
        hashed = source.hashed
        if isinstance(operation, Project):
            hashed = _renamed(hashed, operation)
        return Placed(piece, split=source.split, ordered=self._ordered[index], hashed=hashed)

    def _gathered(self, source: Placed, *, partial: Aggregate | None = None) -> Placed:
        return self.pieces.exchange(source, "gather", partial=partial)

    def _sort(self, index: int, operation: Sort, source: Placed) -> Placed:
        reader = self._only_reader[index]
        if reader is not None:
            most = most_read(reader)
            if most is not None:  # of what is sorted, nothing after so many rows is ever read
                cut_here = self._local(Sort(source.piece, operation.keys), source, index)
                source = self._local(Limit(cut_here.piece, most), cut_here, index)
        return self._pipelined(index, self._gathered(source))

    def _limit(self, index: int, operation: Limit, source: Placed) -> Placed:
        most = most_read(operation)
        if most is not None:
            source = self._local(Limit(source.piece, most), source, index)
        return self._pipelined(index, self._gathered(source))

    def _distinct(self, index: int, source: Placed) -> Placed:
        names = self._schema_names(index)
        if source.hashed:
            return replace(self._pipelined(index, source), hashed=source.hashed)
        once = replace(self._local(Distinct(source.piece), source, index), ordered=False)
        moved = self.pieces.exchange(once, "hash", keys=_columns(names))
        return replace(self._pipelined(index, moved), hashed=frozenset({names}))

    def _schema_names(self, index: int) -> tuple[str, ...]:
        schema = self._nodes[index].schema
        return () if schema is None else schema.names

    def _aggregate(self, index: int, operation: Aggregate, source: Placed) -> Placed:
        schema = self._nodes[operation.source].schema
        if schema is None:
            raise PlanError("only relations are grouped")
        kept = frozenset(h for h in source.hashed if set(h) <= set(operation.keys))
        if kept:
            return replace(self._pipelined(index, source), hashed=kept)
        known = all(a.function in AGGREGATES for a in operation.aggregates)
        keys = _columns(operation.keys)
        hashed = frozenset({operation.keys}) if keys else frozenset[tuple[str, ...]]()
        kind = "hash" if keys else "gather"
        if known and splittable(operation):
            moved = self.pieces.exchange(source, kind, keys=keys, partial=operation)
            return replace(moved, ordered=False, hashed=hashed)
        narrow = self._narrowed(operation, source)
        moved = self.pieces.exchange(narrow, kind, keys=keys)
        return replace(self._pipelined(index, moved), hashed=hashed)

    def _window(self, index: int, operation: Window, source: Placed) -> Placed:
        kept = frozenset(h for h in source.hashed if set(h) <= set(operation.keys))
        if kept:
            return replace(self._pipelined(index, source), hashed=kept)
        if not operation.keys:
            return self._pipelined(index, self._gathered(source))
        moved = self.pieces.exchange(source, "hash", keys=_columns(operation.keys))
        return replace(self._pipelined(index, moved), hashed=frozenset({operation.keys}))

    def _narrowed(self, operation: Aggregate, source: Placed) -> Placed:
        """Only the columns that an aggregate reads."""
        read = set(operation.keys)
        for column in operation.aggregates:
            for term in (*column.arguments, *((column.where,) if column.where else ())):
                read |= columns_of(term)
        schema = self._nodes[operation.source].schema
        if schema is None or not read or read == set(schema.names):
            return source
        names = tuple(n for n in schema.names if n in read)
        columns = tuple(NamedExpression(n, ColumnRef(n)) for n in names)
        project = Project(source.piece, columns)
        node = Node(project, type(schema)(tuple(schema.by_name()[n] for n in names)))
        return replace(source, piece=self.pieces.operation(node, [source.piece]))

    def _union(self, index: int, sources: list[Placed]) -> Placed:
        in_order = self._ordered[index] and self._shows[index]
        if in_order or not any(s.split for s in sources):
            return self._single(index, sources)
        read = [self.pieces.exchange(s, "keep" if s.split else "hash") for s in sources]
        piece = self._node(index, [r.piece for r in read])
        return Placed(piece, split=True, ordered=self._ordered[index])

    def _single(self, index: int, sources: list[Placed]) -> Placed:
        read = [self._gathered(s) for s in sources]
        piece = self._node(index, [r.piece for r in read])
        return Placed(piece, split=False, ordered=self._ordered[index])

    def _mark(self, index: int, left: Placed, right: Placed) -> Placed:
        """NULL on the right makes a mark NULL in every row: so all of the right is looked at."""
        if not left.split:
            return self._single(index, [left, right])
        return self._broadcast(index, left, right, whole="right")

    def _join(self, index: int, operation: Join, left: Placed, right: Placed) -> Placed:
        known = operation.how in _HOW
        if not known or not (left.split or right.split):
            return self._single(index, [left, right])
        a, b = self._nodes[operation.left].schema, self._nodes[operation.right].schema
        if a is None or b is None:
            raise PlanError("only relations are joined")
        keys = join_keys(operation.on, a, b)
        side = self._whole_side(operation, left, right, keys)
        if side is not None:
            return self._broadcast(index, left, right, whole=side)
        if keys is None:
            return self._single(index, [left, right])
        return self._spread(index, operation, left, right, keys)

    def _whole_side(
        self, operation: Join, left: Placed, right: Placed, keys: JoinKeys | None
    ) -> str | None:
        """The side that is sent whole to every task: a small one, or one that must be."""
        bounds = {"left": self._bound(operation.left), "right": self._bound(operation.right)}
        may = []
        if operation.how in _WHOLE_RIGHT and left.split:
            may.append("right")
        if operation.how in _WHOLE_LEFT and right.split:
            may.append("left")
        may.sort(key=lambda side: (bounds[side], side))
        if may and (keys is None or bounds[may[0]] <= self._layout.broadcast_rows):
            return may[0]
        return None

    def _broadcast(self, index: int, left: Placed, right: Placed, *, whole: str) -> Placed:
        ways = ("broadcast", "keep") if whole == "left" else ("keep", "broadcast")
        kept = right if whole == "left" else left
        read = [
            self.pieces.exchange(side, way, split=True)
            for side, way in zip((left, right), ways, strict=True)
        ]
        piece = self._node(index, [r.piece for r in read])
        return Placed(piece, split=True, ordered=False, hashed=kept.hashed)

    def _spread(
        self, index: int, operation: Join, left: Placed, right: Placed, keys: JoinKeys
    ) -> Placed:
        read, ways = [], []
        for side, terms in ((left, keys.left), (right, keys.right)):
            names = _names(terms)
            there = names is not None and names in side.hashed
            read.append(
                self.pieces.exchange(side, "keep")
                if there
                else self.pieces.exchange(side, "hash", keys=terms)
            )
            ways.append(frozenset({names} if names is not None else ()))
        piece = self._node(index, [r.piece for r in read])
        hashed: dict[str, Callable[[], frozenset[tuple[str, ...]]]] = {
            "inner": lambda: ways[0] | ways[1],
            "right": lambda: ways[1],
            "full": frozenset,
        }
        kept = hashed.get(operation.how, lambda: ways[0])()
        return Placed(piece, split=True, ordered=False, hashed=kept)


def _columns(names: tuple[str, ...]) -> tuple[Expression, ...]:
    return tuple(ColumnRef(n) for n in names)


def _names(terms: tuple[Expression, ...]) -> tuple[str, ...] | None:
    names = tuple(t.name for t in terms if isinstance(t, ColumnRef))
    return names if len(names) == len(terms) else None


def _renamed(hashed: frozenset[tuple[str, ...]], operation: Project) -> frozenset[tuple[str, ...]]:
    """By which columns rows are still spread after a projection."""
    names: dict[str, str] = {}
    for column in operation.columns:
        if isinstance(column.expression, ColumnRef):
            names.setdefault(column.expression.name, column.name)
    return frozenset(tuple(names[n] for n in h) for h in hashed if all(n in names for n in h))
