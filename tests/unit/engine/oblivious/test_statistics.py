"""Aggregates that look at a group's rows in order, in oblivious mode: what the other engine gives."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.differential import rows_of
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.plans import Job, Source, schema

from mc2.errors import PlanError
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.relations import Aggregate, AggregateColumn
from mc2.plan.types import DOUBLE, INT64

KINDS = schema(
    g="int64", x="double", y="double", s="string", i="int64", n="decimal(30,4)", b="int8"
)
G, X, Y, S, I64, N, I8 = (ColumnRef(c.name) for c in KINDS.columns)
REALS = st.sampled_from([0.0, 1.0, 1.0, -2.5, 0.1, 1e300, -1e300, 3.0, float("inf"), float("nan")])
VALUES = st.none() | REALS
WIDE = st.none() | st.sampled_from([Decimal("0.0001"), Decimal(-5), Decimal(10**24)])
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(0, 2), VALUES, VALUES, st.none() | st.sampled_from(["a", "b", ""]),
        st.none() | st.integers(-2, 2), WIDE, st.none() | st.sampled_from([-128, 127, 5, -1]),
    ),
    max_size=14,
)  # fmt: skip
SHARES = (0.0, 0.25, 0.5, 0.9, 1.0)
POSITIVE = call("gt", I64, literal(0, INT64))
WANTED = [
    *((f, (a, b)) for f in ("min_by", "max_by") for a, b in ((S, X), (X, S), (N, I64))),
    *(("mode", (a,)) for a in (X, S)),
    *(("percentile", (X, literal(p, DOUBLE))) for p in SHARES[::2]),
    *(("percentile_disc", (a, literal(p, DOUBLE))) for a, p in zip((X, S, N), SHARES, strict=False)),
    *((f, (X, Y)) for f in ("covar_pop", "covar_samp", "corr")),
    *((f, (X,)) for f in ("skewness", "kurtosis")),
    *((f, (a,)) for f in ("bits_and_of", "bits_or_of", "bits_xor_of") for a in (I64, I8)),
    ("count", (X,)), ("sum", (I64,)),
]  # fmt: skip


def compare(rows, keys, where=None):
    made = Job(t=Source(KINDS, rows, bound=0))
    columns = tuple(
        AggregateColumn(f"c{n}", f, arguments, where=where)
        for n, (f, arguments) in enumerate(WANTED)
    )
    node = made.add(Aggregate(made.scan("t"), keys, columns))
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert fast.schema == slow.schema
    assert rows_of(fast) == rows_of(slow)


@settings(max_examples=4)
@given(ROWS)
def test_groups_agree(rows):
    compare(rows, ("g",))


@settings(max_examples=2)
@given(ROWS)
def test_all_rows_agree_where_a_condition_holds(rows):
    compare(rows, (), POSITIVE)


def test_no_rows_and_equal_rows_agree():
    for keys in ((), ("g",)):
        compare([], keys)
        compare([(1, 2.0, 2.0, "a", 1, Decimal(1), -7)] * 5, keys)
        compare(
            [(n % 3, float(n) / 7, float(n * n), "a" * (n % 4), n, None, n) for n in range(20)],
            keys,
        )


def test_statistics_of_distinct_values_are_refused():
    made = Job(t=Source(KINDS, [], bound=0))
    one = AggregateColumn("c", "skewness", (X,), distinct=True)
    node = made.add(Aggregate(made.scan("t"), ("g",), (one,)))
    with pytest.raises(PlanError, match="distinct") as raised:
        obliviously(made.plan(out=node), made)
    assert raised.value.hint
