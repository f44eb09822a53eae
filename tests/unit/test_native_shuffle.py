"""The shuffle: its stream against a known ChaCha20, its orders against what chance would give."""

import struct
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from tests.support.kernels import ISAS, row_numbers

from mc2 import _native

KEY = np.arange(32, dtype=np.uint8)


@pytest.fixture(params=ISAS, autouse=True)
def isa(request):
    before = _native.isa()
    _native.use_isa(request.param)
    yield request.param
    _native.use_isa(before)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 63, 64, 65, 1000])
def test_the_stream_is_chacha20(count):
    stream, nonce = 3, 0x0102030405060708
    out = np.zeros(count, np.uint64)
    _native.random_words(KEY, stream, nonce, out)
    start = struct.pack("<IIQ", 0, stream, nonce)  # block counter, then the nonce
    cipher = Cipher(ChaCha20(KEY.tobytes(), start), mode=None).encryptor()
    assert out.tobytes() == cipher.update(bytes(8 * count))


@pytest.mark.parametrize("width", [1, 2, 4, 7])
def test_no_row_is_lost_and_the_key_decides(width):
    for rows in [0, 1, 2, 33, 1000]:
        before = np.ascontiguousarray(
            row_numbers(rows)[:, None] + np.arange(width, dtype=np.uint64) * np.uint64(10**6)
        )
        got, again, other = before.copy(), before.copy(), before.copy()
        _native.shuffle(got, KEY, 1)
        _native.shuffle(again, KEY, 1)
        _native.shuffle(other, KEY, 2)
        assert (got == again).all()
        assert rows < 33 or (got != other).any()
        assert (got[np.argsort(got[:, 0])] == before).all()


def test_every_order_is_equally_likely():
    seen = Counter()
    for nonce in range(4800):
        rows = row_numbers(4)[:, None].copy()
        _native.shuffle(rows, KEY, nonce)
        seen[tuple(rows[:, 0].tolist())] += 1
    assert set(seen) == set(permutations(range(4)))
    chi_squared = sum((count - 200) ** 2 / 200 for count in seen.values())
    assert (
        chi_squared < 60
    )  # 23 degrees of freedom; more is a chance of 1 in 25000, and the key is fixed


def test_a_key_of_another_length_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        _native.shuffle(row_numbers(4)[:, None].copy(), KEY[:31], 0)
