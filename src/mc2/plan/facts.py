"""What everybody can know of a node's rows beforehand.

How many there are at most, which columns are unique, how long texts are, how many values there are.

All of it follows from what owners declared of their tables and from the plan. An oblivious engine
reserves room by it, and each fact that it rests on is checked inside.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final

from mc2.plan.aggregates import declared_most
from mc2.plan.bands import rooms
from mc2.plan.deciding import Decides, closure, fewest, known_of, restricted
from mc2.plan.expressions import (
    Call,
    ColumnRef,
    Expression,
    InList,
    Literal,
    columns_of,
)
from mc2.plan.linear_models import Apply
from mc2.plan.matching import Matching, conjuncts, fixed_column, match
from mc2.plan.models import CrossValidate, History, Matrix, Predict
from mc2.plan.oblivious_lists import (
    COLLECTING,
    collected_sizes,
    greatest_sizes,
    inside,
    named_sizes,
    size_of,
    sizes_of_column,
)
from mc2.plan.oblivious_windows import added_widths
from mc2.plan.plan import Node, Operation, PlanInput
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
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
from mc2.plan.shapes import NO_USEFUL_BOUND, MatrixShape, ModelShape, Shape, TableShape, capped
from mc2.plan.widths import literal_bytes, sizes_of, width_of
from mc2.plan.windows import Window

Unique = frozenset[frozenset[str]]
_MOST_KEYS: Final = 32
_AT_MOST_ONE: Final[Unique] = frozenset({frozenset[str]()})
_NONE: Final[Unique] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one relation.

    `rows`: at most so many. `unique`: sets of columns in which no two rows agree, NULL being equal
    to NULL; the empty set says that there is one row at most. `widths`: the most bytes of texts and
    elements of lists, by path (`mc2.formats.schema.width_paths`). `spread`: the most different
    values of a column, NULL being one, where they are fewer than rows. `ranges`: of whole numbers
    and dates. `decides`: rows that agree in all columns of the first set agree in those of the
    second.
    """

    rows: int
    unique: Unique = _NONE
    widths: Mapping[str, int] | None = None
    spread: Mapping[str, int] | None = None
    ranges: Mapping[str, tuple[int, int]] | None = None
    decides: Decides = frozenset()

    def is_unique(self, columns: frozenset[str]) -> bool:
        """Whether no two rows agree in all of these columns."""
        if self.rows <= 1:
            return True
        every = self.decided(columns)
        return any(key <= every for key in self.unique)

    def decided(self, columns: frozenset[str]) -> frozenset[str]:
        """These columns, and those in which rows agree that agree in these."""
        return closure(columns, self.decides)

    def values(self, name: str) -> int:
        """The most different values of a column, NULL being one."""
        return min(self.rows, (self.spread or {}).get(name, self.rows))

    def fewest(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Some of these columns that decide all of them; wide texts are left out first."""
        return fewest(columns, self.decides, self.widths or {})

    def width(self, name: str) -> int:
        """The most bytes of a text column."""
        return (self.widths or {}).get(name, 0)


def trace_facts(
    inputs: Sequence[PlanInput], nodes: Sequence[Node], shapes: Sequence[Shape]
) -> tuple[Facts, ...]:
    """The facts of each node of a well-typed plan; models have none, matrices those of rows."""
    found: list[Facts] = []
    room = rooms(nodes)
    for index, (node, shape) in enumerate(zip(nodes, shapes, strict=True)):
        facts = Facts(0)
        operation = node.operation
        if isinstance(operation, Matrix) and isinstance(shape, MatrixShape):
            facts = _matrix(shape, [found[s] for s in operation.sources])
        elif isinstance(operation, Predict | Apply):
            model = shapes[operation.model]
            facts = _predict(operation, found[operation.matrix], model)
        elif isinstance(operation, History) and isinstance(shape, TableShape):
            facts = _history(shape, shapes[operation.model])
        elif isinstance(operation, CrossValidate) and isinstance(shape, TableShape):
            widths = {"evaluation": len("train"), "metric": _METRIC_BYTES}
            facts = Facts(shape.row_bound, _NONE, widths, {})
        elif isinstance(shape, TableShape):
            facts = facts_of_relation(inputs, node, [found[s] for s in operation.sources], nodes)
            rows = min(facts.rows, shape.row_bound, room.get(index, NO_USEFUL_BOUND))
            facts = replace(facts, rows=rows)
        found.append(facts)
    return tuple(found)


def facts_of_relation(
    inputs: Sequence[PlanInput], node: Node, sources: Sequence[Facts], nodes: Sequence[Node]
) -> Facts:
    """The facts of a relation from those of its sources; `nodes` have these at their places."""
    return _limited(_node(inputs, node, sources, nodes))


def _matrix(shape: MatrixShape, sources: Sequence[Facts]) -> Facts:
    """Rows of all sources; those of one source alone are as unique as they were."""
    names = shape.schema.names
    widths = {n: max(s.width(n) for s in sources) for n in names}
    unique = sources[0].unique if len(sources) == 1 else _NONE
    return Facts(capped(sum(s.rows for s in sources)), unique, widths, {})


def _predict(operation: Predict | Apply, rows: Facts, model: Shape) -> Facts:
    kept = set(operation.keep)
    unique = frozenset(key for key in rows.unique if key <= kept)
    decides = restricted(rows.decides, frozenset(kept))
    widths = _widths_of_columns(rows, operation.keep)
    if isinstance(operation, Predict) and operation.what == "leaf":
        rounds = operation.last or (model.rounds if isinstance(model, ModelShape) else 0)
        trees = rounds * (model.margins if isinstance(model, ModelShape) else 1)
        widths[operation.name] = trees
    return replace(rows, unique=unique, widths=widths, decides=decides)


def _widths_of_columns(facts: Facts, names: Iterable[str]) -> dict[str, int]:
    widths = facts.widths or {}
    return {p: w for n in names for p, w in named_sizes(sizes_of_column(widths, n), n).items()}


_METRIC_BYTES: Final = 64  # of the longest name of a metric


def _history(shape: TableShape, model: Shape) -> Facts:
    names = [e.name for e in model.operation.evaluations] if isinstance(model, ModelShape) else []
    longest = max((len(n.encode()) for n in names), default=1)
    return Facts(shape.row_bound, _NONE, {"evaluation": longest, "metric": _METRIC_BYTES}, {})


def _limited(facts: Facts) -> Facts:
    """The same, with no more unique keys than a plan needs: the smallest ones.

    There are no more rows than values of a unique key: a filter may have left few of them.
    """
    values = [reduce(_pairs_of, map(facts.values, key), 1) for key in facts.unique]
    facts = replace(facts, rows=min([facts.rows, *values]))
    if facts.rows <= 1:
        return replace(facts, unique=_AT_MOST_ONE)
    if len(facts.unique) <= _MOST_KEYS:
        return facts
    kept = sorted(facts.unique, key=lambda key: (len(key), sorted(key)))[:_MOST_KEYS]
    return replace(facts, unique=frozenset(kept))


def _pairs_of(a: int, b: int) -> int:
    """How many pairs of values there are at most."""
    return capped(a * b)


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
            return _project(operation, sources[0], _exact(nodes[operation.source]))
        case Join() | Mark():
            sides = [_names(nodes[s]) for s in operation.sources]
            found = match(operation.on, sides[0], sides[1])
            names = frozenset(sides[0]), frozenset(sides[1])
            return _join(operation, found, (sources[0], sources[1]), names)
        case Union():
            return _union(_names(node), [_names(nodes[s]) for s in operation.sources], sources)
        case Aggregate() | Distinct():
            return _grouped(operation, sources[0], node)
        case Explode():
            return _exploded(operation, sources[0], _names(nodes[operation.source]))
        case _:
            return _same_rows(node, sources)


_REAL: Final = frozenset({"double", "float"})


def _exact(node: Node) -> frozenset[str]:
    """Columns whose equal values are the same: -0 is equal to +0, and 1 / -0 not to 1 / +0."""
    columns = () if node.schema is None else node.schema.columns
    return frozenset(c.name for c in columns if c.type.name not in _REAL)


def _names(node: Node) -> tuple[str, ...]:
    return () if node.schema is None else node.schema.names


def _exploded(operation: Explode, source: Facts, names: Sequence[str]) -> Facts:
    """A row for each place of a list: the source's columns have no more values than before."""
    sizes = sizes_of(operation.expression, source.widths or {})
    widths = {**(source.widths or {}), **named_sizes(inside(sizes, "[]"), operation.name)}
    unique = _NONE
    if operation.position is not None:
        unique = frozenset(key | {operation.position} for key in source.unique)
    spread = {n: source.values(n) for n in names}
    rows = capped(source.rows * size_of(sizes))
    return Facts(rows, unique, widths, spread, source.ranges, source.decides)


def _same_rows(node: Node, sources: Sequence[Facts]) -> Facts:
    operation = node.operation
    match operation:
        case Filter(predicate=predicate):
            return _filtered(predicate, sources[0])
        case Sort():
            return sources[0]
        case Window():
            added = added_widths(operation, sources[0].widths or {})
            return replace(sources[0], widths={**(sources[0].widths or {}), **added})
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
    declared = {path: max(1, width) for path, width in facts.widths.items()}
    spread = {n: high - low + 1 for n, (low, high) in facts.ranges.items() if n in names}
    spread |= {n: len(values) for n, values in facts.domains.items() if n in names}
    spread |= {n: 2 for n in names if columns[n].type.name == "boolean"}
    unique = frozenset(frozenset(key) for key in facts.unique if set(key) <= names)
    return Facts(
        source.row_bound,
        unique,
        _widths_of_columns(Facts(0, widths=declared), operation.columns),
        {n: count + columns[n].nullable for n, count in spread.items()},
        {n: ends for n, ends in facts.ranges.items() if n in names},
        known_of(unique, frozenset(names)),
    )


def _filtered(predicate: Expression, source: Facts) -> Facts:
    """The same rows or fewer: a column that must be one of some constants has no other values."""
    spread = dict(source.spread or {})
    for part in conjuncts(predicate):
        name, count = _listed(part)
        if name is not None:
            spread[name] = min(source.values(name), max(1, count))
    return replace(source, spread=spread)


def _listed(part: Expression) -> tuple[str | None, int]:
    match part:
        case InList(ColumnRef(name), items):
            return name, len(items)
        case Call("eq", (ColumnRef(name), Literal())) | Call("eq", (Literal(), ColumnRef(name))):
            return name, 1
        case _:
            return None, 0


def _values(operation: Values) -> Facts:
    widths = {}
    for place, name in enumerate(operation.columns):
        widths[name] = max(literal_bytes(row[place]) for row in operation.rows)
    return Facts(len(operation.rows), _NONE, widths, {})


def _project(operation: Project, source: Facts, exact: frozenset[str]) -> Facts:
    renamed: dict[str, str] = {}
    spread, ranges = {}, {}
    for column in operation.columns:
        count = _values_of(column.expression, source, exact)
        if count < source.rows:
            spread[column.name] = count
        if isinstance(column.expression, ColumnRef):
            name = column.expression.name
            renamed.setdefault(name, column.name)
            if name in (source.ranges or {}):
                ranges[column.name] = (source.ranges or {})[name]
    unique = frozenset(
        frozenset(renamed[n] for n in key) for key in source.unique if key <= set(renamed)
    )
    widths: dict[str, int] = {}
    for column in operation.columns:
        widths |= named_sizes(sizes_of(column.expression, source.widths or {}), column.name)
    decides = _projected_decides(operation, source, renamed, exact)
    return Facts(source.rows, unique, widths, spread, ranges, decides)


def _projected_decides(
    operation: Project, source: Facts, renamed: Mapping[str, str], exact: frozenset[str]
) -> Decides:
    """What is decided still, and what is computed: that by what it is computed from."""
    of_exact = {
        c.name: columns_of(c.expression)
        for c in operation.columns
        if isinstance(c.expression, ColumnRef) or columns_of(c.expression) <= exact
    }
    keys = {key for key, _ in source.decides} | set(of_exact.values())
    decides = set()
    for key in keys:
        if key <= set(renamed):
            every = source.decided(key)
            made = frozenset(name for name, read in of_exact.items() if read <= every)
            own = frozenset(renamed[n] for n in key)
            decides.add((own, made - own))
    return frozenset((key, others) for key, others in decides if others)


_DAYS_OF_YEAR: Final = 365


def _values_of(expression: Expression, source: Facts, exact: frozenset[str]) -> int:
    """The most different values of an expression: it has one for those of its columns."""
    if isinstance(expression, ColumnRef):
        return source.values(expression.name)
    if isinstance(expression, Call) and expression.function == "year":
        argument = expression.arguments[0]
        ends = (source.ranges or {}).get(argument.name) if isinstance(argument, ColumnRef) else None
        if ends is not None:
            return min(source.rows, (ends[1] - ends[0]) // _DAYS_OF_YEAR + 3)  # NULL is one
    if not columns_of(expression) <= exact:
        return source.rows
    counts = (source.values(n) for n in columns_of(expression))
    return min(source.rows, reduce(lambda a, b: capped(a * b), counts, 1))


def _join(
    operation: Join | Mark,
    found: Matching,
    sides: tuple[Facts, Facts],
    names: tuple[frozenset[str], frozenset[str]],
) -> Facts:
    left, right = sides
    how = "mark" if isinstance(operation, Mark) else operation.how
    same = {(fixed_column(e.left), fixed_column(e.right)) for e in found.equalities}
    if how == "semi":
        spread = dict(left.spread or {})
        spread |= {a: min(left.values(a), right.values(b)) for a, b in same if a and b}
        return replace(left, spread=spread)
    if how in {"anti", "mark"}:
        return left
    widths = {**(left.widths or {}), **(right.widths or {})}
    ranges = {**(left.ranges or {}), **(right.ranges or {})}
    to_one = how == "single" or right.is_unique(found.right_columns)
    of_one = left.is_unique(found.left_columns)
    return Facts(
        _joined_rows(how, left, right, to_one=to_one, of_one=of_one),
        _joined_keys(how, left, right, to_one=to_one, of_one=of_one),
        widths,
        _joined_spread(how, sides, names, same),
        ranges,
        _joined_decides(how, sides, names[1], found, to_one=to_one),
    )


def _joined_spread(
    how: str,
    sides: tuple[Facts, Facts],
    names: tuple[frozenset[str], frozenset[str]],
    same: Collection[tuple[str | None, str | None]],
) -> dict[str, int]:
    left, right = sides
    more = int(how in {"left", "full", "single"}), int(how in {"right", "full"})
    spread = {n: left.values(n) + more[1] for n in names[0]}
    spread |= {n: right.values(n) + more[0] for n in names[1]}
    if how == "inner":
        for a, b in same:
            if a and b:
                spread[a] = spread[b] = min(spread[a], spread[b])
    return spread


def _joined_decides(
    how: str, sides: tuple[Facts, Facts], rights: frozenset[str], found: Matching, *, to_one: bool
) -> Decides:
    """What each side decides, and each term what it is equal to; rows without partner aside."""
    left, right = sides
    if how in {"inner", "cross"}:
        pairs = set(left.decides | right.decides)
        for one in found.equalities:
            a, b = fixed_column(one.left), fixed_column(one.right)
            if a and b:
                pairs |= {(frozenset({a}), frozenset({b})), (frozenset({b}), frozenset({a}))}
        return frozenset(pairs)
    if how in {"left", "single"}:
        partner = frozenset({(found.left_columns, rights)})
        alone = to_one and found.rest is None and len(found.left_columns) == len(found.equalities)
        return left.decides | partner if alone else left.decides
    return right.decides if how == "right" else frozenset()


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
    widths: dict[str, int] = {}
    for place, name in enumerate(names):
        pairs = zip(sources, columns, strict=True)
        parts = [sizes_of_column(s.widths or {}, own[place]) for s, own in pairs]
        widths |= named_sizes(greatest_sizes(parts), name)
    return Facts(capped(sum(s.rows for s in sources)), _NONE, widths, {})


def _grouped(operation: Aggregate | Distinct, source: Facts, node: Node) -> Facts:
    names = _names(node)
    keys = operation.keys if isinstance(operation, Aggregate) else names
    if isinstance(operation, Aggregate) and not keys:
        widths = _aggregated_widths(operation, source)
        return Facts(1, _AT_MOST_ONE, widths, {})
    by = source.fewest(keys)
    rows = min(source.rows, reduce(_pairs_of, map(source.values, by), 1))
    unique = {key for key in source.unique if key <= set(keys)} | {frozenset(keys), frozenset(by)}
    widths = _widths_of_columns(source, keys)
    if isinstance(operation, Aggregate):
        widths |= _aggregated_widths(operation, source)
    spread = {k: source.values(k) for k in keys if source.values(k) < rows}
    ranges = {k: ends for k, ends in (source.ranges or {}).items() if k in keys}
    decides = restricted(source.decides, frozenset(keys))
    decides |= known_of(frozenset({frozenset(by)}), frozenset(names))
    return Facts(rows, frozenset(unique), widths, spread, ranges, decides)


def _aggregated_widths(operation: Aggregate, source: Facts) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in operation.aggregates:
        if one.arguments:
            found |= named_sizes(aggregated_sizes(one, source), one.name)
    return found


def aggregated_sizes(one: AggregateColumn, source: Facts) -> dict[str, int]:
    """The sizes of what an aggregate with arguments gives."""
    value = sizes_of(one.arguments[0], source.widths or {})
    if one.function not in COLLECTING:
        return value
    mark = width_of(one.arguments[1], {}) if one.function == "join_texts" else 0
    return collected_sizes(one.function, value, collected_most(one, source.rows), mark)


def collected_most(one: AggregateColumn, rows: int) -> int:
    """How many values of a group an aggregate gives at most, of so many rows."""
    declared = declared_most(one.arguments)
    return max(1, rows if declared is None else min(declared, rows))
