"""Random joins of small tables by keys: trees, filters, renames, semi and anti joins, groups."""

from __future__ import annotations

from random import Random
from typing import Any

from mc2.plan.expressions import ColumnRef, Expression, call, literal
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Filter,
    Join,
    Limit,
    NamedExpression,
    Project,
    Sort,
    SortKey,
)
from mc2.plan.types import INT64
from tests.support.plans import Job, Source, schema

Made = tuple[Job, int, dict[str, dict[str, Any]]]
"""A job, the node of its output, and what the owner declares of its tables."""


def random_joins(seed: int, tables: int = 4) -> Made:
    """Joins of so many tables at most, some of them of a table with itself."""
    return _Maker(Random(seed)).made(tables)


class _Maker:
    """Makes one job. A table `t` has a key `tk`, numbers `ta` and `tb` with NULLs, and a text."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._declared: dict[str, dict[str, Any]] = {}
        self._copies = 0
        self._job = Job(**{name: self._table(name) for name in "pqrs"})

    def made(self, tables: int) -> Made:
        """Joins, and what is done with the rows."""
        node, names = self._leaf()
        for _ in range(self._random.randint(2, tables - 1)):
            node, names = self._joined(node, names)
            if self._random.random() < 0.3:
                node = self._job.add(Filter(node, self._condition(names)))
            if self._random.random() < 0.3:
                node, names = self._asked(node, names)
            if self._random.random() < 0.2:
                node, names = self._renamed(node, names)
        return self._job, self._ended(node, names), self._declared

    def _table(self, name: str) -> Source:
        random, rows = self._random, self._random.randint(0, 7)
        columns = {f"{name}k": "int64!", f"{name}a": "int64", f"{name}b": "int64"}
        keys = list(range(rows))
        declared: dict[str, Any] = {}
        if random.random() < 0.7:
            declared["unique"] = ((f"{name}k",),)
        else:
            keys = sorted(random.randrange(4) for _ in keys)
        if random.random() < 0.5:
            declared["ascending"] = (f"{name}k",)
        else:
            random.shuffle(keys)
        cells = [[None, 0, 1, 2, 2][random.randrange(5)] for _ in range(2 * rows)]
        texts = [random.choice(("", "x", "yy", None)) for _ in keys]
        if random.random() < 0.5:
            declared["domains"] = {f"{name}t": ("", "x", "yy")}
        self._declared[f"a.{name}"] = declared
        found = zip(keys, cells[:rows], cells[rows:], texts, strict=True)
        return Source(schema(**columns, **{f"{name}t": "string"}), list(found), bound=0)

    def _leaf(self) -> tuple[int, list[str]]:
        """A table, under names of its own, and some of its rows."""
        name = self._random.choice("pqrs")
        node = self._job.scan(name)
        self._copies += 1
        names = [f"{name}{part}{self._copies}" for part in "kabt"]
        pairs = zip(names, [f"{name}{part}" for part in "kabt"], strict=True)
        node = self._job.add(
            Project(node, tuple(NamedExpression(new, ColumnRef(old)) for new, old in pairs))
        )
        if self._random.random() < 0.3:
            node = self._job.add(Filter(node, self._condition(names)))
        return node, names

    def _numbers(self, names: list[str]) -> list[str]:
        return [n for n in names if not n[1:].startswith("t")]

    def _equality(self, names: list[str], others: list[str]) -> Expression:
        pair = [
            ColumnRef(self._random.choice(names)),
            ColumnRef(self._random.choice([others[0], others[0], *others[1:]])),
        ]
        self._random.shuffle(pair)
        return call("eq", *pair)

    def _joined(self, node: int, names: list[str]) -> tuple[int, list[str]]:
        other, more = self._leaf()
        parts = [self._equality(self._numbers(names), more[:3])]
        if self._random.random() < 0.3:
            parts.append(self._equality(self._numbers(names), more[:3]))
        if self._random.random() < 0.2:
            parts.append(call("le", ColumnRef(self._numbers(names)[0]), ColumnRef(more[1])))
        on = parts[0] if len(parts) == 1 else call("and", *parts)
        sides = (node, other) if self._random.random() < 0.5 else (other, node)
        return self._job.add(Join(*sides, "inner", on)), [*names, *more]

    def _asked(self, node: int, names: list[str]) -> tuple[int, list[str]]:
        other, more = self._leaf()
        on = self._equality(self._numbers(names), more[:3])
        if self._random.random() < 0.5:
            differ = call("ne", ColumnRef(self._numbers(names)[1]), ColumnRef(more[1]))
            on = call("and", on, differ)
        how = self._random.choice(("semi", "anti"))
        return self._job.add(Join(node, other, how, on)), names

    def _renamed(self, node: int, names: list[str]) -> tuple[int, list[str]]:
        """Some of the columns, in another order, under other names."""
        kept = self._random.sample(names, self._random.randint(3, len(names)))
        kept += [n for n in self._numbers(names) if n not in kept]
        self._copies += 1
        renamed = {n: f"{n}_{self._copies}" for n in kept}
        columns = tuple(NamedExpression(new, ColumnRef(old)) for old, new in renamed.items())
        return self._job.add(Project(node, columns)), list(renamed.values())

    def _condition(self, names: list[str]) -> Expression:
        column = ColumnRef(self._random.choice(self._numbers(names)))
        other = ColumnRef(self._random.choice(self._numbers(names)))
        value = literal(self._random.randrange(3), INT64)
        return self._random.choice(
            (call("ge", column, value), call("eq", column, value), call("le", column, other))
        )

    def _ended(self, node: int, names: list[str]) -> int:
        """The rows themselves, or groups of them, or the first ones."""
        kind = self._random.randrange(3)
        if kind == 1:
            column = ColumnRef(self._random.choice(self._numbers(names)))
            sums = AggregateColumn("n", "count_star", ()), AggregateColumn("sum", "sum", (column,))
            return self._job.add(Aggregate(node, (self._random.choice(names),), sums))
        if kind == 2:
            order = SortKey(ColumnRef(self._random.choice(names)), False, True)
            return self._job.add(Limit(self._job.add(Sort(node, (order,))), 3))
        return node
