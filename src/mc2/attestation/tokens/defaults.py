"""What mc2 proposes for the Confidential Space section of a new policy, with reasons."""

from __future__ import annotations

from typing import Final

from mc2.attestation.defaults import Default

CONFIDENTIAL_SPACE_DEFAULTS: Final = (
    Default(
        field="environment",
        value="any",
        reason="images set their own; name all variables if yours reads any from outside",
        dated="2026-11",
    ),
    Default(
        field="hardware",
        value=["GCP_INTEL_TDX"],
        reason="plain SEV and SEV-ES do not protect memory against being altered or replayed",
        dated="2026-11",
    ),
    Default(
        field="tcb_statuses",
        value=["UpToDate"],
        reason="anything less has known holes",
        dated="2026-11",
    ),
    Default(
        field="support",
        value="STABLE",
        reason="USABLE alone marks images that Google no longer maintains",
        dated="2026-11",
    ),
    Default(
        field="require_secure_boot",
        value=True,
        reason="without it the measured image is not what must have booted",
        dated="2026-11",
    ),
    Default(
        field="max_age_seconds",
        value=300,
        reason="a token is made on challenge; an older one is a replay or a stalled host",
        dated="2026-11",
    ),
    Default(
        field="projects",
        value="any",
        reason="name the project that runs your enclaves if you know it",
        dated="2026-11",
    ),
    Default(
        field="platforms",
        value="any",
        reason="instances come and go; name one if yours does not",
        dated="2026-11",
    ),
)
"""Everything but `image_digests`, `arguments` and `audiences`, which only the members know."""
