"""Sorting networks against numpy: every length, ties, both instruction sets, one thread and two."""

import numpy as np
import pytest
from tests.support.kernels import (
    ISAS,
    SIGNED,
    SIGNED_DOWN,
    SIZES,
    UNSIGNED,
    UNSIGNED_DOWN,
    kinds_of_keys,
    row_numbers,
)

from mc2 import _native


@pytest.fixture(params=ISAS, autouse=True)
def isa(request):
    before = _native.isa()
    _native.use_isa(request.param)
    yield request.param
    _native.use_isa(before)


@pytest.fixture
def two_threads():
    _native.set_threads(2)
    _native.set_serial_below(0)
    yield
    _native.set_threads(1)
    _native.set_serial_below(1 << 18)


def is_permutation(rows):
    return (np.sort(rows) == row_numbers(len(rows))).all()


def test_words():
    for rows in SIZES:
        for keys in kinds_of_keys(rows):
            got = keys.copy()
            _native.sort([got], [UNSIGNED])
            assert (got == np.sort(keys)).all(), rows


@pytest.mark.parametrize(
    ("flip", "order"),
    [
        (UNSIGNED, lambda k: k),
        (UNSIGNED_DOWN, lambda k: ~k),
        (SIGNED, lambda k: k.view(np.int64)),
        (SIGNED_DOWN, lambda k: ~k.view(np.int64)),
    ],
)
def test_a_stable_sort_has_the_row_number_as_its_last_key(flip, order):
    for rows in SIZES:
        for keys in kinds_of_keys(rows):
            got, number = keys.copy(), row_numbers(rows)
            _native.sort([got, number], [flip, UNSIGNED])
            expected = np.argsort(order(keys), kind="stable")
            assert (number == expected).all(), rows
            assert (got == keys[expected]).all()


def test_a_payload_goes_along_and_no_row_is_lost():
    for rows in SIZES:
        for keys in kinds_of_keys(rows):
            got, number = keys.copy(), row_numbers(rows)
            _native.sort([got, number], [UNSIGNED])
            assert (got == np.sort(keys)).all()
            assert is_permutation(number), rows
            assert (keys[number] == got).all()


@pytest.mark.parametrize("width", [2, 3, 4, 5, 8, 16])
def test_wide_rows(width):
    for rows in [0, 1, 5, 31, 32, 33, 100, 257, 1000, 1500]:
        for keys in kinds_of_keys(rows):
            table = np.stack(
                [keys, *(keys * np.uint64(w) for w in range(1, width - 1)), row_numbers(rows)],
                axis=1,
            )
            table = np.ascontiguousarray(table)
            got = table.copy()
            _native.sort_rows(got, [UNSIGNED])
            assert (got[:, 0] == np.sort(keys)).all()
            assert is_permutation(got[:, -1])
            assert (table[got[:, -1]] == got).all()


@pytest.mark.parametrize("count", range(1, 9))
def test_keys_of_many_words_compare_from_the_first_on(count):
    rng = np.random.default_rng(count)
    for rows in [0, 1, 2, 63, 64, 65, 700]:
        keys = [rng.integers(0, 3, rows, dtype=np.uint64) for _ in range(count - 1)] + [
            row_numbers(rows)
        ]
        got = [key.copy() for key in keys] + [row_numbers(rows)]
        _native.sort(got, [UNSIGNED_DOWN] * count)
        order = np.lexsort([~key for key in reversed(keys)])
        for key, column in zip(keys, got[:-1], strict=True):
            assert (column == key[order]).all(), rows
        assert (got[-1] == order).all()


def test_merging_sorted_runs():
    for rows in SIZES:
        for keys in kinds_of_keys(rows):
            for first in {0, 1, rows // 3, rows - 1, rows} & set(range(rows + 1)):
                runs = np.concatenate([np.sort(keys[:first]), np.sort(keys[first:])])
                got, number = runs.copy(), row_numbers(rows)
                _native.merge([got, number], [UNSIGNED], first)
                assert (got == np.sort(keys)).all(), (rows, first)
                assert is_permutation(number)
                assert (runs[number] == got).all()


def test_top_is_the_beginning_of_the_sort():
    for rows in SIZES:
        for keys in kinds_of_keys(rows):
            for kept in {1, 10, rows // 2, rows} & set(range(1, rows + 1)):
                out, numbers = np.zeros(kept, np.uint64), np.zeros(kept, np.uint64)
                _native.top([keys, row_numbers(rows)], [UNSIGNED_DOWN, UNSIGNED], [out, numbers])
                expected = np.argsort(~keys, kind="stable")[:kept]
                assert (numbers == expected).all(), (rows, kept)
                assert (out == keys[expected]).all()


def test_threads_change_nothing(two_threads):
    for rows in [0, 1, 100, 1000, 5000, 33000]:
        for keys in kinds_of_keys(rows):
            one, number_one = keys.copy(), row_numbers(rows)
            two, number_two = keys.copy(), row_numbers(rows)
            _native.set_threads(1)
            _native.sort([one, number_one], [UNSIGNED])
            _native.set_threads(2)
            _native.sort([two, number_two], [UNSIGNED])
            assert (one == two).all()
            assert (number_one == number_two).all()


def test_shapes_are_checked():
    three, four = row_numbers(3), row_numbers(4)
    with pytest.raises(ValueError, match="one length"):
        _native.sort([three, four], [UNSIGNED])
    with pytest.raises(ValueError, match="key words"):
        _native.sort([three], [])
    with pytest.raises(ValueError, match="fewer words"):
        _native.sort([three], [UNSIGNED, UNSIGNED])
    with pytest.raises(ValueError, match="longer than"):
        _native.merge([three], [UNSIGNED], 4)
    with pytest.raises(ValueError, match="fewer rows"):
        _native.top([three], [UNSIGNED], [four])
    with pytest.raises(TypeError):
        _native.sort([np.arange(3)], [UNSIGNED])
