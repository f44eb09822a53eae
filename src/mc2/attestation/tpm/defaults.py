"""What mc2 proposes for the TPM section of a new policy, with the reason of each value."""

from __future__ import annotations

from typing import Final

from mc2.attestation.defaults import NO_BAD_MACHINE, Default

REGISTER_DEFAULTS: Final = (
    Default(
        field="bank",
        value="sha256",
        reason="every TPM 2.0 has it; SHA-1 is broken and not accepted at all",
        dated="2026-11",
    ),
    Default(
        field="events",
        value={},
        reason="exact register values say more; name events where a register varies",
        dated="2026-11",
    ),
    Default(
        field="require_safe_clock",
        value=False,
        reason="freshness comes from the owner's nonce; the TPM's clock is not relied on",
        dated="2026-11",
    ),
    Default(
        field="max_restarts",
        value=0,
        reason="a server does not suspend; what happened to its memory meanwhile is unknown",
        dated="2026-11",
    ),
    Default(
        field="firmware",
        value="any",
        reason="name versions if the maker of your TPMs published flaws in some",
        dated="2026-11",
    ),
)
"""What TPM and Azure sections both say of registers."""

TPM_DEFAULTS: Final = (
    Default(
        field="origins",
        value=["activated"],
        reason="the owner's own proof that the key is in the TPM; a provider can be compelled",
        dated="2026-11",
    ),
    Default(
        field="resets",
        value="any",
        reason="what starts after a reset is measured anew; name machines and their counts, as "
        "`mc2 start` prints them, to hold them to the boot that you looked at",
        dated="2026-11",
    ),
    *REGISTER_DEFAULTS,
    Default(
        field="require_event_log",
        value=False,
        reason="exact register values need no log; a log is for people who look for a cause",
        dated="2026-11",
    ),
    Default(
        field="platforms",
        value="any",
        reason="name your machines if you can: ek: and the SHA-256 of the endorsement key",
        dated="2026-11",
    ),
    NO_BAD_MACHINE,
)
"""Everything but `roots`, `code` and `pcrs`, which only the members know."""
