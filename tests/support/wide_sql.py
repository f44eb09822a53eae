"""Random queries of the kinds that `random_sql` leaves out, over tables with NaN and -0.0.

Grouping sets with several DISTINCT aggregates, FILTER and grouping(); subqueries in HAVING, inside
one another and inside CASE; frames by distance; set operations nested in brackets.
"""

from __future__ import annotations

import random

import pyarrow as pa

from tests.support.random_sql import COLUMNS, Queries, Relation
from tests.support.random_sql import make_tables as plain_tables

_X = list(COLUMNS).index("x")


def make_tables(rng: random.Random) -> dict[str, pa.Table]:
    """The tables of `random_sql`, with NaN and both zeros among their doubles."""
    found = {}
    for name, table in plain_tables(rng).items():
        values = [
            v if v is None else rng.choice([v, v, float("nan"), -0.0, 0.0])
            for v in table.column("x").to_pylist()
        ]
        column = pa.array(values, pa.float64())
        found[name] = table.set_column(_X, table.schema.field("x"), column)
    return found


class WideQueries(Queries):
    """Writes such queries."""

    def key(self, scope: list[Relation]) -> tuple[str, str]:
        """A column to group by, and its kind."""
        columns = [(f"{r.alias}.{c}", k) for r in scope for c, k in r.columns.items()]
        return self.rng.choice(columns)

    def aggregate(self) -> tuple[str, dict[str, str]]:
        text, scope = self.from_clause()
        keys = dict(self.key(scope) for _ in range(self.rng.randint(1, 3)))
        columns, items = {}, []
        for key, kind in keys.items():
            name = self.fresh("g")
            columns[name] = kind
            items.append(f"{key} AS {name}")
        for call, kind in [self.distinct_call(scope) for _ in range(self.rng.randint(1, 3))]:
            name = self.fresh("a")
            columns[name] = kind
            items.append(f"{call} AS {name}")
        group, sets = self.group(list(keys))
        if sets:
            name = self.fresh("s")
            columns[name] = "int64"
            said = ", ".join(self.rng.sample(list(keys), self.rng.randint(1, len(keys))))
            items.append(f"CAST(grouping_id({said}) AS BIGINT) AS {name}")
        having = f" HAVING count(*) > 0 AND {self.having(list(keys))}"
        query = f"SELECT {', '.join(items)} FROM {text}{self.where(scope)}{group}{having}"
        return query + self.order(list(columns)), columns

    def group(self, keys: list[str]) -> tuple[str, bool]:
        """GROUP BY, and whether by several sets of keys."""
        form = self.rng.randint(0, 4)
        if form == 0:
            return f" GROUP BY {', '.join(keys)}", False
        if form in {1, 2}:
            return f" GROUP BY {self.pick('ROLLUP', 'CUBE')} ({', '.join(keys)})", True
        sets = [self.rng.sample(keys, self.rng.randint(0, len(keys))) for _ in range(3)]
        listed = ", ".join(f"({', '.join(s)})" for s in [keys, *sets])
        return f" GROUP BY GROUPING SETS ({listed})", True

    def distinct_call(self, scope: list[Relation]) -> tuple[str, str]:
        """An aggregate, most of them over different values, some with a condition."""
        filtered = f" FILTER (WHERE {self.condition(scope, 1)})" if self.rng.random() < 0.4 else ""
        form = self.rng.randint(0, 3)
        if form == 0:
            kind = self.pick("int32", "string", "date", "double", "decimal", "boolean")
            return f"count(DISTINCT {self.value(kind, scope, 1)}){filtered}", "int64"
        if form == 1:
            value = self.value("int32", scope, 1)
            return f"CAST(sum(DISTINCT {value}){filtered} AS BIGINT)", "int64"
        if form == 2:
            kind = self.pick("double", "string", "date")
            return f"{self.pick('min', 'max')}({self.value(kind, scope, 1)}){filtered}", kind
        return f"count(*){filtered}", "int64"

    def having(self, keys: list[str]) -> str:
        """A condition on groups, perhaps with a subquery, in OR or CASE."""
        plain = self.pick("count(*) > 1", f"{self.rng.choice(keys)} IS NOT NULL", "true")
        if self.depth > 2 or self.rng.random() < 0.5:
            return plain
        text, own, _ = self.inner("int64", [])
        inner = f"(SELECT count(*) FROM {text})"
        found = self.pick(
            f"count(*) {self.pick('>', '<=', '=')} {inner}",
            f"count(*) {self.pick('IN', 'NOT IN')} (SELECT {own.alias}.n FROM {text})",
            f"EXISTS (SELECT 1 FROM {text})",
        )
        if self.rng.random() < 0.5:
            return f"({plain} OR {found})"
        return f"CASE WHEN {found} THEN true ELSE {plain} END"

    def window(self, scope: list[Relation]) -> tuple[str, str]:
        if self.rng.random() < 0.5:
            return super().window(scope)
        keys = [
            (f"{r.alias}.{c}", k)
            for r in scope
            for c, k in r.columns.items()
            if k in {"int32", "int64", "date", "decimal"}
        ]
        if not keys:
            return super().window(scope)
        key, kind = self.rng.choice(keys)
        call, given = self.rng.choice(
            [("count(*)", "int64"), (f"max({key})", kind), (f"min({key})", kind)]
        )
        start = self.pick(f"{self.distance(kind)} PRECEDING", "UNBOUNDED PRECEDING", "CURRENT ROW")
        end = self.pick(f"{self.distance(kind)} FOLLOWING", "UNBOUNDED FOLLOWING", "CURRENT ROW")
        part = f"PARTITION BY {self.key(scope)[0]} " if self.rng.random() < 0.5 else ""
        way = self.pick("", " DESC", " NULLS LAST")
        return f"{call} OVER ({part}ORDER BY {key}{way} RANGE BETWEEN {start} AND {end})", given

    def distance(self, kind: str) -> str:
        return {
            "date": lambda: f"INTERVAL '{self.pick(0, 14, 15, 30)}' DAY",
            "decimal": lambda: self.pick("0.50", "1.25"),
        }.get(kind, lambda: str(self.rng.randint(0, 2)))()

    def union(self) -> tuple[str, dict[str, str]]:
        kinds = [self.pick("int32", "string", "double", "date") for _ in range(self.pick(1, 2))]
        names = [self.fresh("u") for _ in kinds]
        return self.branches(kinds, names, 2) + self.order(names), dict(
            zip(names, kinds, strict=True)
        )

    def branches(self, kinds: list[str], names: list[str], depth: int) -> str:
        """A SELECT, or a set operation of several in brackets."""
        if depth == 0 or (depth < 2 and self.rng.random() < 0.5):
            text, scope = self.from_clause()
            pairs = zip(kinds, names, strict=True)
            items = ", ".join(f"{self.value(k, scope, 1)} AS {n}" for k, n in pairs)
            return f"SELECT {items} FROM {text}{self.where(scope)}"
        word = self.pick("UNION", "INTERSECT", "EXCEPT")
        inner = [self.branches(kinds, names, depth - 1) for _ in range(self.pick(2, 2, 3))]
        return f" {word} {self.pick('ALL ', '')}".join(f"({i})" for i in inner)
