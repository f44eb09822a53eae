"""FROM and JOIN: the tables a SELECT reads, how they are joined, how columns are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from sqlglot import exp

from mc2.errors import PlanError
from mc2.formats.schema import Column
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import Call, ColumnRef, Expression, columns_of, literal
from mc2.plan.relations import Explode, Join, NamedExpression, Project, Values
from mc2.plan.types import BOOLEAN, INT32
from mc2.planner import calls
from mc2.planner.aggregate_calls import refuse_aggregates
from mc2.planner.as_of import HINT, REFUSED, as_of, is_as_of
from mc2.planner.levels import Level, Rows
from mc2.planner.literal_rows import plan_values
from mc2.planner.names import Scope, Source, Visible, as_written, same
from mc2.planner.pivots import before_pivot, last_pivot, pivoted
from mc2.planner.scalar import Scalars
from mc2.planner.sql_text import COMMA, QueryText, refuse_others
from mc2.planner.subqueries import Queries, Subqueries, has_subquery, is_subquery
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
_AS_OF: Final = {"as of": False, "as of left": True}
_LATERAL: Final = ("inner", "left", "cross")
EXPLODES: Final = {
    "explode": (False, False), "explode_outer": (False, True),
    "posexplode": (True, False), "posexplode_outer": (True, True),
}  # fmt: skip
"""Functions that make rows of a list: whether they count its elements, and keep empty lists."""


@dataclass(frozen=True, slots=True)
class Found:
    """A table that a query names: its node, its default alias, and its full name if a dataset."""

    node: int
    alias: str
    dataset: str | None


class Tables(Queries, Protocol):
    """Finds what stands in FROM."""

    def table(self, node: exp.Table) -> Found:
        """A dataset, a view, or a WITH query. Raises: PlanError."""
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
    """The tables of a SELECT, not yet joined: conditions of WHERE may still join them.

    `later` are conditions of joins with subqueries, which may stand in WHERE as well.
    """

    builder: PlanBuilder
    scope: Scope
    steps: tuple[_Step, ...]
    explodes: tuple[Explode, ...] = ()
    later: tuple[exp.Expr, ...] = ()

    def join(self, conditions: Sequence[Expression]) -> tuple[int, list[Expression]]:
        """The joined node, and the conditions that remain.

        `FROM a, b WHERE a.x = b.x` becomes an inner join on x: without that a join of all pairs
        would be made first. Only where no outer join could be affected. Of several tables that
        could come next, one that a condition joins does.
        """
        left = [part for c in conditions for part in _factored(c)]
        first, *others = self.steps
        node, seen = first.node, first.columns
        movable = all(step.how in {"inner", "cross"} for step in others)
        while others:
            step = others.pop(self._next(others, left, seen) if movable else 0)
            how, on = step.how, step.on
            if how == "cross" and movable:
                joining = [c for c in left if _joins(c, seen, step.columns)]
                left = [c for c in left if c not in joining]
                if joining:
                    how, on = "inner", all_true(joining)
            if how in _AS_OF and on is not None:
                node = as_of(self.builder, node, step.node, on, outer=_AS_OF[how])
            else:
                node = self.builder.add(Join(node, step.node, how, on))
            if step.how not in _HALF:
                seen |= step.columns
        for explode in self.explodes:
            node = self.builder.add(replace(explode, source=node))
        return node, left

    def _next(
        self, steps: Sequence[_Step], conditions: Sequence[Expression], seen: frozenset[str]
    ) -> int:
        """The first of the next tables after commas that a condition joins; else the next."""
        for place, step in enumerate(steps):
            if step.how != "cross":
                break
            if any(_joins(c, seen, step.columns) for c in conditions):
                return place
        return 0


def _factored(condition: Expression) -> list[Expression]:
    """`(k = l AND a) OR (k = l AND b)` as `k = l` and `a OR b`: tables may be joined on it.

    Only equations of columns, which cannot fail, come out from behind what guards them.
    """
    if not isinstance(condition, Call) or condition.function != "or":
        return [condition]
    branches = [
        b.arguments if isinstance(b, Call) and b.function == "and" else (b,)
        for b in condition.arguments
    ]
    common = [p for p in branches[0] if _is_plain_equation(p) and all(p in b for b in branches[1:])]
    rest = [[p for p in b if p not in common] for b in branches]
    if not common or not all(rest):  # a branch with nothing else is true wherever `common` is
        return common or [condition]
    return [*common, Call("or", tuple(all_true(b) for b in rest))]


def _is_plain_equation(condition: Expression) -> bool:
    return (
        isinstance(condition, Call)
        and condition.function == "eq"
        and all(isinstance(a, ColumnRef) for a in condition.arguments)
    )


def _joins(condition: Expression, left: frozenset[str], right: frozenset[str]) -> bool:
    if not isinstance(condition, Call) or condition.function not in {"eq", "same"}:
        return False
    a, b = (columns_of(side) for side in condition.arguments)
    return bool(a and b) and ((a <= left and b <= right) or (a <= right and b <= left))


def bind_from(
    select: exp.Select, where: QueryText, builder: PlanBuilder, tables: Tables, level: Level
) -> FromClause:
    """Read FROM and the joins. Raises: PlanError."""
    origin = select.args.get("from_")
    joins = select.args.get("joins") or []
    laterals = select.args.get("laterals") or []
    rename = bool(joins or laterals or level.names)
    binder = _Binder(where, builder, tables, rename=rename, level=level)
    # Rows of the right side without a match have no outer row yet: then outer rows come last.
    late = any(str(j.args.get("side") or "").upper() in {"RIGHT", "FULL"} for j in joins)
    if level.domain is not None and not late:
        binder.add_domain(level.domain)
    binder.outer_in_on = not late
    if origin is not None:
        binder.first(origin.this)
    elif level.domain is None:
        binder.add_domain(builder.add(Values(("one",), ((literal(1, INT32),),))))
    for join in joins:
        binder.join(join)
    if level.domain is not None and late:
        binder.add_domain(level.domain, "cross")
    for lateral in laterals:
        binder.lateral(lateral)
    return FromClause(
        builder,
        binder.scope(tuple(binder.sources)),
        tuple(binder.steps),
        tuple(binder.explodes),
        tuple(binder.later),
    )


class _Binder:
    """Collects the tables of one FROM clause from left to right."""

    def __init__(
        self,
        where: QueryText,
        builder: PlanBuilder,
        tables: Tables,
        *,
        rename: bool,
        level: Level,
    ) -> None:
        self._where = where
        self._builder = builder
        self._tables = tables
        self._rename = rename
        self._level = level
        self.sources: list[Source] = []
        self.merged: list[Visible] = []
        self.steps: list[_Step] = []
        self.types: dict[str, Column] = {}
        self.explodes: list[Explode] = []
        self.later: list[exp.Expr] = []
        self.outer_in_on = True
        self._comma = False

    def scope(self, sources: tuple[Source, ...], *, outer: bool = True) -> Scope:
        """What names mean over some of the tables; with `outer` also around the query."""
        around = self._level.outer if outer else None
        return Scope(self._where, sources, self.types, tuple(self.merged), outer=around)

    def add_domain(self, node: int, how: str = "inner") -> None:
        """Rows that stand before or after all tables and have no name of their own."""
        columns = self._builder.schema(node).by_name()
        self.types.update(columns)
        self.steps.append(_Step(node, frozenset(columns), how, None))

    def lateral(self, node: exp.Lateral) -> None:
        """LATERAL VIEW explode(list) name AS column."""
        known = ("this", "view", "outer", "alias")
        refuse_others(self._where, node, known, "LATERAL VIEW")
        call, alias = node.this, node.args.get("alias")
        name = str(call.this).lower() if isinstance(call, exp.Anonymous) else ""
        if not node.args.get("view") or name not in EXPLODES or alias is None:
            raise self._where.error(
                node, "only LATERAL VIEW explode(list) and posexplode(list) may stand here",
                "write LATERAL VIEW explode(list) name AS column",
            )  # fmt: skip
        position, outer = EXPLODES[name]
        columns = [c.name for c in alias.columns] or (["pos", "col"] if position else ["col"])
        if len(columns) != 1 + position or len(call.expressions) != 1:
            raise self._where.error(node, f"{name} gives {1 + position} column(s) of one list")
        scope = self.scope(tuple(self.sources))
        refuse = refuse_aggregates(self._where, "ON")
        value = Scalars(self._where, self.types, scope.resolve, refuse).bind(call.expressions[0])
        if value.type.element is None:
            raise self._where.error(node, f"{name} takes a list, not a {value.type}")
        prefix = self._prefix(node, alias.name or name, None)
        names = [f"{prefix}.{c}" for c in columns]
        outer = outer or bool(node.args.get("outer"))
        self.explodes.append(
            Explode(0, value.expression, names[-1], names[0] if position else None, outer)
        )
        self.types[names[-1]] = Column(names[-1], value.type.element, nullable=True)
        if position:
            self.types[names[0]] = Column(names[0], INT32, outer)
        pairs = zip(columns, names, strict=True)
        visible = tuple(Visible(c, ColumnRef(n)) for c, n in pairs)
        self.sources.append(Source(prefix, None, visible))

    def first(self, node: exp.Expr) -> None:
        """The table directly after FROM."""
        source, step = self._source(node)
        step.how = "cross" if self.steps else step.how
        self.sources.append(source)
        self.steps.append(step)

    def join(self, node: exp.Join) -> None:
        """One JOIN, or a comma."""
        known = ("this", "on", "using", "side", "kind", "method")
        refuse_others(self._where, node, known, "a join")
        kind = ((node.args.get("side") or "").upper(), (node.args.get("kind") or "").upper())
        if kind not in _KINDS:
            raise self._where.error(node, f"there is no {' '.join(kind).strip()} JOIN here")
        how = _KINDS[kind]
        self._check_comma(node, how)
        if isinstance(node.this, exp.Lateral):
            self._lateral_query(node, how)
            return
        source, step = self._source(node.this)
        step.how, step.on = self._condition(node, how, source, step)
        if str(node.args.get("method")).upper() == "ASOF":
            self._check_as_of(node, step)
        self.steps.append(step)
        if how not in _HALF:
            self.sources.append(source)

    def _lateral_query(self, node: exp.Join, how: str) -> None:
        """A query that may name columns of the tables before it, which are joined for that."""
        lateral = node.this
        refuse_others(self._where, lateral, ("this", "view", "outer", "alias"), "LATERAL")
        alias, inner = lateral.args.get("alias"), lateral.this
        query = inner.this if isinstance(inner, exp.Subquery) else None
        if lateral.args.get("view") or not isinstance(query, exp.Query) or how not in _LATERAL:
            raise self._where.error(
                node, "LATERAL stands before a query in brackets, after a comma or a JOIN",
                "write JOIN LATERAL (SELECT ...) name",
            )  # fmt: skip
        scope = self.scope(tuple(self.sources))
        joined, _ = FromClause(self._builder, scope, tuple(self.steps)).join([])
        columns = self._builder.schema(joined).by_name()
        self.steps = [_Step(joined, frozenset(columns), "inner", None)]
        self.types.update(columns)
        rows = Rows(self._builder, joined, dict(columns), scope.look_up, self.types)
        refuse = refuse_aggregates(self._where, "ON")
        outside = Scalars(self._where, self.types, scope.resolve, refuse)
        found = Subqueries(self._tables, rows, outside.bind).lateral(query)
        self.types.update(self._builder.schema(found.node).by_name())
        names = [str(getattr(c, "name", "")).partition(".")[2] for c in found.columns]
        said = [c.name for c in alias.columns] if isinstance(alias, exp.TableAlias) else []
        if said and len(said) != len(names):
            raise self._where.error(node, f"it has {len(names)} columns, not {len(said)}")
        name = self._prefix(node, alias.name if alias is not None else "lateral", None)
        visible = (Visible(n, c) for n, c in zip(said or names, found.columns, strict=True))
        self.sources.append(Source(name, None, tuple(visible)))
        tests = list(found.on)
        on = node.args.get("on")
        if on is not None and not _is_true(on):
            both = Scalars(self._where, self.types, self.scope(tuple(self.sources)).resolve, refuse)
            tests.append(both.condition(on, "the condition of a join").expression)
        inner_columns = frozenset(self._builder.schema(found.node).names)
        if not tests and how != "left":
            self.steps.append(_Step(found.node, inner_columns, "cross", None))
            return
        condition = all_true(tests) if tests else literal(value=True, kind=BOOLEAN)
        way = "left" if how == "left" else "inner"
        self.steps.append(_Step(found.node, inner_columns, way, condition))

    def _check_as_of(self, node: exp.Join, step: _Step) -> None:
        """A join with the latest row of a table: by its condition, and of some kinds alone."""
        seen = frozenset[str]().union(*(s.columns for s in self.steps))
        how = {"inner": "as of", "left": "as of left"}.get(step.how)
        on = node.args.get("on")
        fits = step.on is not None and is_as_of(step.on, seen, step.columns)
        if how is None or on is None or has_subquery(on) or not fits:
            raise self._where.error(node, REFUSED, HINT)
        step.how = how

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
        if last_pivot(node) is not None:
            alias = None  # that is the name of what is pivoted
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
        said = columns or (names if found.dataset else as_written(names))
        visible = (Visible(n, r) for n, r in zip(said, refs, strict=True))
        source = Source(name, dataset, tuple(visible))
        return source, _Step(step, frozenset(self._builder.schema(step).names), "inner", None)

    def _found(self, node: exp.Expr) -> tuple[Found, list[str]]:
        alias = node.args.get("alias")
        columns = [c.name for c in alias.columns] if isinstance(alias, exp.TableAlias) else []
        pivot = last_pivot(node)
        if pivot is not None:
            return self._pivoted(node, pivot)
        if isinstance(node, exp.Table):
            refuse_others(self._where, node, ("this", "db", "catalog", "alias"), "FROM")
            return self._tables.table(node), columns
        if isinstance(node, exp.Values):
            return Found(plan_values(node, self._where, self._builder), "values", None), columns
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

    def _pivoted(self, node: exp.Expr, pivot: exp.Pivot) -> tuple[Found, list[str]]:
        """A table with PIVOT or UNPIVOT after it; its name is the one after that."""
        source = before_pivot(node)
        found, columns = self._found(source)
        names = columns or list(self._builder.schema(found.node).names)
        query = pivoted(self._where, pivot, source, names)
        alias = pivot.args.get("alias")
        renamed = [c.name for c in alias.columns] if isinstance(alias, exp.TableAlias) else []
        made = self._tables.query(query)
        name = pivot.alias or source.alias or found.alias
        return Found(made, name, None), renamed

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

    def _condition(
        self, node: exp.Join, how: str, source: Source, step: _Step
    ) -> tuple[str, Expression | None]:
        on, using = node.args.get("on"), node.args.get("using")
        if str(node.args.get("method") or "ASOF").upper() != "ASOF":
            using = self._common(node, source)
        if using:
            return how, self._using(using, how, source)
        if how == "cross" or (_is_true(on) and how == "inner"):
            return "cross", None
        if on is None:
            raise self._where.error(
                node, "this join has no condition", "write ON, USING or CROSS JOIN"
            )
        scope = self.scope((*self.sources, source), outer=self.outer_in_on)
        refuse = refuse_aggregates(self._where, "ON")
        if not has_subquery(on):
            scalars = Scalars(self._where, self.types, scope.resolve, refuse)
            return how, scalars.condition(on, "the condition of a join").expression
        parts = list(on.flatten()) if isinstance(on, exp.And) else [on]
        if how == "inner":
            self.later += [p for p in parts if has_subquery(p)]
            parts = [p for p in parts if not has_subquery(p)]
        scalars = Scalars(
            self._where, self.types, scope.resolve, refuse, self._looked_up(source, step)
        )
        tests = [scalars.condition(p, "the condition of a join").expression for p in parts]
        return (how, all_true(tests)) if tests else ("cross", None)

    def _looked_up(
        self, source: Source, step: _Step
    ) -> Callable[[Scalars, exp.Expr], Typed | None]:
        """Subqueries in ON, answered for each row of the table that is joined."""
        scope = self.scope((source,), outer=self.outer_in_on)
        columns = self._builder.schema(step.node).by_name()

        def find(node: exp.Column) -> Typed | None:
            return scope.resolve(node) if scope.find(node) else None

        rows = Rows(self._builder, step.node, dict(columns), find, self.types)

        def special(scalars: Scalars, node: exp.Expr) -> Typed | None:
            if not is_subquery(node):
                return None
            refuse = refuse_aggregates(self._where, "ON")
            alone = Scalars(self._where, rows.columns, scope.resolve, refuse, scalars.special)
            try:
                value = Subqueries(self._tables, rows, alone.bind).value(node)
            except PlanError as error:
                raise self._where.error(
                    node,
                    f"a subquery in ON is about the table {source.alias!r} alone: {error}",
                    "answer it in a query in FROM, and join with that",
                ) from None
            step.node, step.columns = rows.node, frozenset(rows.columns)
            self.types.update(rows.columns)
            return value

        return special

    def _common(self, node: exp.Join, source: Source) -> list[exp.Expr]:
        """The columns of a NATURAL join: those of the left side that the right side has, too."""
        method = str(node.args["method"]).upper()
        if method != "NATURAL":
            raise self._where.error(node, f"there is no {method} JOIN here")
        left = self.scope(tuple(self.sources)).star(node, [])
        names = [c.name for c in left if any(same(c.name, r.name) for r in source.columns)]
        if not names:
            raise self._where.error(
                node, "the two sides of NATURAL JOIN share no column", "write CROSS JOIN"
            )
        common: list[exp.Expr] = []
        for name in dict.fromkeys(names):
            part = exp.to_identifier(name, quoted=True)
            part.meta.update(node.meta)
            common.append(part)
        return common

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
        scope = self.scope(tuple(self.sources))
        column = exp.Column(this=part.copy())
        column.this.meta.update(part.meta)
        return scope.resolve(column)

    def _right_of(self, part: exp.Expr, source: Source) -> Typed:
        found = [c for c in source.columns if same(c.name, part.name)]
        if len(found) != 1:
            has = "several columns" if found else "no column"
            hint = f"name one of them where {source.alias} is made: AS other" if found else ""
            raise self._where.error(part, f"{source.alias} has {has} {part.name!r}", hint)
        return typed(found[0].expression, self.types)

    def _merge(self, name: str, how: str, left: Typed, right: Typed, pair: Sequence[Typed]) -> None:
        if how in _HALF:
            return
        kept = left.expression if how in {"inner", "left"} else right.expression
        if how == "full":
            kept = calls.apply("coalesce", pair, self.types).expression
        self.merged = [m for m in self.merged if not same(m.name, name)]
        self.merged.append(Visible(name, kept))


def explode_name(node: exp.Expr) -> str:
    """Which function makes rows of a list in a column of SELECT; empty if none."""
    call = node.this if isinstance(node, (exp.Alias, exp.Aliases)) else node
    name = str(call.this).lower() if isinstance(call, exp.Anonymous) else ""
    return name if name in EXPLODES else ""


def _is_comma(node: exp.Join) -> bool:
    return bool(node.meta.get(COMMA))


def _is_true(node: exp.Expr | None) -> bool:
    return isinstance(node, exp.Boolean) and bool(node.this)
