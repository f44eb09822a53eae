"""All boosters, objectives, constraints and shapes of predictions, beside stock XGBoost."""

import json

import numpy as np
import pytest
import xgboost
from tests.support.plans import Job, Source, schema, table_rows
from tests.support.training import (
    FEATURES,
    Training,
    columns,
    pooled,
    raw,
    stock,
    stock_matrix,
)

from mc2.errors import EngineError, PlanError
from mc2.plan.models import (
    Annotate,
    CrossValidate,
    Edges,
    History,
    Inspect,
    Matrix,
    Predict,
    Slice,
    Stopping,
    Train,
)
from mc2.plan.parameters import parameters
from mc2.plan.training import Controls


@pytest.fixture
def job():
    return Training()


EVERY_OBJECTIVE = [
    ("reg:squarederror", "t", {}),
    ("reg:squaredlogerror", "t", {}),
    ("reg:pseudohubererror", "t", {"huber_slope": 2}),
    ("reg:absoluteerror", "t", {}),
    ("reg:gamma", "t", {}),
    ("reg:tweedie", "t", {"tweedie_variance_power": 1.3}),
    ("count:poisson", "grade", {"max_delta_step": 0.5}),
    ("survival:cox", "t", {}),
    ("multi:softmax", "cls", {"num_class": 3}),
    ("multi:softprob", "cls", {"num_class": 3, "multi_strategy": "multi_output_tree"}),
]


@pytest.mark.parametrize(("objective", "label", "more"), EVERY_OBJECTIVE, ids=str)
def test_objectives(job, objective, label, more):
    settings = {"objective": objective, "max_depth": 3, **more}
    matrix = job.matrix(job.t, job.u, label=label)
    model = job.train(settings, 4, matrix)
    expected = stock(settings, stock_matrix(pooled(1, 2), label), 4)
    assert job.model(model) == raw(expected)


BOOSTERS = [
    {"booster": "gblinear", "updater": "coord_descent", "lambda": 0.1, "alpha": 0.01},
    {"booster": "gblinear", "updater": "coord_descent", "feature_selector": "thrifty", "top_k": 1},
    {"booster": "dart", "rate_drop": 0.4, "one_drop": True, "sample_type": "weighted", "seed": 3},
    {"tree_method": "approx", "interaction_constraints": [[0, 1], [2]]},
    {"tree_method": "exact", "monotone_constraints": [1, -1, 0]},
    {"tree_method": "hist", "grow_policy": "lossguide", "max_leaves": 4, "max_bin": 7},
    {"colsample_bylevel": 0.5, "colsample_bynode": 0.5, "seed": 5, "seed_per_iteration": True},
    {"num_parallel_tree": 3, "subsample": 0.5, "seed": 11},
    {"updater": "grow_colmaker,prune", "gamma": 1},
    {"base_score": 0.25, "max_delta_step": 0.3},
]  # fmt: skip


@pytest.mark.parametrize("settings", BOOSTERS, ids=lambda s: " ".join(map(str, s.values())))
def test_boosters_methods_and_constraints(job, settings):
    model = job.model(job.train(settings, 5, job.matrix()))
    given = {n: v for n, v in settings.items() if n != "monotone_constraints"}
    if "interaction_constraints" in given:
        given["interaction_constraints"] = json.dumps(given["interaction_constraints"])
    if "monotone_constraints" in settings:
        given["monotone_constraints"] = "(1,-1,0)"
    assert model == raw(stock({**given, "verbosity": 0}, stock_matrix(pooled(1)), 5))


