"""Lists and joined texts of groups in oblivious mode: what the encrypted engine gives."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.differential import rows_of
from tests.support.oblivious import run_obliviously
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.plans import LIMITS, Job, Source, schema

from mc2.engine.run import execute
from mc2.errors import EngineError, PlanError
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.relations import Aggregate, AggregateColumn, Explode, Filter
from mc2.plan.types import INT32, INT64, STRING

KINDS = schema(g="string", x="int64", s="string", d="double", n="decimal(30,2)", l="list<int32>")
G, X, S, D, N, L = (ColumnRef(c.name) for c in KINDS.columns)
NAN = float("nan")
ROWS = [
    ("a", 3, "x", -0.0, Decimal("1.50"), [1]), ("a", 1, "yé", 0.0, None, [None]),
    ("b", None, "", NAN, Decimal("-2.00"), None), ("a", 3, None, -1.5, Decimal("1.50"), [1]),
    (None, 7, "x", NAN, Decimal("9.00"), []), ("b", -1, "x", 2.0, Decimal("0.00"), [3, 2]),
    ("c", None, None, None, None, None),
]  # fmt: skip
MOST = literal(5, INT32)


def collected(name, function, *arguments, distinct=False, where=None):
    return AggregateColumn(name, function, arguments, distinct, where)


EVERY = (
    collected("a", "collect_list", X, MOST), collected("b", "collect_set", X),
    collected("c", "join_texts", S, literal(", ", STRING), MOST),
    collected("d2", "collect_list", D), collected("e", "collect_set", D, MOST),
    collected("f", "collect_list", N, MOST, distinct=True), collected("h", "collect_set", L),
    collected("i", "collect_list", S, where=call("gt", X, literal(1, INT64))),
    collected("j", "join_texts", S, literal("", STRING), distinct=True),
    collected("k", "sum", X), collected("m", "min_by", S, X),
)  # fmt: skip


def both(make, rows=ROWS):
    made = Job(t=Source(KINDS, rows, bound=0))
    node = make(made, made.scan("t"))
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert fast.schema == slow.schema
    assert repr(rows_of(fast)) == repr(rows_of(slow))


@pytest.mark.parametrize("keys", [(), ("g",), ("g", "x"), ("l",)], ids=str)
@pytest.mark.parametrize("empty", [False, True])
def test_lists_of_groups_agree(keys, empty):
    def grouped(made, node):
        if empty:
            node = made.add(Filter(node, call("lt", X, literal(-9, INT64))))
        return made.add(Aggregate(node, keys, EVERY))

    both(grouped)


def test_lists_alone_and_of_what_was_exploded():
    both(lambda made, node: made.add(Aggregate(node, ("g",), EVERY[:1])))

    def again(made, node):
        rows = made.add(Aggregate(node, ("g",), EVERY[:2]))
        return made.add(Explode(rows, ColumnRef("a"), "z", "p", outer=True))

    both(again)


few = st.sampled_from(["a", "b", None])


@settings(max_examples=20)
@given(st.lists(st.tuples(few, st.none() | st.integers(-2, 2), few), max_size=6))
def test_any_rows_agree(found):
    rows = [(g, x, s, None, None, None) for g, x, s in found] or [ROWS[0]]
    both(lambda made, node: made.add(Aggregate(node, ("g",), EVERY)), rows)


@pytest.mark.parametrize("keys", [(), ("g",)], ids=str)
@pytest.mark.parametrize(
    "one",
    [
        collected("a", "collect_list", X, literal(1, INT32)),
        collected("a", "collect_set", X, literal(1, INT32)),
        collected("a", "join_texts", S, literal("", STRING), literal(1, INT32)),
    ],
    ids=lambda one: one.function,
)
def test_more_values_than_declared_fail_the_job_in_both_modes(keys, one):
    made = Job(t=Source(KINDS, ROWS, bound=0))
    plan = made.plan(out=made.add(Aggregate(made.scan("t"), keys, (one,))))
    with pytest.raises(EngineError):
        execute(check_plan(plan), made.sources, LIMITS, lambda _: None)
    checked, sources = obliviously(plan, made)
    with pytest.raises(EngineError, match="declared bound"):
        run_obliviously(checked, sources)


def test_how_many_values_is_declared_where_rows_are_many():
    rows = ROWS * 100
    made = Job(t=Source(KINDS, rows, bound=0))
    node = made.add(Aggregate(made.scan("t"), ("g",), (collected("a", "collect_list", X),)))
    with pytest.raises(PlanError, match="bytes in a row") as raised:
        obliviously(made.plan(out=node), made)
    assert "collect_list(x, 10)" in raised.value.hint
    none = Aggregate(
        made.scan("t"), ("g",), (collected("a", "collect_list", X, literal(0, INT32)),)
    )
    with pytest.raises(PlanError, match="1 or more"):
        made.add(none)


def test_traces_are_those_of_the_shape():
    made = Job(t=Source(KINDS, ROWS, bound=0))
    wide = tuple(a for a in EVERY if a.arguments[0] != L)
    flat = made.scan("t", "g", "x", "s", "d", "n")
    checked, sources = obliviously(made.plan(out=made.add(Aggregate(flat, ("g",), wide))), made)
    _, first = run_obliviously(checked, sources, record=True)
    ((name, table),) = sources.items()
    other = type(table)(table.form, table.table.slice(2, 3))
    _, second = run_obliviously(checked, {name: other}, record=True)
    assert first.calls == second.calls
