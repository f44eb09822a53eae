"""Scans over sorted groups, and aggregates of small domains, against loops in Python."""

import numpy as np
import pytest
from tests.support.kernels import ISAS

from mc2 import _native

LENGTHS = [0, 1, 2, 3, 5, 17, 64, 100]
EDGES = np.array([0, 1, -1, 2**63 - 1, -(2**63), 2**62, -(2**62)], dtype=np.int64)


@pytest.fixture(params=ISAS, autouse=True)
def isa(request):
    before = _native.isa()
    _native.use_isa(request.param)
    yield request.param
    _native.use_isa(before)


def inputs():
    for rows in LENGTHS:
        for seed in range(4):
            rng = np.random.default_rng(1000 * seed + rows)
            starts = (rng.random(rows) < [0.1, 0.5, 0.0, 1.0][seed]).astype(np.uint8)
            starts[:1] = 1
            keep = (rng.random(rows) < 0.7).astype(np.uint8)
            yield starts, keep, rng.choice(EDGES, rows)


def running(starts, keep, values, begin, step):
    """The slow twin of every running aggregate."""
    out, state = [], begin
    for start, kept, value in zip(starts.tolist(), keep.tolist(), values.tolist(), strict=True):
        state = begin if start else state
        state = step(state, value) if kept else state
        out.append(state)
    return out


def wide(low, high):
    return [(h << 64) + lo for lo, h in zip(low.tolist(), high.tolist(), strict=True)]


def test_sums_are_exact_beyond_64_bits():
    for starts, keep, values in inputs():
        low, high = np.zeros(len(values), np.uint64), np.zeros(len(values), np.int64)
        _native.running_sum(starts, keep, values, low, high)
        expected = running(starts, keep, values, 0, lambda s, v: s + v)
        assert wide(low, high) == expected


def test_wide_sums_say_when_they_overflow():
    one = np.ones(2, np.uint8)
    starts = np.array([1, 0], np.uint8)
    for highs, kept, expected in [
        ([2**62, 2**62], 1, 1),
        ([2**62, 2**62], 0, 0),
        ([2**62, -(2**62)], 1, 0),
        ([-(2**63), -1], 1, 1),
    ]:
        low, high, flags = np.zeros(2, np.uint64), np.zeros(2, np.int64), np.zeros(1, np.uint64)
        keep = np.array([1, kept], np.uint8)
        _native.running_sum_wide(
            starts, keep, np.zeros(2, np.uint64), np.array(highs, np.int64), low, high, flags
        )
        assert flags[0] == expected
    for starts, keep, values in inputs():
        low, high, flags = (
            np.zeros(len(values), np.uint64),
            np.zeros(len(values), np.int64),
            np.zeros(1, np.uint64),
        )
        _native.running_sum_wide(
            starts, keep, values.view(np.uint64), values >> 63, low, high, flags
        )
        assert wide(low, high) == running(starts, keep, values, 0, lambda s, v: s + v)
        assert flags[0] == 0
    assert one.all()


def test_counts_extremes_and_double_sums():
    for starts, keep, values in inputs():
        count = np.zeros(len(values), np.uint64)
        _native.running_count(starts, keep, count)
        assert count.tolist() == running(starts, keep, values, 0, lambda s, _: s + 1)
        out = np.zeros(len(values), np.int64)
        _native.running_extreme(starts, keep, values, False, out)
        assert out.tolist() == running(starts, keep, values, 2**63 - 1, min)
        _native.running_extreme(starts, keep, values, True, out)
        assert out.tolist() == running(starts, keep, values, -(2**63), max)
        doubles = values / 3.0
        sums = np.zeros(len(values))
        _native.running_sum_doubles(starts, keep, doubles, sums)
        assert sums.tolist() == running(starts, keep, doubles, 0.0, lambda s, v: s + v)


def test_values_are_carried_within_their_group():
    for starts, keep, values in inputs():
        words = values.view(np.uint64)
        out, seen = np.zeros(len(words), np.uint64), np.zeros(len(words), np.uint8)
        _native.fill_forward(starts, keep, words, out, seen)
        carried = running(starts, keep, words, None, lambda _, v: v)
        assert out.tolist() == [v or 0 for v in carried]
        assert seen.tolist() == [int(v is not None) for v in carried]
        ends = np.zeros(len(words), np.uint8)
        _native.ends(starts, ends)
        _native.fill_backward(starts, keep, words, out, seen)
        carried = running(ends[::-1], keep[::-1], words[::-1], None, lambda _, v: v)[::-1]
        assert out.tolist() == [v or 0 for v in carried]
        assert seen.tolist() == [int(v is not None) for v in carried]


def test_boundaries_of_groups():
    for rows in LENGTHS:
        rng = np.random.default_rng(rows)
        a, b = (
            np.sort(rng.integers(0, 4, rows).astype(np.uint64)) << np.uint64(62) for _ in range(2)
        )
        starts, ends = np.full(rows, 9, np.uint8), np.full(rows, 9, np.uint8)
        _native.starts([a, b], starts)
        expected = [int(i == 0 or (a[i], b[i]) != (a[i - 1], b[i - 1])) for i in range(rows)]
        assert starts.tolist() == expected
        _native.ends(starts, ends)
        assert ends.tolist() == [*expected[1:], 1][:rows]


@pytest.mark.parametrize("domain", [0, 1, 7, 8, 9, 64, 256])
def test_small_domains_need_no_sort(domain):
    for rows in LENGTHS:
        rng = np.random.default_rng(rows)
        codes = rng.integers(0, max(domain, 1), rows).astype(np.uint8)
        keep, values = (rng.random(rows) < 0.7).astype(np.uint8), rng.choice(EDGES, rows)
        low, high, flags = (
            np.zeros(domain, np.uint64),
            np.zeros(domain, np.int64),
            np.zeros(1, np.uint64),
        )
        _native.sum_by_code(codes, keep, values, low, high, flags)
        pairs = list(zip(codes.tolist(), keep.tolist(), values.tolist(), strict=True))
        assert wide(low, high) == [
            sum(v for c, k, v in pairs if k and c == code) for code in range(domain)
        ]
        counts = np.zeros(domain, np.uint64)
        _native.count_by_code(codes, keep, counts, flags)
        assert counts.tolist() == [
            sum(k for c, k, _ in pairs if c == code) for code in range(domain)
        ]
        assert flags[0] == (32 if domain == 0 and keep.any() else 0)


def test_a_code_outside_of_its_domain_is_flagged_where_it_counts():
    codes, flags = np.array([0, 3], np.uint8), np.zeros(1, np.uint64)
    _native.count_by_code(codes, np.array([1, 0], np.uint8), np.zeros(3, np.uint64), flags)
    assert flags[0] == 0
    _native.count_by_code(codes, np.array([1, 1], np.uint8), np.zeros(3, np.uint64), flags)
    assert flags[0] == 32
