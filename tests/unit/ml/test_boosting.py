"""Oblivious boosting: models of the same bits whatever the rows' order, and as good as stock's."""

import hashlib
import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.boosting import column, features_of, fit

from mc2 import _native
from mc2.errors import EngineError
from mc2.ml.boosted_trees import predict_leaves, predict_margins, predict_values, release
from mc2.ml.boosting import Training
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.secret_matrix import Feature, bin_rows, public_cuts
from mc2.operators.handles import SecretMarks
from mc2.operators.run import Run

DATA = Path(__file__).parents[4] / "shared" / "data"
OBJECTIVES = ["binary:logistic", "reg:squarederror", "count:poisson", "multi:softprob"]


@pytest.fixture(autouse=True)
def as_before():
    isa, threads = _native.isa(), _native.threads()
    yield
    _native.use_isa(isa)
    _native.set_threads(threads)
    _native.set_serial_below(1 << 18)


def made(rows, objective, seed=0, features=5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features)).astype(np.float32).astype(np.float64)
    x[:, -1] = np.round(x[:, -1])
    x[rng.random(x.shape) < 0.08] = np.nan
    score = 2 * np.nan_to_num(x[:, 0]) + np.nan_to_num(x[:, 1]) ** 2 - 1 + rng.normal(size=rows)
    label = {
        "binary:logistic": (score > 0) * 1.0,
        "reg:squarederror": 100 * score,
        "count:poisson": np.floor(np.exp(score / 3)),
        "multi:softprob": np.digitize(score, [-1, 1]) * 1.0,
    }[objective]
    return x, label


def asked(objective, **more):
    classes = {"num_class": 3} if objective == "multi:softprob" else {}
    return {"objective": objective, **classes, **more}


def stock_of(run, trained):
    return xgboost.Booster(model_file=bytearray(json.dumps(release(run, trained.model)).encode()))


def digest(run, trained):
    run.finish()
    text = json.dumps([release(run, trained.model), trained.history])
    return hashlib.sha256(text.encode()).hexdigest()


def stock_metric(x, y, parameters, rounds, weight=None, **data):
    found = {}
    matrix = xgboost.DMatrix(x, y, weight=weight, **data)
    parameters = {**parameters, "tree_method": "hist", "nthread": 1}
    xgboost.train(
        parameters, matrix, rounds, evals=[(matrix, "t")], evals_result=found, verbose_eval=False
    )
    return next(iter(found["t"].values()))[-1]


def last(trained):
    return next(iter(trained.history["train"].values()))[-1]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(
    ("depth", "bins", "gamma", "search"),
    [
        (1, 16, 0, "exact"),
        (3, 64, 1.0, "exact"),
        (6, 256, 0, "exact"),
        (8, 32, 0.1, "exact"),
        (6, 256, 0, "refined"),
        (3, 64, 1.0, "refined"),
    ],
)
def test_stock_xgboost_loads_the_model_and_predicts_the_same_bits(
    objective, depth, bins, gamma, search
):
    x, y = made(1500, objective)
    stock_parameters = asked(objective, max_depth=depth, max_bin=bins, gamma=gamma)
    parameters = {**stock_parameters, "split_search": search}
    run, trained, (matrix,) = fit(x, y, parameters, 8, evaluate=True)
    run.finish()
    booster = stock_of(run, trained)
    data = xgboost.DMatrix(x, y, feature_names=booster.feature_names)
    mine = predict_margins(run, trained.model, matrix)[:, : len(x)]
    stock = booster.predict(data, output_margin=True).reshape(len(x), -1).T
    assert mine.tobytes() == np.ascontiguousarray(stock).tobytes()
    values = predict_values(run, trained.model, matrix)[: len(x)]
    assert np.allclose(values, booster.predict(data), rtol=2e-6, atol=1e-7)
    shown = float(booster.eval(data).split(":")[-1])
    assert last(trained) == pytest.approx(shown, rel=1e-4)
    expected = stock_metric(x, y, stock_parameters, 8)
    assert last(trained) <= expected * 1.06 + 0.01
    leaves = predict_leaves(run, trained.model, matrix)
    assert leaves.shape == (8 * len(mine), matrix.rows)
    assert leaves.max() < 2**depth


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(OBJECTIVES),
    st.integers(1, 400),
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.sampled_from(
        [
            {},
            {"subsample": 0.6},
            {"colsample_bynode": 0.5},
            {"max_delta_step": 0.4},
            {"split_search": "refined", "max_bin": 200},
        ]
    ),
)
def test_models_have_one_digest_over_orders_and_partitions(objective, rows, seed, parts, more):
    x, y = made(rows, objective, seed)
    parameters = asked(objective, **{"max_depth": 3, "max_bin": 16, **more})
    order = np.random.default_rng(seed + 1).permutation(rows)
    first = digest(*fit(x, y, parameters, 3, evaluate=True)[:2])
    assert digest(*fit(x, y, parameters, 3, parts=parts, order=order, evaluate=True)[:2]) == first


