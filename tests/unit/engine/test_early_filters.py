"""A filter that is applied as inputs are stored leaves the same rows, and meets no failure early."""

import pytest
from tests.support.plans import Job, Source, schema

from mc2.engine import run
from mc2.engine.early_filters import EarlyFilters, early_filters, renamed
from mc2.errors import EngineError
from mc2.plan.check import uses
from mc2.plan.expressions import (
    Call,
    Case,
    Cast,
    ColumnRef,
    InList,
    When,
    call,
    columns_of,
    literal,
)
from mc2.plan.relations import (
    JOIN_KINDS,
    Distinct,
    Filter,
    Join,
    Limit,
    Mark,
    NamedExpression,
    Project,
    RowBound,
    Sort,
    SortKey,
)
from mc2.plan.types import BOOLEAN, INT64

_KINDS = [k for k in JOIN_KINDS if k != "single"]


@pytest.fixture
def job():
    """Three tables, with NULLs, rows that match nothing, and zeros that k does not match."""
    t = Source(schema(a="int64", b="int64"), [(i, i % 10) for i in range(60)] + [(None, 3)])
    k = Source(schema(b2="int64", c="int64"), [(i, i * i) for i in range(1, 14)])
    m = Source(schema(c2="int64", d="int64"), [(i, None if i % 3 else i) for i in range(90)])
    return Job(t=t, k=k, m=m)


def column(name):
    return ColumnRef(name)


def eq(one, other):
    return call("eq", column(one), column(other))


def below(name, value):
    return call("lt", column(name), literal(value, INT64))


def chain(job, first="inner", second="inner"):
    inner = job.add(
        Join(job.scan("t"), job.scan("k"), first, None if first == "cross" else eq("b", "b2"))
    )
    on = None if second == "cross" else eq("b" if first in {"semi", "anti"} else "c", "c2")
    return job.add(Join(inner, job.scan("m"), second, on))


def found(job, root):
    plan = job.plan(o=root)
    return early_filters(plan.nodes, uses(plan.nodes, plan.outputs), range(3))


def places(job, root):
    plan = job.plan(o=root)
    return {plan.inputs[p].dataset.partition(".")[2] for p in found(job, root).of_inputs}


@pytest.mark.parametrize("second", _KINDS)
@pytest.mark.parametrize("first", _KINDS)
def test_rows_are_those_of_a_filter_above_the_joins(job, first, second, monkeypatch):
    node = chain(job, first, second)
    names = job.plan(o=node).nodes[node].schema.names
    parts = [below(n, 7) for n in names]
    parts += [call("or", call("is_null", column(n)), below(n, 20)) for n in names[::2]]
    roots = [job.add(Filter(node, part)) for part in parts]
    early = [job.rows(root) for root in roots]
    monkeypatch.setattr(run, "early_filters", lambda *_: EarlyFilters())
    assert early == [job.rows(root) for root in roots]


def test_conditions_reach_the_inputs_they_are_about(job):
    predicate = call("and", below("a", 9), below("c", 9), below("d", 9), eq("a", "d"))
    root = job.add(Filter(chain(job), predicate))
    assert places(job, root) == {"t", "k", "m"}
    assert found(job, root).applied == {root: {below("a", 9), below("c", 9), below("d", 9)}}


@pytest.mark.parametrize(
    ("kind", "reached"),
    [("left", {"t"}), ("single", {"t"}), ("right", {"k"}), ("full", set()), ("cross", {"t", "k"})],
)
def test_what_an_outer_join_fills_with_null_is_left_alone(job, kind, reached):
    on = None if kind == "cross" else eq("b", "b2")
    node = job.add(Join(job.scan("t"), job.scan("k"), kind, on))
    root = job.add(Filter(node, call("and", below("a", 9), below("c", 9))))
    assert places(job, root) == reached


def test_names_are_followed_through_projections(job):
    renaming = (
        NamedExpression("x", column("a")),
        NamedExpression("y", call("negate", column("b"))),
    )
    node = job.add(Project(job.scan("t"), renaming))
    root = job.add(Filter(node, call("and", below("x", 9), below("y", 9))))
    assert list(found(job, root).of_inputs.values()) == [[below("a", 9)]]


def test_a_mark_and_an_order_are_passed(job):
    node = job.add(Mark(job.scan("t"), job.scan("k"), "found", eq("b", "b2")))
    node = job.add(Sort(node, (SortKey(column("a"), descending=True, nulls_first=False),)))
    root = job.add(Filter(node, call("and", below("a", 9), column("found"))))
    assert found(job, root).applied == {root: {below("a", 9)}}


@pytest.mark.parametrize(
    "between",
    [lambda n: Limit(n, 5, 0), lambda n: RowBound(n, 100, "none"), Distinct],
)
def test_what_counts_or_cuts_rows_sees_all_of_them(job, between):
    node = job.add(between(job.scan("t")))
    assert places(job, job.add(Filter(node, below("a", 9)))) == set()


def test_rows_that_another_node_reads_stay(job):
    scan = job.scan("t")
    root = job.add(Filter(scan, below("a", 9)))
    plan = job.plan(o=root, p=scan)
    assert not early_filters(plan.nodes, uses(plan.nodes, plan.outputs), range(3)).of_inputs


def test_what_may_fail_waits(job):
    divided = call("gt", call("integer_divide", literal(10, INT64), column("b")), literal(1, INT64))
    root = job.add(Filter(chain(job), call("and", below("a", 55), divided)))
    assert found(job, root).applied == {root: {below("a", 55)}}
    assert job.rows(root)
    alone = job.add(Filter(job.scan("t"), call("and", below("a", 55), divided)))
    with pytest.raises(EngineError, match="zero"):
        job.rows(alone)


def test_renaming_reaches_every_kind_of_expression():
    two = literal(2, INT64)
    expression = Case(
        (When(InList(column("a"), (two,)), Cast(column("b"), BOOLEAN, strict=True)),),
        Call("and", (eq("a", "c"), literal(value=True, kind=BOOLEAN))),
    )
    new = renamed(expression, {"a": "x", "b": "y", "c": "z"})
    assert columns_of(new) == {"x", "y", "z"}
    assert renamed(new, {"x": "a", "y": "b", "z": "c"}) == expression
