"""Random queries in DuckDB's and PostgreSQL's own SQL, over the tables of `random_sql`.

They are full of what the two mean otherwise than Spark: the order of NULLs, `/`, casts that round,
`concat` of NULL, dates and intervals. What fails in the engine itself may fail here in any way.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

COLUMNS = {
    "int": ("k", "n"), "double": ("x",), "text": ("s",), "bool": ("b",), "date": ("d",), "dec": ("m",),
}  # fmt: skip
LITERALS = {
    "int": ("0", "1", "-2", "7"),
    "double": ("CAST('0.5' AS DOUBLE PRECISION)", "CAST(-3 AS DOUBLE PRECISION)"),
    "text": ("'a'", "''", "'B'", "'it''s'", "'a\\b'", "'%'"),
    "bool": ("true", "false"),
    "date": ("DATE '2024-01-30'", "CAST('2023-02-28' AS DATE)"),
    "dec": ("1.25", "-0.50", "2.0"),
}
COMMON = {
    "int": [
        "({int} + {int})", "({int} - {int})", "({int} % {int})", "mod({int}, 3)", "abs({int})",
        "CAST({dec} AS INTEGER)", "CAST({double} AS INTEGER)", "length({text})", "strpos({text}, {text})",
        "({date} - {date})", "CAST({bool} AS INTEGER)", "{dec}::int", "coalesce({int}, {int})",
        "nullif({int}, {int})", "greatest({int}, {int})", "least({int}, {int})",
        "extract(year FROM {date})", "extract(doy FROM {date})", "extract(week FROM {date})",
        "CASE WHEN {bool} THEN {int} ELSE {int} END", "CASE {int} WHEN 1 THEN 2 END",
    ],
    "double": [
        "CAST({int} AS DOUBLE PRECISION)", "({double} + {double})", "({double} * 2)", "({double} / 4)",
        "CAST({dec} AS DOUBLE PRECISION)", "greatest({double}, {double})", "({double} - {dec})",
        "CASE WHEN {bool} THEN {double} END",
    ],
    "text": [
        "({text} || {text})", "concat({text}, {text}, 'z')", "concat_ws('-', {text}, {text})",
        "upper({text})", "lower({text})", "substring({text}, 1, 1)", "substr({text}, 2)", "left({text}, 1)",
        "right({text}, 1)", "replace({text}, 'a', 'xy')", "CAST({int} AS VARCHAR)", "CAST({dec} AS VARCHAR)",
        "trim({text})", "md5({text})", "CAST({date} AS VARCHAR)", "CAST({bool} AS VARCHAR)",
        "coalesce({text}, 'none')",
    ],
    "bool": [
        "({int} = {int})", "({double} <= {double})", "({text} < {text})", "({dec} <> {dec})",
        "({int} IS NULL)", "({bool} AND {bool})", "({bool} OR {bool})", "(NOT {bool})",
        "({text} LIKE 'a%')", "({text} NOT LIKE '_')", "({text} ILIKE 'b%')", "({text} LIKE '!%' ESCAPE '!')",
        "({int} IS NOT DISTINCT FROM {int})", "({date} > '2024-01-31')", "({int} IN (1, 2))",
        "({int} BETWEEN 0 AND {int})", "starts_with({text}, 'a')", "({date} + INTERVAL '1 day' > {date})",
        "({date} - INTERVAL '1' MONTH <= DATE '2024-01-29')", "({int} > {dec})",
    ],
    "date": [
        "({date} + 1)", "({date} - 40)", "coalesce({date}, {date})",
        "CAST({date} + INTERVAL '1' MONTH AS DATE)", "CAST({date} - INTERVAL '1 year' AS DATE)",
    ],
    "dec": [
        "({dec} + {dec})", "({dec} - 1)", "({dec} * 2)", "round({dec}, 1)", "CAST({dec} AS DECIMAL(6,1))",
        "CAST({int} AS DECIMAL(9,2))", "abs({dec})",
    ],
}  # fmt: skip
OWN = {
    "duckdb": {
        "double": ["({int} / 4)", "({dec} / 8)", "round({double})", "avg({dec}) OVER ()"],
        "int": ["({int} // 3)", "year({date})", "month({date})", "instr({text}, 'a')"],
        "bool": ["ends_with({text}, 'a')", "contains({text}, 'a')", "({text} LIKE 'a\\b')"],
    },
    "postgres": {"int": ["div({int}, 3)", "char_length({text})"], "bool": ["({text} LIKE 'a\\\\b')"]},
}  # fmt: skip
CALLS = (
    ("count(*)", "int"), ("count({text})", "int"), ("sum({int})", "int"), ("min({text})", "text"),
    ("max({date})", "date"), ("avg(CAST({int} AS DOUBLE PRECISION))", "double"), ("sum({dec})", "dec"),
    ("bool_or({bool})", "bool"), ("count(DISTINCT {int})", "int"), ("max({dec})", "dec"),
    ("count(*) FILTER (WHERE {bool})", "int"),
)  # fmt: skip


@dataclass
class DialectQueries:
    """Writes queries of a dialect."""

    dialect: str
    rng: random.Random

    def value(self, kind: str, depth: int = 2) -> str:
        """An expression of a kind."""
        if depth <= 0 or self.rng.random() < 0.25:
            known = COLUMNS[kind] if self.rng.random() < 0.75 else LITERALS[kind]
            return self.rng.choice(known)
        forms = [*COMMON[kind], *OWN[self.dialect].get(kind, [])]
        return self.fill(self.rng.choice(forms), depth - 1)

    def fill(self, form: str, depth: int) -> str:
        """A form with expressions in its braces."""
        for kind in COLUMNS:
            while f"{{{kind}}}" in form:
                form = form.replace(f"{{{kind}}}", self.value(kind, depth), 1)
        return form

    def query(self) -> str:
        """A query whose rows stand in one order."""
        kinds = [self.rng.choice(tuple(COLUMNS)) for _ in range(3)]
        items = [f"{self.value(kind)} AS c{i}" for i, kind in enumerate(kinds)]
        where = f" WHERE {self.value('bool')}" if self.rng.random() < 0.5 else ""
        if self.rng.random() < 0.35:
            call, _ = self.rng.choice(CALLS)
            text = (
                f"SELECT s AS c0, b AS c1, {self.fill(call, 1)} AS c2 FROM p.t{where} GROUP BY s, b"
            )
        else:
            text = f"SELECT {', '.join(items)} FROM p.t{where}"
        ways = ["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]
        keys = ", ".join(f"c{i}{self.rng.choice(ways)}" for i in range(3))
        limit = self.rng.choice(["", " LIMIT 3", " LIMIT 2 OFFSET 1"])
        return f"{text} ORDER BY {keys}{limit}"
