from dataclasses import replace

import pytest
from tests.support.plans import Job, Source, schema

from mc2.errors import PlanError
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.infer_models import prediction_names
from mc2.plan.models import Evaluation, History, Matrix, Predict, Stopping, Train
from mc2.plan.parameters import parameters
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Distinct,
    Filter,
    Join,
    Limit,
    NamedExpression,
    Project,
    Scan,
    Sort,
    SortKey,
    Union,
)
from mc2.plan.shapes import NO_USEFUL_BOUND
from mc2.plan.types import BOOLEAN, INT64

LEFT = schema(a="int64!", b="string", l="list<int8>")
RIGHT = schema(c="int64", d="double!")


class Shapes(Job):
    def __init__(self, left=10, right=20):
        super().__init__(left=Source(LEFT, []), right=Source(RIGHT, []))
        bounds = {"a.left": left, "a.right": right}
        self.inputs = tuple(replace(i, row_bound=bounds[i.dataset]) for i in self.inputs)
        self.builder = PlanBuilder(self.inputs)
        self.left, self.right = self.scan("left"), self.scan("right")

    def bound(self, operation):
        return self.builder.shape(self.add(operation)).row_bound

    def columns(self, operation):
        found = self.builder.schema(self.add(operation)).columns
        return " ".join(f"{c.name}:{c.type}{'' if c.nullable else '!'}" for c in found)


@pytest.fixture
def job():
    return Shapes()


def on():
    return call("eq", ColumnRef("a"), ColumnRef("c"))


def refused(job, operation, match):
    with pytest.raises(PlanError, match=match):
        job.add(operation)


def test_scan(job):
    assert job.columns(Scan(0, ("b", "a"))) == "b:string a:int64!"
    assert job.bound(Scan(0, ("b",))) == 10
    refused(job, Scan(0, ("z",)), "no column 'z'")
    refused(job, Scan(2, ("a",)), "no input 2")
    refused(job, Scan(0, ("a", "a")), "one name")
    refused(job, Scan(0, ()), "1 to")


def test_project(job):
    one = NamedExpression("one", literal(1, INT64))
    assert (
        job.columns(Project(job.left, (one, NamedExpression("l", ColumnRef("l")))))
        == "one:int64! l:list<int8>"
    )
    refused(job, Project(job.left, ()), "1 to")
    refused(job, Project(job.left, (one, NamedExpression("ONE", ColumnRef("a")))), "one name")
    refused(job, Project(job.left, (NamedExpression("", ColumnRef("a")),)), "empty")
    refused(job, Project(job.left, (NamedExpression("a\n", ColumnRef("a")),)), "control")


def test_filter(job):
    assert job.bound(Filter(job.left, call("is_null", ColumnRef("b")))) == 10
    refused(job, Filter(job.left, ColumnRef("a")), "not boolean")


@pytest.mark.parametrize(
    ("how", "bound", "columns"),
    [
        ("inner", 200, "a:int64! b:string l:list<int8> c:int64 d:double!"),
        ("left", 200, "a:int64! b:string l:list<int8> c:int64 d:double"),
        ("right", 200, "a:int64 b:string l:list<int8> c:int64 d:double!"),
        ("full", 200, "a:int64 b:string l:list<int8> c:int64 d:double"),
        ("semi", 10, "a:int64! b:string l:list<int8>"),
        ("anti", 10, "a:int64! b:string l:list<int8>"),
    ],
)
def test_join(job, how, bound, columns):
    operation = Join(job.left, job.right, how, on())
    assert (job.bound(operation), job.columns(operation)) == (bound, columns)


@pytest.mark.parametrize(("how", "bound"), [("inner", 0), ("left", 10), ("right", 0), ("full", 10)])
def test_join_with_an_empty_side(how, bound):
    job = Shapes(right=0)
    assert job.bound(Join(job.left, job.right, how, on())) == bound


def test_full_join_of_two_single_rows():
    job = Shapes(left=1, right=1)
    assert job.bound(Join(job.left, job.right, "full", on())) == 2


def test_cross_join(job):
    assert job.bound(Join(job.left, job.right, "cross", None)) == 200
    refused(job, Join(job.left, job.right, "cross", on()), "no condition")
    refused(job, Join(job.left, job.right, "inner", None), "no condition")
    refused(job, Join(job.left, job.left, "cross", None), "one name")
    refused(job, Join(job.left, job.right, "inner", ColumnRef("a")), "not boolean")


