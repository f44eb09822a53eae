"""Aggregates below joins: the answers and failures of the plan as it is written."""

from contextlib import contextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.differential import rows_of
from tests.support.oblivious import facts_of, opened, padded, run_obliviously
from tests.support.oblivious_plans import obliviously, other_rows
from tests.support.oblivious_stages import ObliviousStages
from tests.support.plans import LIMITS, Job, Source, schema

from mc2.engine.oblivious.run import execute as execute_obliviously
from mc2.engine.run import execute
from mc2.errors import EngineError
from mc2.operators.run import Run
from mc2.plan import oblivious_eager
from mc2.plan.check import check_meaning, check_plan
from mc2.plan.expressions import ColumnRef, Literal, call
from mc2.plan.oblivious_draft import Draft
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Filter,
    Join,
    NamedExpression,
    PairBound,
    Project,
    RowBound,
)
from mc2.plan.types import BOOLEAN, INT64

T = schema(k="int64", g="int32", x="decimal(15,2)", n="int64!", b="boolean", z="string")
U = schema(m="int64", h="int32", y="int64", d="double", w="string")
WAYS = [(False, True), (True, False), (True, True)]
KEYS = st.sampled_from([None, 1, 1, 2])
SMALL = st.one_of(st.none(), st.integers(-9, 9))
MONEY = st.one_of(st.none(), st.decimals("-9999999999999.99", "9999999999999.99", places=2))
LEFT = st.tuples(
    KEYS, SMALL, MONEY, st.integers(-9, 9), st.sampled_from([None, True, False]),
    st.sampled_from([None, "a", "bc"]),
)  # fmt: skip
RIGHT = st.tuples(
    KEYS, SMALL, st.one_of(st.none(), st.integers(-(2**62), 2**62)),
    st.sampled_from([None, 1.5, 0.0, float("nan")]), st.sampled_from([None, "", "q"]),
)  # fmt: skip


def aggregate(name, function, *arguments, distinct=False, where=None):
    columns = tuple(ColumnRef(a) if isinstance(a, str) else a for a in arguments)
    return AggregateColumn(name, function, columns, distinct, where)


POSITIVE = call("gt", ColumnRef("n"), Literal("0", INT64))
ALL = (
    aggregate("pairs", "count_star"),
    aggregate("some", "count_star", where=call("is_not_null", ColumnRef("h"))),
    aggregate("count_y", "count", "y"),
    aggregate("count_x", "count", "x", where=POSITIVE),
    aggregate("kinds", "count", "z", distinct=True),
    aggregate("sum_x", "sum", "x"),
    aggregate("sum_n", "sum", "n"),
    aggregate("square", "sum", call("multiply", ColumnRef("n"), ColumnRef("n")), where=POSITIVE),
    aggregate("mean_x", "avg", "x"),
    aggregate("mean_n", "avg", "n"),
    aggregate("greatest", "max", "d"),
    aggregate("least", "min", "w"),
    aggregate("every", "bool_and", "b"),
)


def job(left, right):
    return Job(t=Source(T, left, bound=0), u=Source(U, right, bound=0))


