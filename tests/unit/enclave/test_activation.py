"""Grants to a machine that must open a secret first: with it, and each way without."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.activating import Vault, VaultCollector, activation
from tests.support.enclave_jobs import Attested, make_job, payload_digest, read_evidence

from mc2.crypto.activation import ActivationSecret
from mc2.errors import GrantError
from mc2.formats.envelope import PayloadType
from mc2.formats.receipt import Receipt
from mc2.formats.release import Activation, Grant, SealedKey, grant_key_info

VAULT = Vault()


@pytest.fixture
def attested() -> Attested:
    return make_job().attested(collector=VaultCollector(VAULT))


def grant(
    attested: Attested,
    name: str,
    secret: ActivationSecret,
    *,
    given: Activation | None,
    lock: bool = True,
) -> bytes:
    """A grant by an owner, locked by its secret."""
    job, evidence = attested.job, read_evidence(attested.evidence)
    challenge = payload_digest(attested.challenges[name], PayloadType.CHALLENGE)
    plain = Grant(
        context=job.context,
        owner=name,
        evidence=evidence.digest,
        challenge=challenge,
        sequence=1,
        lease_seconds=600,
        activation=given,
        keys=(),
    )
    keys = []
    for dataset in sorted(d for d in job.datasets if d.startswith(f"{name}.")):
        manifest = job.datasets[dataset].manifest.digest
        info = grant_key_info(job.context, name, evidence.digest, challenge, dataset, manifest)
        key = job.datasets[dataset].key
        locked = secret.lock(key, info) if lock else key
        sealed = evidence.runtime_data.receiving_key.seal(locked, info)
        keys.append(SealedKey(dataset, manifest, sealed))
    return replace(plain, keys=tuple(keys)).sign(job.parties[name].signing)


def good(attested: Attested, name: str, secret: ActivationSecret) -> bytes:
    return grant(attested, name, secret, given=activation(VAULT, secret))


def test_the_receipt_shows_every_token(attested: Attested) -> None:
    secrets = {name: ActivationSecret.generate() for name in attested.job.owners}
    outcome = attested.run({n: good(attested, n, secret) for n, secret in secrets.items()})
    key = read_evidence(attested.evidence).runtime_data.signing_key
    receipt = Receipt.verify(outcome.receipt, lambda _: key).value
    assert receipt.activations == {n: secret.token() for n, secret in secrets.items()}


def refused(attested: Attested, raw: bytes, match: str) -> None:
    others = {n: good(attested, n, ActivationSecret.generate()) for n in attested.job.owners}
    with pytest.raises(GrantError, match=match):
        attested.run(others | {"ada": raw})
    assert attested.session.ended


def test_a_grant_without_activation_is_refused(attested: Attested) -> None:
    refused(attested, attested.grant("ada"), "grant by ada has no activation")


def test_an_activation_for_another_machine_is_refused(attested: Attested) -> None:
    secret = ActivationSecret.generate()
    raw = grant(attested, "ada", secret, given=activation(Vault(), secret))
    refused(attested, raw, "activation by ada is not for this machine")


def test_a_token_of_another_secret_is_refused(attested: Attested) -> None:
    secret, other = ActivationSecret.generate(), ActivationSecret.generate()
    given = replace(activation(VAULT, secret), token=activation(VAULT, other).token)
    refused(attested, grant(attested, "ada", secret, given=given), "activation by ada is not for")


@pytest.mark.parametrize("lock", [True, False])
def test_keys_that_another_secret_locks_or_none_are_refused(attested: Attested, lock: bool) -> None:
    given = activation(VAULT, ActivationSecret.generate())
    raw = grant(attested, "ada", ActivationSecret.generate(), given=given, lock=lock)
    refused(attested, raw, "not sealed for this grant")


def test_a_machine_whose_evidence_is_complete_refuses_activations() -> None:
    attested = make_job().attested()
    secret = ActivationSecret.generate()
    raw = good(attested, "ada", secret)
    with pytest.raises(GrantError, match="grant by ada has an activation"):
        attested.run(attested.grants(ada=raw))
