"""What follows of declared facts for the nodes of a plan."""

from tests.support.plans import schema

from mc2.crypto.digest import digest
from mc2.formats.facts import TableFacts
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import ColumnRef, InList, call, literal
from mc2.plan.facts import trace_facts
from mc2.plan.plan import PlanInput
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Distinct,
    Filter,
    Join,
    Limit,
    NamedExpression,
    Project,
    RowBound,
    Scan,
    Union,
)
from mc2.plan.types import INT32, INT64, STRING

ORDERS = PlanInput(
    dataset="a.orders",
    owner="a",
    manifest=digest(b"o"),
    schema=schema(order="int64", who="int64", state="string", level="int32!"),
    row_bound=1000,
    sizes="padded",
    facts=TableFacts({"state": 6}, (("order",),), {"level": (1, 4)}, {"state": ("open", "paid")}),
)
PEOPLE = PlanInput(
    dataset="a.people",
    owner="a",
    manifest=digest(b"p"),
    schema=schema(person="int64", name="string"),
    row_bound=50,
    sizes="padded",
    facts=TableFacts({"name": 20}, (("person",),)),
)
WHO = call("eq", ColumnRef("who"), ColumnRef("person"))
COUNT = (AggregateColumn("n", "count_star", ()),)


class Plan:
    def __init__(self):
        self.builder = PlanBuilder([ORDERS, PEOPLE])
        self.orders = self.add(Scan(0, ORDERS.schema.names))
        self.people = self.add(Scan(1, PEOPLE.schema.names))

    def add(self, operation):
        return self.builder.add(operation)

    def facts(self, node):
        nodes = self.builder._nodes
        shapes = [self.builder.shape(i) for i in range(len(nodes))]
        return trace_facts([ORDERS, PEOPLE], nodes, shapes)[node]


def keys(*names):
    return frozenset(frozenset(n.split()) for n in names)


def test_a_scan_has_the_facts_of_its_columns():
    plan = Plan()
    found = plan.facts(plan.orders)
    assert found.rows == 1000
    assert found.unique == keys("order")
    assert found.spread == {"level": 4, "state": 3}  # NULL is a value of the second
    part = plan.facts(plan.add(Scan(0, ("who", "state"))))
    assert part.unique == keys()
    assert part.width("state") == 6


def test_a_join_on_a_unique_key_has_no_more_rows_than_the_other_side():
    plan = Plan()
    rows = {
        how: plan.facts(plan.add(Join(plan.orders, plan.people, how, WHO))).rows
        for how in ("inner", "left", "right", "full", "semi", "anti", "single")
    }
    assert rows == {
        "inner": 1000,
        "left": 1000,
        "right": 1050,  # each order at most once, and people without any
        "full": 2050,
        "semi": 1000,
        "anti": 1000,
        "single": 1000,
    }
    turned = plan.facts(plan.add(Join(plan.people, plan.orders, "inner", WHO)))
    assert turned.rows == 1000
    assert turned.is_unique(frozenset({"order"}))
    assert not turned.is_unique(frozenset({"person"}))


def test_rows_of_which_a_filter_left_few_values_of_a_key_are_few():
    plan = Plan()
    some = InList(ColumnRef("order"), tuple(literal(n, INT64) for n in (3, 5, 8)))
    found = plan.add(Filter(plan.orders, some))
    assert plan.facts(found).rows == 3
    assert plan.facts(plan.add(Join(found, plan.people, "inner", WHO))).rows == 3
    whose = InList(ColumnRef("who"), (literal(3, INT64),))
    assert plan.facts(plan.add(Filter(plan.orders, whose))).rows == 1000  # it is no key


def test_without_a_unique_key_all_pairs_count():
    plan = Plan()
    on = call("eq", ColumnRef("state"), ColumnRef("name"))
    assert plan.facts(plan.add(Join(plan.orders, plan.people, "inner", on))).rows == 50_000
    assert plan.facts(plan.add(Join(plan.orders, plan.people, "cross", None))).rows == 50_000


def test_groups_are_no_more_than_their_values():
    plan = Plan()
    few = plan.facts(plan.add(Aggregate(plan.orders, ("state", "level"), COUNT)))
    assert few.rows == 12
    assert few.unique == keys("state level")
    many = plan.facts(plan.add(Aggregate(plan.orders, ("who",), COUNT)))
    assert many.rows == 1000
    one = plan.facts(plan.add(Aggregate(plan.orders, (), COUNT)))
    assert one.rows == 1
    assert one.is_unique(frozenset())


def test_names_follow_through_projections():
    plan = Plan()
    columns = (
        NamedExpression("key", ColumnRef("order")),
        NamedExpression(
            "short", call("substring", ColumnRef("state"), *(literal(n, INT32) for n in (1, 2)))
        ),
        NamedExpression("long", call("concat", ColumnRef("state"), literal("abc", STRING))),
        NamedExpression("level", ColumnRef("level")),
    )
    found = plan.facts(plan.add(Project(plan.orders, columns)))
    assert found.unique == keys("key")
    assert found.width("short") == 6  # two characters may have eight bytes, the column has six
    assert found.width("long") == 9
    assert found.spread == {"level": 4, "short": 3, "long": 3}  # as many as what they are made of
    assert plan.facts(plan.add(Project(plan.orders, columns[1:]))).unique == keys()


def test_rows_of_other_operations():
    plan = Plan()
    some = plan.add(Filter(plan.orders, call("is_null", ColumnRef("who"))))
    assert plan.facts(some).unique == keys("order")
    assert plan.facts(plan.add(RowBound(some, 7))).rows == 7
    assert plan.facts(plan.add(RowBound(some, 7000))).rows == 1000
    assert plan.facts(plan.add(Limit(some, 5, 998))).rows == 2
    assert plan.facts(plan.add(Limit(some, 1))).is_unique(frozenset())
    twice = plan.add(Union((some, some)))
    assert plan.facts(twice).rows == 2000
    assert plan.facts(twice).unique == keys()
    assert plan.facts(plan.add(Distinct(twice))).is_unique(frozenset(ORDERS.schema.names))
