"""A table with lists and structs of all sorts, and projections of it in both modes."""

from datetime import date
from decimal import Decimal

from mc2.plan.expressions import ColumnRef, literal
from mc2.plan.relations import NamedExpression, Project
from mc2.plan.types import BOOLEAN, INT32, STRING
from tests.support.differential import rows_of
from tests.support.oblivious_plans import both_ways
from tests.support.plans import Job, Source, schema

KINDS = schema(
    l="list<int64>", m="list<int64>", s="list<string>", st="struct<a:int32,b:string,c:list<double>>",
    x="int64", i="int32", n="decimal(30,2)", ll="list<list<int32>>", d="list<double>",
    w="list<decimal(30,2)>", z="struct<p:boolean,q:date>", t="string",
)  # fmt: skip
L, M, S, ST, X, P, N, LL, D, W, Z, T = (ColumnRef(c.name) for c in KINDS.columns)
NAN = float("nan")
ROWS = [
    ([1, 2, 3], [2, None], ["a", "b\u00e9", None], {"a": 1, "b": "x", "c": [1.5, None]}, 2, 1,
     Decimal("1.25"), [[1], [2, 3]], [0.0, -0.0, NAN], [Decimal("1.25"), None],
     {"p": True, "q": date(2020, 1, 1)}, "a"),
    ([], [], [], None, None, -1, None, [], [NAN, NAN, 1.0], [], None, None),
    (None, None, None, {"a": None, "b": None, "c": None}, 5, 3, None, None, None, None,
     {"p": None, "q": None}, "b\u00e9"),
    ([None, 5, 5, 2], [5, 5, 1], ["", "zz", "zz"], {"a": 3, "b": "yyyy", "c": []}, 5, -4,
     Decimal("3.00"), [None, [1]], [None, -0.0, 0.0], [Decimal(9)] * 3, {"p": False, "q": None},
     "zz"),
    ([7, 7, None, None, 1], [None], ["q"], {"a": 3, "b": "yyyy", "c": [2.0, 1.0, 0.5]}, 7, 2,
     Decimal("3.00"), [[], [4, 5, 6], [7]], [2.0], [Decimal(9)] * 3, {"p": False, "q": None}, "q"),
]  # fmt: skip


def both(make, rows=ROWS):
    made = Job(t=Source(KINDS, rows, bound=0))
    node = make(made, made.scan("t"))
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert fast.schema == slow.schema
    assert repr(rows_of(fast)) == repr(rows_of(slow))


def projected(*expressions):
    named = [NamedExpression(f"r{i}", e) for i, e in enumerate(expressions)]
    return lambda made, node: made.add(Project(node, tuple(named)))


def number(value):
    return literal(value, INT32)


def text(value):
    return literal(value, STRING)


def mark(value):
    return literal(value, BOOLEAN)
