"""FROM and JOIN: the tables a SELECT reads, how they are joined, how columns are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sqlglot import exp

from mc2.errors import PlanError
from mc2.formats.schema import Column
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import Call, ColumnRef, Expression, columns_of
from mc2.plan.relations import Join, NamedExpression, Project
from mc2.planner import calls
from mc2.planner.grouping import refuse_aggregates
from mc2.planner.names import Scope, Source, Visible, same
from mc2.planner.scalar import Scalars
from mc2.planner.sql_text import COMMA, QueryText, refuse_others
from mc2.planner.typed import Typed, all_true, typed, unify

_KINDS: Final = {
    ("", ""): "inner", ("", "INNER"): "inner", ("", "CROSS"): "cross",
    ("LEFT", ""): "left", ("LEFT", "OUTER"): "left",
    ("RIGHT", ""): "right", ("RIGHT", "OUTER"): "right",
    ("FULL", ""): "full", ("FULL", "OUTER"): "full",
    ("LEFT", "SEMI"): "semi", ("", "SEMI"): "semi",
    ("LEFT", "ANTI"): "anti", ("", "ANTI"): "anti",
}  # fmt: skip
_HALF: Final = ("semi", "anti")


@dataclass(frozen=True, slots=True)
class Found:
    """A table that a query names: its node, its default alias, and its full name if a dataset."""

    node: int
    alias: str
    dataset: str | None


class Tables(Protocol):
    """Finds what stands in FROM."""

    def table(self, node: exp.Table) -> Found:
        """A dataset, a view, or a WITH query. Raises: PlanError."""
        ...

    def query(self, node: exp.Query) -> int:
        """Plan a subquery. Raises: PlanError."""
        ...


@dataclass(slots=True)
class _Step:
    """One table of FROM, in order, and how it is joined to those before it."""

    node: int
    columns: frozenset[str]
    how: str
    on: Expression | None


@dataclass(frozen=True, slots=True)
class FromClause:
    """The tables of a SELECT, not yet joined: conditions of WHERE may still join them."""

    builder: PlanBuilder
    scope: Scope
    steps: tuple[_Step, ...]

    def join(self, conditions: Sequence[Expression]) -> tuple[int, list[Expression]]:
        """The joined node, and the conditions that remain.

        `FROM a, b WHERE a.x = b.x` becomes an inner join on x: without that a join of all pairs
        would be made first. Only where no outer join could be affected.
        """
        left = list(conditions)
        first, *others = self.steps
        node, seen = first.node, first.columns
        movable = all(step.how in {"inner", "cross"} for step in others)
        for step in others:
            how, on = step.how, step.on
            if how == "cross" and movable:
                joining = [c for c in left if _joins(c, seen, step.columns)]
                left = [c for c in left if c not in joining]
                if joining:
                    how, on = "inner", all_true(joining)
            node = self.builder.add(Join(node, step.node, how, on))
            if step.how not in _HALF:
                seen |= step.columns
        return node, left


def _joins(condition: Expression, left: frozenset[str], right: frozenset[str]) -> bool:
    if not isinstance(condition, Call) or condition.function not in {"eq", "same"}:
        return False
    a, b = (columns_of(side) for side in condition.arguments)
    return bool(a and b) and ((a <= left and b <= right) or (a <= right and b <= left))


def bind_from(
    select: exp.Select, where: QueryText, builder: PlanBuilder, tables: Tables
) -> FromClause:
    """Read FROM and the joins. Raises: PlanError."""
    origin = select.args.get("from_")
    if origin is None:
        raise where.error(select, "SELECT without FROM computes nothing from data", "name a table")
    joins = select.args.get("joins") or []
    binder = _Binder(where, builder, tables, rename=bool(joins))
    binder.first(origin.this)
    for join in joins:
        binder.join(join)
    scope = Scope(where, tuple(binder.sources), binder.types, tuple(binder.merged))
    return FromClause(builder, scope, tuple(binder.steps))


class _Binder:
    """Collects the tables of one FROM clause from left to right."""

    def __init__(
        self, where: QueryText, builder: PlanBuilder, tables: Tables, *, rename: bool
    ) -> None:
        self._where = where
        self._builder = builder
        self._tables = tables
        self._rename = rename
        self.sources: list[Source] = []
        self.merged: list[Visible] = []
        self.steps: list[_Step] = []
        self.types: dict[str, Column] = {}
        self._comma = False

    def first(self, node: exp.Expr) -> None:
        """The table directly after FROM."""
        source, step = self._source(node)
        self.sources.append(source)
        self.steps.append(step)

    def join(self, node: exp.Join) -> None:
        """One JOIN, or a comma."""
        known = ("this", "on", "using", "side", "kind")
        refuse_others(self._where, node, known, "a join")
        kind = ((node.args.get("side") or "").upper(), (node.args.get("kind") or "").upper())
        if kind not in _KINDS:
            raise self._where.error(node, f"there is no {' '.join(kind).strip()} JOIN here")
        how = _KINDS[kind]
        self._check_comma(node, how)
        source, step = self._source(node.this)
        step.how, step.on = self._condition(node, how, source)
        self.steps.append(step)
        if how not in _HALF:
            self.sources.append(source)

    def _check_comma(self, node: exp.Join, how: str) -> None:
        """Spark joins what stands before a comma first, the standard what stands after it."""
        if _is_comma(node):
            self._comma = True
        elif self._comma and how in {"right", "full"}:
            raise self._where.error(
                node,
                f"dialects differ on a comma before a {how.upper()} JOIN",
                "write CROSS JOIN for the comma",
            )

    def _source(self, node: exp.Expr) -> tuple[Source, _Step]:
        found, columns = self._found(node)
        alias = node.args.get("alias")
        name = alias.name if isinstance(alias, exp.TableAlias) and alias.name else found.alias
        dataset = found.dataset if name == found.alias else None
        schema = self._builder.schema(found.node)
        names = [c.name for c in schema.columns]
        if columns and len(columns) != len(names):
            raise self._where.error(
                node, f"{name} has {len(names)} columns, and {len(columns)} names are given"
            )
        prefix = self._prefix(node, name, dataset)
        inner = [f"{prefix}.{n}" if self._rename else n for n in columns or names]
        step = found.node
        if self._rename:
            pairs = zip(inner, names, strict=True)
            renamed = tuple(NamedExpression(new, ColumnRef(old)) for new, old in pairs)
            step = self._builder.add(Project(step, renamed))
        refs: list[Expression] = [ColumnRef(n) for n in (inner if self._rename else names)]
        for column in self._builder.schema(step).columns:
            self.types[column.name] = column
        visible = (Visible(n, r) for n, r in zip(columns or names, refs, strict=True))
        source = Source(name, dataset, tuple(visible))
        return source, _Step(step, frozenset(self._builder.schema(step).names), "inner", None)

    def _found(self, node: exp.Expr) -> tuple[Found, list[str]]:
        alias = node.args.get("alias")
        columns = [c.name for c in alias.columns] if isinstance(alias, exp.TableAlias) else []
        if isinstance(node, exp.Table):
            refuse_others(self._where, node, ("this", "db", "catalog", "alias"), "FROM")
            return self._tables.table(node), columns
        inner = node.this if isinstance(node, exp.Subquery) else None
        if not isinstance(inner, exp.Query):
            what = "LATERAL" if isinstance(node, exp.Lateral) else node.key.upper()
            if isinstance(inner, exp.Table):
                what = "a join in brackets"
            raise self._where.error(
                node, f"{what} may not stand in FROM here", "name a table, or a query in brackets"
            )
        refuse_others(self._where, node, ("this", "alias"), "FROM")
        number = sum(s.alias.startswith("subquery") for s in self.sources)
        name = f"subquery_{number + 1}" if number else "subquery"
        return Found(self._tables.query(inner), name, None), columns

    def _prefix(self, node: exp.Expr, alias: str, dataset: str | None) -> str:
        """What stands before a table's columns in the plan: its alias, or its full name."""
        taken = {s.alias.casefold() for s in self.sources}
        if alias.casefold() not in taken:
            return alias
        full = {s.dataset for s in self.sources}
        if dataset is None or dataset in full:
            raise self._where.error(
                node, f"two tables here are called {alias!r}", "give one another name: AS other"
            )
        return dataset

    def _condition(self, node: exp.Join, how: str, source: Source) -> tuple[str, Expression | None]:
        on, using = node.args.get("on"), node.args.get("using")
        if using:
            return how, self._using(using, how, source)
        if how == "cross" or (_is_true(on) and how == "inner"):
            return "cross", None
        if on is None:
            raise self._where.error(
                node, "this join has no condition", "write ON, USING or CROSS JOIN"
            )
        scope = Scope(self._where, (*self.sources, source), self.types, tuple(self.merged))
        scalars = Scalars(
            self._where, self.types, scope.resolve, refuse_aggregates(self._where, "ON")
        )
        return how, scalars.condition(on, "the condition of a join").expression

    def _using(self, using: Sequence[exp.Expr], how: str, source: Source) -> Expression:
        tests = []
        for part in using:
            left, right = self._left_of(part), self._right_of(part, source)
            try:
                pair = unify([left, right], self.types)
                tests.append(calls.apply("eq", pair, self.types).expression)
                self._merge(part.name, how, left, right, pair)
            except PlanError as error:
                raise self._where.error(part, str(error), error.hint) from None
        return all_true(tests)

    def _left_of(self, part: exp.Expr) -> Typed:
        scope = Scope(self._where, tuple(self.sources), self.types, tuple(self.merged))
        column = exp.Column(this=part.copy())
        column.this.meta.update(part.meta)
        return scope.resolve(column)

    def _right_of(self, part: exp.Expr, source: Source) -> Typed:
        for column in source.columns:
            if same(column.name, part.name):
                return typed(column.expression, self.types)
        raise self._where.error(part, f"{source.alias} has no column {part.name!r}")

    def _merge(self, name: str, how: str, left: Typed, right: Typed, pair: Sequence[Typed]) -> None:
        if how in _HALF:
            return
        kept = left.expression if how in {"inner", "left"} else right.expression
        if how == "full":
            kept = calls.apply("coalesce", pair, self.types).expression
        self.merged = [m for m in self.merged if not same(m.name, name)]
        self.merged.append(Visible(name, kept))


def _is_comma(node: exp.Join) -> bool:
    return bool(node.meta.get(COMMA))


def _is_true(node: exp.Expr | None) -> bool:
    return isinstance(node, exp.Boolean) and bool(node.this)
