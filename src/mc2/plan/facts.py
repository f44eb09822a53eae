"""What everybody can know of a node's rows beforehand.

How many there are at most, which columns are unique, how long texts are, how many values there are.

All of it follows from what owners declared of their tables and from the plan. An oblivious engine
reserves room by it, and each fact that it rests on is checked inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final

from mc2.plan.expressions import Call, Case, Cast, ColumnRef, Expression, Literal
from mc2.plan.linear_models import Apply
from mc2.plan.matching import Matching, match
from mc2.plan.models import History, Matrix, Predict
from mc2.plan.plan import Node, Operation, PlanInput
from mc2.plan.relations import (
    Aggregate,
    Distinct,
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
from mc2.plan.shapes import NO_USEFUL_BOUND, MatrixShape, ModelShape, Shape, TableShape, capped
from mc2.plan.windows import Window

Unique = frozenset[frozenset[str]]
_MOST_KEYS: Final = 32
_AT_MOST_ONE: Final[Unique] = frozenset({frozenset[str]()})
_NONE: Final[Unique] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one relation.

    `rows`: at most so many. `unique`: sets of columns in which no two rows agree, NULL being equal
    to NULL; the empty set says that there is one row at most. `widths`: the most bytes of a text
    column. `spread`: the most different values of a column, NULL being one.
    """

    rows: int
    unique: Unique = _NONE
    widths: Mapping[str, int] | None = None
    spread: Mapping[str, int] | None = None

    def is_unique(self, columns: frozenset[str]) -> bool:
        """Whether no two rows agree in all of these columns."""
        return self.rows <= 1 or any(key <= columns for key in self.unique)

    def width(self, name: str) -> int:
        """The most bytes of a text column."""
        return (self.widths or {}).get(name, 0)


def trace_facts(
    inputs: Sequence[PlanInput], nodes: Sequence[Node], shapes: Sequence[Shape]
) -> tuple[Facts, ...]:
    """The facts of each node of a well-typed plan; models have none, matrices those of rows."""
    found: list[Facts] = []
    for node, shape in zip(nodes, shapes, strict=True):
        facts = Facts(0)
        operation = node.operation
        if isinstance(operation, Matrix) and isinstance(shape, MatrixShape):
            facts = _matrix(shape, [found[s] for s in operation.sources])
        elif isinstance(operation, Predict | Apply):
            facts = _predict(operation, found[operation.matrix])
        elif isinstance(operation, History) and isinstance(shape, TableShape):
            facts = _history(shape, shapes[operation.model])
        elif isinstance(shape, TableShape):
            facts = _limited(_node(inputs, node, [found[s] for s in node.operation.sources], nodes))
            facts = replace(facts, rows=min(facts.rows, shape.row_bound))
        found.append(facts)
    return tuple(found)


def _matrix(shape: MatrixShape, sources: Sequence[Facts]) -> Facts:
    """Rows of all sources; those of one source alone are as unique as they were."""
    names = shape.schema.names
    widths = {n: max(s.width(n) for s in sources) for n in names}
    unique = sources[0].unique if len(sources) == 1 else _NONE
    return Facts(capped(sum(s.rows for s in sources)), unique, widths, {})


def _predict(operation: Predict | Apply, rows: Facts) -> Facts:
    kept = set(operation.keep)
    unique = frozenset(key for key in rows.unique if key <= kept)
    return replace(rows, unique=unique, widths={n: rows.width(n) for n in kept})


_METRIC_BYTES: Final = 64  # of the longest name of a metric


def _history(shape: TableShape, model: Shape) -> Facts:
    names = [e.name for e in model.operation.evaluations] if isinstance(model, ModelShape) else []
    longest = max((len(n.encode()) for n in names), default=1)
    return Facts(shape.row_bound, _NONE, {"evaluation": longest, "metric": _METRIC_BYTES}, {})


def _limited(facts: Facts) -> Facts:
    """The same, with no more unique keys than a plan needs: the smallest ones."""
    if facts.rows <= 1:
        return replace(facts, unique=_AT_MOST_ONE)
    if len(facts.unique) <= _MOST_KEYS:
        return facts
    kept = sorted(facts.unique, key=lambda key: (len(key), sorted(key)))[:_MOST_KEYS]
    return replace(facts, unique=frozenset(kept))


