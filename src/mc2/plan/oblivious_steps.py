"""What each node of a plan computes in oblivious mode, so that no more is carried than is read.

Nothing that is dropped here changes an answer: columns that no later node reads, and conditions on
one side of a join, which are tested before it. All of it follows from the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mc2.plan.expressions import ColumnRef, Expression, columns_of
from mc2.plan.facts import Facts
from mc2.plan.matching import all_of, conjuncts, names_of
from mc2.plan.oblivious_joins import may_fail
from mc2.plan.oblivious_late import Late, late_columns
from mc2.plan.ordering import ordered_nodes
from mc2.plan.plan import Node, Operation, Plan
from mc2.plan.relations import (
    Aggregate,
    Explode,
    Filter,
    Join,
    Limit,
    Mark,
    NamedExpression,
    PairBound,
    Project,
    RowBound,
    Sort,
)

_KEEP_LEFT = frozenset({"left", "semi", "anti", "single"})
_BOTH = frozenset({"inner", "cross"})


@dataclass(frozen=True, slots=True)
class Ties:
    """What orders rows that agree in what they are sorted by.

    `columns` are looked at from left to right, of which rows agree in `decided`. With `unique` no
    two rows agree in all that has been looked at.
    """

    columns: tuple[str, ...]
    decided: frozenset[str]
    unique: bool


@dataclass(slots=True)
class Steps:
    """What nodes compute.

    `needed`: the columns that each node gives. `filters`: what a filter tests itself, None for
    nothing. `before`: what a join tests of the rows of each side, before anything else.
    `first`: how many rows of a sort a limit reads, which is the only one to read it. `late`: what a
    limit fetches for the rows that it keeps. `left_out`: keys of groups that are fetched so.
    """

    needed: list[frozenset[str]]
    filters: dict[int, Expression | None] = field(default_factory=dict)
    before: dict[int, tuple[Expression | None, Expression | None]] = field(default_factory=dict)
    first: dict[int, int] = field(default_factory=dict)
    late: dict[int, Late] = field(default_factory=dict)
    left_out: dict[int, frozenset[str]] = field(default_factory=dict)


def ties(facts: Facts, names: Sequence[str], sorted_by: Iterable[str]) -> Ties:
    """How far one must look at columns until no two rows agree.

    Where some may, all columns are looked at: nothing would notice there that a fact is false which
    says that one of them decides another, and rows would come in another order.
    """
    looked: list[str] = []
    decided = set()
    so_far = facts.decided(frozenset(sorted_by))
    for name in names:
        if facts.is_unique(so_far):
            break
        looked.append(name)
        if name in so_far:
            decided.add(name)
        so_far = facts.decided(so_far | {name})
    unique = facts.is_unique(so_far)
    return Ties(tuple(looked), frozenset(decided if unique else ()), unique)


def sorted_columns(operation: Sort) -> list[str]:
    """The columns that a sort compares as they are."""
    return [k.expression.name for k in operation.keys if isinstance(k.expression, ColumnRef)]


def steps(
    plan: Plan, facts: Sequence[Facts], readers: Sequence[int], *, fetches: bool = False
) -> Steps:
    """The steps of a plan that oblivious mode can run; `readers` of each node, outputs included.

    With `fetches`, limits get wide columns at last; their tables are kept until then.
    """
    found = Steps([frozenset() for _ in plan.nodes])
    _move_filters(plan.nodes, readers, found)
    found.first = _first_rows(plan.nodes, readers)
    ordered = ordered_nodes(plan.nodes)
    wanted = [set[str]() for _ in plan.nodes]
    for output in plan.outputs:
        wanted[output.node].update(_names(plan.nodes[output.node]))
    for index in reversed(range(len(plan.nodes))):
        found.needed[index] = frozenset(wanted[index])
        if fetches:
            _plan_late(plan.nodes, index, found, facts, ordered, wanted)
        for source, names in _read(plan.nodes, index, found, facts, ordered):
            wanted[source] |= names
    return found


def _plan_late(
    nodes: Sequence[Node],
    index: int,
    found: Steps,
    facts: Sequence[Facts],
    ordered: Sequence[bool],
    wanted: Sequence[set[str]],
) -> None:
    """Plan what a limit fetches, and take keys of groups out that nobody reads before."""
    if isinstance(nodes[index].operation, Aggregate):
        known = (late.keys.get(index, frozenset[str]()) for late in found.late.values())
        found.left_out[index] = frozenset[str]().union(*known) - found.needed[index]
    if not isinstance(nodes[index].operation, Limit):
        return
    read = _own_reads(nodes, index, facts, ordered=ordered[nodes[index].operation.sources[0]])
    late = late_columns(nodes, facts, index, found.needed[index], read)
    if late is None:
        return
    found.late[index] = late
    for fetch in late.fetches:
        wanted[fetch.source].update(name for _, name in (*fetch.by, *fetch.columns))


def _own_reads(
    nodes: Sequence[Node], index: int, facts: Sequence[Facts], *, ordered: bool
) -> frozenset[str]:
    """What a limit, and a sort right below it, compare."""
    (source,) = nodes[index].operation.sources
    operation = nodes[source].operation
    if isinstance(operation, Sort):
        names = _names(nodes[source])
        last = ties(facts[operation.source], names, sorted_columns(operation))
        return names_of(k.expression for k in operation.keys) | set(last.columns)
    if ordered:
        return frozenset()
    return frozenset(ties(facts[source], _names(nodes[source]), []).columns)


def _first_rows(nodes: Sequence[Node], readers: Sequence[int]) -> dict[int, int]:
    found = {}
    for node in nodes:
        operation = node.operation
        if isinstance(operation, Limit) and operation.count is not None:
            source = operation.source
            if isinstance(nodes[source].operation, Sort) and readers[source] == 1:
                found[source] = operation.count + operation.offset
    return found


def _names(node: Node) -> tuple[str, ...]:
    return () if node.schema is None else node.schema.names


# --- conditions before joins


def _move_filters(nodes: Sequence[Node], readers: Sequence[int], found: Steps) -> None:
    parts: dict[tuple[int, int], list[Expression]] = {}
    for index, node in enumerate(nodes):
        if isinstance(node.operation, Filter):
            kept = []
            for part in conjuncts(node.operation.predicate):
                place = None
                if not may_fail(part) and columns_of(part):
                    place = _place(nodes, readers, node.operation.source, columns_of(part))
                if place is None:
                    kept.append(part)
                else:
                    parts.setdefault(place, []).append(part)
            found.filters[index] = all_of(kept)
    for join in {join for join, _ in parts}:
        found.before[join] = all_of(parts.get((join, 0), [])), all_of(parts.get((join, 1), []))


def _place(
    nodes: Sequence[Node], readers: Sequence[int], index: int, columns: frozenset[str]
) -> tuple[int, int] | None:
    """The lowest join, and its side, where a condition can be tested instead of above a node."""
    if readers[index] != 1:
        return None
    operation = nodes[index].operation
    if isinstance(operation, Filter):
        return _place(nodes, readers, operation.source, columns)
    if not isinstance(operation, Join):
        return None
    sides = [0, 1] if operation.how in _BOTH else [0] if operation.how in _KEEP_LEFT else []
    for side in sides:
        source = operation.sources[side]
        if columns <= set(_names(nodes[source])):
            return _place(nodes, readers, source, columns) or (index, side)
    return None


# --- columns that are read


def _read(  # noqa: C901 - one a case
    nodes: Sequence[Node],
    index: int,
    found: Steps,
    facts: Sequence[Facts],
    ordered: Sequence[bool],
) -> list[tuple[int, frozenset[str]]]:
    """Of each source the columns that a node reads."""
    operation, needed = nodes[index].operation, found.needed[index]
    if isinstance(operation, Join | Mark) and not _is_full(operation):
        tests = [t for t in (operation.on, *found.before.get(index, ())) if t is not None]
        read = needed | names_of(tests)
        return [(s, read & set(_names(nodes[s]))) for s in operation.sources]
    (source, *others) = operation.sources or (None,)
    if source is None:
        return []
    names = frozenset(_names(nodes[source]))
    match operation:
        case Filter():
            test = found.filters[index]
            names = needed if test is None else needed | columns_of(test)
        case Project(columns=columns):
            names = names_of(c.expression for c in columns if is_computed(c, needed))
        case Aggregate(keys=keys, aggregates=aggregates):
            terms = [e for a in aggregates for e in a.arguments]
            terms += [a.where for a in aggregates if a.where is not None]
            names = names_of(terms) | (set(keys) - found.left_out.get(index, frozenset()))
        case PairBound(counts=counts):
            names = needed | columns_of(counts)
        case RowBound():
            names = needed
        case Explode(expression=expression):
            names = names & needed | columns_of(expression)
        case Sort():
            last = ties(facts[source], _names(nodes[source]), sorted_columns(operation))
            names = needed | names_of(k.expression for k in operation.keys) | set(last.columns)
        case Limit():
            last = ties(facts[source], _names(nodes[source]), [])
            if index in found.late:
                needed = needed - found.late[index].names | found.late[index].by
            names = needed if ordered[source] else needed | set(last.columns)
        case _:
            pass
    return [(source, names), *((s, frozenset(_names(nodes[s]))) for s in others)]


def _is_full(operation: Operation) -> bool:
    return isinstance(operation, Join) and operation.how == "full"


def is_computed(column: NamedExpression, needed: frozenset[str]) -> bool:
    """Whether a column of a projection is computed: it is read, or it could fail the job."""
    return column.name in needed or may_fail(column.expression)
