"""Compaction, its reverse and distribution against numpy, for every small length and many widths."""

import numpy as np
import pytest
from tests.support.kernels import ISAS, row_numbers

from mc2 import _native

LENGTHS = [*range(71), 127, 128, 129, 255, 256, 257, 1000, 1024, 1025, 1500]
WIDTHS = [1, 2, 3, 4, 5, 6, 8, 11, 16, 32]


@pytest.fixture(params=ISAS, autouse=True)
def isa(request):
    before = _native.isa()
    _native.use_isa(request.param)
    yield request.param
    _native.use_isa(before)


def marks_of(rows):
    rng = np.random.default_rng(rows)
    yield rng.integers(0, 2, rows).astype(np.uint8)
    yield (rng.random(rows) < 0.05).astype(np.uint8)
    yield np.zeros(rows, np.uint8)
    yield np.ones(rows, np.uint8)
    yield (row_numbers(rows) < rows // 2).astype(np.uint8)
    yield (row_numbers(rows) >= rows // 2).astype(np.uint8)
    yield (row_numbers(rows) % 2).astype(np.uint8)


def table(rows, width):
    return np.ascontiguousarray(
        row_numbers(rows)[:, None] * np.uint64(1000) + np.arange(width, dtype=np.uint64)
    )


def expected_order(keep):
    return np.concatenate([np.flatnonzero(keep == 1), np.flatnonzero(keep == 0)[::-1]])


@pytest.mark.parametrize("width", WIDTHS)
def test_kept_rows_stay_in_order_and_the_others_come_out_reversed(width):
    for rows in LENGTHS:
        for keep in marks_of(rows):
            before = table(rows, width)
            got = before.copy()
            _native.compact(got, keep)
            assert (got == before[expected_order(keep)]).all(), (rows, keep)
            _native.restore(got, keep)
            assert (got == before).all(), (rows, keep)


def test_only_the_lowest_bit_of_a_mark_counts():
    got = row_numbers(5)
    _native.compact_words(got, np.array([254, 255, 2, 3, 1], np.uint8))
    assert got.tolist() == [1, 3, 4, 2, 0]


@pytest.mark.parametrize("width", WIDTHS)
def test_distribution_puts_rows_where_they_belong(width):
    for rows in LENGTHS:
        for keep in marks_of(rows):
            places = np.flatnonzero(keep).astype(np.uint32)
            to = np.full(rows, 2**32 - 1, np.uint32)
            to[: len(places)] = places
            before = table(rows, width)
            got = before.copy()
            _native.distribute(got, to)
            assert (got[places] == before[: len(places)]).all(), rows
            assert (np.flatnonzero(to == row_numbers(rows)) == places).all()
            assert sorted(got[:, 0].tolist()) == before[:, 0].tolist()  # no row is lost


def test_threads_change_nothing():
    try:
        for rows in [0, 1, 63, 64, 100, 1000, 1024, 5000, 20000]:
            for width in [1, 2, 3, 4, 8]:
                for keep in marks_of(rows):
                    before = table(rows, width)
                    got = before.copy()
                    _native.set_threads(2)
                    _native.set_serial_below(0)
                    _native.compact(got, keep)
                    assert (got == before[expected_order(keep)]).all(), (rows, width)
                    _native.restore(got, keep)
                    assert (got == before).all()
    finally:
        _native.set_threads(1)
        _native.set_serial_below(1 << 18)


def test_ranks_and_layouts():
    for rows in [0, 1, 5, 64, 100]:
        for keep in marks_of(rows):
            out = np.zeros(rows, np.uint64)
            _native.ranks(keep, out)
            assert (out == np.cumsum(keep, dtype=np.uint64)).all()
        columns = [row_numbers(rows) * np.uint64(w) for w in range(3)]
        packed = np.zeros((rows, 3), np.uint64)
        _native.pack(columns, packed)
        assert (packed == np.stack(columns, axis=1)).all()
        back = [np.zeros(rows, np.uint64) for _ in columns]
        _native.unpack(packed, back)
        assert all((a == b).all() for a, b in zip(columns, back, strict=True))


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="one length"):
        _native.compact(table(3, 1), np.zeros(4, np.uint8))
    with pytest.raises(ValueError, match="one column for each word"):
        _native.pack([row_numbers(3)], np.zeros((3, 2), np.uint64))
    with pytest.raises(TypeError):
        _native.compact(table(3, 1), [0, 1, 1])
