"""Kernels whose rows are cut over threads: one, two or three threads give the same."""

import numpy as np
import pytest
from tests.support.kernels import ISAS, UNSIGNED

from mc2 import _native

ROWS = (1, 3, 8, 61, 700)


@pytest.fixture(params=ISAS, autouse=True)
def isa(request):
    before = _native.isa()
    _native.use_isa(request.param)
    yield request.param
    _native.use_isa(before)


@pytest.fixture(autouse=True)
def threads():
    _native.set_serial_below(0)
    yield
    _native.set_threads(1)
    _native.set_serial_below(1 << 18)


def scans(rows, rng):
    """Each kernel as a call that gives the arrays which it wrote."""
    starts, keep = (rng.integers(0, 2, rows).astype(np.uint8) for _ in range(2))
    starts[rows // 2 :] = 0  # a group that goes on over a share's first row
    values = rng.integers(-(2**63), 2**63 - 1, rows)
    words, codes = values.view(np.uint64), rng.integers(0, 9, rows).astype(np.uint8)

    def out(*types):
        return [np.zeros(rows, kind) for kind in types]

    def by_code():
        return [np.zeros(9, np.uint64), np.zeros(9, np.int64), np.zeros(1, np.uint64)]

    u8, u64, i64 = np.uint8, np.uint64, np.int64
    return {
        "running_count": (lambda o: _native.running_count(starts, keep, *o), lambda: out(u64)),
        "running_sum": (
            lambda o: _native.running_sum(starts, keep, values, *o),
            lambda: out(u64, i64),
        ),
        "least": (
            lambda o: _native.running_extreme(starts, keep, values, False, *o),
            lambda: out(i64),
        ),
        "greatest": (
            lambda o: _native.running_extreme(starts, keep, values, True, *o),
            lambda: out(i64),
        ),
        "fill_forward": (
            lambda o: _native.fill_forward(starts, keep, words, *o),
            lambda: out(u64, u8),
        ),
        "ranks": (lambda o: _native.ranks(keep, *o), lambda: out(u64)),
        "starts": (lambda o: _native.starts([words >> np.uint64(60)], *o), lambda: out(u8)),
        "ends": (lambda o: _native.ends(starts, *o), lambda: out(u8)),
        "sum_by_code": (lambda o: _native.sum_by_code(codes, keep, values, *o), by_code),
    }


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("rows", ROWS)
def test_scans(rows, count):
    for name, (run, room) in scans(rows, np.random.default_rng(rows)).items():
        one, more = room(), room()
        _native.set_threads(1)
        run(one)
        _native.set_threads(count)
        run(more)
        assert all((a == b).all() for a, b in zip(one, more, strict=True)), name


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("rows", ROWS)
def test_expansion(rows, width, count):
    rng = np.random.default_rng(rows * width)
    table = rng.integers(0, 2**64, (rows, width), dtype=np.uint64)
    copies = rng.integers(0, 4, rows).astype(np.uint64)
    for bound in (rows // 2 + 1, 4 * rows):
        out, copy = np.zeros((bound, width), np.uint64), np.zeros(bound, np.uint64)
        valid, flags = np.zeros(bound, np.uint8), np.zeros(1, np.uint64)
        _native.set_threads(count)
        _native.expand(table, copies, out, copy, valid, flags)
        expected = np.repeat(table, copies.astype(int), axis=0)
        numbers = np.concatenate([np.arange(c) for c in copies]).astype(np.uint64)
        there = min(bound, len(expected))
        assert (out[:there] == expected[:there]).all()
        assert (copy[:there] == numbers[:there]).all()
        assert not out[there:].any()
        assert valid.tolist() == [1] * there + [0] * (bound - there)
        assert bool(flags[0]) == (len(expected) > bound)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_first_rows_of_many_blocks(count):
    keys = np.random.default_rng(3).integers(0, 50, 4000).astype(np.uint64)
    numbers = np.arange(4000, dtype=np.uint64)
    out = [np.zeros(40, np.uint64) for _ in range(2)]
    _native.set_threads(count)
    _native.top([keys, numbers], [UNSIGNED] * 2, out)
    order = np.lexsort([numbers, keys])[:40]
    assert (out[0] == keys[order]).all()
    assert (out[1] == numbers[order]).all()


def test_each_pair_has_a_seat():
    lefts, rights = [0, 0, 2, 1, 3], [2, 1, 0, 3, 2]  # groups, one after the other
    starts, is_left, is_right = [], [], []
    for many_left, many_right in zip(lefts, rights, strict=True):
        starts += [1, *[0] * (many_left + many_right - 1)]
        is_right += [1] * many_right + [0] * many_left
        is_left += [0] * many_right + [1] * many_left
    marks = [np.array(m, np.uint8) for m in (starts, is_left, is_right)]
    mine, theirs, seats = np.zeros((3, len(starts)), np.uint64)
    _native.count_pairs(*marks, 100, mine, theirs, seats)
    places = [
        (int(seat) & 0xFFFFFFFF) + copy * (int(seat) >> 32)
        for seat, copies, right in zip(seats, theirs, is_right, strict=True)
        for copy in range(int(copies) if right else 0)
    ]
    assert sorted(places) == list(range(sum(a * b for a, b in zip(lefts, rights, strict=True))))
    assert mine.sum() == theirs.sum() == len(places)
    row = np.array([seats[-4]]), np.array([2], np.uint64)
    found = np.zeros(1, np.uint64)
    _native.seat_rows(*row, np.zeros(1, np.uint8), found)
    assert found[0] == 2**64 - 1
