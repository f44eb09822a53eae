"""What members accept of Nitro enclaves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.certificates import NOW
from tests.support.genuine import NITRO_VALID
from tests.support.nitro_hierarchy import Nitro
from tests.support.vectors import VECTORS, needs_vectors

from mc2.attestation.appraisal import appraise
from mc2.attestation.claims import Tier
from mc2.attestation.defaults import proposed
from mc2.attestation.folder import load_case
from mc2.attestation.nitro.defaults import NITRO_DEFAULTS
from mc2.attestation.nitro.policy import NitroSection
from mc2.attestation.nitro.verify import NitroVerifier
from mc2.attestation.policy import AttestationPolicy
from mc2.errors import AppraisalError, FormatError
from mc2.formats.canonical import decode, encode
from mc2.formats.fields import Fields

PCR0 = "01" * 48


def section(**changes) -> NitroSection:
    fields = Fields(proposed(NITRO_DEFAULTS, pcr0=[PCR0]) | changes, "a Nitro section")
    found = NitroSection.read(fields)
    fields.done()
    return found


def claims(nitro: Nitro):
    raw, pins = nitro.evidence()
    return NitroVerifier(roots=pins).verify(raw, at=NOW)


def failures(nitro: Nitro, **changes) -> list[str]:
    return [line.partition(":")[0] for line in section(**changes).check(claims(nitro))]


def test_the_proposed_policy_accepts_a_good_enclave() -> None:
    assert failures(Nitro()) == []


def test_a_section_survives_its_canonical_form() -> None:
    found = section(pcr8=["ab" * 48], platforms=["instance:0123456789abcdef0"])
    fields = Fields(decode(encode(found.json()), 1 << 20, "a section"), "a section")
    assert NitroSection.read(fields) == found
    fields.done()


@pytest.mark.parametrize("field", [d.field for d in NITRO_DEFAULTS] + ["pcr0"])
def test_every_field_is_required(field: str) -> None:
    value = proposed(NITRO_DEFAULTS, pcr0=[PCR0])
    del value[field]
    with pytest.raises(FormatError, match=field):
        NitroSection.read(Fields(value, "a Nitro section"))


@pytest.mark.parametrize("index", [1, 2, 3, 4, 8])
def test_each_register_can_be_named(index: int) -> None:
    name = f"pcr{index}"
    right = (bytes([index + 1]) * 48 if index < 3 else bytes(48)).hex()
    assert failures(Nitro(), **{name: [right]}) == []
    assert failures(Nitro(), **{name: ["ee" * 48]}) == [name]
    without = {k: v for k, v in Nitro().pcrs.items() if k != index}
    assert name in failures(Nitro(pcrs=without), **{name: [right]})


def test_another_image_is_refused() -> None:
    assert failures(Nitro(), pcr0=["ee" * 48]) == ["PCR0"]


@pytest.mark.parametrize(
    ("seconds", "ok"), [(300, True), (299, True), (301, False), (-60, True), (-61, False)]
)
def test_age_has_two_ends(seconds: int, ok: bool) -> None:
    nitro = Nitro(timestamp=NOW - timedelta(seconds=seconds))
    # The leaf certificate of a module starts minutes before; give the oldest room.
    leaf = nitro.path[0].but(window=(NOW - timedelta(hours=1), NOW + timedelta(hours=2)))
    found = failures(nitro.but(path=(leaf, *nitro.path[1:])))
    assert found == ([] if ok else ["age"])


def test_instances_can_be_named() -> None:
    assert failures(Nitro(), platforms=["instance:0123456789abcdef0"]) == []
    assert failures(Nitro(), platforms=["instance:0123456789abcdef1"]) == ["platform"]
    nameless = Nitro(fields={"module_id": "something"})
    assert failures(nameless, platforms=["instance:0123456789abcdef0"]) == ["platform"]


def test_debug_and_tier_are_refused_by_appraisal() -> None:
    policy = AttestationPolicy({NitroSection.KIND: section()})
    good = claims(Nitro())
    accepted = appraise(good, policy, Tier.PROVIDER_ATTESTED, b"u" * 64)
    assert accepted.tier is Tier.PROVIDER_ATTESTED
    with pytest.raises(AppraisalError, match="tier: provider-attested is below"):
        appraise(good, policy, Tier.HARDWARE_CVM, b"u" * 64)
    with pytest.raises(AppraisalError, match="binding"):
        appraise(good, policy, Tier.PROVIDER_ATTESTED, b"v" * 64)
    debug = claims(Nitro(pcrs=dict.fromkeys(range(16), bytes(48))))
    with pytest.raises(AppraisalError, match="debug") as caught:
        appraise(debug, policy, Tier.PROVIDER_ATTESTED, b"u" * 64)
    assert any(line.startswith("PCR0") for line in caught.value.failures)


@pytest.mark.parametrize(
    "change",
    [
        {"pcr0": []},
        {"pcr0": "any"},
        {"pcr0": ["01" * 32]},
        {"pcr8": None},
        {"max_age_seconds": 0},
        {"max_age_seconds": 86401},
        {"max_ahead_seconds": -1},
        {"platforms": ["i-0123"]},
        {"pcr5": "any"},
    ],
)
def test_odd_sections_are_refused(change: dict) -> None:
    with pytest.raises(FormatError):
        section(**change)


def test_the_rules_are_said_in_words() -> None:
    text = "\n".join(section(pcr8=["ab" * 48]).describe())
    assert "The word of AWS is accepted" in text
    assert f"Accepted image (PCR0): {PCR0}" in text
    assert "signer of the image (PCR8)" in text


@needs_vectors
@pytest.mark.parametrize("case", NITRO_VALID)
def test_genuine_documents_meet_the_proposed_policy(case: str) -> None:
    raw, at = load_case(VECTORS / case)
    found = NitroVerifier().verify(raw, at=at)
    assert section(pcr0=[found.measurements["PCR0"]]).check(found) == []
