"""What the random plans of tests/property would find only by luck."""

import math
import random
from decimal import Decimal

import pytest
from tests.support.plans import LIMITS, Job, Source, schema

from mc2.engine.limits import EngineLimits
from mc2.errors import EngineError, UsageError
from mc2.plan.expressions import Cast, ColumnRef, call, literal
from mc2.plan.relations import (
    JOIN_KINDS,
    Aggregate,
    AggregateColumn,
    Distinct,
    Filter,
    Join,
    Limit,
    Mark,
    NamedExpression,
    Project,
    Sort,
    SortKey,
    Union,
)
from mc2.plan.types import DATE, INT64

ONE = EngineLimits(memory_bytes=LIMITS.memory_bytes, threads=1)


def divides(column):
    """A predicate that fails where the column is zero."""
    return call(
        "gt", call("integer_divide", literal(10, INT64), ColumnRef(column)), literal(1, INT64)
    )


def named(**columns):
    return tuple(NamedExpression(n, e) for n, e in columns.items())


@pytest.fixture
def job():
    """t has a zero in b that no row of k matches."""
    t = Source(schema(a="int64", b="int64"), [(i, i % 10) for i in range(100)])
    k = Source(schema(b2="int64"), [(i,) for i in range(1, 10)])
    return Job(t=t, k=k)


# A sound plan must not fail on rows that another part of it drops, wherever DuckDB moves what.


def equal():
    return call("eq", ColumnRef("b"), ColumnRef("b2"))


def test_a_failing_filter_stays_above_a_join(job):
    joined = job.add(Join(job.scan("t"), job.scan("k"), "inner", equal()))
    assert len(job.rows(job.add(Filter(joined, divides("b"))))) == 50


def test_a_failing_filter_stays_above_a_semi_join(job):
    joined = job.add(Join(job.scan("t"), job.scan("k"), "semi", equal()))
    assert len(job.rows(job.add(Filter(joined, divides("b"))))) == 50


def test_a_failing_filter_stays_above_a_filter(job):
    first = job.add(
        Filter(
            job.scan("t"),
            call("ne", call("multiply", ColumnRef("b"), ColumnRef("b")), literal(0, INT64)),
        )
    )
    assert len(job.rows(job.add(Filter(first, divides("b"))))) == 50


@pytest.mark.parametrize("between", ["none", "sort", "distinct", "union", "aggregate", "project"])
def test_a_failing_column_is_tested_above_the_join(job, between):
    joined = job.add(Join(job.scan("t"), job.scan("k"), "inner", equal()))
    quotient = call("integer_divide", literal(10, INT64), ColumnRef("b"))
    node = job.add(Project(joined, named(d=quotient, a=ColumnRef("a"))))
    node = {
        "none": lambda: node,
        "sort": lambda: job.add(Sort(node, (SortKey(ColumnRef("a"), False, False),))),
        "distinct": lambda: job.add(Distinct(node)),
        "union": lambda: job.add(
            Union(
                (node, job.add(Project(job.scan("t"), named(d=ColumnRef("a"), a=ColumnRef("b")))))
            )
        ),
        "aggregate": lambda: job.add(Aggregate(node, ("d", "a"), ())),
        "project": lambda: job.add(Project(node, named(a=ColumnRef("a"), d=ColumnRef("d")))),
    }[between]()
    found = job.rows(job.add(Filter(node, call("eq", ColumnRef("d"), literal(10, INT64)))))
    assert len(found) == 10 + (between == "union")


@pytest.mark.parametrize("how", [k for k in JOIN_KINDS if k not in {"cross", "single"}])
def test_a_failing_join_condition_sees_matching_pairs_only(job, how):
    on = call("and", equal(), divides("b"))
    expected = {"inner": 50, "left": 100, "right": 54, "full": 104, "semi": 50, "anti": 50}[how]
    assert len(job.rows(job.add(Join(job.scan("t"), job.scan("k"), how, on)))) == expected
    swapped = {"inner": 50, "left": 54, "right": 100, "full": 104, "semi": 5, "anti": 4}[how]
    assert len(job.rows(job.add(Join(job.scan("k"), job.scan("t"), how, on)))) == swapped