def _node(
    inputs: Sequence[PlanInput], node: Node, sources: Sequence[Facts], nodes: Sequence[Node]
) -> Facts:
    operation = node.operation
    if isinstance(operation, Scan):
        return _scan(inputs[operation.input], operation)
    if isinstance(operation, Values):
        return _values(operation)
    return _over(operation, node, sources, nodes)


def _over(
    operation: Operation, node: Node, sources: Sequence[Facts], nodes: Sequence[Node]
) -> Facts:
    """The facts of an operation that reads others."""
    match operation:
        case Project():
            return _project(operation, sources[0])
        case Join() | Mark():
            sides = [_names(nodes[s]) for s in operation.sources]
            found = match(operation.on, sides[0], sides[1])
            return _join(operation, found, sources[0], sources[1])
        case Union():
            return _union(_names(node), [_names(nodes[s]) for s in operation.sources], sources)
        case Aggregate() | Distinct():
            return _grouped(operation, sources[0], node)
        case _:
            return _same_rows(node, sources)


def _names(node: Node) -> tuple[str, ...]:
    return () if node.schema is None else node.schema.names


def _same_rows(node: Node, sources: Sequence[Facts]) -> Facts:
    operation = node.operation
    match operation:
        case Filter() | Sort() | Window():
            return sources[0]
        case RowBound(rows=rows):
            return replace(sources[0], rows=min(rows, sources[0].rows))
        case Limit(count=count, offset=offset):
            left = max(sources[0].rows - offset, 0)
            return replace(sources[0], rows=left if count is None else min(left, count))
        case _:
            return Facts(NO_USEFUL_BOUND)


def _scan(source: PlanInput, operation: Scan) -> Facts:
    columns = source.schema.by_name()
    facts, names = source.facts, set(operation.columns)
    spread = {n: high - low + 1 for n, (low, high) in facts.ranges.items() if n in names}
    spread |= {n: len(values) for n, values in facts.domains.items() if n in names}
    spread |= {n: 2 for n in names if columns[n].type.name == "boolean"}
    return Facts(
        source.row_bound,
        frozenset(frozenset(key) for key in facts.unique if set(key) <= names),
        {n: max(1, w) for n, w in facts.widths.items() if n in names},
        {n: count + columns[n].nullable for n, count in spread.items()},
    )


def _values(operation: Values) -> Facts:
    widths = {}
    for place, name in enumerate(operation.columns):
        widths[name] = max(literal_bytes(row[place]) for row in operation.rows)
    return Facts(len(operation.rows), _NONE, widths, {})


def literal_bytes(value: Literal) -> int:
    """How many bytes a text literal has; one at least."""
    return max(1, len((value.text or "").encode()))


def _project(operation: Project, source: Facts) -> Facts:
    renamed: dict[str, str] = {}
    spread = {}
    for column in operation.columns:
        if isinstance(column.expression, ColumnRef):
            renamed.setdefault(column.expression.name, column.name)
            if column.expression.name in (source.spread or {}):
                spread[column.name] = (source.spread or {})[column.expression.name]
    unique = frozenset(
        frozenset(renamed[n] for n in key) for key in source.unique if key <= set(renamed)
    )
    widths = {c.name: width_of(c.expression, source.widths or {}) for c in operation.columns}
    return Facts(source.rows, unique, widths, spread)


_FIRST: Final = frozenset({"lower", "upper", "trim", "trim_start", "trim_end", "nullif"})
_GREATEST: Final = frozenset({"coalesce", "greatest", "least"})
_NAME_BYTES: Final = 3  # of a day or month


def width_of(expression: Expression, widths: Mapping[str, int]) -> int:
    """The most bytes of a text that an expression gives; of no meaning for other types."""
    match expression:
        case ColumnRef(name):
            return widths.get(name, 1)
        case Literal():
            return literal_bytes(expression)
        case Cast(value=value):
            return width_of(value, widths)
        case Case(branches, otherwise):
            parts = [*(b.value for b in branches), otherwise]
            return max(width_of(p, widths) for p in parts)
        case Call(function, arguments) if arguments:
            return _width_of_call(function, [width_of(a, widths) for a in arguments], arguments)
        case _:
            return 1


