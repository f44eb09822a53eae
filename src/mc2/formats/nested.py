"""Signed objects inside a message's body: canonical JSON nests as it is, and comes out again."""

from __future__ import annotations

from collections.abc import Mapping

from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import check_name
from mc2.formats.limits import LIMITS


def nest(raw: bytes) -> Json:
    """An object's value, to stand inside another. Raises: FormatError."""
    return decode(raw, LIMITS.frame_body_bytes, "a nested object")


def join_named(named: Mapping[str, bytes]) -> bytes:
    """A body that holds objects by name. Raises: FormatError."""
    return encode({name: nest(raw) for name, raw in named.items()})


def split_named(value: Json) -> dict[str, bytes]:
    """The objects in a decoded value, by name. Raises: FormatError."""
    if not isinstance(value, Mapping) or len(value) > LIMITS.outputs:
        raise FormatError("the named objects of a message are not an object")
    return {check_name(name, "a name in a message"): encode(v) for name, v in value.items()}


def read_named(body: bytes) -> dict[str, bytes]:
    """The objects in a body, by name. Raises: FormatError."""
    return split_named(decode(body, LIMITS.frame_body_bytes, "the body of a message"))
