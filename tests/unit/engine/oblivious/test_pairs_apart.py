"""Joins of many rows with many over several tasks, each with room for its share of the pairs."""

from __future__ import annotations

from contextlib import suppress

import pytest
from tests.support.differential import rows_of as in_any_order
from tests.support.oblivious import opened, run_obliviously
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.oblivious_stages import ObliviousStages
from tests.support.plans import Job, Source, schema
from tests.support.sorted_apart import KINDS, only_rows, rows_of

from mc2.errors import EngineError, FormatError
from mc2.operators import ordering, pairing
from mc2.operators.handles import marks_of
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Filter,
    Join,
    NamedExpression,
    Project,
    RowBound,
)
from mc2.plan.types import INT64

FEW, MANY = 4, 6
ROWS = {3: 90, FEW: 90, MANY: 210}
K, J, T, S, X, Y = (ColumnRef(n) for n in ("k", "j", "t", "s", "x", "y"))
SAME_KEYS = call("eq", K, J)


def plan_of(left, right, bound, on=SAME_KEYS, *, groups=False):
    """A join of rows with x above 70 with all others, under a bound."""
    widest = [(None, "tt", None)]  # so that texts have one width, whatever the rows are
    job = Job(
        t=Source(schema(k="int64", t="string", x="int64"), [*widest, *left], bound=0),
        u=Source(schema(j="int64", s="string", y="int64"), [*widest, *right], bound=0),
    )
    t = job.add(Filter(job.scan("t"), call("gt", X, literal(70, INT64))))
    found = job.add(Join(t, job.scan("u"), "inner", on))
    names = [NamedExpression(c.name, c) for c in (K, T, X, S, Y)]
    found = job.add(RowBound(job.add(Project(found, tuple(names))), bound))
    if groups:
        sums = AggregateColumn("n", "count_star", ()), AggregateColumn("y", "sum", (Y,))
        found = job.add(Aggregate(found, ("t",), sums))
    return job, job.plan(found=found)


def made_of(*rows, **how):
    job, plan = plan_of(*rows, **how)
    return obliviously(plan, job, {name: {} for name in job.sources})


def sides(kind, tasks, seed=1):
    many = ROWS[tasks]
    return [rows_of(kind, many, seed + n)[0] for n in (0, 100)]


def bound_of(tasks):
    return ROWS[tasks] ** 2 // 3


def cut_of(made, tasks, **how):
    cut = ObliviousStages(*made, tasks, **how)
    works = {s.work for stage in cut.stages.stages for s in stage.steps}
    assert {"number", "place", "last", "pair", "partner", "match"} <= works
    return cut


def agree(made, tasks):
    wanted, _ = run_obliviously(*made)
    found = opened(cut_of(made, tasks).run()["found"])
    assert in_any_order(found) == in_any_order(wanted["found"])
    return found.num_rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tasks", ROWS)
def test_tasks_give_what_one_gives(kind, tasks):
    assert agree(made_of(*sides(kind, tasks), bound_of(tasks)), tasks)


@pytest.mark.parametrize("kind", ["few", "nulls"])
def test_tasks_give_what_encrypted_mode_gives(kind):
    rows = *sides(kind, FEW), bound_of(FEW)
    job, plan = plan_of(*rows)
    ((_, wanted, _),) = both_ways(plan, job)
    found = cut_of(made_of(*rows), FEW).run()["found"]
    assert in_any_order(opened(found)) == in_any_order(wanted)


@pytest.mark.parametrize(
    "on",
    [call("eq", T, S), call("same", T, S), call("and", SAME_KEYS, call("same", T, S))],
)
def test_keys_may_be_texts_and_several_and_null_as_a_value(on):
    left, right = sides("few", FEW)
    wider = [(k, None if t is None else f"{t}, wider", x) for k, t, x in right[:3]]
    assert agree(made_of(left, [*right, *wider], bound_of(FEW), on), FEW)


@pytest.mark.parametrize("empty", [(0, 1), (1, 0), (0, 0)])
def test_a_side_may_have_no_rows(empty):
    rows = [
        [(None, None, None)] * len(side) if not some else side
        for some, side in zip(empty, sides("few", FEW), strict=True)
    ]
    assert agree(made_of(*rows, bound_of(FEW)), FEW) == 0


def test_all_pairs_may_be_of_one_row():
    left, right = sides("one", FEW)
    one = [(k, t, 99 if i == 7 else 0) for i, (k, t, _) in enumerate(left)]
    assert agree(made_of(one, right, bound_of(FEW)), FEW) == len(right)
    turned = [(3 if i == 7 else None, t, 99) for i, (_, t, _) in enumerate(left)]
    assert agree(made_of(left, turned, bound_of(FEW)), FEW)


def test_as_many_pairs_as_the_bound_allows_and_one_more():
    rows = sides("one", FEW)
    many = agree(made_of(*rows, bound_of(FEW)), FEW)
    assert agree(made_of(*rows, many), FEW) == many
    fewer = made_of(*rows, many - 1)
    with pytest.raises(EngineError, match="than a declared bound"):
        run_obliviously(*fewer)
    with pytest.raises(EngineError, match="than a declared bound"):
        cut_of(fewer, FEW).run()


def test_what_follows_a_bound_on_pairs_is_computed_where_they_are():
    made = made_of(*sides("few", FEW), bound_of(FEW), groups=True)
    cut = cut_of(made, FEW)
    wanted, _ = run_obliviously(*made)
    assert opened(cut.run()["found"]) == wanted["found"]
    (pairs,) = (s for s in cut.stages.stages if any(p.work == "match" for p in s.steps))
    assert [e.partial is not None for e in pairs.exchanges] == [True]


def test_small_sides_and_bounds_that_say_nothing_are_not_sorted():
    left, right = sides("few", FEW)
    for made, whole in (
        (made_of(left, right, ROWS[FEW] ** 2 * 2), 0),
        (made_of(left, right, bound_of(FEW)), ROWS[FEW]),
        (made_of(left, right, 2 * ROWS[FEW]), 0),
    ):
        cut = ObliviousStages(*made, FEW, whole)
        assert all(s.work == "compute" for stage in cut.stages.stages for s in stage.steps)


def seen_of(kind, tasks, seed=1):
    cut = cut_of(made_of(*sides(kind, tasks, seed), bound_of(tasks)), tasks, record=True)
    with suppress(EngineError, FormatError):
        cut.run()
    assert cut.seen
    return cut.seen


@pytest.mark.parametrize("tasks", [FEW, MANY])
def test_other_keys_hand_on_blocks_of_the_same_sizes(tasks):
    seen = [seen_of(kind, tasks, seed) for seed, kind in enumerate(KINDS)]
    assert all(s == seen[0] for s in seen)


def as_many_as_pairs(run, rows, earlier, asked, names):
    """A planted leak: places of pairs without one are left out."""
    found = placed(run, rows, earlier, asked, names)
    kept = [i for i, there in enumerate(marks_of(found.present)) if there]
    return ordering.cut(found, 0, max(1, len(kept)))


placed = pairing.placed


@pytest.mark.parametrize(
    ("where", "leak"),
    [
        ("mc2.engine.oblivious.part.write_sheet", only_rows),
        ("mc2.operators.pairing.placed", as_many_as_pairs),
    ],
)
def test_a_leak_that_is_planted_shows_in_the_record(where, leak, monkeypatch):
    monkeypatch.setattr(where, leak)
    assert seen_of("one", FEW) != seen_of("many", FEW)
