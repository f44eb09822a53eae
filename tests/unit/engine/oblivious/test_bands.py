"""Joins by a band, and bounds right behind joins: both modes give the same."""

import pytest
from tests.support.differential import rows_of
from tests.support.oblivious import run_obliviously
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.plans import Job, Source, schema

from mc2.errors import EngineError
from mc2.plan.bands import Band, End, band_of
from mc2.plan.expressions import ColumnRef, call
from mc2.plan.relations import Join, NamedExpression, Project, RowBound

POINTS = [(1, 5, 0), (1, 7, 1), (2, 5, 2), (None, 6, 3), (1, None, 4), (2, 9, 5)]
RANGES = [(1, 5, 7), (1, 6, 6), (2, 0, 9), (None, 0, 9), (2, 9, 5), (1, None, 7)]


def job():
    return Job(
        t=Source(schema(k="int64", v="int64", n="int64!"), POINTS, bound=0),
        u=Source(schema(j="int64", low="int64", high="int64"), RANGES, bound=0),
    )


def agree(made, node):
    for _, fast, slow in both_ways(made.plan(out=node), made):
        assert slow.schema == fast.schema
        assert rows_of(slow) == rows_of(fast)


def within(strict=False):
    low, high = ("gt", "lt") if strict else ("ge", "le")
    return [
        call(low, ColumnRef("v"), ColumnRef("low")),
        call("ge" if high == "le" else "gt", ColumnRef("high"), ColumnRef("v")),
    ]


SAME = call("eq", ColumnRef("k"), ColumnRef("j"))


@pytest.mark.parametrize("parts", [within(), within(strict=True), [SAME, *within()]])
@pytest.mark.parametrize("how", ["inner", "left", "right", "full", "semi", "anti"])
@pytest.mark.parametrize("turned", [False, True])
def test_both_modes_agree(parts, how, turned):
    made = job()
    sides = [made.scan("t"), made.scan("u")]
    left, right = reversed(sides) if turned else sides
    agree(made, made.add(Join(left, right, how, call("and", *parts))))


def test_a_bound_right_behind_a_join_is_the_room_that_it_takes():
    made = job()
    pairs = made.add(Join(made.scan("t"), made.scan("u"), "inner", call("and", SAME, *within())))
    named = made.add(Project(pairs, (NamedExpression("n", ColumnRef("n")),)))
    checked, _ = obliviously(made.plan(out=made.add(RowBound(named, 50, "none"))), made)
    assert [f.rows for f in checked.facts[-3:]] == [50, 50, 50]
    checked, _ = obliviously(made.plan(out=named), made)
    assert checked.facts[-1].rows == 64


@pytest.mark.parametrize(("on", "count"), [(SAME, 13), (call("and", SAME, *within()), 4)])
def test_more_pairs_than_the_bound_fail_the_job(on, count):
    made = job()
    pairs = made.add(Join(made.scan("t"), made.scan("u"), "inner", on))
    agree(made, made.add(RowBound(pairs, count, "none")))
    checked, sources = obliviously(
        made.plan(out=made.add(RowBound(pairs, count - 1, "none"))), made
    )
    with pytest.raises(EngineError, match="bound"):
        run_obliviously(checked, sources)


def test_a_bound_behind_another_condition_is_none_of_the_join():
    made = job()
    on = call("and", SAME, call("ne", ColumnRef("v"), ColumnRef("low")))
    pairs = made.add(Join(made.scan("t"), made.scan("u"), "inner", on))
    checked, _ = obliviously(made.plan(out=made.add(RowBound(pairs, 4, "none"))), made)
    assert checked.facts[pairs].rows == 64


def test_what_is_a_band():
    assert band_of(within(), ["v"], ["low", "high"]) == Band(
        "v", True, End("low", False), End("high", False)
    )
    assert band_of(within(strict=True), ["low", "high"], ["v"]) == Band(
        "v", False, End("low", True), End("high", True)
    )
    assert band_of(within()[:1], ["v"], ["low", "high"]) is None
    assert band_of([within()[0], within()[0]], ["v"], ["low", "high"]) is None
