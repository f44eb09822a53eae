"""Evidence that an activation must complete: what owners grant on it, and what others believe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.activating import ActivatingVerifier, Vault, activation
from tests.support.party_jobs import (
    ROOT,
    FakeEnclave,
    Pieces,
    make_grant,
    make_proof,
    simulation,
)

from mc2.attestation.simulated.verifier import SimulatedVerifier
from mc2.attestation.verifiers import Verifiers
from mc2.client.proof import VerifiedJob, verify_proof
from mc2.crypto.activation import ActivationSecret
from mc2.errors import ReceiptError
from mc2.formats.bundle import Proof
from mc2.formats.result import Result

VAULT = Vault()


@pytest.fixture
def pieces() -> Pieces:
    return Pieces()


def activating() -> Verifiers:
    return Verifiers(ActivatingVerifier(SimulatedVerifier(ROOT.digest), VAULT))


def verify(proof: Proof, pieces: Pieces, verifiers: Verifiers | None = None) -> VerifiedJob:
    return verify_proof(
        proof.encode(),
        contract=pieces.contract.digest,
        job_id=pieces.job_id,
        verifiers=verifiers or activating(),
    )


def activated(pieces: Pieces, **changes: Any) -> tuple[Proof, FakeEnclave, dict[str, bytes]]:
    """A true proof whose grants have activations, and the tokens that open them."""
    proof, enclave = make_proof(pieces)
    secrets = {name: ActivationSecret.generate() for name in pieces.owners}
    grants = {
        name: make_grant(
            pieces,
            name,
            proof.evidence,
            proof.challenges[name],
            activation=activation(VAULT, secret),
        )
        for name, secret in secrets.items()
    }
    grants |= changes
    tokens = {name: secret.token() for name, secret in secrets.items()}
    return with_tokens(replace(proof, grants=grants), enclave, tokens), enclave, tokens


def with_tokens(proof: Proof, enclave: FakeEnclave, tokens: dict[str, bytes]) -> Proof:
    results = {n: Result.parse(raw) for n, raw in proof.results.items()}
    receipt = enclave.receipt(proof.job, proof.evidence, proof.grants, results, activations=tokens)
    return replace(proof, receipt=receipt)


def refused(proof: Proof, pieces: Pieces, match: str, verifiers: Verifiers | None = None) -> None:
    with pytest.raises(ReceiptError, match=match):
        verify(proof, pieces, verifiers)


def test_opened_activations_complete_the_evidence(pieces: Pieces) -> None:
    proof, _, _ = activated(pieces)
    assert verify(proof, pieces).tier.word == "simulated"


def test_who_could_not_open_them_cannot_sign_a_receipt(pieces: Pieces) -> None:
    """The host made the key of the evidence, so it signs what it likes; but it lacks a token."""
    proof, enclave, tokens = activated(pieces)
    for name in tokens:
        lies = tokens | {name: b"\0" * 32}
        refused(with_tokens(proof, enclave, lies), pieces, f"V5.*activation that {name} sealed")
        fewer = {n: token for n, token in tokens.items() if n != name}
        refused(with_tokens(proof, enclave, fewer), pieces, "V5.*exactly the owners")
    refused(with_tokens(proof, enclave, {}), pieces, "V5.*exactly the owners")
    ada, bo = tokens
    swapped = {ada: tokens[bo], bo: tokens[ada]}
    refused(with_tokens(proof, enclave, swapped), pieces, "V5.*sealed")


def test_grants_without_activation_prove_nothing(pieces: Pieces) -> None:
    proof, _ = make_proof(pieces)
    refused(proof, pieces, "V5.*a grant has no activation")
    whole, enclave, tokens = activated(pieces)
    plain = replace(whole, grants={**whole.grants, "ada": proof.grants["ada"]})
    refused(with_tokens(plain, enclave, tokens), pieces, "V.")


def test_activations_that_the_evidence_does_not_need_are_refused(pieces: Pieces) -> None:
    proof, enclave, tokens = activated(pieces)
    refused(proof, pieces, "V5.*needs none", simulation())
    plain, _ = make_proof(pieces, enclave)
    refused(with_tokens(plain, enclave, tokens), pieces, "V5.*needs none", simulation())
