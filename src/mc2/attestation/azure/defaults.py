"""What mc2 proposes for the Azure sections of a new policy, with the reason of each value."""

from __future__ import annotations

from typing import Final

from mc2.attestation.defaults import Default
from mc2.attestation.tpm.defaults import REGISTER_DEFAULTS

AZURE_SNP_DEFAULTS: Final = (
    *REGISTER_DEFAULTS,
    Default(
        field="require_event_log",
        value=False,
        reason="exact register values need no log; a log is for people who look for a cause",
        dated="2026-11",
    ),
    Default(
        field="require_secure_boot",
        value=True,
        reason="without it whoever can write to the disk chooses what starts",
        dated="2026-11",
    ),
    Default(
        field="allow_console",
        value=False,
        reason="a serial console is a way in for the host; Azure enables it unless told not to",
        dated="2026-11",
    ),
)
"""Everything but `hardware` (the SNP defaults, with the paravisor's measurements) and `pcrs`."""

AZURE_TDX_DEFAULTS: Final = (
    *AZURE_SNP_DEFAULTS,
    Default(
        field="waive_sept_ve_disable",
        value=False,
        reason="without it the host can unmap pages under running code; read the paravisor first",
        dated="2026-11",
    ),
)
"""Everything but `hardware` (the TDX defaults, with the paravisor's measurements) and `pcrs`."""