@pytest.mark.parametrize("objective", ["rank:ndcg", "rank:pairwise", "rank:map"])
def test_ranking_puts_rows_in_order_of_their_groups(objective):
    """Rows come as they come; stock XGBoost is given them sorted."""
    order = np.random.default_rng(8).permutation(300)
    settings = {"objective": objective, "eta": 0.3, "max_depth": 3}
    label = "grade"
    data = {n: v[order] for n, v in columns(1).items()}
    if objective == "rank:map":
        data["grade"] = (data["grade"] > 1).astype(int)
    rows = list(zip(*(data[n].tolist() for n in ("x", "y", "q", "grade")), strict=True))
    rows = [tuple(None if np.isnan(v) else v for v in row) for row in rows]
    kinds = schema(x="double", y="double!", q="int64!", grade="int64!")
    job = Job(t=Source(kinds, rows))
    place = job.scan("t")
    matrix = job.add(Matrix((place,), ("x", "y"), label, group="q"))
    model = job.add(Train(matrix, parameters(settings), 4))
    sort = np.argsort(data["q"], kind="stable")
    taken = np.stack([data["x"], data["y"]], axis=1).astype(np.float32)[sort]
    expected = xgboost.DMatrix(
        taken, label=data[label][sort], qid=data["q"][sort], feature_names=["x", "y"],
        feature_types=["float", "float"],
    )  # fmt: skip
    booster = stock(settings, expected, 4)
    found = job.run(model=model, said=job.add(Predict(model, matrix, keep=("q",))))
    assert found["model"].raw == raw(booster)
    said = table_rows(found["said"].table)
    assert said == list(
        zip(data["q"][sort].tolist(), booster.predict(expected).tolist(), strict=True)
    )


def test_groups_weigh_as_a_whole(job):
    matrix = job.matrix(label="grade", group="q", weight="w")
    with pytest.raises(EngineError, match="different weights"):
        job.model(job.train({"objective": "rank:ndcg"}, 1, matrix))


def test_survival_times_in_intervals(job):
    settings = {
        "objective": "survival:aft", "aft_loss_distribution": "logistic", "eval_metric": "aft-nloglik",
        "aft_loss_distribution_scale": 1.2, "max_depth": 3,
    }  # fmt: skip
    matrix = job.matrix(label=None, lower_bound="low", upper_bound="high")
    model = job.train(settings, 4, matrix, evals=(("seen", matrix),))
    named = {"label_lower_bound": "low", "label_upper_bound": "high"}
    assert job.model(model) == raw(stock(settings, stock_matrix(pooled(1), None, **named), 4))


def test_base_margins_and_feature_weights(job):
    settings = {"colsample_bynode": 0.4, "seed": 2}
    matrix = job.matrix(base_margin=("m",), weight="w", feature_weights=("1.0", "5.0", "0.0"))
    model = job.train(settings, 4, matrix)
    own = stock_matrix(pooled(1), base_margin="m", weight="w")
    own.set_info(feature_weights=np.array([1, 5, 0], dtype=np.float32))
    booster = stock(settings, own, 4)
    found = job.run(model=model, said=job.add(Predict(model, matrix)))
    assert found["model"].raw == raw(booster)
    assert [r[0] for r in table_rows(found["said"].table)] == booster.predict(own).tolist()


def test_a_base_margin_for_each_class(job):
    settings = {"objective": "reg:quantileerror", "quantile_alpha": [0.2, 0.8]}
    model = job.train(settings, 3, job.matrix(base_margin=("m", "m2")))
    data = pooled(1)
    own = stock_matrix(data)
    own.set_base_margin(np.stack([data["m"], data["m2"]], axis=1))
    assert job.model(model) == raw(stock({**settings, "quantile_alpha": "[0.2,0.8]"}, own, 3))


STOPPINGS = [
    Stopping(2),
    Stopping(3, metric="rmse", evaluation="seen"),
    Stopping(2, save_best=True),
    Stopping(1, min_delta="0.02"),
    Stopping(2, metric="mae", maximize=True),
]


