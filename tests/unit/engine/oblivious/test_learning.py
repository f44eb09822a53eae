"""Models in oblivious plans, held to stock XGBoost; what they refuse, and what their runs show."""

import json

import numpy as np
import pytest
import xgboost
from tests.support.oblivious import opened
from tests.support.oblivious_plans import obliviously
from tests.support.plans import Job, Source, schema

from mc2.engine.oblivious.run import execute
from mc2.errors import EngineError, PlanError
from mc2.ml.boosting_metrics import metric_names
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.operators.run import Run
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.models import (
    Categories,
    Edges,
    Evaluation,
    History,
    Inspect,
    Matrix,
    Predict,
    Slice,
    Train,
)
from mc2.plan.oblivious_models import METRICS
from mc2.plan.parameters import parameters
from mc2.plan.relations import Filter, Limit
from mc2.plan.training import Controls, Stopping
from mc2.plan.types import INT64
from mc2.planner.formulas import objective

KEY = bytes(range(32))
COLUMNS = {
    "id": "int64!",
    "s": "string",
    "x": "double",
    "n": "int32",
    "y": "double!",
    "w": "float!",
}
LOGISTIC = {"objective": "binary:logistic", "max_depth": 3, "eta": 0.5}


def rows(count, seed=0, classes=2):
    rng = np.random.default_rng(seed)
    found = []
    for place in range(count):
        x = float(rng.normal()) if rng.random() < 0.9 else None
        n = int(rng.integers(-5, 6)) if rng.random() < 0.9 else None
        score = 2 * (x or 0) + 0.3 * (n or 0) + rng.normal() / 2
        y = float(np.digitize(score, [0.0] if classes == 2 else [-1.0, 1.0]))
        found.append((place, f"s{place % 7}", x, n, y, float(rng.integers(1, 4))))
    return found


def job(count=300, seed=0, classes=2, other=40):
    """Two tables of one sort: those to train on, and some more to predict."""
    return Job(
        t=Source(schema(**COLUMNS), rows(count, seed, classes)),
        u=Source(schema(**COLUMNS), rows(other, seed + 1, classes)),
    )


def matrix(made, *sources, **more):
    return made.add(Matrix(sources, ("x", "n"), label="y", **more))


def training(made, own, settings=LOGISTIC, rounds=5, **more):
    return made.add(Train(own, parameters(settings), rounds, **more))


def run(made, model=None, **outputs):
    """The tables and the model that a plan gives, and the record of its run."""
    nodes = outputs if model is None else {**outputs, "model": model}
    checked, sources = obliviously(made.plan(**nodes), made)
    trace = Run(record=True)
    found = execute(checked, sources, lambda _: None, trace, key=KEY)
    said = {n: opened(o) for n, o in found.items() if n in outputs}
    return said, found["model"].raw if model is not None else None, trace


def stock(raw, table):
    booster = xgboost.Booster(model_file=bytearray(raw))
    x = np.column_stack([table.column(n).to_numpy(zero_copy_only=False) for n in ("x", "n")])
    return booster, xgboost.DMatrix(x.astype(np.float64), feature_names=["x", "n"])


def test_the_released_model_predicts_the_same_bits_in_stock_xgboost():
    made = job()
    own = matrix(made, made.scan("t"), weight="w")
    new = matrix(made, made.scan("u"), made.scan("t"))
    model = training(made, own, evaluations=(Evaluation("own", own), Evaluation("new", new)))
    said, raw, trace = run(
        made,
        model,
        margin=made.add(Predict(model, new, keep=("id", "s"), what="margin")),
        value=made.add(Predict(model, new, keep=("x", "n", "y"), name="p")),
        kind=made.add(Predict(model, new, keep=("y",), what="class")),
        history=made.add(History(model)),
    )
    booster, data = stock(raw, said["value"])
    assert said["margin"].column("id").to_pylist() == [*range(40), *range(300)]
    assert said["margin"].column("s").to_pylist()[41] == "s1"
    margins = said["margin"].column("prediction").to_numpy()
    assert margins.tobytes() == booster.predict(data, output_margin=True).tobytes()
    values = said["value"].column("p").to_numpy()
    assert np.allclose(values, booster.predict(data), rtol=2e-6, atol=1e-7)
    assert said["kind"].column("prediction").to_pylist() == (values > 0.5).astype(int).tolist()
    assert "the model is an output" in trace.declassified
    history = said["history"].to_pylist()
    assert [r["round"] for r in history] == [i for i in range(5) for _ in range(2)]
    assert {(r["evaluation"], r["metric"]) for r in history} == {
        ("own", "logloss"),
        ("new", "logloss"),
    }
    assert history[-2]["value"] < history[0]["value"]


