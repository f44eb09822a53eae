"""Leader and members of a cluster: every message falsified, swapped or replayed is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.clusters import (
    LEASE_SECONDS,
    MEASUREMENT,
    OTHER_CODE,
    OTHER_ROOT,
    ROOT,
    Leader,
    Worker,
    cluster_job,
    form,
    invitation_of,
    join_of,
    payload,
)
from tests.support.enclave_jobs import NOW, Job, make_job

from mc2.attestation.simulated.report import KIND
from mc2.attestation.simulated.verifier import SimulatedVerifier
from mc2.crypto.digest import digest
from mc2.crypto.secret import DataKey, SigningKey
from mc2.enclave.peers import PeerTrust
from mc2.errors import (
    AppraisalError,
    AttestationError,
    EvidenceError,
    FormatError,
    GrantError,
    JobError,
    Mc2Error,
    SignatureError,
)
from mc2.formats.cluster import Admission, EpochSecrets, Member, admission_info
from mc2.formats.limits import LIMITS


@pytest.fixture
def job() -> Job:
    return cluster_job()


@pytest.fixture
def leader(job: Job) -> Leader:
    return Leader(job)


def left_out(leader: Leader, join: bytes) -> Mc2Error:
    """The reason why one worker is left out, while an honest one is taken."""
    invitation = leader.rules.invite()
    honest = Worker(leader.job).join(leader, invitation)
    formed = leader.admit({"honest": honest, "other": join})
    assert list(formed.admissions) == ["honest"]
    assert len(formed.epoch.members) == 2
    (out,) = formed.left_out
    assert out.name == "other"
    return out.error


# --- what works


def test_a_cluster_shares_one_epoch(job: Job, leader: Leader) -> None:
    formed, members = form(leader, a=Worker(job), b=Worker(job))
    assert not formed.left_out
    epochs = [formed.epoch, *(m.epoch for m in members.values())]
    assert {e.members for e in epochs} == {formed.epoch.members}
    assert {bytes(e.block_key.raw) for e in epochs} == {bytes(formed.epoch.block_key.raw)}
    assert [e.own for e in epochs] == [0, 1, 2]
    assert all(e.context == job.context and e.number == 1 for e in epochs)
    assert leader.rules.rosters == (tuple(m.evidence for m in formed.epoch.members),)
    assert leader.rules.rosters[0][0] == leader.digest


def test_members_can_open_the_inputs(job: Job, leader: Leader) -> None:
    _, members = form(leader, a=Worker(job))
    assert members["a"].ciphers.keys() == job.datasets.keys()
    for name, sealed in job.datasets.items():
        manifest = sealed.manifest
        raw = sealed.chunks[manifest.chunks[0].digest]
        assert members["a"].ciphers[name].open(0, raw, manifest.associated_data(0))


def test_a_leader_may_be_alone(leader: Leader) -> None:
    formed, _ = form(leader)
    assert formed.epoch.members == (Member(0, leader.digest, leader.signing.public),)
    assert leader.rules.rosters == ((leader.digest,),)


def test_another_epoch_has_another_key_and_the_former_is_wiped(job: Job, leader: Leader) -> None:
    first, _ = form(leader, a=Worker(job))
    key = bytes(first.epoch.block_key.raw)
    second, _ = form(leader, a=Worker(job))
    assert first.epoch.block_key.raw == bytearray()
    assert second.epoch.number == 2
    assert bytes(second.epoch.block_key.raw) != key
    assert second.epoch.members[1].evidence != first.epoch.members[1].evidence
    assert len(leader.rules.rosters) == 2


def test_the_lease_of_a_member_counts_from_its_evidence(job: Job, leader: Leader) -> None:
    worker = Worker(job)
    invitation = leader.rules.invite()
    formed = leader.admit({"a": worker.join(leader, invitation)})
    worker.clock.now += LEASE_SECONDS - 1  # a host that keeps the admission back
    membership = worker.enter(formed.admissions["a"])
    membership.lease.check()
    assert membership.lease.seconds_left == 1
    worker.clock.now += 2
    with pytest.raises(GrantError, match="lease"):
        membership.lease.check()


def test_wiping_forgets_the_keys_of_blocks(job: Job, leader: Leader) -> None:
    formed, members = form(leader, a=Worker(job))
    members["a"].wipe()
    assert members["a"].epoch.block_key.raw == bytearray()
    leader.rules.wipe()
    assert formed.epoch.block_key.raw == bytearray()


# --- C2 to C6: the member looks at its leader


@pytest.mark.parametrize(
    ("falsified", "error", "match"),
    [
        ({"code": OTHER_CODE}, AppraisalError, "MEASUREMENT"),
        ({"root": OTHER_ROOT}, EvidenceError, "root"),
        ({"challenges": {}}, AttestationError, "other challenges"),
    ],
)
def test_a_leader_that_does_not_hold_up_gets_no_evidence(
    job: Job, falsified: dict[str, Any], error: type[Mc2Error], match: str
) -> None:
    leader = Leader(job, **falsified)
    with pytest.raises(error, match=match):
        Worker(job).join(leader, leader.rules.invite())


def test_a_leader_of_another_job_is_refused(job: Job, leader: Leader) -> None:
    other = Leader(replace(job, attempt=2))
    with pytest.raises(AttestationError, match="another job"):
        Worker(job).join(leader, leader.rules.invite(), evidence=other.evidence)
    asked = replace(invitation_of(leader.rules.invite()), context=other.job.context)
    with pytest.raises(AttestationError, match="another job"):
        Worker(job).join(leader, asked.sign(leader.signing))


def test_a_leader_that_answers_older_challenges_is_refused(job: Job, leader: Leader) -> None:
    newer = {
        n: job.challenge(n, nonce=digest(b"new" + n.encode()).encode()[:32]) for n in job.owners
    }
    with pytest.raises(AttestationError, match="other challenges"):
        Worker(job).join(leader, leader.rules.invite(), challenges=newer)


def test_challenges_that_have_lapsed_are_refused(job: Job, leader: Leader) -> None:
    late = NOW + timedelta(minutes=5)
    challenges = job.challenges(bo=job.challenge("bo", issued=late, not_after=late))
    with pytest.raises(AttestationError, match="lapsed"):
        Worker(job).join(leader, leader.rules.invite(), challenges=challenges)


def test_an_invitation_is_the_leaders_own(job: Job, leader: Leader) -> None:
    asked = invitation_of(leader.rules.invite())
    with pytest.raises(SignatureError):
        Worker(job).join(leader, asked.sign(SigningKey.generate()))
    with pytest.raises(AttestationError, match="another leader"):
        Worker(job).join(leader, replace(asked, leader=digest(b"x")).sign(leader.signing))
    other = Leader(job)
    with pytest.raises(SignatureError):
        Worker(job).join(leader, other.rules.invite())


def test_nobody_is_believed_by_default(job: Job, leader: Leader) -> None:
    with pytest.raises(EvidenceError, match="no verifier"):
        Worker(job, trust=PeerTrust()).join(leader, leader.rules.invite())


def test_simulated_peers_are_believed_under_simulated_contracts_only() -> None:
    section = {KIND: {"root": ROOT.digest, "measurements": [MEASUREMENT]}}
    contract = make_job(contract={"attestation": section, "min_tier": "measured-boot"}).contract
    assert not PeerTrust(simulation=SimulatedVerifier).verifiers_for(contract).kinds


def test_an_enclave_joins_once(job: Job, leader: Leader) -> None:
    worker = Worker(job)
    invitation = leader.rules.invite()
    worker.join(leader, invitation)
    with pytest.raises(JobError, match="once"):
        worker.join(leader, invitation)


def test_a_failed_joining_is_not_tried_again(job: Job, leader: Leader) -> None:
    worker = Worker(job)
    with pytest.raises(FormatError):
        worker.join(leader, b"nothing")
    with pytest.raises(JobError, match="once"):
        worker.join(leader, leader.rules.invite())


# --- C7 to C9: the leader looks at its members


def test_a_member_with_other_code_is_left_out(job: Job, leader: Leader) -> None:
    invitation = leader.rules.invite()
    rogue = Worker(job, code=OTHER_CODE).join(leader, invitation)
    formed = leader.admit({"honest": Worker(job).join(leader, invitation), "rogue": rogue})
    assert list(formed.admissions) == ["honest"]
    (out,) = formed.left_out
    assert (out.name, out.epoch, type(out.error)) == ("rogue", 1, AppraisalError)


def test_a_member_of_another_deployment_is_left_out(job: Job, leader: Leader) -> None:
    invitation = leader.rules.invite()
    rogue = Worker(job, root=OTHER_ROOT).join(leader, invitation)
    (out,) = leader.admit({"rogue": rogue}).left_out
    assert isinstance(out.error, EvidenceError)


def test_a_member_of_an_earlier_epoch_is_left_out(job: Job, leader: Leader) -> None:
    old = Worker(job).join(leader, leader.rules.invite())
    leader.admit({"a": old})
    assert "another invitation" in str(left_out(leader, old))


def test_a_member_whose_invitation_was_withdrawn_is_left_out(job: Job, leader: Leader) -> None:
    early = Worker(job).join(leader, leader.rules.invite())
    assert "another invitation" in str(left_out(leader, early))


def test_a_member_of_another_job_or_leader_is_left_out(job: Job, leader: Leader) -> None:
    elsewhere = Leader(replace(job, job_id="77" * 16))
    join = Worker(elsewhere.job).join(elsewhere, elsewhere.rules.invite())
    assert "another job" in str(left_out(leader, join))
    double = Leader(job)
    join = Worker(job).join(double, double.rules.invite())
    assert "another leader" in str(left_out(leader, join))


def test_a_member_counts_once(job: Job, leader: Leader) -> None:
    invitation = leader.rules.invite()
    join = Worker(job).join(leader, invitation)
    formed = leader.admit({"a": join, "b": join})
    assert len(formed.epoch.members) == 2
    assert "already" in str(formed.left_out[0].error)


def test_the_hosts_names_of_workers_are_names(leader: Leader) -> None:
    leader.rules.invite()
    with pytest.raises(FormatError):
        leader.admit({"No name": b""})


def test_member_evidence_cannot_be_put_together_from_parts(job: Job, leader: Leader) -> None:
    invitation = leader.rules.invite()
    first, second = (join_of(Worker(job).join(leader, invitation)) for _ in range(2))
    mixed = replace(first, evidence=second.evidence)
    (out,) = leader.admit({"a": mixed.sign(SigningKey.generate())}).left_out
    assert isinstance(out.error, SignatureError)


def test_evidence_for_other_keys_is_left_out(job: Job, leader: Leader) -> None:
    invitation = leader.rules.invite()
    honest = join_of(Worker(job).join(leader, invitation))
    key = SigningKey.generate()
    stolen = replace(honest, member_data=replace(honest.member_data, signing_key=key.public))
    (out,) = leader.admit({"a": stolen.sign(key)}).left_out
    assert isinstance(out.error, AppraisalError)
    assert "binding" in str(out.error)


def test_the_leaders_own_evidence_is_no_members(job: Job, leader: Leader) -> None:
    leader.rules.invite()
    (out,) = leader.admit({"a": leader.evidence}).left_out
    assert isinstance(out.error, FormatError)


def test_members_come_after_an_invitation_once(job: Job, leader: Leader) -> None:
    with pytest.raises(JobError, match="invitation"):
        leader.admit({})
    leader.rules.invite()
    leader.admit({})
    with pytest.raises(JobError, match="invitation"):
        leader.admit({})


def test_members_are_bounded(job: Job, leader: Leader, monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(LIMITS, cluster_members=2)  # the leader counts
    monkeypatch.setattr("mc2.enclave.cluster_leader.LIMITS", few)
    invitation = leader.rules.invite()
    formed = leader.admit({n: Worker(job).join(leader, invitation) for n in ("a", "b")})
    assert list(formed.admissions) == ["a"]
    assert len(formed.epoch.members) == 2
    (out,) = formed.left_out
    assert (out.name, type(out.error)) == ("b", AttestationError)
    assert "at most 2 members" in str(out.error)


def test_epochs_are_bounded(leader: Leader) -> None:
    for _ in range(LIMITS.epochs):
        leader.rules.invite()
        leader.admit({})
    with pytest.raises(AttestationError, match="more than"):
        leader.rules.invite()


# --- C12 to C14: the member looks at its admission


def admitted_worker(leader: Leader) -> tuple[Worker, bytes]:
    worker = Worker(leader.job)
    invitation = leader.rules.invite()
    other = Worker(leader.job)
    joins = {"a": worker.join(leader, invitation), "b": other.join(leader, invitation)}
    return worker, leader.admit(joins).admissions["a"]


def test_an_admission_is_for_one_member(job: Job, leader: Leader) -> None:
    invitation = leader.rules.invite()
    first, second = Worker(job), Worker(job)
    joins = {"a": first.join(leader, invitation), "b": second.join(leader, invitation)}
    formed = leader.admit(joins)
    with pytest.raises(AttestationError, match="another member"):
        first.enter(formed.admissions["b"])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"epoch": 2}, "another epoch"),
        ({"leader": digest(b"x")}, "another leader"),
        ({"number": 2}, "another member"),
        ({"number": 9}, "another member"),
        ({"roster": ()}, "begin with the leader"),
    ],
)
def test_an_admission_says_what_was_agreed(
    leader: Leader, changes: dict[str, Any], match: str
) -> None:
    worker, raw = admitted_worker(leader)
    said = replace(payload(raw, Admission), **changes)
    with pytest.raises(AttestationError, match=match):
        worker.enter(said.sign(leader.signing))


def test_an_admission_is_to_the_job_that_was_opened(job: Job, leader: Leader) -> None:
    worker, raw = admitted_worker(leader)
    context = replace(job, attempt=2).context
    with pytest.raises(AttestationError, match="another job"):
        worker.enter(resealed(leader, worker, payload(raw, Admission), context=context))


def test_an_admission_is_signed_by_the_leader(leader: Leader) -> None:
    worker, raw = admitted_worker(leader)
    with pytest.raises(SignatureError):
        worker.enter(payload(raw, Admission).sign(SigningKey.generate()))


def test_a_roster_without_one_member_opens_nothing(leader: Leader) -> None:
    worker, raw = admitted_worker(leader)
    said = payload(raw, Admission)
    with pytest.raises(GrantError, match="not sealed for this"):
        worker.enter(replace(said, roster=said.roster[:2]).sign(leader.signing))


def test_a_roster_with_a_double_is_refused(leader: Leader) -> None:
    worker, raw = admitted_worker(leader)
    said = payload(raw, Admission)
    roster = (*said.roster, replace(said.roster[2], number=3))
    with pytest.raises(AttestationError, match="one evidence"):
        worker.enter(resealed(leader, worker, said, roster=roster))


def resealed(leader: Leader, worker: Worker, said: Admission, **changes: Any) -> bytes:
    """What a leader would send that seals what it likes."""
    secrets = changes.pop("secrets", None)
    said = replace(said, **changes)
    info = admission_info(said.context, said.leader, said.epoch, said.roster, said.number)
    plain = secrets or EpochSecrets(
        block_key=bytes(32),
        lease_seconds=9,
        keys={name: bytes(key.raw) for name, key in leader.keys.items()},
    )
    joined = worker.rules._joined
    assert joined is not None
    sealed = joined.receiving_key.public.seal(plain.encode(), info)
    return replace(said, sealed=sealed).sign(leader.signing)


@pytest.mark.parametrize("spoil", ["missing", "wrong", "more"])
def test_keys_are_exactly_those_of_the_inputs(leader: Leader, spoil: str) -> None:
    worker, raw = admitted_worker(leader)
    keys = {name: bytes(key.raw) for name, key in leader.keys.items()}
    if spoil == "missing":
        del keys["ada.visits"]
    elif spoil == "wrong":
        keys["ada.visits"] = bytes(DataKey.generate().raw)
    else:
        keys["ada.others"] = bytes(32)
    secrets = EpochSecrets(block_key=bytes(32), lease_seconds=9, keys=keys)
    with pytest.raises(GrantError):
        worker.enter(resealed(leader, worker, payload(raw, Admission), secrets=secrets))


def test_an_admission_opens_once(leader: Leader) -> None:
    worker, raw = admitted_worker(leader)
    worker.enter(raw)
    with pytest.raises(JobError, match="once"):
        worker.enter(raw)
    with pytest.raises(JobError, match="once"):
        Worker(leader.job).enter(raw)


def test_secrets_do_not_show(leader: Leader) -> None:
    secrets = EpochSecrets(block_key=b"k" * 32, lease_seconds=1, keys={"ada.visits": b"s" * 32})
    assert "kkk" not in repr(secrets)
    assert "sss" not in repr(secrets)
    assert EpochSecrets.parse(secrets.encode()) == secrets