def test_bounds_are_exact_up_to_the_cap():
    job = Shapes(left=2**40, right=2**20)
    node = job.add(Join(job.left, job.right, "cross", None))
    assert job.builder.shape(node).row_bound == 2**60
    renamed = tuple(NamedExpression(f"r{i}", ColumnRef(c)) for i, c in enumerate("abcd"))
    other = job.add(Project(node, renamed))
    assert job.bound(Join(node, other, "cross", None)) == NO_USEFUL_BOUND


def test_aggregate(job):
    n = AggregateColumn("n", "count_star", ())
    top = AggregateColumn("top", "max", (ColumnRef("a"),))
    some = AggregateColumn("some", "max", (ColumnRef("a"),), where=call("is_null", ColumnRef("b")))
    assert (
        job.columns(Aggregate(job.left, ("b",), (n, top, some)))
        == "b:string n:int64! top:int64! some:int64"
    )
    assert job.columns(Aggregate(job.left, (), (n, top))) == "n:int64! top:int64"
    assert job.bound(Aggregate(job.left, ("b",), ())) == 10
    assert job.bound(Aggregate(job.left, (), (n,))) == 1
    refused(job, Aggregate(job.left, (), ()), "neither keys nor")
    assert job.columns(Aggregate(job.left, ("l",), (n,))) == "l:list<int8> n:int64!"
    refused(job, Aggregate(job.left, ("z",), (n,)), "no column")
    refused(job, Aggregate(job.left, ("b", "b"), (n,)), "one name")
    refused(
        job,
        Aggregate(job.left, (), (AggregateColumn("n", "count_star", (), distinct=True),)),
        "DISTINCT",
    )
    count = AggregateColumn("n", "count", (ColumnRef("l"),), distinct=True)
    assert job.columns(Aggregate(job.left, (), (count,))) == "n:int64!"
    where = AggregateColumn("n", "count_star", (), where=ColumnRef("a"))
    refused(job, Aggregate(job.left, (), (where,)), "not boolean")


def test_sort_limit_distinct(job):
    key = SortKey(ColumnRef("a"), descending=True, nulls_first=False)
    assert job.bound(Sort(job.left, (key,))) == 10
    refused(job, Sort(job.left, ()), "no keys")
    assert job.bound(Sort(job.left, (SortKey(ColumnRef("l"), False, False),))) == 10
    refused(job, Sort(job.left, (SortKey(literal(1, INT64), False, False),)), "orders nothing")
    assert job.bound(Limit(job.left, 3, 0)) == 3
    assert job.bound(Limit(job.left, 30, 4)) == 6
    assert job.bound(Limit(job.left, None, 30)) == 0
    assert job.bound(Distinct(job.right)) == 20
    assert job.bound(Distinct(job.left)) == 10


def test_union(job):
    sure = job.add(Project(job.right, (NamedExpression("x", ColumnRef("d")),)))
    other = job.add(
        Project(job.right, (NamedExpression("y", call("nullif", ColumnRef("d"), ColumnRef("d"))),))
    )
    assert job.columns(Union((sure, other))) == "x:double"
    assert job.bound(Union((sure, other, sure))) == 60
    refused(job, Union((sure,)), "at least two")
    refused(job, Union(()), "at least two")
    refused(job, Union((sure, job.left)), "types of the first")


def test_references(job):
    yes = literal(True, BOOLEAN)
    refused(job, Filter(2, yes), "node 2, which does not come before")
    refused(job, Filter(-1, yes), "node -1, which does not come before")
    matrix = job.add(Matrix((job.right,), ("c",), "d"))
    refused(job, Filter(matrix, yes), r"node 2 as a table: it is a matrix")
    refused(job, History(matrix), "as a model: it is a matrix")
    refused(job, Train(job.right, (), 1), "as a matrix: it is a table")


def test_equal_operations_are_one_node(job):
    assert job.add(Distinct(job.right)) == job.add(Distinct(job.right))


# --- models


def matrix(job, **changes):
    given = {"sources": (job.right,), "features": ("c",), "label": "d", **changes}
    return Matrix(**given)


