"""What oblivious training has in common with stock XGBoost beyond its core, held to stock."""

import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import xgboost
from tests.support.oblivious import opened
from tests.support.oblivious_plans import obliviously
from tests.support.plans import LIMITS, Job, Source, schema

from mc2.engine.oblivious.run import execute
from mc2.engine.run import execute as execute_fast
from mc2.errors import EngineError, PlanError
from mc2.operators.run import Run
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.models import (
    Categories,
    Controls,
    Evaluation,
    History,
    Matrix,
    Predict,
    Stopping,
    Train,
)
from mc2.plan.parameters import parameters
from mc2.plan.relations import Filter
from mc2.plan.types import STRING

KEY = bytes(range(32))
COLUMNS = {"id": "int64!", "s": "string", "k": "int32", "x": "double", "d": "decimal(9,2)",
           "y": "double!", "w": "float!"}  # fmt: skip
COLOURS = ("blue", "green", "red")
LOGISTIC = {"objective": "binary:logistic", "max_depth": 3, "eta": 0.5}
KINDS = (Categories("k", count=5), Categories("s", COLOURS))


def rows(count, seed=0, classes=2):
    rng = np.random.default_rng(seed)
    found = []
    for place in range(count):
        colour = COLOURS[rng.integers(3)] if rng.random() < 0.9 else None
        kind = int(rng.integers(5)) if rng.random() < 0.9 else None
        x, price = float(rng.normal()), Decimal(int(rng.integers(-400, 400))) / 100
        score = x + (colour == "red") - (kind == 3) + float(price) / 2 + rng.normal() / 2
        y = float(np.digitize(score, [0.0] if classes == 2 else [-0.5, 1.5]))
        found.append((place, colour, kind, x, price, y, float(rng.integers(1, 4))))
    return found


def job(count=300, seed=0, classes=2):
    return Job(t=Source(schema(**COLUMNS), rows(count, seed, classes)))


def run(made, model=None, **outputs):
    nodes = outputs if model is None else {**outputs, "model": model}
    checked, sources = obliviously(made.plan(**nodes), made)
    trace = Run(record=True)
    found = execute(checked, sources, lambda _: None, trace, key=KEY)
    said = {n: opened(o) for n, o in found.items() if n in outputs}
    return said, found["model"].raw if model is not None else None, trace


def metrics(table, name):
    values = [r["value"] for r in table.to_pylist() if r["metric"] == name]
    return np.array(values)


def frame(table, order=COLOURS):
    """The features as pandas has them; `order` is that of the names of its own categories."""
    colours = pd.Categorical(table.column("s").to_pylist(), categories=list(order))
    kinds = pd.array(table.column("k").to_pylist(), dtype="Int32").to_numpy(float, na_value=np.nan)
    return pd.DataFrame({"s": colours, "k": kinds, "x": table.column("x").to_numpy()})


# --- the area under the curve


@pytest.mark.parametrize("classes", [2, 3])
def test_areas_are_those_of_stock(classes):
    made = job(400, classes=classes)
    own = made.add(Matrix((made.scan("t"),), ("x",), label="y", weight="w"))
    settings = {"max_depth": 2, "eval_metric": ["auc"], "max_bin": 8}
    settings |= {"objective": "binary:logistic"} if classes == 2 else {
        "objective": "multi:softprob", "num_class": 3
    }  # fmt: skip
    model = made.add(Train(own, parameters(settings), 4, (Evaluation("own", own),)))
    said, raw, trace = run(made, model, history=made.add(History(model)))
    table = made.sources["a.t"].table
    booster = xgboost.Booster(model_file=bytearray(raw))
    x = table.column("x").to_numpy().reshape(-1, 1)
    data = xgboost.DMatrix(
        x, table.column("y").to_numpy(), weight=table.column("w").to_numpy(), feature_names=["x"]
    )
    booster.set_param({"eval_metric": "auc"})
    theirs = [float(booster[: i + 1].eval(data).rsplit(":", 1)[1]) for i in range(4)]
    assert metrics(said["history"], "auc") == pytest.approx(theirs, abs=1e-6)
    assert trace.declassified.count("metrics are an output") == 2 * 4


