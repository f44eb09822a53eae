"""Joins in the order that public sizes show to be cheap, instead of that in which a query has them.

Without sizes of what filters leave, a join costs by what there could be: so small tables are joined
with one another before the large one, and rows that come in order are merged before something
loses the order. All of it follows from the plan and from declared facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeGuard

from mc2.plan.build import renumbered
from mc2.plan.check import CheckedPlan, uses
from mc2.plan.expressions import ColumnRef, Expression, substituted
from mc2.plan.oblivious_growing import Growing
from mc2.plan.oblivious_regions import Leaf, Region, regions_of
from mc2.plan.oblivious_search import Search
from mc2.plan.oblivious_steps import steps
from mc2.plan.plan import Plan
from mc2.plan.relations import Aggregate, Filter, NamedExpression, Project

_LEAST: Final = 20_000_000
"""Nanoseconds: joins that cost less as written stay so, as a search would take what it saves."""

_WORTH: Final = 95
"""Percent of what joins cost as written: what is hardly cheaper stays as it is."""


def in_cheap_order(checked: CheckedPlan) -> Plan | None:
    """The plan with its joins in a cheaper order; None if there is none."""
    plan = checked.plan
    regions = {r.top: r for r in regions_of(plan.nodes, uses(plan.nodes, plan.outputs))}
    if not regions:
        return None
    writer = _Writer(checked)
    within = {i: r for r in regions.values() for i in r.inner}
    for index in range(len(plan.nodes)):
        if index in regions:
            writer.write_region(regions[index])
        elif index not in within and index not in writer.places:
            writer.write(index)
    if not writer.changed:
        return None
    outputs = [replace(o, node=writer.places[o.node]) for o in plan.outputs]
    nodes, moved = writer.growing.finish(outputs)
    return replace(plan, nodes=nodes, outputs=moved)


class _Writer:
    """Writes the nodes anew, regions in their cheapest order."""

    def __init__(self, checked: CheckedPlan) -> None:
        self._plan, self._facts = checked.plan, checked.facts
        readers = uses(checked.plan.nodes, checked.plan.outputs)
        self._needed = steps(checked.plan, checked.facts, readers, fetches=True).needed
        self._reader: list[int | None] = [None] * len(readers)  # the only one
        for index, node in enumerate(checked.plan.nodes):
            for source in node.operation.sources:
                self._reader[source] = index if readers[source] == 1 else None
        self.growing = Growing(checked.plan.inputs)
        self.places: dict[int, int] = {}
        self.changed = False

    def write(self, index: int) -> None:
        """Write a node as it is."""
        operation = renumbered(self._plan.nodes[index].operation, self.places)
        self.places[index] = self.growing.add(operation)

    def write_region(self, region: Region) -> None:
        """Write the nodes of a region, or others that give the same."""
        leaves = [self._leaf(leaf) for leaf in region.leaves]
        rights = [self._leaf(test.right) for test in region.tests]
        shown = frozenset(region.columns[n] for n in self._needed[region.top])
        places = leaves, rights
        search = Search(self.growing, region, places, shown, self._grouped(region))
        written = search.written(region.written)
        best = search.best() if written is not None and written.cost >= _LEAST else None
        if written is None or best is None or 100 * best.cost > _WORTH * written.cost:
            for index in sorted(region.inner):
                self.write(index)
            return
        self._write_above(search.add(best), region)
        self.changed = True

    def _write_above(self, place: int, region: Region) -> None:
        """The conditions right above a region, and then its columns as its last node has them.

        Not before: a condition sinks through joins alone.
        """
        index, reader = region.top, self._reader[region.top]
        names = {old: ColumnRef(new) for old, new in region.columns.items()}
        while reader is not None:
            operation = self._plan.nodes[reader].operation
            if not isinstance(operation, Filter):
                break
            place = self.growing.add(Filter(place, substituted(operation.predicate, names)))
            index, reader = reader, self._reader[reader]
            self.places[index] = place  # of no node but the last one of these it is read
        self.places[index] = self._named(place, region)

    def _leaf(self, leaf: Leaf) -> int:
        """A leaf, with its columns called as in the region."""
        place = self.places[leaf.node]
        if all(old == new for old, new in leaf.names.items()):
            return place
        columns = (NamedExpression(new, ColumnRef(old)) for old, new in leaf.names.items())
        return self.growing.add(Project(place, tuple(columns)))

    def _named(self, place: int, region: Region) -> int:
        """The columns of a region as its last node has them."""
        schema = self._plan.nodes[region.top].schema
        names = () if schema is None else schema.names
        if names == self.growing.schema(place).names:
            return place
        columns = tuple(NamedExpression(n, ColumnRef(region.columns[n])) for n in names)
        return self.growing.add(Project(place, columns))

    def _grouped(self, region: Region) -> str | None:
        """The column by which alone the rows of a region are grouped, right above it."""
        reader, names = self._reader[region.top], dict(region.columns)
        while reader is not None:
            operation, reader = self._plan.nodes[reader].operation, self._reader[reader]
            match operation:
                case Filter():
                    pass
                case Project(columns=columns):
                    kept = ((c.name, c.expression) for c in columns)
                    names = {n: names[e.name] for n, e in kept if _is_one_of(e, names)}
                case Aggregate(source=source, keys=keys):
                    by = self._facts[source].fewest(keys)
                    return names.get(by[0]) if len(by) == 1 else None
                case _:
                    return None
        return None


def _is_one_of(expression: Expression, names: Mapping[str, str]) -> TypeGuard[ColumnRef]:
    return isinstance(expression, ColumnRef) and expression.name in names
