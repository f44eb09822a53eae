"""Which parts an aggregate has, and which aggregates have none."""

from __future__ import annotations

import pytest
from tests.support.plans import schema

from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.oblivious_parts import parts_of, weight
from mc2.plan.relations import Aggregate, AggregateColumn
from mc2.plan.types import INT64

ROWS = schema(k="int64", x="int64", d="double", w="decimal(38,2)", l="list<int64>")
X, D, W, L = (ColumnRef(n) for n in "xdwl")
HERE = call("gt", X, literal(1, INT64))


def column(name, function, *arguments, **more):
    return AggregateColumn(name, function, arguments, **more)


def of(*columns):
    return parts_of(Aggregate(0, ("k",), columns), ROWS)


def test_columns_of_one_argument_and_condition_are_one_part():
    found = of(
        column("a", "count", X, distinct=True),
        column("n", "count_star"),
        column("v", "var_samp", D),
        column("b", "sum", X, distinct=True),
        column("c", "sum", X, distinct=True, where=HERE),
        column("s", "stddev_pop", D),
    )
    assert [(p.kind, [c.name for c in p.columns]) for p in found] == [
        ("plain", ["n"]),
        ("distinct", ["a", "b"]),
        ("spread", ["v", "s"]),
        ("distinct", ["c"]),
    ]


def test_plain_columns_are_the_first_part_even_if_there_are_none():
    found = of(column("a", "count", X, distinct=True))
    assert [(p.kind, len(p.columns)) for p in found] == [("plain", 0), ("distinct", 1)]


@pytest.mark.parametrize(
    "one",
    [
        column("m", "min", D, distinct=True),  # -0 and 0 are equal, and not the same
        column("v", "var_pop", D, distinct=True),
        column("s", "sum", W),
        column("s", "avg", W, distinct=True),
        column("c", "count", L, distinct=True),
        column("b", "bit_and", X),
    ],
)
def test_what_needs_all_rows_has_no_parts(one):
    assert of(one) is None
    assert of(column("n", "count_star"), one) is None


def test_sums_of_doubles_are_wide():
    plain = Aggregate(0, ("k",), (column("s", "sum", X), column("m", "max", D)))
    assert weight(plain, ROWS) == 1
    real = (column("a", "avg", D), column("v", "var_pop", D))
    assert weight(Aggregate(0, ("k",), real), ROWS) == 19
