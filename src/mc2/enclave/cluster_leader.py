"""The leader's rules of a cluster: steps C1, C7 to C9 and C11 to C13 of docs/spec/cluster.md.

No socket, no file, no clock. The owners proved the leader; the leader proves the members, under
the owners' policy and at the owners' time, before it shares anything with them. Whoever fails is
left out of the epoch and named; it is never a reason to compute less than the plan.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mc2.attestation.activation import Activate, open_activation, seal_activation
from mc2.attestation.appraisal import Appraised, AppraisedToActivate
from mc2.attestation.claims import Tier
from mc2.crypto.digest import Digest, same_digest
from mc2.crypto.secret import DataKey, SigningKey
from mc2.enclave.epoch import LEADER, Epoch, Member
from mc2.enclave.freshness import FreshJob
from mc2.enclave.peers import PeerTrust
from mc2.errors import AttestationError, JobError, Mc2Error
from mc2.formats.cluster import LEADER as LEADER_NAME
from mc2.formats.cluster import (
    Admission,
    EpochSecrets,
    Invitation,
    MemberEvidence,
    Probe,
    admission_info,
)
from mc2.formats.fields import check_name
from mc2.formats.home import JoinedMember, verify_joined
from mc2.formats.limits import LIMITS
from mc2.formats.release import NONCE_BYTES, Activation
from mc2.plan.home import home_inputs, home_parties

_HINT: Final = "the host has to invite this worker again"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A worker that was not taken into an epoch: the host's name of it, and why."""

    name: str
    epoch: int
    error: Mc2Error


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A worker whose evidence holds, once `activation` is opened where there is one.

    `token` shows that the leader opened what the worker sealed to the leader's machine.
    """

    join: JoinedMember
    appraised: Appraised | AppraisedToActivate
    activation: Activation | None
    token: bytes | None


@dataclass(frozen=True, slots=True)
class FormedEpoch:
    """An epoch, its members' admissions by the host's names of them, and who was left out."""

    epoch: Epoch
    admissions: Mapping[str, bytes]
    left_out: tuple[LeftOut, ...]


class ClusterLeader:
    """All epochs of one attempt, on the side of the enclave that the owners granted to.

    `evidence` and `signing_key` are the attempt's; `tier` is the most that this enclave proves.
    `activate` opens what members seal to this machine; None where its evidence is complete
    without.
    """

    def __init__(
        self,
        fresh: FreshJob,
        evidence: Digest,
        signing_key: SigningKey,
        tier: Tier,
        trust: PeerTrust,
        activate: Activate | None = None,
    ) -> None:
        self._fresh = fresh
        self._self = Member(LEADER, evidence, signing_key.public)
        self._signing_key = signing_key
        self._trust = trust
        self._activate = activate
        self._invitation: Invitation | None = None
        self._candidates: dict[str, _Candidate] | None = None
        self._left_out: list[LeftOut] = []
        self._epoch: Epoch | None = None
        self._rosters: list[tuple[Digest, ...]] = []
        self._tier = tier
        self._known = {evidence: signing_key.public}

    @property
    def rosters(self) -> tuple[tuple[Digest, ...], ...]:
        """The evidence of the members of each epoch, in order; the leader's comes first."""
        return tuple(self._rosters)

    @property
    def tier(self) -> Tier:
        """The weakest tier of all enclaves that were ever trusted with a key in this attempt."""
        return self._tier

    def invite(self) -> bytes:
        """Begin the next epoch: the signed invitation. Step C1.

        Raises: AttestationError after too many epochs.
        """
        number = len(self._rosters) + 1
        if number > LIMITS.epochs:
            raise AttestationError(
                f"the workers changed more than {LIMITS.epochs} times",
                hint="let the operator see to the workers, then propose the job again",
            )
        # C1. The nonce is fresh, and for this epoch alone.
        self._candidates = None
        self._invitation = Invitation(
            context=self._fresh.job.context,
            leader=self._self.evidence,
            epoch=number,
            nonce=secrets.token_bytes(NONCE_BYTES),
        )
        return self._invitation.sign(self._signing_key)

    def examine(self, joins: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Look at member evidence, by the host's names of the workers. Steps C7 to C9.

        The signed probes for those who still have to show where their key is.

        Raises: JobError without an invitation; FormatError if the host's names are no names.
        """
        invitation = self._invitation
        if invitation is None or self._candidates is not None:
            raise JobError("members come after an invitation, once", hint=_HINT)
        self._left_out = []
        candidates: dict[str, _Candidate] = {}
        self._candidates = candidates
        for name in sorted(joins):
            check_name(name, "a worker")
            try:
                if len(candidates) + 1 >= LIMITS.cluster_members:
                    raise AttestationError(
                        f"a cluster has at most {LIMITS.cluster_members} members"
                    )
                found = self._check(joins[name], invitation)
                party = found.join.party
                if party is not None and party in {c.join.party for c in candidates.values()}:
                    raise AttestationError(f"{party} has an enclave at home already")
                candidates[name] = found
            except Mc2Error as error:
                self._left_out.append(LeftOut(name, invitation.epoch, error))
        return {
            name: self._probe(found.join, found.activation, invitation)
            for name, found in candidates.items()
            if found.activation is not None
        }

    def admit(
        self, tokens: Mapping[str, bytes], keys: Mapping[str, DataKey], lease_seconds: int
    ) -> FormedEpoch:
        """Close the epoch that was begun, with those who hold up. Steps C11 to C13.

        `tokens` are the answers to probes by the host's names, `keys` the data keys of the
        inputs; `lease_seconds` is what is left of the lease. The epoch before is wiped.

        Raises: JobError before members were examined.
        """
        invitation, self._invitation = self._invitation, None
        candidates, self._candidates = self._candidates, None
        if invitation is None or candidates is None:
            raise JobError("members are admitted once they were examined, once", hint=_HINT)
        admitted = self._proven(candidates, tokens, invitation.epoch)
        # C12. The roster: the leader, then the members in the order of the host's names.
        roster = [self._self]
        for number, found in enumerate(admitted.values(), start=1):
            join = found.join.evidence
            key = join.value.member_data.signing_key
            roster.append(Member(number, join.digest, key, found.join.party))
        # C13. A block key that no other epoch has; what came before it opens no more.
        if self._epoch is not None:
            self._epoch.wipe()
        self._epoch = Epoch(
            context=invitation.context,
            number=invitation.epoch,
            members=tuple(roster),
            block_key=DataKey.generate(),
            own=LEADER,
            signing_key=self._signing_key,
        )
        self._rosters.append(tuple(m.evidence for m in roster))
        admissions = {
            name: self._admission(number, found, keys, lease_seconds)
            for number, (name, found) in enumerate(admitted.items(), start=1)
        }
        return FormedEpoch(self._epoch, admissions, tuple(self._left_out))

    def wipe(self) -> None:
        """Forget the present epoch's key."""
        if self._epoch is not None:
            self._epoch.wipe()

    # --- steps

    def _proven(
        self, candidates: Mapping[str, _Candidate], tokens: Mapping[str, bytes], epoch: int
    ) -> dict[str, _Candidate]:
        """C11. Those whose evidence is complete, by now."""
        found: dict[str, _Candidate] = {}
        for name, candidate in candidates.items():
            try:
                appraised = candidate.appraised
                if isinstance(appraised, AppraisedToActivate):
                    appraised = _activated(appraised, candidate.activation, tokens.get(name))
            except Mc2Error as error:
                self._left_out.append(LeftOut(name, epoch, error))
                continue
            self._tier = min(self._tier, appraised.tier)
            found[name] = candidate
        return found

    def _check(self, raw: bytes, invitation: Invitation) -> _Candidate:
        # C7. Signed by the key that it names, and an answer to this very invitation. If it runs at
        #     a home, by the party of that home too, whose rows stay there.
        joined = verify_joined(raw, self._fresh.job.members.key_of)
        if joined.party is not None and joined.party not in home_parties(self._fresh.job.plan):
            raise AttestationError(f"no rows of {joined.party} stay at home in this plan")
        join = joined.evidence
        data = join.value.member_data
        if data.context != invitation.context:
            raise AttestationError("the member is of another job, attempt, plan or contract")
        if not same_digest(data.leader, invitation.leader):
            raise AttestationError("the member follows another leader")
        if (data.epoch, data.nonce) != (invitation.epoch, invitation.nonce):
            raise AttestationError("the member answers another invitation", hint=_HINT)
        # C9. Nobody counts twice, now or in an earlier epoch.
        if join.digest in self._known or data.signing_key in self._known.values():
            raise AttestationError("this member is in the cluster already", hint=_HINT)
        # C8. Genuine, and acceptable to the owners' policy at the owners' time.
        appraised = self._trust.appraise(
            join.value, data.report_data(), self._fresh.job.members, self._fresh.at
        )
        token = self._answer(join.value)
        self._known[join.digest] = data.signing_key
        if isinstance(appraised, Appraised):
            return _Candidate(joined, appraised, None, token)
        # The secret itself locks nothing: a member is given nothing before it shows the token.
        _, activation = seal_activation(appraised.key)
        return _Candidate(joined, appraised, activation, token)

    def _answer(self, evidence: MemberEvidence) -> bytes | None:
        """What the member wants to be shown of this machine: it takes nothing from it before."""
        if (self._activate is None) != (evidence.activation is None):
            raise AttestationError(
                "the member does not ask for what the leader's own evidence needs", hint=_HINT
            )
        if self._activate is None or evidence.activation is None:
            return None
        return open_activation(evidence.activation, self._activate).token()

    def _probe(self, join: JoinedMember, activation: Activation, invitation: Invitation) -> bytes:
        return Probe(
            context=invitation.context,
            leader=invitation.leader,
            epoch=invitation.epoch,
            member=join.evidence.digest,
            activation=activation,
        ).sign(self._signing_key)

    def _admission(
        self, number: int, member: _Candidate, keys: Mapping[str, DataKey], lease_seconds: int
    ) -> bytes:
        epoch = self._epoch
        if epoch is None:
            raise RuntimeError("admissions are to an epoch")
        # What stays at home, only the enclave at that home opens, and it opens nothing else.
        wanted = home_inputs(self._fresh.job.plan, member.join.party)
        theirs = {name: key for name, key in keys.items() if name in wanted}
        secret = _secrets(epoch, theirs, lease_seconds)
        receiving_key = member.join.evidence.value.member_data.receiving_key
        leader = self._self.evidence
        info = admission_info(epoch.context, leader, epoch.number, epoch.members, number)
        return Admission(
            context=epoch.context,
            leader=leader,
            epoch=epoch.number,
            roster=epoch.members,
            number=number,
            token=member.token,
            sealed=receiving_key.seal(secret, info),
        ).sign(self._signing_key)


def _activated(
    appraised: AppraisedToActivate, activation: Activation | None, token: bytes | None
) -> Appraised:
    if activation is None or token is None:
        raise AttestationError("the member did not answer the probe of its machine", hint=_HINT)
    return appraised.activated({LEADER_NAME: activation}, {LEADER_NAME: token})


def _secrets(epoch: Epoch, keys: Mapping[str, DataKey], lease_seconds: int) -> bytes:
    return EpochSecrets(
        block_key=bytes(epoch.block_key.raw),
        lease_seconds=lease_seconds,
        keys={name: bytes(key.raw) for name, key in keys.items()},
    ).encode()