def test_a_failing_condition_of_a_look_up_sees_matching_pairs_only(job):
    on = call("and", equal(), divides("b"))
    assert len(job.rows(job.add(Join(job.scan("t"), job.scan("k"), "single", on)))) == 100
    marked = job.rows(job.add(Mark(job.scan("t"), job.scan("k"), "m", on)))
    assert sum(row[-1] is True for row in marked) == 50
    with pytest.raises(EngineError, match="several"):
        job.rows(job.add(Join(job.scan("k"), job.scan("t"), "single", on)))


def test_a_failing_condition_without_an_equality(job):
    on = call("and", call("lt", ColumnRef("b2"), ColumnRef("b")), divides("b"))
    assert len(job.rows(job.add(Join(job.scan("t"), job.scan("k"), "inner", on)))) == 100


@pytest.mark.parametrize(
    ("how", "count"), [("inner", 0), ("left", 100), ("semi", 0), ("anti", 100)]
)
def test_a_failing_condition_on_one_side_sees_pairs_only(how, count):
    """There is no pair to test, so no row of t fails."""
    t = Source(schema(a="int64", b="int64"), [(i, i % 10) for i in range(100)])
    job = Job(t=t, k=Source(schema(b2="int64"), []))
    node = job.add(Join(job.scan("t"), job.scan("k"), how, divides("b")))
    assert len(job.rows(node)) == count


def test_the_order_of_conjuncts_guards(job):
    guarded = call(
        "and",
        call("ne", call("multiply", ColumnRef("b"), ColumnRef("b")), literal(0, INT64)),
        divides("b"),
    )
    assert len(job.rows(job.add(Filter(job.scan("t"), guarded)))) == 50
    with pytest.raises(EngineError, match="zero"):
        job.rows(job.add(Filter(job.scan("t"), divides("b"))))


def test_constants_that_fail_over_no_rows():
    job = Job(t=Source(schema(a="int64"), []))
    bad = call("integer_divide", literal(1, INT64), literal(0, INT64))
    assert job.rows(job.add(Project(job.scan("t"), named(x=bad)))) == []
    assert job.rows(job.add(Filter(job.scan("t"), call("eq", bad, bad)))) == []


# Aggregates over floats are exact, so neither order nor threads show.


@pytest.mark.parametrize("limits", [LIMITS, ONE], ids=["two threads", "one thread"])
def test_sums_of_floats_are_exact(limits):
    numbers = [1e16, 1.0, -1e16, 1e-9] * 999
    random.Random(7).shuffle(numbers)
    job = Job(t=Source(schema(x="double"), [(x,) for x in numbers], batch=100))
    columns = tuple(
        AggregateColumn(n, n, (ColumnRef("x"),)) for n in ("sum", "avg", "var_pop", "stddev_samp")
    )
    ((total, mean, variance, deviation),) = job.rows(
        job.add(Aggregate(job.scan("t"), (), columns)), limits=limits
    )
    assert total == math.fsum(numbers) == 999.000000999
    assert mean == total / len(numbers)
    assert variance == pytest.approx(5e31, rel=1e-12)
    assert deviation == pytest.approx(math.sqrt(5e31), rel=1e-3)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([], None),
        ([None, None], None),
        ([math.inf, 1.0], math.inf),
        ([math.inf, -math.inf], math.nan),
        ([math.nan, 1.0], math.nan),
        ([1.7e308, 1.7e308], math.inf),
        ([1.7e308, 1.7e308, -1.7e308], 1.7e308),
        ([-0.0], -0.0),
    ],
)
def test_sums_at_the_edges(numbers, expected):
    job = Job(t=Source(schema(x="double"), [(x,) for x in numbers]))
    node = job.add(Aggregate(job.scan("t"), (), (AggregateColumn("s", "sum", (ColumnRef("x"),)),)))
    ((found,),) = job.rows(node)
    assert found == expected or (math.isnan(found) and math.isnan(expected))


def aggregate(kind, values, function, **options):
    job = Job(t=Source(schema(x=kind), [(v,) for v in values]))
    column = AggregateColumn("y", function, (ColumnRef("x"),), **options)
    ((found,),) = job.rows(job.add(Aggregate(job.scan("t"), (), (column,))))
    return found


