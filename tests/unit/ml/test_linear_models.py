"""Linear and logistic regression and k-means against scikit-learn, and their promises."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
)

from mc2 import _native
from mc2.errors import EngineError
from mc2.ml.clusters import Start, fit_clusters, labels_of
from mc2.ml.linear import Penalty, fit_linear, fit_logistic
from mc2.ml.moments import LearningRows, whole_steps
from mc2.ml.multinomial import fit_multinomial
from mc2.ml.regressions import margins_of, probabilities_of
from mc2.operators.run import Run

COIMBRA = Path(__file__).parents[4] / "shared" / "data" / "coimbra.csv"
ISAS = [i for i in ("portable", "avx2") if _native.isa_supported(i)]


def padded(values, room):
    found = np.zeros(room)
    found[: len(values)] = values
    return found


def rows(x, y=None, weights=None, *, spare=0):
    """Rows in whole steps; rubbish stands in those that are not there."""
    room = whole_steps(len(x) + spare)
    features = np.full((x.shape[1], room), 7.25)
    features[:, : len(x)] = x.T
    present = np.zeros(room, dtype=np.uint8)
    present[: len(x)] = 1
    labels = None if y is None else padded(y, room)
    return LearningRows(
        features, present, labels, None if weights is None else padded(weights, room)
    )


def linear(x, y, penalty=0.0, *, weights=None, intercept=True):
    run = Run()
    given = penalty if isinstance(penalty, Penalty) else Penalty(penalty)
    found = fit_linear(run, rows(x, y, weights), given, intercept=intercept)
    run.finish()
    return found


def logistic(x, y, penalty=1.0, *, weights=None, intercept=True, rounds=100, may_end=True):
    run = Run()
    given = penalty if isinstance(penalty, Penalty) else Penalty(penalty)
    found = fit_logistic(
        run, rows(x, y, weights), given, intercept=intercept, rounds=rounds, may_end=may_end
    )
    run.finish()
    return found


def clusters(x, count, start, *, weights=None, rounds=300, may_end=True):
    run = Run()
    found = fit_clusters(
        run, rows(x, weights=weights), count, start, rounds=rounds, may_end=may_end
    )
    run.finish()
    return found


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)


def same_bits(a, b):
    assert a.tobytes() == b.tobytes()


@pytest.fixture(params=ISAS)
def isa(request):
    before = _native.isa()
    _native.use_isa(request.param)
    yield request.param
    _native.use_isa(before)


@pytest.mark.parametrize("load", [load_diabetes, load_breast_cancer, load_wine])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighed", [True, False])
def test_linear_regression_is_scikit_learns(load, intercept, weighed):
    x, y = load(return_X_y=True)
    if not intercept:  # else scikit-learn drops what it takes for noise in columns of small numbers
        x = x / np.exp2(np.round(np.log2(np.abs(x).max(axis=0))))
    weights = 0.1 + np.arange(len(y)) % 5 if weighed else None
    wanted = LinearRegression(fit_intercept=intercept).fit(x, y, weights)
    found = linear(x, y, weights=weights, intercept=intercept)
    assert found.dropped[0] == 0
    close(found.factors[:-1], wanted.coef_)
    close(found.factors[-1], wanted.intercept_)


@pytest.mark.parametrize("penalty", [1e-3, 1.0, 1e4])
def test_ridge_is_scikit_learns(penalty):
    x, y = load_breast_cancer(return_X_y=True)
    weights = 0.1 + np.arange(len(y)) % 5
    wanted = Ridge(alpha=penalty, solver="svd").fit(x, y, weights)
    found = linear(x, y, penalty, weights=weights)
    close(found.factors[:-1], wanted.coef_)
    close(found.factors[-1], wanted.intercept_)


@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("intercept", [True, False])
def test_logistic_regression_is_scikit_learns(strength, intercept, isa):
    x, y = load_breast_cancer(return_X_y=True)
    weights = 0.1 + np.arange(len(y)) % 5
    model = LogisticRegression(
        C=strength, fit_intercept=intercept, solver="newton-cholesky", tol=1e-12, max_iter=1000
    )
    wanted = model.fit(x, y, weights)
    found = logistic(x, y, 1 / strength, weights=weights, intercept=intercept)
    assert found.state[0] == 1
    close(found.factors[:-1], wanted.coef_[0])
    close(found.factors[-1], wanted.intercept_[0] if intercept else 0.0)
    run, given = Run(), rows(x)
    said = probabilities_of(run, margins_of(run, given.features, found.factors))
    close(said[: len(x)], wanted.predict_proba(x)[:, 1])


@pytest.mark.skipif(not COIMBRA.exists(), reason=f"{COIMBRA} is not here")
def test_on_a_clinics_data():
    with COIMBRA.open(newline="") as file:
        table = np.array([[float(v) for v in row] for row in list(csv.reader(file))[1:]])
    x, y = table[:, :-1], table[:, -1]
    wanted = LogisticRegression(solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(x, y)
    found = logistic(x, y)
    close(found.factors[:-1], wanted.coef_[0])
    close(linear(x, y).factors[:-1], LinearRegression().fit(x, y).coef_)
    start = x[[3, 40, 80]]
    centres = KMeans(3, init=start, n_init=1, tol=0).fit(x)
    close(clusters(x, 3, Start(start)).centres, centres.cluster_centers_)


@pytest.mark.parametrize("weighed", [True, False])
def test_k_means_is_scikit_learns(weighed, isa):
    x, _ = load_iris(return_X_y=True)
    weights = 0.5 + np.arange(len(x)) % 3 if weighed else None
    start = x[[0, 60, 120]]
    wanted = KMeans(3, init=start, n_init=1, tol=0).fit(x, sample_weight=weights)
    found = clusters(x, 3, Start(start), weights=weights)
    close(found.centres, wanted.cluster_centers_)
    close(found.inertia[0], wanted.inertia_)
    given = rows(x)
    said = labels_of(Run(), given.features, given.present, found.centres)
    assert said[: len(x)].tolist() == wanted.labels_.tolist()


def test_drawn_starts_end_as_well_as_scikit_learns():
    x, _ = load_iris(return_X_y=True)
    wanted = KMeans(3, n_init=10, random_state=1, tol=0).fit(x).inertia_
    assert clusters(x, 3, Start(seed=5, times=10)).inertia[0] < wanted * 1.001
    one, other = (clusters(x, 3, Start(seed=s)).centres for s in (5, 5))
    same_bits(one, other)


def test_k_means_of_few_points():
    x = np.array([[1.0, 2.0], [1.0, 2.0], [5.0, 2.0]])
    found = clusters(x, 3, Start(seed=0))
    close(np.unique(found.centres.round(9), axis=0), [[1.0, 2.0], [5.0, 2.0]])
    assert found.inertia[0] < 1e-12
    same = clusters(np.full((5, 2), 3.5), 2, Start())
    assert same.centres.tolist() == [[3.5, 3.5]] * 2


def test_a_cluster_without_rows_keeps_its_centre():
    x = np.array([[0.0], [1.0], [0.5]])
    found = clusters(x, 2, Start(np.array([[0.5], [100.0]])))
    close(found.centres, [[0.5], [100.0]])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 200), st.integers(1, 4))
def test_results_are_the_same_bits_for_any_order_threads_and_kernels(seed, count, width):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, width)) * 10.0 ** rng.integers(-3, 4, width)
    y = (rng.random(count) < 0.4).astype(float)
    start = Start(x[:2].copy())
    order = rng.permutation(count)

    def fitted(ids):
        return (
            linear(x[ids], y[ids], 0.1).factors,
            logistic(x[ids], y[ids]).factors,
            clusters(x[ids], 2, start, rounds=20).centres,
        )

    before = _native.isa()
    _native.set_serial_below(0)
    try:
        wanted = fitted(np.arange(count))
        for threads, kernels in [(1, before), (3, before), *((2, isa) for isa in ISAS)]:
            _native.set_threads(threads)
            _native.use_isa(kernels)
            for one, other in zip(wanted, fitted(order), strict=True):
                same_bits(one, other)
    finally:
        _native.use_isa(before)
        _native.set_threads(1)
        _native.set_serial_below(1 << 18)


def test_all_rounds_give_the_same_bits_as_those_that_change_something():
    x, y = load_breast_cancer(return_X_y=True)
    same_bits(logistic(x, y).factors, logistic(x, y, rounds=40, may_end=False).factors)
    one = clusters(x, 3, Start(x[:3].copy()))
    same_bits(one.centres, clusters(x, 3, Start(x[:3].copy()), rounds=60, may_end=False).centres)


def test_a_constant_column_counts_for_nothing():
    x, y = load_diabetes(return_X_y=True)
    wide = np.concatenate([x, np.full((len(x), 1), 0.1)], axis=1)
    found = linear(wide, y)
    assert found.dropped[0] == 0
    assert found.factors[-2] == 0
    close(found.factors[:-2], LinearRegression().fit(x, y).coef_)
    assert logistic(wide, y > 140).factors[-2] == 0


def test_a_column_that_depends_on_others_is_told():
    x, y = load_diabetes(return_X_y=True)
    wide = np.concatenate([x, x[:, :1] * 2 + x[:, 1:2]], axis=1)
    assert linear(wide, y).dropped[0] == 1
    found = linear(wide, y, 1.0)  # a penalty decides between them
    assert found.dropped[0] == 0
    close(found.factors[:-1], Ridge(1.0, solver="svd").fit(wide, y).coef_)


def test_a_constant_label_gives_a_constant():
    x, _ = load_diabetes(return_X_y=True)
    found = linear(x, np.full(len(x), 3.7))
    assert found.factors[:-1].tolist() == [0.0] * x.shape[1]
    close(found.factors[-1], 3.7)


def test_separated_labels_end_only_with_a_penalty():
    x = np.arange(40.0).reshape(-1, 1)
    y = (x[:, 0] > 19.5).astype(float)
    found = logistic(x, y, 0.0)
    assert found.dropped[0]  # nothing is left of the curvature
    assert np.isfinite(found.factors).all()
    assert logistic(x, y, 0.0, rounds=20).state[0] == 0
    found = logistic(x, y, 1.0)
    assert (found.dropped[0], found.state[0]) == (0, 1)


def test_large_steps_are_halved():
    """Without that, Newton's method goes astray here."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 2)) * np.array([1.0, 100.0])
    y = (x[:, 0] + rng.normal(size=60) * 0.1 > 1.5).astype(float)
    wanted = LogisticRegression(C=1e4, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    found = logistic(x, y, 1e-4)
    assert found.state[0] == 1
    close(found.factors[:-1], wanted.fit(x, y).coef_[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e60])
def test_numbers_that_are_none_fail(value):
    x, y = load_diabetes(return_X_y=True)
    x[17, 2] = value
    with pytest.raises(EngineError, match="outside of its declared domain"):
        linear(x, y)


def test_labels_other_than_0_and_1_fail():
    x, y = load_diabetes(return_X_y=True)
    with pytest.raises(EngineError, match="outside of its declared domain"):
        logistic(x, y)


def recorded(seed):
    """What a watcher sees of all three over made-up data of one shape."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(90, 3)) * seed, (rng.random(90) < 0.5).astype(float)
    there = rows(x, y, rng.random(90))
    present = (rng.random(len(there.present)) < 0.5).astype(np.uint8)
    given = LearningRows(there.features, present, there.labels, there.weights)
    run = Run(record=True)
    fit_linear(run, given, Penalty(0.5), intercept=True)
    fit_logistic(run, given, Penalty(0.5), intercept=False, rounds=7, may_end=False)
    found = fit_clusters(run, given, 3, Start(seed=1, times=2), rounds=5, may_end=False)
    labels_of(run, given.features, given.present, found.centres)
    return run.calls, run.declassified


def test_the_calls_of_kernels_show_shapes_alone():
    assert recorded(1) == recorded(2)
    assert not recorded(1)[1]


def standard(load):
    x, y = load(return_X_y=True)
    return (x - x.mean(axis=0)) / x.std(axis=0), y


SPARSE = [(1.0, 0.05), (0.5, 0.05), (0.9, 0.001), (1.0, 3.0)]


@pytest.mark.parametrize("load", [load_diabetes, load_wine])
@pytest.mark.parametrize(("share", "alpha"), SPARSE)
@pytest.mark.parametrize("weighed", [True, False])
def test_elastic_net_is_scikit_learns(load, share, alpha, weighed):
    x, y = standard(load)
    weights = 0.1 + np.arange(len(y)) % 5 if weighed else None
    model = ElasticNet(alpha=alpha, l1_ratio=share, tol=1e-14, max_iter=100_000)
    wanted = model.fit(x, y, weights)
    penalty = Penalty(alpha * (1 - share), 2 * alpha * share, per_weight=True)
    found = linear(x, y, penalty, weights=weights)
    close(found.factors[:-1], wanted.coef_)
    close(found.factors[-1], wanted.intercept_)
    assert ((found.factors[:-1] == 0) == (wanted.coef_ == 0)).all()


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("alpha", [1e-3, 0.2])
def test_more_features_than_rows_have_a_sparse_model(intercept, alpha):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, 80)) * 10.0 ** rng.integers(-2, 3, 80)
    y = x[:, 3] - 2 * x[:, 7] + rng.normal(size=40)
    model = Lasso(alpha=alpha, fit_intercept=intercept, tol=1e-15, max_iter=1_000_000).fit(x, y)
    penalty = Penalty(sizes=2 * alpha, per_weight=True)
    found = linear(x, y, penalty, intercept=intercept)
    close(found.factors[:-1], model.coef_)
    assert 0 < (found.factors[:-1] != 0).sum() <= 40


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("strength", [0.01, 0.3, 10.0])
@pytest.mark.parametrize("intercept", [True, False])
def test_sparse_logistic_regression_is_scikit_learns(share, strength, intercept):
    x, y = standard(load_breast_cancer)
    weights = 0.5 + np.arange(len(y)) % 3
    found = logistic(
        x,
        y,
        Penalty((1 - share) / strength, share / strength),
        weights=weights,
        intercept=intercept,
    )
    assert found.state[0] == 1
    factors, constant = found.factors[:-1], found.factors[-1]
    # scikit-learn's saga is slow to come to an end, so what makes one is checked.
    margins = x @ factors + constant
    slopes = (weights * (1 / (1 + np.exp(-margins)) - y)) @ x + (1 - share) / strength * factors
    bound = share / strength
    there = factors != 0
    np.testing.assert_allclose(slopes[there], -bound * np.sign(factors[there]), rtol=1e-8)
    assert (np.abs(slopes[~there]) <= bound * (1 + 1e-9)).all()
    if not intercept:  # its solver for this penalises constants
        model = LogisticRegression(
            l1_ratio=1.0, C=strength, fit_intercept=False, solver="liblinear", tol=1e-10,
            max_iter=10_000, random_state=0,
        ).fit(x, y, weights)  # fmt: skip
        if share == 1.0:
            close(factors, model.coef_[0])


def test_constant_and_equal_columns_have_sparse_models_too():
    x, y = standard(load_diabetes)
    wide = np.concatenate([x, np.full((len(x), 1), 0.3), x[:, 2:3]], axis=1)
    penalty = Penalty(sizes=0.2, per_weight=True)
    found, wanted = linear(wide, y, penalty).factors, linear(x, y, penalty).factors
    assert found[-3] == 0
    close(found[[0, 1, 3, -1]], wanted[[0, 1, 3, -1]])
    close(found[2] + found[-2], wanted[2])
    sick = (y > 140).astype(float)
    assert logistic(wide, sick, Penalty(sizes=3.0)).factors[-3] == 0


def multinomial(x, y, classes, penalty=1.0, *, weights=None, intercept=True, rounds=100):
    run = Run()
    found = fit_multinomial(
        run, rows(x, y, weights), Penalty(penalty), classes,
        intercept=intercept, rounds=rounds, may_end=True,
    )  # fmt: skip
    run.finish()
    return found


@pytest.mark.parametrize("load", [load_iris, load_wine])
@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("intercept", [True, False])
def test_multinomial_regression_is_scikit_learns(load, strength, intercept):
    x, y = load(return_X_y=True)
    if not intercept:
        x = x / np.exp2(np.round(np.log2(np.abs(x).max(axis=0))))
    weights = 0.1 + np.arange(len(y)) % 5
    model = LogisticRegression(
        C=strength, fit_intercept=intercept, solver="newton-cholesky", tol=1e-12, max_iter=1000
    ).fit(x, y, weights)
    found = multinomial(x, y, 3, 1 / strength, weights=weights, intercept=intercept)
    assert (found.dropped[0], found.state[0]) == (0, 1)
    close(found.factors[:, :-1], model.coef_)
    close(found.factors[:, -1], model.intercept_ if intercept else np.zeros(3))
    run, given = Run(), rows(x)
    said = probabilities_of(run, margins_of(run, given.features, found.factors))
    close(said[:, : len(x)].T, model.predict_proba(x))


def test_multinomial_regression_without_a_penalty_adds_up_to_nothing():
    x, _ = load_diabetes(return_X_y=True)
    y = np.random.default_rng(2).integers(0, 3, len(x))
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    model.fit(x[:, :4], y)
    found = multinomial(x[:, :4], y, 3, 0.0)
    assert (found.dropped[0], found.state[0]) == (0, 1)
    np.testing.assert_allclose(found.factors.sum(axis=0), 0, atol=1e-9)
    close(found.factors[:, :-1], model.coef_ - model.coef_.mean(axis=0))
    close(found.factors[:, -1], model.intercept_ - model.intercept_.mean())


@pytest.mark.parametrize("label", [3.0, -1.0, 0.5, np.nan])
def test_labels_that_are_no_class_fail(label):
    x, y = load_iris(return_X_y=True)
    y = y.astype(float)
    y[5] = label
    with pytest.raises(EngineError, match="outside of its declared domain"):
        multinomial(x, y, 3)


def recorded_more(seed):
    """What a watcher sees of sparse and of many classes' regressions over made-up data."""
    rng = np.random.default_rng(seed)
    there = rows(rng.normal(size=(90, 3)) * seed, (rng.random(90) < 0.5).astype(float))
    run, sparse = Run(record=True), Penalty(0.1, 0.5 * seed, per_weight=True)
    fit_linear(run, there, sparse, intercept=True)
    fit_logistic(run, there, sparse, intercept=False, rounds=2, may_end=False)
    fit_multinomial(run, there, Penalty(1.0), 4, intercept=True, rounds=2, may_end=False)
    return run.calls, run.declassified


def test_the_calls_of_these_kernels_show_shapes_alone_too():
    assert recorded_more(1) == recorded_more(2)
    assert not recorded_more(1)[1]


def test_these_results_are_the_same_bits_for_any_order_too():
    x, y = load_iris(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(x))
    sparse = Penalty(0.1, 2.0)
    for fitted in (
        lambda ids: linear(x[ids], y[ids], sparse).factors,
        lambda ids: logistic(x[ids], (y[ids] == 1).astype(float), sparse).factors,
        lambda ids: multinomial(x[ids], y[ids], 3).factors,
    ):
        same_bits(fitted(np.arange(len(x))), fitted(order))