@pytest.mark.parametrize("rows", [20_000, 140_000])
@pytest.mark.parametrize("more", [{"max_bin": 16}, {"max_bin": 99, "split_search": "refined"}])
def test_models_have_one_digest_over_threads_kernels_and_grouping(rows, more):
    x, y = made(rows, "binary:logistic")
    parameters = asked("binary:logistic", max_depth=4, subsample=0.8, **more)
    found = set()
    order = np.random.default_rng(3).permutation(rows)
    _native.set_serial_below(1000)
    # 20,000 rows in two parts are too few to group, in one they are grouped.
    for isa, threads, parts, mixed, fixed in [
        ("avx2", 1, 1, False, False),
        ("avx2", 2, 1, True, True),
        ("avx2", 2, 2, True, False),
        ("portable", 1, 1, True, False),
    ]:
        if not _native.isa_supported(isa):
            continue
        _native.use_isa(isa)
        _native.set_threads(threads)
        how = {"order": order if mixed else None, "fixed_order": fixed, "evaluate": True}
        found.add(digest(*fit(x, y, parameters, 2, parts=parts, **how)[:2]))
    assert len(found) == 1


def test_absent_rows_change_nothing():
    x, y = made(300, "reg:squarederror")
    there = np.ones(400, np.uint8)
    there[300:] = 0
    wide = np.vstack([x, np.full((100, x.shape[1]), np.nan)])
    labels = np.concatenate([y, np.full(100, np.nan)])
    parameters = asked("reg:squarederror", max_depth=3)
    first = digest(*fit(x, y, parameters, evaluate=True)[:2])
    assert digest(*fit(wide, labels, parameters, present=there, evaluate=True)[:2]) == first


def test_weights_count_as_in_stock():
    x, y = made(1500, "binary:logistic")
    weight = np.random.default_rng(5).exponential(size=len(x)).astype(np.float32)
    parameters = asked("binary:logistic", max_depth=4, max_bin=64, scale_pos_weight=2.0)
    run, trained, _ = fit(x, y, parameters, 8, weight=weight, evaluate=True)
    run.finish()
    expected = stock_metric(x, y, parameters, 8, weight=weight)
    assert last(trained) == pytest.approx(expected, rel=0.03)


SAME = [
    ("binary:logistic", {"scale_pos_weight": 4.0}),
    ("binary:logistic", {"scale_pos_weight": 0.2, "max_depth": 1}),
    ("binary:logistic", {"alpha": 3.0, "lambda": 0.5, "min_child_weight": 15}),
    ("binary:logistic", {"max_delta_step": 0.3, "gamma": 2.0, "base_score": 0.3}),
    ("binary:logistic", {"monotone_constraints": (1, 1, -1, 0), "eta": 0.1}),
    ("reg:squarederror", {"lambda": 0.0, "min_child_weight": 0, "max_depth": 2}),
    ("reg:squarederror", {"monotone_constraints": (1, 0, -1, 1), "alpha": 1.0}),
    ("reg:squarederror", {"max_bin": 16, "base_score": 2.0, "max_depth": 8}),
    ("count:poisson", {"max_delta_step": 0.2, "gamma": 1.0}),
    ("count:poisson", {"monotone_constraints": (1, 1, -1, 0), "lambda": 20.0}),
    ("multi:softprob", {"alpha": 1.0, "max_delta_step": 0.2, "eta": 1.0}),
    ("multi:softprob", {"max_depth": 1, "min_child_weight": 15}),
]


