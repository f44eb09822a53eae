"""Conditions of filters that can be applied to an input's rows as they are stored.

A condition on columns of one input alone, which cannot fail, leaves out the same rows there as it
does above joins: they would only have been dropped later. That is so as long as nothing between
reads the rows for another reader, makes rows that match nothing, counts them or cuts them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mc2.engine.sql_expressions import ExpressionWriter
from mc2.engine.sql_terms import Scribe
from mc2.plan.expressions import (
    Call,
    Case,
    Cast,
    ColumnRef,
    Expression,
    InList,
    columns_of,
)
from mc2.plan.plan import Node
from mc2.plan.relations import Filter, Join, Mark, Project, Scan, Sort

Names = Mapping[str, str]
"""What columns of a condition are called at a node."""


@dataclass(frozen=True, slots=True)
class EarlyFilters:
    """What is asked of inputs, in their own columns, and which parts of filters that does."""

    of_inputs: dict[int, list[Expression]] = field(default_factory=lambda: defaultdict(list))
    applied: dict[int, set[Expression]] = field(default_factory=lambda: defaultdict(set))


def early_filters(
    nodes: Sequence[Node], uses: Sequence[int], inputs: Collection[int]
) -> EarlyFilters:
    """What of a plan's filters can be asked of these inputs, each of which is read once."""
    found = EarlyFilters()
    for index, node in enumerate(nodes):
        if not isinstance(node.operation, Filter):
            continue
        source = node.operation.source
        schema = nodes[source].schema
        if schema is None:
            raise TypeError("a checked plan filters tables")
        writer = ExpressionWriter(
            Scribe(), schema.by_name(), {n: f"c{i}" for i, n in enumerate(schema.names)}
        )
        for part in writer.parts(node.operation.predicate):
            names = columns_of(part)
            if not names or writer.term(part).fails:
                continue
            place = _input(nodes, uses, source, {n: n for n in names})
            if place is not None and place[0] in inputs:
                found.of_inputs[place[0]].append(renamed(part, place[1]))
                found.applied[index].add(part)
    return found


def _input(
    nodes: Sequence[Node], uses: Sequence[int], index: int, names: Names
) -> tuple[int, Names] | None:
    """The one input that has these columns of a node, and their names there."""
    while uses[index] == 1:
        operation = nodes[index].operation
        match operation:
            case Scan():
                return operation.input, names
            case Filter() | Sort():
                index = operation.source
            case Project():
                inner = {c.name: c.expression for c in operation.columns}
                found = {n: inner[m] for n, m in names.items()}
                names = {n: e.name for n, e in found.items() if isinstance(e, ColumnRef)}
                if len(names) < len(found):
                    return None
                index = operation.source
            case Join() | Mark():
                side = _side(nodes, operation, set(names.values()))
                if side is None:
                    return None
                index = side
            case _:
                return None
    return None


def _side(nodes: Sequence[Node], operation: Join | Mark, names: set[str]) -> int | None:
    """The side of a join that has the columns, if it keeps no row of it that matches nothing.

    Of `left` and its like that is the right side: what a condition leaves out of it, the join
    would put back with NULLs, on which the condition was never asked.
    """
    how = "left" if isinstance(operation, Mark) else operation.how
    sides = {"inner": (True, True), "cross": (True, True), "right": (False, True)}
    left, right = sides.get(how, (how != "full", False))
    for index, kept in ((operation.left, left), (operation.right, right)):
        schema = nodes[index].schema
        if kept and schema is not None and names <= set(schema.names):
            return index
    return None


def renamed(expression: Expression, names: Names) -> Expression:
    """An expression over columns that are called otherwise."""
    match expression:
        case ColumnRef(name):
            return ColumnRef(names[name])
        case Call(_, arguments):
            return replace(expression, arguments=tuple(renamed(a, names) for a in arguments))
        case Cast(value=value) | InList(value=value):
            return replace(expression, value=renamed(value, names))
        case Case(branches, otherwise):
            whens = tuple(
                replace(b, condition=renamed(b.condition, names), value=renamed(b.value, names))
                for b in branches
            )
            return Case(whens, renamed(otherwise, names))
        case _:
            return expression
