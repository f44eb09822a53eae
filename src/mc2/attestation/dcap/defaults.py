"""What mc2 proposes for the SGX and TDX sections of a new policy, with the reason of each value."""

from __future__ import annotations

from typing import Final

from mc2.attestation.defaults import NO_BAD_KEY, NO_BAD_MACHINE, Default

_NO_SERVICE_TD: Final = "00" * 48

PLATFORM_DEFAULTS: Final = (
    Default(
        field="statuses",
        value=["UpToDate"],
        reason="every other rating means that a known attack may work on this platform",
        dated="2026-11",
    ),
    Default(
        field="denied_advisories",
        value=[],
        reason="a platform that is up to date has no advisories; name some if you accept others",
        dated="2026-11",
    ),
    Default(
        field="min_tcb_evaluation_number",
        value=18,
        reason="Intel's number in March 2026; an older list hides what Intel learnt since",
        dated="2026-03",
    ),
    Default(
        field="min_tcb_date",
        value="2024-11-13T00:00:00Z",
        reason="the firmware that Intel rated UpToDate under number 18 is of this date or later",
        dated="2026-03",
    ),
    Default(
        field="max_collateral_days",
        value=30,
        reason="Intel's own lists end after 30 days",
        dated="2026-11",
    ),
    Default(
        field="sgx_types",
        value=["Scalable", "ScalableWithIntegrity", "Standard"],
        reason=(
            "servers of today are Scalable: their memory has no integrity, and on DDR4 an "
            "interposer has read keys from it (WireTap); leave it out if you can"
        ),
        dated="2025-10",
    ),
    Default(
        field="allow_smt",
        value=True,
        reason="clouds run with it; without it hardly any machine qualifies",
        dated="2026-11",
    ),
    Default(
        field="platforms",
        value="any",
        reason=(
            "name your machines if you can: keys taken out of any one platform (TEE.fail) pass "
            "for every platform that is not named"
        ),
        dated="2025-10",
    ),
    NO_BAD_MACHINE,
    NO_BAD_KEY,
)
"""What both sections say of the platform."""

SGX_DEFAULTS: Final = (
    Default(
        field="mrsigner",
        value="any",
        reason="MRENCLAVE already names the code exactly",
        dated="2026-11",
    ),
    Default(
        field="isvprodid",
        value=0,
        reason="MRENCLAVE already names the code exactly; 0 is what build tools write",
        dated="2026-11",
    ),
    Default(
        field="min_isvsvn",
        value=0,
        reason="MRENCLAVE already names the code exactly",
        dated="2026-11",
    ),
    Default(
        field="configid",
        value=["00" * 64],
        reason="the enclave uses no configuration that its host could choose at launch",
        dated="2026-11",
    ),
    *PLATFORM_DEFAULTS,
)
"""Everything but `mrenclave`, which only the members know."""

TDX_DEFAULTS: Final = (
    Default(
        field="mrseam",
        value="any",
        reason="verification takes only TDX modules that Intel's signed TCB info knows",
        dated="2026-11",
    ),
    Default(
        field="mrconfigid",
        value="any",
        reason="the host's own value; name values if your deployment sets them",
        dated="2026-11",
    ),
    Default(
        field="mrowner",
        value="any",
        reason="the host's own value; the registers name the code",
        dated="2026-11",
    ),
    Default(
        field="mrownerconfig",
        value="any",
        reason="the host's own value; the registers name the code",
        dated="2026-11",
    ),
    Default(
        field="rtmr3",
        value=["00" * 48],
        reason="nothing is measured into it after boot; if your image does, name the values",
        dated="2026-11",
    ),
    Default(
        field="mrservicetd",
        value=[_NO_SERVICE_TD],
        reason="a service TD can act on the TD, for one to migrate it; none is accepted",
        dated="2026-11",
    ),
    Default(
        field="allowed_attributes",
        value=["LASS", "PKS", "SEPT_VE_DISABLE"],
        reason=(
            "MIGRATABLE moves memory to machines nobody appraised, KL and PERFMON give the host "
            "or the guest more than this needs"
        ),
        dated="2026-11",
    ),
    *PLATFORM_DEFAULTS,
)
"""Everything but `mrtd` and `rtmr0` to `rtmr2`, which only the members know."""