@pytest.mark.parametrize("stopping", STOPPINGS, ids=str)
def test_early_stopping(job, stopping):
    settings = {"eta": 0.8, "eval_metric": ["rmse", "mae"], "max_depth": 5}
    seen, other = job.matrix(), job.matrix(job.u)
    model = job.train(
        settings, 40, seen, evals=(("seen", seen), ("other", other)), stopping=stopping
    )
    a, b = stock_matrix(pooled(1)), stock_matrix(pooled(2))
    callback = xgboost.callback.EarlyStopping(
        rounds=stopping.rounds, metric_name=stopping.metric, data_name=stopping.evaluation,
        maximize=stopping.maximize, save_best=stopping.save_best, min_delta=float(stopping.min_delta),
    )  # fmt: skip
    expected = stock(settings, a, 40, evals=[(a, "seen"), (b, "other")], callbacks=[callback])
    found = job.run(model=model, about=job.add(Inspect(model, "rounds")))
    assert found["model"].raw == raw(expected)
    (row,) = table_rows(found["about"].table)
    assert row == (
        expected.num_boosted_rounds(), 3, expected.best_iteration, float(expected.attr("best_score"))
    )  # fmt: skip


def test_a_learning_rate_for_each_round(job):
    rates = ("0.9", "0.5", "0.1")
    model = job.train({"max_depth": 3}, 3, job.matrix(), learning_rates=rates)
    schedule = xgboost.callback.LearningRateScheduler([0.9, 0.5, 0.1])
    expected = stock({"max_depth": 3}, stock_matrix(pooled(1)), 3, callbacks=[schedule])
    assert job.model(model) == raw(expected)
    with pytest.raises(PlanError, match="one learning rate for each round"):
        job.train({}, 4, job.matrix(), learning_rates=rates)


def test_training_goes_on_from_a_model(job):
    matrix = job.matrix(label="t")
    plain = {"max_depth": 3, "base_score": 0.5}
    first = job.train(plain, 3, matrix)
    second = job.train(plain, 2, job.matrix(job.u), start=first)
    expected = stock(
        plain, stock_matrix(pooled(2)), 2, xgb_model=stock(plain, stock_matrix(pooled(1)), 3)
    )
    assert job.model(second) == raw(expected)


def test_going_on_over_the_same_rows_is_one_longer_training(job):
    settings = {"max_depth": 3, "tree_method": "exact"}
    matrix = job.matrix()
    second = job.train(settings, 2, matrix, start=job.train(settings, 3, matrix))
    whole = job.train(settings, 5, matrix)
    two = xgboost.Booster(model_file=bytearray(job.model(second)))
    one = xgboost.Booster(model_file=bytearray(job.model(whole)))
    assert two.get_dump() == one.get_dump()


def test_leaves_are_refreshed_on_other_rows(job):
    first = job.train({"max_depth": 3}, 3, job.matrix())
    settings = {"process_type": "update", "updater": "refresh", "refresh_leaf": True}
    again = job.train(settings, 3, job.matrix(job.u), start=first)
    expected = stock(
        {**settings, "verbosity": 0},
        stock_matrix(pooled(2)),
        3,
        xgb_model=stock({"max_depth": 3}, stock_matrix(pooled(1)), 3),
    )
    assert job.model(again) == raw(expected)
    with pytest.raises(PlanError, match="needs a model to start with"):
        job.train(settings, 3, job.matrix())


