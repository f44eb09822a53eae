"""What members accept of TPMs: each rule alone, and the strict reading of all."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from tests.support.tpm_quotes import NOW, Maker, Tpm, ec_key, rsa_key, spki

from mc2.attestation.appraisal import appraise
from mc2.attestation.claims import ClaimsToActivate, Tier, VerifiedClaims
from mc2.attestation.defaults import proposed
from mc2.attestation.pem import split_pem
from mc2.attestation.policy import AttestationPolicy
from mc2.attestation.tpm import KIND
from mc2.attestation.tpm.defaults import TPM_DEFAULTS
from mc2.attestation.tpm.policy import TpmSection
from mc2.attestation.tpm.verify import TpmVerifier
from mc2.crypto.digest import digest
from mc2.errors import AppraisalError, FormatError
from mc2.formats.canonical import encode

MAKER = Maker()
ROOT = digest(split_pem(MAKER.chain(), "", most=2)[-1])
PLATFORM = "ek:" + digest(spki(rsa_key("ek"))).removeprefix("sha256:")
EK_CHAIN = {"ek_certificate": MAKER.certificate(rsa_key("ek")), "ek_chain": MAKER.chain()}
SECTION = {
    "roots": [ROOT],
    "origins": ["activated"],
    "code": ["c0" * 32],
    "resets": {PLATFORM: [7, 7]},
    "bank": "sha256",
    "pcrs": {"4": ["04" * 32], "11": ["0b" * 32, "0c" * 32]},
    "events": {},
    "require_event_log": False,
    "require_safe_clock": True,
    "max_restarts": 0,
    "firmware": ["2019102300163636"],
    "platforms": [PLATFORM],
    "denied_platforms": [],
}


def section(value: dict[str, object] = SECTION) -> TpmSection:
    policy = AttestationPolicy.read({KIND: value})
    assert encode(policy.json()) == encode({KIND: value})
    assert all(policy.describe())
    found = policy.sections[KIND]
    assert isinstance(found, TpmSection)
    return found


CODE = "c0" * 32
STARTS = [{"digest": CODE, "parts": {"mc2": "00" * 32}}]


def claims(tpm: Tpm | None = None, *, endorsed: bool = True, **details: object) -> VerifiedClaims:
    raw = (tpm or Tpm()).evidence(EK_CHAIN if endorsed else {})
    found = TpmVerifier(MAKER.pins()).verify(raw, at=NOW)
    known = found.claims if isinstance(found, ClaimsToActivate) else found
    return replace(known, details={**known.details, "code": STARTS, **details})


def rules(failed: list[str]) -> list[str]:
    return [rule.split(":")[0] for rule in failed]


def test_the_right_boot_satisfies_every_rule() -> None:
    assert section().check(claims()) == []


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("roots", [digest(b"another")], "root"),
        ("code", ["c1" * 32], "code"),
        ("resets", {PLATFORM: [8, 9]}, "resets"),
        ("resets", {"ek:00": [7, 7]}, "resets"),
        ("origins", ["certified"], "origin"),
        ("pcrs", {"4": ["05" * 32]}, "PCR4"),
        ("pcrs", {"5": ["05" * 32]}, "PCR5"),
        ("bank", "sha384", "bank"),
        ("events", {"4": ["04" * 32]}, "event_log"),
        ("require_event_log", True, "event_log"),
        ("firmware", ["2019102300163637"], "firmware"),
        ("platforms", ["ek:00"], "platform"),
        ("denied_platforms", [PLATFORM], "platform"),
    ],
)
def test_each_rule_fails_alone(field: str, value: object, rule: str) -> None:
    policy = {**SECTION, field: value}
    if value == "sha384":
        policy["pcrs"] = {"4": ["04" * 48]}
    assert rules(section(policy).check(claims())) == [rule]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"reset_count": 8}, "resets"),
        ({"reset_count": 6}, "resets"),  # an older quote, or the TPM was cleared
        ({"restart_count": 1}, "restarts"),
        ({"safe": 0}, "clock"),
        ({"parent": 0x40000001}, "hierarchy"),
        ({"pcrs": {4: b"\4" * 32}}, "PCR11"),
        ({"pcrs": {4: b"x" * 32, 11: b"\x0b" * 32}}, "PCR4"),
    ],
)
def test_each_fact_of_a_boot_counts(change: dict[str, object], rule: str) -> None:
    assert rules(section().check(claims(Tpm(**change)))) == [rule]


def test_accepted_reset_counts_are_a_range() -> None:
    policy = section(
        {**SECTION, "resets": {PLATFORM: [7, 9]}, "max_restarts": 1, "require_safe_clock": False}
    )
    assert policy.check(claims(Tpm(reset_count=9, restart_count=1, safe=0))) == []
    assert rules(policy.check(claims(Tpm(reset_count=10, restart_count=2)))) == [
        "resets",
        "restarts",
    ]
    assert section({**SECTION, "resets": "any"}).check(claims(Tpm(reset_count=99))) == []


@pytest.mark.parametrize(
    "resets",
    [{}, [], "all", {PLATFORM: [2, 1]}, {PLATFORM: [1]}, {PLATFORM: [True, 1]}, {"x": [1, 1]}],
)
def test_reset_counts_are_read_strictly(resets: object) -> None:
    with pytest.raises(FormatError):
        section({**SECTION, "resets": resets})


def test_every_worker_that_was_started_counts() -> None:
    other = {"digest": "c2" * 32, "parts": {}}
    assert rules(section().check(claims(code=[*STARTS, other]))) == ["code"]
    assert rules(section().check(claims(code=[other, *STARTS]))) == ["code"]
    assert (
        section({**SECTION, "code": [CODE, "c2" * 32]}).check(claims(code=[*STARTS, other])) == []
    )


@pytest.mark.parametrize("starts", [None, []])
def test_a_machine_that_says_nothing_of_its_code_is_refused(starts: object) -> None:
    assert rules(section().check(claims(code=starts))) == ["code"]
    assert section({**SECTION, "code": "any"}).check(claims(code=starts)) == []


def test_a_key_of_unproven_origin_is_never_accepted() -> None:
    lax = section({**SECTION, "origins": ["activated", "certified"], "platforms": "any"})
    failed = rules(lax.check(claims(endorsed=False)))
    assert "origin" in failed
    assert "root" in failed
    with pytest.raises(FormatError):
        section({**SECTION, "origins": ["unproven"]})


def test_a_certified_key_satisfies_the_other_rules() -> None:
    certificate = MAKER.certificate(ec_key("ak"), usage="digital_signature")
    given = {"ak_certificate": certificate, "ak_chain": MAKER.chain()}
    found = TpmVerifier(MAKER.pins()).verify(Tpm().evidence(given), at=NOW)
    assert isinstance(found, VerifiedClaims)
    lax = {"origins": ["certified"], "platforms": "any", "resets": "any", "code": "any"}
    assert section({**SECTION, **lax}).check(found) == []
    assert rules(section({**SECTION, **lax, "code": [CODE]}).check(found)) == ["code"]


def test_events_that_nobody_named_are_refused() -> None:
    policy = section({**SECTION, "events": {"4": ["aa" * 32, "bb" * 32]}})
    assert policy.check(claims(events={"4": ["bb" * 32, "aa" * 32]})) == []
    assert rules(policy.check(claims(events={"4": ["aa" * 32, "cc" * 32]}))) == ["events"]
    assert rules(policy.check(claims(events={"11": ["aa" * 32]}))) == ["events"]
    assert rules(policy.check(claims(events=None))) == ["event_log"]


def test_the_binding_is_a_hash_of_the_report_data() -> None:
    data = b"R" * 64
    bound = hashlib.sha256(data).digest()
    assert section().binding(data) == bound
    policy = AttestationPolicy.read({KIND: SECTION})
    good = appraise(claims(Tpm(extra_data=bound)), policy, Tier.MEASURED_BOOT, data)
    assert good.tier is Tier.MEASURED_BOOT
    for other in (data, bound[:31], b""):  # the plain data, a prefix, nothing
        with pytest.raises(AppraisalError, match="binding"):
            appraise(claims(Tpm(extra_data=other)), policy, Tier.MEASURED_BOOT, data)


def test_a_tpm_never_reaches_a_hardware_tier() -> None:
    policy = AttestationPolicy.read({KIND: SECTION})
    bound = section().binding(b"R" * 64)
    with pytest.raises(AppraisalError, match="measured-boot is below"):
        appraise(claims(Tpm(extra_data=bound)), policy, Tier.PROVIDER_ATTESTED, b"R" * 64)


def test_no_field_can_be_left_out_and_none_added() -> None:
    for name in SECTION:
        with pytest.raises(FormatError, match=name):
            section({k: v for k, v in SECTION.items() if k != name})
    with pytest.raises(FormatError, match="not known"):
        section({**SECTION, "more": 1})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("roots", []),
        ("roots", ["00" * 32]),
        ("origins", []),
        ("code", []),
        ("code", ["00" * 31]),
        ("bank", "sha1"),
        ("pcrs", {}),
        ("pcrs", []),
        ("pcrs", {"24": ["00" * 32]}),
        ("pcrs", {"04": ["00" * 32]}),
        ("pcrs", {"4": "any"}),
        ("pcrs", {"4": []}),
        ("pcrs", {"4": ["00" * 48]}),
        ("events", {"x": ["00" * 32]}),
        ("require_event_log", 1),
        ("firmware", ["00"]),
    ],
)
def test_the_section_is_read_strictly(field: str, value: object) -> None:
    with pytest.raises(FormatError):
        section({**SECTION, field: value})


def test_review_says_what_measured_boot_is_not() -> None:
    said = section().describe()
    assert "not that the host cannot read it" in said[0]
    assert any("not looked at" in line for line in said)


def test_the_proposed_section_is_complete() -> None:
    found = proposed(TPM_DEFAULTS, roots=[ROOT], code=[CODE], pcrs={"4": ["04" * 32]})
    assert section(found).check(claims()) == []
    for default in TPM_DEFAULTS:
        assert len(default.reason) > 10
