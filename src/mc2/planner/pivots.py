"""PIVOT and UNPIVOT, written as the queries that they mean. Spec: docs/howto/write-a-script.md.

PIVOT is what Spark makes of it: first one row for each combination of the other columns and the
pivoted one, then one column for each value. So what has no rows is NULL, also a count. UNPIVOT is
a UNION ALL of one SELECT for each column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlglot import exp

from mc2.planner.aggregate_calls import has_aggregate
from mc2.planner.levels import free_name
from mc2.planner.names import same
from mc2.planner.sql_text import QueryText, refuse_others

_PIVOT_PARTS: Final = (
    "expressions", "fields", "alias", "columns", "pivot_column_naming", "unpivot", "include_nulls",
)  # fmt: skip
_PLACE_HINT: Final = "write PIVOT (sum(x) FOR kind IN ('a', 'b'))"


def last_pivot(node: exp.Expr) -> exp.Pivot | None:
    """What a table or a query in FROM is pivoted by last."""
    found = node.args.get("pivots")
    return found[-1] if found else None


def before_pivot(node: exp.Expr) -> exp.Expr:
    """The same without its last PIVOT or UNPIVOT."""
    rest = node.copy()
    rest.set("pivots", list(rest.args["pivots"])[:-1])
    return rest


def pivoted(
    where: QueryText, pivot: exp.Pivot, source: exp.Expr, columns: Sequence[str]
) -> exp.Query:
    """The query that a PIVOT or UNPIVOT of a source with some columns means. Raises: PlanError."""
    refuse_others(where, pivot, _PIVOT_PARTS, "PIVOT")
    field = pivot.args.get("fields") or []
    if len(field) != 1 or not isinstance(field[0], exp.In) or field[0].args.get("query"):
        raise where.error(pivot, "PIVOT takes one FOR ... IN (...)", _PLACE_HINT)
    write = _unpivot if pivot.args.get("unpivot") else _pivot
    return write(where, pivot, source, columns)


def _pivot(
    where: QueryText, pivot: exp.Pivot, source: exp.Expr, columns: Sequence[str]
) -> exp.Query:
    field = pivot.args["fields"][0]
    keys = _parts(field.this)
    calls = pivot.expressions
    for call in calls:
        if not has_aggregate(call):
            raise where.error(call, "PIVOT takes aggregates before FOR", _PLACE_HINT)
    used = _used(columns, [*calls, *keys])
    rest = [c for c in columns if c.casefold() not in used]
    taken = {c.casefold() for c in columns}
    key_names = _names("pivot", len(keys), taken)
    call_names = _names("value", len(calls), taken)
    inner = exp.Select(
        expressions=[
            *map(_column, rest),
            *(_alias(k.copy(), n) for k, n in zip(keys, key_names, strict=True)),
            *(_alias(_bare(c).copy(), n) for c, n in zip(calls, call_names, strict=True)),
        ],
        from_=exp.From(this=source),
        group=exp.Group(expressions=[*map(_column, rest), *(k.copy() for k in keys)]),
    )
    cells: list[exp.Expr] = []
    for value, name in _values(where, field.expressions, len(keys)):
        test = _all_same(key_names, value)
        for call, column in zip(calls, call_names, strict=True):
            whole = name if len(calls) == 1 else f"{name}_{_call_name(call)}"
            cells.append(_alias(_cell(test, column), whole))
    _check_names(where, pivot, [*rest, *(c.alias for c in cells)])
    query = exp.Select(
        expressions=[*map(_column, rest), *cells], from_=exp.From(this=exp.Subquery(this=inner))
    )
    if rest:
        query.set("group", exp.Group(expressions=list(map(_column, rest))))
    return query


def _unpivot(
    where: QueryText, pivot: exp.Pivot, source: exp.Expr, columns: Sequence[str]
) -> exp.Query:
    field = pivot.args["fields"][0]
    if len(pivot.expressions) != 1:
        raise where.error(pivot, "UNPIVOT takes one column of values, or several in brackets")
    names = [p.name for p in _parts(pivot.expressions[0])]
    known = {c.casefold(): c for c in columns}
    branches = [_branch(where, b, len(names), known) for b in field.expressions]
    used = {c.casefold() for chosen, _ in branches for c in chosen}
    rest = [c for c in columns if c.casefold() not in used]
    _check_names(where, pivot, [*rest, field.this.name, *names])
    selects: list[exp.Query] = []
    for chosen, shown in branches:
        select = exp.Select(
            expressions=[
                *map(_column, rest),
                _alias(exp.Literal.string(shown), field.this.name),
                *(_alias(_column(c), n) for c, n in zip(chosen, names, strict=True)),
            ],
            from_=exp.From(this=source.copy()),
        )
        if not pivot.args.get("include_nulls"):
            tests = [exp.Not(this=exp.Is(this=_column(c), expression=exp.Null())) for c in chosen]
            select.set("where", exp.Where(this=_balanced(exp.Or, tests)))
        selects.append(select)
    query = selects[0]
    for branch in selects[1:]:
        query = exp.Union(this=query, expression=branch, distinct=False)
    return query


def _check_names(where: QueryText, pivot: exp.Pivot, names: Sequence[str]) -> None:
    """Refuse two columns of one name: here nobody wrote them side by side."""
    for number, name in enumerate(names):
        if any(same(name, other) for other in names[:number]):
            hint = "name a value: IN (value AS name)"
            raise where.error(pivot, f"two columns are called {name!r}", hint)


def _branch(
    where: QueryText, node: exp.Expr, count: int, known: Mapping[str, str]
) -> tuple[list[str], str]:
    """The columns of one part of UNPIVOT's list, and the text that names it."""
    inner = node.this if isinstance(node, (exp.PivotAlias, exp.Alias)) else node
    parts = _parts(inner)
    if len(parts) != count:
        raise where.error(node, f"UNPIVOT takes {count} column(s) in each part of its list")
    chosen = []
    for part in parts:
        found = known.get(part.name.casefold()) if isinstance(part, exp.Column) else None
        if found is None:
            raise where.error(part, "UNPIVOT's list holds columns of its table", "name a column")
        chosen.append(found)
    return chosen, _given_name(node) or "_".join(chosen)


