"""Random relational plans over two small tables full of NULLs and ties."""

from __future__ import annotations

from random import Random
from typing import Any

from mc2.formats.schema import Column
from mc2.plan.expressions import ColumnRef, Expression, call
from mc2.plan.relations import (
    JOIN_KINDS,
    Aggregate,
    AggregateColumn,
    Distinct,
    Filter,
    Join,
    Limit,
    NamedExpression,
    Project,
    Sort,
    SortKey,
    Union,
)
from mc2.plan.types import (
    BOOLEAN,
    DATE,
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    STRING,
    is_ordered,
)
from tests.support.expressions import D1, expression
from tests.support.plans import Job, Source, schema

_AGGREGATES = (
    "count_star", "count", "sum", "avg", "min", "max", "stddev_samp", "stddev_pop", "var_samp",
    "var_pop", "bool_and", "bool_or",
)  # fmt: skip
"""Those that the twin knows."""
_KINDS = (INT64, INT32, DOUBLE, FLOAT, D1, STRING, DATE, BOOLEAN)
_SCHEMAS = (
    schema(a="int64", b="int32", c="double", d="string", e="decimal(7,2)", f="date"),
    schema(p="int64", q="double", r="string", s="boolean!", t="float"),
)


def cell(random: Random, column: Column) -> Any:
    """A value from a small domain, so that joins match and groups fill."""
    if column.nullable and random.random() < 0.25:
        return None
    pools: dict[str, tuple[Any, ...]] = {
        "int64": (0, 1, 2, 3, -1, 2**62),
        "int32": (0, 1, 2, 7),
        "double": (0.0, -0.0, 1.5, -2.5, float("nan"), float("inf"), 1e16, 0.1),
        "float": (0.0, -0.0, 1.5, 0.25, float("nan")),
        "string": ("", "a", "b", "B", "ab"),
        "boolean": (True, False),
    }
    if column.type.name == "decimal":
        from decimal import Decimal

        return random.choice((Decimal("0.00"), Decimal("1.25"), Decimal("-99999.99")))
    if column.type.name == "date":
        from datetime import date

        return random.choice((date(2024, 2, 29), date(2024, 3, 1)))
    return random.choice(pools[column.type.name])


def random_job(random: Random) -> tuple[Job, list[int]]:
    """A job and the places of some of its relations, to be put out."""
    tables = {}
    for name, columns in zip(("t", "u"), _SCHEMAS, strict=True):
        rows = [
            tuple(cell(random, c) for c in columns.columns) for _ in range(random.randint(0, 8))
        ]
        tables[name] = Source(columns, rows, batch=3, bound=0)
    job = Job(**tables)
    maker = _Maker(random, job)
    for _ in range(random.randint(1, 7)):
        maker.step()
    count = random.choice((1, 1, 2, 3))
    return job, random.sample(maker.nodes, min(count, len(maker.nodes)))