def _width_of_call(name: str, parts: Sequence[int], arguments: Sequence[Expression]) -> int:
    if name in _FIRST:
        return parts[0]
    if name in _GREATEST:
        return max(parts)
    if name == "concat":
        return sum(parts)
    if name == "substring" and isinstance(arguments[2], Literal):
        return min(parts[0], max(1, int(arguments[2].text or 0)))
    return _NAME_BYTES


def _join(operation: Join | Mark, found: Matching, left: Facts, right: Facts) -> Facts:
    how = "mark" if isinstance(operation, Mark) else operation.how
    if how in {"semi", "anti", "mark"}:
        return left
    widths = {**(left.widths or {}), **(right.widths or {})}
    more = int(how in {"left", "full", "single"}), int(how in {"right", "full"})
    spread = {n: c + more[1] for n, c in (left.spread or {}).items()}
    spread |= {n: c + more[0] for n, c in (right.spread or {}).items()}
    to_one = how == "single" or right.is_unique(found.right_columns)
    of_one = left.is_unique(found.left_columns)
    unique = _joined_keys(how, left, right, to_one=to_one, of_one=of_one)
    return Facts(
        _joined_rows(how, left, right, to_one=to_one, of_one=of_one), unique, widths, spread
    )


def _joined_rows(how: str, left: Facts, right: Facts, *, to_one: bool, of_one: bool) -> int:
    """`to_one`: a left row has one partner at most; `of_one`: a right row has."""
    pairs = left.rows * right.rows
    if to_one:
        pairs = min(pairs, left.rows)
    if of_one:
        pairs = min(pairs, right.rows)
    if how in {"left", "single"}:
        alone = 0 if to_one or not right.rows else left.rows
        pairs = left.rows if to_one else min(pairs + alone, left.rows * max(1, right.rows))
    elif how == "right":
        pairs = right.rows if of_one else min(pairs + right.rows, right.rows * max(1, left.rows))
    elif how == "full":
        pairs = min(
            pairs + left.rows + right.rows, max(left.rows * right.rows, left.rows + right.rows)
        )
    return capped(pairs)


def _joined_keys(how: str, left: Facts, right: Facts, *, to_one: bool, of_one: bool) -> Unique:
    found: set[frozenset[str]] = set()
    if how != "full":  # there a row of each side could stand alone with NULL in its key
        found = {a | b for a in left.unique for b in right.unique}
    if to_one and how in {"inner", "cross", "left", "single"}:
        found |= left.unique
    if of_one and how in {"inner", "cross", "right"}:
        found |= right.unique
    return frozenset(found)


def _union(
    names: Sequence[str], columns: Sequence[Sequence[str]], sources: Sequence[Facts]
) -> Facts:
    widths = {
        name: max(s.width(own[place]) for s, own in zip(sources, columns, strict=True))
        for place, name in enumerate(names)
    }
    return Facts(capped(sum(s.rows for s in sources)), _NONE, widths, {})


def _grouped(operation: Aggregate | Distinct, source: Facts, node: Node) -> Facts:
    names = _names(node)
    keys = operation.keys if isinstance(operation, Aggregate) else names
    if isinstance(operation, Aggregate) and not keys:
        widths = _aggregated_widths(operation, source)
        return Facts(1, _AT_MOST_ONE, widths, {})
    spread = source.spread or {}
    rows = source.rows
    if all(k in spread for k in keys):
        rows = min(rows, reduce(lambda a, b: capped(a * b), (spread[k] for k in keys), 1))
    unique = {key for key in source.unique if key <= set(keys)} | {frozenset(keys)}
    widths = {k: (source.widths or {}).get(k, 1) for k in keys}
    if isinstance(operation, Aggregate):
        widths |= _aggregated_widths(operation, source)
    return Facts(rows, frozenset(unique), widths, {k: spread[k] for k in keys if k in spread})


def _aggregated_widths(operation: Aggregate, source: Facts) -> dict[str, int]:
    return {
        a.name: width_of(a.arguments[0], source.widths or {})
        for a in operation.aggregates
        if a.arguments
    }
