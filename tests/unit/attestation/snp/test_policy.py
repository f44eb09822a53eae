"""What members accept of SNP guests: every rule, alone, and the proposed defaults."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.amd_hierarchy import NOW, Amd, Guest
from tests.support.genuine import SNP_VALID
from tests.support.vectors import VECTORS, needs_vectors

from mc2.attestation.appraisal import appraise
from mc2.attestation.claims import Tier, VerifiedClaims
from mc2.attestation.defaults import proposed
from mc2.attestation.folder import load_case
from mc2.attestation.policy import AttestationPolicy
from mc2.attestation.snp.advisories import ADVISORIES
from mc2.attestation.snp.defaults import SNP_DEFAULTS
from mc2.attestation.snp.policy import SnpSection
from mc2.attestation.snp.verify import SnpVerifier
from mc2.errors import AppraisalError, FormatError
from mc2.formats.canonical import decode, encode
from mc2.formats.fields import Fields

MEASUREMENT = (b"m" * 48).hex()
GOOD = Amd(revoked=())
LEAST = {"bl": 0, "tee": 0, "snp": 0, "ucode": 0}


def section(**changes) -> SnpSection:
    value = proposed(SNP_DEFAULTS, measurements=[MEASUREMENT]) | changes
    fields = Fields(value, "an SNP section")
    found = SnpSection.read(fields)
    fields.done()
    return found


def claims(amd: Amd) -> VerifiedClaims:
    return SnpVerifier(roots=amd.pins()).verify(amd.evidence(), at=NOW)


def failures(amd: Amd, **changes) -> list[str]:
    return [line.partition(":")[0] for line in section(**changes).check(claims(amd))]


def test_the_proposed_policy_accepts_a_good_guest() -> None:
    assert failures(GOOD) == []
    assert failures(Amd(line="Turin", revoked=())) == []


def test_a_section_survives_its_canonical_form() -> None:
    found = section(waived=["milan-vcek-seed"], platforms=["chip:" + "ab" * 64])
    raw = encode(found.json())
    fields = Fields(decode(raw, 1 << 20, "a section"), "a section")
    assert SnpSection.read(fields) == found
    fields.done()


@pytest.mark.parametrize("field", [d.field for d in SNP_DEFAULTS] + ["measurements"])
def test_every_field_is_required(field: str) -> None:
    value = proposed(SNP_DEFAULTS, measurements=[MEASUREMENT])
    del value[field]
    with pytest.raises(FormatError, match=field):
        SnpSection.read(Fields(value, "an SNP section"))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"policy": 0x30000 | 1 << 18}, "migration"),
        ({"policy": 0x30000 | 1 << 26}, "policy"),
        ({"policy": 0x30000 | 1 << 63}, "policy"),
        ({"vmpl": 1}, "vmpl"),
        ({"measurement": b"x" * 48}, "MEASUREMENT"),
        ({"platform_info": 0x5}, "alias_check"),
        ({"chip_id": bytes(64), "key_info": 2}, "mask_chip_key"),
        ({"tcb": {"bl": 4, "snp": 22, "ucode": 80}}, "committed_tcb"),
        ({"tcbs": {"launch": {"bl": 4, "snp": 22, "ucode": 80}}}, "launch_tcb"),
        ({"tcbs": {"committed": {"bl": 4, "snp": 29, "ucode": 80}}}, "committed_tcb"),
    ],
)
def test_each_default_refuses_something(change: dict, rule: str) -> None:
    assert rule in failures(GOOD.guest_but(**change))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"host_data": ["00" * 32]}, "host_data"),
        ({"id_key_digests": ["00" * 48]}, "id_key_digest"),
        ({"author_key_digests": ["00" * 48]}, "author_key_digest"),
        ({"min_guest_svn": 4}, "guest_svn"),
        ({"signing_keys": ["VLEK"]}, "signing_key"),
        ({"product_lines": ["Turin"], "min_tcb": {"Turin": {**LEAST, "fmc": 0}}}, "product_line"),
        (
            {"min_tcb": {"Genoa": {**LEAST, "ucode": 81}, "Turin": {**LEAST, "fmc": 0}}},
            "launch_tcb",
        ),
        ({"platforms": ["chip:" + "00" * 64]}, "platform"),
    ],
)
def test_each_rule_can_be_made_stricter(change: dict, rule: str) -> None:
    assert rule in failures(GOOD, **change)


def test_machines_and_keys_can_be_denied() -> None:
    found = claims(GOOD)
    key = found.details["endorsement_key"]
    assert section(denied_keys=[key]).check(found) == [
        "endorsement_key: the policy denies this key"
    ]
    assert section(denied_platforms=[found.platform_id]).check(found) == [
        "platform: the policy denies this machine"
    ]


def test_rules_can_be_waived_one_by_one() -> None:
    assert failures(GOOD.guest_but(policy=0x70000), allow_migration=True) == []
    assert failures(GOOD.guest_but(vmpl=2), max_vmpl=2) == []
    assert failures(GOOD.guest_but(vmpl=3), max_vmpl=2) == ["vmpl"]
    assert failures(GOOD.guest_but(platform_info=5), require_alias_check=False) == []
    assert failures(GOOD.but(revoked=None)) == ["crl"]
    assert failures(GOOD.but(revoked=None), require_crl=False) == []
    masked = GOOD.guest_but(chip_id=bytes(64), key_info=2)
    assert failures(masked, allow_masked_chip=True) == []
    assert failures(masked, allow_masked_chip=True, platforms=["chip:00"]) == ["platform"]


def test_smt_is_a_choice() -> None:
    assert failures(GOOD, allow_smt=False) == ["smt"]
    assert failures(GOOD.guest_but(policy=0x20000), allow_smt=False) == []


def test_milan_is_denied_unless_listed_and_waived() -> None:
    milan = Amd(line="Milan", revoked=())
    assert failures(milan) == ["product_line", "product_line"]
    listed = {"product_lines": ["Milan"], "min_tcb": {"Milan": {**LEAST, "snp": 24}}}
    assert failures(milan, **listed) == ["product_line"]
    assert failures(milan, **listed, waived=["milan-vcek-seed"]) == []


def test_reports_beyond_what_is_committed_are_refused() -> None:
    ahead = GOOD.guest_but(tcbs={"reported": {"bl": 5, "snp": 30, "ucode": 80}})
    assert failures(ahead) == ["committed_tcb"]


def test_debug_is_refused_by_appraisal_whatever_the_section_says() -> None:
    found = claims(GOOD.guest_but(policy=0xB0000))
    assert found.debug
    policy = AttestationPolicy({SnpSection.KIND: section()})
    with pytest.raises(AppraisalError, match="debug: the enclave's host can look inside"):
        appraise(found, policy, Tier.HARDWARE_CVM, b"r" * 64)
    good = appraise(claims(GOOD), policy, Tier.HARDWARE_CVM, b"r" * 64)
    assert good.tier is Tier.HARDWARE_CVM


def test_all_failures_are_listed_at_once() -> None:
    bad = Guest(policy=0x30000 | 1 << 18, vmpl=1, platform_info=0, measurement=b"x" * 48)
    assert set(failures(Amd(line="Milan", guest=bad))) == {
        "MEASUREMENT", "migration", "vmpl", "alias_check", "crl", "product_line",
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"measurements": []},
        {"measurements": ["00" * 47]},
        {"measurements": ["AA" * 48]},
        {"product_lines": ["Rome"]},
        {"product_lines": []},
        {"product_lines": ["Turin", "Genoa"]},
        {"min_tcb": {"Genoa": LEAST}},
        {"min_tcb": {"Genoa": LEAST, "Turin": LEAST}},
        {"min_tcb": {"Genoa": LEAST, "Turin": {**LEAST, "fmc": 0}, "Milan": LEAST}},
        {"min_tcb": {"Genoa": {**LEAST, "snp": 256}, "Turin": {**LEAST, "fmc": 0}}},
        {"min_tcb": {"Genoa": {**LEAST, "snp": -1}, "Turin": {**LEAST, "fmc": 0}}},
        {"min_tcb": "any"},
        {"waived": ["all"]},
        {"signing_keys": []},
        {"signing_keys": ["none"]},
        {"max_vmpl": 4},
        {"allow_smt": 1},
        {"host_data": None},
        {"host_data": []},
        {"host_data": ["any"]},
        {"platforms": []},
        {"platforms": ["ab" * 64]},
        {"denied_keys": ["ab" * 32]},
        {"denied_platforms": ["nobody"]},
    ],
)
def test_odd_sections_are_refused(change: dict) -> None:
    with pytest.raises(FormatError):
        section(**change)


def test_the_rules_are_said_in_words() -> None:
    lines = section(
        product_lines=["Milan"],
        min_tcb={"Milan": {**LEAST, "snp": 24}},
        waived=["milan-vcek-seed"],
        require_crl=False,
        denied_platforms=["chip:00"],
        denied_keys=["sha256:" + "0" * 64],
    ).describe()
    text = "\n".join(lines)
    assert "WAIVED: milan-vcek-seed" in text
    assert ADVISORIES["milan-vcek-seed"].text in text
    assert "Least firmware on Milan: bl 0, tee 0, snp 24, ucode 0." in text
    assert "revocation list of AMD is NOT needed" in text
    assert "Denied machine: chip:00" in text


@needs_vectors
@pytest.mark.parametrize("case", SNP_VALID)
def test_genuine_reports_meet_the_proposed_policy_or_say_why_not(case: str) -> None:
    raw, at = load_case(VECTORS / case)
    found = SnpVerifier().verify(raw, at=at)
    own = section(measurements=[found.measurements["MEASUREMENT"]])
    failed = {line.partition(":")[0] for line in own.check(found)}
    want = {"crl"}  # no genuine list is at hand
    if "milan" in case:
        want |= {"product_line"}
    if "v2" in case:
        want |= {"alias_check"}
    if "vlek" in case:
        want |= {"vmpl", "signing_key"}
    assert failed == want


def test_defaults_have_reasons_and_dates() -> None:
    for default in SNP_DEFAULTS:
        assert len(default.reason) > 10
        assert default.dated[:2] == "20"
    assert replace(SNP_DEFAULTS[0], value=[]) != SNP_DEFAULTS[0]