def test_areas_of_tied_margins_count_half():
    made = job(60)
    own = made.add(Matrix((made.scan("t"),), ("x",), label="y"))
    settings = {**LOGISTIC, "eval_metric": "auc", "eta": 0.0}
    model = made.add(Train(own, parameters(settings), 1, (Evaluation("own", own),)))
    said, _, _ = run(made, history=made.add(History(model)))
    assert metrics(said["history"], "auc").tolist() == [0.5]


def test_more_area_is_better():
    made = job(150)
    own = made.add(Matrix((made.scan("t"),), ("x", "d"), label="y"))
    settings = parameters({**LOGISTIC, "eval_metric": ["auc", "logloss"], "max_depth": 6})
    sets = (Evaluation("a", own), Evaluation("b", own))
    stopping = Stopping(3, metric="auc", evaluation="a", min_delta="0.001")
    model = made.add(Train(own, settings, 60, sets, stopping))
    said, raw, _ = run(made, model, history=made.add(History(model)))
    values = metrics(said["history"], "auc")[::2]
    booster = xgboost.Booster(model_file=bytearray(raw))
    best, at = -1.0, 0
    for place, value in enumerate(values):
        if value - 0.001 > best:
            best, at = value, place
    assert (booster.best_iteration, booster.best_score) == (at, best)
    assert len(values) == at + 4 < 60


def test_areas_need_classes():
    made = Job(t=Source(schema(x="double", y="double!"), [(0.0, 0.5), (1.0, 1.0), (2.0, 0.0)]))
    own = made.add(Matrix((made.scan("t"),), ("x",), label="y"))
    settings = parameters({**LOGISTIC, "eval_metric": "auc"})
    model = made.add(Train(own, settings, 1, (Evaluation("own", own),)))
    with pytest.raises(EngineError, match="domain"):
        run(made, history=made.add(History(model)))


# --- where classes start, weights, learning rates, decimals


@pytest.mark.parametrize("weight", [None, "w"])
def test_classes_start_where_those_of_stock_do(weight):
    made = job(500, classes=3)
    own = made.add(Matrix((made.scan("t"),), ("x",), label="y", weight=weight))
    settings = {"objective": "multi:softprob", "num_class": 3, "eta": 0.0}
    model = made.add(Train(own, parameters(settings), 1))
    said, _, _ = run(made, margin=made.add(Predict(model, own, what="margin")))
    table = made.sources["a.t"].table
    weights = None if weight is None else table.column("w").to_numpy()
    x = table.column("x").to_numpy().reshape(-1, 1)
    data = xgboost.DMatrix(x, table.column("y").to_numpy(), weight=weights)
    theirs = xgboost.train(settings, data, 1).predict(data, output_margin=True)
    mine = np.column_stack(said["margin"].columns)
    assert np.allclose(mine, theirs, atol=2e-6)


def test_learning_rates_may_change():
    made = job(200)
    own = made.add(Matrix((made.scan("t"),), ("x", "d"), label="y"))
    trained = [
        made.add(Train(own, parameters({**LOGISTIC, "eta": eta}), 2, learning_rates=rates))
        for eta, rates in ((0.3, ("0.5", "0.5")), (0.5, ()), (0.5, ("0.5", "0.0")))
    ]
    said, _, _ = run(made, **{f"m{i}": made.add(Predict(m, own)) for i, m in enumerate(trained)})
    assert said["m0"].equals(said["m1"])
    assert not said["m0"].equals(said["m2"])
    once = made.add(Train(own, parameters(LOGISTIC), 1))
    again, _, _ = run(made, m=made.add(Predict(once, own)))
    assert again["m"].equals(said["m2"])


def test_decimals_are_learnt_from_as_numbers():
    made = job(200)
    own = made.add(Matrix((made.scan("t"),), ("d",), label="y"))
    model = made.add(Train(own, parameters(LOGISTIC), 3))
    said, raw, _ = run(made, model, p=made.add(Predict(model, own, keep=("d",), what="margin")))
    x = np.array([float(d) for d in said["p"].column("d").to_pylist()]).reshape(-1, 1)
    data = xgboost.DMatrix(x, feature_names=["d"])
    theirs = xgboost.Booster(model_file=bytearray(raw)).predict(data, output_margin=True)
    assert said["p"].column("prediction").to_numpy().tobytes() == theirs.tobytes()


# --- categories