def test_sums_of_integers_fail_beyond_64_bits():
    assert aggregate("int64", [2**62, 2**62, -(2**62)], "sum") == 2**62
    with pytest.raises(EngineError):
        aggregate("int64", [2**62, 2**62], "sum")
    assert aggregate("int64", [2**62, 2**62], "avg") == 2.0**62
    assert aggregate("int64", [-(2**63), -(2**63) + 1], "avg") == -(2.0**63)


def test_decimal_means_are_rounded_half_up():
    third = [Decimal("0.01"), Decimal("0.01"), Decimal("0.03")]
    assert aggregate("decimal(5,2)", third, "avg") == Decimal("0.016667")
    assert aggregate("decimal(5,2)", [-x for x in third], "avg") == Decimal("-0.016667")
    assert aggregate("decimal(38,2)", third, "avg") == Decimal("0.016667")
    assert aggregate("decimal(38,38)", [Decimal("0.1"), Decimal("0.2")], "avg") == Decimal("0.15")
    with pytest.raises(EngineError):
        aggregate("decimal(38,0)", [Decimal(10**38 - 1)] * 2, "sum")


def test_distinct_aggregates():
    assert aggregate("double", [0.0, -0.0, 2.0, 2.0, None], "sum", distinct=True) == 2.0
    assert aggregate("double", [math.nan, math.nan, 0.0, -0.0], "count", distinct=True) == 2
    assert aggregate(
        "decimal(5,2)", [Decimal(1), Decimal(1), Decimal(4)], "avg", distinct=True
    ) == Decimal("2.5")


def test_signed_zeros_group_together():
    job = Job(t=Source(schema(x="double", y="float"), [(-0.0, -0.0), (0.0, 0.0)]))
    for operation in (Aggregate(0, ("x", "y"), ()), Distinct(0)):
        job.scan("t")
        (found,) = job.rows(job.add(operation))
        assert [math.copysign(1, v) for v in found] == [1, 1]


# Order.


@pytest.mark.parametrize("limits", [LIMITS, ONE], ids=["two threads", "one thread"])
def test_the_order_of_inputs_is_kept(limits):
    rows = [(i * 7919 % 100_003,) for i in range(100_003)]
    job = Job(t=Source(schema(x="int64"), rows, batch=5000))
    node = job.add(Filter(job.scan("t"), call("ge", ColumnRef("x"), literal(50_000, INT64))))
    node = job.add(Project(node, named(y=call("add", ColumnRef("x"), literal(1, INT64)))))
    assert job.rows(node, limits=limits) == [(x + 1,) for (x,) in rows if x >= 50_000]


def test_a_sort_is_kept_through_what_follows():
    rows = [(i * 7919 % 10_007, i) for i in range(10_007)]
    job = Job(t=Source(schema(x="int64", y="int64"), rows))
    node = job.add(Sort(job.scan("t"), (SortKey(ColumnRef("x"), True, False),)))
    node = job.add(Project(node, named(y=ColumnRef("y"), x=ColumnRef("x"))))
    node = job.add(Filter(node, call("gt", ColumnRef("x"), literal(100, INT64))))
    node = job.add(Union((node, node)))
    half = [(y, x) for x, y in sorted(rows, reverse=True) if x > 100]
    assert job.rows(node) == half + half


def test_rows_without_order_are_sorted_where_it_shows():
    job = Job(t=Source(schema(x="int64", y="string"), [(i % 50, str(i % 7)) for i in range(1000)]))
    groups = job.add(Aggregate(job.scan("t"), ("y", "x"), ()))
    expected = sorted({(str(i % 7), i % 50) for i in range(1000)})
    assert job.rows(groups) == expected
    assert job.rows(job.add(Limit(groups, 5, 3))) == expected[3:8]
    assert job.rows(job.add(Distinct(groups))) == expected


# The rest.


