"""Columns that the few rows of a limit get at last, by a key of the table that has them.

Wide texts are not carried through joins and groups of many rows when only the rows that a limit
keeps show them. Which ones follows from the plan and from declared facts alone: what a unique key
of a table decides is found there again, if that key is among what the limit has. That the key is
unique is checked when it is looked up, so groups that are made without such columns are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mc2.formats.schema import Column
from mc2.plan.expressions import ColumnRef
from mc2.plan.facts import Facts
from mc2.plan.matching import match
from mc2.plan.plan import Node
from mc2.plan.relations import (
    Aggregate,
    Filter,
    Join,
    Limit,
    Mark,
    Project,
    RowBound,
    Scan,
    Sort,
)

_HIDDEN: Final = "\0late"  # no column of a plan starts so
_WIDE: Final = 8  # bytes of texts that are not carried
_WORTH: Final = 4  # how many times the rows of its table there must be on the way
_VISITS: Final = 256
_REAL: Final = frozenset({"double", "float"})
_BOTH: Final = frozenset({"inner", "cross", "left", "single"})
_LEFT: Final = frozenset({"semi", "anti"})


@dataclass(frozen=True, slots=True)
class Fetch:
    """What rows get from the scan `source`: where its columns `by` are equal to theirs.

    `by` are pairs of a column of the rows and one of the scan; `columns` of a new name and a column
    of the scan.
    """

    source: int
    by: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Late:
    """What a limit fetches, in order, and the keys of groups that are left out for it, by node.

    `names` are its columns that are fetched, `by` those of its rows that find them.
    """

    fetches: tuple[Fetch, ...]
    names: frozenset[str]
    by: frozenset[str]
    keys: Mapping[int, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Origin:
    """A column of one occurrence of a scan: the sides of joins that lead to it."""

    path: tuple[int, ...]
    scan: int
    column: str


@dataclass(frozen=True, slots=True)
class _Way:
    """Where a column comes from, as which keys of groups; `fixed`: it decides others there."""

    origin: _Origin
    keys: frozenset[tuple[int, str]] = frozenset()
    fixed: bool = False


@dataclass(slots=True)
class _Tracer:
    """Follows columns down from a limit."""

    nodes: Sequence[Node]
    facts: Sequence[Facts]
    equal: list[tuple[_Origin, _Origin]] = field(default_factory=list)
    most: int = 0  # rows of the largest join or group on the way
    _visits: int = 0

    def ways(  # noqa: PLR0911 - one a case
        self, index: int, path: tuple[int, ...]
    ) -> dict[str, _Way]:
        """The columns of a node that come from scans."""
        self._visits += 1
        if self._visits > _VISITS:
            return {}
        operation = self.nodes[index].operation
        match operation:
            case Scan(columns=columns):
                return {n: _Way(_Origin(path, index, n)) for n in columns}
            case Project(source=source, columns=computed):
                below = self.ways(source, path)
                kept = {c.name: c.expression for c in computed}
                return {
                    n: below[e.name]
                    for n, e in kept.items()
                    if isinstance(e, ColumnRef) and e.name in below
                }
            case Filter(source=source) | Sort(source=source) | RowBound(source=source):
                return self.ways(source, path)
            case Aggregate():
                return self._groups(index, operation, path)
            case Join():
                return self._joined(index, operation, path)
            case Mark():
                return self.ways(operation.left, (*path, 0))
            case _:
                return {}

    def _groups(self, index: int, operation: Aggregate, path: tuple[int, ...]) -> dict[str, _Way]:
        self.most = max(self.most, self.facts[operation.source].rows)
        below = self.ways(operation.source, path)
        by = self.facts[operation.source].fewest(operation.keys)
        return {
            n: _Way(w.origin, w.keys | {(index, n)}, fixed=w.fixed or n in by)
            for n, w in below.items()
            if n in operation.keys
        }

    def _joined(self, index: int, operation: Join, path: tuple[int, ...]) -> dict[str, _Way]:
        self.most = max(self.most, self.facts[index].rows)
        left = self.ways(operation.left, (*path, 0))
        if operation.how in _LEFT:
            return left
        if operation.how not in _BOTH:
            return {}
        right = self.ways(operation.right, (*path, 1))
        if operation.how == "inner":
            for one in match(operation.on, left, right).equalities:
                a, b = one.left, one.right
                if isinstance(a, ColumnRef) and isinstance(b, ColumnRef):
                    self.equal.append((left[a.name].origin, right[b.name].origin))
        return {**left, **right}


class _Chooser:
    """Chooses what is fetched, from which scans and by what."""

    def __init__(self, tracer: _Tracer, ways: Mapping[str, _Way], kept: Collection[str]) -> None:
        self._tracer, self._ways = tracer, ways
        self._kept = set(kept)
        self._hidden: dict[_Origin, str] = {}
        self.fetches: dict[tuple[tuple[int, ...], int], Fetch] = {}

    def fetch(self, origin: _Origin, name: str) -> bool:
        """Add a column to what is fetched, if its row can be found."""
        place = origin.path, origin.scan
        found = self.fetches.get(place)
        if found is None:
            by = self._by(origin, frozenset())
            if by is None:
                return False
            found = Fetch(origin.scan, by, ())
        columns = (*found.columns, (name, origin.column))
        self.fetches[place] = Fetch(found.source, found.by, columns)
        return True

    def _by(
        self, origin: _Origin, seen: frozenset[tuple[tuple[int, ...], int]]
    ) -> tuple[tuple[str, str], ...] | None:
        """What finds a row of a scan: columns that the rows have, or that are fetched before."""
        place = origin.path, origin.scan
        tracer = self._tracer
        facts = tracer.facts[origin.scan]
        if place in seen or _WORTH * facts.rows > tracer.most:
            return None
        columns = self._columns(origin.scan)
        for key in sorted(facts.unique, key=lambda k: (len(k), sorted(k))):
            if not key or not key <= set(columns):
                continue
            if any(columns[k].nullable or columns[k].type.name in _REAL for k in key):
                continue
            found = [self._same(_Origin(*place, k), seen | {place}) for k in sorted(key)]
            names = [f for f in found if f is not None]
            if len(names) == len(found):
                return tuple(zip(names, sorted(key), strict=True))
        return None

    def _same(self, wanted: _Origin, seen: frozenset[tuple[tuple[int, ...], int]]) -> str | None:
        """A column of the rows that has the values of another one."""
        kind = self._columns(wanted.scan)[wanted.column].type
        equal = [o for o in self._class(wanted) if self._columns(o.scan)[o.column].type == kind]
        for name in sorted(self._kept):
            way = self._ways.get(name)
            if way is not None and way.origin in equal:
                return name
        for origin in equal:
            if origin in self._hidden:
                return self._hidden[origin]
        for origin in equal:
            place = origin.path, origin.scan
            by = self._by(origin, seen)
            if by is not None:
                name = f"{_HIDDEN}{len(self._hidden)}"
                self._hidden[origin] = name
                found = self.fetches.get(place, Fetch(origin.scan, by, ()))
                columns = (*found.columns, (name, origin.column))
                self.fetches[place] = Fetch(found.source, found.by, columns)
                return name
        return None

    def _class(self, wanted: _Origin) -> list[_Origin]:
        found = [wanted]
        for one in found:
            for pair in self._tracer.equal:
                if one in pair:
                    found += [o for o in pair if o not in found]
        return found

    def _columns(self, index: int) -> Mapping[str, Column]:
        schema = self._tracer.nodes[index].schema
        return {} if schema is None else schema.by_name()


def late_columns(
    nodes: Sequence[Node],
    facts: Sequence[Facts],
    index: int,
    shown: Collection[str],
    read: Collection[str],
) -> Late | None:
    """What a limit fetches: of what is `shown` later, but not `read` by itself or what is below."""
    operation = nodes[index].operation
    if not isinstance(operation, Limit) or operation.count is None:
        return None
    tracer = _Tracer(nodes, facts)
    ways = tracer.ways(operation.source, ())
    loose = [n for n in sorted(shown) if n not in read and n in ways and not ways[n].fixed]
    wide = [n for n in loose if facts[operation.source].width(n) > _WIDE]
    if not wide or _WORTH * facts[index].rows > tracer.most:
        return None
    chooser = _Chooser(tracer, ways, {n for n in shown if n not in wide} | set(read))
    names = {n for n in wide if chooser.fetch(ways[n].origin, n)}
    used = {a for f in chooser.fetches.values() for a, _ in f.by}
    places = set(chooser.fetches)
    for name in loose:
        origin = ways[name].origin
        if name not in names | used and (origin.path, origin.scan) in places:
            chooser.fetch(origin, name)
            names.add(name)
    if not names:
        return None
    keys: dict[int, set[str]] = {}
    for node, key in {pair for n in names for pair in ways[n].keys}:
        keys.setdefault(node, set()).add(key)
    left_out = {node: frozenset(found) for node, found in keys.items()}
    own = frozenset(n for n in used if n in ways)
    return Late(_in_order(chooser.fetches.values()), frozenset(names), own, left_out)


def _in_order(fetches: Collection[Fetch]) -> tuple[Fetch, ...]:
    """First what others are found by."""
    waiting, found = list(fetches), list[Fetch]()
    while waiting:
        missing = {n for f in waiting for n, _ in f.columns}
        ready = [f for f in waiting if not missing & {a for a, _ in f.by}]
        if not ready:
            raise TypeError("columns are fetched by columns that are there before")
        found += ready
        waiting = [f for f in waiting if f not in ready]
    return tuple(found)
