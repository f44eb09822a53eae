"""Relational operations as one SQL query: a chain of common table expressions, one for each node.

Nodes that were computed before stand under the names of their tables. Every column is called by its
place: `c0`, `c1`, …
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mc2.engine.order import order_of_all_columns
from mc2.engine.sql_aggregates import Operand, aggregate
from mc2.engine.sql_expressions import ExpressionWriter, guarded
from mc2.engine.sql_lookups import WORDS, mark_sql, select, single_sql, unique_columns
from mc2.engine.sql_nested import order_key, positive_zero
from mc2.engine.sql_terms import Scribe, Term
from mc2.engine.sql_types import sql_literal
from mc2.engine.sql_windows import ONE, Over, range_value, window_function
from mc2.formats.schema import DataType, Schema
from mc2.plan.aggregates import aggregate as aggregate_function
from mc2.plan.aggregates import declared_most
from mc2.plan.expressions import Cast, Expression, Literal
from mc2.plan.functions import Argument
from mc2.plan.linear_models import LinearOperation
from mc2.plan.models import ModelOperation
from mc2.plan.plan import Node
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
    RelationalOperation,
    RowBound,
    Scan,
    Sort,
    SortKey,
    Union,
    Values,
)
from mc2.plan.types import DOUBLE, INT32
from mc2.plan.windows import RANKINGS, Window, WindowColumn, infer_window


@dataclass(frozen=True, slots=True)
class _Part:
    """A common table expression. `drops`: a filter or join inside may have dropped rows."""

    name: str
    schema: Schema
    drops: bool


class QueryWriter:
    """Writes the query of one node over stored tables and inputs.

    `stored` names the tables of nodes that were computed before; `columns` gives for each input
    the SQL name of its table and the places of its columns there.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        ordered: Sequence[bool],
        stored: Mapping[int, str],
        inputs: Mapping[int, tuple[str, Mapping[str, int]]],
        scribe: Scribe,
    ) -> None:
        self._nodes = nodes
        self._ordered = ordered
        self._stored = stored
        self._inputs = inputs
        self._scribe = scribe
        self._with: list[str] = []
        self._scans: dict[int, _Part] = {}

    def query(self, index: int, *, in_order: bool) -> str:
        """The rows of a node; `in_order`, in its own order or in that of all columns."""
        part = self._part(index, below_pusher=False)
        shuffled = in_order and not self._ordered[index]
        order = f"ORDER BY {order_of_all_columns(part.schema)}" if shuffled else ""
        text = select(_columns(part.schema), part.name, order)
        return f"WITH {', '.join(self._with)} {text}" if self._with else text

    def _part(self, index: int, *, below_pusher: bool) -> _Part:
        """Write a node and those below it. `below_pusher`: a filter or join stands above.

        DuckDB moves conditions below joins. Where one may fail, or tests a column whose expression
        may, it would meet rows that the join drops, and fail a sound plan; so a barrier goes in.
        """
        schema = self._nodes[index].schema
        if schema is None:
            raise RuntimeError("only relations become queries")
        if index in self._stored:
            return _Part(self._stored[index], schema, drops=False)
        if index in self._scans:
            return self._scans[index]
        part = _Part(f"n{index}", schema, self._write(index, below_pusher=below_pusher))
        if isinstance(self._nodes[index].operation, Scan):
            self._scans[index] = part
        return part

    def _write(self, index: int, *, below_pusher: bool) -> bool:
        """Write a node's common table expression; whether rows may have been dropped."""
        operation = self._nodes[index].operation
        if isinstance(operation, ModelOperation | LinearOperation):
            raise TypeError("models are computed before the queries that read them")
        text, drops = self._text(operation, below_pusher=below_pusher)
        self._with.append(f"n{index} AS NOT MATERIALIZED ({text})")
        return drops

    def _text(
        self, operation: RelationalOperation | Window, *, below_pusher: bool
    ) -> tuple[str, bool]:
        """The query of one operation, and whether rows may have been dropped."""
        text, drops = "", True
        match operation:
            case Scan():
                text, drops = self._scan(operation), False
            case Values():
                text, drops = _values(operation), False
            case Filter():
                text = self._filter(operation)
            case Explode():
                text = self._explode(operation)
            case Join() | Mark():
                text, drops = self._joined(operation, below_pusher=below_pusher)
            case Aggregate() | Window():
                text, drops = self._grouped(operation, below_pusher=below_pusher)
            case Project():
                text, drops = self._project(operation, below_pusher=below_pusher)
            case _:
                text, drops = self._other(operation, below_pusher=below_pusher)
        return text, drops

    def _joined(self, operation: Join | Mark, *, below_pusher: bool) -> tuple[str, bool]:
        if isinstance(operation, Mark):
            return self._mark(operation, below_pusher=below_pusher)
        if operation.how == "single":
            return self._single(operation, below_pusher=below_pusher)
        return self._join(operation), True

    def _grouped(self, operation: Aggregate | Window, *, below_pusher: bool) -> tuple[str, bool]:
        if isinstance(operation, Window):
            return self._window(operation, below_pusher=below_pusher)
        return self._aggregate(operation, below_pusher=below_pusher)

    def _writer(self, schema: Schema, prefix: str = "") -> ExpressionWriter:
        names = {c.name: f"{prefix}c{i}" for i, c in enumerate(schema.columns)}
        return ExpressionWriter(self._scribe, schema.by_name(), names)

    def _scan(self, operation: Scan) -> str:
        table, places = self._inputs[operation.input]
        columns = (f"c{places[name]} AS c{i}" for i, name in enumerate(operation.columns))
        return select(", ".join(columns), table)

    def _project(self, operation: Project, *, below_pusher: bool) -> tuple[str, bool]:
        source = self._part(operation.source, below_pusher=below_pusher)
        writer = self._writer(source.schema)
        terms = [writer.term(c.expression) for c in operation.columns]
        barrier = below_pusher and source.drops and any(t.fails for t in terms)
        columns = ", ".join(f"{t.sql} AS c{i}" for i, t in enumerate(terms))
        return select(columns, _from(source, barrier=barrier)), source.drops

    def _filter(self, operation: Filter) -> str:
        """Parts that may fail wait above a barrier; the others still move below joins."""
        source = self._part(operation.source, below_pusher=True)
        writer = self._writer(source.schema)
        columns = _columns(source.schema)
        safe, failing = writer.split(operation.predicate)
        if failing and source.drops:
            inner = select(columns, source.name, f"WHERE {_conjunction(safe)}", "OFFSET 0")
            return select(columns, f"({inner})", f"WHERE {failing}")
        return select(columns, source.name, f"WHERE {guarded(safe, failing)}")

    def _join(self, operation: Join) -> str:
        left = self._part(operation.left, below_pusher=True)
        right = self._part(operation.right, below_pusher=True)
        names = {c.name: f"l.c{i}" for i, c in enumerate(left.schema.columns)}
        shown = list(names.values())
        names |= {c.name: f"r.c{i}" for i, c in enumerate(right.schema.columns)}
        if operation.how not in {"semi", "anti"}:
            shown = list(names.values())
        columns = ", ".join(f"{name} AS c{i}" for i, name in enumerate(shown))
        word = WORDS[operation.how]
        text = select(columns, f"{left.name} AS l {word} {right.name} AS r")
        if operation.on is None:
            return text
        both = Schema(left.schema.columns + right.schema.columns).by_name()
        writer = ExpressionWriter(self._scribe, both, names)
        # True for every pair, and only DuckDB does not know: see ExpressionWriter.condition.
        guard = "hash(l.c0) % 2 < 2 AND hash(r.c0) % 2 < 2"
        return f"{text} ON {writer.condition(operation.on, guard).sql}"

    def _pair(
        self, operation: Join | Mark, *, below_pusher: bool
    ) -> tuple[_Part, _Part, ExpressionWriter]:
        """Both sides of a look-up, as l and r, and a writer over them."""
        left = self._part(operation.left, below_pusher=below_pusher)
        right = self._part(operation.right, below_pusher=True)
        names = {c.name: f"l.c{i}" for i, c in enumerate(left.schema.columns)}
        names |= {c.name: f"r.c{i}" for i, c in enumerate(right.schema.columns)}
        both = Schema(left.schema.columns + right.schema.columns).by_name()
        return left, right, ExpressionWriter(self._scribe, both, names)

    def _single(self, operation: Join, *, below_pusher: bool) -> tuple[str, bool]:
        left, right, writer = self._pair(operation, below_pusher=below_pusher)
        unique = unique_columns(self._nodes, operation.right)
        text = single_sql(
            operation, (left.name, left.schema), (right.name, right.schema), writer, unique
        )
        return text, left.drops

    def _mark(self, operation: Mark, *, below_pusher: bool) -> tuple[str, bool]:
        left, right, writer = self._pair(operation, below_pusher=below_pusher)
        text = mark_sql(operation, (left.name, left.schema), (right.name, right.schema), writer)
        return text, left.drops

    def _window(self, operation: Window, *, below_pusher: bool) -> tuple[str, bool]:
        source = self._part(operation.source, below_pusher=below_pusher)
        writer, columns = self._writer(source.schema), source.schema.by_name()
        places = {c.name: i for i, c in enumerate(source.schema.columns)}
        inner = [_columns(source.schema)]
        partition = []
        for i, key in enumerate(operation.keys):
            inner.append(f"{positive_zero(f'c{places[key]}', columns[key].type)} AS p{i}")
            partition.append(f"p{i}")
        order, distance = [], ""
        for i, sort in enumerate(operation.order):
            term = writer.term(sort.expression)
            inner.append(f"{order_key(positive_zero(term.sql, term.type), term.type)} AS o{i}")
            order.append(f"o{i} {_way(sort)}")
            distance = f"{range_value(f'o{i}', term.type)} {_way(sort)}"
        by = f"PARTITION BY {', '.join(partition)}" if partition else ""
        over = Over(by, ", ".join(order), order_of_all_columns(source.schema), distance)
        shown = [_columns(source.schema)]
        for i, column in enumerate(operation.columns):
            terms = self._window_operands(writer, column, i, inner)
            result = self._nodes_type(operation, column)
            found = window_function(self._scribe, column, terms, over, result)
            shown.append(f"{found} AS c{len(places) + i}")
        # Arguments are computed apart, so that a frame reads columns; whole rows stay as they are.
        origin = f"({select(', '.join(inner), source.name)})"
        return select(", ".join(shown), origin), source.drops

    def _nodes_type(self, operation: Window, column: WindowColumn) -> DataType:
        schema = self._schema_of(operation.source)
        return next(c.type for c in infer_window(operation, schema) if c.name == column.name)

    def _schema_of(self, index: int) -> Schema:
        schema = self._nodes[index].schema
        if schema is None:
            raise RuntimeError("only relations become queries")
        return schema

    def _window_operands(
        self, writer: ExpressionWriter, column: WindowColumn, place: int, inner: list[str]
    ) -> list[Term]:
        """Write a function's arguments into the inner query; literals stay where they are."""
        terms = [writer.term(a) for a in column.arguments] or [ONE]
        if column.function in RANKINGS and not column.arguments:
            return []
        if column.where is not None:
            met = writer.term(column.where).sql
            for i, term in enumerate(terms):
                if i == 0 or not term.constant:
                    sql = f"CASE WHEN {met} THEN {term.sql} END"
                    terms[i] = replace(term, sql=sql, literal=None, constant=False)
        found = []
        for i, term in enumerate(terms):
            if term.constant:
                found.append(term)
                continue
            inner.append(f"{term.sql} AS a{place}_{i}")
            found.append(replace(term, sql=f"a{place}_{i}"))
        return found

    def _explode(self, operation: Explode) -> str:
        source = self._part(operation.source, below_pusher=True)
        term = self._writer(source.schema).term(operation.expression)
        origin = _from(source, barrier=source.drops and term.fails)
        inner = f"({select(f'{_columns(source.schema)}, {term.sql} AS e', origin)})"
        elements, places = "e", "range(len(e))"
        if operation.outer:
            elements = "CASE WHEN len(e) > 0 THEN e ELSE [NULL] END"
            places = "CASE WHEN len(e) > 0 THEN range(len(e)) ELSE [NULL] END"
        shown = [f"unnest({elements})"]
        if operation.position is not None:
            shown.insert(0, f"CAST(unnest({places}) AS INTEGER)")
        first = len(source.schema)
        added = ", ".join(f"{sql} AS c{first + i}" for i, sql in enumerate(shown))
        return select(f"{_columns(source.schema)}, {added}", inner)

    def _aggregate(self, operation: Aggregate, *, below_pusher: bool) -> tuple[str, bool]:
        source = self._part(operation.source, below_pusher=below_pusher)
        places = {c.name: i for i, c in enumerate(source.schema.columns)}
        columns = source.schema.by_name()
        inner, shown, groups = [], [], []
        for i, key in enumerate(operation.keys):
            inner.append(f"{positive_zero(f'c{places[key]}', columns[key].type)} AS k{i}")
            shown.append(f"k{i} AS c{i}")
            groups.append(f"k{i}")
        writer = self._writer(source.schema)
        for i, column in enumerate(operation.aggregates):
            operand = self._operand(writer, column, i, inner)
            found = self._aggregated(column, operand)
            shown.append(f"{found} AS c{len(operation.keys) + i}")
        by = f"GROUP BY {', '.join(groups)}" if groups else ""
        origin = f"({select(', '.join(inner), source.name)})"
        return select(", ".join(shown), origin, by), source.drops

    def _operand(
        self, writer: ExpressionWriter, column: AggregateColumn, place: int, inner: list[str]
    ) -> Operand:
        """Write an aggregate's argument into the inner query, NULL where its condition fails."""
        if not column.arguments and column.where is None:
            inner.append(f"1 AS a{place}")
            return Operand(f"a{place}", INT32, distinct=False)
        term = writer.term(_averaged(writer, column)) if column.arguments else None
        sql, kind = ("1", INT32) if term is None else (term.sql, term.type)
        if column.where is not None:
            sql = f"CASE WHEN {writer.term(column.where).sql} THEN {sql} END"
        inner.append(f"{sql} AS a{place}")
        second = None
        if len(column.arguments) > 1:
            second = writer.term(column.arguments[1])
            if second.literal is None:
                sql = second.sql
                if column.where is not None:
                    sql = f"CASE WHEN {writer.term(column.where).sql} THEN {sql} END"
                inner.append(f"{sql} AS b{place}")
                second = replace(second, sql=f"b{place}")
        most = declared_most(column.arguments)
        return Operand(f"a{place}", kind, column.distinct, second, most=most)

    def _aggregated(self, column: AggregateColumn, operand: Operand) -> str:
        arguments = (Argument(operand.type, nullable=True),) if column.arguments else ()
        if operand.second is not None:
            given = column.arguments[1]
            fixed = given if isinstance(given, Literal) else None
            arguments = (*arguments, Argument(operand.second.type, nullable=True, literal=fixed))
        result, _ = aggregate_function(column.function).type(arguments, may_be_empty=True)
        return aggregate(self._scribe, column.function, operand, result)

    def _union(self, operation: Union, *, below_pusher: bool) -> tuple[str, bool]:
        parts = [self._part(s, below_pusher=below_pusher) for s in operation.sources]
        selects = [f"({select(_columns(p.schema), p.name)})" for p in parts]
        while len(selects) > 1:  # as a tree, since a parser goes down one level for each UNION
            pairs = [selects[i : i + 2] for i in range(0, len(selects), 2)]
            selects = [f"({' UNION ALL '.join(p)})" if len(p) == 2 else p[0] for p in pairs]
        return selects[0], any(p.drops for p in parts)

    def _other(
        self, operation: Union | Sort | Limit | RowBound | Distinct, *, below_pusher: bool
    ) -> tuple[str, bool]:
        if isinstance(operation, Union):
            return self._union(operation, below_pusher=below_pusher)
        pushed = below_pusher and not isinstance(operation, Limit)
        source = self._part(operation.source, below_pusher=pushed)
        columns, order, cut = _columns(source.schema), order_of_all_columns(source.schema), ""
        match operation:
            case Sort():
                order = ", ".join([*self._keys(operation, source), order])
            case RowBound():  # the run counts them
                return select(columns, source.name), source.drops
            case Limit():
                order = "" if self._ordered[operation.source] else order
                count = "ALL" if operation.count is None else str(operation.count)
                cut = f"LIMIT {count} OFFSET {operation.offset}"
            case Distinct():
                places = enumerate(source.schema.columns)
                columns = ", ".join(f"{positive_zero(f'c{i}', c.type)} AS c{i}" for i, c in places)
                return select(f"DISTINCT {columns}", source.name), source.drops
        by = f"ORDER BY {order}" if order else ""
        drops = source.drops and not isinstance(operation, Limit)
        return select(columns, source.name, by, cut), drops

    def _keys(self, operation: Sort, source: _Part) -> Iterable[str]:
        writer = self._writer(source.schema)
        for key in operation.keys:
            term = writer.term(key.expression)
            yield f"{order_key(term.sql, term.type)} {_way(key)}"


