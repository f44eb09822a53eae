"""Expansion against numpy's repeat, within and beyond its public bound."""

import numpy as np
import pytest
from tests.support.kernels import ISAS, row_numbers

from mc2 import _native


@pytest.fixture(params=ISAS, autouse=True)
def isa(request):
    before = _native.isa()
    _native.use_isa(request.param)
    yield request.param
    _native.use_isa(before)


def counts_of(rows):
    rng = np.random.default_rng(rows)
    yield rng.integers(0, 4, rows).astype(np.uint64)
    yield np.zeros(rows, np.uint64)
    yield np.ones(rows, np.uint64)
    yield np.where(rng.random(rows) < 0.1, 20, 0).astype(np.uint64)
    yield np.where(row_numbers(rows) == rows // 2, 30, 0).astype(np.uint64)


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_rows_are_repeated(width):
    for rows in [0, 1, 2, 3, 7, 8, 9, 31, 64, 100]:
        table = np.ascontiguousarray(
            row_numbers(rows)[:, None] * np.uint64(10) + np.arange(1, width + 1, dtype=np.uint64)
        )
        for counts in counts_of(rows):
            total = int(counts.sum())
            for bound in {0, 1, rows, total // 2, max(total - 1, 0), total, total + 1, total + 37}:
                out, copy = np.full((bound, width), 9, np.uint64), np.full(bound, 9, np.uint64)
                valid, flags = np.full(bound, 9, np.uint8), np.zeros(1, np.uint64)
                _native.expand(table, counts, out, copy, valid, flags)
                there = min(total, bound)
                numbers = [c for n in counts.tolist() for c in range(n)][:there]
                assert (out[:there] == np.repeat(table, counts.astype(int), axis=0)[:there]).all()
                assert copy[:there].tolist() == numbers
                assert valid.tolist() == [1] * there + [0] * (bound - there)
                assert not out[there:].any()
                assert not copy[there:].any()
                assert flags[0] == (4 if total > bound else 0)


def test_huge_counts_overflow_the_bound_and_nothing_else():
    counts = np.array([2**64 - 1, 2**63, 1], np.uint64)
    out, copy = np.zeros((5, 1), np.uint64), np.zeros(5, np.uint64)
    valid, flags = np.zeros(5, np.uint8), np.zeros(1, np.uint64)
    _native.expand(row_numbers(3)[:, None] + np.uint64(7), counts, out, copy, valid, flags)
    assert out[:, 0].tolist() == [7] * 5
    assert flags[0] == 4
