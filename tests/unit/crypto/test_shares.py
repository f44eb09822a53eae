"""Keys split among several: all of them together have it, fewer have nothing."""

from __future__ import annotations

import pytest

from mc2.crypto.secret import DataKey
from mc2.crypto.shares import join_shares, split_key
from mc2.errors import CryptoError


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_all_shares_make_the_key(count):
    key = DataKey.generate()
    shares = split_key(key, count)
    assert len(shares) == count
    assert join_shares(shares).raw == key.raw
    assert join_shares(shares[::-1]).raw == key.raw


@pytest.mark.parametrize("count", [2, 3, 5])
def test_fewer_or_others_do_not(count):
    key = DataKey.generate()
    shares = split_key(key, count)
    for left_out in range(count):
        rest = shares[:left_out] + shares[left_out + 1 :]
        assert join_shares(rest).raw != key.raw
        assert join_shares([*rest, DataKey.generate()]).raw != key.raw
        assert shares[left_out].raw != key.raw


def test_each_split_is_fresh():
    key = DataKey.generate()
    assert split_key(key, 2)[0].raw != split_key(key, 2)[0].raw


def test_none_are_refused():
    with pytest.raises(CryptoError):
        split_key(DataKey.generate(), 0)
    with pytest.raises(CryptoError):
        join_shares([])
