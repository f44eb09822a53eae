"""Regions of a plan whose joins may be done in any order: inner joins by equalities, and more.

Conditions that fail on no row move, and so do semi and anti joins, which are conditions on rows.
What else there is, and whatever several nodes read, stays as it is: a region has it as a leaf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mc2.plan.expressions import Call, ColumnRef, Expression, columns_of, substituted
from mc2.plan.matching import conjuncts, match
from mc2.plan.oblivious_joins import COMPARISONS, may_fail
from mc2.plan.plan import Node, Operation
from mc2.plan.relations import Filter, Join, Project

_ASKING: Final = frozenset({"semi", "anti"})
_MOST_PARTS: Final = 32  # leaves and tests; a region with more stays as it is
_DEEPEST: Final = 100  # nodes above one another: regions are walked by recursion


@dataclass(frozen=True, slots=True)
class Leaf:
    """A node that a region reads, and what each of its columns is called in the region."""

    node: int
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Test:
    """A semi or anti join: of rows of the region, which other rows must or must not be there for.

    `reads` are the columns of the region that its condition reads.
    """

    right: Leaf
    how: str
    on: Expression
    reads: frozenset[str]


Tree = int | tuple["Tree", "Tree"]
"""An order of joins: leaves by their places, and behind them tests, which stand on the right."""


@dataclass(slots=True)
class Region:
    """What a region computes, whatever the order; no two of its columns have one name.

    `conditions` must all be true. `columns` are those of the node `top`, by their names there.
    `written` is the order that the plan has.
    """

    top: int
    leaves: list[Leaf] = field(default_factory=list)
    tests: list[Test] = field(default_factory=list)
    conditions: list[Expression] = field(default_factory=list)
    columns: Mapping[str, str] = field(default_factory=dict)
    written: Tree = 0
    inner: set[int] = field(default_factory=set)


def regions_of(nodes: Sequence[Node], readers: Sequence[int]) -> list[Region]:
    """The regions of a plan with more than one join, last first; no node is in two of them."""
    finder, found = _Finder(nodes, readers), list[Region]()
    taken: set[int] = set()
    for index in reversed(range(len(nodes))):
        is_join = isinstance(nodes[index].operation, Join) and finder.joins[index]
        if index in taken or not is_join:
            continue
        region = finder.region(index)
        taken |= region.inner
        if 2 < len(region.leaves) + len(region.tests) <= _MOST_PARTS:
            found.append(region)
    return found


class _Finder:
    """Finds which nodes move, and writes down what they compute."""

    def __init__(self, nodes: Sequence[Node], readers: Sequence[int]) -> None:
        self._nodes, self._readers = nodes, readers
        self.joins: list[bool] = []  # whether a node may stand in a region above its leaves
        self._depths: list[int] = []
        for node in nodes:
            below = (self._depths[s] for s in node.operation.sources if self._inside(s))
            self._depths.append(1 + max(below, default=0))
            self.joins.append(self._depths[-1] <= _DEEPEST and self._moves(node.operation))

    def _moves(self, operation: Operation) -> bool:
        match operation:
            case Join(how=how, on=on) if how in _ASKING | {"inner"}:
                sides = [self._names(s) for s in operation.sources]
                simple = how == "inner" or _is_simple(on, *sides)
                return simple and _sound(on, *sides) and bool(match(on, *sides).equalities)
            case Filter(source=source, predicate=predicate):
                parts = conjuncts(predicate)
                return self._inside(source) and all(
                    columns_of(p) and not may_fail(p) for p in parts
                )
            case Project(source=source, columns=columns):
                return self._inside(source) and all(
                    isinstance(c.expression, ColumnRef) for c in columns
                )
            case _:
                return False

    def _inside(self, index: int) -> bool:
        """Whether a node is no leaf: it moves, and nothing else reads it."""
        return self.joins[index] and self._readers[index] == 1

    def _names(self, index: int) -> tuple[str, ...]:
        schema = self._nodes[index].schema
        return () if schema is None else schema.names

    def region(self, top: int) -> Region:
        """The region below a join, and with it."""
        found, taken = Region(top), set[str]()
        found.columns, found.written = self._part(top, found, taken)
        found.written = _behind(found.written, len(found.leaves))
        return found

    def _part(self, index: int, region: Region, taken: set[str]) -> tuple[Mapping[str, str], Tree]:
        """What a node's columns are called in the region, and the order below it."""
        if index != region.top and not self._inside(index):
            leaf = self._leaf(index, taken)
            region.leaves.append(leaf)
            return leaf.names, len(region.leaves) - 1
        region.inner.add(index)
        match self._nodes[index].operation:
            case Project(source=source, columns=columns):
                below, tree = self._part(source, region, taken)
                renamed = [(c.name, c.expression) for c in columns]
                return {n: below[e.name] for n, e in renamed if isinstance(e, ColumnRef)}, tree
            case Filter(source=source, predicate=predicate):
                below, tree = self._part(source, region, taken)
                region.conditions += conjuncts(_named(predicate, below))
                return below, tree
            case Join() as operation:
                return self._join(operation, region, taken)
            case _:
                raise TypeError("nothing else moves")

    def _join(
        self, operation: Join, region: Region, taken: set[str]
    ) -> tuple[Mapping[str, str], Tree]:
        left, tree = self._part(operation.left, region, taken)
        if operation.on is None:
            raise TypeError("what moves is joined by equalities")
        if operation.how in _ASKING:
            leaf = self._leaf(operation.right, taken)
            on = _named(operation.on, {**left, **leaf.names})
            reads = columns_of(on) - set(leaf.names.values())
            region.tests.append(Test(leaf, operation.how, on, reads))
            return left, (tree, ~(len(region.tests) - 1))
        right, other = self._part(operation.right, region, taken)
        both = {**left, **right}
        region.conditions += conjuncts(_named(operation.on, both))
        return both, (tree, other)

    def _leaf(self, index: int, taken: set[str]) -> Leaf:
        names = {}
        for name in self._names(index):
            names[name] = _unused(name, taken)
            taken.add(names[name].casefold())
        return Leaf(index, names)


def _sound(on: Expression | None, left: Sequence[str], right: Sequence[str]) -> bool:
    """Whether no part of a join's condition could fail: an equality of two columns does not."""
    return all(
        columns_of(p) and (not may_fail(p) or match(p, left, right).rest is None)
        for p in conjuncts(on)
    )


def _is_simple(on: Expression | None, left: Sequence[str], right: Sequence[str]) -> bool:
    """Whether a row is asked for a partner without making pairs: by one comparison at most."""
    rest = [p for p in conjuncts(match(on, left, right).rest) if columns_of(p) & set(left)]
    of_both = [p for p in rest if columns_of(p) & set(right)]
    return len(of_both) <= 1 and all(
        isinstance(p, Call) and p.function in COMPARISONS for p in of_both
    )


def _named(expression: Expression, names: Mapping[str, str]) -> Expression:
    return substituted(expression, {old: ColumnRef(new) for old, new in names.items()})


def _unused(name: str, taken: set[str]) -> str:
    """The name, or it with a number behind it: names that differ in case alone are one."""
    found, number = name, 1
    while found.casefold() in taken:
        number += 1
        found = f"{name}#{number}"
    return found


def _behind(tree: Tree, leaves: int) -> Tree:
    """The tree with tests, which had places from -1 downwards, behind so many leaves."""
    if isinstance(tree, int):
        return tree if tree >= 0 else leaves + ~tree
    return _behind(tree[0], leaves), _behind(tree[1], leaves)