def test_categories_are_known_by_name_and_number_in_stock():
    made = job(400)
    own = made.add(
        Matrix((made.scan("t"),), ("s", "k", "x"), label="y", categorical=("s", "k"),
               categories=(KINDS[0], KINDS[1]))
    )  # fmt: skip
    model = made.add(Train(own, parameters({**LOGISTIC, "max_cat_to_onehot": 100}), 8))
    said, raw, trace = run(
        made, model, p=made.add(Predict(model, own, keep=("s", "k", "x", "y"), what="margin"))
    )
    booster = xgboost.Booster(model_file=bytearray(raw))
    types = ["c", "c", "float"]
    mine = said["p"].column("prediction").to_numpy()
    for order in (COLOURS, COLOURS[::-1]):
        table = frame(said["p"], order)
        data = xgboost.DMatrix(table, enable_categorical=True, feature_types=types)
        assert mine.tobytes() == booster.predict(data, output_margin=True).tobytes()
    split = json.loads(raw)["learner"]["gradient_booster"]["model"]["trees"]
    assert any(any(tree["split_type"]) for tree in split)
    data.set_label(said["p"].column("y").to_numpy())
    theirs = xgboost.train({**LOGISTIC, "max_cat_to_onehot": 100}, data, 8)
    loss = [
        float(b.eval(data).rsplit(":", 1)[1]) for b in (booster, theirs)
    ]  # both on the rows that they were trained on
    assert loss[0] == pytest.approx(loss[1], rel=0.02)
    assert "the model is an output" in trace.declassified


def test_both_modes_refuse_a_category_that_is_not_declared():
    for categories in (
        (KINDS[0], Categories("s", ("blue", "red"))),
        (Categories("k", count=4), KINDS[1]),
    ):
        made = job(60)
        own = made.add(
            Matrix((made.scan("t"),), ("s", "k"), label="y", categorical=("s", "k"),
                   categories=categories)
        )  # fmt: skip
        model = made.add(Train(own, parameters(LOGISTIC), 1))
        plan = made.plan(p=made.add(Predict(model, own)))
        with pytest.raises(EngineError, match="declares"):
            execute_fast(check_plan(plan), made.sources, LIMITS, lambda _: None)
        checked, sources = obliviously(plan, made)
        with pytest.raises(EngineError, match="domain"):
            execute(checked, sources, lambda _: None, key=KEY)


def test_rows_that_a_filter_drops_may_have_other_categories():
    made = job(90)
    red = call("eq", ColumnRef("s"), literal("red", STRING))
    kept = made.add(Filter(made.scan("t"), call("or", red, call("is_null", ColumnRef("s")))))
    own = made.add(
        Matrix(
            (kept,), ("s",), label="y", categorical=("s",), categories=(Categories("s", ("red",)),)
        )
    )
    model = made.add(Train(own, parameters(LOGISTIC), 1))
    said, _, _ = run(made, p=made.add(Predict(model, own, keep=("s",))))
    assert set(said["p"].column("s").to_pylist()) == {"red", None}


def test_sets_have_the_categories_of_the_matrix():
    made = job(20)
    scan = made.scan("t")
    one, other = (
        made.add(Matrix((scan,), ("k",), label="y", categorical=("k",),
                        categories=(Categories("k", count=n),)))
        for n in (5, 6)
    )  # fmt: skip
    with pytest.raises(PlanError, match="features"):
        made.add(Train(one, parameters(LOGISTIC), 1, (Evaluation("other", other),)))


# --- going on from a model


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob"])
def test_going_on_gives_the_model_of_one_training(objective):
    classes = 3 if objective.startswith("multi") else 2
    made = job(250, classes=classes)
    own = made.add(Matrix((made.scan("t"),), ("x", "d"), label="y", weight="w"))
    settings = {"objective": objective, "max_depth": 3}
    settings |= {"num_class": 3} if classes == 3 else {}
    sets = (Evaluation("own", own),)
    first = made.add(Train(own, parameters(settings), 3, sets))
    second = made.add(Train(own, parameters(settings), 4, sets, start=first))
    once = made.add(Train(own, parameters(settings), 7, sets))
    told = {
        n: made.add(History(m)) for n, m in (("first", first), ("second", second), ("once", once))
    }
    said, raw, _ = run(made, second, **told)
    assert run(made, once)[1] == raw
    values = said["once"].column("value").to_pylist()
    assert (
        values
        == said["first"].column("value").to_pylist() + said["second"].column("value").to_pylist()
    )


