"""Linear and logistic regression and k-means against scikit-learn, and their promises."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from mc2 import _native
from mc2.errors import EngineError
from mc2.ml.clusters import Start, fit_clusters, labels_of
from mc2.ml.linear import fit_linear, fit_logistic, margins_of, probabilities_of
from mc2.ml.moments import LearningRows, whole_steps
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
    found = fit_linear(run, rows(x, y, weights), penalty, intercept=intercept)
    run.finish()
    return found


def logistic(x, y, penalty=1.0, *, weights=None, intercept=True, rounds=100, may_end=True):
    run = Run()
    found = fit_logistic(
        run, rows(x, y, weights), penalty, intercept=intercept, rounds=rounds, may_end=may_end
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
    fit_linear(run, given, 0.5, intercept=True)
    fit_logistic(run, given, 0.5, intercept=False, rounds=7, may_end=False)
    found = fit_clusters(run, given, 3, Start(seed=1, times=2), rounds=5, may_end=False)
    labels_of(run, given.features, given.present, found.centres)
    return run.calls, run.declassified


def test_the_calls_of_kernels_show_shapes_alone():
    assert recorded(1) == recorded(2)
    assert not recorded(1)[1]
