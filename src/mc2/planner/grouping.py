"""GROUP BY, HAVING and grouping sets.

Every value of an aggregated SELECT is bound over single rows first, with each aggregate call
standing as a column of its own; then parts equal to a grouping key become that key, and any
column that is left over is an error: it would have many values. Grouping sets become one
aggregation each, put below one another with NULL for the keys that a set leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlglot import exp

from mc2.errors import PlanError
from mc2.formats.schema import Column
from mc2.plan.aggregates import aggregate as plan_aggregate
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import (
    Call,
    Case,
    Cast,
    ColumnRef,
    Expression,
    InList,
    Lambda,
    Literal,
    When,
    columns_of,
    literal,
)
from mc2.plan.functions import Argument
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Filter,
    Join,
    NamedExpression,
    Project,
    Union,
)
from mc2.plan.types import INT8, INT64
from mc2.planner.aggregate_calls import aggregate_call, formula_call
from mc2.planner.levels import Level, free_name
from mc2.planner.scalar import Scalars
from mc2.planner.sql_text import QueryText
from mc2.planner.typed import Typed, all_true, typed

_MARK: Final = "\x00"
"""Starts the name under which an aggregate stands in an expression; no real column has it."""
_SET: Final = "\x03"
"""Starts the name under which a call of grouping() stands."""
_GROUPING: Final = ("grouping", "grouping_id")


class Grouping:
    """Collects the keys and aggregates of one SELECT, then builds the node over them."""

    def __init__(self, where: QueryText, rows: Scalars, outer: Sequence[str] = ()) -> None:
        self._where = where
        self._outer = frozenset(outer)  # columns of queries around this one
        self._rows = rows  # binds over single rows and refuses aggregates
        self.columns: dict[str, Column] = _Above(rows.columns)
        self._keys: list[Typed] = []
        self._calls: list[AggregateColumn] = []
        self._sets: tuple[frozenset[Expression], ...] = ()
        self._said: dict[str, tuple[Expression, ...]] = {}  # the keys that each grouping() names

    def add_key(self, value: Typed) -> None:
        """Group by a value, too."""
        if not self.is_key(value):
            self._keys.append(value)

    def is_key(self, value: Typed) -> bool:
        """Whether a value is one of the keys."""
        return value.expression in [k.expression for k in self._keys]

    def set_sets(self, sets: Sequence[Sequence[Typed]]) -> None:
        """Group by each of several sets of keys, which `add_key` has seen."""
        self._sets = tuple(frozenset(k.expression for k in keys) for keys in sets)

    def bind_aggregate(self, node: exp.Expr) -> Typed | None:
        """An aggregate call as the column that will hold it; None if the node is none."""
        try:
            said = self._grouping_call(node)
            if said is not None:
                return said
            formula = formula_call(self._rows, node, self._total)
            if formula is not None:
                return typed(formula, self.columns)
            call = aggregate_call(self._rows, node)
            return None if call is None else self._total(call)
        except PlanError as error:
            if error.line:
                raise
            raise self._where.error(node, str(error), error.hint) from None

    def _total(self, call: AggregateColumn) -> Typed:
        """The column that will hold an aggregate."""
        self._check_inside(call)
        if call not in self._calls:
            self._calls.append(call)
            self._type_call(call)
        return self._column(f"{_MARK}{self._calls.index(call)}")

    def _check_inside(self, call: AggregateColumn) -> None:
        """SQL counts an aggregate of outer columns alone to the outer query; few expect that."""
        read = frozenset[str]().union(*(columns_of(a) for a in call.arguments))
        if read and read <= self._outer:
            raise PlanError(
                "an aggregate of columns of an outer query alone may not stand in a subquery",
                hint="aggregate in the outer query, or name a column of the subquery's tables",
            )

    def _column(self, name: str) -> Typed:
        column = self.columns[name]
        return Typed(ColumnRef(column.name), column.type, column.nullable)

    def _type_call(self, call: AggregateColumn) -> None:
        function = plan_aggregate(call.function)
        arguments = tuple(
            Argument(t.type, t.nullable, t.literal)
            for t in (typed(a, self._rows.columns) for a in call.arguments)
        )
        kind, nullable = function.type(arguments, may_be_empty=True)
        name = f"{_MARK}{len(self._calls) - 1}"
        self.columns[name] = Column(name, kind, nullable)

    def _grouping_call(self, node: exp.Expr) -> Typed | None:
        """grouping(key), or grouping_id(...), as the column that will hold it."""
        if not isinstance(node, exp.Anonymous) or str(node.this).lower() not in _GROUPING:
            return None
        single = str(node.this).lower() == "grouping"
        if not self._sets:
            raise PlanError(
                f"{node.name} needs GROUPING SETS, CUBE or ROLLUP", hint="every key is grouped by"
            )
        keys = tuple(self._rows.bind(a) for a in node.expressions)
        if not all(self.is_key(k) for k in keys) or (single and len(keys) != 1):
            raise PlanError(
                f"{node.name} takes {'one grouping key' if single else 'grouping keys'}"
            )
        named = tuple(k.expression for k in keys or self._keys)
        name = f"{_SET}{'bit' if single else 'id'}{len(self._said)}"
        name = next((n for n, k in self._said.items() if k == named and n[1] == name[1]), name)
        self._said[name] = named
        self.columns[name] = Column(name, INT8 if single else INT64, nullable=False)
        return self._column(name)

    def build(self, builder: PlanBuilder, source: int, wanted: Mapping[Expression, str]) -> Grouped:
        """Add the aggregation over a node. `wanted` are names that the output will use.

        The columns of a level's domain are among the keys already.
        """
        if not self._keys and not self._calls:  # GROUP BY of nothing: HAVING alone
            self._calls.append(AggregateColumn("", "count_star", ()))
        keys, source = self._key_columns(builder, source)
        taken = {name.casefold() for name in keys}
        columns = []
        for number, call in enumerate(self._calls):
            name = wanted.get(ColumnRef(f"{_MARK}{number}"), "")
            if not name or name.casefold() in taken:
                name = free_name(call.function, taken)
            taken.add(name.casefold())
            columns.append(replace(call, name=name))
        replacements: dict[Expression, Expression] = {
            ColumnRef(f"{_MARK}{number}"): ColumnRef(call.name)
            for number, call in enumerate(columns)
        }
        for name, key in zip(keys, self._keys, strict=True):
            replacements[key.expression] = ColumnRef(name)
        if self._sets:
            node = self._build_sets(builder, source, keys, columns, taken, replacements)
        else:
            node = builder.add(Aggregate(source, tuple(keys), tuple(columns)))
        return Grouped(self._where, node, replacements, tuple(columns))

    def _build_sets(
        self,
        builder: PlanBuilder,
        source: int,
        keys: Sequence[str],
        columns: Sequence[AggregateColumn],
        taken: set[str],
        replacements: dict[Expression, Expression],
    ) -> int:
        said = {}
        for mark in self._said:
            said[mark] = free_name("grouping", taken)
            taken.add(said[mark])
            replacements[ColumnRef(mark)] = ColumnRef(said[mark])
        branches = []
        for chosen in self._sets:
            branch = self._one_set(builder, source, keys, columns, chosen)
            shown = []
            for name, key in zip(keys, self._keys, strict=True):
                kept = key.expression in chosen
                shown.append(
                    NamedExpression(name, ColumnRef(name) if kept else literal(None, key.type))
                )
            shown += [NamedExpression(c.name, ColumnRef(c.name)) for c in columns]
            shown += [NamedExpression(n, self._bits(m, chosen)) for m, n in said.items()]
            branches.append(builder.add(Project(branch, tuple(shown))))
        return branches[0] if len(branches) == 1 else builder.add(Union(tuple(branches)))

    def _one_set(
        self,
        builder: PlanBuilder,
        source: int,
        keys: Sequence[str],
        columns: Sequence[AggregateColumn],
        chosen: frozenset[Expression],
    ) -> int:
        names = [n for n, k in zip(keys, self._keys, strict=True) if k.expression in chosen]
        if names:
            return builder.add(Aggregate(source, tuple(names), tuple(columns)))
        # Of no rows Spark makes no total beside sets with keys; other dialects make one row.
        rows = free_name("rows", {c.name.casefold() for c in columns})
        counted = AggregateColumn(rows, "count_star", ())
        node = builder.add(Aggregate(source, (), (*columns, counted)))
        if self._where.rules is not None or not keys:
            return node
        return builder.add(Filter(node, Call("gt", (ColumnRef(rows), literal(0, INT64)))))

    def _bits(self, mark: str, chosen: frozenset[Expression]) -> Literal:
        """1 for a key that the set leaves out, the first key being the highest bit."""
        number = 0
        for key in self._said[mark]:
            number = number * 2 + (key not in chosen)
        return literal(number, self.columns[mark].type)

    def _key_columns(self, builder: PlanBuilder, source: int) -> tuple[list[str], int]:
        """The keys as columns of a node: computed ones are added to it first."""
        names = builder.schema(source).names
        taken = {n.casefold() for n in names}
        added: list[NamedExpression] = []
        keys = []
        for key in self._keys:
            if isinstance(key.expression, ColumnRef):
                keys.append(key.expression.name)
                continue
            name = free_name("key", taken)
            taken.add(name.casefold())
            added.append(NamedExpression(name, key.expression))
            keys.append(name)
        if not added:
            return keys, source
        kept = tuple(NamedExpression(n, ColumnRef(n)) for n in names)
        return keys, builder.add(Project(source, (*kept, *added)))


class _Above(dict[str, Column]):
    """Columns of rows that may still get more, and the aggregates' own before them."""

    def __init__(self, below: Mapping[str, Column]) -> None:
        super().__init__(below)
        self._below = below

    def __missing__(self, name: str) -> Column:
        return self._below[name]

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._below