def test_best_rounds_count_from_the_first_model():
    made = job(200)
    own = made.add(Matrix((made.scan("t"),), ("x",), label="y"))
    first = made.add(Train(own, parameters(LOGISTIC), 3))
    sets = (Evaluation("own", own),)
    settings = parameters({**LOGISTIC, "gamma": 1000.0})  # no split: nothing gets better
    second = made.add(Train(own, settings, 9, sets, Stopping(2, save_best=True), start=first))
    _, raw, _ = run(made, second)
    booster = xgboost.Booster(model_file=bytearray(raw))
    assert booster.best_iteration == booster.num_boosted_rounds() - 1 >= 3


@pytest.mark.parametrize("change", [{"max_depth": 4}, {"objective": "reg:squarederror"}])
def test_going_on_with_other_trees_is_refused(change):
    made = job(20)
    own = made.add(Matrix((made.scan("t"),), ("x",), label="y"))
    first = made.add(Train(own, parameters(LOGISTIC), 1))
    second = made.add(Train(own, parameters({**LOGISTIC, **change}), 1, start=first))
    with pytest.raises(PlanError, match="another"):
        obliviously(made.plan(model=second), made)


# --- rules on leaves


@pytest.mark.parametrize(("rows_a_leaf", "fails"), [(5, False), (40, True)])
def test_leaves_have_enough_rows(rows_a_leaf, fails):
    made = job(200)
    own = made.add(Matrix((made.scan("t"),), ("x", "d"), label="y"))
    settings = parameters({**LOGISTIC, "min_child_weight": 2.0})
    model = made.add(Train(own, settings, 2, controls=Controls(rows_a_leaf, 0)))
    if fails:
        with pytest.raises(EngineError, match="leaf of a model has fewer rows"):
            run(made, model)
        return
    _, raw, _ = run(made, model)
    table = made.sources["a.t"].table
    x = np.column_stack([table.column("x"), [float(d) for d in table.column("d").to_pylist()]])
    data = xgboost.DMatrix(x, feature_names=["x", "d"])
    leaves = xgboost.Booster(model_file=bytearray(raw)).predict(data, pred_leaf=True)
    assert min(np.unique(tree, return_counts=True)[1].min() for tree in leaves.T) >= rows_a_leaf


@pytest.mark.parametrize(("other", "fails"), [(0, False), (1, True)])
def test_leaves_have_rows_of_enough_owners(other, fails):
    columns = schema(x="double", y="double!", w="double!")
    own = [(float(i % 2), float(i % 2), 1.0) for i in range(40)]
    # Of the second owner some rows reach the leaf of x = 1, but weigh nothing there.
    theirs = [(float(i % 2), float(i % 2), float(i % 2 == 0 or not other)) for i in range(40)]
    made = Job(a=Source(columns, own), b=Source(columns, theirs))
    both = (made.scan("a"), made.scan("b"))
    matrix = made.add(Matrix(both, ("x",), label="y", weight="w"))
    model = made.add(Train(matrix, parameters(LOGISTIC), 1, controls=Controls(0, 2)))
    mine, others = made.inputs
    made.inputs = (mine, replace(others, dataset="b.b", owner="b"))
    made.sources["b.b"] = made.sources.pop("a.b")
    if fails:
        with pytest.raises(EngineError, match="fewer owners"):
            run(made, model)
    else:
        run(made, model)


# --- what shows


@pytest.mark.parametrize("classes", [2, 3])
def test_runs_over_data_of_one_shape_look_alike(classes):
    def record(seed):
        made = job(70, seed, classes)
        own = made.add(
            Matrix(
                (made.scan("t"),), ("s", "k", "d"), label="y", weight="w", categorical=("s", "k"),
                categories=KINDS,
            )
        )  # fmt: skip
        settings = {"max_depth": 2, "eval_metric": ["auc"], "subsample": 0.5}
        settings |= {"objective": "binary:logistic"} if classes == 2 else {
            "objective": "multi:softprob", "num_class": 3
        }  # fmt: skip
        whole = parameters({**settings, "subsample": 1.0, "gamma": 1000.0})
        first = made.add(Train(own, whole, 1, controls=Controls(2, 0)))
        sets = (Evaluation("own", own),)
        model = made.add(Train(own, parameters(settings), 2, sets, start=first))
        _, _, trace = run(made, p=made.add(Predict(model, own)), h=made.add(History(model)))
        return trace.calls, trace.declassified

    assert record(1) == record(2)