@pytest.mark.parametrize(("objective", "more"), SAME)
@pytest.mark.parametrize("weighed", [False, True])
def test_features_of_few_values_give_the_models_of_stock(objective, more, weighed):
    """Each value is a bin, so that both look at the same splits."""
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, (800, 4)).astype(float)
    x[rng.random(x.shape) < 0.08] = np.nan
    score = np.nan_to_num(x) @ [1, 0.5, -0.7, 0] + rng.normal(size=len(x))
    y = {
        "binary:logistic": (score > 0) * 1.0,
        "reg:squarederror": score,
        "count:poisson": rng.poisson(np.exp(np.clip(score / 4, -2, 2))) * 1.0,
        "multi:softprob": np.digitize(score, [-1, 1]) * 1.0,
    }[objective]
    weight = rng.integers(1, 4, len(x)).astype(float) if weighed else None
    parameters = asked(objective, **more)
    run, trained, (matrix,) = fit(x, y, parameters, 4, weight=weight)
    run.finish()
    mine = predict_margins(run, trained.model, matrix)[:, : len(x)]
    stock = xgboost.train(
        {**parameters, "tree_method": "hist", "nthread": 1},
        data := xgboost.DMatrix(x, y, weight=weight),
        4,
    )
    wanted = stock.predict(data, output_margin=True).reshape(len(x), -1).T
    assert np.abs(mine - wanted).max() < 1e-3 * (1 + np.abs(wanted).max())


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob"])
@pytest.mark.parametrize("more", [{}, {"lambda": 0.0}, {"lambda": 2.0, "max_depth": 8}])
@pytest.mark.parametrize("seed", [0, 2])
def test_of_equal_gains_the_split_of_stock_wins(objective, more, seed):
    """Few rows of few values: many splits gain the same, and tell other rows different things."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, (120, 3)).astype(float)
    x[rng.random(x.shape) < 0.15] = np.nan
    y = rng.integers(0, 3 if objective == "multi:softprob" else 2, len(x)).astype(float)
    parameters = asked(objective, **more)
    mine = stock_of(*fit(x, y, parameters, 1)[:2])
    stock = xgboost.train(
        {**parameters, "tree_method": "hist", "nthread": 1},
        xgboost.DMatrix(x, y, feature_names=mine.feature_names),
        1,
    )
    rows = np.array(list(product([0, 1, 2, 3, np.nan], repeat=3)))
    every = xgboost.DMatrix(rows, feature_names=mine.feature_names)
    wanted = stock.predict(every, output_margin=True)
    assert np.abs(mine.predict(every, output_margin=True) - wanted).max() < 1e-5


def test_categories_are_split_one_against_the_rest():
    rng = np.random.default_rng(2)
    x = np.column_stack([rng.integers(0, 5, 900), rng.normal(size=900)]).astype(np.float64)
    x[::17, 0] = np.nan
    y = np.isin(x[:, 0], [1, 3]) * 1.0
    features = features_of(x, {0: 5})
    parameters = asked("binary:logistic", max_depth=3)
    run, trained, (matrix,) = fit(x, y, parameters, 6, features=features, evaluate=True)
    run.finish()
    booster = stock_of(run, trained)
    data = xgboost.DMatrix(
        x, feature_names=["f0", "f1"], feature_types=["c", "float"], enable_categorical=True
    )
    stock = booster.predict(data, output_margin=True)
    assert predict_margins(run, trained.model, matrix)[0, :900].tobytes() == stock.tobytes()
    assert last(trained) < 0.25


@pytest.mark.parametrize("sign", [1, -1])
def test_monotone_constraints_hold(sign):
    x, y = made(1200, "reg:squarederror")
    parameters = asked("reg:squarederror", max_depth=5, monotone_constraints={"f0": sign})
    run, trained, _ = fit(x, y, parameters, 10)
    booster = stock_of(run, trained)
    line = np.zeros((200, 5))
    line[:, 0] = np.linspace(-4, 4, 200)
    for others in np.random.default_rng(1).normal(size=(10, 4)):
        line[:, 1:] = others
        found = booster.predict(xgboost.DMatrix(line, feature_names=booster.feature_names))
        assert (np.diff(found) * sign >= 0).all()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"alpha": 0.9, "lambda": 0.0}, -0.5 * (4 - 0.9) / 4),
        ({"alpha": 0.0, "lambda": 0.75}, -0.5 * 4 / 4.75),
        ({"alpha": 0.7, "lambda": 0.7}, -0.5 * (4 - 0.7) / 4.7),
        ({"alpha": 0.0, "lambda": 0.0, "max_delta_step": 0.2}, -0.5 * 0.2),
    ],
)
def test_regularisation_is_the_closed_form(more, expected):
    """Four rows of label 0 at margin 1: G = 4, H = 4, no split possible."""
    parameters = asked("reg:squarederror", base_score=1.0, eta=0.5, max_depth=1, **more)
    run, trained, _ = fit(np.zeros((4, 1)), np.zeros(4), parameters, 1)
    (tree,) = release(run, trained.model)["learner"]["gradient_booster"]["model"]["trees"]
    assert tree["split_conditions"] == [pytest.approx(1 + expected, rel=1e-5)]
    assert tree["left_children"] == [-1]


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.zeros((50, 2)), np.arange(50) % 2),
        (np.full((50, 1), np.nan), np.arange(50) % 2),
        (np.arange(50.0).reshape(-1, 1), np.ones(50)),
        (np.array([[1.0]]), np.array([1.0])),
        (np.array([[1.0], [2.0]]), np.array([0.0, 1.0])),
    ],
)
def test_degenerate_data_train(x, y):
    y = y.astype(np.float64)
    parameters = asked("binary:logistic", max_depth=3)
    run, trained, _ = fit(x, y, parameters, 3, evaluate=True)
    run.finish()
    assert last(trained) == pytest.approx(stock_metric(x, y, parameters, 3), abs=2e-3)


@pytest.mark.parametrize(
    ("objective", "label"),
    [
        ("binary:logistic", 2.0),
        ("count:poisson", -1.0),
        ("multi:softprob", 3.0),
        ("multi:softprob", 0.5),
        ("reg:squarederror", np.nan),
    ],
)
def test_labels_that_do_not_fit_fail_at_the_end(objective, label):
    x, y = made(100, objective)
    y[17] = label
    run, _, _ = fit(x, y, asked(objective), 1)
    with pytest.raises(EngineError, match="declared domain"):
        run.finish()


def test_negative_weights_and_infinite_features_fail():
    x, y = made(100, "binary:logistic")
    weight = np.ones(100)
    weight[3] = -1
    run, _, _ = fit(x, y, asked("binary:logistic"), 1, weight=weight)
    with pytest.raises(EngineError, match="declared domain"):
        run.finish()
    x[5, 0] = np.inf
    run, _, _ = fit(x, y, asked("binary:logistic"), 1)
    with pytest.raises(EngineError, match="declared domain"):
        run.finish()


@pytest.mark.parametrize(
    "wrong",
    [
        {"tree_method": "exact"},
        {"booster": "dart"},
        {"grow_policy": "lossguide"},
        {"objective": "rank:ndcg"},
        {"max_depth": 9},
        {"max_depth": 0},
        {"max_bin": 257},
        {"eta": "fast"},
        {"eta": float("nan")},
        {"subsample": 0},
        {"gamma": -1},
        {"interaction_constraints": [[0]]},
        {"eta": 0.1, "learning_rate": 0.1},
        {"num_class": 3},
        {"monotone_constraints": {"zz": 1}},
        {"monotone_constraints": (2,)},
        {"objective": "multi:softprob"},
        {"num_parallel_tree": 4},
        {"eval_metric": 3},
        {"objective": "binary:logistic", "base_score": 1.0},
    ],
)
def test_what_there_is_not_is_an_error(wrong):
    with pytest.raises(EngineError):
        BoostingParameters.read(wrong, ["a", "b"])


def test_wrong_trainings_are_errors():
    x, y = made(64, "binary:logistic")
    with pytest.raises(EngineError, match="leakage"):
        Training(1, model="open")
    with pytest.raises(EngineError, match="metric"):
        fit(x, y, asked("binary:logistic", eval_metric="rmse"))
    with pytest.raises(EngineError, match="evaluation set"):
        fit(x, y, asked("binary:logistic"), early_stopping_rounds=2)
    run, trained, _ = fit(x, y, asked("binary:logistic"), 1)
    features = [Feature("f0")]
    other = bin_rows(
        run,
        public_cuts(features, {"f0": [0.0]}),
        {"f0": column(x[:, 0])},
        SecretMarks(np.ones(64, np.uint8)),
    )
    with pytest.raises(EngineError, match="cuts"):
        predict_margins(run, trained.model, other)


def test_early_stopping_shows_its_metrics_and_no_more():
    x, y = made(400, "binary:logistic")
    parameters = asked("binary:logistic", max_depth=2, eta=1.0, gamma=30)
    run, trained, _ = fit(x, y, parameters, 60, evaluate=True, early_stopping_rounds=2)
    assert trained.model.rounds < 60
    assert trained.best_round == trained.model.rounds - 3
    assert set(run.declassified) == {"metrics are an output"}
    assert trained.model.first(1).rounds == 1


@pytest.mark.parametrize("search", ["exact", "refined"])
def test_kernel_calls_depend_on_shapes_only(search):
    """One shape, very different rows: the same calls; with a public model too, but for its columns."""
    calls = []
    for seed in range(3):
        x, y = made(500, "binary:logistic", seed)
        if seed == 2:
            x[:], y[:] = 1.0, 0.0
        run = Run(record=True)
        parameters = asked("binary:logistic", max_depth=4, split_search=search)
        fit(x, y, parameters, 3, run=run, evaluate=True)
        calls.append((run.calls, run.declassified))
    assert calls[0] == calls[1] == calls[2]
    assert len(calls[0][0]) > 50


def test_a_public_model_shows_which_features_it_uses():
    x, y = made(500, "binary:logistic", features=40)
    parameters = asked("binary:logistic", max_depth=3)
    secret = fit(x, y, parameters, 3)
    public = fit(x, y, parameters, 3, model="public")
    assert "splits show as they are chosen" in public[0].declassified
    assert not secret[0].declassified
    assert digest(*public[:2]) == digest(*secret[:2])


def test_few_bins_are_searched_exactly():
    x, y = made(600, "binary:logistic")
    parameters = asked("binary:logistic", max_depth=4, max_bin=32)
    refined = {**parameters, "split_search": "refined"}
    assert digest(*fit(x, y, parameters, 3)[:2]) == digest(*fit(x, y, refined, 3)[:2])


def test_refined_splits_stand_where_single_bins_say():
    """Two borders that no cell of eight bins has; the label turns there."""
    x = np.arange(4000.0).reshape(-1, 1)
    y = ((x[:, 0] >= 1234) & (x[:, 0] < 3003)) * 1.0
    parameters = asked("binary:logistic", max_depth=2, max_bin=256, eta=1.0)
    exact = stock_of(*fit(x, y, parameters, 1)[:2]).trees_to_dataframe()
    refined = stock_of(*fit(x, y, {**parameters, "split_search": "refined"}, 1)[:2])
    assert refined.trees_to_dataframe().equals(exact)


def test_statistics_can_be_left_out():
    x, y = made(300, "binary:logistic")
    run, trained, _ = fit(x, y, asked("binary:logistic"), 2)
    tree = release(run, trained.model, statistics=False)["learner"]["gradient_booster"]["model"][
        "trees"
    ][0]
    assert not any(tree["sum_hessian"])
    assert not any(tree["loss_changes"])


def agaricus(name):
    rows = [line.split() for line in (DATA / name).read_text().splitlines()]
    x = np.full((len(rows), 127), np.nan)
    for i, row in enumerate(rows):
        for cell in row[1:]:
            place, value = cell.split(":")
            x[i, int(place)] = float(value)
    return x, np.array([float(row[0]) for row in rows])


@pytest.mark.skipif(not (DATA / "agaricus.txt.train").exists(), reason="needs ../shared/data")
def test_mushrooms_as_well_as_stock():
    x, y = agaricus("agaricus.txt.train")
    for depth, gamma in ((3, 0), (3, 0.1), (6, 0)):
        parameters = asked("binary:logistic", max_depth=depth, gamma=gamma, eta=1.0)
        run, trained, _ = fit(x, y, parameters, 3, evaluate=True)
        run.finish()
        expected = stock_metric(x, y, parameters, 3)
        assert last(trained) == pytest.approx(expected, rel=0.05, abs=1e-3)


def test_breast_cancer_as_well_as_stock():
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_breast_cancer(return_X_y=True)
    for depth, bins in ((2, 16), (4, 64), (6, 256)):
        parameters = asked("binary:logistic", max_depth=depth, max_bin=bins)
        run, trained, _ = fit(x, y.astype(np.float64), parameters, 10, evaluate=True)
        run.finish()
        assert last(trained) <= stock_metric(x, y, parameters, 10) * 1.1 + 0.005