@dataclass(frozen=True, slots=True)
class Grouped:
    """The aggregated relation, and what each key and aggregate is called in it."""

    where: QueryText
    node: int
    replacements: dict[Expression, Expression]
    columns: tuple[AggregateColumn, ...]

    def restored(self, builder: PlanBuilder, level: Level) -> Grouped:
        """A row for each row of the domain, also where no row was grouped: counts are 0 there.

        Over no rows, an aggregate without keys gives one row; over a domain it must, too.
        """
        if level.domain is None:
            return self
        again = [f"{name}.again" for name in level.names]
        keys = (NamedExpression(n, ColumnRef(o)) for n, o in zip(again, level.names, strict=True))
        kept = (NamedExpression(c.name, ColumnRef(c.name)) for c in self.columns)
        found = builder.add(Project(self.node, (*keys, *kept)))
        on = [
            Call("same", (ColumnRef(o), ColumnRef(n)))
            for n, o in zip(again, level.names, strict=True)
        ]
        node = builder.add(Join(level.domain, found, "single", all_true(on)))
        types = builder.schema(node).by_name()
        replacements = dict(self.replacements)
        for mark, column in self.replacements.items():
            if isinstance(column, ColumnRef) and column.name in self.zeros:
                zero = literal(0, types[column.name].type)
                replacements[mark] = Call("coalesce", (column, zero))
        return replace(self, node=node, replacements=replacements)

    @property
    def zeros(self) -> frozenset[str]:
        """The aggregates that give 0 over no rows; the others give NULL.

        Raises: PlanError for one that gives something else.
        """
        found = set()
        for column in self.columns:
            gives = plan_aggregate(column.function).on_empty
            if gives not in {"zero", "null"}:
                raise PlanError(
                    f"{column.function} may not stand in a subquery that names outer columns",
                    hint="join with a subquery that has GROUP BY",
                )
            if gives == "zero":
                found.add(column.name)
        return frozenset(found)

    def rewrite(  # noqa: PLR0911 - one a case
        self, expression: Expression, node: exp.Expr, seen: Mapping[str, exp.Expr]
    ) -> Expression:
        """The value over the aggregated relation; `node` and `seen` are where it was written.

        Raises: PlanError if it needs a column that is neither grouped nor aggregated.
        """
        if expression in self.replacements:
            return self.replacements[expression]

        def inner(part: Expression) -> Expression:
            return self.rewrite(part, node, seen)

        match expression:
            case ColumnRef(name):
                raise self.where.error(
                    seen.get(name, node),
                    f"the column {name!r} has many values in a group",
                    "put it into GROUP BY, or into an aggregate such as max(...)",
                )
            case Call(function, arguments):
                return Call(function, tuple(inner(a) for a in arguments))
            case Cast():
                return replace(expression, value=inner(expression.value))
            case Case(branches, otherwise):
                whens = tuple(When(inner(b.condition), inner(b.value)) for b in branches)
                return Case(whens, inner(otherwise))
            case InList():
                return replace(expression, value=inner(expression.value))
            case Lambda():
                return replace(expression, body=inner(expression.body))
            case _:
                return expression
