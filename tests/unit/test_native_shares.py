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


def each_row(rows, rng):
    """Kernels that look at each row for itself, against numpy."""
    a, b, keep = (rng.integers(0, 2, rows).astype(np.uint8) for _ in range(3))
    x, y = (rng.integers(-3, 4, rows) for _ in range(2))
    x[rng.integers(0, rows)], y[rng.integers(0, rows)] = -(2**63), 2**63 - 1
    words, other = x.view(np.uint64), y.view(np.uint64)
    wide = rng.integers(0, 2**64, (rows, 3), dtype=np.uint64)
    marks, column = (lambda: np.zeros(rows, np.uint8)), (lambda: np.zeros(rows, np.uint64))
    kept = keep.astype(np.uint64)
    clear = _native.clear_rows
    return {
        "and": (lambda o: _native.and_marks(a, b, o), marks, a & b),
        "or": (lambda o: _native.or_marks(a, b, o), marks, a | b),
        "not": (lambda o: _native.not_marks(a, o), marks, a ^ 1),
        "widened": (lambda o: _native.marks_to_words(a, o), column, a.astype(np.uint64)),
        "narrowed": (lambda o: _native.words_to_marks(words, o), marks, (x & 1).astype(np.uint8)),
        "chosen": (lambda o: _native.select_marks(keep, a, b, o), marks, np.where(keep, a, b)),
        "cleared": (
            lambda o: clear(keep, words.reshape(-1, 1), o.reshape(-1, 1)), column, words * kept,
        ),
        "cleared rows": (
            lambda o: clear(keep, wide, o), lambda: np.zeros_like(wide), wide * kept[:, None],
        ),
        "one word": (
            lambda o: _native.equal_rows(words.reshape(-1, 1), words[:1].reshape(1, 1), o),
            marks, (words == words[0]).astype(np.uint8),
        ),
        "equal": (lambda o: _native.compare(0, False, words, other, o), marks, x == y),
        "less": (lambda o: _native.compare(1, False, words, other, o), marks, x < y),
        "at most": (lambda o: _native.compare(2, False, words, other, o), marks, x <= y),
        "outside": (
            lambda o: _native.check_range(words, -1, 2, keep, 8, o),
            lambda: np.zeros(1, np.uint64), np.uint64(8 * bool((((x < -1) | (x > 2)) & kept.astype(bool)).any())),
        ),
        "flag": (
            lambda o: _native.raise_flag(a, 4, o),
            lambda: np.zeros(1, np.uint64), np.uint64(4 * bool(a.any())),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("rows", ROWS)
def test_rows_that_stand_for_themselves(rows, count):
    _native.set_threads(count)
    for name, (run, room, expected) in each_row(rows, np.random.default_rng(rows)).items():
        out = room()
        run(out)
        assert (out == expected).all(), name


def pairs_slowly(starts, lefts, rights, bound):
    """`count_pairs`, a group after the other."""
    found, before = [], 0
    for group in np.split(np.arange(len(starts)), np.flatnonzero(starts)):
        rank, many_left, many_right = 0, lefts[group].sum(), rights[group].sum()
        for row in group:
            seat = (int(many_right) << 32) | (min(before, bound + 1) + rank)
            mine = int(many_right) if lefts[row] else 0
            found.append((mine, int(many_left) if rights[row] else 0, seat))
            rank += int(rights[row])
            before += mine
    return found


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("rows", ROWS)
def test_pairs_of_groups_that_go_over_several_shares(rows, count):
    rng = np.random.default_rng(rows)
    for often in (0.0, 0.02, 0.3, 1.0):
        starts = (rng.random(rows) < often).astype(np.uint8)
        starts[0] = 1
        group = np.cumsum(starts)
        is_right = rng.integers(0, 2, rows).astype(np.uint8)
        is_right = is_right[np.lexsort([1 - is_right, group])]  # the right ones first in each group
        rights, lefts = is_right & rng.integers(0, 2, rows), 1 - is_right
        marks = [np.ascontiguousarray(m, dtype=np.uint8) for m in (starts, lefts, rights)]
        for bound in (rows, 2**31 - 1):
            out = np.zeros((3, rows), np.uint64)
            _native.set_threads(count)
            _native.count_pairs(*marks, bound, *out)
            expected = np.array(pairs_slowly(*marks, bound), np.uint64).T
            assert (out[:2] == expected[:2]).all()
            assert (out[2][rights > 0] == expected[2][rights > 0]).all()


def test_blocks_that_stay_with_the_process_leave_nothing_in_results():
    rng = np.random.default_rng(5)
    for rows in (300_000, 290_000, 300_000):  # one block serves the others
        keys = rng.integers(0, 2**64, rows, dtype=np.uint64)
        expected = np.sort(keys)
        _native.sort([keys], [UNSIGNED])
        assert (keys == expected).all()


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


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("width", [1, 3, 8, 9])
def test_rows_are_found_among_few(width, count):
    rng = np.random.default_rng(width)
    few = rng.integers(0, 2**64, (17, width), dtype=np.uint64)
    few[:, :-1] = few[0, :-1]  # they differ in their last word alone
    for rows in (0, 1, 5, 1100):
        which = rng.integers(0, 18, rows)
        table = np.vstack([few, few[:1] + np.uint64(1)])[which]
        out, found = np.zeros(rows, np.uint64), np.zeros(rows, np.uint8)
        _native.set_threads(count)
        _native.match_rows(table, few, out, found)
        assert found.tolist() == [int(w < 17) for w in which]
        assert out.tolist() == [int(w) if w < 17 else 0 for w in which]


def test_products_of_words_are_whole():
    ends = np.array([-(2**63), -(2**63) + 1, -1, 0, 1, 3, 2**63 - 1])
    a, b = np.repeat(ends, len(ends)), np.tile(ends, len(ends))
    out = np.zeros((len(a), 2), np.uint64)
    _native.multiply_words(a.view(np.uint64), b.view(np.uint64), out)
    found = [
        int(low) + (int(high) << 64)
        for low, high in zip(out[:, 0], out[:, 1].view(np.int64), strict=True)
    ]
    assert found == [int(x) * int(y) for x, y in zip(a, b, strict=True)]
