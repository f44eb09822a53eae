"""The members in a proof: each proved itself, to this leader, in this job, once."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.clusters import (
    MEASUREMENT,
    OTHER_CODE,
    ROOT,
    Leader,
    Worker,
    cluster_job,
    join_of,
)
from tests.support.enclave_jobs import NOW

from mc2.attestation.appraisal import Appraised, appraise
from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.policy import AttestationPolicy, SimulatedSection
from mc2.attestation.simulated.collector import SimulatedCollector
from mc2.attestation.simulated.report import KIND
from mc2.attestation.simulated.verifier import SimulatedVerifier
from mc2.client.cluster_proof import AppraisedMember, check_epochs, verify_members
from mc2.crypto.digest import Digest, digest
from mc2.crypto.secret import ReceivingKey, SigningKey
from mc2.errors import AppraisalError, ReceiptError
from mc2.formats.home import evidence_digest
from mc2.formats.release import verify_evidence

POLICY = AttestationPolicy({KIND: SimulatedSection(root=ROOT.digest, measurements=(MEASUREMENT,))})


def judge(evidence: Any, report_data: bytes) -> Appraised:
    raw = RawEvidence(evidence.kind, evidence.evidence, evidence.endorsements)
    claims = SimulatedVerifier(ROOT.digest).verify(raw, at=NOW)
    return appraise(claims, POLICY, Tier.SIMULATED, report_data)


def nobody(name: str) -> Any:
    raise AssertionError(name)


def verified(leader: Leader, raw: dict[Digest, bytes]) -> tuple[AppraisedMember, ...]:
    return verify_members(raw, verify_evidence(leader.evidence), judge, nobody)


@pytest.fixture(scope="module")
def leader() -> Leader:
    return Leader(cluster_job())


@pytest.fixture(scope="module")
def joins(leader: Leader) -> list[bytes]:
    invitation = leader.rules.invite()
    return [Worker(leader.job).join(leader, invitation) for _ in range(2)]


def named(*joins: bytes) -> dict[Digest, bytes]:
    return {evidence_digest(raw): raw for raw in joins}


def test_members_of_a_leader_are_appraised_each(leader, joins):
    found = verified(leader, named(*joins))
    assert [m.epoch for m in found] == [1, 1]
    assert {m.evidence.digest for m in found} == set(named(*joins))


def test_evidence_stands_under_its_own_name(leader, joins):
    first, second = named(*joins)
    with pytest.raises(ReceiptError, match="stands under another name"):
        verified(leader, {first: joins[1], second: joins[0]})
    with pytest.raises(ReceiptError, match="stands under another name"):
        verified(leader, {digest(b"a name"): joins[0]})


def again(join: bytes, signing: SigningKey) -> bytes:
    """A member's evidence for other keys: a signing key of the test's, a receiving key of its own."""
    found = join_of(join)
    data = replace(
        found.member_data,
        signing_key=signing.public,
        receiving_key=ReceivingKey.generate().public,
    )
    raw = SimulatedCollector(ROOT, MEASUREMENT, "local").collect(data.report_data())
    return replace(found, evidence=raw.evidence, member_data=data).sign(signing)


def test_one_enclave_is_not_two_members(leader, joins):
    one, other = SigningKey.generate(), SigningKey.generate()
    assert len(verified(leader, named(again(joins[0], one), again(joins[0], other)))) == 2
    with pytest.raises(ReceiptError, match="two members of the cluster have one key"):
        verified(leader, named(again(joins[0], one), again(joins[0], one)))
    with pytest.raises(ReceiptError, match="two members of the cluster have one key"):
        verified(leader, named(again(joins[0], leader.signing)))


def test_who_followed_another_leader_of_the_job_is_no_member(leader, joins):
    other = Leader(leader.job)
    with pytest.raises(ReceiptError, match="followed another leader"):
        verified(other, named(*joins))


def test_a_member_of_another_job_proves_nothing(leader, joins):
    other = Leader(cluster_job())
    with pytest.raises(ReceiptError, match="of another job, attempt, plan, contract or policy"):
        verified(other, named(*joins))


def test_a_member_that_runs_other_code_is_refused(leader, joins):
    rogue = Worker(leader.job, code=OTHER_CODE).join(leader, leader.rules.invite())
    with pytest.raises(AppraisalError, match="MEASUREMENT"):
        verified(leader, named(*joins, rogue))


def roster(*epochs: tuple[Digest, ...]) -> Any:
    """The part of a receipt that names who had keys, leaders first."""
    return SimpleNamespace(epochs=tuple((digest(b"leader"), *e) for e in epochs))


def test_a_receipt_names_exactly_those_who_proved_themselves(leader, joins):
    members = verified(leader, named(*joins))
    first, second = named(*joins)
    check_epochs(roster((first, second)), members)
    for wrong in (
        roster((first,)),
        roster((first, second, digest(b"a third"))),
        roster((first,), (second,)),
        roster((), (first, second)),
        roster(()),
    ):
        with pytest.raises(ReceiptError, match="names other enclaves"):
            check_epochs(wrong, members)
    with pytest.raises(ReceiptError, match="names other enclaves"):
        check_epochs(roster((first, second)), members[:1])