def test_every_type_passes_through():
    from datetime import UTC, date, datetime

    kinds = schema(
        a="boolean", b="int8", c="int16", d="int32", e="int64", f="float", g="double",
        h="decimal(38,10)", i="string", j="binary", k="date", l="timestamp", m="timestamp_utc",
        n="list<int32>", o="struct<x:int8,y:list<timestamp_utc>>", p="decimal(4,2)", q="string!",
    )  # fmt: skip
    moment = datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=UTC)
    full = (
        True, -128, -5, 2**31 - 1, -(2**63), 0.5, 1e300, Decimal("1.0000000001"), "a'\x00é", b"\x00\xff",
        date(1, 1, 1), moment.replace(tzinfo=None), moment, [1, None], {"x": 1, "y": [moment]},
        Decimal("-99.99"), "",
    )  # fmt: skip
    empty = (*(None,) * 16, "")
    job = Job(t=Source(kinds, [full, empty]), u=Source(schema(z="int64"), [(1,)]))
    scan = job.scan("t")
    assert job.rows(scan) == [full, empty]
    crossed = job.add(Join(scan, job.scan("u"), "cross", None))
    assert job.rows(job.add(Project(crossed, named(**{n: ColumnRef(n) for n in kinds.names})))) == [
        empty,
        full,
    ]


def test_names_are_never_sql():
    names = ('"; DROP TABLE s0; --', "c0", "select", "l.c1", "ünïcode", "'")
    kinds = schema(**dict.fromkeys(names, "int64"))
    job = Job(t=Source(kinds, [tuple(range(6))]))
    scan = job.scan("t", *reversed(names))
    assert job.rows(scan) == [(5, 4, 3, 2, 1, 0)]
    output = job.run(
        out=job.add(
            Aggregate(scan, (names[0],), (AggregateColumn("from", "sum", (ColumnRef("c0"),)),))
        )
    )
    assert output["out"].table.column_names == [names[0], "from"]


def test_text_is_never_sql():
    evil = "x'; DROP TABLE s0; --"
    job = Job(t=Source(schema(s="string"), [(evil,), ("x",)]))
    node = job.add(
        Filter(
            job.scan("t"),
            call("eq", ColumnRef("s"), literal(evil, job.inputs[0].schema.columns[0].type)),
        )
    )
    assert job.rows(node) == [(evil,)]


def test_long_chains_and_wide_unions():
    job = Job(t=Source(schema(x="int64"), [(1,)]))
    node = job.scan("t")
    for _ in range(200):
        node = job.add(Project(node, named(x=call("add", ColumnRef("x"), literal(1, INT64)))))
    assert job.rows(node) == [(201,)]
    assert len(job.rows(job.add(Union((node,) * 500)))) == 500


def test_a_shared_node_is_computed_once():
    source = Source(schema(x="int64"), [(i,) for i in range(10)])
    job = Job(t=source)
    told = []
    shared = job.add(Filter(job.scan("t"), call("gt", ColumnRef("x"), literal(3, INT64))))
    left = job.add(Project(shared, named(a=ColumnRef("x"))))
    right = job.add(Project(shared, named(b=ColumnRef("x"))))
    joined = job.add(Join(left, right, "inner", call("eq", ColumnRef("a"), ColumnRef("b"))))
    found = job.run(progress=told.append, joined=joined, shared=shared)
    assert found["joined"].table.num_rows == found["shared"].table.num_rows == 6
    assert source.reads == 1
    assert told == ["node 1: filter", "computing joined", "computing shared"]


def test_an_input_that_is_read_twice_is_opened_once():
    source = Source(schema(x="int64", y="int64"), [(1, 2)])
    job = Job(t=source)
    node = job.add(Join(job.scan("t", "x"), job.scan("t", "y"), "cross", None))
    told = []
    job.run(out=node, progress=told.append)
    assert source.reads == 1
    assert told[0] == "reading a.t"


def test_limits_must_make_sense():
    for bad in ({"threads": 0}, {"memory_bytes": 1000}):
        with pytest.raises(UsageError):
            EngineLimits(**bad)


def test_text_casts_to_dates_in_a_filter():
    job = Job(t=Source(schema(s="string"), [("2024-01-01",), ("2025-01-01",)]))
    later = call(
        "gt",
        Cast(ColumnRef("s"), DATE),
        Cast(literal("2024-06-01", job.inputs[0].schema.columns[0].type), DATE),
    )
    assert job.rows(job.add(Filter(job.scan("t"), later))) == [("2025-01-01",)]
