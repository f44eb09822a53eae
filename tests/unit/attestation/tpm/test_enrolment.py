"""Credential activation: what convinces an owner, and what must not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.tpm_quotes import NOW, Maker, Tpm, activate, ec_key, rsa_key, spki

from mc2.attestation.tpm.credential import Credential
from mc2.attestation.tpm.enrolment import (
    ActivatedKey,
    ActivationChallenge,
    PendingActivation,
    TpmIdentity,
    activation_proof,
    begin_activation,
    finish_activation,
)
from mc2.attestation.tpm.evidence import TpmEvidence
from mc2.attestation.tpm.structures import parse_public
from mc2.crypto.digest import digest
from mc2.errors import EvidenceError, FormatError

MAKER = Maker()
TPM = Tpm()
SECRET, SEED = b"s" * 32, bytes(range(32))
IDENTITY = TpmIdentity(
    ek_certificate=MAKER.certificate(rsa_key("ek")), ek_chain=MAKER.chain(), ak_public=TPM.public
)


def begin(identity: TpmIdentity = IDENTITY, **changes: object) -> PendingActivation:
    given = {"roots": MAKER.pins(), "at": NOW, "secret": SECRET, "seed": SEED, **changes}
    return begin_activation(identity, **given)


def answer(
    pending: PendingActivation, tpm: Tpm = TPM, *, ek: str = "ek", **changes: object
) -> bytes:
    """What an enclave with the TPM answers."""
    name = parse_public(tpm.public).name
    secret = activate(ek, name, pending.challenge.credential)
    quoting = tpm.but(extra_data=activation_proof(secret, name), **changes)
    return quoting.evidence().evidence


def test_an_owner_learns_that_a_key_is_in_a_tpm() -> None:
    pending = begin()
    known = finish_activation(pending, answer(pending), at=NOW + timedelta(seconds=9))
    assert known.ak_name == parse_public(TPM.public).name.hex()
    assert known.endorsement_key == digest(spki(rsa_key("ek")))
    assert (known.reset_count, known.restart_count) == (7, 0)
    assert ActivatedKey.read(known.json()) == known


def test_the_messages_come_back() -> None:
    assert TpmIdentity.parse(IDENTITY.encode()) == IDENTITY
    challenge = begin().challenge
    assert ActivationChallenge.parse(challenge.encode()) == challenge


def test_the_secret_is_in_no_message_and_in_no_text() -> None:
    pending = begin()
    for text in (pending.challenge.encode(), answer(pending), repr(pending).encode()):
        assert SECRET not in text
        assert SECRET.hex().encode() not in text


@pytest.mark.parametrize(
    ("identity", "match"),
    [
        (replace(IDENTITY, ek_chain=Maker(name="forger").chain()), "not a root"),
        (
            replace(IDENTITY, ek_certificate=Maker(signed_by="mallory").certificate(rsa_key("ek"))),
            "false",
        ),
        (replace(IDENTITY, ek_certificate=MAKER.certificate(ec_key("ek"))), "not RSA-2048"),
        (replace(IDENTITY, ak_public=TPM.but(attributes=0x00040072).public), "not an attestation"),
        (replace(IDENTITY, ak_public=b""), "ends too early"),
    ],
)
def test_no_challenge_for_whatever_is_no_tpm(identity: TpmIdentity, match: str) -> None:
    with pytest.raises(EvidenceError, match=match):
        begin(identity)


def test_a_certificate_counts_within_its_validity() -> None:
    for at in (MAKER.window[0] - timedelta(seconds=1), MAKER.window[1] + timedelta(seconds=1)):
        with pytest.raises(EvidenceError):
            begin(at=at)


def test_a_key_in_software_cannot_answer() -> None:
    """Somebody names a true TPM and a key of their own: the TPM does not open the challenge."""
    own = Tpm(key="in software")
    pending = begin(replace(IDENTITY, ak_public=own.public))
    with pytest.raises(ValueError):
        activate("another ek", parse_public(own.public).name, pending.challenge.credential)
    guess = own.but(extra_data=activation_proof(b"0" * 32, parse_public(own.public).name))
    with pytest.raises(EvidenceError, match="did not open the challenge"):
        finish_activation(pending, guess.evidence().evidence, at=NOW)


def test_an_answer_is_by_the_challenged_key() -> None:
    pending = begin()
    proof = activation_proof(SECRET, parse_public(TPM.public).name)
    with pytest.raises(EvidenceError, match="another key"):
        finish_activation(pending, Tpm(key="other", extra_data=proof).evidence().evidence, at=NOW)


def test_an_answer_to_another_challenge_is_refused() -> None:
    first = begin()
    second = begin(secret=b"t" * 32)
    with pytest.raises(EvidenceError, match="did not open"):
        finish_activation(second, answer(first), at=NOW)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"signed_by": "mallory"}, "is false"),
        ({"digest": bytes(32)}, "not the quoted ones"),
        ({"parent": 0x40000001}, "endorsement hierarchy"),
    ],
)
def test_an_answer_is_a_whole_quote(changes: dict[str, object], match: str) -> None:
    pending = begin()
    with pytest.raises(EvidenceError, match=match):
        finish_activation(pending, answer(pending, **changes), at=NOW)


def test_a_quote_for_a_job_is_no_answer() -> None:
    pending = begin()
    with pytest.raises(EvidenceError, match="did not open"):
        finish_activation(pending, TPM.evidence().evidence, at=NOW)


def test_sizes_of_random_values_are_checked() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        begin(secret=b"s" * 16)
    with pytest.raises(ValueError, match="32 bytes"):
        begin(seed=b"s" * 16)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        IDENTITY.encode() + b" ",
        IDENTITY.encode().replace(b"identity/v1", b"identity/v2"),
        TpmEvidence(quote=b"", signature=b"", ak_public=b"", pcrs={}).encode(),
    ],
)
def test_messages_are_read_strictly(raw: bytes) -> None:
    for kind in (TpmIdentity, ActivationChallenge):
        with pytest.raises(FormatError):
            kind.parse(raw)


def test_a_challenge_has_a_ceiling() -> None:
    huge = ActivationChallenge(ak_name=b"n", credential=Credential(b"b" * 5000, b""))
    with pytest.raises(FormatError):
        ActivationChallenge.parse(huge.encode())
