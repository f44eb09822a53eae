"""Drops the columns that no output needs, so that a plan reads no more than it must.

What a plan scans is what owners read in a review and what their usage policies are held against.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mc2.plan.build import PlanBuilder, renumbered
from mc2.plan.expressions import ColumnRef, columns_of, substituted
from mc2.plan.linear_models import Apply
from mc2.plan.models import CrossValidate, Matrix, Predict, Recall
from mc2.plan.plan import Node, Operation, PlanInput, PlanOutput
from mc2.plan.relations import (
    Aggregate,
    Distinct,
    Explode,
    Filter,
    Join,
    Mark,
    NamedExpression,
    Project,
    Scan,
    Sort,
    Union,
    Values,
)
from mc2.plan.windows import Window

Needs = list[set[str]]


def prune(
    inputs: Sequence[PlanInput],
    nodes: Sequence[Node],
    outputs: Sequence[PlanOutput],
    cheapest: Mapping[str, str],
) -> tuple[tuple[PlanInput, ...], tuple[Node, ...], tuple[PlanOutput, ...]]:
    """The same program over fewer columns and inputs.

    `cheapest` names the column of each dataset that is read where only its rows count.
    """
    needs = _needs(nodes, outputs)
    live = _live(nodes, outputs, needs)
    found = (nodes[i].operation for i in live)
    scanned = {o.input for o in found if isinstance(o, Scan | Recall)}
    kept_inputs = tuple(source for place, source in enumerate(inputs) if place in scanned)
    moved = {old: new for new, old in enumerate(sorted(scanned))}
    smaller = _Smaller(kept_inputs)
    places: dict[int, int] = {}
    for index, node in enumerate(nodes):
        operation = node.operation
        if index not in live:
            continue
        if isinstance(operation, Scan):
            fallback = cheapest[inputs[operation.input].dataset]
            columns = _kept(operation.columns, needs[index]) or (fallback,)
            places[index] = smaller.add(Scan(moved[operation.input], columns))
        elif isinstance(operation, Recall):
            places[index] = smaller.add(Recall(moved[operation.input]))
        elif isinstance(operation, Union):
            chosen = _chosen(node, needs[index])
            wanted = [[_names(nodes[s])[i] for i in chosen] for s in operation.sources]
            pairs = zip(operation.sources, wanted, strict=True)
            sources = tuple(smaller.exactly(places[s], names) for s, names in pairs)
            places[index] = smaller.add(Union(sources))
        elif _adds_nothing(operation, needs[index]):
            places[index] = places[operation.sources[0]]
        else:
            places[index] = smaller.add(renumbered(_smaller(operation, needs[index]), places))
    renamed = [replace(o, node=places[o.node]) for o in outputs]
    return kept_inputs, *smaller.builder.finish(renamed)


class _Smaller:
    """The new plan while it is built."""

    def __init__(self, inputs: Sequence[PlanInput]) -> None:
        self.builder = PlanBuilder(inputs)
        self._operations: dict[int, Operation] = {}

    def add(self, operation: Operation) -> int:
        """Add an operation, unless it is a projection that changes nothing."""
        if isinstance(operation, Project):
            operation = self._over_renames(operation)
            if operation.columns == _as_they_are(self.builder.schema(operation.source).names):
                return operation.source
        place = self.builder.add(operation)
        self._operations[place] = operation
        return place

    def exactly(self, node: int, names: Sequence[str]) -> int:
        """A node with exactly these columns, in this order: a union goes by place."""
        return self.add(Project(node, _as_they_are(names)))

    def _over_renames(self, operation: Project) -> Project:
        """A projection over one that only renames takes its columns from below it."""
        below = self._operations[operation.source]
        if not isinstance(below, Project):
            return operation
        old = {c.name: c.expression for c in below.columns if isinstance(c.expression, ColumnRef)}
        if len(old) != len(below.columns):
            return operation
        columns = tuple(
            NamedExpression(c.name, substituted(c.expression, old)) for c in operation.columns
        )
        return Project(below.source, columns)


def _as_they_are(names: Sequence[str]) -> tuple[NamedExpression, ...]:
    return tuple(NamedExpression(n, ColumnRef(n)) for n in names)


def _needs(nodes: Sequence[Node], outputs: Sequence[PlanOutput]) -> Needs:
    """Which columns of each node something reads, from the outputs backwards."""
    needs: Needs = [set() for _ in nodes]
    for output in outputs:
        needs[output.node].update(_names(nodes[output.node]))
    for index in range(len(nodes) - 1, -1, -1):
        _pass_down(nodes[index], needs[index], nodes, needs)
    return needs


def _names(node: Node) -> tuple[str, ...]:
    return () if node.schema is None else node.schema.names


def _pass_down(node: Node, needed: set[str], nodes: Sequence[Node], needs: Needs) -> None:
    """Say what a node needs of each of its sources."""
    operation = node.operation
    if isinstance(operation, Distinct):  # whether two rows are one depends on all columns
        needed.update(_names(node))
    for source in operation.sources:
        read = _read(operation, node, needed, nodes[source])
        needs[source].update(read & set(_names(nodes[source])))
    if isinstance(operation, Predict | Apply):
        needs[operation.matrix].update(set(operation.keep) & needed)
    if isinstance(operation, CrossValidate) and operation.folds is not None:
        needs[operation.matrix].add(operation.folds)


def _read(operation: Operation, node: Node, needed: set[str], source: Node) -> set[str]:
    """The columns that an operation reads of one source."""
    found: set[str] = set()
    match operation:
        case Project():
            found.update(*(columns_of(c.expression) for c in _kept_columns(operation, needed)))
        case Aggregate():
            found = _aggregate_reads(operation, needed)
        case Union():
            names = _names(source)
            found = {names[i] for i in _chosen(node, needed)}
        case Window():
            found = _window_reads(operation, needed)
        case Sort():
            found = needed.union(*(columns_of(k.expression) for k in operation.keys))
        case Filter(predicate=read) | Mark(on=read) | Explode(expression=read):
            found = needed | columns_of(read)
        case Join(on=on):
            found = needed if on is None else needed | columns_of(on)
        case Matrix():
            found = needed.union(operation.columns)
        case _:
            found = needed
    return found


def _kept(names: Iterable[str], needed: set[str]) -> tuple[str, ...]:
    return tuple(n for n in names if n in needed)


def _kept_columns(operation: Project, needed: set[str]) -> tuple[NamedExpression, ...]:
    kept = tuple(c for c in operation.columns if c.name in needed)
    return kept or operation.columns[:1]  # a relation has at least one column


def _aggregate_reads(operation: Aggregate, needed: set[str]) -> set[str]:
    read = set(operation.keys)
    for column in _smaller_aggregate(operation, needed).aggregates:
        conditions = () if column.where is None else (column.where,)
        read.update(*(columns_of(e) for e in (*column.arguments, *conditions)))
    return read


def _window_reads(operation: Window, needed: set[str]) -> set[str]:
    kept = [c for c in operation.columns if c.name in needed]
    read = needed - {c.name for c in operation.columns}
    if kept:
        read.update(operation.keys, *(columns_of(k.expression) for k in operation.order))
        read.update(*(columns_of(e) for c in kept for e in c.expressions))
    return read


def _live(nodes: Sequence[Node], outputs: Sequence[PlanOutput], needs: Needs) -> set[int]:
    """The nodes that outputs still need: not what only an unread column was looked up in."""
    wanted = {o.node for o in outputs}
    for index in range(len(nodes) - 1, -1, -1):
        if index in wanted:
            operation = nodes[index].operation
            sources = operation.sources
            wanted.update(sources[:1] if _adds_nothing(operation, needs[index]) else sources)
    return wanted


def _adds_nothing(operation: Operation, needed: set[str]) -> bool:
    """Whether nothing reads what an operation adds to the rows of its first source."""
    match operation:
        case Mark():
            return operation.name not in needed
        case Window():
            return not needed.intersection(c.name for c in operation.columns)
        case _:
            return False


def _smaller_aggregate(operation: Aggregate, needed: set[str]) -> Aggregate:
    kept = tuple(a for a in operation.aggregates if a.name in needed)
    if not kept and not operation.keys:
        kept = operation.aggregates[:1]
    return replace(operation, aggregates=kept)


def _smaller(operation: Operation, needed: set[str]) -> Operation:
    match operation:
        case Project():
            return replace(operation, columns=_kept_columns(operation, needed))
        case Aggregate():
            return _smaller_aggregate(operation, needed)
        case Window() | Values() | Explode():
            return _smaller_rows(operation, needed)
        case Predict() | Apply():
            return replace(operation, keep=_kept(operation.keep, needed))
        case _:
            return operation


def _smaller_rows(operation: Window | Values | Explode, needed: set[str]) -> Operation:
    match operation:
        case Window():
            kept = tuple(c for c in operation.columns if c.name in needed)
            return replace(operation, columns=kept)
        case Values():
            chosen = [i for i, n in enumerate(operation.columns) if n in needed] or [0]
            rows = tuple(tuple(row[i] for i in chosen) for row in operation.rows)
            return Values(tuple(operation.columns[i] for i in chosen), rows)
        case Explode():
            counted = operation.position if operation.position in needed else None
            return replace(operation, position=counted)


def _chosen(union: Node, needed: set[str]) -> list[int]:
    """The places of a union's columns that are needed, at least one."""
    return [i for i, name in enumerate(_names(union)) if name in needed] or [0]
