"""Splits a key among several, so that all of them together have it and fewer have nothing.

By XOR: all shares but one are uniform and independent, and the last is the key masked by them all.
Whoever lacks one share sees values that fit every key equally well.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from mc2.crypto.secret import DataKey
from mc2.errors import CryptoError

_KEY_BYTES: Final = 32


def split_key(key: DataKey, count: int) -> list[DataKey]:
    """Split a key into so many shares, all of which are needed. Raises: CryptoError for none."""
    if count < 1:
        raise CryptoError("a key is split among at least one")
    masks = [secrets.token_bytes(_KEY_BYTES) for _ in range(count - 1)]
    return [*(DataKey(mask) for mask in masks), DataKey(_xor([key.raw, *masks]))]


def join_shares(shares: Sequence[DataKey]) -> DataKey:
    """The key that was split. Whether it is the right one, only its commitment tells.

    Raises: CryptoError without any share.
    """
    if not shares:
        raise CryptoError("a key is joined of at least one share")
    return DataKey(_xor([share.raw for share in shares]))


def _xor(parts: Sequence[bytes | bytearray]) -> bytearray:
    found = bytearray(_KEY_BYTES)
    for part in parts:
        for place, byte in enumerate(part):
            found[place] ^= byte
    return found
