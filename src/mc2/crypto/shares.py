"""Splits a key among several, so that all of them together have it and fewer have nothing.

By XOR: all shares but one are uniform and independent, and the last is the key masked by them all.
Whoever lacks one share sees values that fit every key equally well.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from mc2.errors import CryptoError


def split_key(key: bytes | bytearray, count: int) -> list[bytearray]:
    """Split a key into so many shares, all of which are needed. Raises: CryptoError for none."""
    if count < 1:
        raise CryptoError("a key is split among at least one")
    masks = [bytearray(secrets.token_bytes(len(key))) for _ in range(count - 1)]
    return [*masks, join_shares([key, *masks])]


def join_shares(shares: Sequence[bytes | bytearray]) -> bytearray:
    """The key that was split. Whether it is the right one, only its commitment tells.

    Raises: CryptoError without any share, or if they differ in length.
    """
    if len({len(share) for share in shares}) != 1:
        raise CryptoError("a key is joined of at least one share, all of its length")
    found = bytearray(len(shares[0]))
    for share in shares:
        for place, byte in enumerate(share):
            found[place] ^= byte
    return found
