"""Reads the fields of a decoded object, strictly and by name.

Every field is required, has one type and is read once; `done` refuses fields that nobody read,
so that a signature never covers something that one reader ignores and another obeys.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeVar

from mc2.crypto.digest import Digest, parse_digest
from mc2.errors import FormatError
from mc2.formats.canonical import Json

T = TypeVar("T")

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_DATASET: Final = re.compile(r"[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}\Z")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*\Z")
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


def to_base64(raw: bytes) -> str:
    """Standard base64 with padding, the one spelling that `Fields.base64` takes back."""
    return base64.b64encode(raw).decode("ascii")


def from_base64(text: str, what: str) -> bytes:
    """Read standard base64 in its one spelling. Raises: FormatError."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise FormatError(f"{what} is not base64") from None
    if to_base64(raw) != text:  # unused bits of the last character set
        raise FormatError(f"{what} is not in the one base64 spelling of its bytes")
    return raw


def to_time(moment: datetime) -> str:
    """A moment in UTC, whole seconds: `2026-01-31T12:00:00Z`."""
    return moment.astimezone(UTC).strftime(_TIME)


def from_time(text: str, what: str) -> datetime:
    """Read what `to_time` wrote. Raises: FormatError."""
    try:
        # Takes more spellings than one, and is ten times as fast as strptime.
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is not UTC or to_time(moment) != text:
        raise FormatError(f"{what} is not a UTC time such as 2026-01-31T12:00:00Z")
    return moment


def check_name(text: str, what: str) -> str:
    """A name of a party, column-free object or output: `[a-z][a-z0-9_]{0,62}`."""
    if not _NAME.match(text):
        raise FormatError(
            f"{what} is not a name",
            hint="a name has up to 63 of a-z, 0-9 and _, and starts with a letter",
        )
    return text


def check_dataset_name(text: str, what: str) -> str:
    """`party.table`. Raises: FormatError."""
    if not _DATASET.match(text):
        raise FormatError(f"{what} is not a dataset's name", hint="it is written party.table")
    return text


class Fields:
    """A decoded JSON object whose fields are taken out one by one."""

    __slots__ = ("_left", "what")

    def __init__(self, value: Json, what: str) -> None:
        if not isinstance(value, Mapping):
            raise FormatError(f"{what} is not an object")
        self._left = dict(value)
        self.what = what

    def _take(self, name: str) -> Json:
        try:
            return self._left.pop(name)
        except KeyError:
            raise FormatError(f"{self.what} has no field {name!r}") from None

    def _where(self, name: str) -> str:
        return f"field {name!r} of {self.what}"

    def type(self, expected: str) -> None:
        """The field `type`, which names the format and its version."""
        if self._take("type") != expected:
            raise FormatError(f"{self.what} is not of type {expected}")

    def text(self, name: str, longest: int = 1024) -> str:
        """A string of at most `longest` characters."""
        value = self._take(name)
        if not isinstance(value, str) or len(value) > longest:
            raise FormatError(f"{self._where(name)} is not a text of at most {longest} characters")
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """One of some words."""
        value = self._take(name)
        if not isinstance(value, str) or value not in allowed:
            raise FormatError(f"{self._where(name)} is none of {', '.join(allowed)}")
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        value = self._take(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise FormatError(f"{self._where(name)} is not an integer from {low} to {high}")
        return value

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self._take(name)
        if not isinstance(value, bool):
            raise FormatError(f"{self._where(name)} is neither true nor false")
        return value

    def name(self, name: str) -> str:
        """A party's or an output's name."""
        return check_name(self.text(name), self._where(name))

    def dataset(self, name: str) -> str:
        """A dataset's name, `party.table`."""
        return check_dataset_name(self.text(name), self._where(name))

    def digest(self, name: str) -> Digest:
        """A digest, `sha256:…`."""
        return parse_digest(self.text(name), self._where(name))

    def hex(self, name: str, length: int) -> str:
        """Lower-case hex of exactly `length` bytes."""
        value = self.text(name, 2 * length)
        if len(value) != 2 * length or not _HEX.match(value):
            raise FormatError(f"{self._where(name)} is not {length} bytes in lower-case hex")
        return value

    def base64(self, name: str, longest: int, exactly: int | None = None) -> bytes:
        """Base64 of at most `longest` bytes, or of exactly so many."""
        raw = from_base64(self.text(name, longest * 4 // 3 + 4), self._where(name))
        if len(raw) > longest or (exactly is not None and len(raw) != exactly):
            raise FormatError(f"{self._where(name)} has {len(raw)} bytes: not allowed")
        return raw

    def time(self, name: str) -> datetime:
        """A UTC moment in whole seconds."""
        return from_time(self.text(name), self._where(name))

    def value(self, name: str) -> Json:
        """Any canonical value; the caller reads it further."""
        return self._take(name)

    def fields(self, name: str) -> Fields:
        """A nested object."""
        return Fields(self._take(name), self._where(name))

    def items(self, name: str, most: int, read: Callable[[Json], T]) -> tuple[T, ...]:
        """A list of at most `most` items, each read by `read`."""
        value = self._take(name)
        if not isinstance(value, list) or len(value) > most:
            raise FormatError(f"{self._where(name)} is not a list of at most {most} items")
        return tuple(read(item) for item in value)

    def optional(self, name: str, read: Callable[[str], T]) -> T | None:
        """Null, or what `read(name)` gives: `fields.optional("not_after", fields.time)`."""
        if self._left.get(name, ...) is None:
            del self._left[name]
            return None
        return read(name)

    def done(self) -> None:
        """Refuse whatever nobody read. Raises: FormatError."""
        if self._left:
            raise FormatError(f"{self.what} has a field that is not known: {min(self._left)!r}")


def text_item(what: str, check: Callable[[str, str], T]) -> Callable[[Json], T]:
    """A reader for `Fields.items`: each item is a text that passes `check(text, what)`."""

    def read(value: Json) -> T:
        if not isinstance(value, str):
            raise FormatError(f"{what} is not text")
        return check(value, what)

    return read


def check_sorted_unique(items: tuple[str, ...], what: str) -> None:
    """Sets are written in one order, each member once. Raises: FormatError."""
    if list(items) != sorted(set(items)):
        raise FormatError(f"{what} are not in order, or one stands twice")
