"""Activations: what completes evidence whose key may be anybody's (key-release.md, "Activation").

Whoever wants to know where a key is seals a secret to the machine that the evidence names; whoever
is on that machine opens it, and shows its token. Owners do so with enclaves, and enclaves with
one another.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from mc2.attestation.claims import ActivatingCollector, Collector, KeyToActivate
from mc2.crypto.activation import ActivationSecret, check_token, token_digest
from mc2.errors import AttestationError, CryptoError
from mc2.formats.release import Activation

_SEED_BYTES: Final = 32

Activate = Callable[[bytes, bytes], bytes]
"""Opens a secret from its blob and its encrypted seed, or raises AttestationError."""


def activate_of(collector: Collector) -> Activate | None:
    """How this machine opens what is sealed to it; None where evidence is complete without."""
    return collector.activate if isinstance(collector, ActivatingCollector) else None


def seal_activation(key: KeyToActivate) -> tuple[ActivationSecret, Activation]:
    """A fresh secret, sealed to the machine of a key. Raises: EvidenceError."""
    secret = ActivationSecret.generate()
    blob, seed = key.credential(secret.raw, secrets.token_bytes(_SEED_BYTES))
    token = token_digest(secret.token())
    return secret, Activation(blob=blob, encrypted_seed=seed, token=token)


def open_activation(activation: Activation, activate: Activate) -> ActivationSecret:
    """The secret that was sealed to this machine. Raises: AttestationError."""
    try:
        secret = ActivationSecret(activate(activation.blob, activation.encrypted_seed))
        check_token(secret.token(), activation.token)
    except CryptoError as error:
        raise AttestationError(str(error)) from None
    return secret
