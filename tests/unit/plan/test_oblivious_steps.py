"""What is tested before joins, and which columns go along."""

from __future__ import annotations

import pytest
from tests.support.oblivious_plans import both_ways
from tests.support.plans import Job, Source, schema, table_rows

from mc2.plan.check import check_plan, uses
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.facts import Facts, trace_facts
from mc2.plan.oblivious_steps import Ties, steps, ties
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
from mc2.plan.types import INT64, STRING

LEFT = [(1, "a", 10), (2, "b", None), (2, "b", 30), (None, "c", 40), (5, None, 50)]
RIGHT = [(1, "x", 7), (2, "y", None), (2, "y", 9), (None, "z", 1), (6, None, 3)]
SAME = call("eq", ColumnRef("k"), ColumnRef("p"))
KINDS = ["inner", "left", "right", "full", "semi", "anti"]


def job():
    return Job(
        t=Source(schema(k="int64", s="string", n="int64"), LEFT, bound=0),
        u=Source(schema(p="int64", o="string", m="int64"), RIGHT, bound=0),
    )


def found(made, node):
    plan = made.plan(out=node)
    facts = trace_facts(plan.inputs, plan.nodes, check_plan(plan).shapes)
    return plan, steps(plan, facts, uses(plan.nodes, plan.outputs))


def only(made, node, *names):
    return made.add(Project(node, tuple(NamedExpression(n, ColumnRef(n)) for n in names)))


def at_least(name, number):
    return call("ge", ColumnRef(name), literal(number, INT64))


def test_columns_are_left_out_of_an_order_only_where_ties_would_tell_that_facts_are_false():
    names, claim = ("k", "s", "n"), frozenset({(frozenset("k"), frozenset("s"))})
    sure = Facts(9, frozenset({frozenset("kn")}), decides=claim)
    assert ties(sure, names, []) == Ties(names, frozenset("s"), unique=True)
    assert ties(Facts(9, decides=claim), names, []) == Ties(names, frozenset(), unique=False)


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_answers_are_those_of_the_other_mode(how, side):
    made = job()
    node = made.add(Join(made.scan("t"), made.scan("u"), how, SAME))
    names = ["s"] if how in {"semi", "anti"} else ["s", "m"]
    parts = {"left": at_least("n", 20), "right": at_least("m", 2)}
    if side != "left" and how in {"semi", "anti"}:
        side = "left"
    test = call("and", *parts.values()) if side == "both" else parts[side]
    node = only(made, made.add(Filter(node, test)), *names)
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert table_rows(slow) == table_rows(fast)


def test_conditions_on_one_side_are_tested_before_the_lowest_join():
    made = job()
    low = made.add(Join(made.scan("t"), made.scan("u"), "inner", SAME))
    both = call("lt", ColumnRef("n"), ColumnRef("m"))
    here = call("and", at_least("n", 20), at_least("m", 2), both)
    plan, known = found(made, only(made, made.add(Filter(low, here)), "s"))
    (join,) = [i for i, n in enumerate(plan.nodes) if isinstance(n.operation, Join)]
    (above,) = [i for i, n in enumerate(plan.nodes) if isinstance(n.operation, Filter)]
    assert known.before[join] == (at_least("n", 20), at_least("m", 2))
    assert known.filters[above] == both
    assert known.needed[join] == {"s", "n", "m"}


@pytest.mark.parametrize("how", ["left", "right", "full"])
def test_a_side_that_can_be_missing_is_not_tested_before(how):
    made = job()
    join = made.add(Join(made.scan("t"), made.scan("u"), how, SAME))
    missing = "n" if how == "right" else "m"
    _, known = found(made, made.add(Filter(join, at_least(missing, 2))))
    assert not known.before


def test_what_others_read_too_is_not_tested_before():
    made = job()
    join = made.add(Join(made.scan("t"), made.scan("u"), "inner", SAME))
    plan = made.plan(out=made.add(Filter(join, at_least("n", 20))), all=join)
    facts = trace_facts(plan.inputs, plan.nodes, check_plan(plan).shapes)
    known = steps(plan, facts, uses(plan.nodes, plan.outputs))
    assert not known.before


def test_what_could_fail_is_tested_where_it_stands():
    made = job()
    join = made.add(Join(made.scan("t"), made.scan("u"), "inner", SAME))
    sum_ = call("add", ColumnRef("n"), literal(1, INT64))
    test = call("ge", sum_, literal(2, INT64))
    plan, known = found(made, made.add(Filter(join, test)))
    assert not known.before
    assert known.filters[len(plan.nodes) - 1] == test


def test_a_column_that_could_fail_is_computed_though_nobody_reads_it():
    made = job()
    columns = (
        NamedExpression("s", ColumnRef("s")),
        NamedExpression("more", call("add", ColumnRef("n"), literal(1, INT64))),
    )
    node = made.add(Project(made.scan("t"), columns))
    _, known = found(made, only(made, node, "s"))
    assert known.needed[0] == {"s", "n"}


def test_groups_read_their_keys_and_arguments():
    made = job()
    node = made.add(
        Aggregate(made.scan("t"), ("k",), (AggregateColumn("m", "max", (ColumnRef("n"),)),))
    )
    _, known = found(made, only(made, node, "m"))
    assert known.needed[0] == {"k", "n"}


def test_an_order_reads_what_breaks_its_ties():
    made = job()
    node = made.add(Sort(made.scan("t"), (SortKey(ColumnRef("n"), False, False),)))
    _, known = found(made, only(made, made.add(Limit(node, 2)), "n"))
    assert known.needed[0] == {"k", "s", "n"}


def test_ties_end_at_a_unique_key():
    key = frozenset({"b"})
    facts = Facts(9, frozenset({key}), {}, {}, {}, frozenset({(key, frozenset("ac"))}))
    assert ties(facts, "abc", ["b"]).columns == ()
    assert ties(facts, "abc", []).columns == ("a", "b")
    assert ties(facts, "abc", ["a"]).decided == {"a"}
    assert not ties(Facts(9), "abc", []).unique
    assert ties(Facts(1), "abc", []).columns == ()


def test_literals_are_texts_too():
    made = job()
    join = made.add(Join(made.scan("t"), made.scan("u"), "inner", SAME))
    test = call("eq", ColumnRef("o"), literal("y", STRING))
    node = only(made, made.add(Filter(join, test)), "n")
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert table_rows(slow) == table_rows(fast) == [(None,), (None,), (30,), (30,)]
