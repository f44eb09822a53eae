"""What mc2 proposes for the SNP section of a new policy, with the reason of each value."""

from __future__ import annotations

from typing import Final

from mc2.attestation.defaults import NO_BAD_KEY, NO_BAD_MACHINE, Default

SNP_DEFAULTS: Final = (
    Default(
        field="host_data",
        value="any",
        reason="the host's own 32 bytes; name values if your deployment sets them",
        dated="2026-11",
    ),
    Default(
        field="id_key_digests",
        value="any",
        reason="the measurement already names the code exactly",
        dated="2026-11",
    ),
    Default(
        field="author_key_digests",
        value="any",
        reason="the measurement already names the code exactly",
        dated="2026-11",
    ),
    Default(
        field="min_guest_svn",
        value=0,
        reason="the measurement already names the code exactly",
        dated="2026-11",
    ),
    Default(
        field="max_vmpl",
        value=0,
        reason="a report from a weaker privilege level says nothing of the levels above it",
        dated="2026-11",
    ),
    Default(
        field="allow_smt",
        value=True,
        reason="clouds run with it; without it hardly any machine qualifies",
        dated="2026-11",
    ),
    Default(
        field="allow_migration",
        value=False,
        reason="a migration agent could move the guest's memory to a machine nobody appraised",
        dated="2026-11",
    ),
    Default(
        field="allow_masked_chip",
        value=False,
        reason="a masked chip can be neither allowed nor denied",
        dated="2026-11",
    ),
    Default(
        field="require_alias_check",
        value=True,
        reason="BadRAM: without it a memory module that lies about its size defeats integrity",
        dated="2024-12",
    ),
    Default(
        field="require_crl",
        value=True,
        reason="without a list the host can keep silent about a revoked signing authority",
        dated="2026-11",
    ),
    Default(
        field="signing_keys",
        value=["VCEK"],
        reason="a VLEK is shared by a provider's machines and hides which of them it is",
        dated="2026-11",
    ),
    Default(
        field="product_lines",
        value=["Genoa", "Turin"],
        reason="Milan: arXiv 2605.12990 reports forged reports; see the advisory milan-vcek-seed",
        dated="2026-05",
    ),
    Default(
        field="min_tcb",
        value={
            "Genoa": {"bl": 0, "tee": 0, "snp": 23, "ucode": 0},
            "Turin": {"fmc": 0, "bl": 0, "tee": 0, "snp": 4, "ucode": 0},
        },
        reason=(
            "Genoa 23 loads signed microcode only (EntrySign, AMD-SB-3019; on Milan it is 24); "
            "for Turin no figure was found, and 4 is what a public cloud ran in February 2026"
        ),
        dated="2026-02",
    ),
    Default(
        field="waived",
        value=[],
        reason="an advisory is waived by people who know it, never by default",
        dated="2026-11",
    ),
    Default(
        field="platforms",
        value="any",
        reason=(
            "name your machines if you can: keys taken out of any one chip (TEE.fail) pass for "
            "every chip that is not named"
        ),
        dated="2025-10",
    ),
    NO_BAD_MACHINE,
    NO_BAD_KEY,
)
"""Everything but `measurements`, which only the members know."""
