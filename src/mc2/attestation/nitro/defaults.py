"""What mc2 proposes for the Nitro section of a new policy, with the reason of each value."""

from __future__ import annotations

from typing import Final

from mc2.attestation.defaults import Default

_BY_PCR0: Final = "PCR0 already measures the whole image"

NITRO_DEFAULTS: Final = (
    Default(field="pcr1", value="any", reason=_BY_PCR0, dated="2026-11"),
    Default(field="pcr2", value="any", reason=_BY_PCR0, dated="2026-11"),
    Default(
        field="pcr3",
        value="any",
        reason="name the parent's IAM role if one account runs your enclaves",
        dated="2026-11",
    ),
    Default(
        field="pcr4",
        value="any",
        reason="instances come and go; name one if yours does not",
        dated="2026-11",
    ),
    Default(
        field="pcr8",
        value="any",
        reason="unsigned images have none; PCR0 is stricter than a signer",
        dated="2026-11",
    ),
    Default(
        field="max_age_seconds",
        value=300,
        reason="a document is made on challenge; an older one is a replay or a stalled host",
        dated="2026-11",
    ),
    Default(
        field="max_ahead_seconds",
        value=60,
        reason="the document's clock is AWS's, not the owner's",
        dated="2026-11",
    ),
    Default(
        field="platforms",
        value="any",
        reason="instances come and go; name one if yours does not",
        dated="2026-11",
    ),
)
"""Everything but `pcr0`, which only the members know."""