def _way(key: SortKey) -> str:
    way = "DESC" if key.descending else "ASC"
    return f"{way} NULLS {'FIRST' if key.nulls_first else 'LAST'}"


def _values(operation: Values) -> str:
    rows = ", ".join(f"({', '.join(sql_literal(i) for i in row)})" for row in operation.rows)
    names = ", ".join(f"c{i}" for i in range(len(operation.columns)))
    return select(names, f"(VALUES {rows}) AS v({names})")


def _conjunction(parts: Sequence[str]) -> str:
    return " AND ".join(parts) or "TRUE"


def _columns(schema: Schema) -> str:
    return ", ".join(f"c{i}" for i in range(len(schema)))


def _from(source: _Part, *, barrier: bool) -> str:
    """The source of a query. DuckDB moves nothing below an OFFSET, even of zero rows."""
    if barrier:
        return f"({select(_columns(source.schema), source.name, 'OFFSET 0')})"
    return source.name


def _averaged(writer: ExpressionWriter, column: AggregateColumn) -> Expression:
    """An aggregate's argument; of a mean of doubles that were small integers, those integers.

    Doubles hold them exactly, so both ways give the exact sum, rounded once, through the count; but
    DuckDB adds integers up itself.
    """
    argument = column.arguments[0]
    if column.function != "avg" or not isinstance(argument, Cast) or argument.type != DOUBLE:
        return argument
    small = writer.term(argument.value).type.name in {"int8", "int16", "int32"}
    return argument.value if small else argument
