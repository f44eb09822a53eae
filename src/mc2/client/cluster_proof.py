"""Verifies the other enclaves of a cluster in the proof of a job: part of steps V2, V3 and V5.

The leader appraised each of them under the contract's policy before it passed a key on. Whoever
holds the proof does the same again, for every enclave that ever had a key in this attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mc2.attestation.appraisal import Appraised, AppraisedToActivate
from mc2.crypto.digest import Digest, same_digest
from mc2.crypto.signatures import VerifyKey
from mc2.errors import ReceiptError
from mc2.formats.cluster import MemberEvidence
from mc2.formats.home import verify_joined
from mc2.formats.receipt import Receipt
from mc2.formats.release import Evidence, JobContext
from mc2.formats.statement import Verified
from mc2.plan.home import home_parties, trained_parties, trains_at_home
from mc2.plan.plan import Plan
from mc2.plan.training import Train


@dataclass(frozen=True, slots=True)
class AppraisedMember:
    """Another enclave of the job: what it proved, for which epoch, and at whose home, if at any."""

    evidence: Verified[MemberEvidence]
    appraised: Appraised
    party: str | None = None

    @property
    def epoch(self) -> int:
        """The epoch that it was a member of."""
        return self.evidence.value.member_data.epoch


Appraise = Callable[[Evidence | MemberEvidence, bytes], Appraised | AppraisedToActivate]
"""Verifies and appraises evidence, by the contract's policy and at the time of the job, for the
report data that it must carry."""


def verify_members(
    raw: Mapping[Digest, bytes],
    leader: Verified[Evidence],
    appraise: Appraise,
    key_of: Callable[[str], VerifyKey],
) -> tuple[AppraisedMember, ...]:
    """Verify and appraise every member's evidence, for this leader.

    Of one at a party's home, the party's signature too: `key_of` gives the key of a member of the
    contract.

    Raises: FormatError, SignatureError, EvidenceError, AppraisalError, ReceiptError.
    """
    found = []
    keys = {leader.value.runtime_data.signing_key}
    for name, envelope in raw.items():
        joined = verify_joined(envelope, key_of)
        evidence = joined.evidence
        if not same_digest(evidence.digest, name):
            raise ReceiptError("a member's evidence stands under another name")
        data = evidence.value.member_data
        _check_context(data.context, leader.value.runtime_data.context)
        if not same_digest(data.leader, leader.digest):
            raise ReceiptError("a member followed another leader")
        keys.add(data.signing_key)
        judged = appraise(evidence.value, data.report_data())
        if isinstance(judged, AppraisedToActivate):
            # Step C11: the leader saw the member's token before it signed a roster with it. That
            # this leader keeps the rules is what its own evidence, and its activation, show.
            judged = judged.vouched_for()
        found.append(AppraisedMember(evidence, judged, joined.party))
    if len(keys) != 1 + len(found):
        raise ReceiptError("two members of the cluster have one key")
    return tuple(found)


def check_epochs(receipt: Receipt, members: tuple[AppraisedMember, ...]) -> None:
    """The receipt's epochs are made of exactly these members, each in its own epoch.

    Raises: ReceiptError.
    """
    said = {
        evidence: number
        for number, roster in enumerate(receipt.epochs, start=1)
        for evidence in roster[1:]
    }
    if said != {member.evidence.digest: member.epoch for member in members}:
        raise ReceiptError("the receipt names other enclaves than those that proved themselves")


def check_homes(receipt: Receipt, members: tuple[AppraisedMember, ...], plan: Plan) -> None:
    """The receipt's parties at home are the plan's, in enclaves of theirs that were admitted.

    And training went on without one of them only where the plan allows that. Raises: ReceiptError.
    """
    if set(receipt.homes) != set(home_parties(plan)):
        raise ReceiptError("the receipt names other parties at home than the plan")
    last = receipt.epochs[-1]
    there = {m.party: m.evidence.digest for m in members if m.evidence.digest in last}
    there.pop(None, None)
    if {p: s.evidence for p, s in receipt.homes.items() if s.evidence is not None} != there:
        raise ReceiptError("the receipt names other enclaves at home than parties signed for")
    for index, node in enumerate(plan.nodes):
        if isinstance(node.operation, Train):
            _check_dropouts(receipt, plan, index, node.operation)
    trainings = {i for i, n in enumerate(plan.nodes) if isinstance(n.operation, Train)}
    if any(not share.dropped.keys() <= trainings for share in receipt.homes.values()):
        raise ReceiptError("the receipt names a party that dropped out of what is no training")


def _check_dropouts(receipt: Receipt, plan: Plan, index: int, training: Train) -> None:
    here = trains_at_home(plan, index)
    gone = {p: s.dropped[index] for p, s in receipt.homes.items() if index in s.dropped}
    absent = {p for p in here if receipt.homes[p].evidence is None}
    if not gone.keys() <= here or any(gone.get(p) != 0 for p in absent):
        raise ReceiptError("the receipt's dropouts are not those of the parties that were there")
    if not gone:
        return
    if any(turn > training.num_boost_round for turn in gone.values()):
        raise ReceiptError("the receipt names a round that the training does not have")
    left = trained_parties(plan, index) - gone.keys()
    if training.dropout is None or len(left) < training.dropout.least_parties:
        raise ReceiptError("training went on without a party, which the plan does not allow")


def _check_context(found: JobContext, expected: JobContext) -> None:
    if found != expected:
        raise ReceiptError("a member is of another job, attempt, plan, contract or policy")
