"""One section of an attestation policy: what the members accept of one kind of evidence.

A section is a frozen dataclass without defaults. All its fields stand in the signed contract, so
that no rule is ever left unchecked because somebody forgot to write it down.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import ClassVar, Final, Self

from mc2.attestation.claims import VerifiedClaims
from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields, check_sorted_unique, text_item

MEASUREMENTS: Final = 256
"""The most measurements, platforms or serial numbers in one list of a section."""

_HEX: Final = re.compile(r"[0-9a-f]+\Z")


class PolicySection(ABC):
    """The members' opinion of one evidence kind. It looks at claims and does no cryptography."""

    KIND: ClassVar[str]

    @classmethod
    @abstractmethod
    def read(cls, fields: Fields) -> Self:
        """Take the section's fields; the caller refuses what is left. Raises: FormatError."""

    @abstractmethod
    def json(self) -> Json:
        """The section as canonical JSON has it."""

    @abstractmethod
    def check(self, claims: VerifiedClaims) -> list[str]:
        """Every rule of this section that the claims break, in words; empty if none."""

    @abstractmethod
    def describe(self) -> tuple[str, ...]:
        """The rules in plain words, a sentence each, for the people who sign them."""

    @classmethod
    def binding(cls, report_data: bytes) -> bytes:
        """What evidence of this kind must carry if it has no room for all 64 bytes."""
        return report_data


def read_hex_set(fields: Fields, name: str, length: int) -> tuple[str, ...]:
    """A list of distinct values of `length` bytes in lower-case hex, in order.

    Raises: FormatError, also for an empty list: a rule that nothing satisfies is a mistake.
    """

    def check(text: str, what: str) -> str:
        if len(text) != 2 * length or not _HEX.match(text):
            raise FormatError(f"{what} is not {length} bytes in lower-case hex")
        return text

    what = f"{name} of {fields.what}"
    found = fields.items(name, MEASUREMENTS, text_item(f"an item of {what}", check))
    if not found:
        raise FormatError(f"{what} is empty, so nothing would ever be accepted")
    check_sorted_unique(found, what)
    return found


def check_measurement(claims: VerifiedClaims, name: str, allowed: Collection[str]) -> list[str]:
    """The rule that a named measurement exists and is one of those allowed."""
    found = claims.measurements.get(name)
    if found is None:
        return [f"{name}: the evidence does not have this measurement"]
    if found not in allowed:
        return [f"{name}: {found} is not among the {len(allowed)} that the policy allows"]
    return []
