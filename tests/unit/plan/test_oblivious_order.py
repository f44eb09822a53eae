"""The order of joins that public sizes show to be cheap, and what stays as it is written."""

from __future__ import annotations

import pytest
from bench import tpch
from bench.oblivious.queries import ASCENDING, DOMAINS, ranges
from tests.support.oblivious_plans import obliviously
from tests.support.oblivious_shop import Shop
from tests.support.plans import Job, Source, schema

from mc2.plan import oblivious_order
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, call, columns_of, literal
from mc2.plan.matching import match
from mc2.plan.oblivious_order import in_cheap_order
from mc2.plan.relations import Filter, Join, NamedExpression, Project, RowBound, Scan
from mc2.plan.types import INT64


@pytest.fixture(autouse=True)
def _small_joins_are_searched_too(monkeypatch):
    monkeypatch.setattr(oblivious_order, "_LEAST", 0)


@pytest.fixture(scope="module")
def shop():
    return Shop(0.01, domains=DOMAINS, ranges=ranges(0.01), ascending=ASCENDING)


def joins_of(plan, index=None):
    """The order of the joins below a node, or below the first join that others stand below."""
    nodes = plan.nodes
    if index is None:
        index = max(i for i, n in enumerate(nodes) if isinstance(n.operation, Join))
    match nodes[index].operation:
        case Scan(input=place):
            return plan.inputs[place].dataset.partition(".")[2]
        case Join(left=left, right=right, how=how):
            mark = {"inner": "", "semi": "∃ ", "anti": "∄ "}[how]
            return f"({joins_of(plan, left)} {mark}{joins_of(plan, right)})"
        case operation:
            return joins_of(plan, operation.sources[0])


ORDERS = {
    5: "((lineitem (orders customer)) (supplier (nation region)))",
    7: "(((lineitem (orders customer)) (supplier nation)) nation)",
    8: "(((lineitem (orders (customer (nation region)))) part) (supplier nation))",
    9: "((lineitem orders) ((partsupp part) (supplier nation)))",
    21: "((((lineitem orders) ∄ lineitem) ∃ lineitem) (supplier nation))",
}
"""Small tables among themselves; lineitem with orders while both are in order; lineitem twice."""


@pytest.mark.parametrize("number", ORDERS)
def test_small_tables_are_joined_first_and_what_is_in_order_before_that_is_lost(number, shop):
    assert joins_of(in_cheap_order(shop.checked(number))) == ORDERS[number]


@pytest.mark.parametrize("number", tpch.QUERIES)
def test_the_plan_is_well_formed_and_pairs_nothing_without_an_equality(number, shop):
    checked = shop.checked(number)
    found = in_cheap_order(checked)
    if found is None:
        return
    after = check_plan(found)
    for output, other in zip(found.outputs, checked.plan.outputs, strict=True):
        assert after.schema(output) == checked.schema(other)
        assert after.facts[output.node].rows == checked.facts[other.node].rows
    for node in found.nodes:
        if isinstance(node.operation, Join) and node.operation.how == "inner":
            sides = [found.nodes[s].schema.names for s in node.operation.sources]
            assert match(node.operation.on, *sides).equalities
    assert max(f.rows for f in after.facts) <= max(f.rows for f in checked.facts)


def test_it_is_a_function_of_the_plan(shop):
    assert in_cheap_order(shop.checked(9)) == in_cheap_order(shop.checked(9))


def test_joins_that_take_no_longer_than_a_search_stay_as_they_are(shop, monkeypatch):
    monkeypatch.undo()
    assert in_cheap_order(shop.checked(11)) is None


def test_two_tables_have_one_order(shop):
    assert in_cheap_order(shop.checked(14)) is None


# --- small plans


def equal(a, b):
    return call("eq", ColumnRef(a), ColumnRef(b))


def job(large=3000, small=30):
    return Job(
        big=Source(schema(k="int64!", n="int64"), [(i % small, i) for i in range(large)], bound=0),
        one=Source(schema(p="int64!", v="int64"), [(i, i) for i in range(small)], bound=0),
        two=Source(schema(q="int64!", w="int64"), [(i, i) for i in range(small)], bound=0),
    )


