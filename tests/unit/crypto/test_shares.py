"""Keys split among several: all of them together have it, fewer have nothing."""

from __future__ import annotations

import secrets

import pytest

from mc2.crypto.shares import join_shares, split_key
from mc2.errors import CryptoError


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_all_shares_make_the_key(count):
    key = secrets.token_bytes(32)
    shares = split_key(key, count)
    assert len(shares) == count
    assert join_shares(shares) == key
    assert join_shares(shares[::-1]) == key


@pytest.mark.parametrize("count", [2, 3, 5])
def test_fewer_or_others_do_not(count):
    key = secrets.token_bytes(32)
    shares = split_key(key, count)
    for left_out in range(count):
        rest = shares[:left_out] + shares[left_out + 1 :]
        assert join_shares(rest) != key
        assert join_shares([*rest, secrets.token_bytes(32)]) != key
        assert shares[left_out] != key


def test_each_split_is_fresh():
    key = secrets.token_bytes(32)
    assert split_key(key, 2)[0] != split_key(key, 2)[0]


def test_none_and_shares_of_other_lengths_are_refused():
    with pytest.raises(CryptoError):
        split_key(bytes(32), 0)
    with pytest.raises(CryptoError):
        join_shares([])
    with pytest.raises(CryptoError):
        join_shares([bytes(32), bytes(31)])