def test_models_are_as_good_as_stock_ones():
    made = job(900)
    own = matrix(made, made.scan("t"))
    model = training(made, own, rounds=10)
    said, raw, _ = run(made, model, p=made.add(Predict(model, own, keep=("x", "n", "y"))))
    _, data = stock(raw, said["p"])
    labels = said["p"].column("y").to_numpy()
    data.set_label(labels)
    theirs = xgboost.train({**LOGISTIC, "nthread": 1}, data, 10).predict(data)
    mine = said["p"].column("prediction").to_numpy()
    assert area(labels, mine) == pytest.approx(area(labels, theirs), abs=0.01)


def area(labels, scores):
    ranks = np.argsort(np.argsort(scores)) + 1.0
    ones = labels == 1
    count = ones.sum()
    return (ranks[ones].sum() - count * (count + 1) / 2) / (count * (~ones).sum())


def test_only_rows_that_are_there_are_learnt_from():
    made = job()
    kept = made.add(Filter(made.scan("t"), call("lt", ColumnRef("id"), literal(100, INT64))))
    own = matrix(made, kept)
    model = training(made, own)
    said, raw, _ = run(made, model, p=made.add(Predict(model, own, keep=("id",))))
    assert said["p"].column("id").to_pylist() == list(range(100))
    alone = job(100)
    other = training(alone, matrix(alone, alone.scan("t")))
    _, same, _ = run(alone, other)
    assert raw == same


def test_classes_are_the_likeliest_ones():
    made = job(classes=3)
    own = matrix(made, made.scan("t"))
    settings = {"objective": "multi:softprob", "num_class": 3, "max_depth": 3}
    model = training(made, own, settings)
    said, raw, _ = run(
        made,
        model,
        kind=made.add(Predict(model, own, what="class")),
        value=made.add(Predict(model, own, keep=("x", "n"))),
    )
    booster, data = stock(raw, said["value"])
    expected = booster.predict(data)
    values = np.column_stack([said["value"].column(f"prediction_{i}") for i in range(3)])
    assert np.allclose(values, expected, rtol=2e-6, atol=1e-7)
    assert said["kind"].column("prediction").to_pylist() == values.argmax(axis=1).tolist()


def test_early_stopping_keeps_the_best_rounds():
    made = job(200)
    own, new = matrix(made, made.scan("t")), matrix(made, made.scan("u"))
    sets = (Evaluation("new", new),)
    settings = {**LOGISTIC, "eta": 1.0, "max_depth": 6}
    model = training(
        made, own, settings, 30, evaluations=sets, stopping=Stopping(2, save_best=True)
    )
    said, raw, _ = run(made, model, history=made.add(History(model)))
    values = said["history"].column("value").to_pylist()
    best = int(np.argmin(values))
    assert len(values) == best + 3 < 30
    booster = xgboost.Booster(model_file=bytearray(raw))
    assert booster.num_boosted_rounds() == best + 1
    assert booster.best_iteration == best
    assert booster.best_score == values[best]


def test_thresholds_lie_at_public_edges_and_bare_models_tell_no_covers():
    made = job()
    edges = (Edges("n", ("-1.5", "1.5")), Edges("x", ("-0.5", "0.0", "0.5")))
    own = matrix(made, made.scan("t"), edges=edges)
    model = training(made, own, controls=Controls(0, 0, True, True))
    _, raw, _ = run(made, model)
    trees = json.loads(raw)["learner"]["gradient_booster"]["model"]["trees"]
    splits = {
        (feature, threshold)
        for tree in trees
        for feature, threshold, left in zip(
            tree["split_indices"], tree["split_conditions"], tree["left_children"], strict=True
        )
        if left != -1
    }
    above_all = float(np.finfo(np.float32).max)  # divides rows with a value from those without
    allowed = {(0, -0.5), (0, 0.0), (0, 0.5), (1, -1.5), (1, 1.5), (0, above_all), (1, above_all)}
    assert splits <= allowed
    assert not any(any(tree["sum_hessian"]) for tree in trees)


