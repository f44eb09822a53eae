"""Canonical JSON: one value, one encoding (RFC 8785, less floating point).

Numbers are integers within ±(2^53 - 1); whatever is not an integer travels as text, so that no
two readers round it differently. Parsing re-encodes and compares: any other spelling of the same
value (spaces, key order, escapes, `1.0`, duplicate keys) is refused, so that a digest names a
meaning and not one of its spellings. Spec: docs/spec/canonical-json.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn, TypeAlias

import rfc8785

from mc2.errors import FormatError
from mc2.formats.limits import LIMITS

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"

LARGEST_INTEGER: Final = 2**53 - 1
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)


def encode(value: Json) -> bytes:
    """The one encoding of a value. Raises: FormatError for a float, a huge integer, a bad key."""
    _check(value, 0)
    try:
        # Of ASCII alone there is one order of keys and one way to escape; Python's own encoder
        # takes a fifth of the time, and objects are encoded again wherever they are checked.
        text = _ENCODER.encode(value)
        return text.encode("ascii") if text.isascii() else rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, TypeError, UnicodeEncodeError) as error:
        raise FormatError(f"not canonical JSON: {error}") from None


def decode(raw: bytes, limit: int, what: str) -> Json:
    """Read bytes that are at most `limit` long and exactly in canonical form.

    Raises: FormatError.
    """
    if len(raw) > limit:
        raise FormatError(f"{what} is larger than {limit} bytes")
    # Thirty megabytes of "[]," would become a gigabyte of lists. What stands inside of strings
    # counts too: an honest object stays far below.
    if sum(raw.count(mark) for mark in (b",", b"[", b"{")) > LIMITS.json_items:
        raise FormatError(f"{what} has more than {LIMITS.json_items} items")
    try:
        value: Json = json.loads(
            raw.decode("utf-8"),
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
            parse_int=_integer,
            object_pairs_hook=_unique,
        )
    except (ValueError, RecursionError):
        raise FormatError(f"{what} is not canonical JSON") from None
    if encode(value) != raw:
        raise FormatError(f"{what} is not in its canonical encoding")
    return value


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(text)


def _integer(text: str) -> int:
    if len(text) > 17:  # longer than any allowed integer: never let int() see megabytes of digits
        raise ValueError(text)
    return int(text)


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _check(value: Json, depth: int) -> None:
    if depth > LIMITS.json_depth:
        raise FormatError(f"canonical JSON nests no deeper than {LIMITS.json_depth}")
    if value is None or isinstance(value, (bool, str)):
        return
    if isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise FormatError("an integer in canonical JSON stays within 2^53 - 1")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise FormatError("keys in canonical JSON are text")
            _check(item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check(item, depth + 1)
    else:
        raise FormatError(f"{type(value).__name__} has no canonical JSON form")
