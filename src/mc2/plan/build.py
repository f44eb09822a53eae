"""Builds the nodes of a plan one operation at a time, with their schemas.

Equal operations become one node, and nodes that no output needs are dropped: so the same program
always gives the same nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mc2.formats.schema import Schema
from mc2.plan.infer import Inference
from mc2.plan.linear_models import LinearOperation
from mc2.plan.models import ModelOperation, Recall
from mc2.plan.plan import Node, Operation, PlanInput, PlanOutput
from mc2.plan.relations import Join, Mark, Scan, Union, Values
from mc2.plan.shapes import Shape, TableShape


class PlanBuilder:
    """Collects operations over some inputs, which must already be in the plan's order."""

    def __init__(self, inputs: Sequence[PlanInput]) -> None:
        self._inference = Inference(inputs)
        self._nodes: list[Node] = []
        self._known: dict[Operation, int] = {}

    def add(self, operation: Operation) -> int:
        """Add an operation and give its place; one that is there already keeps its place.

        Raises: PlanError if it is not well typed.
        """
        if operation in self._known:
            return self._known[operation]
        shape = self._inference.add(operation)
        schema = shape.schema if isinstance(shape, TableShape) else None
        self._nodes.append(Node(operation, schema))
        self._known[operation] = len(self._nodes) - 1
        return self._known[operation]

    def schema(self, index: int) -> Schema:
        """The columns of a relation that was added. Raises: PlanError if it is none."""
        return self._inference.table(index).schema

    def shape(self, index: int) -> Shape:
        """What is known of a node that was added."""
        return self._inference.shapes[index]

    def operation(self, index: int) -> Operation:
        """The operation of a node that was added."""
        return self._nodes[index].operation

    def inputs_of(self, index: int) -> set[int]:
        """The places of the inputs that a node reads, itself or through others."""
        operations = (self._nodes[i].operation for i in needed(self._nodes, [index]))
        return {o.input for o in operations if isinstance(o, Scan | Recall)}

    def is_table(self, index: int) -> bool:
        """Whether a node that was added is a relation."""
        return isinstance(self.shape(index), TableShape)

    def finish(
        self, outputs: Sequence[PlanOutput]
    ) -> tuple[tuple[Node, ...], tuple[PlanOutput, ...]]:
        """The nodes that the outputs need, numbered anew, and the outputs, sorted by name."""
        kept = needed(self._nodes, [o.node for o in outputs])
        places = {old: new for new, old in enumerate(kept)}
        nodes = tuple(
            Node(renumbered(self._nodes[old].operation, places), self._nodes[old].schema)
            for old in kept
        )
        moved = (replace(o, node=places[o.node]) for o in outputs)
        return nodes, tuple(sorted(moved, key=lambda o: o.name))


def needed(nodes: Sequence[Node], wanted: Sequence[int]) -> list[int]:
    """The places of the nodes that some nodes need, those included, in order."""
    found = set(wanted)
    for index in range(len(nodes) - 1, -1, -1):
        if index in found:
            found.update(nodes[index].operation.sources)
    return sorted(found)


def renumbered(operation: Operation, places: Mapping[int, int]) -> Operation:
    """The operation with other places for the nodes that it reads."""
    if isinstance(operation, ModelOperation | LinearOperation):
        return operation.moved(places)
    match operation:
        case Scan() | Values():
            return operation
        case Join() | Mark():
            return replace(operation, left=places[operation.left], right=places[operation.right])
        case Union():
            return replace(operation, sources=tuple(places[s] for s in operation.sources))
        case _:
            return replace(operation, source=places[operation.source])
