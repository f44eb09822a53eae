"""Takes the owners' keys out of their grants. Steps E13 to E16 of key-release.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from mc2.attestation.activation import Activate, open_activation
from mc2.crypto.activation import ActivationSecret
from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest, same_digest
from mc2.crypto.secret import DataKey, ReceivingKey
from mc2.enclave.admission import AdmittedJob
from mc2.enclave.freshness import FreshJob
from mc2.enclave.kept import join_key
from mc2.errors import AttestationError, CryptoError, DatasetError, GrantError
from mc2.formats.dataset_open import dataset_cipher
from mc2.formats.release import Grant, SealedKey
from mc2.formats.statement import Verified

_HINT: Final = "propose the job again, so that every owner grants it anew"


class Lease:
    """How long granted keys may be used, by a clock that only runs forward."""

    def __init__(
        self, seconds: int, clock: Callable[[], float], *, since: float | None = None
    ) -> None:
        """Begin a lease: now, or at the moment `since` of the same clock."""
        self._clock = clock
        self._until = (clock() if since is None else since) + seconds

    @property
    def seconds_left(self) -> int:
        """Whole seconds until the lease is over; 0 once it is."""
        return max(0, int(self._until - self._clock()))

    def check(self) -> None:
        """Refuse to go on once the lease is over. Raises: GrantError."""
        if self._clock() > self._until:
            raise GrantError(
                "the lease of the granted keys is over",
                hint="propose the job again, smaller, or with approvals that end later",
            )


@dataclass(frozen=True, slots=True)
class ReleasedKeys:
    """What the owners released: a key and its cipher for each dataset, and the shortest lease.

    The keys are there to be passed on to enclaves that this one has appraised. `tokens` show, by
    owner, that an activation was opened.
    """

    keys: Mapping[str, DataKey] = field(repr=False)
    ciphers: Mapping[str, ChunkCipher]
    grants: Mapping[str, Verified[Grant]]
    tokens: Mapping[str, bytes]
    lease_seconds: int

    def wipe(self) -> None:
        """Overwrite the keys; the ciphers go with whoever holds them."""
        for key in self.keys.values():
            key.close()


def open_grants(
    fresh: FreshJob,
    raw: Mapping[str, bytes],
    evidence: Digest,
    key: ReceivingKey,
    activate: Activate | None,
) -> ReleasedKeys:
    """Check all grants, then open all keys; `key` is the attempt's, which `evidence` names.

    `activate` opens what owners sealed to this machine; None where evidence is complete without.

    Raises: FormatError, SignatureError, ContractError, GrantError.
    """
    job = fresh.job
    # E13. Exactly one grant by each owner, for this attempt, this evidence, its own challenge.
    if raw.keys() != set(job.owners):
        raise GrantError(f"grants are needed from exactly {', '.join(job.owners)}", hint=_HINT)
    grants = {name: Grant.verify(raw[name], job.members.key_of) for name in job.owners}
    for name, grant in grants.items():
        _check_grant(grant.value, name, fresh, evidence)
        _check_activation(grant.value, activate)
    # Only now, when every grant is in order, is any key opened.
    keys: dict[str, DataKey] = {}
    ciphers: dict[str, ChunkCipher] = {}
    tokens: dict[str, bytes] = {}
    shares: dict[str, dict[str, DataKey]] = {}
    for name, grant in grants.items():
        secret = _open_activation(grant.value, activate)
        if secret is not None:
            tokens[name] = secret.token()
        for sealed in grant.value.keys:
            opened = _open_key(grant.value, sealed, key, secret)
            if sealed.dataset in job.kept:
                shares.setdefault(sealed.dataset, {})[name] = opened
            else:
                keys[sealed.dataset] = opened
                ciphers[sealed.dataset] = _cipher(grant.value, sealed, job, opened)
    for dataset, found in shares.items():
        keys[dataset], ciphers[dataset] = join_key(job.kept[dataset], found)
        for share in found.values():
            share.close()
    # E16. The shortest lease counts.
    lease_seconds = min(g.value.lease_seconds for g in grants.values())
    return ReleasedKeys(keys, ciphers, grants, tokens, lease_seconds)


def _check_grant(grant: Grant, name: str, fresh: FreshJob, evidence: Digest) -> None:
    if grant.owner != name:
        raise GrantError(f"the grant of {name} is by {grant.owner}", hint=_HINT)
    if grant.context != fresh.job.context:
        raise GrantError(
            f"the grant by {name} is for another job, attempt, plan or contract", hint=_HINT
        )
    if not same_digest(grant.evidence, evidence):
        raise GrantError(f"the grant by {name} is for other evidence", hint=_HINT)
    if not same_digest(grant.challenge, fresh.challenges[name].digest):
        raise GrantError(f"the grant by {name} is for another challenge", hint=_HINT)
    # E14. The keys are those of exactly this owner's inputs, in the versions of the plan; of what
    #      several owners keep, its share.
    expected = {i.dataset: i.manifest for i in fresh.job.plan.inputs if name in i.owners}
    if {k.dataset: k.manifest for k in grant.keys} != expected:
        raise GrantError(
            f"the grant by {name} is not for exactly the datasets of {name} in the plan",
            hint=_HINT,
        )


def _check_activation(grant: Grant, activate: Activate | None) -> None:
    # E13. Where owners cannot tell a machine from its evidence alone, one that does not make sure
    # would also grant to software that only pretends to be that machine.
    if activate is not None and grant.activation is None:
        raise GrantError(
            f"the grant by {grant.owner} has no activation, and this machine's evidence needs one",
            hint=_HINT,
        )
    if activate is None and grant.activation is not None:
        raise GrantError(
            f"the grant by {grant.owner} has an activation, and this machine's evidence has none",
            hint=_HINT,
        )


def _open_activation(grant: Grant, activate: Activate | None) -> ActivationSecret | None:
    # E15. First what was sealed to the machine; the machine opens it only for its own key.
    if activate is None or grant.activation is None:
        return None
    try:
        return open_activation(grant.activation, activate)
    except AttestationError as error:
        raise GrantError(
            f"the activation by {grant.owner} is not for this machine and its key: {error}",
            hint=_HINT,
        ) from None


def _open_key(
    grant: Grant,
    sealed: SealedKey,
    key: ReceivingKey,
    secret: ActivationSecret | None,
) -> DataKey:
    # E15. The key was sealed for this grant.
    try:
        info = grant.key_info(sealed.dataset, sealed.manifest)
        opened = key.open(sealed.sealed, info)
        if secret is not None:
            opened = secret.unlock(opened, info)
    except CryptoError:
        raise GrantError(
            f"the key of {sealed.dataset} was not sealed for this grant and this enclave",
            hint=_HINT,
        ) from None
    try:
        return DataKey(opened)
    except CryptoError:
        raise GrantError(
            f"the key that {grant.owner} granted is not the key of {sealed.dataset}",
            hint=_HINT,
        ) from None


def _cipher(grant: Grant, sealed: SealedKey, job: AdmittedJob, data_key: DataKey) -> ChunkCipher:
    # E15. And it is the one that the manifest commits to.
    try:
        return dataset_cipher(job.manifests[sealed.dataset].value, data_key.raw)
    except (CryptoError, DatasetError):
        raise GrantError(
            f"the key that {grant.owner} granted is not the key of {sealed.dataset}",
            hint=_HINT,
        ) from None