ASKED = {
    "contribs": {"pred_contribs": True},
    "approx_contribs": {"pred_contribs": True, "approx_contribs": True},
    "interactions": {"pred_interactions": True},
    "approx_interactions": {"pred_interactions": True, "approx_contribs": True},
    "leaf": {"pred_leaf": True},
    "margin": {"output_margin": True},
}


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("what", list(ASKED))
def test_predictions_of_every_shape(job, what, classes):
    settings = {"max_depth": 3}
    if classes > 1:
        settings |= {"objective": "multi:softprob", "num_class": classes}
    matrix = job.matrix(label="cls")
    model = job.train(settings, 4, matrix)
    first = 1 if what == "margin" else 0
    said = Predict(model, matrix, what=what, first=first, last=3)
    rows = job.rows(job.add(said))
    own = stock_matrix(pooled(1), "cls")
    booster = stock(settings, own, 4)
    expected = booster.predict(own, iteration_range=(first, 3), **ASKED[what])
    columns = 1 if what == "leaf" else classes
    flat = np.asarray(rows, dtype=np.float32).reshape(len(rows), columns, -1)
    assert np.array_equal(flat, expected.reshape(len(rows), columns, -1))
    if "contribs" in what:
        margin = booster.predict(own, iteration_range=(first, 3), output_margin=True)
        assert np.allclose(flat.sum(axis=2).reshape(margin.shape), margin, atol=1e-4)


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softmax", "multi:softprob"])
def test_classes_are_those_of_stock_wrappers(job, objective):
    data = pooled(1)
    two = objective == "binary:logistic"
    kinds = schema(x="double!", label="int32!")
    x = np.nan_to_num(data["x"])
    labels = (x > 0).astype(int) if two else data["cls"]
    job = Job(t=Source(kinds, list(zip(x.tolist(), labels.tolist(), strict=True))))
    settings = {"objective": objective} | ({} if two else {"num_class": 3})
    matrix = job.add(Matrix((job.scan("t"),), ("x",), "label"))
    model = job.add(Train(matrix, parameters(settings), 3))
    found = [r[0] for r in job.rows(job.add(Predict(model, matrix, what="class")))]
    stock_model = xgboost.XGBClassifier(n_estimators=3, objective=objective)
    stock_model.fit(x.reshape(-1, 1).astype(np.float32), labels)
    assert found == stock_model.predict(x.reshape(-1, 1).astype(np.float32)).tolist()


def test_parts_of_a_model(job):
    model = job.train({"max_depth": 2}, 6, job.matrix())
    part = job.add(Slice(model, 1, 5, 2))
    booster = stock({"max_depth": 2}, stock_matrix(pooled(1)), 6)
    assert job.model(part) == raw(booster[1:5:2])
    with pytest.raises(PlanError, match="rounds from 0 to 6"):
        job.add(Slice(model, 0, 7))
    with pytest.raises(PlanError, match="as it was trained"):
        job.add(History(part))


def test_a_part_that_early_stopping_left_out_is_refused(job):
    seen, other = job.matrix(), job.matrix(job.u)
    model = job.train({"eta": 0.9}, 40, seen, evals=(("other", other),), stopping=Stopping(1))
    with pytest.raises(EngineError, match="fewer rounds"):
        job.model(job.add(Slice(model, 0, 40)))
    with pytest.raises(EngineError, match="fewer rounds"):
        job.rows(job.add(Predict(model, seen, first=30, last=40)))


def test_attributes_stand_in_the_file(job):
    model = job.train({}, 1, job.matrix())
    marked = job.add(Annotate(model, (("purpose", "trial"),)))
    booster = xgboost.Booster(model_file=bytearray(job.model(marked)))
    assert booster.attr("purpose") == "trial"
    assert job.rows(job.add(Inspect(marked, "attributes"))) == [("purpose", "trial")]
    with pytest.raises(PlanError, match="XGBoost's own"):
        job.add(Annotate(model, (("best_iteration", "3"),)))


