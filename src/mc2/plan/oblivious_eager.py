"""Groups the sides of a join before it is made, where what is asked of its pairs are aggregates.

A join of many rows with many takes room and time for all pairs that there could be. If only counts,
sums and extremes of them are read, sides are grouped first by what the join and the groups above
it read of them: then a key is there once, and no pairs are made. What is done follows from public
sizes alone. Spec: docs/spec/plan.md, section "Oblivious mode".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mc2.errors import FormatError, PlanError
from mc2.plan.bands import rooms
from mc2.plan.build import renumbered
from mc2.plan.expressions import ColumnRef, Expression, substituted
from mc2.plan.oblivious_draft import Draft
from mc2.plan.oblivious_sides import LOOSE, Chain, Sides
from mc2.plan.plan import Operation, Plan
from mc2.plan.relations import (
    Aggregate,
    Filter,
    Join,
    PairBound,
    Project,
    RelationalOperation,
    RowBound,
)
from mc2.plan.shapes import NO_USEFUL_BOUND
from mc2.plan.windows import Window

_MARGIN: Final = (5, 4)
_CHOICES: Final = ((False, True), (True, False), (True, True))


def aggregate_early(plan: Plan) -> Plan | None:
    """A plan with aggregates below its joins, where that is possible and costs less.

    None if nothing changes, as in every plan with models (`mc2.plan.oblivious_rewrites`). What the
    plan gives stays the same, and so does when it fails.
    """
    if not all(isinstance(node.operation, RelationalOperation | Window) for node in plan.nodes):
        return None
    rewriting = _Rewriting(plan)
    rewriting.run()
    return rewriting.plan() if rewriting.changed else None


class _Rewriting:
    """Builds a plan anew, node by node."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._draft = plan, Draft(plan)
        self._readers: dict[int, int] = {}
        self._places: dict[int, int] = {}
        self._best: dict[int, int] = {}
        self.changed = False

    def run(self) -> None:
        """Take over each node, aggregates in the way that costs least."""
        nodes = self._plan.nodes
        readers = Counter(s for node in nodes for s in node.operation.sources)
        readers.update(o.node for o in self._plan.outputs)
        room = rooms(nodes)
        for old, node in enumerate(nodes):
            operation = renumbered(node.operation, self._places)
            place = self._draft.add(operation, room.get(old, NO_USEFUL_BOUND))
            self._readers[place] = self._readers.get(place, 0) + readers[old]
            self._places[old] = self._earlier(place)
            self.changed |= self._places[old] != place

    def plan(self) -> Plan:
        """The plan as it is now."""
        return self._draft.finished(
            [replace(o, node=self._places[o.node]) for o in self._plan.outputs]
        )

    def _earlier(self, index: int) -> int:
        """A node, or one with the same columns that groups the sides of a join first."""
        if index not in self._best:
            self._best[index] = self._best_of(index)
        return self._best[index]

    def _best_of(self, index: int) -> int:
        operation, schema = self._draft.operation(index), self._draft.schema(index)
        chain = self._chain(operation.source) if isinstance(operation, Aggregate) else None
        best = index
        for grouped in _CHOICES:
            if chain is None or not isinstance(operation, Aggregate):
                break
            try:
                sides = Sides(self._draft, chain, grouped, self._earlier)
                found = sides.made(operation, schema)
            except (PlanError, FormatError):  # no exact way, or none within the limits of plans
                continue
            same = self._draft.schema(found) == schema
            if same and self._is_better(chain.join, found, best):
                best = found
        return best

    def _is_better(self, join: Join, index: int, than: int) -> bool:
        """Whether a node costs less; by far less, if no pairs of rows are saved."""
        (refused, took), (as_often, longer) = self._draft.cost(index), self._draft.cost(than)
        if not self._draft.has_pairs(join):
            took, longer = took * _MARGIN[0], longer * _MARGIN[1]
        return (refused, took) < (as_often, longer)

    def _chain(self, index: int) -> Chain | None:
        """What stands above the next join, if nothing else reads it; None if there is none such."""
        passed: list[Operation] = []
        while self._readers.get(index) == 1:
            operation = self._draft.operation(index)
            if isinstance(operation, Join) and operation.how in LOOSE:
                names = self._draft.schema(index).names
                return _chain_of(operation, index, names, passed)
            if not self._is_passed(operation):
                return None
            passed.append(operation)
            (index,) = operation.sources
        return None

    def _is_passed(self, operation: Operation) -> bool:
        """Whether a node can do its work after rows have been grouped."""
        match operation:
            case Project(source=source, columns=columns):
                magnitudes = self._draft.magnitudes(source)
                return all(magnitudes.never_fails(c.expression) for c in columns)
            case RowBound(leak=leak):
                return leak == "none" and not isinstance(operation, PairBound)
            case _:
                return isinstance(operation, Filter)


def _chain_of(join: Join, index: int, names: Sequence[str], passed: Sequence[Operation]) -> Chain:
    """What nodes, from above, make of the columns of a join, in terms of these."""
    columns: dict[str, Expression] = {name: ColumnRef(name) for name in names}
    steps: list[Expression | int] = []
    for operation in reversed(passed):
        match operation:
            case Project(columns=computed):
                columns = {c.name: substituted(c.expression, columns) for c in computed}
            case Filter(predicate=predicate):
                steps.append(substituted(predicate, columns))
            case RowBound(rows=rows):
                steps.append(rows)
    return Chain(join, index, columns, tuple(steps))