def test_matrix(job):
    shape = job.builder.shape(job.add(matrix(job, sources=(job.right, job.right))))
    assert shape.row_bound == 40
    assert [(f.name, f.kind) for f in shape.features] == [("c", "int")]
    refused(job, matrix(job, sources=()), "at least one source")
    refused(job, matrix(job, features=()), "one feature")
    refused(job, matrix(job, features=("z",)), "no column 'z'")
    refused(job, matrix(job, features=("c", "c")), "stands twice")
    refused(job, matrix(job, features=("d",)), "stands twice")
    refused(job, matrix(job, weight="d"), "stands twice")
    refused(job, matrix(job, categorical=("d",)), "categorical")
    refused(job, matrix(job, missing="-999"), "one exact spelling")
    text = Matrix((job.left,), ("b",))
    refused(job, text, "a feature is a number or a category")
    assert (
        job.builder.shape(job.add(Matrix((job.left,), ("b",), categorical=("b",)))).features[0].kind
        == "c"
    )
    refused(
        job, Matrix((job.right,), ("d",), categorical=("d",)), "categories are text or integers"
    )
    refused(job, Matrix((job.left,), ("a",), label="b"), "labels and weights are numbers")
    refused(job, Matrix((job.left, job.right), ("a",)), "no column in common")
    bad = job.add(Project(job.right, (NamedExpression("x<y", ColumnRef("d")),)))
    refused(job, Matrix((bad,), ("x<y",)), "no feature named")


def train(job, settings=None, **changes):
    given = {
        "matrix": job.add(matrix(job)),
        "parameters": parameters(settings or {}),
        "num_boost_round": 5,
    }
    return Train(**given | changes)


@pytest.mark.parametrize(
    ("settings", "margins", "values"),
    [
        ({}, 1, 1),
        ({"objective": "binary:logistic"}, 1, 1),
        ({"objective": "multi:softprob", "num_class": 3}, 3, 3),
        ({"objective": "multi:softmax", "num_class": 3}, 3, 1),
        ({"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.9]}, 2, 2),
    ],
)
def test_train(job, settings, margins, values):
    shape = job.builder.shape(job.add(train(job, settings)))
    assert (shape.margins, shape.values) == (margins, values)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"objective": "multi:softmax"}, "num_class goes with"),
        ({"num_class": 3}, "num_class goes with"),
        ({"objective": "reg:quantileerror"}, "quantile_alpha goes with"),
        ({"quantile_alpha": 0.5}, "quantile_alpha goes with"),
        ({"monotone_constraints": [1, 1]}, "one sign for each feature"),
    ],
)
def test_train_refuses_parameters_that_do_not_fit(job, settings, match):
    refused(job, train(job, settings), match)


def test_train_refuses(job):
    unlabelled = job.add(matrix(job, label=None))
    other = job.add(Matrix((job.right,), ("d",), "c"))
    own = job.add(matrix(job))
    refused(job, train(job, matrix=unlabelled), "no label")
    refused(job, train(job, stopping=Stopping(3)), "needs an evaluation set")
    refused(job, train(job, evaluations=(Evaluation("e", other),)), "not the features")
    refused(job, train(job, evaluations=(Evaluation("e", unlabelled),)), "has no label")
    refused(job, train(job, evaluations=(Evaluation("e", own),) * 2), "distinct names")
    refused(job, train(job, evaluations=(Evaluation("a:b", own),)), "distinct names")
    words = job.add(Matrix((job.left,), ("b",), "a", categorical=("b",)))
    refused(job, train(job, {"tree_method": "exact"}, matrix=words), "exact takes no categorical")


def test_predict(job):
    model = job.add(train(job, {"objective": "multi:softprob", "num_class": 2}))
    rows = job.add(matrix(job, label=None))
    assert (
        job.columns(Predict(model, rows, ("d",)))
        == "d:double! prediction_0:float! prediction_1:float!"
    )
    assert job.columns(Predict(model, rows, name="p", what="leaf")) == "p:list<int32>!"
    assert job.bound(Predict(model, rows)) == 20
    refused(job, Predict(model, rows, ("z",)), "no column 'z'")
    refused(job, Predict(job.add(train(job)), rows, ("d",), name=""), "empty")
    refused(job, Predict(model, rows, rounds="best"), "early stopping")
    refused(job, Predict(model, job.add(Matrix((job.right,), ("d",)))), "not the features")
    clash = job.add(
        Project(
            job.right, (NamedExpression("c", ColumnRef("c")), NamedExpression("p", ColumnRef("d")))
        )
    )
    one = job.add(train(job))
    refused(job, Predict(one, job.add(Matrix((clash,), ("c",))), ("p",), "P"), "one name")
    assert prediction_names(Predict(one, rows), job.builder.shape(one)) == ("prediction",)


def test_history(job):
    own = job.add(matrix(job))
    model = job.add(
        train(job, {"eval_metric": ["rmse", "mae"]}, evaluations=(Evaluation("e", own),))
    )
    assert (
        job.columns(History(model))
        == "round:int32! evaluation:string! metric:string! value:double!"
    )
    assert job.bound(History(model)) == 10
    refused(job, History(job.add(train(job))), "no history")
