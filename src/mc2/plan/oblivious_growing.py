"""A plan while a rewrite builds it: nodes with their facts, and by what their rows ascend."""

from __future__ import annotations

from collections.abc import Sequence

from mc2.formats.schema import Schema
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import ColumnRef
from mc2.plan.facts import Facts, facts_of_relation
from mc2.plan.matching import match
from mc2.plan.oblivious_costs import FEW_ROWS, bits_of, decoding_of
from mc2.plan.plan import Node, Operation, PlanInput, PlanOutput
from mc2.plan.relations import (
    Aggregate,
    Filter,
    Join,
    Mark,
    NamedExpression,
    Project,
    RowBound,
    Scan,
)
from mc2.plan.shapes import TableShape


class Growing:
    """Relations over some inputs, each with what is publicly known of it."""

    def __init__(self, inputs: Sequence[PlanInput]) -> None:
        self._inputs = inputs
        self._builder = PlanBuilder(inputs)
        self._nodes: list[Node] = []
        self._facts: list[Facts] = []

    def add(self, operation: Operation) -> int:
        """Add a relation and give its place; one that is there already keeps its place.

        Raises: PlanError if it is not well typed.
        """
        index = self._builder.add(operation)
        if index < len(self._nodes):
            return index
        shape = self._builder.shape(index)
        if not isinstance(shape, TableShape):
            raise TypeError("plans with models are not rewritten")
        node = Node(operation, shape.schema)
        self._nodes.append(node)
        sources = [self._facts[s] for s in operation.sources]
        self._facts.append(facts_of_relation(self._inputs, node, sources, self._nodes))
        return index

    def schema(self, index: int) -> Schema:
        """The columns of a relation."""
        return self._builder.schema(index)

    def facts(self, index: int) -> Facts:
        """What is known of its rows."""
        return self._facts[index]

    def ascending(self, index: int) -> frozenset[str]:
        """The columns in each of which its rows ascend when it is computed.

        As `mc2.operators.ascending` has it, where that is certain.
        """
        match self._nodes[index].operation:
            case Scan(input=place, columns=columns):
                return frozenset(self._inputs[place].facts.ascending) & frozenset(columns)
            case Filter(source=source) | RowBound(source=source):
                return self.ascending(source)
            case Project(source=source, columns=columns):
                below = self.ascending(source)
                return frozenset(n for n, old in _kept(columns).items() if old in below)
            case Aggregate(source=source, keys=keys):
                by = self._facts[source].fewest(keys)
                return self.ascending(source) & frozenset(by if len(by) == 1 else ())
            case Join() | Mark() as operation:
                return self._joined(operation)
            case _:
                return frozenset()

    def _joined(self, operation: Join | Mark) -> frozenset[str]:
        """The one key of the left side, if it ascends: of other joins less is certain."""
        sides = [self.schema(s).names for s in operation.sources]
        keys = [e.left for e in match(operation.on, *sides).equalities]
        keeps = isinstance(operation, Mark) or operation.how not in {"right", "full", "cross"}
        names = frozenset(k.name for k in keys if isinstance(k, ColumnRef))
        single = keeps and len(keys) == 1
        return self.ascending(operation.left) & names if single else frozenset()

    def _coded(self, index: int) -> dict[str, int]:
        """How many values the texts have that go by codes: they are declared, and few."""
        operation = self._nodes[index].operation
        if isinstance(operation, Scan):
            domains = self._inputs[operation.input].facts.domains
            counts = {n: len(domains.get(n, ())) for n in operation.columns}
            return {n: count for n, count in counts.items() if 0 < count <= FEW_ROWS}
        found = {n: v for s in operation.sources for n, v in self._coded(s).items()}
        if isinstance(operation, Project):
            return {n: found[o] for n, o in _kept(operation.columns).items() if o in found}
        return {n: v for n, v in found.items() if n in self.schema(index).names}

    def bits(self, index: int) -> dict[str, int]:
        """How many bits each of its columns takes where rows are packed."""
        columns, facts, coded = self.schema(index).columns, self._facts[index], self._coded(index)
        few = {n: max(1, (count - 1).bit_length()) for n, count in coded.items()}
        return {c.name: few.get(c.name) or bits_of(c, facts) for c in columns}

    def decoding(self, index: int) -> dict[str, int]:
        """What it costs to make texts of the codes in its columns, for a row."""
        facts = self._facts[index]
        return {n: decoding_of(v, facts.width(n)) for n, v in self._coded(index).items()}

    def finish(
        self, outputs: Sequence[PlanOutput]
    ) -> tuple[tuple[Node, ...], tuple[PlanOutput, ...]]:
        """The nodes that the outputs need, numbered anew, and the outputs."""
        return self._builder.finish(outputs)


def _kept(columns: Sequence[NamedExpression]) -> dict[str, str]:
    """The columns of a projection that are some of its source, and which."""
    kept = ((c.name, c.expression) for c in columns)
    return {n: e.name for n, e in kept if isinstance(e, ColumnRef)}
