"""A field of a policy section that is either a list of accepted values or the word `any`.

`any` is written out, signed by all members and shown in review; leaving the field out is an
error. So nothing is left unchecked because somebody forgot it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from mc2.attestation.section import MEASUREMENTS, read_hex_set
from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields, check_sorted_unique, text_item

ANY: Final = "any"
_PLATFORM: Final = re.compile(r"[a-z]{2,16}:[0-9a-f]{2,256}\Z")


@dataclass(frozen=True, slots=True)
class Allowed:
    """Accepted values in order, or None where the members wrote `any`."""

    values: tuple[str, ...] | None

    @classmethod
    def read_hex(cls, fields: Fields, name: str, length: int) -> Self:
        """`any`, or a list of values of `length` bytes in hex. Raises: FormatError."""
        return cls._read(fields, name, lambda found: read_hex_set(found, name, length))

    @classmethod
    def read_platforms(cls, fields: Fields, name: str) -> Self:
        """`any`, or a list of platform ids such as `piid:…`. Raises: FormatError."""
        return cls._read(fields, name, lambda found: read_names(found, name, check_platform))

    @classmethod
    def read_words(cls, fields: Fields, name: str, check: Callable[[str, str], str]) -> Self:
        """`any`, or a list of words that pass `check(word, what)`. Raises: FormatError."""
        return cls._read(fields, name, lambda found: read_names(found, name, check))

    @classmethod
    def _read(
        cls, fields: Fields, name: str, read_list: Callable[[Fields], tuple[str, ...]]
    ) -> Self:
        value = fields.value(name)
        return cls(None if value == ANY else read_list(Fields({name: value}, fields.what)))

    def json(self) -> Json:
        """The field as canonical JSON has it."""
        return ANY if self.values is None else list(self.values)

    def check(self, name: str, found: str | None) -> list[str]:
        """The rule, for a value that the evidence has (None: it has none)."""
        if self.values is None:
            return []
        if found is None:
            return [f"{name}: the evidence does not say"]
        if found not in self.values:
            return [f"{name}: {found} is not among the {len(self.values)} that the policy allows"]
        return []

    def describe(self, what: str) -> tuple[str, ...]:
        """The rule in plain words; `what` names the thing: `MRTD`."""
        if self.values is None:
            return (f"{what} may be anything.",)
        return tuple(f"Accepted {what}: {value}" for value in self.values)


def read_names(
    fields: Fields,
    name: str,
    check: Callable[[str, str], str],
    *,
    empty: bool = False,
) -> tuple[str, ...]:
    """A list of distinct words in order, each passed by `check(word, what)`.

    Raises: FormatError, also for an empty list unless `empty` says that it has a meaning.
    """
    what = f"{name} of {fields.what}"
    found = fields.items(name, MEASUREMENTS, text_item(f"an item of {what}", check))
    if not found and not empty:
        raise FormatError(f"{what} is empty, so nothing would ever be accepted")
    check_sorted_unique(found, what)
    return found


def one_of(allowed: frozenset[str]) -> Callable[[str, str], str]:
    """A check for `read_names`: the word is one of these."""

    def check(text: str, what: str) -> str:
        if text not in allowed:
            raise FormatError(f"{what} is none of {', '.join(sorted(allowed))}")
        return text

    return check


def check_platform(text: str, what: str) -> str:
    """A machine's name, such as `piid:00ff…`. Raises: FormatError."""
    if not _PLATFORM.match(text):
        raise FormatError(f"{what} is not a platform's id", hint="it is written like piid:00ff…")
    return text