def test_what_stands_in_a_model(job):
    settings = {"max_depth": 3, "objective": "multi:softprob", "num_class": 3}
    model = job.train(settings, 3, job.matrix(label="cls"))
    booster = stock(settings, stock_matrix(pooled(1), "cls"), 3)
    kinds = ("cover", "gain", "total_cover", "total_gain", "weight")
    found = job.run(
        scores=job.add(Inspect(model, kinds=kinds)),
        trees=job.add(Inspect(model, "trees")),
        text=job.add(Inspect(model, "dump", form="text", stats=True)),
        json=job.add(Inspect(model, "dump")),
        splits=job.add(Inspect(model, "splits")),
    )
    rows = {name: table_rows(output.table) for name, output in found.items()}
    for kind in kinds:
        scores = {r[1]: r[3] for r in rows["scores"] if r[0] == kind}
        assert scores == booster.get_score(importance_type=kind)
    assert [r[1] for r in rows["text"]] == booster.get_dump(with_stats=True)
    assert [r[1] for r in rows["json"]] == booster.get_dump(dump_format="json")
    expected = booster.trees_to_dataframe()
    for place, name in enumerate(expected.columns):
        mine = [r[place] for r in rows["trees"]]
        theirs = [None if isinstance(v, float) and np.isnan(v) else v for v in expected[name]]
        assert mine == theirs, name
    histogram = booster.get_split_value_histogram("y", bins=5, as_pandas=False)
    assert sum(r[2] for r in rows["splits"] if r[0] == "y") == histogram[:, 1].sum()


def test_coefficients_of_a_linear_model(job):
    settings = {
        "booster": "gblinear",
        "updater": "coord_descent",
        "objective": "multi:softprob",
        "num_class": 3,
    }
    model = job.train(settings, 3, job.matrix(label="cls"))
    rows = job.rows(job.add(Inspect(model, kinds=("weight",))))
    booster = stock({**settings, "verbosity": 0}, stock_matrix(pooled(1), "cls"), 3)
    expected = booster.get_score(importance_type="weight")
    assert [r[3] for r in rows] == [s for f in FEATURES for s in expected[f]]
    for refused in (Inspect(model, "trees"), Inspect(model, kinds=("gain",)), Slice(model, 0, 1)):
        with pytest.raises(PlanError):
            job.add(refused)


CUTS = [
    {"parts": 3, "seed": 7},
    {"parts": 4, "shuffle": False},
    {"parts": 3, "stratified": True, "seed": 3},
]


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("stopping", [None, Stopping(1)], ids=["all rounds", "early"])
def test_cross_validation(job, cut, stopping):
    settings = {"objective": "multi:softprob", "num_class": 3, "eta": 0.9}
    metrics = ["merror", "mlogloss"]
    node = CrossValidate(
        job.matrix(label="cls"), parameters({**settings, "eval_metric": metrics}), 12,
        stopping=stopping, **cut,
    )  # fmt: skip
    rows = job.rows(job.add(node))
    options = {"nfold": cut["parts"], **{k: v for k, v in cut.items() if k != "parts"}}
    expected = xgboost.cv(
        settings, stock_matrix(pooled(1), "cls"), 12, metrics=metrics, as_pandas=False,
        early_stopping_rounds=None if stopping is None else 1, **options,
    )  # fmt: skip
    found = {}
    for _, evaluation, metric, mean, std in rows:
        found.setdefault(f"{evaluation}-{metric}-mean", []).append(mean)
        found.setdefault(f"{evaluation}-{metric}-std", []).append(std)
    assert found == {k: [float(v) for v in values] for k, values in expected.items()}


def test_cross_validation_of_a_ranking_keeps_groups_whole(job):
    settings = {"objective": "rank:ndcg", "eval_metric": ["ndcg@3"]}
    rows = job.rows(
        job.add(CrossValidate(job.matrix(label="grade", group="q"), parameters(settings), 3, 3))
    )
    expected = xgboost.cv(
        {"objective": "rank:ndcg"}, stock_matrix(pooled(1), "grade", qid="q"), 3, nfold=3,
        metrics=["ndcg@3"], as_pandas=False,
    )  # fmt: skip
    assert [r[3] for r in rows if r[1] == "test"] == [
        float(v) for v in expected["test-ndcg@3-mean"]
    ]


