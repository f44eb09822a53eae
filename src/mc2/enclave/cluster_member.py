"""A member's rules of a cluster: steps C2 to C6, C10 and C14 to C16 of docs/spec/cluster.md.

No socket, no file, no clock of its own. A member has opened the job as the leader did (E1 to E8);
here it satisfies itself that it speaks to an enclave that all owners challenged, under the same
policy, before it proves itself to it and takes keys from it. It serves one epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mc2.attestation.activation import activate_of, open_activation, seal_activation
from mc2.attestation.appraisal import AppraisedToActivate
from mc2.attestation.claims import Collector
from mc2.crypto.activation import check_token
from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import same_digest
from mc2.crypto.secret import DataKey, ReceivingKey, SigningKey
from mc2.enclave.admission import AdmittedJob
from mc2.enclave.epoch import LEADER, Epoch, Member
from mc2.enclave.freshness import FreshJob, check_challenges
from mc2.enclave.peers import PeerTrust
from mc2.enclave.release import Lease
from mc2.errors import AttestationError, CryptoError, DatasetError, GrantError, JobError
from mc2.formats import cluster
from mc2.formats.cluster import (
    Admission,
    EpochSecrets,
    Invitation,
    MemberData,
    MemberEvidence,
    Probe,
)
from mc2.formats.dataset_open import dataset_cipher
from mc2.formats.release import Activation, Evidence, verify_evidence
from mc2.formats.statement import Verified
from mc2.plan.home import home_inputs

_HINT: Final = "the leader has to begin another epoch"


@dataclass(frozen=True, slots=True)
class Membership:
    """What a member works with in its epoch; only `ClusterMember.enter` makes one."""

    epoch: Epoch
    ciphers: Mapping[str, ChunkCipher]
    lease: Lease

    @property
    def home(self) -> str | None:
        """The party on whose premises this enclave runs, if it opens rows that stay at home."""
        return self.epoch.member(self.epoch.own).home

    def wipe(self) -> None:
        """Forget the key of the blocks."""
        self.epoch.wipe()


@dataclass(frozen=True, slots=True)
class _Joined:
    """The fresh keys of a member, its own place in the roster but for the number, its leader."""

    receiving_key: ReceivingKey
    signing_key: SigningKey
    evidence: Verified[Evidence]
    invitation: Invitation
    own: Member
    activation: Activation | None


class ClusterMember:
    """One enclave's way into one epoch: `join`, `prove` if it is asked to, `enter`; each once."""

    def __init__(
        self,
        job: AdmittedJob,
        collector: Collector,
        trust: PeerTrust,
        boot_id: str,
        clock: Callable[[], float],
    ) -> None:
        self._job = job
        self._collector = collector
        self._trust = trust
        self._boot_id = boot_id
        self._clock = clock
        self._since = 0.0
        self._joined: _Joined | None = None
        self._used = self._proved = False

    def join(
        self, challenges: Mapping[str, bytes], leader_evidence: bytes, invitation: bytes
    ) -> bytes:
        """Check the leader, then prove to it what this is; signed evidence. Steps C2 to C6.

        Raises: FormatError, SignatureError, ContractError, AttestationError, EvidenceError,
        AppraisalError, ApprovalError, PolicyError; JobError the second time.
        """
        if self._used:
            raise JobError("an enclave joins once for each job that it opens", hint=_HINT)
        self._used = True
        # C2. The owners' own challenges, which tell the time as they told it to the leader.
        fresh = check_challenges(self._job, challenges)
        leader, activation = self._check_leader(leader_evidence, fresh)
        invited = self._check_invitation(invitation, leader)
        # C6. Keys that did not exist before the invitation, for this epoch alone.
        receiving_key, signing_key = ReceivingKey.generate(), SigningKey.generate()
        data = MemberData(
            context=self._job.context,
            leader=leader.digest,
            epoch=invited.epoch,
            nonce=invited.nonce,
            boot_id=self._boot_id,
            receiving_key=receiving_key.public,
            signing_key=signing_key.public,
        )
        raw = self._collector.collect(data.report_data())
        evidence = MemberEvidence(
            kind=raw.kind,
            evidence=raw.evidence,
            endorsements=raw.endorsements,
            member_data=data,
            activation=activation,
        )
        own = Member(LEADER, evidence.digest, signing_key.public)
        self._joined = _Joined(receiving_key, signing_key, leader, invited, own, activation)
        # The lease counts from here: a host that keeps an admission back gains nothing by it.
        self._since = self._clock()
        return evidence.sign(signing_key)

    def prove(self, probe: bytes) -> bytes:
        """Open what the leader sealed to this machine; its token. Step C10.

        Raises: FormatError, SignatureError, AttestationError; JobError out of order.
        """
        joined, activate = self._joined, activate_of(self._collector)
        if joined is None or self._proved:
            raise JobError("an enclave answers a probe after it joined, once", hint=_HINT)
        self._proved = True
        if activate is None:
            raise AttestationError("this machine's evidence is complete without a probe")
        # C10. The leader's own question, to this very member of this epoch.
        key = joined.evidence.value.runtime_data.signing_key
        asked = Probe.verify(probe, {cluster.LEADER: key}.__getitem__).value
        if (asked.context, asked.epoch) != (self._job.context, joined.invitation.epoch):
            raise AttestationError("the probe is for another job, attempt or epoch", hint=_HINT)
        if not same_digest(asked.leader, joined.evidence.digest):
            raise AttestationError("the probe is by another leader", hint=_HINT)
        if not same_digest(asked.member, joined.own.evidence):
            raise AttestationError("the probe is for another member", hint=_HINT)
        return open_activation(asked.activation, activate).token()

    def enter(self, admission: bytes) -> Membership:
        """Take the leader's admission, and with it this epoch's keys. Steps C14 to C16.

        Raises: FormatError, SignatureError, AttestationError, GrantError; JobError out of order.
        """
        joined, self._joined = self._joined, None
        if joined is None:
            raise JobError("an enclave enters an epoch after it joined, once", hint=_HINT)
        found = self._check_admission(admission, joined)
        secrets = self._open_secrets(found, joined)
        ciphers = self._ciphers(secrets, found.roster[found.number].home)
        lease = Lease(secrets.lease_seconds, self._clock, since=self._since)
        epoch = Epoch(
            context=found.context,
            number=found.epoch,
            members=found.roster,
            block_key=DataKey(secrets.block_key),
            own=found.number,
            signing_key=joined.signing_key,
        )
        return Membership(epoch, ciphers, lease)

    # --- steps

    def _check_leader(
        self, raw: bytes, fresh: FreshJob
    ) -> tuple[Verified[Evidence], Activation | None]:
        # C3. The leader answers exactly these owners' challenges, in this job.
        evidence = verify_evidence(raw)
        data = evidence.value.runtime_data
        if data.context != fresh.job.context:
            raise AttestationError("the leader is of another job, attempt, plan or contract")
        if dict(data.challenges) != {n: c.digest for n, c in fresh.challenges.items()}:
            raise AttestationError("the leader answers other challenges than the owners'")
        # C4. It is genuine, and the owners' policy accepts it, at the time that they told.
        contract = fresh.job.members
        found = self._trust.appraise(evidence.value, data.report_data(), contract, fresh.at)
        if isinstance(found, AppraisedToActivate):
            # The leader has to show that its machine is where its key is, before C14.
            return evidence, seal_activation(found.key)[1]
        return evidence, None

    def _check_invitation(self, raw: bytes, leader: Verified[Evidence]) -> Invitation:
        # C5. The leader itself asks, for this job, naming the evidence that was appraised.
        key = leader.value.runtime_data.signing_key
        invitation = Invitation.verify(raw, {cluster.LEADER: key}.__getitem__).value
        if invitation.context != self._job.context:
            raise AttestationError("the invitation is to another job, attempt, plan or contract")
        if not same_digest(invitation.leader, leader.digest):
            raise AttestationError("the invitation is by another leader")
        return invitation

    def _check_admission(self, raw: bytes, joined: _Joined) -> Admission:
        # C14. The leader's own word, for this epoch, with this enclave in its place.
        key = joined.evidence.value.runtime_data.signing_key
        found = Admission.verify(raw, {cluster.LEADER: key}.__getitem__).value
        if found.context != self._job.context:
            raise AttestationError("the admission is to another job, attempt, plan or contract")
        if not same_digest(found.leader, joined.evidence.digest):
            raise AttestationError("the admission is by another leader", hint=_HINT)
        if found.epoch != joined.invitation.epoch:
            raise AttestationError("the admission is to another epoch", hint=_HINT)
        if not found.roster or found.roster[LEADER] != Member(LEADER, found.leader, key):
            raise AttestationError("the roster does not begin with the leader", hint=_HINT)
        if found.number >= len(found.roster):
            raise AttestationError("the admission is of another member", hint=_HINT)
        place = found.roster[found.number]
        # Whose home this is, the party signed for and the leader checked: an enclave cannot know.
        own = Member(found.number, joined.own.evidence, joined.own.signing_key, place.home)
        if place != own:
            raise AttestationError("the admission is of another member", hint=_HINT)
        _check_leaders_token(found.token, joined.activation)
        return found

    def _open_secrets(self, found: Admission, joined: _Joined) -> EpochSecrets:
        # C15. Sealed to this member's key, for exactly what the admission says.
        try:
            return EpochSecrets.parse(joined.receiving_key.open(found.sealed, found.secrets_info()))
        except CryptoError:
            raise GrantError(
                "the keys were not sealed for this admission and this enclave", hint=_HINT
            ) from None

    def _ciphers(self, secrets: EpochSecrets, home: str | None) -> dict[str, ChunkCipher]:
        # C16. Exactly the inputs that are hosted, or those of this home alone; each with the key
        #      that its owner's manifest commits to.
        if secrets.keys.keys() != home_inputs(self._job.plan, home):
            raise GrantError("the leader's keys are not exactly those of the inputs", hint=_HINT)
        try:
            return {
                name: dataset_cipher(self._job.manifests[name].value, bytearray(raw))
                for name, raw in secrets.keys.items()
            }
        except (CryptoError, DatasetError):
            raise GrantError(
                "a key that the leader passed on is not the one of its dataset", hint=_HINT
            ) from None


def _check_leaders_token(token: bytes | None, activation: Activation | None) -> None:
    # C14. Where the leader's evidence is not complete without, its machine opened the secret.
    if (token is None) != (activation is None):
        raise AttestationError("the admission has a token exactly where one is needed", hint=_HINT)
    if token is None or activation is None:
        return
    try:
        check_token(token, activation.token)
    except CryptoError:
        raise AttestationError(
            "the leader did not open what was sealed to its machine: its key may be anybody's",
            hint=_HINT,
        ) from None
