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
        kinds = {c: t.partition("(")[0] for c, t in COLUMNS.items()}
        return Relation(f"{name} AS {alias}", alias, kinds)

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
            items.append(f"{self.value(kind, scope)} AS {name}")
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
        group = f" GROUP BY {', '.join(keys)}" if keys else ""
        having = ""
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
            query += f" UNION {self.pick('ALL ', 'ALL ', '')}{branch}"
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
