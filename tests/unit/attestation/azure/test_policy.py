"""What members accept of Azure VMs: hardware, registers, switches, and the one waiver."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from tests.support.amd_hierarchy import Amd, Guest
from tests.support.azure_machines import QUOTING, Azure
from tests.support.intel_hierarchy import Intel, Machine, Td

from mc2.attestation.appraisal import appraise
from mc2.attestation.azure import SNP_KIND, TDX_KIND
from mc2.attestation.azure.defaults import AZURE_SNP_DEFAULTS, AZURE_TDX_DEFAULTS
from mc2.attestation.claims import Tier
from mc2.attestation.dcap.defaults import TDX_DEFAULTS
from mc2.attestation.defaults import proposed
from mc2.attestation.policy import AttestationPolicy
from mc2.attestation.section import PolicySection
from mc2.attestation.snp.defaults import SNP_DEFAULTS
from mc2.errors import AppraisalError, FormatError
from mc2.formats.canonical import Json, encode

SNP = Azure(hardware=Amd(guest=Guest(version=3)))
TDX = Azure(hardware=Intel(body=Td(), version=4, machine=Machine()))
PCRS = {"4": ["04" * 32]}
SNP_HARDWARE = proposed(SNP_DEFAULTS, measurements=[(b"m" * 48).hex()], require_crl=False)
TDX_HARDWARE = proposed(
    TDX_DEFAULTS,
    mrtd=["7d" * 48],
    **{f"rtmr{n}": [f"a{n}" * 48] for n in range(4)},
)
SNP_SECTION = proposed(AZURE_SNP_DEFAULTS, hardware=SNP_HARDWARE, pcrs=PCRS)
TDX_SECTION = proposed(AZURE_TDX_DEFAULTS, hardware=TDX_HARDWARE, pcrs=PCRS)


def section(value: dict[str, Json]) -> PolicySection:
    kind = TDX_KIND if "waive_sept_ve_disable" in value else SNP_KIND
    policy = AttestationPolicy.read({kind: value})
    assert encode(policy.json()) == encode({kind: value})
    assert all(policy.describe())
    return policy.sections[kind]


def rules(failed: list[str]) -> list[str]:
    return [rule.split(":")[0] for rule in failed]


def test_right_machines_satisfy_the_proposed_sections() -> None:
    assert section(SNP_SECTION).check(SNP.verify()) == []
    assert section(TDX_SECTION).check(TDX.verify()) == []


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"secure_boot": False}, "secure_boot"),
        ({"console": True}, "console"),
        ({"tpm": QUOTING.but(pcrs={4: b"x" * 32})}, "PCR4"),
        ({"tpm": QUOTING.but(pcrs={5: b"x" * 32})}, "PCR4"),
        ({"tpm": QUOTING.but(restart_count=1)}, "restarts"),
    ],
)
def test_rules_on_the_vm(changes: dict[str, Any], rule: str) -> None:
    assert rules(section(SNP_SECTION).check(SNP.but(**changes).verify())) == [rule]
    assert rules(section(TDX_SECTION).check(TDX.but(**changes).verify())) == [rule]


def test_switches_can_be_allowed_in_writing() -> None:
    lax = {**SNP_SECTION, "require_secure_boot": False, "allow_console": True}
    assert section(lax).check(SNP.but(secure_boot=False, console=True).verify()) == []


def test_rules_on_the_hardware_below() -> None:
    other = SNP.but(hardware=Amd(guest=Guest(version=3, measurement=b"x" * 48, policy=0x70000)))
    assert rules(section(SNP_SECTION).check(other.verify())) == ["MEASUREMENT", "migration"]
    td = Td(mrtd=b"x" * 48, rtmr=(b"y" * 48,) * 4)
    failed = section(TDX_SECTION).check(TDX.but(hardware=Intel(body=td, version=4)).verify())
    assert rules(failed) == ["MRTD", "rtmr0", "rtmr1", "rtmr2", "rtmr3"]


def test_a_paravisor_without_sept_ve_disable_needs_a_waiver() -> None:
    found = TDX.but(hardware=Intel(body=Td(attributes=bytes(8)), version=4)).verify()
    assert section(TDX_SECTION).check(found) == ["td_attributes: SEPT_VE_DISABLE is not set"]
    waived = section({**TDX_SECTION, "waive_sept_ve_disable": True})
    assert waived.check(found) == []
    assert any(line.startswith("WAIVED: SEPT_VE_DISABLE") for line in waived.describe())
    # The waiver is for this one attribute.
    odd = TDX.but(hardware=Intel(body=Td(attributes=(1 << 29).to_bytes(8, "little")), version=4))
    assert waived.check(odd.verify()) == ["td_attributes: MIGRATABLE is set"]


def test_review_names_the_paravisor() -> None:
    for value in (SNP_SECTION, TDX_SECTION):
        assert "paravisor is trusted" in section(value).describe()[0]


def test_appraisal_binds_a_hash_and_refuses_debug() -> None:
    policy = AttestationPolicy.read({SNP_KIND: SNP_SECTION})
    bound = hashlib.sha256(b"R" * 64).digest()
    good = SNP.but(tpm=QUOTING.but(extra_data=bound))
    appraise(good.verify(), policy, Tier.HARDWARE_CVM, b"R" * 64)
    with pytest.raises(AppraisalError, match="binding"):
        appraise(SNP.verify(), policy, Tier.HARDWARE_CVM, b"R" * 64)
    debug = good.but(hardware=Amd(guest=Guest(version=3, policy=0xB0000)))
    with pytest.raises(AppraisalError, match="debug"):
        appraise(debug.verify(), policy, Tier.HARDWARE_CVM, b"R" * 64)


@pytest.mark.parametrize("value", [SNP_SECTION, TDX_SECTION], ids=["snp", "tdx"])
def test_no_field_can_be_left_out_and_none_added(value: dict[str, Json]) -> None:
    kind = TDX_KIND if "waive_sept_ve_disable" in value else SNP_KIND
    for name in value:
        with pytest.raises(FormatError, match=name):
            AttestationPolicy.read({kind: {k: v for k, v in value.items() if k != name}})
    hardware = value["hardware"]
    assert isinstance(hardware, dict)
    for name in hardware:
        fewer = {k: v for k, v in hardware.items() if k != name}
        with pytest.raises(FormatError, match=name):
            AttestationPolicy.read({kind: {**value, "hardware": fewer}})
    for more in ({**value, "more": 1}, {**value, "hardware": {**hardware, "more": 1}}):
        with pytest.raises(FormatError, match="not known"):
            AttestationPolicy.read({kind: more})


def test_every_proposed_value_has_a_reason() -> None:
    for default in AZURE_TDX_DEFAULTS:
        assert len(default.reason) > 10
