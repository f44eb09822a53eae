"""A simulated machine whose evidence an activation must complete, without any TPM.

`Vault` stands for the TPM: it opens what was sealed to it, and nothing else.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from mc2.attestation.claims import ClaimsToActivate, RawEvidence, Tier
from mc2.crypto.activation import ActivationSecret, token_digest
from mc2.errors import AttestationError
from mc2.formats.release import (
    CREDENTIAL_BLOB_BYTES,
    ENCRYPTED_SEED_BYTES,
    Activation,
)


class Vault:
    """Where secrets lie until the machine asks for them by their blobs."""

    def __init__(self) -> None:
        self._secrets: dict[bytes, bytes] = {}

    def credential(self, secret: bytes, seed: bytes) -> tuple[bytes, bytes]:
        blob = secrets.token_bytes(CREDENTIAL_BLOB_BYTES)
        self._secrets[blob] = secret
        return blob, seed.ljust(ENCRYPTED_SEED_BYTES, b"\0")

    def activate(self, blob: bytes, encrypted_seed: bytes) -> bytes:
        assert len(encrypted_seed) == ENCRYPTED_SEED_BYTES
        if blob not in self._secrets:
            raise AttestationError("it is not for this machine")
        return self._secrets[blob]


def activation(vault: Vault, secret: ActivationSecret) -> Activation:
    """What an owner puts into a grant."""
    blob, seed = vault.credential(secret.raw, bytes(32))
    return Activation(blob=blob, encrypted_seed=seed, token=token_digest(secret.token()))


class ActivatingVerifier:
    """A verifier whose every answer still waits for an activation in a vault."""

    def __init__(self, inner: Any, vault: Vault) -> None:
        self.kind, self.tier = inner.kind, inner.tier
        self._inner, self._vault = inner, vault

    def verify(self, raw: RawEvidence, *, at: datetime) -> ClaimsToActivate:
        return ClaimsToActivate(self._inner.verify(raw, at=at), self._vault)


class VaultCollector:
    """A collector on the machine of a vault."""

    kind = "test/v1"

    def __init__(self, vault: Vault, tier: Tier = Tier.SIMULATED) -> None:
        self.tier, self._vault = tier, vault

    def available(self) -> bool:
        return True

    def collect(self, report_data: bytes) -> RawEvidence:
        return RawEvidence(self.kind, report_data, {})

    def activate(self, blob: bytes, encrypted_seed: bytes) -> bytes:
        return self._vault.activate(blob, encrypted_seed)


class OnMachine:
    """A collector on the machine of a vault, which gives the evidence of another one."""

    def __init__(self, inner: Any, vault: Vault) -> None:
        self.kind, self.tier = inner.kind, inner.tier
        self._inner, self._vault = inner, vault

    def available(self) -> bool:
        return True

    def collect(self, report_data: bytes) -> RawEvidence:
        found: RawEvidence = self._inner.collect(report_data)
        return found

    def activate(self, blob: bytes, encrypted_seed: bytes) -> bytes:
        return self._vault.activate(blob, encrypted_seed)