def test_folds_can_be_named_by_a_column(job):
    rows = job.rows(job.add(CrossValidate(job.matrix(), parameters({}), 2, 0, folds="fold")))
    data = pooled(1)
    folds = [(np.flatnonzero(data["fold"] != f), np.flatnonzero(data["fold"] == f)) for f in "abc"]
    expected = xgboost.cv({}, stock_matrix(data), 2, folds=folds, metrics=["rmse"], as_pandas=False)
    assert [r[3] for r in rows if r[1] == "test"] == [float(v) for v in expected["test-rmse-mean"]]


def test_cross_validation_refuses(job):
    matrix = job.matrix()
    for node, words in (
        (CrossValidate(matrix, (), 2, 1), "at least two parts"),
        (CrossValidate(matrix, (), 2, 0, folds="x"), "folds are text or integers"),
        (CrossValidate(matrix, (), 2, 3, folds="fold"), "divides them further"),
        (CrossValidate(matrix, (), 2, 3, stopping=Stopping(1, save_best=True)), "keeps no model"),
        (CrossValidate(matrix, (), 2, 3, stopping=Stopping(1, evaluation="x")), "train and test"),
    ):
        with pytest.raises(PlanError, match=words):
            job.add(node)
    with pytest.raises(EngineError, match="more parts than rows"):
        job.rows(job.add(CrossValidate(matrix, (), 2, 400)))


# What a model must not tell.


def leaf_counts(model, data):
    booster = xgboost.Booster(model_file=bytearray(model))
    leaves = booster.predict(data, pred_leaf=True).reshape(data.num_row(), -1)
    return min(np.unique(tree, return_counts=True)[1].min() for tree in leaves.T)


def test_leaves_have_enough_rows_or_the_job_fails(job):
    matrix = job.matrix()
    controls = Controls(leaf_rows=20)
    with pytest.raises(EngineError, match="fewer than 20 rows") as refused:
        job.model(job.train({"max_depth": 6}, 3, matrix, controls=controls))
    assert "min_child_weight" in refused.value.hint
    settings = {"max_depth": 6, "min_child_weight": 20}  # of squared error each row weighs 1
    model = job.model(job.train(settings, 3, matrix, controls=controls))
    assert leaf_counts(model, stock_matrix(pooled(1))) >= 20
    assert model == raw(stock(settings, stock_matrix(pooled(1)), 3))


def test_rows_that_weigh_nothing_hide_nobody():
    rows = [(float(i), float(i == 0), 1.0 if i in {0, 50} else 0.0) for i in range(100)]
    job = Job(t=Source(schema(x="double!", y="double!", w="double!"), rows))
    matrix = job.add(Matrix((job.scan("t"),), ("x",), "y", weight="w"))
    settings = parameters({"min_child_weight": 0, "max_depth": 1})
    model = job.add(Train(matrix, settings, 1, controls=Controls(leaf_rows=2)))
    with pytest.raises(EngineError, match="fewer than 2 rows"):
        job.model(model)


def test_with_subsample_nobody_can_tell(job):
    with pytest.raises(PlanError, match="subsample"):
        job.train({"subsample": 0.5}, 2, job.matrix(), controls=Controls(leaf_rows=5))
    job.train({"subsample": 1}, 2, job.matrix(), controls=Controls(leaf_rows=5))


def test_statistics_are_taken_out(job):
    matrix = job.matrix()
    plain = job.train({"max_depth": 3}, 3, matrix)
    bare = job.train({"max_depth": 3}, 3, matrix, controls=Controls(bare=True))
    found = job.run(
        model=bare, said=job.add(Predict(bare, matrix)), plain=job.add(Predict(plain, matrix))
    )
    assert found["said"].table == found["plain"].table
    raw_model = found["model"].raw
    for tree in json.loads(raw_model)["learner"]["gradient_booster"]["model"]["trees"]:
        for name in ("sum_hessian", "loss_changes", "base_weights"):
            assert set(tree[name]) == {0.0}
    booster = xgboost.Booster(model_file=bytearray(raw_model))
    own = stock_matrix(pooled(1))
    assert booster.predict(own).tolist() == [r[0] for r in table_rows(found["said"].table)]
    for refused in (
        Predict(bare, matrix, what="contribs"),
        Inspect(bare, "trees"),
        Inspect(bare, kinds=("gain",)),
        Inspect(bare, "dump", stats=True),
    ):
        with pytest.raises(PlanError, match="without statistics"):
            job.add(refused)
    assert job.rows(job.add(Inspect(bare, kinds=("weight",))))


