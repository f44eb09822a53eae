"""The cheapest order of the joins of a region, by public sizes.

Small regions are searched whole, by dynamic programming over sets of what is joined; for each set
one way is kept for each order in which its rows could stand, since an order saves a later sort.
Larger ones are joined step by step, the cheapest step first. No two tables are paired that no
equality connects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from operator import attrgetter
from typing import Final

from mc2.plan.matching import Equality, all_of, fixed_column, match
from mc2.plan.oblivious_costs import (
    Side,
    compact_cost,
    few_cost,
    is_few,
    look_up_cost,
    match_cost,
    sort_cost,
)
from mc2.plan.oblivious_growing import Growing
from mc2.plan.oblivious_joints import Joints, equality
from mc2.plan.oblivious_regions import Region, Tree
from mc2.plan.oblivious_uniques import Uniques
from mc2.plan.relations import Filter, Join
from mc2.plan.shapes import capped

MOST_SEARCHED: Final = 9
"""Leaves and tests of a region that is searched whole: beyond, there are too many sets of them."""

_COMPARED_BITS: Final = 128  # the least and the greatest value of partners
_CODE_BITS: Final = 6  # groups of so few are not sorted
_NONE: Final = -1


@dataclass(frozen=True, slots=True)
class Way:
    """One way to compute a set of parts: what it costs, and the classes that its rows ascend in.

    `sides` are what is joined last, a unique side on the right; None for a leaf or a test.
    """

    parts: int
    cost: int
    order: frozenset[int]
    sides: tuple[Way, Way] | None = None


@dataclass(frozen=True, slots=True)
class _Meeting:
    """How two sets of parts are joined.

    `key` is the class of the one key, `_NONE` if there are several. `to_one`: a row of the left
    side has one partner at most; `of_one`: one of the right side has.
    """

    key: int
    key_bits: int
    to_one: bool
    of_one: bool
    rows: int


class Search:
    """Searches one region, whose leaves and the right sides of whose tests are there already.

    `shown` are the columns that are read of it, `grouped` the one by which its rows are grouped.
    """

    def __init__(
        self,
        growing: Growing,
        region: Region,
        places: tuple[Sequence[int], Sequence[int]],
        shown: frozenset[str],
        grouped: str | None,
    ) -> None:
        self._growing, self._tests, self._rights = growing, region.tests, places[1]
        leaves = places[0]
        self._count = len(leaves)
        self._whole = (1 << (self._count + len(region.tests))) - 1
        self._leaf_parts = (1 << self._count) - 1
        schemas = [growing.schema(n).by_name() for n in leaves]
        self._bits = {name: bits for node in leaves for name, bits in growing.bits(node).items()}
        self._decoding = {n: c for node in leaves for n, c in growing.decoding(node).items()}
        self.joints = Joints(region, schemas, self._bits, shown)
        self._order_of = dict(self.joints.class_of)
        for name in sorted({n for t in region.tests for n in t.reads} | {grouped or ""} - {""}):
            self._order_of.setdefault(name, len(self._order_of) + len(self.joints.classes))
        sorted_by = grouped is not None and self._bits[grouped] > _CODE_BITS
        self._grouped = self._order_of.get(grouped or "", _NONE) if sorted_by else _NONE
        self._nodes: dict[int, int] = {}
        self._rows: dict[int, int] = {}
        self._ways: dict[int, dict[frozenset[int], Way]] = {}
        for place, node in enumerate(leaves):
            self._add_leaf(place, node)
        for place, node in enumerate(self._rights):
            self._nodes[1 << (self._count + place)] = node
        facts = [growing.facts(self._nodes[1 << i]) for i in range(self._count)]
        self._uniques = Uniques(facts, self.joints.classes)
        self._meeting, self._row = cache(self._meet), cache(self._row_of)

    def _add_leaf(self, place: int, node: int) -> None:
        condition = all_of(self.joints.filters(place))
        here = node if condition is None else self._growing.add(Filter(node, condition))
        ascending = self._growing.ascending(here)
        order = frozenset(self._order_of[n] for n in ascending if n in self._order_of)
        self._nodes[1 << place] = here
        self._rows[1 << place] = self._growing.facts(here).rows
        self._ways[1 << place] = {order: Way(1 << place, 0, order)}

    # --- orders

    def best(self) -> Way | None:
        """The cheapest way; None if there is none, which `written` is then as well."""
        if self._whole.bit_count() > MOST_SEARCHED:
            found = self._step_by_step()
            return None if found is None else self._ended(found)
        for parts in range(3, self._whole + 1):
            self._add_set(parts)
        ways = self._ways.get(self._whole, {}).values()
        return min(map(self._ended, ways), key=attrgetter("cost"), default=None)

    def written(self, tree: Tree) -> Way | None:
        """The way that the plan has."""
        found = self._as_written(tree)
        return None if found is None else self._ended(found)

    def _as_written(self, tree: Tree) -> Way | None:
        if isinstance(tree, int):
            known = self._ways.get(1 << tree, {})
            return next(iter(known.values()), Way(1 << tree, 0, frozenset()))
        left, right = (self._as_written(side) for side in tree)
        if left is None or right is None:
            return None
        self._count_rows(left.parts, right.parts)
        return self._together(left, right) or self._turned(left, right)

    def _ended(self, way: Way) -> Way:
        """With what it costs to sort rows by the column that they are grouped by."""
        if self._grouped == _NONE or self._grouped in way.order:
            return way
        cost = sort_cost(self._rows[way.parts], self._side(way).words)
        return Way(way.parts, way.cost + cost, way.order, way.sides)

    def _add_set(self, parts: int) -> None:
        """The ways to compute a set of parts, from those of smaller ones."""
        pairs = list(self._pairs(parts))
        if not pairs:
            return
        self._rows[parts] = min(map(self._rows_of_pair, pairs))
        found: dict[frozenset[int], Way] = {}
        for left, right in pairs:
            for way in self._all_together(left, right):
                old = found.get(way.order)
                if old is None or way.cost < old.cost:
                    found[way.order] = way
        self._ways[parts] = {
            order: way
            for order, way in found.items()
            if not any(o > order and w.cost <= way.cost for o, w in found.items())
        }

    def _pairs(self, parts: int) -> Iterator[tuple[int, int]]:
        """The two sets that a set may come from last; of tests, what is asked on the right."""
        for test in range(self._count, self._whole.bit_length()):
            if parts >> test & 1 and self._may_ask(parts ^ 1 << test, test):
                yield parts ^ 1 << test, 1 << test
        lowest, left = parts & -parts, (parts - 1) & parts
        while left:
            right = parts ^ left
            known = left & lowest and left in self._ways and right in self._ways
            if known and self._meeting(left, right) is not None:
                yield left, right
            left = (left - 1) & parts

    def _may_ask(self, parts: int, test: int) -> bool:
        reads = self.joints.parts_read(self._tests[test - self._count].reads)
        return parts in self._ways and reads & parts == reads

    def _rows_of_pair(self, pair: tuple[int, int]) -> int:
        meeting = None if self._is_test(pair[1]) else self._meeting(*pair)
        return self._rows[pair[0]] if meeting is None else meeting.rows

    def _count_rows(self, left: int, right: int) -> None:
        """Know how many rows there are of two sets together, unless that is known."""
        self._rows.setdefault(left | right, self._rows_of_pair((left, right)))

    def _all_together(self, left: int, right: int) -> Iterator[Way]:
        rights = self._ways.get(right, {}).values() or [Way(right, 0, frozenset())]
        for one, other in product(self._ways[left].values(), rights):
            found = self._together(one, other), self._turned(one, other)
            yield from (way for way in found if way is not None)

    def _is_test(self, parts: int) -> bool:
        return not parts & self._leaf_parts

    # --- larger regions

    def _step_by_step(self) -> Way | None:
        """Join what costs least, again and again; None if something is left."""
        ways = [next(iter(self._ways[1 << i].values())) for i in range(self._count)]
        tests = list(range(self._count, self._whole.bit_length()))
        while len(ways) > 1 or tests:
            steps = [(s, w) for s, w in self._steps(ways, tests) if w is not None]
            if not steps:
                return None
            used, found = min(steps, key=lambda step: _added_cost(step[1]))
            tests = [t for t in tests if not found.parts >> t & 1]
            ways = [*(w for w in ways if w not in used), found]
        return ways[0]

    def _steps(
        self, ways: Sequence[Way], tests: Iterable[int]
    ) -> Iterator[tuple[tuple[Way, ...], Way | None]]:
        for place, left in enumerate(ways):
            self._ways[left.parts] = {left.order: left}
            for right in ways[place + 1 :]:
                if self._meeting(left.parts, right.parts) is not None:
                    self._count_rows(left.parts, right.parts)
                    yield (left, right), self._together(left, right)
                    yield (left, right), self._turned(left, right)
            for test in tests:
                if self._may_ask(left.parts, test):
                    self._count_rows(left.parts, 1 << test)
                    yield (left,), self._together(left, Way(1 << test, 0, frozenset()))

    # --- one join

    def _together(self, left: Way, right: Way) -> Way | None:
        """Two ways joined; None if the sides stand the wrong way round."""
        if self._is_test(right.parts):
            return self._asked(left, right)
        meeting = self._meeting(left.parts, right.parts)
        if meeting is None or (meeting.of_one and not meeting.to_one):
            return None
        parts, key = left.parts | right.parts, meeting.key
        sides = self._side(left, key), self._side(right, key)
        order = frozenset[int]() if key == _NONE else frozenset({key})
        if not meeting.to_one:
            cost = match_cost(*sides, meeting.rows)
        elif is_few(*sides, meeting.key_bits):
            cost, order = few_cost(*sides), left.order
        else:
            cost = look_up_cost(*sides)
        if meeting.to_one and self._rows[parts] < sides[0].rows:
            cost += compact_cost(sides[0].rows, sides[0].words + sides[1].words)
        return Way(parts, left.cost + right.cost + cost, order, (left, right))

    def _turned(self, left: Way, right: Way) -> Way | None:
        return None if self._is_test(right.parts) else self._together(right, left)

    def _asked(self, left: Way, right: Way) -> Way:
        """A way, and then a test of its rows."""
        place = right.parts.bit_length() - 1 - self._count
        test, node = self._tests[place], self._rights[place]
        found = match(test.on, test.reads, self._growing.schema(node).names)
        pairs = _columns_of(found.equalities)
        mine, theirs = pairs[0] if len(pairs) == 1 else ("", "")
        key = self._order_of.get(mine, _NONE)
        bits = sum(self._bits[a] for a, _ in pairs) + _COMPARED_BITS * (found.rest is not None)
        ascends = theirs in self._growing.ascending(node)
        other = Side(self._growing.facts(node).rows, bits, ascends)
        cost = look_up_cost(self._side(left, key), other)
        return Way(left.parts | right.parts, left.cost + cost, left.order & {key}, (left, right))

    def _meet(self, left: int, right: int) -> _Meeting | None:
        """How two sets of parts are joined; None if no equality connects them."""
        keys, others = self.joints.keys(left, right), self.joints.others(left, right)
        pairs = [(a, b) for _, a, b in keys]
        if others:
            sides = [self.joints.names(p) for p in (left, right)]
            more = match(all_of(others), *sides).equalities
            pairs += _columns_of(more)
        if not pairs:
            return None
        to_one = self._uniques.is_unique(right, (b for _, b in pairs))
        of_one = self._uniques.is_unique(left, (a for a, _ in pairs))
        counts = self._rows[left], self._rows[right]
        rows = [capped(counts[0] * counts[1])] + [counts[0]] * to_one + [counts[1]] * of_one
        key = keys[0][0] if len(pairs) == 1 and keys else _NONE
        bits = sum(max(self._bits[a], self._bits[b]) for a, b in pairs)
        return _Meeting(key, bits, to_one, of_one, min(rows))

    def _side(self, way: Way, key: int = _NONE) -> Side:
        """What a way gives for a join by the class `key`."""
        return Side(self._rows[way.parts], *self._row(way.parts, ascends=key in way.order))

    def _row_of(self, parts: int, *, ascends: bool) -> tuple[int, bool, int]:
        """What a row of a set of parts takes."""
        carried = self.joints.carried(parts)
        decoding = sum(self._decoding.get(n, 0) for n in carried)
        return sum(self._bits[n] for n in carried), ascends, decoding

    # --- nodes

    def add(self, way: Way) -> int:
        """The node that computes a way."""
        if way.sides is None:
            return self._nodes[way.parts]
        left, right = way.sides
        sides = self.add(left), self.add(right)
        return self._growing.add(self._join(left.parts, right.parts, sides))

    def _join(self, left: int, right: int, sides: tuple[int, int]) -> Join:
        if self._is_test(right):
            test = self._tests[right.bit_length() - 1 - self._count]
            return Join(*sides, test.how, test.on)
        on = [equality(a, b) for _, a, b in self.joints.keys(left, right)]
        return Join(*sides, "inner", all_of([*on, *self.joints.others(left, right)]))


def _columns_of(equalities: Iterable[Equality]) -> list[tuple[str, str]]:
    """The columns of both sides that equalities fix."""
    return [(fixed_column(e.left) or "", fixed_column(e.right) or "") for e in equalities]


def _added_cost(way: Way) -> int:
    return way.cost - sum(side.cost for side in way.sides or ())
