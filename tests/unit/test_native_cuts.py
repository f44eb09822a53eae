"""Cuts at quantiles of weight, held to rows that stand there as often as they weigh."""

import numpy as np
import pytest
from tests.support.boosting import column, features_of

from mc2 import _native
from mc2.ml.secret_matrix import choose_cuts
from mc2.operators.run import Run

UNSIGNED = 1 << 63


def cuts(values, weights=None, bins=16):
    run, by = Run(), None if weights is None else [column(weights)]
    found = choose_cuts(
        run, features_of(values.reshape(-1, 1)), {"f0": [column(values)]}, bins, weights=by
    )
    return type(found)._open(found)[0]


@pytest.mark.parametrize("count", [1, 5, 40, 700])
def test_equal_weights_change_nothing(count):
    rng = np.random.default_rng(count)
    values = np.where(rng.random(count) < 0.8, rng.integers(-90, 90, count) / 4, np.nan)
    for weight in (1.0, 0.1, 3.0, 1e6):
        assert cuts(values).tobytes() == cuts(values, np.full(count, weight)).tobytes()


@pytest.mark.parametrize("bins", [4, 16, 64])
def test_a_row_of_weight_three_counts_as_three(bins):
    rng = np.random.default_rng(bins)
    values, weights = rng.normal(size=500).round(2), rng.choice([1.0, 2.0, 4.0], 500)
    order = rng.permutation(500)
    repeated = np.repeat(values, weights.astype(int))
    assert cuts(values, weights, bins).tobytes() == cuts(repeated, None, bins).tobytes()
    assert (
        cuts(values, weights, bins).tobytes() == cuts(values[order], weights[order], bins).tobytes()
    )


def test_what_weighs_nothing_moves_no_quantile():
    values = np.arange(400.0)
    weights = (values < 100).astype(float)
    found = cuts(values, weights, 8)
    assert (found[:7] < 101).all()
    assert np.isinf(cuts(np.full(5, np.nan), np.ones(5), 4)).all()


def test_words_keep_the_order_of_values_whatever_weighs():
    words = np.array([7, 3, 1 << 32], dtype=np.uint64)
    out = np.empty_like(words)
    weights = np.array([-1.0, np.nan, 2.0])
    _native.weighted_words(words, weights, np.ones(3, np.uint8), out)
    assert out.tolist() == [7 << 32, 3 << 32, (1 << 64) - 1]
