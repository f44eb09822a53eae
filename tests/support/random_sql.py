"""Random small queries that mean the same in Spark's SQL and in DuckDB's, over NULL-heavy tables.

DuckDB running the text itself is the oracle. So everything is avoided on which the two dialects
differ by definition: division by zero, `concat` of NULL, averages of decimals, text as numbers.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

import pyarrow as pa

from mc2.formats.arrow import arrow_schema
from tests.support.catalogs import schema

COLUMNS = {
    "k": "int32",
    "n": "int64",
    "x": "double",
    "s": "string",
    "b": "boolean",
    "d": "date",
    "m": "decimal(8,2)",
}
TABLES = ("p.t", "p.u", "q.t")
KINDS = {c: t.partition("(")[0] for c, t in COLUMNS.items()}


def compared(left: str, sign: str, right: str) -> str:
    """A comparison that both dialects know."""
    if sign == "<=>":
        return f"{left} IS NOT DISTINCT FROM {right}"
    return f"{left} {sign} {right}"


def make_tables(rng: random.Random) -> dict[str, pa.Table]:
    """The three tables with few rows of few different values, a third of them NULL."""

    def maybe(value):
        return None if rng.random() < 0.33 else value

    def rows():
        for _ in range(rng.choice([0, 1, 5, 12, 12])):
            yield {
                "k": maybe(rng.randint(0, 3)),
                "n": maybe(rng.randint(-2, 3)),
                "x": maybe(rng.choice([-1.5, 0.0, 0.5, 2.0, 3.25])),
                "s": maybe(rng.choice(["", "a", "ab", "B", "b a"])),
                "b": maybe(rng.random() < 0.5),
                "d": maybe(date(2024, 1, 30) + timedelta(days=rng.randint(0, 3) * 15)),
                "m": maybe(Decimal(rng.randint(-200, 300)) / 100),
            }

    shape = arrow_schema(schema(COLUMNS))
    return {name: pa.Table.from_pylist(list(rows()), schema=shape) for name in TABLES}


@dataclass
class Relation:
    """Something in FROM: its text, its alias, and its columns with their kinds."""

    text: str
    alias: str
    columns: dict[str, str]


@dataclass
class Queries:
    """Writes queries. `kinds` of columns are the types' names above, decimals as `decimal`."""

    rng: random.Random
    depth: int = 0
    names: int = 0
    ctes: list[Relation] = field(default_factory=list)
    subqueries: bool = False

    def fresh(self, stem: str) -> str:
        self.names += 1
        return f"{stem}{self.names}"

    def pick(self, *choices):
        return self.rng.choice(choices)

    # Values

    def value(self, kind: str, scope: list[Relation], depth: int = 2) -> str:
        columns = [f"{r.alias}.{c}" for r in scope for c, k in r.columns.items() if k == kind]
        if columns and (depth <= 0 or self.rng.random() < 0.5):
            return self.rng.choice(columns)
        if depth <= 0 or self.rng.random() < 0.2:
            return self.literal(kind)
        return getattr(self, f"_{kind}")(scope, depth - 1)

    def literal(self, kind: str) -> str:
        return {
            "int32": lambda: str(self.rng.randint(-2, 4)),
            "int64": lambda: f"CAST({self.rng.randint(-2, 4)} AS BIGINT)",
            "double": lambda: f"CAST({self.pick('0.5', '-1.5', '2', '0')} AS DOUBLE)",
            "string": lambda: self.pick("'a'", "'ab'", "''", "'B'", "'zz'"),
            "boolean": lambda: self.pick("true", "false"),
            "date": lambda: self.pick("DATE '2024-01-30'", "DATE '2024-02-29'"),
            "decimal": lambda: self.pick("1.25", "-0.50", "2.00"),
        }[kind]()

    def _choice(self, kind: str, scope: list[Relation], depth: int) -> str:
        def value() -> str:
            return self.value(kind, scope, depth)

        form = self.rng.randint(0, 4)
        if form == 0:
            return f"CASE WHEN {self.condition(scope, depth)} THEN {value()} ELSE {value()} END"
        if form == 1:
            return f"CASE WHEN {self.condition(scope, depth)} THEN {value()} END"
        if form == 2:
            return f"coalesce({value()}, {value()})"
        if form == 3:
            return f"nullif({value()}, {value()})"
        return f"{self.pick('greatest', 'least')}({value()}, {value()})"

    def _int32(self, scope: list[Relation], depth: int) -> str:
        form = self.rng.randint(0, 4)
        if form == 0:
            a, b = self.value("int32", scope, depth), self.value("int32", scope, depth)
            return f"({a} {self.pick('+', '-', '*')} {b})"
        if form == 1:
            return f"(- {self.value('int32', scope, depth)})"
        if form == 2:
            part = self.pick("year", "month", "day", "quarter", "dayofyear")
            return f"CAST({part}({self.value('date', scope, depth)}) AS INT)"
        if form == 3:
            return f"CAST(length({self.value('string', scope, depth)}) AS INT)"
        return self._choice("int32", scope, depth)

    def _int64(self, scope: list[Relation], depth: int) -> str:
        form = self.rng.randint(0, 3)
        if form == 0:
            return f"CAST({self.value('int32', scope, depth)} AS BIGINT)"
        if form == 1:
            a, b = self.value("int64", scope, depth), self.value("int32", scope, depth)
            return f"({a} {self.pick('+', '-', '*')} {b})"
        if form == 2:
            return f"abs({self.value('int64', scope, depth)})"
        return self._choice("int64", scope, depth)

    def _double(self, scope: list[Relation], depth: int) -> str:
        form = self.rng.randint(0, 4)
        if form == 0:
            a, b = self.value("double", scope, depth), self.value("double", scope, depth)
            return f"({a} {self.pick('+', '-', '*')} {b})"
        if form == 1:
            return f"({self.value('int32', scope, depth)} / 4)"
        if form == 2:
            return f"CAST({self.value('int64', scope, depth)} AS DOUBLE)"
        if form == 3:
            return f"round({self.value('double', scope, depth)}, 1)"
        return self._choice("double", scope, depth)

    def _string(self, scope: list[Relation], depth: int) -> str:
        form = self.rng.randint(0, 5)
        inner = self.value("string", scope, depth)
        if form == 0:
            return f"({inner} || {self.value('string', scope, depth)})"
        if form == 1:
            return f"{self.pick('lower', 'upper', 'trim')}({inner})"
        if form == 2:
            return f"substring({inner}, 1, 2)"
        if form == 3:
            return f"replace({inner}, 'a', 'xy')"
        if form == 4:
            return f"CAST({self.value('int32', scope, depth)} AS STRING)"
        return self._choice("string", scope, depth)

    def _boolean(self, scope: list[Relation], depth: int) -> str:
        return f"({self.condition(scope, depth)})"

    def _date(self, scope: list[Relation], depth: int) -> str:
        return self._choice("date", scope, depth)

    def _decimal(self, scope: list[Relation], depth: int) -> str:
        if self.rng.random() < 0.5:
            a, b = self.value("decimal", scope, 0), self.value("decimal", scope, 0)
            return f"({a} {self.pick('+', '-')} {b})"
        return self._choice("decimal", scope, depth)

    def condition(self, scope: list[Relation], depth: int = 2) -> str:
        if self.subqueries and depth > 0 and self.depth < 3 and self.rng.random() < 0.12:
            return self.subquery_condition(scope)
        form = self.rng.randint(0, 9)
        if depth <= 0:
            form = self.pick(0, 3, 4)
        kind = self.pick("int32", "int64", "double", "string", "date", "decimal")

        def value() -> str:
            return self.value(kind, scope, depth - 1)

        if form == 1:
            word = self.pick("AND", "OR")
            return f"({self.condition(scope, depth - 1)} {word} {self.condition(scope, depth - 1)})"
        if form == 2:
            return f"NOT ({self.condition(scope, depth - 1)})"
        if form == 3:
            return f"{value()} IS {self.pick('', 'NOT ')}NULL"
        if form == 4:
            items = ", ".join(self.literal(kind) for _ in range(3))
            return f"{value()} {self.pick('', 'NOT ')}IN ({items})"
        if form == 5:
            return f"{value()} {self.pick('', 'NOT ')}BETWEEN {value()} AND {value()}"
        if form == 6:
            pattern = self.pick("'a%'", "'%b'", "'_'", "'%'")
            text = self.value("string", scope, depth - 1)
            return f"{text} {self.pick('', 'NOT ')}LIKE {pattern}"
        if form == 7:
            word = self.pick("IS DISTINCT FROM", "IS NOT DISTINCT FROM")
            return f"{value()} {word} {value()}"
        if form == 8:
            booleans = [
                f"{r.alias}.{c}" for r in scope for c, k in r.columns.items() if k == "boolean"
            ]
            return self.rng.choice(booleans) if booleans else "true"
        return f"{value()} {self.pick('=', '<>', '<', '<=', '>', '>=')} {value()}"

    # Subqueries, windows and sets

    def inner(self, kind: str, scope: list[Relation]) -> tuple[str, Relation, list[Relation]]:
        """FROM and WHERE of a subquery over one table, which may name columns around it."""
        self.depth += 1
        try:
            name, alias = self.rng.choice(TABLES), self.fresh("i")
            own = Relation(f"{name} AS {alias}", alias, KINDS)
            parts = []
            for _ in range(self.pick(0, 1, 1, 2)):
                if scope and self.rng.random() < 0.7:
                    outer = self.rng.choice(scope)
                    pairs = [
                        (a, b)
                        for a, one in own.columns.items()
                        for b, other in outer.columns.items()
                        if one == other and one != "boolean"
                    ]
                    if pairs:
                        a, b = self.rng.choice(pairs)
                        sign = self.pick("=", "=", "=", "<", "<>", "<=>")
                        parts.append(compared(f"{alias}.{a}", sign, f"{outer.alias}.{b}"))
                        continue
                around = [own, *scope] if self.rng.random() < 0.3 else [own]
                parts.append(self.condition(around, 1))
            where = f" WHERE {' AND '.join(parts)}" if parts else ""
            return f"{name} AS {alias}{where}", own, scope
        finally:
            self.depth -= 1

    def subquery_condition(self, scope: list[Relation]) -> str:
        kind = self.pick("int32", "string", "date", "int64")
        text, own, _ = self.inner(kind, scope)
        form = self.rng.randint(0, 4)
        if form == 0:
            return f"{self.pick('', 'NOT ')}EXISTS (SELECT 1 FROM {text})"
        if form in {1, 2}:
            column = self.value(kind, [own], 1)
            distinct = self.pick("", "DISTINCT ")
            left = self.value(kind, scope, 1)
            return f"{left} {self.pick('', 'NOT ')}IN (SELECT {distinct}{column} FROM {text})"
        if form == 3:
            sign = self.pick("=", "<", ">=", "<>")
            call = self.pick("max", "min")
            value = f"(SELECT {call}({self.value(kind, [own], 1)}) FROM {text})"
            return f"{self.value(kind, scope, 1)} {sign} {value}"
        return f"(SELECT count(*) FROM {text}) {self.pick('=', '>', '<=')} {self.pick(0, 1, 2)}"

    def scalar_subquery(self, scope: list[Relation]) -> tuple[str, str]:
        """A subquery as a value, and its kind."""
        text, own, _ = self.inner("", scope)
        if self.rng.random() < 0.25:
            kind = self.pick("int32", "string", "date")
            column = self.value(kind, [own], 1)
            way = self.pick("", " DESC", " NULLS LAST")
            skip = self.pick("", "", " OFFSET 1")
            return f"(SELECT {column} AS o FROM {text} ORDER BY o{way} LIMIT 1{skip})", kind
        call, kind = self.call([own])
        if self.rng.random() < 0.2:
            # An aggregate of outer columns alone would be one of the outer query.
            around = f"{own.alias}.k + {self.value('int32', [own, *scope], 1)}"
            return f"(SELECT CAST(sum({around}) AS BIGINT) FROM {text})", "int64"
        return f"(SELECT {call} FROM {text})", kind

    def window(self, scope: list[Relation]) -> tuple[str, str]:
        """A window function, and its kind. Its order is by all columns, so that none is left."""
        keys = [f"{r.alias}.{c}" for r in scope for c in r.columns]
        by = ", ".join(self.rng.sample(keys, min(len(keys), self.pick(0, 1, 1, 2))))
        part = f"PARTITION BY {by} " if by else ""
        ways = [f"{k}{self.pick('', ' DESC', ' NULLS LAST')}" for k in keys]
        self.rng.shuffle(ways)
        total = f"ORDER BY {', '.join(ways)}"
        some = f"ORDER BY {', '.join(ways[: self.pick(1, 2)])}"
        form = self.rng.randint(0, 7)
        if form == 0:
            call = self.pick("rank", "dense_rank")
            return f"CAST({call}() OVER ({part}{some}) AS INT)", "int32"
        if form == 1:
            return f"{self.pick('percent_rank', 'cume_dist')}() OVER ({part}{some})", "double"
        if form == 2:
            kind = self.pick("int32", "string", "date", "double")
            call = self.pick("first_value", "last_value")
            frame = self.pick("", " ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING",
                              " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING")  # fmt: skip
            return f"{call}({self.value(kind, scope, 1)}) OVER ({part}{total}{frame})", kind
        if form == 3:
            kind = self.pick("int32", "string", "date")
            call = f"{self.pick('lag', 'lead')}({self.value(kind, scope, 1)}, {self.pick(0, 1, 2)})"
            return f"{call} OVER ({part}{total})", kind
        call, kind = self.call(scope)
        while "DISTINCT" in call or "stddev" in call or call.startswith("CAST"):
            call, kind = self.call(scope)
        if form == 4:
            return f"{call} OVER ({part.strip()})", kind
        if form == 5:
            return f"{call} OVER ({part}{some})", kind
        start = self.pick("UNBOUNDED PRECEDING", "2 PRECEDING", "CURRENT ROW", "1 FOLLOWING")
        end = self.pick("2 FOLLOWING", "UNBOUNDED FOLLOWING")
        return f"{call} OVER ({part}{total} ROWS BETWEEN {start} AND {end})", kind

    # Relations

    def source(self) -> Relation:
        form = self.rng.random()
        if self.ctes and form < 0.2:
            cte = self.rng.choice(self.ctes)
            alias = self.fresh("r")
            return Relation(f"{cte.text} AS {alias}", alias, cte.columns)
        if self.depth < 2 and form < 0.35:
            text, columns = self.query()
            alias = self.fresh("r")
            return Relation(f"({text}) AS {alias}", alias, columns)
        name, alias = self.rng.choice(TABLES), self.fresh("r")
        return Relation(f"{name} AS {alias}", alias, KINDS)

    def from_clause(self) -> tuple[str, list[Relation]]:
        scope = [self.source()]
        text = scope[0].text
        for _ in range(self.pick(0, 0, 1, 1, 2)):
            other = self.source()
            form = self.rng.random()
            if form < 0.1:
                text += f" CROSS JOIN {other.text}"
            elif form < 0.15:
                text += f", {other.text}"
            else:
                kinds = ["JOIN", "LEFT JOIN", "SEMI JOIN", "ANTI JOIN"]
                if "," not in text:  # dialects differ on a comma before these
                    kinds += ["RIGHT JOIN", "FULL JOIN"]
                kind = self.rng.choice(kinds)
                text += f" {kind} {other.text} ON {self.join_condition(scope, other)}"
                if kind in {"SEMI JOIN", "ANTI JOIN"}:
                    continue
            scope.append(other)
        return text, scope

    def join_condition(self, scope: list[Relation], other: Relation) -> str:
        """ON. Subqueries in it are about the joined table alone, as the planner wants them."""
        if self.subqueries and self.rng.random() < 0.15:
            return f"{self.plain_join(scope, other)} AND {self.subquery_condition([other])}"
        return self.plain_join(scope, other)

    def plain_join(self, scope: list[Relation], other: Relation) -> str:
        with_subqueries, self.subqueries = self.subqueries, False
        try:
            return self.equation(scope, other)
        finally:
            self.subqueries = with_subqueries

    def equation(self, scope: list[Relation], other: Relation) -> str:
        left = self.rng.choice(scope)
        pairs = [
            (a, b)
            for a, kind in left.columns.items()
            for b, same in other.columns.items()
            if kind == same and kind != "boolean"
        ]
        if not pairs:
            return self.condition([*scope, other], 1)
        a, b = self.rng.choice(pairs)
        text = f"{left.alias}.{a} = {other.alias}.{b}"
        if self.rng.random() < 0.3:
            text += f" AND {self.condition([*scope, other], 1)}"
        return text

    def where(self, scope: list[Relation]) -> str:
        if self.rng.random() < 0.5:
            return ""
        parts = [self.condition(scope)]
        if self.rng.random() < 0.25:
            kind = self.pick("int32", "string")
            inner = self.rng.choice(TABLES)
            column = {"int32": "k", "string": "s"}[kind]
            parts.append(f"{self.value(kind, scope, 1)} IN (SELECT {column} FROM {inner})")
        return " WHERE " + " AND ".join(parts)

    def query(self) -> tuple[str, dict[str, str]]:
        self.depth += 1
        try:
            form = self.rng.random()
            if form < 0.15 and self.depth < 3:
                return self.union()
            return self.aggregate() if form < 0.5 else self.plain()
        finally:
            self.depth -= 1

    def plain(self) -> tuple[str, dict[str, str]]:
        text, scope = self.from_clause()
        columns: dict[str, str] = {}
        items = []
        for _ in range(self.rng.randint(1, 4)):
            kind = self.pick("int32", "int64", "double", "string", "boolean", "date", "decimal")
            name = self.fresh("c")
            columns[name] = kind
            text_of = self.value(kind, scope)
            form = self.rng.random()
            if self.subqueries and self.depth < 3 and form < 0.15:
                text_of, columns[name] = self.scalar_subquery(scope)
            elif self.subqueries and form < 0.3:
                text_of, columns[name] = self.window(scope)
            items.append(f"{text_of} AS {name}")
        distinct = "DISTINCT " if self.rng.random() < 0.2 else ""
        query = f"SELECT {distinct}{', '.join(items)} FROM {text}{self.where(scope)}"
        return query + self.order(list(columns)), columns

    def aggregate(self) -> tuple[str, dict[str, str]]:
        text, scope = self.from_clause()
        keys, columns, items = [], {}, []
        for _ in range(self.pick(0, 1, 1, 2)):
            kind = self.pick("int32", "string", "boolean", "date", "decimal")
            key, name = self.value(kind, scope, 1), self.fresh("g")
            if key.startswith(("CAST", "'", "true", "false", "DATE", "-")) or key[0].isdigit():
                continue  # a constant is no key
            keys.append(key)
            columns[name] = kind
            items.append(f"{key} AS {name}")
        for _ in range(self.rng.randint(1, 3)):
            call, kind = self.call(scope)
            name = self.fresh("a")
            columns[name] = kind
            items.append(f"{call} AS {name}")
        group, having = f" GROUP BY {', '.join(keys)}" if keys else "", ""
        if keys and self.subqueries and self.rng.random() < 0.25:
            group = f" GROUP BY {self.pick('ROLLUP', 'CUBE')} ({', '.join(keys)})"
            having = " HAVING count(*) > 0"  # of no rows DuckDB makes a total, and Spark none
        if keys and self.rng.random() < 0.3:
            having = f" HAVING {self.pick('count(*) > 1', 'count(*) >= 2', 'sum(' + self.value('int32', scope, 0) + ') IS NOT NULL')}"
        query = f"SELECT {', '.join(items)} FROM {text}{self.where(scope)}{group}{having}"
        return query + self.order(list(columns)), columns

    def call(self, scope: list[Relation]) -> tuple[str, str]:
        form = self.rng.randint(0, 7)
        condition = self.condition(scope, 1)
        filtered = f" FILTER (WHERE {condition})" if self.rng.random() < 0.2 else ""
        if form == 0:
            return f"count(*){filtered}", "int64"
        if form == 1:
            kind = self.pick("int32", "string", "date")
            distinct = self.pick("", "DISTINCT ")
            return f"count({distinct}{self.value(kind, scope, 1)}){filtered}", "int64"
        if form == 2:
            distinct = self.pick("", "", "DISTINCT ")
            return (
                f"CAST(sum({distinct}{self.value('int32', scope, 1)}){filtered} AS BIGINT)",
                "int64",
            )
        if form == 3:
            return f"sum({self.value('double', scope, 1)}){filtered}", "double"
        if form == 4:
            kind = self.pick("int32", "double")
            return f"avg({self.value(kind, scope, 1)}){filtered}", "double"
        if form == 5:
            kind = self.pick("int32", "double", "string", "date", "decimal")
            return f"{self.pick('min', 'max')}({self.value(kind, scope, 1)}){filtered}", kind
        if form == 6:
            return f"stddev_samp({self.value('double', scope, 1)})", "double"
        return f"bool_or({condition})", "boolean"

    def union(self) -> tuple[str, dict[str, str]]:
        kinds = [
            self.pick("int32", "string", "double", "date") for _ in range(self.rng.randint(1, 3))
        ]
        names = [self.fresh("u") for _ in kinds]
        branches = []
        for _ in range(self.pick(2, 2, 3)):
            text, scope = self.from_clause()
            items = ", ".join(
                f"{self.value(k, scope, 1)} AS {n}" for k, n in zip(kinds, names, strict=True)
            )
            branches.append(f"SELECT {items} FROM {text}{self.where(scope)}")
        query = branches[0]
        for branch in branches[1:]:
            word = "UNION"
            if self.subqueries:
                word = self.pick("UNION", "INTERSECT", "EXCEPT")
                query = f"({query})" if word != "UNION" and " INTER" not in query else query
            query += f" {word} {self.pick('ALL ', 'ALL ', '')}{branch}"
        return query + self.order(names), dict(zip(names, kinds, strict=True))

    def order(self, names: list[str]) -> str:
        """ORDER BY all columns, so that LIMIT cuts at one place only."""
        if self.rng.random() < 0.7:
            return ""
        keys = [
            f"{n}{self.pick('', ' ASC', ' DESC', ' DESC NULLS LAST', ' NULLS LAST')}" for n in names
        ]
        self.rng.shuffle(keys)
        text = f" ORDER BY {', '.join(keys)}"
        if self.rng.random() < 0.7:
            text += f" LIMIT {self.rng.randint(0, 5)}"
            if self.rng.random() < 0.4:
                text += f" OFFSET {self.rng.randint(0, 3)}"
        return text

    def statement(self) -> str:
        """A whole query, perhaps with WITH."""
        if self.rng.random() < 0.7:
            return self.query()[0]
        inner, columns = self.query()
        name = self.fresh("w")
        self.ctes.append(Relation(name, name, columns))
        text = self.query()[0]
        # What WITH defines and nothing uses is refused if it alone reads a dataset.
        return f"WITH {name} AS ({inner}) {text}" if f"{name} AS r" in text else text
