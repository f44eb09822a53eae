"""The key agent: answers for what was approved, once, through crashes and lies."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.memory_coordinator import MemoryCoordinator
from tests.support.party_jobs import (
    HOUR,
    NOW,
    SECOND,
    FakeEnclave,
    Pieces,
    contract_envelope,
    identity,
    make_manifest,
    payload_digest,
    simulation,
)

from mc2.attestation.simulated.root import SimulatedRoot
from mc2.attestation.verifiers import Verifiers
from mc2.client.agent import AgentNews, Answer, KeyAgent
from mc2.client.home import Home
from mc2.client.ledger import Ledger
from mc2.client.ledger_events import Approved, ContractAccepted, JobClosed, Rejected, Revoked
from mc2.crypto.digest import digest
from mc2.errors import (
    AppraisalError,
    ApprovalError,
    AttestationError,
    CoordinatorError,
    DatasetError,
    EvidenceError,
    GrantError,
    LedgerError,
    UsageError,
)
from mc2.formats.statement import Verified
from mc2.formats.status import JobState


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


class Owner:
    """A party with a home, who has approved one job."""

    def __init__(self, name, folder, coordinator, pieces):
        self.name, self.pieces = name, pieces
        home = Home.create(folder / name)
        self.clock = Clock()
        self.ledger = Ledger(home.ledger_file, identity(name).signing.public.key_id)
        self.ledger.begin(name, NOW - 24 * HOUR)
        contract = pieces.contract
        self.ledger.record(
            ContractAccepted(contract=contract.digest, name=contract.name, epoch=contract.epoch),
            NOW,
        )
        self.agent = KeyAgent(
            home=home,
            identity=identity(name),
            ledger=self.ledger,
            coordinator=coordinator,
            verifiers_for=lambda _: simulation(),
            clock=self.clock,
        )

    def approve(self, **changes):
        approval = self.pieces.approval(self.name, **changes)
        self.ledger.record(
            Approved(
                contract=approval.contract,
                plan=approval.plan,
                job_id=approval.job_id,
                proposed=NOW - HOUR,
                approval=approval.digest,
                max_attempts=approval.max_attempts,
                not_after=approval.not_after,
            ),
            NOW,
        )
        raw = approval.sign(identity(self.name).signing)
        self.agent.coordinator.approve(self.pieces.job_id, raw)

    def answer(self):
        return self.agent.answer_job(self.pieces.job_id)

    def granted(self):
        with self.ledger.open() as book:
            return set(book.state.jobs[self.pieces.job_id].grants)


class Room:
    """Ada and Bo, a job that both approved, and a coordinator that has started it."""

    def __init__(self, folder, *, pieces=None, approved=True):
        self.pieces = pieces or Pieces()
        self.coordinator = MemoryCoordinator()
        self.coordinator.put_contract(contract_envelope(self.pieces.contract))
        for manifest in self.pieces.manifests.values():
            self.coordinator.put_manifest(manifest.sign(identity(manifest.owner).signing))
        proposal = self.pieces.proposal().sign(identity("cy").signing)
        self.coordinator.propose(self.pieces.plan.encode(), proposal)
        self.ada = Owner("ada", folder, self.coordinator, self.pieces)
        self.bo = Owner("bo", folder, self.coordinator, self.pieces)
        if approved:
            self.ada.approve()
            self.bo.approve()
            self.coordinator.start(self.pieces.job_id)

    @property
    def job(self):
        return self.coordinator.stored[self.pieces.job_id]

    def challenge_all(self):
        assert self.ada.answer() is Answer.CHALLENGED
        assert self.bo.answer() is Answer.CHALLENGED


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


def test_answers_until_the_job_is_done(room):
    room.challenge_all()
    assert room.ada.answer() is Answer.GRANTED
    assert room.ada.answer() is Answer.NOTHING
    assert room.bo.answer() is Answer.GRANTED
    assert room.job.state is JobState.SUCCEEDED
    assert room.ada.answer() is Answer.OVER
    assert room.ada.granted() == room.bo.granted() == {1}


def test_keys_that_are_granted_are_right(room):
    room.challenge_all()
    room.ada.answer()
    keys = room.coordinator.workers[room.pieces.job_id].open_keys(room.job.grants["ada"])
    assert set(keys) == {"ada.visits"}


def test_does_nothing_before_the_job_runs(tmp_path):
    room = Room(tmp_path, approved=False)
    room.ada.approve()
    assert room.ada.answer() is Answer.NOTHING


def test_never_answers_for_a_job_that_was_not_approved_here(tmp_path):
    room = Room(tmp_path, approved=False)
    room.bo.approve()
    # The coordinator pretends that all is well, with an approval of an earlier time.
    approval = room.pieces.approval("ada").sign(identity("ada").signing)
    room.coordinator.approve(room.pieces.job_id, approval)
    room.coordinator.start(room.pieces.job_id)
    with pytest.raises(ApprovalError, match="not approved here"):
        room.ada.answer()
    assert room.ada.agent.approved_jobs() == []
    assert not room.job.challenges


@pytest.mark.parametrize("end", ["revoked", "rejected", "closed"])
def test_never_answers_after_an_end(room, end):
    room.challenge_all()
    job_id = room.pieces.job_id
    event = {
        "revoked": Revoked(job_id=job_id),
        "rejected": Rejected(job_id=job_id, rejection=digest(b"")),
        "closed": JobClosed(job_id=job_id, outcome="failed"),
    }[end]
    room.ada.ledger.record(event, NOW)
    assert room.ada.answer() is Answer.OVER
    assert not room.ada.granted()
    assert not room.job.grants


def test_a_restarted_agent_takes_up_its_challenge(room, tmp_path):
    room.challenge_all()
    room.ada.agent = replace(room.ada.agent, home=Home.open(tmp_path / "ada"))
    assert room.ada.answer() is Answer.GRANTED


def test_a_lost_grant_is_sent_again_and_never_made_again(room, monkeypatch):
    room.challenge_all()
    with monkeypatch.context() as patched:
        patched.setattr(room.coordinator, "put_grant", lost)
        with pytest.raises(CoordinatorError):
            room.ada.answer()
    assert room.ada.granted() == {1}
    assert room.ada.answer() is Answer.GRANTED
    with room.ada.ledger.open() as book:
        recorded = book.state.jobs[room.pieces.job_id].grants[1]
    assert payload_digest(room.job.grants["ada"]) == recorded.grant


def lost(*_):
    raise CoordinatorError("away")


@pytest.mark.parametrize("damage", [None, b"other"])
def test_a_grant_that_was_lost_at_home_is_never_replaced(room, monkeypatch, damage):
    room.challenge_all()
    with monkeypatch.context() as patched:
        patched.setattr(room.coordinator, "put_grant", lost)
        with pytest.raises(CoordinatorError):
            room.ada.answer()
    shelf, place = room.ada.agent.home.grants, f"{room.pieces.job_id}-1"
    if damage is None:
        shelf.remove(place)
    else:
        room.bo.answer()
        shelf.put(place, room.job.grants["bo"])
    with pytest.raises(GrantError, match="is lost"):
        room.ada.answer()
    assert "ada" not in room.job.grants


def test_a_challenge_that_lapsed_is_replaced_by_a_fresh_one(room):
    assert room.ada.answer() is Answer.CHALLENGED
    first = room.job.challenges["ada"]
    assert room.ada.answer() is Answer.NOTHING
    room.ada.clock.now = room.bo.clock.now = NOW + 300 * SECOND
    room.challenge_all()
    assert room.job.challenges["ada"] != first
    assert room.ada.answer() is Answer.GRANTED


def test_a_challenge_that_the_coordinator_lost_is_replaced(room):
    room.ada.answer()
    room.job.challenges.clear()
    assert room.ada.answer() is Answer.CHALLENGED


def test_a_challenge_that_the_agent_lost_is_replaced(room):
    room.ada.answer()
    room.ada.agent.home.challenges.remove(f"{room.pieces.job_id}-1")
    assert room.ada.answer() is Answer.CHALLENGED


def test_without_its_challenge_an_attempt_is_lost(room):
    room.challenge_all()
    room.ada.agent.home.challenges.remove(f"{room.pieces.job_id}-1")
    with pytest.raises(AttestationError, match="no challenge"):
        room.ada.answer()
    assert not room.ada.granted()


def test_evidence_that_is_not_there_yet_is_waited_for(room, monkeypatch):
    room.challenge_all()
    with monkeypatch.context() as patched:
        patched.setattr(room.coordinator, "evidence", lambda *_: None)
        assert room.ada.answer() is Answer.NOTHING
    assert room.ada.answer() is Answer.GRANTED


def test_an_away_coordinator_costs_nothing(room, monkeypatch):
    room.challenge_all()
    for name in ("job", "job_bundle", "evidence"):
        with monkeypatch.context() as patched:
            patched.setattr(room.coordinator, name, lost)
            with pytest.raises(CoordinatorError):
                room.ada.answer()
    assert room.ada.answer() is Answer.GRANTED


def test_a_refusal_is_recorded_and_the_attempt_is_over(room):
    room.coordinator.workers[room.pieces.job_id] = FakeEnclave(room.pieces, code="00" * 48)
    room.pieces.attempt = 1
    room.challenge_all()
    with pytest.raises(AppraisalError):
        room.ada.answer()
    assert room.ada.answer() is Answer.REFUSED
    with room.ada.ledger.open() as book:
        (refused,) = book.state.jobs[room.pieces.job_id].refusals
    assert refused.code == "appraisal"
    assert "MEASUREMENT" in refused.rules
    # The others hear of it at once, but not why.
    assert room.coordinator.refusals == [(room.pieces.job_id, 1, "appraisal")]
    # Good evidence for the same attempt comes too late: the nonce is used up.
    room.job.evidence = FakeEnclave(room.pieces).attest(room.job.challenges)
    assert room.ada.answer() is Answer.REFUSED
    # The next attempt is another matter.
    room.coordinator.next_attempt(room.pieces.job_id)
    room.challenge_all()
    assert room.ada.answer() is Answer.GRANTED
    assert room.ada.granted() == {2}


def test_a_simulation_gets_nothing_from_an_agent_that_was_not_told_to_accept_it(room):
    told = room.ada.agent
    room.ada.agent = replace(told, verifiers_for=lambda _: Verifiers())
    with pytest.raises(UsageError, match="nothing here verifies"):
        room.ada.answer()
    assert not room.job.challenges
    # Nor if it was told so once, and then started again without the flag.
    room.ada.agent = told
    room.challenge_all()
    room.ada.agent = replace(told, verifiers_for=lambda _: Verifiers())
    with pytest.raises(UsageError, match="nothing here verifies"):
        room.ada.answer()
    assert not room.ada.granted()
    # The forgotten flag has not cost the attempt.
    room.ada.agent = told
    assert room.ada.answer() is Answer.GRANTED


def test_another_deployment_s_simulation_gets_nothing(room):
    other = SimulatedRoot.make()
    room.coordinator.workers[room.pieces.job_id] = FakeEnclave(room.pieces, root=other)
    room.challenge_all()
    with pytest.raises(EvidenceError):
        room.ada.answer()
    assert not room.ada.granted()


def test_attempts_are_bounded_by_the_approval(room):
    for _ in range(3):
        room.challenge_all()
        assert room.ada.answer() is Answer.GRANTED
        room.coordinator.next_attempt(room.pieces.job_id)
    with pytest.raises(ApprovalError, match="3"):
        room.ada.answer()
    assert room.ada.granted() == {1, 2, 3}


# --- a coordinator that lies


def test_no_second_grant_if_the_coordinator_goes_back_in_time(room):
    room.challenge_all()
    room.ada.answer()
    first = room.job.grants["ada"]
    room.job.phase = "challenge"
    room.job.challenges.clear()
    room.job.grants.clear()
    assert room.ada.answer() is Answer.NOTHING
    room.job.phase = "grant"
    room.job.evidence = FakeEnclave(room.pieces).attest(
        {"ada": room.pieces.challenge("ada"), "bo": room.pieces.challenge("bo")}
    )
    assert room.ada.answer() is Answer.GRANTED
    assert room.job.grants["ada"] == first  # the same bytes, useless to the other enclave


def test_another_job_s_bundle_is_refused(tmp_path, room, monkeypatch):
    other = Room(tmp_path / "other")
    bundle = other.coordinator.job_bundle(other.pieces.job_id)
    monkeypatch.setattr(room.coordinator, "job_bundle", lambda _: bundle)
    with pytest.raises(CoordinatorError, match="another"):
        room.ada.answer()


def test_another_attempt_s_bundle_is_refused(room, monkeypatch):
    bundle = room.coordinator.job_bundle(room.pieces.job_id)
    room.coordinator.next_attempt(room.pieces.job_id)
    monkeypatch.setattr(room.coordinator, "job_bundle", lambda _: bundle)
    with pytest.raises(CoordinatorError, match="another"):
        room.ada.answer()


def test_another_job_s_status_is_refused(tmp_path, room, monkeypatch):
    other = Room(tmp_path / "other")
    status = other.coordinator.job(other.pieces.job_id)
    monkeypatch.setattr(room.coordinator, "job", lambda _: status)
    with pytest.raises(CoordinatorError, match="told of another"):
        room.ada.answer()


def test_evidence_of_another_job_is_refused(tmp_path, room):
    other = Room(tmp_path / "other")
    other.challenge_all()
    room.challenge_all()
    room.job.evidence = other.job.evidence
    with pytest.raises(AttestationError):
        room.ada.answer()
    assert not room.ada.granted()


def test_a_dataset_version_older_than_one_that_was_seen_gets_no_key(room):
    newer = make_manifest("ada.visits", 2)
    verified = Verified(newer, newer.digest, b"")
    room.ada.agent.home.see_manifests({"ada.visits": verified})
    with pytest.raises(DatasetError, match="older than version 2"):
        room.ada.answer()
    assert not room.job.challenges


def test_a_party_without_data_answers_nothing(tmp_path):
    room = Room(tmp_path)
    cy = Owner("cy", tmp_path, room.coordinator, room.pieces)
    approval = room.pieces.approval("cy")
    cy.ledger.record(
        Approved(
            contract=approval.contract,
            plan=approval.plan,
            job_id=approval.job_id,
            proposed=NOW,
            approval=approval.digest,
            max_attempts=1,
            not_after=approval.not_after,
        ),
        NOW,
    )
    assert cy.answer() is Answer.NOTHING


# --- the loop


class Stop:
    """Lets the loop go round a number of times."""

    def __init__(self, rounds):
        self.rounds = rounds

    def __call__(self):
        self.rounds -= 1
        return self.rounds < 0


def serve(owner, rounds):
    news: list[AgentNews] = []
    pauses: list[float] = []
    owner.agent.serve(news.append, Stop(rounds), pause=pauses.append)
    return news, pauses


def test_the_loop_looks_after_all_approved_jobs(room):
    serve(room.bo, 1)
    news, _ = serve(room.ada, 2)
    assert [n.answer for n in news] == [Answer.CHALLENGED, Answer.GRANTED]
    serve(room.bo, 1)
    assert room.job.state is JobState.SUCCEEDED


def test_the_loop_tells_an_error_once_and_goes_on(room):
    room.coordinator.workers[room.pieces.job_id] = FakeEnclave(room.pieces, code="00" * 48)
    room.bo.answer()
    news, _ = serve(room.ada, 5)
    assert [n.answer for n in news] == [Answer.CHALLENGED, None]
    assert isinstance(news[1].error, AppraisalError)


def test_the_loop_survives_a_coordinator_that_is_away(room, monkeypatch):
    monkeypatch.setattr(room.coordinator, "changes", lost)
    news, pauses = serve(room.ada, 3)
    assert len(pauses) == 3
    assert [n.job_id for n in news] == [""]


def test_the_loop_asks_for_no_job_that_it_was_told_of(room, monkeypatch):
    monkeypatch.setattr(room.coordinator, "job", lost)
    news, _ = serve(room.ada, 1)
    assert [n.answer for n in news] == [Answer.CHALLENGED]


def test_what_another_process_of_the_party_did_meanwhile_is_not_done_again(room, monkeypatch):
    """Both were told of the same event, and the other one was quicker."""
    job_id = room.pieces.job_id
    told = room.coordinator.job(job_id)
    room.challenge_all()
    with monkeypatch.context() as coordinator:
        coordinator.setattr(room.coordinator, "put_challenge", lost)
        assert room.ada.agent.answer_job(job_id, told) is Answer.GRANTED
    told = replace(told, phase="grant")
    monkeypatch.setattr(room.coordinator, "put_grant", lost)
    assert room.ada.agent.answer_job(job_id, told) is Answer.NOTHING


def test_the_loop_tries_again_what_failed(room, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(room.coordinator, "put_challenge", lost)
        assert [n.answer for n in serve(room.ada, 2)[0]] == [None]
    assert [n.answer for n in serve(room.ada, 1)[0]] == [Answer.CHALLENGED]


def test_jobs_that_are_over_cost_no_requests(room, monkeypatch):
    room.challenge_all()
    room.ada.answer(), room.bo.answer()
    assert room.job.state is JobState.SUCCEEDED
    for name in ("job", "job_bundle", "put_challenge", "put_grant"):
        monkeypatch.setattr(room.coordinator, name, lost)
    assert serve(room.ada, 4) == ([], [])


def test_the_loop_ends_without_a_sound_ledger(room):
    room.ada.agent.home.ledger_file.unlink()
    with pytest.raises(LedgerError):
        serve(room.ada, 3)
