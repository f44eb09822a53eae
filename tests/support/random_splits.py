"""Random plans of what tasks compute of their own rows: over tables with facts, larger ones.

`random_plans` has tables of a few rows of which nothing is declared, so nearly all of their groups
are made in one task.
"""

from __future__ import annotations

from random import Random

from mc2.formats.schema import Column, decimal
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Distinct,
    Filter,
    Join,
    Limit,
    Mark,
    NamedExpression,
    Project,
    RowBound,
    Sort,
    SortKey,
    Union,
)
from mc2.plan.types import BOOLEAN, DATE, DOUBLE, INT32, INT64, STRING
from tests.support.expressions import expression
from tests.support.plans import Job, Source, schema
from tests.support.random_plans import cell

_ROWS = schema(k="int32", g="string", x="int64", e="decimal(7,2)", c="double", w="date")
_KEYED = schema(j="int32!", h="string", y="int64")
_SUMMED = {"int32", "int64", "decimal", "double"}
_SPREADS = ("stddev_samp", "var_pop")
FACTS = {
    "a.t": {"ranges": {"k": (0, 7)}, "domains": {"g": ("", "B", "a", "ab", "b")}},
    "a.u": {"unique": (("j",),), "ranges": {"j": (0, 7)}, "domains": {"h": ("a", "b")}},
}
"""What is declared of the tables of `random_split`, and true of them."""


def random_split(random: Random) -> tuple[Job, list[int]]:
    """A job over a table of many rows and one with a unique key, and what to put out of it."""
    many = random.choice((0, 5, 30, 60, 60))
    rows = [tuple(cell(random, c) for c in _ROWS.columns) for _ in range(many)]
    keyed = [
        (j, random.choice(("a", "b", None)), random.randrange(9))
        for j in random.sample(range(8), random.randint(0, 8))
    ]
    job = Job(t=Source(_ROWS, rows, bound=0), u=Source(_KEYED, keyed, bound=0))
    maker = _Maker(random, job)
    node = job.scan("t")
    for _ in range(random.randint(0, 2)):
        node = random.choice((maker.filter, maker.project, maker.join, maker.union))(node)
    made = []
    for _ in range(random.randint(1, 2)):
        found = random.choice((maker.group, maker.group, maker.distinct, maker.first, maker.bound))(
            node
        )
        made.append(random.choice((maker.filter, maker.group, maker.ordered, lambda n: n))(found))
    return job, made


class _Maker:
    def __init__(self, random: Random, job: Job) -> None:
        self.random = random
        self.job = job
        self.fresh = 0

    def name(self) -> str:
        self.fresh += 1
        return f"n{self.fresh}"

    def columns(self, node: int) -> tuple[Column, ...]:
        return self.job.builder.schema(node).columns

    def some(self, node: int, most: int) -> tuple[str, ...]:
        names = [c.name for c in self.columns(node)]
        return tuple(self.random.sample(names, self.random.randint(1, min(most, len(names)))))

    # --- what stays in the task

    def filter(self, node: int) -> int:
        where = expression(self.random, self.columns(node), BOOLEAN, 1)
        return self.job.add(Filter(node, where))

    def project(self, node: int) -> int:
        """The same columns, and one more."""
        same = [NamedExpression(c.name, ColumnRef(c.name)) for c in self.columns(node)]
        kind = self.random.choice((INT64, INT32, STRING, DATE, DOUBLE))
        more = NamedExpression(self.name(), expression(self.random, self.columns(node), kind, 1))
        return self.job.add(Project(node, (*same, more)))

    def join(self, node: int) -> int:
        """With the table of the unique key, in any way but those of other tests."""
        other = self.columns(self.job.scan("u"))
        renamed = tuple(NamedExpression(self.name(), ColumnRef(c.name)) for c in other)
        right = self.job.add(Project(self.job.scan("u"), renamed))
        on = call("eq", ColumnRef(self.columns(node)[0].name), ColumnRef(renamed[0].name))
        if self.random.random() < 0.15:
            return self.job.add(Mark(node, right, self.name(), on))
        how = self.random.choice(("inner", "inner", "left", "semi", "anti", "right", "full"))
        return self.job.add(Join(node, right, how, on))

    def union(self, node: int) -> int:
        return self.job.add(Union((node, self.filter(node))))

    # --- what tasks compute of their own rows first

    def group(self, node: int) -> int:
        fit = [c.name for c in self.columns(node) if c.name in {"k", "g"}]
        keys = tuple(n for n in fit if self.random.random() < 0.4)
        if self.random.random() < 0.1:
            keys = self.some(node, 2)
        made = tuple(self.aggregate(node) for _ in range(self.random.randint(1, 4)))
        return self.job.add(Aggregate(node, keys, made))

    def aggregate(self, node: int) -> AggregateColumn:
        columns = self.columns(node)
        added = [c for c in columns if c.type.name in _SUMMED and self._may_be_added(c)]
        names = ["count_star", "count", "min", "max", "bool_or", *(["sum", "avg"] * bool(added))]
        function = self.random.choice(names)
        where = None
        if self.random.random() < 0.3:
            where = expression(self.random, columns, BOOLEAN, 1)
        if function == "count_star":
            return AggregateColumn(self.name(), function, (), where=where)
        if function == "bool_or":
            item = expression(self.random, columns, BOOLEAN, 1)
            return AggregateColumn(self.name(), function, (item,), where=where)
        reals = [c for c in added if c.type == DOUBLE]
        if function == "avg" and reals and self.random.random() < 0.5:
            function, added = self.random.choice(_SPREADS), reals
        value = self.random.choice(added if function in {"sum", "avg", *_SPREADS} else columns)
        distinct = self.random.random() < 0.2
        return AggregateColumn(
            self.name(), function, (ColumnRef(value.name),), distinct=distinct, where=where
        )

    @staticmethod
    def _may_be_added(column: Column) -> bool:
        return column.type.name != "decimal" or column.type == decimal(7, 2)

    def distinct(self, node: int) -> int:
        fit = [c.name for c in self.columns(node) if c.name in {"k", "g"}]
        names = self.random.choice((fit, fit[:1], fit[1:])) or self.some(node, 1)
        made = tuple(NamedExpression(n, ColumnRef(n)) for n in names)
        return self.job.add(Distinct(self.job.add(Project(node, made))))

    def ordered(self, node: int) -> int:
        keys = tuple(
            SortKey(ColumnRef(n), self.random.random() < 0.5, self.random.random() < 0.5)
            for n in self.some(node, 2)
        )
        return self.job.add(Sort(node, keys))

    def first(self, node: int) -> int:
        node = self.ordered(node) if self.random.random() < 0.8 else node
        return self.job.add(
            Limit(node, self.random.choice((0, 1, 5, 20)), self.random.choice((0, 3)))
        )

    def bound(self, node: int) -> int:
        kept = self.job.add(
            Filter(node, call("gt", ColumnRef("x"), literal(self.random.choice((0, 2)), INT64)))
        )
        return self.job.add(RowBound(kept, self.random.choice((5, 40, 60)), "none"))
