"""Exact sums that go on elsewhere: any cut of the rows gives the bits of one sum."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import numpy as np
import pytest

from mc2.operators.exact import STATE, added_up, group_states
from mc2.operators.handles import Layout, SecretColumn, flat_words_of, words_of
from mc2.operators.run import Run
from mc2.plan.types import DOUBLE

HARD = [1e308, 1e308, -1e308, -1e308, 5e-324, 1.0, -0.0, 0.1, 2.0**-1022, -3.3e200, 1e-17]


def marks(*places: int, rows: int):
    found = np.zeros(rows, dtype=np.uint8)
    found[list(places)] = 1
    return found


def doubles(values):
    words = np.array(values, dtype=np.float64).view(np.uint64).reshape(-1, 1)
    return SecretColumn(Layout(DOUBLE), words, np.ones(len(values), dtype=np.uint8))


def total(values, cuts):
    """The sum of some values by the states of parts of them, as its bits."""
    run, states = Run(), []
    ends = [0, *cuts, len(values)]
    for start, end in pairwise(ends):
        rows = end - start
        column, keep = doubles(values[start:end]), np.ones(rows, dtype=np.uint8)
        first, last = marks(0, rows=rows), marks(rows - 1, rows=rows)
        states.append(words_of(group_states(run, first, last, keep, column, 1)))
    joined = SecretColumn(STATE, np.concatenate(states), np.ones(len(states), dtype=np.uint8))
    rows = len(states)
    found = added_up(run, marks(0, rows=rows), np.ones(rows, dtype=np.uint8), joined)
    return found[-1:].view(np.float64)[0]


@pytest.mark.parametrize("seed", range(5))
def test_any_cut_gives_the_bits_of_one_sum(seed):
    random = Random(seed)
    values = [random.choice(HARD) * random.choice((1, -1)) for _ in range(50)]
    cuts = sorted(random.sample(range(1, 50), 4))
    assert str(total(values, cuts)) == str(total(values, []))


def test_a_sum_is_exact_beyond_what_a_part_can_be_rounded_to():
    assert total([1e308, 1e308, -1e308, -1e308, 1.5], [2]) == 1.5
    values = [Random(1).gauss(0, 1e9) for _ in range(200)]
    assert total(values, [7, 90]) == math.fsum(values)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [([math.inf, 1.0], "inf"), ([math.inf, -math.inf], "nan"), ([math.nan, 1.0], "nan"),
     ([-math.inf, 1e308], "-inf"), ([1e308, 1e308], "inf")],
)  # fmt: skip
def test_infinities_and_nan_go_on(values, wanted):
    assert str(total(values, [1])) == wanted


def test_some_rows_at_a_time_give_the_same_states():
    run, random, rows = Run(), Random(3), 60
    column = doubles([random.choice(HARD) for _ in range(rows)])
    starts = marks(0, 5, 20, 41, rows=rows)
    ends = marks(4, 19, 40, 59, rows=rows)
    keep = np.array([random.randrange(2) for _ in range(rows)], dtype=np.uint8)
    whole, parts = (
        words_of(group_states(run, starts, ends, keep, column, 5, least=least))
        for least in (rows, 1)
    )
    assert len(whole) == len(parts) == 5
    assert np.array_equal(whole[:4], parts[:4])
    summed = added_up(
        run,
        np.ones(4, np.uint8),
        np.ones(4, np.uint8),
        SecretColumn(STATE, whole[:4].copy(), np.ones(4, dtype=np.uint8)),
    )
    values = flat_words_of(column).view(np.float64)
    groups = ((0, 5), (5, 20), (20, 41), (41, 60))
    for found, (a, b) in zip(summed.view(np.float64), groups, strict=True):
        assert found == total(
            [v for v, k in zip(values[a:b], keep[a:b], strict=True) if k] or [0.0], []
        )