@pytest.mark.parametrize("released", [True, False])
def test_runs_over_data_of_one_shape_look_alike(released):
    def record(seed):
        made = job(90, seed)
        own = matrix(made, made.scan("t"))
        model = training(made, own, {**LOGISTIC, "subsample": 0.5}, rounds=3)
        said = made.add(Predict(model, own, keep=("id",), what="class"))
        _, _, trace = run(made, model if released else None, said=said)
        return trace.calls, trace.declassified

    assert record(1) == record(2)


def test_a_secret_model_shows_nothing():
    made = job(90)
    own = matrix(made, made.scan("t"))
    model = training(made, own, evaluations=(Evaluation("own", own),))
    _, _, trace = run(made, p=made.add(Predict(model, own)))
    assert trace.declassified == ["whether the computation failed"]


def test_labels_that_do_not_fit_fail_the_job():
    made = job(classes=3)
    model = training(made, matrix(made, made.scan("t")))
    with pytest.raises(EngineError, match="domain"):
        run(made, model)


def test_trainings_need_a_key():
    made = job(20)
    model = training(made, matrix(made, made.scan("t")))
    checked, sources = obliviously(made.plan(model=model), made)
    with pytest.raises(EngineError, match="32 bytes"):
        execute(checked, sources, lambda _: None)


SETTINGS = [
    {"objective": "reg:tweedie"},
    {"objective": "multi:softmax", "num_class": 3},
    {"tree_method": "exact"},
    {"tree_method": "approx"},
    {"booster": "dart"},
    {"grow_policy": "lossguide"},
    {"num_parallel_tree": 2},
    {"max_leaves": 4},
    {"max_depth": 9},
    {"max_depth": 0},
    {"max_bin": 512},
    {"scale_pos_weight": 0.0},
    {"eval_metric": "auc"},
    {"eval_metric": "aucpr", "objective": "binary:logistic"},
    {"eval_metric": "rmse", "objective": "binary:logistic"},
    {"base_score": 1.0, "objective": "binary:logistic"},
    {"base_score": 0.0, "objective": "count:poisson"},
    {"base_score": [0.5, 0.5, 0.5], "objective": "multi:softprob", "num_class": 3},
    {"interaction_constraints": [[0, 1]]},
    {"max_cat_threshold": 4},
]
GOOD = [
    {},
    *({"objective": name, "eval_metric": list(found)} for name, found in METRICS.items()
      if name != "multi:softprob"),
    {"objective": "multi:softprob", "num_class": 4, "eval_metric": ["merror", "mlogloss"]},
    {"max_depth": 8, "max_bin": 256, "gamma": 0.5, "lambda": 0.0, "alpha": 2.0, "eta": 0.0},
    {"tree_method": "hist", "booster": "gbtree", "grow_policy": "depthwise", "max_leaves": 0},
    {"num_parallel_tree": 1, "sampling_method": "uniform", "multi_strategy": "one_output_per_tree"},
    {"monotone_constraints": [1, -1], "seed": 7, "min_child_weight": 2.5, "max_delta_step": 1.0},
    {"base_score": 0.25, "objective": "binary:logistic", "scale_pos_weight": 3.0},
    {"colsample_bytree": 0.5, "colsample_bylevel": 0.5, "colsample_bynode": 0.5, "subsample": 0.5},
]  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_parameters_that_there_are_not_are_refused_when_the_plan_is_checked(settings):
    made = job(5)
    model = training(made, matrix(made, made.scan("t")), settings)
    with pytest.raises(PlanError, match=r"oblivious|base_score") as raised:
        obliviously(made.plan(model=model), made)
    assert raised.value.hint
    with pytest.raises(EngineError):
        metric_names(BoostingParameters.read({p.name: p.value for p in parameters(settings)}, "xn"))


@pytest.mark.parametrize("settings", GOOD, ids=str)
def test_what_the_check_lets_pass_the_training_takes(settings):
    made = job(5)
    model = training(made, matrix(made, made.scan("t")), settings)
    obliviously(made.plan(model=model), made)
    metric_names(BoostingParameters.read({p.name: p.value for p in parameters(settings)}, "xn"))


