"""Conditions that a value of one side lies between two of the other one: BETWEEN in a join.

Values in order, those between two others are neighbours: pairs need no more room than there are of
them, where a product of both sides would be needed to test each pair.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mc2.plan.expressions import Call, ColumnRef, Expression
from mc2.plan.matching import conjuncts, match
from mc2.plan.plan import Node
from mc2.plan.relations import Join, Project, RowBound

_LOWER: Final = {"ge": False, "gt": True}
_UPPER: Final = {"le": False, "lt": True}
_TURNED: Final = {"ge": "le", "gt": "lt", "le": "ge", "lt": "gt"}
_BOTH: Final = 2


@dataclass(frozen=True, slots=True)
class End:
    """A column that a value is not beyond; nor equal to it, if `strict`."""

    column: str
    strict: bool


@dataclass(frozen=True, slots=True)
class Band:
    """`point`, of the left side if `of_left`, lies between two columns of the other side."""

    point: str
    of_left: bool
    low: End
    high: End


def band_of(
    parts: Sequence[Expression], left: Collection[str], right: Collection[str]
) -> Band | None:
    """The band that two comparisons make, of columns as they are; None if they make none."""
    if len(parts) != _BOTH:
        return None
    for side, other, of_left in ((left, right, True), (right, left, False)):
        points, lows, highs = set(), [], []
        for part in parts:
            found = _compared(part, side, other)
            if found is None:
                break
            name, function, end = found
            points.add(name)
            if function in _LOWER:
                lows.append(End(end, _LOWER[function]))
            else:
                highs.append(End(end, _UPPER[function]))
        if len(points) == len(lows) == len(highs) == 1:
            return Band(points.pop(), of_left, lows[0], highs[0])
    return None


def _compared(
    part: Expression, side: Collection[str], other: Collection[str]
) -> tuple[str, str, str] | None:
    """A column of the side, how it compares, and the column of the other side."""
    match part:
        case Call(function, (ColumnRef(a), ColumnRef(b))) if function in _TURNED:
            if a in side and b in other:
                return a, function, b
            if b in side and a in other:
                return b, _TURNED[function], a
    return None


def rooms(nodes: Sequence[Node]) -> Mapping[int, int]:
    """Joins whose pairs are all counted by a bound above them, and how many that allows.

    Without another condition than equalities and a band: what else it leaves out would count here.
    """
    readers = [0] * len(nodes)
    for node in nodes:
        for source in node.operation.sources:
            readers[source] += 1
    found: dict[int, int] = {}
    for node in nodes:
        if isinstance(node.operation, RowBound):
            source = node.operation.source
            while isinstance(operation := nodes[source].operation, Project):
                source = operation.source if readers[source] == 1 else -1
                if source < 0:
                    break
            if source >= 0 and readers[source] == 1 and _is_exact(nodes, source):
                found[source] = node.operation.rows
    return found


def _is_exact(nodes: Sequence[Node], index: int) -> bool:
    operation = nodes[index].operation
    if not isinstance(operation, Join) or operation.how not in {"inner", "cross"}:
        return False
    schemas = [nodes[s].schema for s in operation.sources]
    sides = [() if s is None else s.names for s in schemas]
    found = match(operation.on, *sides)
    parts = conjuncts(found.rest)
    return not parts or band_of(parts, *sides) is not None