KEYS = {"a.one": {"unique": (("p",),)}, "a.two": {"unique": (("q",),)}}


def found_of(made, node, declared=KEYS):
    checked, _ = obliviously(made.plan(out=node), made, declared)
    return in_cheap_order(checked)


def chain(made, middle=None):
    """The large table with one small one, and that with the other."""
    node = made.add(Join(made.scan("big"), made.scan("one"), "inner", equal("k", "p")))
    node = node if middle is None else made.add(middle(node))
    return made.add(Join(node, made.scan("two"), "inner", equal("k", "q")))


def test_columns_that_are_equal_by_others_are_joined_by():
    """No condition compares the small tables with one another."""
    plan = found_of(made := job(), chain(made))
    assert joins_of(plan) == "(big (one two))"
    (first,) = (n.operation for n in plan.nodes[:-1] if isinstance(n.operation, Join))
    assert columns_of(first.on) == {"p", "q"}
    assert plan.nodes[plan.outputs[0].node].schema.names == ("k", "n", "p", "v", "q", "w")


def test_real_numbers_stand_for_nothing_but_themselves():
    """-0 is equal to 0, and not the same."""
    real = {"k": "double!", "n": "int64"}, {"p": "double!", "v": "int64"}, {"q": "double!"}
    rows = [(i % 30 + 0.5, i) for i in range(3000)]
    made = Job(
        big=Source(schema(**real[0]), rows, bound=0),
        one=Source(schema(**real[1]), rows[:30], bound=0),
        two=Source(schema(**real[2]), [row[:1] for row in rows[:30]], bound=0),
    )
    assert found_of(made, chain(made)) is None


def test_conditions_between_joins_move_with_them():
    low = call("lt", ColumnRef("v"), literal(5, INT64))
    plan = found_of(made := job(), chain(made, lambda node: Filter(node, low)))
    (test,) = (n.operation for n in plan.nodes if isinstance(n.operation, Filter))
    assert isinstance(plan.nodes[test.source].operation, Scan)


def divided():
    return call("eq", call("integer_divide", ColumnRef("n"), ColumnRef("v")), literal(1, INT64))


@pytest.mark.parametrize(
    "middle",
    [
        lambda node: RowBound(node, 2000),
        lambda node: Filter(node, divided()),
    ],
    ids=["a bound", "a condition that could fail"],
)
def test_nothing_moves_past(middle):
    """How many rows there are below them shows, or fails the job."""
    made = job()
    assert found_of(made, chain(made, middle)) is None


def test_what_two_nodes_read_is_computed_once():
    made = job()
    node = made.add(Join(made.scan("big"), made.scan("one"), "inner", equal("k", "p")))
    last = made.add(Join(node, made.scan("two"), "inner", equal("k", "q")))
    checked, _ = obliviously(made.plan(out=last, other=node), made, KEYS)
    assert in_cheap_order(checked) is None


def test_one_table_twice_has_names_for_each():
    made = job()
    one = made.scan("one")
    node = made.add(Join(made.scan("big"), one, "inner", equal("k", "p")))
    names = {"k": "k", "n": "n", "v1": "v"}.items()
    node = made.add(Project(node, tuple(NamedExpression(a, ColumnRef(b)) for a, b in names)))
    node = made.add(Join(node, one, "inner", equal("k", "p")))
    node = made.add(Join(node, made.scan("two"), "inner", equal("n", "q")))
    plan = found_of(made, node)
    assert plan is None or check_plan(plan)


def test_more_tables_than_anybody_searches_stay_as_they_are():
    made = Job(
        **{
            f"t{i}": Source(schema(**{f"k{i}": "int64!", f"v{i}": "int64"}), [(1, 1)], bound=0)
            for i in range(34)
        }
    )
    node = made.scan("t0")
    for i in range(1, 34):
        node = made.add(Join(node, made.scan(f"t{i}"), "inner", equal("k0", f"k{i}")))
    facts = {f"a.t{i}": {"unique": ((f"k{i}",),)} for i in range(34)}
    assert found_of(made, node, facts) is None