MATRICES = [
    ({"categorical": ("n",)}, "nobody declares"),
    ({"categorical": ("n",), "categories": (Categories("n", count=256),)}, "255 categories"),
    ({"edges": (Edges("x", ("1.0",)),), "categorical": ("n",)}, "nobody declares"),
    ({"base_margin": ("w",)}, "base margins"),
    ({"group": "id"}, "groups"),
    ({"feature_weights": ("1.0", "2.0")}, "weights of features"),
    ({"edges": (Edges("n", ("1.0",)),)}, "some features only"),
    ({"edges": (Edges("n", ("1.0", "1.00000001")), Edges("x", ("1.0",)))}, "32 bits"),
    ({"edges": (Edges("n", ("1e+39",)), Edges("x", ("1.0",)))}, "32 bits"),
    ({"edges": (Edges("n", tuple(f"{i}.0" for i in range(255))), Edges("x", ("1.0",)))}, "254"),
]


@pytest.mark.parametrize(("changes", "match"), MATRICES)
def test_matrices_that_there_are_not_are_refused(changes, match):
    made = job(5)
    model = training(made, matrix(made, made.scan("t"), **changes))
    with pytest.raises(PlanError, match=match):
        obliviously(made.plan(model=model), made)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"stopping": Stopping(2, metric="rmse")}, "no metric rmse"),
        ({"controls": Controls(2, 0), "stopping": Stopping(2, metric="mae")}, "no metric mae"),
    ],
)
def test_trainings_that_there_are_not_are_refused(changes, match):
    made = job(5)
    own = matrix(made, made.scan("t"))
    sets = (Evaluation("first", own), Evaluation("last", own))
    model = training(made, own, evaluations=sets, **changes)
    with pytest.raises(PlanError, match=match):
        obliviously(made.plan(model=model), made)


def test_categories_are_not_put_apart():
    made = job(5)
    own = matrix(made, made.scan("t"), categorical=("n",), categories=(Categories("n", count=9),))
    for most, refused in ((9, True), (10, False)):
        plan = made.plan(model=training(made, own, LOGISTIC | {"max_cat_to_onehot": most}))
        if refused:
            with pytest.raises(PlanError, match="several categories apart") as raised:
                obliviously(plan, made)
            assert "max_cat_to_onehot" in raised.value.hint
        else:
            obliviously(plan, made)


def test_trainings_start_from_whole_models():
    made = job(5)
    own = matrix(made, made.scan("t"))
    part = made.add(Slice(training(made, own), 0, 2))
    with pytest.raises(PlanError, match="goes on from a part of a model"):
        obliviously(made.plan(model=training(made, own, start=part)), made)


def test_a_matrix_has_rows():
    made = job(5)
    own = matrix(made, made.add(Limit(made.scan("t"), 0)))
    with pytest.raises(PlanError, match="can have no rows") as raised:
        obliviously(made.plan(model=training(made, own)), made)
    assert raised.value.hint


def test_formulas_of_a_script_are_for_the_other_mode():
    made = job(5)
    formula = objective(lambda margins, rows: (margins - rows.get_label(), margins * 0.0 + 1.0))
    plan = made.plan(model=training(made, matrix(made, made.scan("t")), {}, objective=formula))
    check_plan(plan)
    with pytest.raises(PlanError, match="script's own"):
        obliviously(plan, made)


def test_the_other_mode_refuses_what_is_of_this_one_alone():
    made = job(5)
    settings = LOGISTIC | {"split_search": "refined"}
    plan = made.plan(model=training(made, matrix(made, made.scan("t")), settings))
    obliviously(plan, made)
    with pytest.raises(PlanError, match="only oblivious training has the parameter split_search"):
        check_plan(plan)


@pytest.mark.parametrize(
    "node",
    [
        lambda model, own: Predict(model, own, what="contribs"),
        lambda model, own: Predict(model, own, what="interactions"),
        lambda model, own: Inspect(model, "rounds"),
    ],
)
def test_questions_that_there_are_not_are_refused(node):
    made = job(5)
    own = matrix(made, made.scan("t"))
    model = training(made, own)
    with pytest.raises(PlanError, match="oblivious mode"):
        obliviously(made.plan(out=made.add(node(model, own))), made)
