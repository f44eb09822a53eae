import pytest
from tests.support.plans import Job, Source, schema

from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.lineage import MODEL
from mc2.plan.models import Evaluation, History, Matrix, Predict, Stopping, Train
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Distinct,
    Filter,
    Join,
    Limit,
    NamedExpression,
    Project,
    Sort,
    SortKey,
    Union,
)
from mc2.plan.types import INT64


@pytest.fixture
def job():
    return Job(
        t=Source(schema(a="int64", b="int64", c="int64"), []),
        u=Source(schema(x="int64", y="int64"), []),
    )


def lineage(job, node):
    checked = job.check(out=node)
    return checked.lineage(checked.plan.outputs[0])


def origins(*names):
    """`t.a` is column a of a.t."""
    return {(f"a.{t}", c) for t, c in (n.split(".") for n in names)}


def named(**columns):
    return tuple(NamedExpression(n, e) for n, e in columns.items())


def test_scan_and_project(job):
    t = job.scan("t")
    found = lineage(
        job,
        job.add(
            Project(t, named(s=call("add", ColumnRef("a"), ColumnRef("b")), k=literal(1, INT64)))
        ),
    )
    assert found.values == {"s": origins("t.a", "t.b"), "k": frozenset()}
    assert found.rows == frozenset()
    assert found.datasets == {"a.t"}  # even of a constant: how many rows it has


def test_a_filter_influences_and_gives_no_value(job):
    node = job.add(Filter(job.scan("t"), call("gt", ColumnRef("b"), literal(1, INT64))))
    found = lineage(job, node)
    assert found.values["a"] == origins("t.a")
    assert found.rows == origins("t.b")
    assert found.of("a") == origins("t.a", "t.b")


@pytest.mark.parametrize("how", ["inner", "left", "right", "full"])
def test_join(job, how):
    found = lineage(
        job,
        job.add(
            Join(job.scan("t"), job.scan("u"), how, call("eq", ColumnRef("a"), ColumnRef("x")))
        ),
    )
    assert found.values["y"] == origins("u.y")
    assert found.rows == origins("t.a", "u.x")
    assert found.datasets == {"a.t", "a.u"}


@pytest.mark.parametrize("how", ["semi", "anti"])
def test_what_a_semi_join_looks_up_influences(job, how):
    found = lineage(
        job,
        job.add(
            Join(job.scan("t"), job.scan("u"), how, call("eq", ColumnRef("a"), ColumnRef("x")))
        ),
    )
    assert set(found.values) == {"a", "b", "c"}
    assert found.influences >= origins("u.x")
    assert found.datasets == {"a.t", "a.u"}


def test_cross_join_depends_on_the_other_table(job):
    node = job.add(Join(job.scan("t"), job.scan("u"), "cross", None))
    found = lineage(job, job.add(Project(node, named(a=ColumnRef("a")))))
    assert found.values == {"a": origins("t.a")}
    assert found.datasets == {"a.t", "a.u"}


def test_aggregate(job):
    columns = (
        AggregateColumn("n", "count_star", ()),
        AggregateColumn("s", "sum", (ColumnRef("b"),), where=call("is_null", ColumnRef("c"))),
    )
    found = lineage(job, job.add(Aggregate(job.scan("t"), ("a",), columns)))
    assert found.values == {"a": origins("t.a"), "n": frozenset(), "s": origins("t.b", "t.c")}
    assert found.rows == origins("t.a")
    assert found.of("n") == origins("t.a")


def test_a_bare_count_has_its_dataset(job):
    found = lineage(
        job, job.add(Aggregate(job.scan("t"), (), (AggregateColumn("n", "count_star", ()),)))
    )
    assert (found.influences, found.datasets) == (frozenset(), {"a.t"})


@pytest.mark.parametrize(
    "operation",
    [
        lambda source: Sort(source, (SortKey(ColumnRef("a"), False, False),)),
        lambda source: Limit(source, 3),
        Distinct,
    ],
)
def test_order_and_choice_tell_of_all_columns(job, operation):
    found = lineage(job, job.add(operation(job.scan("t", "a", "b"))))
    assert found.rows == origins("t.a", "t.b")
    assert found.values["a"] == origins("t.a")


def test_union_goes_by_place(job):
    found = lineage(job, job.add(Union((job.scan("t", "a", "b"), job.scan("u", "y", "x")))))
    assert found.values == {"a": origins("t.a", "u.y"), "b": origins("t.b", "u.x")}
    assert found.datasets == {"a.t", "a.u"}


def learned(job, **changes):
    kept = job.add(Filter(job.scan("t"), call("is_not_null", ColumnRef("a"))))
    matrix = job.add(Matrix((kept,), ("b",), label="c"))
    renamed = job.add(
        Project(job.scan("u"), named(b=ColumnRef("x"), c=ColumnRef("y"), a=ColumnRef("y")))
    )
    other = job.add(Matrix((renamed,), ("b",), label="c"))
    given = {"matrix": matrix, "parameters": (), "num_boost_round": 2, **changes}
    if given.pop("evaluate", False):
        given["evaluations"] = (Evaluation("e", other),)
    return job.add(Train(**given)), other


def test_a_model_derives_from_all_it_was_trained_on(job):
    model, _ = learned(job)
    found = lineage(job, model)
    assert found.values == {MODEL: origins("t.b", "t.c")}
    assert found.rows == origins("t.a")
    assert found.datasets == {"a.t"}


def test_evaluation_sets_influence_a_model(job):
    model, _ = learned(job, evaluate=True, stopping=Stopping(1))
    found = lineage(job, model)
    assert found.influences == origins("t.a", "t.b", "t.c", "u.x", "u.y")
    assert found.datasets == {"a.t", "a.u"}


def test_a_prediction_derives_from_the_model_and_the_row(job):
    model, other = learned(job)
    found = lineage(job, job.add(Predict(model, other, ("a",))))
    assert found.values == {"a": origins("u.y"), "prediction": origins("t.b", "t.c", "u.x", "u.y")}
    assert found.rows == origins("t.a")
    assert found.datasets == {"a.t", "a.u"}


def test_a_history_derives_from_training_and_evaluation(job):
    model, _ = learned(job, evaluate=True)
    found = lineage(job, job.add(History(model)))
    assert found.values["value"] == origins("t.b", "t.c", "u.x", "u.y")


def test_a_weight_influences(job):
    matrix = job.add(Matrix((job.scan("t"),), ("a",), label="b", weight="c"))
    found = lineage(job, job.add(Train(matrix, (), 1)))
    assert found.influences == origins("t.a", "t.b", "t.c")
