"""The part of CBOR (RFC 8949) that attestation documents use, in one spelling per value.

Integers, byte strings, text, arrays, maps, true, false and null; definite lengths, shortest
heads, no tags, no floats, no key twice. A general library turns tags that a stranger chose into
dates, regular expressions and numbers of any size before anybody can refuse them; here they do
not exist. Map keys keep the writer's order, which is not everywhere the canonical one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from mc2.attestation.cursor import Cursor
from mc2.errors import EvidenceError

Cbor: TypeAlias = "int | bytes | str | bool | Sequence[Cbor] | Mapping[int | str, Cbor] | None"

_DEPTH: Final = 8
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_HEAD_BYTES: Final = {24: 1, 25: 2, 26: 4, 27: 8}
_SIMPLE_VALUES: Final[Mapping[int, bool | None]] = {20: False, 21: True, 22: None}


def decode_cbor(raw: bytes, what: str) -> Cbor:
    """Read one value that fills all of `raw`. Raises: EvidenceError."""
    cursor = Cursor(raw, what, "big")
    value = _read(cursor, 0)
    cursor.done()
    return value


def encode_cbor(value: Cbor) -> bytes:
    """The one encoding of a value; maps are written in their own order."""
    if value is None or isinstance(value, bool):
        return bytes((_SIMPLE << 5 | {False: 20, True: 21, None: 22}[value],))
    if isinstance(value, int):
        return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
    if isinstance(value, bytes):
        return _head(_BYTES, len(value)) + value
    if isinstance(value, str):
        return _head(_TEXT, len(value.encode())) + value.encode()
    if isinstance(value, Mapping):
        pairs = (encode_cbor(key) + encode_cbor(item) for key, item in value.items())
        return _head(_MAP, len(value)) + b"".join(pairs)
    return _head(_ARRAY, len(value)) + b"".join(encode_cbor(item) for item in value)


def _read(cursor: Cursor, depth: int) -> Cbor:
    if depth > _DEPTH:
        raise EvidenceError(f"{cursor.what} nests deeper than {_DEPTH}")
    first = cursor.number(1)
    major, argument = first >> 5, _argument(cursor, first & 0x1F)
    if major in {_UNSIGNED, _NEGATIVE}:
        return argument if major == _UNSIGNED else -1 - argument
    if major == _BYTES:
        return cursor.take(argument)
    if major == _TEXT:
        return _text(cursor, argument)
    if major == _ARRAY:
        return [_read(cursor, depth + 1) for _ in range(_count(cursor, argument))]
    if major == _MAP:
        return _map(cursor, argument, depth)
    if major == _SIMPLE and first & 0x1F in _SIMPLE_VALUES:
        return _SIMPLE_VALUES[argument]
    raise EvidenceError(f"{cursor.what} has a tag, a float or another thing it has no use for")


def _argument(cursor: Cursor, low: int) -> int:
    if low not in _HEAD_BYTES:
        if low > max(_HEAD_BYTES):  # reserved, or an indefinite length
            raise EvidenceError(f"{cursor.what} has an indefinite length")
        return low
    size = _HEAD_BYTES[low]
    value = cursor.number(size)
    if value < (24 if size == 1 else 1 << 4 * size):  # the next shorter head would hold it
        raise EvidenceError(f"{cursor.what} is not in its shortest encoding")
    return value


def _count(cursor: Cursor, argument: int) -> int:
    if argument > cursor.left:  # every item has at least one byte
        raise EvidenceError(f"{cursor.what} ends too early")
    return argument


def _text(cursor: Cursor, size: int) -> str:
    try:
        return cursor.take(size).decode("utf-8")
    except UnicodeDecodeError:
        raise EvidenceError(f"a text in {cursor.what} is not UTF-8") from None


def _map(cursor: Cursor, size: int, depth: int) -> Mapping[int | str, Cbor]:
    found: dict[int | str, Cbor] = {}
    for _ in range(_count(cursor, size)):
        key = _read(cursor, depth + 1)
        if isinstance(key, bool) or not isinstance(key, (int, str)) or key in found:
            raise EvidenceError(f"a key of {cursor.what} is odd or stands twice")
        found[key] = _read(cursor, depth + 1)
    return found


def _head(major: int, argument: int) -> bytes:
    if argument < min(_HEAD_BYTES):
        return bytes((major << 5 | argument,))
    for low, size in _HEAD_BYTES.items():
        if argument < 1 << 8 * size:
            return bytes((major << 5 | low,)) + argument.to_bytes(size, "big")
    raise ValueError("a CBOR integer has at most 64 bits")
