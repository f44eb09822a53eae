"""What one row of each result stands for: a row of somebody's table, a group, or everything.

A reviewer's first question is whether single people leave the enclave. It is answered from the
plan's operations alone, and never too kindly: what is not known to be a group counts as rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mc2.plan.expressions import Call, ColumnRef, Expression, Literal
from mc2.plan.models import CrossValidate, History, Inspect
from mc2.plan.plan import Node, Operation
from mc2.plan.relations import (
    Aggregate,
    Distinct,
    Explode,
    Filter,
    Join,
    Limit,
    Mark,
    Project,
    RowBound,
    Scan,
    Sort,
    Union,
    Values,
)
from mc2.plan.windows import Window

ROWS = "rows"
GROUPS = "groups"
TOTAL = "total"
HISTORY = "history"
MODEL = "model"


@dataclass(frozen=True, slots=True)
class Grain:
    """What a row of a result stands for.

    `kind` is one of the words above. Of groups, `keys` are the columns that make them, `counts`
    the columns that hold the number of rows in each, and `least` is how many rows a group has at
    least, as far as the plan makes sure of it. `tables` are the inputs that rows come from;
    `once` says that no row of them can occur twice, as it could after a join or a union of a
    table with itself, where a count of rows would promise too much.
    """

    kind: str
    keys: tuple[str, ...] = ()
    counts: frozenset[str] = frozenset()
    least: int = 1
    tables: frozenset[int] = frozenset()
    once: bool = False


def trace_grains(nodes: Sequence[Node]) -> tuple[Grain, ...]:
    """The grain of each node of a plan."""
    found: list[Grain] = []
    for node in nodes:
        found.append(_grain(node.operation, [found[s] for s in node.operation.sources]))
    return tuple(found)


def _grain(operation: Operation, sources: Sequence[Grain]) -> Grain:  # noqa: PLR0911 - one a case
    match operation:
        case Scan(place):
            return Grain(ROWS, tables=frozenset({place}), once=True)
        case Values():
            return Grain(TOTAL)
        case History() | CrossValidate():
            return Grain(HISTORY)
        case Inspect():
            return Grain(MODEL)
        case Join(how=how) if how not in {"semi", "anti"}:
            return _joined(operation, sources[0], sources[1])
        case Union():
            return _together(sources)
        case _:
            return _of_first(operation, sources[0]) if sources else Grain(ROWS)


def _of_first(operation: Operation, source: Grain) -> Grain:
    """The grain of an operation whose rows are those of its first source, or groups of them."""
    match operation:
        case Aggregate():
            return _aggregated(operation, source)
        case Project():
            return _projected(operation, source)
        case Filter(_, predicate):
            return replace(source, least=max(source.least, _least(predicate, source)))
        case Sort() | Limit() | RowBound() | Distinct() | Mark() | Window() | Join():
            return source
        case Explode():
            # Elements stand beside each other that were one value of one row, or of one group.
            return Grain(ROWS, tables=source.tables)
        case _:
            return Grain(ROWS)


def _joined(operation: Join, left: Grain, right: Grain) -> Grain:
    if operation.how == "single" and right.kind == TOTAL:
        # One row over everything, beside each row: these stay what they are, and occur once.
        return replace(left, tables=left.tables | right.tables)
    return replace(_together((left, right)), once=False)


def _aggregated(operation: Aggregate, source: Grain) -> Grain:
    counts = frozenset(
        a.name for a in operation.aggregates if a.function == "count_star" and a.where is None
    )
    kind = GROUPS if operation.keys else TOTAL
    # A count over groups counts no more than their rows; one of rows that occur twice does.
    trusted = counts if source.kind in {ROWS, GROUPS} and source.once else frozenset()
    return Grain(kind, operation.keys, trusted, tables=source.tables, once=source.once)


def _projected(operation: Project, source: Grain) -> Grain:
    names: dict[str, list[str]] = {}
    for column in operation.columns:
        if isinstance(column.expression, ColumnRef):
            names.setdefault(column.expression.name, []).append(column.name)
    keys = tuple(names[k][0] for k in source.keys if k in names)
    counts = frozenset(n for c in source.counts for n in names.get(c, []))
    return replace(source, keys=keys, counts=counts)


def _together(sources: Sequence[Grain]) -> Grain:
    """Of a union or join: rows if any part is, else groups of the least size of all parts."""
    tables = frozenset[int]().union(*(s.tables for s in sources))
    once = all(s.once for s in sources) and len(tables) == sum(len(s.tables) for s in sources)
    kinds = {s.kind for s in sources}
    if kinds in ({TOTAL}, {HISTORY}, {MODEL}):
        return replace(sources[0], tables=tables, once=False, counts=frozenset())
    if kinds <= {GROUPS, TOTAL}:
        least = min(s.least for s in sources)
        return Grain(GROUPS, sources[0].keys, least=least, tables=tables, once=once)
    return Grain(ROWS, tables=tables, once=once)


def _least(predicate: Expression, source: Grain) -> int:
    """How many rows a group has at least if the predicate holds: `count >= n` says so."""
    if not isinstance(predicate, Call):
        return 1
    if predicate.function == "and":
        return max(_least(a, source) for a in predicate.arguments)
    if len(predicate.arguments) != 2:
        return 1
    left, right = predicate.arguments
    function = predicate.function
    if isinstance(left, Literal):
        left, right = right, left
        function = {"le": "ge", "lt": "gt"}.get(function, "")
    if not isinstance(left, ColumnRef) or left.name not in source.counts:
        return 1
    if not isinstance(right, Literal) or right.text is None or right.type.name != "int64":
        return 1
    return int(right.text) + {"ge": 0, "gt": 1}.get(function, -int(right.text))
