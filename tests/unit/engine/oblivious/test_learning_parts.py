"""Leaves, ranges of rounds, parts of models and cross-validation in oblivious plans."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import xgboost
from tests.support.oblivious import opened
from tests.support.oblivious_plans import obliviously
from tests.support.plans import Job, Source, schema

from mc2.engine.oblivious.run import execute
from mc2.engine.oblivious.validating import parts_of_places
from mc2.errors import EngineError, PlanError
from mc2.operators.run import Run
from mc2.plan.models import (
    Annotate,
    CrossValidate,
    Evaluation,
    Matrix,
    Predict,
    Slice,
    Stopping,
    Train,
)
from mc2.plan.parameters import parameters

KEY = bytes(range(32))
COLUMNS = {"id": "int64!", "x": "double", "z": "double!", "y": "double!"}
LOGISTIC = {"objective": "binary:logistic", "max_depth": 3, "eta": 0.5}
CLASSES = {"objective": "multi:softprob", "num_class": 3, "max_depth": 2}


def rows(count, seed=0, classes=2):
    rng = np.random.default_rng(seed)
    found = []
    for place in range(count):
        x, z = float(rng.normal()), float(rng.normal())
        score = 2 * x - z + rng.normal() / 2
        y = float(np.digitize(score, [0.0] if classes == 2 else [-1.0, 1.0]))
        found.append((place, x if rng.random() < 0.9 else None, z, y))
    return found


def job(count=120, seed=0, classes=2):
    return Job(t=Source(schema(**COLUMNS), rows(count, seed, classes)))


def trained(made, settings=LOGISTIC, rounds=4, **more):
    own = made.add(Matrix((made.scan("t"),), ("x", "z"), label="y"))
    return own, made.add(Train(own, parameters(settings), rounds, **more))


def run(made, **nodes):
    checked, sources = obliviously(made.plan(**nodes), made)
    trace = Run(record=True)
    found = execute(checked, sources, lambda _: None, trace, key=KEY)
    return {n: o.raw if hasattr(o, "raw") else opened(o) for n, o in found.items()}, trace


def stock(raw, table):
    x = np.column_stack([table.column(n).to_numpy(zero_copy_only=False) for n in ("x", "z")])
    data = xgboost.DMatrix(x.astype(np.float64), feature_names=["x", "z"])
    return xgboost.Booster(model_file=bytearray(raw)), data


@pytest.mark.parametrize(
    ("settings", "classes"),
    [
        (LOGISTIC, 2),
        ({**LOGISTIC, "gamma": 3.0, "min_child_weight": 3.0, "max_depth": 5}, 2),
        (CLASSES, 3),
    ],
)
def test_leaves_are_those_of_the_released_model_in_stock_xgboost(settings, classes):
    made = job(classes=classes)
    own, model = trained(made, settings)
    leaves = made.add(Predict(model, own, keep=("x", "z"), what="leaf", name="leaf"))
    early = made.add(Predict(model, own, what="leaf", name="leaf", last=2))
    said, _ = run(made, model=model, leaves=leaves, early=early)
    booster, data = stock(said["model"], said["leaves"])
    found = np.array(said["leaves"].column("leaf").to_pylist())
    assert (found == booster.predict(data, pred_leaf=True)).all()
    assert len(np.unique(found)) > 3
    count = 2 if classes == 2 else 6
    assert np.array(said["early"].column("leaf").to_pylist()).tolist() == found[:, :count].tolist()


def test_a_range_of_rounds_gives_what_the_released_model_gives():
    made = job()
    own, model = trained(made)
    asked = [
        made.add(Predict(model, own, keep=("x", "z"), what=what, name="p", first=1, last=3))
        for what in ("margin", "value")
    ]
    said, _ = run(made, model=model, margin=asked[0], value=asked[1])
    booster, data = stock(said["model"], said["margin"])
    wanted = booster.predict(data, output_margin=True, iteration_range=(1, 3))
    assert said["margin"].column("p").to_numpy().tobytes() == wanted.tobytes()
    values = booster.predict(data, iteration_range=(1, 3))
    assert np.abs(said["value"].column("p").to_numpy() - values).max() < 2e-6


def test_parts_of_models_are_those_of_stock_xgboost():
    made = job()
    own, model = trained(made, rounds=6)
    part = made.add(Annotate(made.add(Slice(model, 0, 6, 2)), (("made", "up"),)))
    said, trace = run(
        made, whole=model, part=part, p=made.add(Predict(part, own, ("x", "z"), what="margin"))
    )
    booster, data = stock(said["whole"], said["p"])
    wanted = booster[0:6:2].predict(data, output_margin=True)
    assert said["p"].column("prediction").to_numpy().tobytes() == wanted.tobytes()
    found, _ = stock(said["part"], said["p"])
    assert found.num_boosted_rounds() == 3
    assert found.attributes() == {"made": "up"}
    assert found.predict(data, output_margin=True).tobytes() == wanted.tobytes()
    assert "the model is an output" in trace.declassified


def test_a_model_of_which_a_part_is_released_shows_nothing_else():
    made = job(60)
    _, model = trained(made)
    part = made.add(Slice(model, 1, 3))
    said, _ = run(made, part=part)
    trees = json.loads(said["part"])["learner"]["gradient_booster"]["model"]["trees"]
    assert len(trees) == 2


def test_rounds_that_early_stopping_left_out_cannot_be_asked_for():
    made = job(60)
    own = made.add(Matrix((made.scan("t"),), ("x", "z"), label="y"))
    settings = parameters({**LOGISTIC, "eta": 1.0, "max_depth": 1})
    sets, stop = (Evaluation("own", own),), Stopping(1, min_delta="0.2")
    model = made.add(Train(own, settings, 30, sets, stopping=stop))
    with pytest.raises(EngineError, match="fewer rounds"):
        run(made, part=made.add(Slice(model, 0, 30)))


# --- cross-validation


def validated(made, settings=LOGISTIC, rounds=6, parts=3, **more):
    own = made.add(Matrix((made.scan("t"),), ("x", "z"), label="y"))
    return made.add(CrossValidate(own, parameters(settings), rounds, parts, **more))


def test_cross_validation_says_what_stock_says_within_noise():
    made = job(600)
    settings = {**LOGISTIC, "eval_metric": ["logloss", "auc"]}
    said, _ = run(made, cv=validated(made, settings, parts=4))
    table = said["cv"].to_pylist()
    assert [(r["round"], r["evaluation"], r["metric"]) for r in table] == [
        (i, e, m) for i in range(6) for e in ("train", "test") for m in ("logloss", "auc")
    ]
    x = np.array([[np.nan if v is None else v for v in r[1:3]] for r in rows(600)])
    data = xgboost.DMatrix(x, [r[3] for r in rows(600)])
    stocks = xgboost.cv(settings, data, 6, nfold=4, as_pandas=False, seed=1)
    for row in table:
        name = f"{row['evaluation']}-{row['metric']}"
        assert abs(row["mean"] - stocks[f"{name}-mean"][row["round"]]) < 0.04
        assert abs(row["std"] - stocks[f"{name}-std"][row["round"]]) < 0.04
        assert row["std"] > 0


def test_parts_hold_each_row_once_and_as_many():
    made = job()
    operation = made.plan(cv=validated(made, parts=7)).nodes[-1].operation
    parts = parts_of_places(KEY, operation, 100, 0)
    counts = Counter(parts.tolist())
    assert sorted(counts) == list(range(7))
    assert max(counts.values()) - min(counts.values()) <= 1
    # How many rows are there is secret: any number of them is parted evenly.
    for rows_there in (14, 23, 50):
        sizes = Counter(parts[:rows_there].tolist()).values()
        assert max(sizes) - min(sizes) <= 1
    assert parts.tolist() == parts_of_places(KEY, operation, 100, 0).tolist()
    others = [
        parts_of_places(bytes(32), operation, 100, 0),
        parts_of_places(KEY, operation, 100, 1),
    ]
    assert all(o.tolist() != parts.tolist() for o in others)


def test_early_stopping_tells_of_the_rounds_that_stock_would_tell_of():
    settings = {**LOGISTIC, "eta": 1.0, "max_depth": 6}
    every, _ = run(made := job(), cv=validated(made, settings, 20))
    stopped, _ = run(made := job(), cv=validated(made, settings, 20, stopping=Stopping(3)))
    means = [r["mean"] for r in every["cv"].to_pylist() if r["evaluation"] == "test"]
    best = 0
    for place, mean in enumerate(means):
        if mean < means[best]:
            best = place
        elif place - best >= 3:
            break
    else:
        pytest.fail("the data does not stop")
    assert stopped["cv"].to_pylist() == every["cv"].to_pylist()[: 2 * (best + 1)]


def test_cross_validations_of_data_of_one_shape_look_alike():
    def record(seed):
        made = job(50, seed)
        cv = validated(made, {**LOGISTIC, "subsample": 0.5}, 2, stopping=Stopping(1))
        own, model = trained(made, rounds=2)
        leaves = made.add(Predict(model, own, what="leaf"))
        _, trace = run(made, cv=cv, leaves=leaves)
        return trace.calls, trace.declassified

    assert record(1) == record(2)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"parts": 0, "folds": "id"}, "a column names"),
        ({"stratified": True}, "stratified"),
        ({"shuffle": False}, "order of rows"),
        ({"settings": {**LOGISTIC, "tree_method": "exact"}}, "tree_method"),
        ({"stopping": Stopping(2, metric="rmse")}, "no metric rmse"),
    ],
)
def test_cross_validations_that_there_are_not_are_refused(changes, match):
    made = job(5)
    with pytest.raises(PlanError, match=match):
        obliviously(made.plan(cv=validated(made, **changes)), made)


def test_too_many_leaves_for_a_list_are_refused():
    made = job(5)
    own, model = trained(made, rounds=513)
    with pytest.raises(PlanError, match="at most 512 trees"):
        obliviously(made.plan(out=made.add(Predict(model, own, what="leaf"))), made)
