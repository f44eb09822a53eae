"""What `mc2 doctor` finds: one line each, and the next step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GOOD: Final = "ok"
POOR: Final = "missing"
NOTE: Final = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what, how it stands, the detail, and the next step."""

    what: str
    state: str
    detail: str
    hint: str = ""
