"""What mc2 proposes for a new policy, as data: each value with its reason and its date.

A default is a proposal that stands in the contract that people sign; nothing falls back to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mc2.formats.canonical import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """One field of a section: the proposed value, why, and the month of that judgement."""

    field: str
    value: Json
    reason: str
    dated: str


NO_BAD_MACHINE: Final = Default(
    field="denied_platforms",
    value=[],
    reason="no machine is known to be bad",
    dated="2026-11",
)

NO_BAD_KEY: Final = Default(
    field="denied_keys",
    value=[],
    reason="no key is known to be bad",
    dated="2026-11",
)


def proposed(defaults: Iterable[Default], **own: Json) -> dict[str, Json]:
    """A section as canonical JSON has it, from defaults and what only the members know."""
    return {default.field: default.value for default in defaults} | own