class _Maker:
    def __init__(self, random: Random, job: Job) -> None:
        self.random = random
        self.job = job
        self.nodes = [job.scan("t"), job.scan("u")]
        self.fresh = 0

    def name(self) -> str:
        self.fresh += 1
        return f"Col {self.fresh}"

    def some(self) -> int:
        late = self.nodes[-3:]
        return self.random.choice(late if self.random.random() < 0.7 else self.nodes)

    def columns(self, node: int) -> tuple[Column, ...]:
        return self.job.builder.schema(node).columns

    def step(self) -> None:
        made = self.random.choice(
            (self.project, self.filter, self.filter, self.join, self.join, self.aggregate,
             self.sort, self.limit, self.union, self.distinct)
        )()  # fmt: skip
        if made is not None and made not in self.nodes:
            self.nodes.append(made)

    def predicate(self, columns: tuple[Column, ...]) -> Expression:
        return expression(self.random, columns, BOOLEAN, self.random.randint(1, 2))

    def project(self) -> int:
        source = self.some()
        columns = self.columns(source)
        made = []
        for _ in range(self.random.randint(1, 5)):
            if self.random.random() < 0.6:
                item: Expression = ColumnRef(self.random.choice(columns).name)
            else:
                item = expression(self.random, columns, self.random.choice(_KINDS), 2)
            made.append(NamedExpression(self.name(), item))
        return self.job.add(Project(source, tuple(made)))

    def filter(self) -> int:
        source = self.some()
        return self.job.add(Filter(source, self.predicate(self.columns(source))))

    def renamed(self, node: int) -> int:
        columns = tuple(NamedExpression(self.name(), ColumnRef(c.name)) for c in self.columns(node))
        return self.job.add(Project(node, columns))

    def join(self) -> int | None:
        left, right = self.some(), self.renamed(self.some())
        names = {c.name for c in self.columns(left)}
        if names & {c.name for c in self.columns(right)}:
            right = self.renamed(right)
        a, b = self.columns(left), self.columns(right)
        if len(a) + len(b) > 14:
            return None
        how = self.random.choice(JOIN_KINDS)
        if how == "cross":
            return self.job.add(Join(left, right, how, None))
        equal = [(x, y) for x in a for y in b if x.type == y.type and is_ordered(x.type)]
        parts = []
        if equal and self.random.random() < 0.8:
            x, y = self.random.choice(equal)
            word = self.random.choice(("eq", "eq", "same"))
            parts.append(call(word, ColumnRef(x.name), ColumnRef(y.name)))
        if not parts or self.random.random() < 0.4:
            parts.append(self.predicate(a + b))
        self.random.shuffle(parts)
        on = parts[0] if len(parts) == 1 else call("and", *parts)
        return self.job.add(Join(left, right, how, on))

    def aggregate(self) -> int:
        source = self.some()
        columns = self.columns(source)
        keys = [c.name for c in columns if is_ordered(c.type) and self.random.random() < 0.35]
        made = tuple(self.column(columns) for _ in range(self.random.randint(0 if keys else 1, 4)))
        return self.job.add(Aggregate(source, tuple(keys), made))

    def column(self, columns: tuple[Column, ...]) -> AggregateColumn:
        name = self.random.choice(_AGGREGATES)
        where = self.predicate(columns) if self.random.random() < 0.25 else None
        if name == "count_star":
            return AggregateColumn(self.name(), name, (), where=where)
        kinds = {
            "bool_and": (BOOLEAN,),
            "bool_or": (BOOLEAN,),
            "sum": (INT64, INT32, DOUBLE, FLOAT, D1),
            "avg": (INT64, INT32, DOUBLE, FLOAT, D1),
        }.get(name, (DOUBLE,) if "_" in name else _KINDS)
        kind = self.random.choice(kinds)
        fitting = [c for c in columns if c.type == kind]
        if fitting and self.random.random() < 0.8:
            item: Expression = ColumnRef(self.random.choice(fitting).name)
        else:
            item = expression(self.random, columns, kind, 1)
        distinct = self.random.random() < 0.25
        return AggregateColumn(self.name(), name, (item,), distinct=distinct, where=where)

    def sort(self) -> int:
        source = self.some()
        columns = self.columns(source)
        keys = tuple(
            SortKey(
                ColumnRef(self.random.choice(columns).name),
                self.random.random() < 0.5,
                self.random.random() < 0.5,
            )
            for _ in range(self.random.randint(1, 2))
        )
        return self.job.add(Sort(source, keys))

    def limit(self) -> int:
        count = self.random.choice((0, 1, 3, 5, None))
        return self.job.add(Limit(self.some(), count, self.random.choice((0, 0, 1, 4))))

    def union(self) -> int:
        first = self.some()
        kinds = [c.type for c in self.columns(first)]
        alike = [n for n in self.nodes if [c.type for c in self.columns(n)] == kinds]
        return self.job.add(
            Union((first, *self.random.choices(alike, k=self.random.randint(1, 2))))
        )

    def distinct(self) -> int:
        return self.job.add(Distinct(self.some()))
