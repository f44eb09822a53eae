"""What members accept of TPMs: each rule alone, and the strict reading of all."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from tests.support.tpm_quotes import NOW, Maker, Tpm, ec_key, rsa_key, spki

from mc2.attestation.appraisal import appraise
from mc2.attestation.claims import Tier, VerifiedClaims
from mc2.attestation.defaults import proposed
from mc2.attestation.pem import split_pem
from mc2.attestation.policy import AttestationPolicy
from mc2.attestation.tpm import KIND
from mc2.attestation.tpm.defaults import TPM_DEFAULTS
from mc2.attestation.tpm.enrolment import ActivatedKey
from mc2.attestation.tpm.policy import TpmSection
from mc2.attestation.tpm.structures import parse_public
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
    "max_resets": 0,
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


def claims(tpm: Tpm | None = None, *, known: bool = True, **details: object) -> VerifiedClaims:
    tpm = tpm or Tpm()
    record = ActivatedKey(
        ak_name=parse_public(tpm.public).name.hex(),
        endorsement_key=digest(spki(rsa_key("ek"))),
        root=ROOT,
        reset_count=7,
        restart_count=0,
        activated=NOW,
    )
    verifier = TpmVerifier(MAKER.pins(), {record.ak_name: record} if known else {})
    found = verifier.verify(tpm.evidence(EK_CHAIN), at=NOW)
    return replace(found, details={**found.details, **details})


def rules(failed: list[str]) -> list[str]:
    return [rule.split(":")[0] for rule in failed]


def test_the_right_boot_satisfies_every_rule() -> None:
    assert section().check(claims()) == []


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("roots", [digest(b"another")], "root"),
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
        ({"reset_count": 6}, "resets"),  # from before the activation, or after a clear
        ({"restart_count": 1}, "restarts"),
        ({"safe": 0}, "clock"),
        ({"parent": 0x40000001}, "hierarchy"),
        ({"pcrs": {4: b"\4" * 32}}, "PCR11"),
        ({"pcrs": {4: b"x" * 32, 11: b"\x0b" * 32}}, "PCR4"),
    ],
)
def test_each_fact_of_a_boot_counts(change: dict[str, object], rule: str) -> None:
    assert rules(section().check(claims(Tpm(**change)))) == [rule]


def test_allowed_resets_are_counted_from_the_activation() -> None:
    policy = section({**SECTION, "max_resets": 2, "max_restarts": 1, "require_safe_clock": False})
    assert policy.check(claims(Tpm(reset_count=9, restart_count=1, safe=0))) == []
    assert rules(policy.check(claims(Tpm(reset_count=10, restart_count=2)))) == [
        "resets",
        "restarts",
    ]


def test_a_key_of_unproven_origin_is_never_accepted() -> None:
    lax = section({**SECTION, "origins": ["activated", "certified"], "platforms": "any"})
    failed = rules(lax.check(claims(known=False)))
    assert "origin" in failed
    assert "root" in failed
    with pytest.raises(FormatError):
        section({**SECTION, "origins": ["unproven"]})


def test_a_certified_key_has_no_resets_to_count() -> None:
    certificate = MAKER.certificate(ec_key("ak"), usage="digital_signature")
    given = {"ak_certificate": certificate, "ak_chain": MAKER.chain()}
    found = TpmVerifier(MAKER.pins(), {}).verify(Tpm().evidence(given), at=NOW)
    policy = section({**SECTION, "origins": ["certified"], "platforms": "any"})
    assert policy.check(found) == []


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
        ("max_resets", -1),
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
    found = proposed(TPM_DEFAULTS, roots=[ROOT], pcrs={"4": ["04" * 32]})
    assert section(found).check(claims()) == []
    for default in TPM_DEFAULTS:
        assert len(default.reason) > 10
