"""What the lint finds and lets pass: each with the reason why it shows nothing of a secret.

A function that is not named here passes without any finding. Families and functions are regular
expressions that must match whole names; `kind` is the lint's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.prove.lint import Finding


@dataclass(frozen=True)
class Allowed:
    """A finding that is no leak."""

    family: str
    function: str
    kind: str
    reason: str


_SWITCH = (
    "a choice by a public argument (which operation, how wide rows are): memcheck sees the address"
)
_SHARE = "divides the public number of rows by the public number of threads"
_REAL = (
    "time does not depend on operands but for numbers near zero (denormals) and NaN on some "
    "processors: docs/limitations.md"
)
_DIVIDE = "the division of IEEE 754 may take longer for some operands: docs/limitations.md"
_MASKS = "the mask comes from positions and public lengths; memcheck reports masks made of secrets"
_SIZES = (
    "decides on numbers of rows, words and threads that no case has: the same source is run in "
    "other instances and sizes, but memcheck has not seen this jump: docs/limitations.md"
)

ALLOWED = (
    Allowed(".*", ".*", "indirect jump", _SWITCH),
    Allowed("(?!leaky).*", ".*", "real arithmetic", _REAL),
    Allowed("numbers", "doubles", "real division", _DIVIDE),
    Allowed(
        "dates", "floor_divide|modulo", "call __udivti3",
        "the reciprocal of the divisor, which is an argument of the plan and public",
    ),
    Allowed("\\w+", r"Parted<.*|Work<.*|Encoding::run|grouped", "division", _SHARE),
    Allowed(
        "splits", "Finder::run|Finder::run_window|leaf_values|find|refine", "verdict of vectors",
        "tells which of the training's parameters are in use: they are public",
    ),
    Allowed("texts", "like|concat|substring|trim", "masked move", _MASKS),
    Allowed("phrases", "substring_at|reverse|trim_any", "masked move", _MASKS),
    Allowed(
        "texts", "like", "lanes to a register",
        "the bits become a set of places that is only computed with: no jump or address reads it",
    ),
    Allowed("", ".*", "unseen jump", _SIZES),
)  # fmt: skip


MOST_UNSEEN = 0.6
"""The part of all conditional jumps that may be unseen: it may fall, and not rise."""


def reason_for(finding: Finding) -> str | None:
    """Why a finding is let pass; None if it is not."""
    for one in ALLOWED:
        kinds = {finding.kind, f"{finding.kind} {finding.detail}"}
        if (
            one.kind in kinds
            and re.fullmatch(one.family, finding.family)
            and re.fullmatch(one.function, finding.function)
        ):
            return one.reason
    return None
