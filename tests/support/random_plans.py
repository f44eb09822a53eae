"""Random relational plans over two small tables full of NULLs and ties."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from mc2.errors import EngineError
from mc2.formats.schema import Column
from mc2.plan.expressions import ColumnRef, Expression, Literal, call, literal
from mc2.plan.relations import (
    JOIN_KINDS,
    Aggregate,
    AggregateColumn,
    Distinct,
    Explode,
    Filter,
    Join,
    Limit,
    Mark,
    NamedExpression,
    Project,
    Sort,
    SortKey,
    Union,
    Values,
)
from mc2.plan.types import (
    BOOLEAN,
    DATE,
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    STRING,
    has_parts,
)
from mc2.plan.windows import (
    RANKINGS,
    SO_FAR,
    WHOLE,
    Bound,
    Frame,
    Window,
    WindowColumn,
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


def random_job(random: Random, *, values: bool = False) -> tuple[Job, list[int]]:
    """A job and the places of some of its relations, to be put out.

    `values`: perhaps with rows of the plan itself, which no stage may be made of alone.
    """
    tables = {}
    for name, columns in zip(("t", "u"), _SCHEMAS, strict=True):
        rows = [
            tuple(cell(random, c) for c in columns.columns) for _ in range(random.randint(0, 8))
        ]
        tables[name] = Source(columns, rows, batch=3, bound=0)
    job = Job(**tables)
    maker = _Maker(random, job, values=values)
    for _ in range(random.randint(1, 7)):
        maker.step()
    count = random.choice((1, 1, 2, 3))
    return job, random.sample(maker.nodes, min(count, len(maker.nodes)))


class _Maker:
    def __init__(self, random: Random, job: Job, *, values: bool) -> None:
        self.random = random
        self.with_values = values
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
        more = (self.values,) if self.with_values else ()
        made = self.random.choice(
            (*more, self.project, self.filter, self.filter, self.join, self.join, self.aggregate,
             self.sort, self.limit, self.union, self.distinct, self.mark, self.window,
             self.window, self.explode)
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
        return self.job.add(Join(left, right, how, self.pairs(a, b)))

    def pairs(self, a: tuple[Column, ...], b: tuple[Column, ...]) -> Expression:
        """A condition over both sides."""
        equal = [(x, y) for x in a for y in b if x.type == y.type and not has_parts(x.type)]
        parts = []
        if equal and self.random.random() < 0.8:
            x, y = self.random.choice(equal)
            word = self.random.choice(("eq", "eq", "same"))
            parts.append(call(word, ColumnRef(x.name), ColumnRef(y.name)))
        if not parts or self.random.random() < 0.4:
            parts.append(self.predicate(a + b))
        self.random.shuffle(parts)
        return parts[0] if len(parts) == 1 else call("and", *parts)

    def mark(self) -> int | None:
        left, right = self.some(), self.renamed(self.some())
        a, b = self.columns(left), self.columns(right)
        if {c.name for c in a} & {c.name for c in b} or len(a) > 12:
            return None
        return self.job.add(Mark(left, right, self.name(), self.pairs(a, b)))

    def window(self) -> int | None:
        source = self.some()
        columns = self.columns(source)
        if len(columns) > 10:
            return None
        fit = [c.name for c in columns if not has_parts(c.type)]
        keys = tuple(n for n in fit if self.random.random() < 0.25)
        order = tuple(
            SortKey(ColumnRef(n), self.random.random() < 0.5, self.random.random() < 0.5)
            for n in self.random.sample(fit, min(len(fit), self.random.choice((0, 1, 1, 2))))
        )
        made = tuple(
            self.window_column(columns, ordered=bool(order))
            for _ in range(self.random.randint(1, 3))
        )
        return self.job.add(Window(source, keys, order, made))

    def window_column(self, columns: tuple[Column, ...], *, ordered: bool) -> WindowColumn:
        value = self.random.choice(columns)
        item, nulls = ColumnRef(value.name), self.random.random() < 0.3
        offset = literal(self.random.choice((0, 1, 2)), INT32)
        form = self.random.randint(0, 4)
        if form == 0 and ordered:
            name = self.random.choice(RANKINGS)
            parts = (literal(self.random.choice((1, 2, 3)), INT32),) if name == "ntile" else ()
            return WindowColumn(self.name(), name, parts)
        if form == 1 and ordered:
            default = Literal(None, value.type) if self.random.random() < 0.5 else item
            name = self.random.choice(("lag", "lead"))
            nulls = nulls and offset.text != "0"
            return WindowColumn(self.name(), name, (item, offset, default), ignore_nulls=nulls)
        frame = self.frame(ordered=ordered)
        if form == 2:
            name = self.random.choice(("first_value", "last_value", "nth_value"))
            more = (literal(self.random.choice((1, 2)), INT32),) if name == "nth_value" else ()
            return WindowColumn(self.name(), name, (item, *more), frame, ignore_nulls=nulls)
        found = self.column(columns)
        return WindowColumn(self.name(), found.function, found.arguments, frame, where=found.where)

    def frame(self, *, ordered: bool) -> Frame:
        if self.random.random() < 0.4:
            return self.random.choice((WHOLE, SO_FAR)) if ordered else WHOLE

        def bound(sides: tuple[str, ...]) -> Bound:
            at = self.random.choice(sides)
            counted = at in {"preceding", "following"}
            return Bound(at, literal(self.random.choice((0, 1, 2)), INT32) if counted else None)

        start = bound(("unbounded_preceding", "preceding", "current_row"))
        end = bound(("current_row", "following", "unbounded_following"))
        whole = (start.at, end.at) == ("unbounded_preceding", "unbounded_following")
        return WHOLE if whole else Frame("rows", start, end)

    def explode(self) -> int | None:
        source = self.some()
        columns = self.columns(source)
        kind = self.random.choice(columns).type
        fit = [ColumnRef(c.name) for c in columns if c.type == kind]
        if len(columns) > 12:
            return None
        listed = call("list", *self.random.choices(fit, k=self.random.randint(1, 2)))
        place = self.name() if self.random.random() < 0.5 else None
        outer = self.random.random() < 0.3
        return self.job.add(Explode(source, listed, self.name(), place, outer))

    def values(self) -> int | None:
        """Rows of the plan itself beside others: alone they would be a plan without inputs."""
        source = self.some()
        if len(self.columns(source)) > 12:
            return None
        texts = [Literal(None, STRING), literal("a", STRING), literal("zz", STRING)]
        numbers = [literal(i, INT64) for i in (0, 1, 3)]
        rows = tuple(
            (self.random.choice(texts), self.random.choice(numbers))
            for _ in range(self.random.randint(1, 3))
        )
        values = self.job.add(Values((self.name(), self.name()), rows))
        return self.job.add(Join(source, values, "cross", None))

    def aggregate(self) -> int:
        source = self.some()
        columns = self.columns(source)
        keys = [c.name for c in columns if not has_parts(c.type) and self.random.random() < 0.35]
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


def failures(job: Job, nodes: Sequence[int]) -> set[str]:
    """How nodes that outputs need fail if each is looked at alone: nothing else decides then."""
    waiting = list(nodes)
    places: set[int] = set()
    found: set[str] = set()
    while waiting:
        place = waiting.pop()
        if place not in places:
            places.add(place)
            waiting += job.builder.operation(place).sources
    for place in sorted(p for p in places if job.builder.inputs_of(p)):
        try:
            job.run(alone=place)
        except EngineError as error:
            found.add(str(error))
    return found
