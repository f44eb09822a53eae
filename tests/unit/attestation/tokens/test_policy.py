"""What members accept of Confidential Space."""

from __future__ import annotations

import hashlib

import pytest
from tests.support.certificates import NOW
from tests.support.space_tokens import AUDIENCE, IMAGE, Space
from tests.support.vectors import VECTORS, needs_vectors

from mc2.attestation.appraisal import appraise
from mc2.attestation.claims import Tier
from mc2.attestation.defaults import proposed
from mc2.attestation.folder import load_case
from mc2.attestation.policy import AttestationPolicy
from mc2.attestation.tokens.defaults import CONFIDENTIAL_SPACE_DEFAULTS
from mc2.attestation.tokens.policy import ConfidentialSpaceSection
from mc2.attestation.tokens.verify import ConfidentialSpaceVerifier
from mc2.errors import AppraisalError, FormatError
from mc2.formats.canonical import decode, encode
from mc2.formats.fields import Fields

OWN = {"image_digests": [IMAGE], "arguments": ["/bin/enclave"], "audiences": [AUDIENCE]}


def section(**changes) -> ConfidentialSpaceSection:
    fields = Fields(proposed(CONFIDENTIAL_SPACE_DEFAULTS, **OWN) | changes, "a section")
    found = ConfidentialSpaceSection.read(fields)
    fields.done()
    return found


def claims(space: Space):
    raw, pins = space.evidence()
    return ConfidentialSpaceVerifier(roots=pins).verify(raw, at=NOW)


def failures(space: Space, **changes) -> list[str]:
    return [line.partition(":")[0] for line in section(**changes).check(claims(space))]


def test_the_proposed_policy_accepts_a_good_container() -> None:
    assert failures(Space()) == []


def test_a_section_survives_its_canonical_form() -> None:
    for found in (section(), section(arguments="any", environment={"PATH": "/bin"})):
        fields = Fields(decode(encode(found.json()), 1 << 20, "a section"), "a section")
        assert ConfidentialSpaceSection.read(fields) == found
        fields.done()


@pytest.mark.parametrize("field", [*(d.field for d in CONFIDENTIAL_SPACE_DEFAULTS), *OWN])
def test_every_field_is_required(field: str) -> None:
    value = proposed(CONFIDENTIAL_SPACE_DEFAULTS, **OWN)
    del value[field]
    with pytest.raises(FormatError, match=field):
        ConfidentialSpaceSection.read(Fields(value, "a section"))


@pytest.mark.parametrize(
    ("where", "value", "rule"),
    [
        ("submods/container/image_digest", "sha256:" + "00" * 32, "IMAGE_DIGEST"),
        ("submods/container/args", ["/bin/enclave", "--leak"], "arguments"),
        ("submods/confidential_space/support_attributes", ["USABLE"], "support"),
        ("submods/confidential_space/support_attributes", [], "support"),
        ("hwmodel", "GCP_AMD_SEV", "hardware"),
        ("secboot", False, "secure_boot"),
        ("aud", "somebody else", "audience"),
        ("iat", int(NOW.timestamp()) - 301, "age"),
    ],
)
def test_each_default_refuses_something(where: str, value: object, rule: str) -> None:
    assert failures(Space(changed={where: value})) == [rule]


def test_the_platform_must_be_up_to_date_or_waived() -> None:
    stale = Space(changed={"tdx/gcp_attester_tcb_status": "OutOfDate"})
    assert failures(stale) == ["tcb_status"]
    assert failures(stale, tcb_statuses=["OutOfDate", "UpToDate"]) == []
    silent = Space(dropped=("tdx",))
    assert failures(silent) == ["tcb_status"]
    assert failures(silent, tcb_statuses="any") == []


def test_the_environment_can_be_named_whole() -> None:
    assert failures(Space(), environment={"PATH": "/bin"}) == []
    assert failures(Space(), environment={"PATH": "/sbin"}) == ["environment"]
    assert failures(Space(), environment={}) == ["environment"]
    assert failures(Space(), environment={"PATH": "/bin", "A": ""}) == ["environment"]
    lines = section(environment={"PATH": "/sbin"}).check(claims(Space()))
    assert lines == ["environment: PATH differs"]  # never what it is


def test_projects_and_instances_can_be_named() -> None:
    assert failures(Space(), projects=["a-project"]) == []
    assert failures(Space(), projects=["another"]) == ["project"]
    assert failures(Space(), platforms=["instance:123456789"]) == []
    assert failures(Space(), platforms=["instance:1234567890"]) == ["platform"]


def test_the_binding_is_the_hash_of_the_report_data() -> None:
    report_data = b"r" * 64
    nonce = hashlib.sha256(report_data).hexdigest()
    policy = AttestationPolicy({ConfidentialSpaceSection.KIND: section()})
    bound = claims(Space(changed={"eat_nonce": nonce}))
    accepted = appraise(bound, policy, Tier.PROVIDER_ATTESTED, report_data)
    assert accepted.tier is Tier.PROVIDER_ATTESTED
    for found in (claims(Space()), claims(Space(changed={"eat_nonce": [nonce, nonce]}))):
        with pytest.raises(AppraisalError, match="binding"):
            appraise(found, policy, Tier.PROVIDER_ATTESTED, report_data)
    debug = claims(Space(changed={"eat_nonce": nonce, "dbgstat": "enabled"}))
    with pytest.raises(AppraisalError, match="debug"):
        appraise(debug, policy, Tier.PROVIDER_ATTESTED, report_data)


@pytest.mark.parametrize(
    "change",
    [
        {"image_digests": "any"},
        {"image_digests": ["sha256:" + IMAGE]},
        {"arguments": None},
        {"arguments": [1]},
        {"arguments": "none"},
        {"environment": ["PATH"]},
        {"environment": {"HOSTNAME": "x"}},
        {"environment": {"A": 1}},
        {"audiences": []},
        {"audiences": "any"},
        {"hardware": []},
        {"support": "ANY"},
        {"max_age_seconds": 0},
        {"max_age_seconds": 3601},
        {"tcb_statuses": []},
        {"projects": ["a\nb"]},
    ],
)
def test_odd_sections_are_refused(change: dict) -> None:
    with pytest.raises(FormatError):
        section(**change)


def test_the_rules_are_said_in_words() -> None:
    text = "\n".join(section(require_secure_boot=False).describe())
    assert "The word of Google's service is accepted" in text
    assert f"Accepted container: sha256:{IMAGE}" in text
    assert "started with: /bin/enclave" in text
    assert "Secure boot is NOT needed." in text
    assert "any arguments" in "\n".join(section(arguments="any").describe())
    assert "environment has A=b" in "\n".join(section(environment={"A": "b"}).describe())


@needs_vectors
def test_the_genuine_token_meets_the_proposed_policy() -> None:
    raw, at = load_case(VECTORS / "jwt-gcp-confidential-space")
    found = ConfidentialSpaceVerifier().verify(raw, at=at)
    own = section(
        image_digests=[found.measurements["IMAGE_DIGEST"]],
        arguments=found.details["arguments"],
        audiences=[found.details["audience"]],
    )
    assert own.check(found) == []
