"""Verifies the other enclaves of a cluster in the proof of a job: part of steps V2, V3 and V5.

The leader appraised each of them under the contract's policy before it passed a key on. Whoever
holds the proof does the same again, for every enclave that ever had a key in this attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mc2.attestation.appraisal import Appraised
from mc2.crypto.digest import Digest, same_digest
from mc2.errors import ReceiptError
from mc2.formats.cluster import MemberEvidence, verify_member_evidence
from mc2.formats.receipt import Receipt
from mc2.formats.release import Evidence, JobContext
from mc2.formats.statement import Verified


@dataclass(frozen=True, slots=True)
class AppraisedMember:
    """Another enclave of the job: what it proved, and for which epoch."""

    evidence: Verified[MemberEvidence]
    appraised: Appraised

    @property
    def epoch(self) -> int:
        """The epoch that it was a member of."""
        return self.evidence.value.member_data.epoch


Appraise = Callable[[Evidence | MemberEvidence, bytes], Appraised]
"""Verifies and appraises evidence, by the contract's policy and at the time of the job, for the
report data that it must carry."""


def verify_members(
    raw: Mapping[Digest, bytes], leader: Verified[Evidence], appraise: Appraise
) -> tuple[AppraisedMember, ...]:
    """Verify and appraise every member's evidence, for this leader.

    Raises: FormatError, SignatureError, EvidenceError, AppraisalError, ReceiptError.
    """
    found = []
    keys = {leader.value.runtime_data.signing_key}
    for name, envelope in raw.items():
        evidence = verify_member_evidence(envelope)
        if not same_digest(evidence.digest, name):
            raise ReceiptError("a member's evidence stands under another name")
        data = evidence.value.member_data
        _check_context(data.context, leader.value.runtime_data.context)
        if not same_digest(data.leader, leader.digest):
            raise ReceiptError("a member followed another leader")
        keys.add(data.signing_key)
        found.append(AppraisedMember(evidence, appraise(evidence.value, data.report_data())))
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


def _check_context(found: JobContext, expected: JobContext) -> None:
    if found != expected:
        raise ReceiptError("a member is of another job, attempt, plan, contract or policy")
