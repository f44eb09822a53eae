"""The hashes by which Spark spreads rows: MurmurHash3 (32 bits) and XXH64, chained over values.

A value is hashed from where the one before it ended; NULL changes nothing. Integers of up to 32
bits, booleans and dates are four bytes, other numbers and times eight; decimals beyond 18 digits
are the bytes of their unscaled number. Tails of texts are hashed byte by byte, with their sign,
which is Spark's own way. Parts of lists and structs are hashed one after the other.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Context, Decimal
from math import isnan
from typing import Any, Final

from mc2.engine.routines import Routine
from mc2.engine.routines_rows import row_by_row, type_name
from mc2.formats.schema import DataType
from mc2.plan.types import INT32, INT64

_M32: Final = (1 << 32) - 1
_M64: Final = (1 << 64) - 1
_P1: Final = 0x9E3779B185EBCA87
_P2: Final = 0xC2B2AE3D27D4EB4F
_P3: Final = 0x165667B19E3779F9
_P4: Final = 0x85EBCA77C2B2AE63
_P5: Final = 0x27D4EB2F165667C5
_LONG_DIGITS: Final = 18
_EXACT: Final = Context(prec=38)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - times stand as UTC without saying so
_EPOCH_DAY: Final = _EPOCH.toordinal()
_FOUR: Final = frozenset({"boolean", "int8", "int16", "int32", "date", "float"})


@dataclass(frozen=True, slots=True)
class Hash:
    """A hash: over four bytes, over eight, and over any, each from a value of its own on."""

    four: Callable[[int, int], int]
    eight: Callable[[int, int], int]
    many: Callable[[bytes, int], int]


def _rotated(value: int, by: int, bits: int) -> int:
    return ((value << by) | (value >> (bits - by))) & ((1 << bits) - 1)


def _mixed(h: int, k: int) -> int:
    k = _rotated(k * 0xCC9E2D51 & _M32, 15, 32) * 0x1B873593 & _M32
    return (_rotated(h ^ k, 13, 32) * 5 + 0xE6546B64) & _M32


def _ended(h: int, length: int) -> int:
    h ^= length
    h = (h ^ (h >> 16)) * 0x85EBCA6B & _M32
    h = (h ^ (h >> 13)) * 0xC2B2AE35 & _M32
    return h ^ (h >> 16)


def _murmur_many(data: bytes, seed: int) -> int:
    whole = len(data) & ~3
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        seed = _mixed(seed, word)
    for (tail,) in struct.iter_unpack("b", data[whole:]):
        seed = _mixed(seed, tail & _M32)
    return _ended(seed, len(data))


_MURMUR: Final = Hash(
    lambda value, seed: _ended(_mixed(seed, value & _M32), 4),
    lambda value, seed: _ended(_mixed(_mixed(seed, value & _M32), value >> 32 & _M32), 8),
    _murmur_many,
)


def _round(lane: int, word: int) -> int:
    return _rotated((lane + word * _P2) & _M64, 31, 64) * _P1 & _M64


def _finished(h: int) -> int:
    h = (h ^ (h >> 33)) * _P2 & _M64
    h = (h ^ (h >> 29)) * _P3 & _M64
    return h ^ (h >> 32)


def _with_eight(h: int, word: int) -> int:
    return (_rotated(h ^ _round(0, word), 27, 64) * _P1 + _P4) & _M64


def _with_four(h: int, word: int) -> int:
    return (_rotated(h ^ (word * _P1 & _M64), 23, 64) * _P2 + _P3) & _M64


def _striped(data: bytes, seed: int) -> int:
    """The hash of whole stripes of 32 bytes, before the rest."""
    lanes = [seed + _P1 + _P2, seed + _P2, seed, seed - _P1]
    for words in struct.iter_unpack("<4Q", data):
        lanes = [_round(lane & _M64, word) for lane, word in zip(lanes, words, strict=True)]
    turns = (1, 7, 12, 18)
    h = sum(_rotated(lane, by, 64) for lane, by in zip(lanes, turns, strict=True)) & _M64
    for lane in lanes:
        h = ((h ^ _round(0, lane)) * _P1 + _P4) & _M64
    return h


def _xx_many(data: bytes, seed: int) -> int:
    stripes = len(data) & ~31
    h = _striped(data[:stripes], seed) if stripes else (seed + _P5) & _M64
    h = (h + len(data)) & _M64
    eights = len(data) & ~7
    for (word,) in struct.iter_unpack("<Q", data[stripes:eights]):
        h = _with_eight(h, word)
    fours = len(data) & ~3
    for (word,) in struct.iter_unpack("<I", data[eights:fours]):
        h = _with_four(h, word)
    for byte in data[fours:]:
        h = _rotated(h ^ (byte * _P5 & _M64), 11, 64) * _P1 & _M64
    return _finished(h)


_XX: Final = Hash(
    lambda value, seed: _finished(_with_four((seed + _P5 + 4) & _M64, value & _M32)),
    lambda value, seed: _finished(_with_eight((seed + _P5 + 8) & _M64, value & _M64)),
    _xx_many,
)


def _number(value: Any, kind: DataType) -> int:
    """A value that is hashed as four or eight bytes."""
    match value:
        case float():
            form, width = ("<f", "<i") if kind.name == "float" else ("<d", "<q")
            plain = float("nan") if isnan(value) else value + 0.0
            return int(struct.unpack(width, struct.pack(form, plain))[0])
        case datetime():
            since = value.replace(tzinfo=None) - _EPOCH
            return (since.days * 86_400 + since.seconds) * 10**6 + since.microseconds
        case date():
            return value.toordinal() - _EPOCH_DAY
        case Decimal():
            return int(value.scaleb(kind.scale, _EXACT))
        case _:
            return int(value)


def _bytes(number: int) -> bytes:
    """A whole number in as few bytes as hold it with its sign, the highest first."""
    bits = number.bit_length() if number >= 0 else (number + 1).bit_length()
    return number.to_bytes(bits // 8 + 1, "big", signed=True)


def _hashed(value: Any, kind: DataType, seed: int, by: Hash) -> int:
    if value is None:
        return seed
    if kind.element is not None:
        for part in value:
            seed = _hashed(part, kind.element, seed, by)
        return seed
    if kind.name == "struct":
        for (_, inner), part in zip(kind.fields, value.values(), strict=True):
            seed = _hashed(part, inner, seed, by)
        return seed
    if isinstance(value, (str, bytes)):
        return by.many(value.encode() if isinstance(value, str) else value, seed)
    number = _number(value, kind)
    if kind.name == "decimal" and kind.precision > _LONG_DIGITS:
        return by.many(_bytes(number), seed)
    return by.four(number, seed) if kind.name in _FOUR else by.eight(number, seed)


_HASHES: Final = {"murmur3": (_MURMUR, INT32, 32), "xxhash64": (_XX, INT64, 64)}


def hash_routine(name: str, kind: DataType) -> Routine:
    """The hash of a value of a type, from what the second argument is on."""
    by, result, bits = _HASHES[name]

    def compute(value: Any, seed: int) -> int:
        found = _hashed(value, kind, seed & ((1 << bits) - 1), by)
        return found - (1 << bits) if found >> (bits - 1) else found

    return row_by_row(f"{name}_{type_name(kind)}", (kind, result), result, compute, strict=False)
