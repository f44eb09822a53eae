"""What members accept of Intel platforms: each rule alone, and the strict reading of all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.intel_hierarchy import NOW, Intel, Machine, Sgx, Td, level
from tests.support.intel_quotes import verify

from mc2.attestation.appraisal import appraise
from mc2.attestation.claims import Tier, VerifiedClaims
from mc2.attestation.dcap.defaults import SGX_DEFAULTS, TDX_DEFAULTS
from mc2.attestation.dcap.policy import TD_ATTRIBUTES, SgxSection, TdxSection, check_td_attributes
from mc2.attestation.defaults import proposed
from mc2.attestation.policy import AttestationPolicy
from mc2.crypto.digest import digest
from mc2.errors import AppraisalError, FormatError
from mc2.formats.canonical import decode, encode
from mc2.formats.fields import Fields

ZEROS = "00" * 48
PLATFORM = {
    "statuses": ["UpToDate"],
    "denied_advisories": ["INTEL-SA-00615"],
    "min_tcb_evaluation_number": 19,
    "min_tcb_date": "2026-03-01T00:00:00Z",
    "max_collateral_days": 30,
    "sgx_types": ["Scalable"],
    "allow_smt": False,
    "platforms": ["piid:" + (b"i" * 16).hex()],
    "denied_platforms": [],
    "denied_keys": [],
}
SGX = {
    "mrenclave": ["e1" * 32],
    "mrsigner": ["51" * 32],
    "isvprodid": 7,
    "min_isvsvn": 3,
    "configid": ["00" * 64],
    **PLATFORM,
}
TDX = {
    "mrtd": ["7d" * 48],
    **{f"rtmr{n}": [f"a{n}" * 48] for n in range(4)},
    "mrseam": ["5e" * 48],
    "mrconfigid": [ZEROS],
    "mrowner": [ZEROS],
    "mrownerconfig": [ZEROS],
    "mrservicetd": [ZEROS],
    "allowed_attributes": ["PKS", "SEPT_VE_DISABLE"],
    **PLATFORM,
}


def section(value: dict[str, Any]) -> SgxSection | TdxSection:
    """Read a section and see that it writes itself back."""
    fields = Fields(decode(encode(value), 65536, "a section"), "a section")
    found = (SgxSection if "mrenclave" in value else TdxSection).read(fields)
    fields.done()
    assert encode(found.json()) == encode(value)
    assert all(found.describe())
    return found


def claims(intel: Intel | None = None) -> VerifiedClaims:
    intel = intel or Intel()
    return verify(intel.evidence(), NOW, intel.pins())


TD = Intel(body=Td(), version=4)


def test_the_right_enclave_satisfies_every_rule() -> None:
    assert section(SGX).check(claims()) == []
    assert section(TDX).check(claims(TD)) == []


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("mrenclave", ["e2" * 32], "MRENCLAVE"),
        ("mrsigner", ["52" * 32], "mrsigner"),
        ("isvprodid", 8, "isvprodid"),
        ("min_isvsvn", 4, "isvsvn"),
        ("configid", ["01" * 64], "configid"),
    ],
)
def test_each_rule_on_enclaves_fails_alone(field: str, value: object, rule: str) -> None:
    failed = section({**SGX, field: value}).check(claims())
    assert len(failed) == 1
    assert failed[0].startswith(rule)


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        ("mrtd", "MRTD"),
        *((f"rtmr{n}", f"rtmr{n}") for n in range(4)),
        ("mrseam", "mrseam"),
        ("mrconfigid", "mrconfigid"),
        ("mrowner", "mrowner"),
        ("mrownerconfig", "mrownerconfig"),
        ("mrservicetd", "mrservicetd"),
    ],
)
def test_each_rule_on_registers_fails_alone(field: str, rule: str) -> None:
    failed = section({**TDX, field: ["1c" * 48]}).check(claims(TD))
    assert len(failed) == 1
    assert failed[0].startswith(rule)


@pytest.mark.parametrize("which", ["sgx", "tdx"])
@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("statuses", ["OutOfDate", "SWHardeningNeeded"], "tcb_status"),
        ("denied_advisories", ["INTEL-SA-00614", "INTEL-SA-00616"], "advisory: INTEL-SA-00614"),
        ("min_tcb_evaluation_number", 20, "tcb_evaluation_number"),
        ("min_tcb_date", "2026-03-01T00:00:01Z", "tcb_date"),
        ("max_collateral_days", 2, "collateral"),
        ("sgx_types", ["ScalableWithIntegrity", "Standard"], "sgx_type"),
        ("platforms", ["piid:" + "00" * 16], "platform"),
    ],
)
def test_each_rule_on_platforms_fails_alone(
    which: str, field: str, value: object, rule: str
) -> None:
    tdx = bytes([5, 0, 4]) + bytes(13) if which == "tdx" else None
    intel = (TD if which == "tdx" else Intel()).but(
        tcb_levels=(level(tdx=tdx, advisories=["INTEL-SA-00614"]),)
    )
    policy = SGX if which == "sgx" else TDX
    failed = section({**policy, field: value}).check(claims(intel))
    assert len(failed) == 1
    assert failed[0].startswith(rule)


@pytest.mark.parametrize(
    "machine", [Machine(smt=True), Machine(piid=None)], ids=["on", "not stated"]
)
def test_hyperthreading_is_refused_unless_allowed(machine: Machine) -> None:
    policy = {**SGX, "platforms": "any"}
    found = claims(Intel(machine=machine))
    failed = section(policy).check(found)
    assert [rule.split(":")[0] for rule in failed] == ["smt"]
    assert section({**policy, "allow_smt": True}).check(found) == []


def test_machines_and_keys_can_be_denied() -> None:
    found = claims()
    named = section({**SGX, "denied_platforms": [found.platform_id]}).check(found)
    assert named == ["platform: the policy denies this machine"]
    keyed = section({**SGX, "denied_keys": [found.details["pck_key"]]}).check(found)
    assert keyed == ["pck_key: the policy denies this machine's key"]
    other = digest(b"another key")
    assert (
        section({**SGX, "denied_keys": [other], "denied_platforms": ["ppid:00"]}).check(found) == []
    )


def test_every_failed_rule_is_listed() -> None:
    other = Intel(
        body=Sgx(
            mrenclave=b"m" * 32, mrsigner=b"s" * 32, isvprodid=0, isvsvn=0, configid=b"c" * 64
        ),
        machine=Machine(piid=b"z" * 16, smt=True, sgx_type=0),
        tcb_levels=(
            level(status="OutOfDate", advisories=["INTEL-SA-00615"], date="2020-01-01T00:00:00Z"),
        ),
        tcb_changes={"tcbEvaluationDataNumber": 3},
        pck_crl_window=(NOW - timedelta(days=90), NOW + timedelta(days=1)),
    )
    failed = section(SGX).check(claims(other))
    assert [rule.split(":")[0] for rule in failed] == [
        "MRENCLAVE", "mrsigner", "isvprodid", "isvsvn", "configid", "tcb_status", "advisory",
        "tcb_evaluation_number", "tcb_date", "platform", "sgx_type", "smt", "collateral",
    ]  # fmt: skip


def test_any_is_written_out() -> None:
    names = ("rtmr0", "rtmr1", "rtmr2", "rtmr3", "mrseam", "mrconfigid", "mrowner", "mrownerconfig")
    policy = section({**TDX, **dict.fromkeys((*names, "platforms"), "any")})
    assert policy.check(claims(TD)) == []
    said = " ".join(policy.describe())
    assert "RTMR3 may be anything." in said
    assert "platform may be anything." in said


@pytest.mark.parametrize("kind", ["intel-sgx/v1", "intel-tdx/v1"])
def test_no_field_can_be_left_out_and_none_added(kind: str) -> None:
    whole = SGX if kind == "intel-sgx/v1" else TDX
    AttestationPolicy.read({kind: whole})
    for name in whole:
        with pytest.raises(FormatError, match=name):
            AttestationPolicy.read({kind: {k: v for k, v in whole.items() if k != name}})
    with pytest.raises(FormatError, match="not known"):
        AttestationPolicy.read({kind: {**whole, "more": 1}})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("statuses", ["Revoked"]),
        ("statuses", ["Fine"]),
        ("statuses", []),
        ("statuses", ["UpToDate", "OutOfDate"]),
        ("denied_advisories", ["intel-sa-00001"]),
        ("min_tcb_evaluation_number", -1),
        ("min_tcb_date", "2026-03-01"),
        ("max_collateral_days", 0),
        ("max_collateral_days", 400),
        ("sgx_types", []),
        ("allow_smt", "no"),
        ("platforms", []),
        ("platforms", "all"),
        ("platforms", ["00" * 16]),
        ("denied_platforms", "any"),
        ("denied_keys", ["00" * 32]),
    ],
)
def test_rules_on_platforms_are_read_strictly(field: str, value: object) -> None:
    with pytest.raises(FormatError):
        section({**SGX, field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mrenclave", []),
        ("mrenclave", "any"),
        ("mrenclave", ["E1" * 32]),
        ("mrenclave", ["e1" * 31]),
        ("mrsigner", "ANY"),
        ("isvprodid", 65536),
    ],
)
def test_rules_on_enclaves_are_read_strictly(field: str, value: object) -> None:
    with pytest.raises(FormatError):
        section({**SGX, field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mrtd", "any"),
        ("mrservicetd", "any"),
        ("allowed_attributes", ["DEBUG"]),
        ("allowed_attributes", []),
        ("rtmr0", []),
    ],
)
def test_rules_on_domains_are_read_strictly(field: str, value: object) -> None:
    with pytest.raises(FormatError):
        section({**TDX, field: value})


def test_sept_ve_disable_is_always_demanded() -> None:
    found = claims(TD.but(body=Td(attributes=bytes(8))))
    failed = section({**TDX, "allowed_attributes": ["PKS"]}).check(found)
    assert failed == ["td_attributes: SEPT_VE_DISABLE is not set"]


def test_attributes_without_a_name_are_never_accepted() -> None:
    everything = tuple(sorted(TD_ATTRIBUTES.values()))
    for bit in range(8, 64):
        attributes = ((1 << bit) | (1 << 28)).to_bytes(8, "little").hex()
        failed = check_td_attributes(attributes, allowed=everything, required=())
        assert bool(failed) == (bit not in TD_ATTRIBUTES)


def test_a_migratable_td_is_refused_unless_named() -> None:
    found = claims(TD.but(body=Td(attributes=((1 << 28) | (1 << 29)).to_bytes(8, "little"))))
    assert section(TDX).check(found) == ["td_attributes: MIGRATABLE is set"]
    allowed = ["MIGRATABLE", "SEPT_VE_DISABLE"]
    assert section({**TDX, "allowed_attributes": allowed}).check(found) == []


def test_a_bound_service_td_must_be_named() -> None:
    new = bytes([6, 1, 4]) + bytes(13)
    found = claims(Intel(body=Td(svn2=new, mrservicetd=b"\x5d" * 48), version=5))
    assert [rule.split(":")[0] for rule in section(TDX).check(found)] == ["mrservicetd"]
    assert section({**TDX, "mrservicetd": ["5d" * 48]}).check(found) == []


def test_appraisal_joins_the_section_with_binding_debug_and_tier() -> None:
    policy = AttestationPolicy.read({"intel-sgx/v1": SGX})
    good = appraise(claims(), policy, Tier.HARDWARE_ENCLAVE, b"R" * 64)
    assert good.tier is Tier.HARDWARE_ENCLAVE
    bad = claims(Intel(body=Sgx(attributes=b"\x07" + bytes(15), isvsvn=2)))
    with pytest.raises(AppraisalError) as caught:
        appraise(replace(bad, report_data=b"x" * 64), policy, Tier.HARDWARE_ENCLAVE, b"R" * 64)
    assert [rule.split(":")[0] for rule in caught.value.failures] == ["binding", "debug", "isvsvn"]


def test_a_trust_domain_is_below_the_tier_of_an_enclave() -> None:
    policy = AttestationPolicy.read({"intel-tdx/v1": TDX})
    appraise(claims(TD), policy, Tier.HARDWARE_CVM, b"R" * 64)
    with pytest.raises(AppraisalError, match="hardware-cvm is below"):
        appraise(claims(TD), policy, Tier.HARDWARE_ENCLAVE, b"R" * 64)


def test_the_proposed_sections_are_complete_and_refuse_what_is_known_to_be_weak() -> None:
    sgx = proposed(SGX_DEFAULTS, mrenclave=["e1" * 32])
    tdx = proposed(TDX_DEFAULTS, mrtd=["7d" * 48], **{f"rtmr{n}": ["00" * 48] for n in range(3)})
    AttestationPolicy.read({"intel-sgx/v1": sgx, "intel-tdx/v1": tdx})
    old = claims(Intel(tcb_levels=(level(status="SWHardeningNeeded"),)))
    assert "tcb_status" in " ".join(section(sgx).check(old))
    migratable = claims(TD.but(body=Td(attributes=((1 << 28) | (1 << 29)).to_bytes(8, "little"))))
    assert "MIGRATABLE" in " ".join(section(tdx).check(migratable))


def test_every_proposed_value_has_a_reason_and_a_date() -> None:
    for default in (*SGX_DEFAULTS, *TDX_DEFAULTS):
        assert len(default.reason) > 10
        assert default.dated[:2] == "20"
