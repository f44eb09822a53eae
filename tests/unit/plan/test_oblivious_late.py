"""What limits fetch at last: by which keys, and that answers stay what they were."""

from __future__ import annotations

import pytest
from tests.support.differential import rows_of
from tests.support.oblivious import run_obliviously
from tests.support.oblivious_plans import obliviously
from tests.support.plans import LIMITS, Job, Source, schema

from mc2.engine.run import execute
from mc2.errors import EngineError
from mc2.plan.check import check_plan, uses
from mc2.plan.expressions import ColumnRef, call
from mc2.plan.oblivious_steps import steps
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

WIDE = "a text that nobody wants to carry"
PEOPLE = [(n, f"{WIDE} {n}", n % 2) for n in range(6)]
PLACES = [(0, f"the north, {WIDE}"), (1, f"the south, {WIDE}")]
SALES = [(n % 7, n * 10) for n in range(40)]
FACTS = {
    "a.people": {"unique": (("p",),)},
    "a.places": {"unique": (("q",),)},
}


def job(people=PEOPLE, sales=SALES):
    return Job(
        people=Source(schema(p="int64!", name="string", place="int64"), people, bound=0),
        places=Source(schema(q="int64!", called="string"), PLACES, bound=0),
        sales=Source(schema(who="int64", n="int64"), sales, bound=0),
    )


def equal(a, b):
    return call("eq", ColumnRef(a), ColumnRef(b))


def joined(made, how="inner"):
    node = made.add(Join(made.scan("sales"), made.scan("people"), how, equal("who", "p")))
    return made.add(Join(node, made.scan("places"), how, equal("place", "q")))


def first(made, node, *keys, count=2):
    orders = tuple(SortKey(ColumnRef(k), True, False) for k in keys)
    return made.add(Limit(made.add(Sort(node, orders)), count))


def grouped(made, keys=("p", "name", "called"), how="inner"):
    total = AggregateColumn("total", "sum", (ColumnRef("n"),))
    return made.add(Aggregate(joined(made, how), keys, (total,)))


def planned(made, node):
    """What the one limit of a plan fetches."""
    plan = made.plan(out=node)
    checked, _ = obliviously(plan, made, FACTS)
    readers = uses(checked.plan.nodes, checked.plan.outputs)
    return checked, steps(checked.plan, checked.facts, readers, fetches=True)


def agree(made, node):
    plan = made.plan(out=node)
    checked, sources = obliviously(plan, made, FACTS)
    fast = execute(check_plan(plan), made.sources, LIMITS, lambda _: None)["out"].table
    slow, _ = run_obliviously(checked, sources)
    assert rows_of(slow["out"]) == rows_of(fast)
    return rows_of(fast)


def test_wide_keys_of_groups_are_fetched_by_the_key_that_decides_them():
    made = job()
    checked, found = planned(made, first(made, grouped(made), "total", "p"))
    ((late),) = found.late.values()
    hidden = "\0late0"
    assert [set(f.columns) for f in late.fetches] == [
        {("name", "name"), (hidden, "place")},
        {("called", "called")},
    ]
    assert late.fetches[0].by == (("p", "p"),)
    assert late.fetches[-1].by == ((hidden, "q"),)
    assert late.names == {"name", "called"}
    (groups,) = found.left_out.values()
    assert groups == {"name", "called"}
    joins = [i for i, n in enumerate(checked.plan.nodes) if isinstance(n.operation, Join)]
    assert not any({"name", "called"} & found.needed[i] for i in joins)


@pytest.mark.parametrize("how", ["inner", "left"])
def test_answers_are_those_of_the_other_mode(how):
    made = job()
    assert len(agree(made, first(made, grouped(made, how=how), "total", "p", count=3))) == 3
    made = job()
    rows = agree(made, first(made, joined(made, how), "n", "p", count=4))
    assert len(rows) == 4
    assert WIDE in str(rows)


def test_nothing_is_fetched_without_a_key_that_rows_have():
    made = job()
    node = grouped(made, keys=("who", "name"))
    columns = tuple(NamedExpression(n, ColumnRef(n)) for n in ("name", "total"))
    node = made.add(Project(node, columns))
    _, found = planned(made, first(made, node, "total", "name"))
    assert not found.late


def test_what_is_compared_is_carried():
    made = job()
    _, found = planned(made, first(made, grouped(made, ("p", "name")), "total", "name", "p"))
    assert not found.late
    made = job()
    node = made.add(Filter(grouped(made), call("is_not_null", ColumnRef("name"))))
    checked, found = planned(made, first(made, node, "total", "p"))
    (groups,) = [i for i, n in enumerate(checked.plan.nodes) if isinstance(n.operation, Aggregate)]
    assert found.left_out[groups] == {"called"}
    agree(made, node)


def test_few_rows_are_not_worth_it():
    made = job(sales=SALES[:12])
    _, found = planned(made, first(made, grouped(made), "total", "p"))
    assert not found.late


def test_a_key_that_is_not_unique_fails_the_job():
    made = job([*PEOPLE, (0, "another name", 1)])
    node = first(made, joined(made), "n", "p")
    checked, sources = obliviously(made.plan(out=node), made, FACTS)
    with pytest.raises(EngineError, match="unique"):
        run_obliviously(checked, sources)


def test_tasks_with_some_rows_fetch_nothing():
    made = job()
    plan = made.plan(out=first(made, grouped(made), "total", "p"))
    checked, _ = obliviously(plan, made, FACTS)
    readers = uses(checked.plan.nodes, checked.plan.outputs)
    assert not steps(checked.plan, checked.facts, readers).late