EDGES = tuple(Edges(f, ("-1.0", "0.0", "0.5", "1.0")) for f in FEATURES)


def test_thresholds_lie_at_public_edges(job):
    matrix = job.matrix(edges=EDGES)
    controls = Controls(public_thresholds=True)
    model = job.train({"max_depth": 4}, 5, matrix, controls=controls)
    found = job.run(model=model, said=job.add(Predict(model, matrix)))
    booster = xgboost.Booster(model_file=bytearray(found["model"].raw))
    splits = {float(s) for s in booster.trees_to_dataframe()["Split"].dropna()}
    assert {s for s in splits if s < 1e38} <= {-1.0, 0.0, 0.5, 1.0}
    assert len(splits) > 1
    # Rows as they are go the same ways as rows cut to edges: the model needs no cutting.
    own = stock_matrix(pooled(1))
    assert booster.predict(own).tolist() == [r[0] for r in table_rows(found["said"].table)]


def test_other_methods_split_between_edges_and_fail(job):
    settings = {"tree_method": "exact", "max_depth": 4}
    model = job.train(
        settings, 3, job.matrix(edges=EDGES), controls=Controls(public_thresholds=True)
    )
    with pytest.raises(EngineError, match="no public edge"):
        job.model(model)
    with pytest.raises(PlanError, match="no public edges"):
        job.train({}, 3, job.matrix(edges=EDGES[:1]), controls=Controls(public_thresholds=True))


def test_edges_are_checked(job):
    for edges, words in (
        (Edges("nope", ("1.0",)), "no feature with amounts"),
        (Edges("x", ("1.0", "1.0")), "do not rise"),
        (Edges("x", ()), "are not numbers"),
        (Edges("x", ("Infinity",)), "are not numbers"),
    ):
        with pytest.raises(PlanError, match=words):
            job.matrix(edges=(edges,))


@pytest.mark.parametrize(
    "settings", [{"alpha": 0.9}, {"lambda": 0.75}, {"alpha": 0.7, "lambda": 0.7}]
)  # fmt: skip
def test_regularisation_in_closed_form(settings):
    """Leaf = (sum of gradients less alpha) / (sum of hessians + lambda), by hand."""
    rows = [(0.0, 0.0)] * 2 + [(1.0, 1.0)] * 2
    job = Job(t=Source(schema(x="double!", y="double!"), rows))
    matrix = job.add(Matrix((job.scan("t"),), ("x",), "y"))
    given = {
        "base_score": 0.5,
        "max_depth": 1,
        "eta": 1,
        "lambda": 0,
        "min_child_weight": 0,
        **settings,
    }
    model = job.add(Train(matrix, parameters(given), 1))
    said = [r[0] for r in job.rows(job.add(Predict(model, matrix)))]
    penalty, squeeze = settings.get("alpha", 0), given["lambda"]
    expected = (2 * 0.5 - penalty) / (2 + squeeze)
    assert said[2] - 0.5 == pytest.approx(expected)
    assert 0.5 - said[0] == pytest.approx(expected)


def test_owners_of_leaves_are_counted():
    job = Training()
    matrix = job.matrix(job.t, job.u)
    node = job.train({"max_depth": 2}, 2, matrix, controls=Controls(leaf_owners=2))
    with pytest.raises(
        EngineError, match="fewer than 2 owners"
    ):  # both tables are of one owner here
        job.model(node)