def _values(
    where: QueryText, nodes: Iterable[exp.Expr], count: int
) -> list[tuple[list[exp.Expr], str]]:
    """The values of PIVOT's list, each with the name of its column."""
    found = []
    for node in nodes:
        inner = node.this if isinstance(node, (exp.PivotAlias, exp.Alias)) else node
        parts = _parts(inner)
        if len(parts) != count:
            raise where.error(node, f"PIVOT takes {count} value(s) in each part of its list")
        if any(part.find(exp.Column, exp.Query) for part in parts):
            raise where.error(
                node, "the values of PIVOT are constants", "text stands in single quotes"
            )
        name = _given_name(node)
        if not name:
            shown = [_shown(part) for part in parts]
            if None in shown:
                raise where.error(node, "this value names no column", "write IN (value AS name)")
            texts = [s for s in shown if s is not None]
            name = texts[0] if count == 1 else "{" + ", ".join(texts) + "}"
        found.append((parts, name))
    return found


def _shown(node: exp.Expr) -> str | None:
    """A constant as Spark names its column; None for what is written in several ways."""
    match node:
        case exp.Literal() if node.is_string:
            return str(node.this)
        case exp.Literal() if str(node.this).isdecimal():
            return str(int(node.this))
        case exp.Neg(this=exp.Literal(is_string=False, this=digits)) if str(digits).isdecimal():
            return f"-{int(digits)}"
        case exp.Boolean():
            return "true" if node.this else "false"
        case exp.Null():
            return "null"
    return None


def _cell(test: exp.Expr, column: str) -> exp.Expr:
    """The one value that the first grouping found: `max` of one row is that row's."""
    case = exp.Case(ifs=[exp.If(this=test.copy(), true=_column(column))])
    return exp.Anonymous(this="max", expressions=[case])


def _all_same(names: Sequence[str], values: Sequence[exp.Expr]) -> exp.Expr:
    tests = [
        exp.NullSafeEQ(this=_column(n), expression=v.copy())
        for n, v in zip(names, values, strict=True)
    ]
    return _balanced(exp.And, tests)


def _balanced(kind: type[exp.Connector], tests: Sequence[exp.Expr]) -> exp.Expr:
    whole = tests[0]
    for test in tests[1:]:
        whole = kind(this=whole, expression=test)
    return whole


def _used(columns: Sequence[str], nodes: Iterable[exp.Expr]) -> set[str]:
    """Columns that some values name; `address.city` names the column `address`."""
    known = {c.casefold() for c in columns}
    found = set()
    for node in nodes:
        for column in node.find_all(exp.Column):
            parts = [p.name.casefold() for p in column.parts]
            found.update([p for p in reversed(parts) if p in known][:1])
    return found


def _names(start: str, count: int, taken: set[str]) -> list[str]:
    found = []
    for _ in range(count):
        name = free_name(start, taken)
        taken.add(name.casefold())
        found.append(name)
    return found


def _call_name(call: exp.Expr) -> str:
    return call.alias or " ".join(call.sql(dialect="spark", normalize_functions=False).split())


def _bare(call: exp.Expr) -> exp.Expr:
    return call.this if isinstance(call, exp.Alias) else call


def _given_name(node: exp.Expr) -> str:
    if not isinstance(node, (exp.PivotAlias, exp.Alias)):
        return ""
    alias = node.args["alias"]
    return alias.name if isinstance(alias, exp.Expr) else str(alias)


def _parts(node: exp.Expr) -> list[exp.Expr]:
    if isinstance(node, exp.Tuple):
        return list(node.expressions)
    return [node.this if isinstance(node, exp.Paren) else node]


def _column(name: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True))


def _alias(node: exp.Expr, name: str) -> exp.Expr:
    return exp.Alias(this=node, alias=exp.to_identifier(name, quoted=True))
