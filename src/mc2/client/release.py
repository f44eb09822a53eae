"""Releases an owner's keys to an enclave that proved itself: steps O1 to O10 of key-release.md.

Pure rules: evidence, time, randomness and the ledger's state are handed in. One `KeyRelease`
serves one owner in one attempt of one job. It only moves forward, and a failed answer ends it:
whoever could try twice could pick.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import ClassVar, Final, TypeAlias

from mc2.attestation.activation import seal_activation
from mc2.attestation.appraisal import (
    Appraised,
    AppraisedToActivate,
    appraise,
    appraise_to_activate,
)
from mc2.attestation.claims import ClaimsToActivate, RawEvidence, Tier
from mc2.attestation.policy import AttestationPolicy, SimulatedSection
from mc2.attestation.verifiers import Verifiers
from mc2.client.data_key import own_data_key, own_share
from mc2.client.identity import Identity
from mc2.client.ledger import Book
from mc2.client.ledger_events import Granted
from mc2.client.ledger_rules import LedgerState
from mc2.crypto.activation import ActivationSecret
from mc2.crypto.digest import same_digest
from mc2.crypto.hpke import ReceivingPublicKey
from mc2.crypto.secret import DataKey
from mc2.errors import AttestationError, ContractError, JobError, UsageError
from mc2.formats.envelope import Envelope
from mc2.formats.limits import LIMITS
from mc2.formats.release import (
    NONCE_BYTES,
    Activation,
    Challenge,
    Evidence,
    Grant,
    JobContext,
    SealedKey,
    grant_key_info,
    verify_evidence,
)
from mc2.formats.statement import Verified
from mc2.plan.signed_job import SignedJob

WINDOW: Final = timedelta(seconds=120)
"""How long an owner waits for the answer to a challenge; after that it sends a fresh one."""

LEASE: Final = timedelta(hours=12)
"""How long an enclave may use keys, unless something lapses before."""

_RETRY: Final = (
    "the next attempt begins by itself when this one is given up (mc2 status); if none is left, "
    "propose the job again"
)


class ReleaseState(IntEnum):
    """Where a release stands. It only moves forward."""

    NEW = 0
    CHALLENGED = 1
    OVER = 2


@dataclass(frozen=True, slots=True)
class GrantDecision:
    """The decision to grant, not yet recorded. The grant leaves by `release` and no other way."""

    event: Granted
    appraised: Appraised | AppraisedToActivate
    _envelope: bytes

    def release(self, book: Book, at: datetime, keep: Callable[[bytes], None]) -> bytes:
        """Record the decision durably; only then is the grant handed out.

        `keep` stores the grant at home first, so that it can be sent again after a crash: the
        ledger allows this very grant from then on, and no other.

        Raises: LedgerError, ApprovalError, ContractError: then nothing may leave.
        """
        keep(self._envelope)
        # O9. On the disk before it leaves: a crash may cost an attempt, never a second grant.
        book.record(self.event, at)
        # O10. From here on it may leave.
        return self._envelope


class KeyRelease:
    """One owner's part in one attempt: challenge, then answer evidence with a decision.

    Raises: ContractError unless the party brings data into this job, with this identity;
    UsageError if none of `verifiers` is for a kind of evidence that the contract accepts. Then
    every answer would be refused, and the attempt be lost, before it has begun.
    """

    def __init__(self, job: SignedJob, identity: Identity, verifiers: Verifiers) -> None:
        if identity.name not in job.owners:
            raise ContractError(f"{identity.name} brings no data into job {job.context.job_id}")
        if job.members.member(identity.name).card != identity.card:
            raise ContractError(
                f"the contract {job.members.name} has another card of {identity.name}",
                hint="use the home whose identity signed the contract (--home, MC2_HOME)",
            )
        _check_some_verifier(job, verifiers)
        self._job = job
        self._identity = identity
        self._verifiers = verifiers
        self._state = ReleaseState.NEW
        self._challenge: Verified[Challenge] | None = None

    @property
    def state(self) -> ReleaseState:
        """Where the release stands."""
        return self._state

    @property
    def context(self) -> JobContext:
        """What the release is about."""
        return self._job.context

    def make_challenge(
        self,
        state: LedgerState,
        at: datetime,
        *,
        nonce: bytes | None = None,
        window: timedelta = WINDOW,
    ) -> bytes:
        """Ask the enclave to prove itself; the signed challenge. Steps O1 to O3.

        Raises: ContractError, ApprovalError, PolicyError if something lapsed or is missing;
        LedgerError if the attempt has had its grant; JobError out of order.
        """
        self._expect(ReleaseState.NEW)
        self._check_allowed(state, at)
        # O3. The nonce is fresh, and for this attempt alone.
        challenge = Challenge(
            context=self.context,
            owner=self._identity.name,
            nonce=secrets.token_bytes(NONCE_BYTES) if nonce is None else nonce,
            issued=at,
            not_after=at + min(window, timedelta(seconds=LIMITS.challenge_seconds)),
        )
        raw = challenge.sign(self._identity.signing)
        self._keep(raw)
        return raw

    def resume(self, raw: bytes) -> None:
        """Take up a challenge that this party made and kept before its process ended.

        Raises: FormatError, SignatureError, AttestationError; JobError out of order.
        """
        self._expect(ReleaseState.NEW)
        self._keep(raw)

    def expired(self, at: datetime) -> bool:
        """Whether the challenge that was sent can no longer be answered."""
        return self._challenge is None or at > self._challenge.value.not_after

    def answer(
        self, evidence: bytes, state: LedgerState, sequence: int, at: datetime
    ) -> GrantDecision:
        """Decide about evidence: a grant for exactly this owner's inputs, or an error. O4 to O8.

        Whatever comes out, the challenge is used up. `sequence` is the ledger's next place.

        Raises: FormatError, SignatureError, AttestationError, EvidenceError, AppraisalError,
        ContractError, ApprovalError, PolicyError, LedgerError, DatasetError; JobError out of
        order.
        """
        self._expect(ReleaseState.CHALLENGED)
        self._state = ReleaseState.OVER
        self._check_allowed(state, at)
        # O4. The evidence is signed by the key that it names, so nobody put parts together.
        verified = verify_evidence(evidence)
        # O5. It answers the challenge of this attempt, in time.
        challenge = self._check_runtime_data(verified.value, at)
        # O6 and O7. It is genuine, and the contract's policy accepts it for these keys.
        appraised = self._appraise(verified.value, at)
        # O8. Seal and sign: in memory; nothing leaves before the ledger has it.
        lease_seconds = self._lease_seconds(at)
        grant = self._seal_grant(
            verified, _key_seal(appraised, verified.value), challenge, sequence, lease_seconds
        )
        raw = grant.sign(self._identity.signing)
        event = Granted(
            context=self.context,
            evidence=verified.digest,
            challenge=challenge.digest,
            tier=appraised.tier.word,
            datasets=tuple(key.dataset for key in grant.keys),
            grant=grant.digest,
        )
        return GrantDecision(event, appraised, raw)

    # --- steps

    def _expect(self, state: ReleaseState) -> None:
        if self._state is not state:
            raise JobError(
                f"the key release is {self._state.name.lower()}, not {state.name.lower()}",
                hint=_RETRY,
            )

    def _keep(self, raw: bytes) -> None:
        challenge = Challenge.verify(raw, self._job.members.key_of)
        if challenge.value.owner != self._identity.name or challenge.value.context != self.context:
            raise AttestationError("the kept challenge is for another attempt", hint=_RETRY)
        self._challenge = challenge
        self._state = ReleaseState.CHALLENGED

    def _check_allowed(self, state: LedgerState, at: datetime) -> None:
        """O1 and O2: all that people signed is in force, and this attempt has had no grant."""
        self._job.check_approved()
        self._job.check_time(at)
        approved = state.check_may_grant(self.context, at)
        own = self._job.approvals.get(self._identity.name)
        # The coordinator may hold an older approval of this party: what the ledger says counts.
        if own is not None and not same_digest(own.digest, approved.approval):
            raise ContractError(
                f"the coordinator shows another approval by {self._identity.name} than the last",
                hint="hand in the approval again: mc2 approve",
            )

    def _check_runtime_data(self, evidence: Evidence, at: datetime) -> Verified[Challenge]:
        challenge, found = self._challenge, evidence.runtime_data
        if challenge is None:
            raise JobError("there is no challenge to answer")
        if found.context != self.context:
            raise AttestationError(
                "the evidence is for another job, attempt, plan, contract or policy", hint=_RETRY
            )
        if found.challenges.keys() != set(self._job.owners):
            raise AttestationError(
                "the evidence answers other challengers than the owners of the inputs", hint=_RETRY
            )
        answered = found.challenges[self._identity.name]
        if not same_digest(answered, challenge.digest):
            raise AttestationError(
                "the evidence answers another challenge than the one sent last", hint=_RETRY
            )
        if not challenge.value.issued <= at <= challenge.value.not_after:
            raise AttestationError("the evidence came too late for its challenge", hint=_RETRY)
        return challenge

    def _appraise(self, evidence: Evidence, at: datetime) -> Appraised | AppraisedToActivate:
        contract = self._job.members
        raw = RawEvidence(evidence.kind, evidence.evidence, evidence.endorsements)
        found = self._verifiers.verify_to_activate(raw, at=at)
        policy = AttestationPolicy.read(contract.attestation)
        expected = evidence.runtime_data.report_data()
        min_tier = Tier.of(contract.min_tier)
        if isinstance(found, ClaimsToActivate):
            return appraise_to_activate(found, policy, min_tier, expected)
        return appraise(found, policy, min_tier, expected)

    def _lease_seconds(self, at: datetime) -> int:
        """The keys work no longer than anything that allows their use."""
        ends = [at + LEASE, self._job.members.not_after]
        ends += [a.value.not_after for a in self._job.approvals.values()]
        policies = [m.value.policy for m in self._job.manifests.values()]
        policies += [r.kept.policy for r in self._job.kept.values() if r.kept is not None]
        ends += [p.not_after for p in policies if p.not_after is not None]
        return max(1, int((min(ends) - at).total_seconds()))

    def _seal_grant(
        self,
        evidence: Verified[Evidence],
        seal: _KeySeal,
        challenge: Verified[Challenge],
        sequence: int,
        lease_seconds: int,
    ) -> Grant:
        owner = self._identity.name
        own = [i.dataset for i in self._job.plan.inputs if owner in i.owners]
        return Grant(
            context=self.context,
            owner=owner,
            evidence=evidence.digest,
            challenge=challenge.digest,
            sequence=sequence,
            lease_seconds=lease_seconds,
            activation=seal.activation,
            keys=tuple(self._seal_key(name, evidence, seal, challenge) for name in sorted(own)),
        )

    def _seal_key(
        self,
        dataset: str,
        evidence: Verified[Evidence],
        seal: _KeySeal,
        challenge: Verified[Challenge],
    ) -> SealedKey:
        version = self._job.inputs[dataset]
        info = grant_key_info(
            self.context,
            self._identity.name,
            evidence.digest,
            challenge.digest,
            dataset,
            version,
        )
        with self._own_key(dataset) as key:
            sealed = seal.seal(key.raw, info)
        return SealedKey(dataset, version, sealed)

    def _own_key(self, dataset: str) -> DataKey:
        # Raises if it is not the key that was committed to: another would be useless there.
        if dataset in self._job.kept:
            return own_share(self._identity, self._job.kept[dataset])
        return own_data_key(self._identity.master, self._job.manifests[dataset].value)


@dataclass(frozen=True, slots=True)
class _Sealed:
    """Seals keys to an enclave that has proved itself."""

    key: ReceivingPublicKey
    activation: ClassVar[None] = None

    def seal(self, data_key: bytes | bytearray, info: bytes) -> bytes:
        return self.key.seal(data_key, info)


@dataclass(frozen=True, slots=True)
class _Activated:
    """Seals keys to an enclave that still has to open the secret on its own machine."""

    key: ReceivingPublicKey
    activation: Activation
    secret: ActivationSecret

    def seal(self, data_key: bytes | bytearray, info: bytes) -> bytes:
        return self.key.seal(self.secret.lock(data_key, info), info)


_KeySeal: TypeAlias = _Sealed | _Activated


def _key_seal(appraised: Appraised | AppraisedToActivate, evidence: Evidence) -> _KeySeal:
    """The one way to seal keys to evidence: there is none without activation for what needs one."""
    receiving_key = evidence.runtime_data.receiving_key
    if isinstance(appraised, Appraised):
        return _Sealed(receiving_key)
    secret, activation = seal_activation(appraised.key)
    return _Activated(receiving_key, activation, secret)


def _check_some_verifier(job: SignedJob, verifiers: Verifiers) -> None:
    accepted = AttestationPolicy.read(job.members.attestation).sections.keys()
    if accepted & set(verifiers.kinds):
        return
    simulated = SimulatedSection.KIND in accepted
    raise UsageError(
        f"nothing here verifies what {job.members.name} accepts: {', '.join(sorted(accepted))}",
        hint="for a demonstration or made-up data, add --unsafe-simulation"
        if simulated
        else "install the verifiers of this kind: mc2 doctor",
    )


def same_grant(raw: bytes, event: Granted) -> bool:
    """Whether a grant kept at home is the very one that the ledger records."""
    kept = Envelope.parse(raw, Grant.PAYLOAD_TYPE, Grant.LIMIT)
    return same_digest(kept.payload_digest, event.grant)
