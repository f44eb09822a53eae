"""A session leads, or it joins: never both, each step once, and its keys go when it ends."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pytest
from tests.support.clusters import MEASUREMENT, OTHER_CODE, ROOT, TRUST, cluster_job
from tests.support.enclave_jobs import CODE, Job, read_evidence

from mc2.attestation.simulated.collector import SimulatedCollector
from mc2.crypto.digest import Digest
from mc2.enclave.session import JobSession, SessionState
from mc2.enclave.task_runner import Host
from mc2.errors import FormatError, JobError, Mc2Error
from mc2.formats.receipt import Receipt
from mc2.formats.worker_tasks import Task, TrainStep


def make_session(code: str = MEASUREMENT) -> JobSession:
    collector = SimulatedCollector(ROOT, code, "local")
    return JobSession(collector, CODE, ("TEST",), "cc" * 16, peers=TRUST)


class Members:
    """The host of one leader and some other sessions."""

    def __init__(self, job: Job, leader: bytes, **sessions: JobSession) -> None:
        self.job = job
        self.leader = leader
        self.sessions = sessions
        self.invitations: list[bytes] = []
        self.admissions: dict[str, bytes] = {}
        self.never_enter: set[str] = set()

    def gather(self, invitation: bytes) -> Mapping[str, bytes]:
        self.invitations.append(invitation)
        joined = {}
        for name in self.sessions:
            if len(self.invitations) > 1:
                self.sessions[name].close()
                self.sessions[name] = make_session()
            session = self.sessions[name]
            session.open(self.job.bundle())
            joined[name] = session.join(self.job.challenges(), self.leader, invitation)
        return joined

    def keep(self, name: Digest, raw: bytes) -> None:
        raise AssertionError("nothing is kept for tasks here")

    def admit(self, admissions: Mapping[str, bytes]) -> Collection[str]:
        self.admissions = dict(admissions)
        entered = admissions.keys() - self.never_enter
        for name in entered:
            self.sessions[name].enter(admissions[name])
        return entered


class Led:
    """A job whose leader has proved itself."""

    def __init__(self) -> None:
        self.job = cluster_job()
        self.session = make_session()
        self.session.open(self.job.bundle())
        challenges = self.job.challenges()
        self.evidence = self.session.attest(challenges)
        self.grants = {n: self.job.grant(n, self.evidence, challenges[n]) for n in self.job.owners}

    def run(self, members: Members) -> Receipt:
        outcome = self.session.run(
            self.grants, self.job.read, self.job.write, lambda _: None, members
        )
        key = read_evidence(self.evidence).runtime_data.signing_key
        return Receipt.verify(outcome.receipt, lambda _: key).value


@pytest.fixture
def led() -> Led:
    return Led()


def test_sessions_form_a_cluster(led: Led) -> None:
    members = Members(led.job, led.evidence, b=make_session(), c=make_session(OTHER_CODE))
    receipt = led.run(members)
    assert [len(roster) for roster in receipt.epochs] == [2]
    assert members.sessions["b"].state is SessionState.RUNNING
    assert members.sessions["c"].state is SessionState.ATTESTED
    assert receipt.warnings[0] == "TEST"
    assert "c of epoch 1 (appraisal)" in receipt.warnings[1]
    for session in members.sessions.values():
        session.close()
        assert session.ended


def test_members_that_never_enter_leave_the_leader_alone(led: Led) -> None:
    members = Members(led.job, led.evidence, b=make_session())
    members.never_enter = {"b"}
    receipt = led.run(members)
    assert [len(roster) for roster in receipt.epochs] == [2, 2, 2, 1]
    assert len(set(members.invitations)) == 3


def test_a_member_takes_no_other_part(led: Led) -> None:
    members = Members(led.job, led.evidence, b=make_session())
    led.run(members)
    member = members.sessions["b"]
    with pytest.raises(JobError):
        member.run(led.grants, led.job.read, led.job.write, lambda _: None)
    assert member.ended


def test_who_joined_does_not_run(led: Led) -> None:
    members = Members(led.job, led.evidence, b=make_session())
    members.never_enter = {"b"}
    led.run(members)
    with pytest.raises(JobError, match="leader runs"):
        members.sessions["b"].run({}, led.job.read, led.job.write, lambda _: None)


def test_who_leads_does_not_enter(led: Led) -> None:
    with pytest.raises(JobError, match="leads"):
        led.session.enter(b"")
    assert led.session.ended


def test_a_failed_join_ends_the_job(led: Led) -> None:
    session = make_session()
    session.open(led.job.bundle())
    with pytest.raises(FormatError):
        session.join(led.job.challenges(), led.evidence, b"")
    assert session.ended


def test_steps_out_of_order_end_the_job(led: Led) -> None:
    session = make_session()
    with pytest.raises(Mc2Error):
        session.join(led.job.challenges(), led.evidence, b"")
    assert session.ended
    session = make_session()
    session.open(led.job.bundle())
    with pytest.raises(JobError):
        session.enter(b"")
    assert session.ended


HOST = Host(lambda name: b"", lambda name, raw: None, lambda said: None)


@pytest.mark.parametrize("at", ["begun", "opened", "leading"])
@pytest.mark.parametrize(
    ("step", "says"),
    [
        (lambda session: session.prove(b""), "that has joined"),
        (lambda session: session.task(Task(1, b""), HOST), "members of a cluster"),
        (lambda session: session.train(TrainStep(0, 1, 2, b""), HOST), "members of a cluster"),
    ],
)
def test_who_is_no_member_takes_no_part_of_ones(led: Led, at: str, step: Any, says: str) -> None:
    session = led.session if at == "leading" else make_session()
    if at == "opened":
        session.open(led.job.bundle())
    with pytest.raises(JobError, match=says):
        step(session)
    assert session.ended


def test_an_enclave_that_joined_takes_no_tasks_before_it_is_admitted(led: Led) -> None:
    members = Members(led.job, led.evidence, b=make_session())
    members.never_enter = {"b"}
    led.run(members)
    with pytest.raises(JobError, match="members of a cluster"):
        members.sessions["b"].task(Task(1, b""), HOST)
    assert members.sessions["b"].ended