@contextmanager
def forced(way):
    """One way to group, whatever it costs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(oblivious_eager, "_CHOICES", (way,))
        patched.setattr(Draft, "cost", lambda _, index: (0, -index))
        yield


def joined(made, how="inner", *more):
    on = call("eq", ColumnRef("k"), ColumnRef("m"))
    on = call("and", on, *more) if more else on
    return made.add(Join(made.scan("t"), made.scan("u"), how, None if how == "cross" else on))


def grouped(plan, made, way):
    """The plan with aggregates below its joins, and its padded inputs."""
    checked, sources = obliviously(plan, made)
    with forced(way):
        found = oblivious_eager.aggregate_early(checked.plan)
    assert found is not None
    return check_meaning(found), sources


def outcome(run):
    """The rows that something gives; None if it fails."""
    try:
        return rows_of(run())
    except EngineError:
        return None


def agree(plan, made, way):
    """Both modes give the same; the rows."""
    checked, sources = grouped(plan, made, way)
    encrypted = check_plan(plan)
    fast = outcome(lambda: execute(encrypted, made.sources, LIMITS, lambda _: None)["out"].table)
    slow = outcome(lambda: run_obliviously(checked, sources)[0]["out"])
    assert slow == fast
    return fast


@pytest.mark.parametrize("how", ["inner", "left", "right", "full", "cross"])
@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=3)
@given(data=st.data())
def test_both_modes_agree(how, way, data):
    left, right = (data.draw(st.lists(side, max_size=6)) for side in (LEFT, RIGHT))
    made = job(left, right)
    keys = data.draw(st.sampled_from([(), ("g",), ("g", "h"), ("k",), ("w",)]))
    some = data.draw(st.lists(st.sampled_from(ALL), min_size=1, unique=True))
    pairs = joined(made, how)
    agree(made.plan(out=made.add(Aggregate(pairs, keys, tuple(some)))), made, way)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=4)
@given(left=st.lists(LEFT, max_size=6), right=st.lists(RIGHT, max_size=6))
def test_what_stands_between_join_and_aggregate_stays(way, left, right):
    made = job(left, right)
    both = call("lt", ColumnRef("g"), ColumnRef("h"))
    pairs = joined(made, "inner", call("or", both, call("is_null", ColumnRef("h"))))
    known = made.add(Filter(pairs, call("coalesce", POSITIVE, Literal("false", BOOLEAN))))
    names = {"kind": call("coalesce", ColumnRef("z"), ColumnRef("w")), "n": ColumnRef("y")}
    columns = tuple(NamedExpression(n, e) for n, e in (*names.items(), ("y", ColumnRef("n"))))
    named = made.add(Project(known, columns))
    wanted = aggregate("s", "sum", "y"), aggregate("c", "count", "n"), aggregate("a", "avg", "n")
    agree(made.plan(out=made.add(Aggregate(named, ("kind",), wanted))), made, way)


@pytest.mark.parametrize("way", WAYS)
def test_sums_that_do_not_fit_fail_and_others_do_not(way):
    half = 2**62
    rights = [(1, 0, half, None, None), (1, 0, half, None, None), (1, 0, -half, None, None)]
    lefts = [(1, 1, Decimal(1), 1, None, None)]
    wanted = (aggregate("s", "sum", "y"),)
    for left, right, fits in [
        (lefts, rights, True),
        (lefts * 2, rights[:2] + rights[2:] * 2, True),  # 0 of six pairs, 2^63 on the way
        (lefts, rights[:2], False),
        (lefts * 2, rights, False),
        # What has no partner may be as great as it likes.
        (lefts, [*rights[2:], *[(2, 0, 2**63 - 1, None, None)] * 3], True),
    ]:
        made = job(left, right)
        plan = made.plan(out=made.add(Aggregate(joined(made), ("g",), wanted)))
        assert (agree(plan, made, way) is not None) == fits


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scale", [0, 2, 6])
@settings(max_examples=3)
@given(
    values=st.lists(st.integers(-(10**16) + 1, 10**16 - 1), min_size=1, max_size=4),
    times=st.integers(1, 7),
)
def test_means_of_decimals_are_rounded_once(way, scale, values, times):
    kinds = schema(k="int64", v=f"decimal(16,{scale})"), schema(m="int64", y="int64")
    rows = [(1, Decimal(v).scaleb(-scale)) for v in values]
    made = Job(
        t=Source(kinds[0], rows, bound=0),
        u=Source(kinds[1], [(1, i) for i in range(times)], bound=0),
    )
    pairs = joined(made)
    wanted = aggregate("a", "avg", "v"), aggregate("s", "sum", "v")
    agree(made.plan(out=made.add(Aggregate(pairs, (), wanted))), made, way)
    odd = made.add(Filter(pairs, call("ne", ColumnRef("y"), Literal("1", INT64))))
    agree(made.plan(out=made.add(Aggregate(odd, ("k",), wanted))), made, way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("how", "count"), [("inner", 6), ("left", 8), ("full", 9)])
def test_a_bound_counts_pairs(way, how, count):
    lefts = [(1, g, None, 1, None, None) for g in (1, 1, 2)]
    lefts += [(key, 1, None, 1, None, None) for key in (None, 5)]
    made = job(lefts, [(1, 1, 1, None, None), (1, 2, 2, None, None), (7, 1, 1, None, None)])
    wanted = (aggregate("c", "count_star"), aggregate("m", "max", "y"))
    for most, fits in [(count, True), (count - 1, False)]:
        bound = made.add(RowBound(joined(made, how), most, "none"))
        plan = made.plan(out=made.add(Aggregate(bound, ("g",), wanted)))
        checked, _ = grouped(plan, made, way)
        assert any(isinstance(n.operation, PairBound) for n in checked.plan.nodes)
        assert (agree(plan, made, way) is not None) == fits


@pytest.mark.parametrize("way", WAYS)
def test_more_pairs_than_a_bound_are_told_as_such(way):
    made = job([(1, 1, None, 1, None, None)] * 3, [(1, 1, 1, None, None)] * 3)
    bound = made.add(RowBound(joined(made), 8, "none"))
    plan = made.plan(out=made.add(Aggregate(bound, ("g",), (aggregate("c", "count_star"),))))
    checked, sources = grouped(plan, made, way)
    with pytest.raises(EngineError, match="more rows or bytes than a declared bound"):
        run_obliviously(checked, sources)


def test_several_joins_above_one_another():
    third = schema(p="int64", q="int64")
    rows = [(1, g, None, n, None, "a") for g, n in ((1, 2), (1, 3), (2, 4))]
    made = Job(
        t=Source(T, rows, bound=0),
        u=Source(U, [(1, h, h, None, None) for h in (1, 1, 2)], bound=0),
        v=Source(third, [(1, 5), (1, 6), (2, 7)], bound=0),
    )
    on = call("eq", ColumnRef("y"), ColumnRef("p"))
    pairs = made.add(Join(joined(made), made.scan("v"), "inner", on))
    wanted = (aggregate("c", "count_star"), aggregate("s", "sum", "n"), aggregate("q", "sum", "q"))
    plan = made.plan(out=made.add(Aggregate(pairs, ("g",), wanted)))
    for way in WAYS:
        assert agree(plan, made, way)


@pytest.mark.parametrize("way", WAYS)
def test_other_rows_make_the_same_calls(way):
    made = job([(1, 1, Decimal(2), 1, None, "a")] * 4, [(1, 2, 3, 1.5, "q")] * 4)
    bound = made.add(RowBound(joined(made), 30, "none"))
    checked, sources = grouped(made.plan(out=made.add(Aggregate(bound, ("g",), ALL))), made, way)
    found = []
    for seed in range(3):
        tables = {n: other_rows(t, Random(seed)) for n, t in sources.items()}
        trace = Run(record=True)
        with suppress(EngineError):  # more pairs than the bound
            execute_obliviously(checked, tables, lambda _: None, trace)
        found.append(trace.calls)
    assert found[0]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("most", [None, 27, 26])
def test_tasks_give_what_one_gives(way, most):
    lefts = [(i % 3, i % 2, Decimal(i), i, None, "ab"[i % 2]) for i in range(8)]
    made = job(lefts, [(i % 4, i, i, 1.5, "q") for i in range(13)])
    pairs = joined(made)
    if most is not None:
        pairs = made.add(RowBound(pairs, most, "none"))
    plan = made.plan(out=made.add(Aggregate(pairs, ("g",), ALL)))
    checked, sources = grouped(plan, made, way)
    if most == 26:  # of 27 pairs
        with pytest.raises(EngineError, match="declared bound"):
            ObliviousStages(checked, sources, partitions=2).run()
        return
    found = ObliviousStages(checked, sources, partitions=2).run()["out"]
    assert rows_of(opened(found)) == rows_of(run_obliviously(checked, sources)[0]["out"])


def test_a_plan_that_had_no_room_gives_the_answer():
    rows = [(k, k, Decimal(k), k, None, None) for k in (1, 1, 2, 3)]
    made = job(rows, [(k, k, k, None, None) for k in (1, 1, 2, 4)])
    wanted = (aggregate("c", "count_star"), aggregate("s", "sum", "x"))
    plan = made.plan(out=made.add(Aggregate(joined(made), ("g",), wanted)))
    bounds = {"a.t": 1 << 14, "a.u": (1 << 14) + 1}
    inputs, sources = [], {}
    for source in plan.inputs:
        table = made.sources[source.dataset].table
        facts, bound = facts_of(table), bounds[source.dataset]
        sources[source.dataset] = padded(table, facts, bound, rows_per_chunk=bound)
        inputs.append(replace(source, sizes="padded", facts=facts, row_bound=bound))
    checked = check_plan(replace(plan, mode="oblivious", inputs=tuple(inputs)))
    assert max(f.rows for f in checked.facts) > 1 << 28
    found, _ = run_obliviously(checked, sources)
    assert rows_of(found["out"]) == [(1, 4, Decimal(4)), (2, 1, Decimal(2))]
