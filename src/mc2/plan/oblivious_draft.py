"""A plan while it is rewritten: its nodes so far, what is known of each, and what it costs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import count
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Schema
from mc2.plan.build import PlanBuilder, needed
from mc2.plan.expressions import Expression
from mc2.plan.facts import Facts, facts_of_relation
from mc2.plan.magnitudes import Magnitudes
from mc2.plan.matching import names_of
from mc2.plan.oblivious_costs import (
    Side,
    bits_of,
    few_cost,
    is_few,
    look_up_cost,
    match_cost,
    sort_cost,
)
from mc2.plan.oblivious_joins import JoinForm, join_form
from mc2.plan.plan import Node, Operation, Plan, PlanOutput
from mc2.plan.relations import Aggregate, Join
from mc2.plan.shapes import MOST_ROWS, NO_USEFUL_BOUND, TableShape

_PREFIX: Final = "grouped"
_FEW_GROUPS: Final = 64

Cost = tuple[int, int]
"""How many nodes there is no room for, and the time of all: what comes first counts most."""


class Draft:
    """Relations that are added one by one, each over earlier ones."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._builder = PlanBuilder(plan.inputs)
        self._nodes: list[Node] = []
        self._costs: list[Cost] = []
        self._facts: list[Facts] = []
        self._rooms: list[int] = []
        self._names: dict[tuple[Hashable, ...], str] = {}
        schemas = [node.schema for node in plan.nodes if node.schema is not None]
        taken = {name.casefold() for schema in schemas for name in schema.names}
        self._fresh = (name for i in count() if (name := f"{_PREFIX}{i}") not in taken)

    def add(self, operation: Operation, room: int = NO_USEFUL_BOUND) -> int:
        """Add a relation with at most so many rows, or find it. Raises: PlanError, FormatError."""
        place = self._builder.add(operation)
        if place < len(self._nodes):
            return place
        shape = self._builder.shape(place)
        if not isinstance(shape, TableShape):
            raise PlanError("only relations are rewritten")
        node = Node(operation, shape.schema)
        sources = [self._facts[s] for s in operation.sources]
        facts = facts_of_relation(self._plan.inputs, node, sources, self._nodes)
        facts = replace(facts, rows=min(facts.rows, shape.row_bound, room))
        self._nodes.append(node)
        self._facts.append(facts)
        self._rooms.append(room)
        self._costs.append(self._cost(operation, facts, room))
        return place

    def finished(self, outputs: Sequence[PlanOutput]) -> Plan:
        """The plan with the nodes that its outputs need."""
        nodes, moved = self._builder.finish(outputs)
        return replace(self._plan, nodes=nodes, outputs=moved)

    def operation(self, index: int) -> Operation:
        """The operation of a node."""
        return self._nodes[index].operation

    def schema(self, index: int) -> Schema:
        """The columns of a node."""
        return self._builder.schema(index)

    def rows(self, index: int) -> int:
        """How many rows a node has at most."""
        return self._facts[index].rows

    def room(self, index: int) -> int:
        """How many rows a bound above a node allows at most."""
        return self._rooms[index]

    def magnitudes(self, index: int) -> Magnitudes:
        """How great numbers are that are computed over a node."""
        return Magnitudes(self.schema(index).by_name(), self._facts[index].ranges or {})

    def name_of(self, *what: Hashable) -> str:
        """A name for something, which no other column has; so what is added twice is found."""
        if what not in self._names:
            self._names[what] = next(self._fresh)
        return self._names[what]

    def cost(self, index: int) -> Cost:
        """Of a node with all that it rests on."""
        costs = [self._costs[i] for i in needed(self._nodes, [index])]
        return sum(refused for refused, _ in costs), sum(took for _, took in costs)

    def has_pairs(self, operation: Join) -> bool:
        """Whether rows of both sides of a join could have several partners."""
        form = self._form(operation, NO_USEFUL_BOUND)
        return form is None or not form.equalities or not (form.to_one or form.of_one)

    def _cost(self, operation: Operation, facts: Facts, room: int) -> Cost:
        match operation:
            case Join():
                pairs, took = self._join_cost(operation, room)
                return int(max(pairs, facts.rows) > MOST_ROWS), took
            case Aggregate():
                return int(facts.rows > MOST_ROWS), self._group_cost(operation, facts.rows)
            case _:
                return int(facts.rows > MOST_ROWS), sum(map(self.rows, operation.sources))

    def _join_cost(self, operation: Join, room: int) -> tuple[int, int]:
        """How many pairs a join has room for, and its time."""
        left, right = (self._side(s, self.schema(s).names) for s in operation.sources)
        form = self._form(operation, room)
        if form is None or not form.equalities:
            pairs = min(left.rows * right.rows, room)
            return pairs, pairs * (left.words + right.words)
        if form.to_one or form.of_one:
            one, other = (left, right) if form.to_one else (right, left)
            terms = frozenset(names_of([e.left for e in form.equalities]))
            few = is_few(one, other, self._side(operation.left, terms).bits)
            return 0, few_cost(one, other) if few else look_up_cost(one, other)
        return form.pairs, match_cost(left, right, form.pairs)

    def _form(self, operation: Join, room: int) -> JoinForm | None:
        left, right = operation.sources
        facts = self._facts[left], self._facts[right]
        try:
            return join_form(operation, self.schema(left), self.schema(right), facts, room)
        except PlanError:
            return None

    def _group_cost(self, operation: Aggregate, groups: int) -> int:
        terms: list[Expression] = [e for a in operation.aggregates for e in a.arguments]
        terms += [a.where for a in operation.aggregates if a.where is not None]
        side = self._side(operation.source, names_of(terms) | set(operation.keys))
        if groups <= _FEW_GROUPS:
            return side.rows * side.words * groups
        return 3 * side.rows * side.words + sort_cost(side.rows, side.words)

    def _side(self, index: int, names: Sequence[str] | frozenset[str]) -> Side:
        facts = self._facts[index]
        columns = [c for c in self.schema(index).columns if c.name in names]
        return Side(facts.rows, sum(bits_of(c, facts) for c in columns))
