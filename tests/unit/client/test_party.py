"""A party's acts, from its first key to an opened result, with a coordinator that may lie."""

from __future__ import annotations

import csv
import threading
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.memory_coordinator import MemoryCoordinator
from tests.support.party_jobs import (
    HOUR,
    MEASUREMENT,
    MODEL,
    NOW,
    ROLES,
    ROOT,
    ROWS,
    SECOND,
    FakeEnclave,
    contract_envelope,
    identity,
    make_contract,
)

from mc2.attestation.simulated.report import KIND
from mc2.attestation.simulated.verifier import SimulatedVerifier
from mc2.client.agent import Answer
from mc2.client.contracts import join, read_contract_file, verified_contract
from mc2.client.datasets import dataset_name
from mc2.client.desk import Trust
from mc2.client.downloads import Destination
from mc2.client.home import Home
from mc2.client.party import Party
from mc2.client.results import OpenedModel, OpenedTable
from mc2.crypto.digest import digest
from mc2.errors import (
    ApprovalError,
    ContractError,
    CoordinatorError,
    DatasetError,
    FormatError,
    JobError,
    LedgerError,
    PlanError,
    PolicyError,
    ReceiptError,
    UsageError,
)
from mc2.formats.bundle import JobBundle
from mc2.formats.coordinator_file import CoordinatorFile
from mc2.formats.job import Proposal
from mc2.formats.manifest import UsagePolicy
from mc2.formats.status import JobNews, JobState
from mc2.plan.plan import Plan
from mc2.planner import script
from mc2.planner.script import compile_here

SCRIPT = """\
import mc2

job = mc2.Job("A test")
both = "SELECT age, ill FROM ada.visits UNION ALL SELECT age, ill FROM bo.visits"
data = mc2.xgboost.DMatrix(job.table("ada.visits"), job.table("bo.visits"), label="ill")
model = mc2.xgboost.train({"objective": "binary:logistic"}, data, num_boost_round=2)
job.release("rows", job.sql(both), to=["ada", "cy"])
job.release("model", model, to=["cy"])
"""

CONTRACT_TOML = f"""\
api_version = "mc2/contract/v1"
name = "trial"
epoch = 1
not_after = 2027-01-01T00:00:00Z
min_tier = "simulated"
approvers = "owners"
max_attempts = 3
members.ada = {{ card = "ada.card", roles = ["owner", "recipient"] }}
members.bo = {{ card = "bo.card", roles = ["owner"] }}
members.cy = {{ card = "cy.card", roles = ["analyst", "recipient"] }}

[attestation."{KIND}"]
root = "{ROOT.digest}"
measurements = ["{MEASUREMENT}"]
"""

_COMPILE_CONFINED = script.compile_script

SIMULATION = Trust(simulation=SimulatedVerifier)


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


class Room:
    """Three parties with homes, who share a coordinator."""

    def __init__(self, folder):
        self.folder = folder
        self.coordinator = MemoryCoordinator()
        self.clock = Clock()
        self.parties = {name: self.make(name) for name in ROLES}
        self.ada, self.bo, self.cy = self.parties.values()

    def make(self, name):
        home = Home.create(self.folder / name)
        party = Party(
            home,
            identity(name),
            trust=SIMULATION,
            coordinator=self.coordinator,
            clock=self.clock,
        )
        party.ledger.begin(name, NOW - HOUR)
        party.enrol(None, "welcome")
        return party

    def join_all(self):
        for name, party in self.parties.items():
            (self.folder / f"{name}.card").write_bytes(party.card())
        path = self.folder / "contract.toml"
        path.write_text(CONTRACT_TOML)
        return [party.join(read_contract_file(path)) for party in self.parties.values()]

    def with_data(self):
        self.join_all()
        for party in (self.ada, self.bo):
            party.upload(ROWS, "visits")
        return self

    def proposed(self):
        return self.with_data().cy.propose(SCRIPT, script_name="test.py").job_id

    def approved(self):
        job_id = self.proposed()
        for party in (self.ada, self.bo):
            party.approve(job_id, plan=party.review(job_id).job.plan.digest)
        return job_id

    def finished(self):
        job_id = self.approved()
        self.cy.coordinator.start(job_id)
        for _ in range(2):
            for party in (self.ada, self.bo):
                party.desk.agent().answer_job(job_id)
        assert self.coordinator.job(job_id).state is JobState.SUCCEEDED
        return job_id


@pytest.fixture(autouse=True)
def compile_quickly(monkeypatch):
    """Most tests are not about the confined process, which takes a second to start."""

    def compile_script(source, *, name, catalog, unsafe_unconfined=False):
        return compile_here(source, name=name, catalog=catalog)

    monkeypatch.setattr(script, "compile_script", compile_script)


@pytest.fixture
def confined(monkeypatch):
    """The real way of compiling, and the names of the scripts that took it."""
    taken = []

    def compile_script(source, *, name, **others):
        taken.append(name)
        return _COMPILE_CONFINED(source, name=name, **others)

    monkeypatch.setattr(script, "compile_script", compile_script)
    return taken


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


# --- the party itself


def test_makes_and_opens_a_party(tmp_path):
    party = Party.create(tmp_path / "home", "clinic_a", "Clinic A", clock=lambda: NOW)
    again = Party.open(tmp_path / "home")
    assert again.name == "clinic_a"
    assert again.identity.card == party.identity.card
    assert again.log()[0].event.party == "clinic_a"
    assert repr(again) == f"<Party clinic_a at {tmp_path / 'home'}>"
    with pytest.raises(UsageError, match="never overwritten"):
        Party.create(tmp_path / "home", "clinic_a", "Clinic A")


def test_opens_a_locked_party_by_its_passphrase(tmp_path):
    Party.create(tmp_path / "home", "clinic_a", "", passphrase="horse")
    assert Party.open(tmp_path / "home", ask_passphrase=lambda: "horse").name == "clinic_a"
    with pytest.raises(UsageError, match="locked"):
        Party.open(tmp_path / "home")


def test_a_bad_name_leaves_nothing_behind(tmp_path):
    with pytest.raises(FormatError):
        Party.create(tmp_path / "home", "Clinic A", "")
    assert not (tmp_path / "home" / "identity.json").exists()


def test_needs_no_coordinator_for_what_is_its_own(tmp_path):
    party = Party.create(tmp_path / "home", "clinic_a", "")
    party.card()
    party.log()
    with pytest.raises(UsageError, match="no coordinator"):
        party.status()


def test_remembers_the_coordinator_that_it_enrolled_with(tmp_path, monkeypatch):
    coordinator = MemoryCoordinator()
    party = Party.create(tmp_path / "home", "clinic_a", "", coordinator=coordinator)
    file = CoordinatorFile(
        url="https://localhost:1", certificate="x", fingerprint=digest(b""), invitation_file=""
    )
    party.enrol(file, "welcome")
    assert party.home.coordinator_file() == file
    assert [c.card.name for c in party.cards()] == ["clinic_a"]
    with pytest.raises(CoordinatorError):
        party.enrol(None, "wrong")


# --- contracts


def test_a_contract_is_in_force_when_all_have_signed(room):
    statuses = room.join_all()
    assert [s.missing for s in statuses] == [("bo", "cy"), ("cy",), ()]
    assert [s.complete for s in statuses] == [False, False, True]
    (status,) = room.ada.contracts()
    assert status.signed == ("ada", "bo", "cy")
    assert status.accepted
    assert verified_contract(room.ada.desk, status.digest).contract == status.contract


def test_joining_again_is_no_error(room):
    room.join_all()
    assert room.join_all()[0].complete


def test_nothing_happens_before_all_have_signed(room):
    contract = make_contract()
    join(room.cy.desk, contract)
    with pytest.raises(ContractError, match="has not signed"):
        room.cy.propose(SCRIPT, script_name="test.py")


def test_a_simulation_is_not_joined_by_accident(room):
    room.ada._trust = Trust()
    with pytest.raises(UsageError, match="simulated") as refused:
        room.ada.join(make_contract())
    assert "--unsafe-simulation" in refused.value.hint
    assert len(room.ada.log()) == 1


def test_a_contract_with_another_card_of_one_s_own_is_refused(room):
    contract = make_contract()
    twin = replace(contract.members[0].card, organisation="Somebody")
    members = (replace(contract.members[0], card=twin), *contract.members[1:])
    with pytest.raises(ContractError, match="another card"):
        room.ada.join(make_contract(members=members))


def test_a_contract_of_others_or_of_the_past_is_refused(room):
    with pytest.raises(ContractError, match="not a member"):
        room.ada.join(make_contract(members=make_contract().members[1:]))
    with pytest.raises(ContractError, match="ended"):
        room.ada.join(make_contract(not_after=NOW - SECOND))


def test_an_older_epoch_is_refused(room):
    room.ada.join(make_contract(epoch=3))
    with pytest.raises(ContractError, match="not newer"):
        room.ada.join(make_contract(epoch=2))


def test_a_forged_signature_on_a_contract_does_not_count(room):
    contract = make_contract()
    room.ada.join(contract)
    forged = contract_envelope(contract, ("ada",)).replace(
        identity("ada").signing.public.key_id.encode(),
        identity("bo").signing.public.key_id.encode(),
    )
    room.coordinator.agreed[contract.digest] = forged
    (status,) = room.ada.contracts()
    assert status.signed == ()


def test_another_contract_than_asked_for_is_noticed(room):
    room.join_all()
    (name,) = room.coordinator.agreed
    other = make_contract(epoch=9)
    room.coordinator.agreed[name] = contract_envelope(other)
    with pytest.raises(CoordinatorError, match="another one came"):
        room.ada.contracts()


def test_leaving_a_contract_ends_everything_under_it(room):
    job_id = room.approved()
    room.ada.leave("trial")
    room.cy.coordinator.start(job_id)
    with pytest.raises(ContractError, match="has left"):
        room.ada.review(job_id)
    with pytest.raises(ContractError):
        room.ada.desk.agent().answer_job(job_id)
    assert room.ada.desk.agent().approved_jobs() == []


def test_which_contract_must_be_said_where_there_are_two(room):
    room.with_data()
    room.ada.join(make_contract(name="other"))
    with pytest.raises(UsageError, match="more than one"):
        room.ada.datasets()
    assert set(room.ada.datasets("trial")) == {"ada.visits", "bo.visits"}


# --- data


def test_uploads_sealed_versions(room):
    room.join_all()
    first = room.ada.upload(ROWS, "visits")
    second = room.ada.upload(ROWS.slice(0, 1), "ada.visits")
    assert (first.manifest.version, second.manifest.version) == (1, 2)
    assert first.manifest.dataset_id == second.manifest.dataset_id
    assert room.bo.datasets()["ada.visits"].value == second.manifest
    assert not list(room.ada.home.outbox.glob("*/manifest.json"))


def test_datasets_of_others_cannot_be_uploaded(room):
    with pytest.raises(UsageError, match="another party"):
        room.ada.upload(ROWS, "bo.visits")
    with pytest.raises(FormatError):
        dataset_name("ada", "My Visits")


def test_an_upload_that_broke_off_is_ended_without_sealing_again(room, monkeypatch):
    room.join_all()
    with monkeypatch.context() as patched:
        patched.setattr(room.coordinator, "put_manifest", away)
        with pytest.raises(CoordinatorError):
            room.ada.upload(ROWS, "visits")
    (manifest,) = room.ada.resume_uploads()
    assert manifest.version == 1
    assert room.ada.resume_uploads() == []
    assert set(room.ada.datasets()) == {"ada.visits"}
    assert room.ada.upload(ROWS, "visits").manifest.version == 2


def test_a_new_table_takes_the_place_of_one_that_was_not_published(room, monkeypatch):
    room.join_all()
    with monkeypatch.context() as patched:
        patched.setattr(room.coordinator, "put_blob", away)
        with pytest.raises(CoordinatorError):
            room.ada.upload(ROWS, "visits")
    sealed = room.ada.upload(ROWS.slice(0, 2), "visits")
    assert (sealed.manifest.version, sealed.rows) == (1, 2)


def away(*_):
    raise CoordinatorError("away")


def test_a_rolled_back_dataset_is_noticed(room):
    room.join_all()
    old = room.ada.upload(ROWS, "visits")
    room.bo.upload(ROWS, "visits")
    room.ada.upload(ROWS.slice(0, 1), "visits")
    room.cy.propose(SCRIPT, script_name="test.py")
    room.coordinator.manifests = {
        n: m
        for n, m in room.coordinator.manifests.items()
        if n == old.digest or b"bo" in n.encode()
    }
    with pytest.raises(DatasetError, match="older than version 2"):
        room.cy.datasets()


def test_a_manifest_in_another_s_place_is_noticed(room):
    room.with_data()
    names = list(room.coordinator.manifests)
    listed = room.coordinator.datasets()
    room.coordinator.manifests = dict(
        zip(names, reversed(room.coordinator.manifests.values()), strict=True)
    )
    room.coordinator.datasets = lambda: listed
    with pytest.raises(CoordinatorError, match="has another"):
        room.cy.datasets()


# --- propose


def test_a_proposal_is_over_the_newest_data_and_signed(room):
    room.with_data()
    newest = room.ada.upload(ROWS, "visits")
    proposed = room.cy.propose(SCRIPT, script_name="test.py", note="monthly")
    reviewed = room.ada.review(proposed.job_id)
    assert reviewed.job.plan == proposed.plan
    assert reviewed.job.manifests["ada.visits"].digest == newest.digest
    assert reviewed.job.proposal.value.note == "monthly"
    assert reviewed.review.tier == "simulated"
    assert reviewed.review.objections == ()


def test_a_script_can_be_compiled_for_oneself(room):
    room.with_data()
    plan = room.ada.compile(SCRIPT, script_name="test.py")
    assert plan == room.cy.propose(SCRIPT, script_name="test.py").plan
    assert len(room.cy.status()) == 1


def test_only_analysts_propose(room):
    room.with_data()
    with pytest.raises(ContractError, match="no analyst"):
        room.ada.propose(SCRIPT, script_name="test.py")


def test_a_script_that_is_wrong_reaches_nobody(room):
    room.with_data()
    with pytest.raises(PlanError, match="line"):
        room.cy.propose(SCRIPT + "open('/etc/passwd')\n", script_name="test.py")
    assert room.coordinator.stored == {}


def test_what_a_policy_forbids_reaches_nobody(room):
    room.join_all()
    room.ada.upload(ROWS, "visits", policy=UsagePolicy(recipients=("ada",)))
    room.bo.upload(ROWS, "visits")
    with pytest.raises(PolicyError, match="does not allow cy"):
        room.cy.propose(SCRIPT, script_name="test.py")
    assert room.coordinator.stored == {}


def test_a_note_has_an_end(room):
    room.with_data()
    with pytest.raises(FormatError, match="longer"):
        room.cy.propose(SCRIPT, script_name="test.py", note="x" * 5000)


# --- review


def test_a_review_shows_what_changed_since_the_last_approval(room):
    job_id = room.approved()
    assert room.ada.review(job_id).review.changes is None
    changed = SCRIPT.replace("num_boost_round=2", "num_boost_round=3")
    again = room.cy.propose(changed, script_name="test.py").job_id
    changes = room.ada.review(again).review.changes
    assert changes
    assert any("3" in line for line in changes)


def test_another_job_than_asked_for_is_noticed(room):
    one = room.proposed()
    two = room.cy.propose(SCRIPT, script_name="test.py").job_id
    room.coordinator.stored[one] = room.coordinator.stored[two]
    with pytest.raises(CoordinatorError, match="another"):
        room.ada.review(one)


# --- approve


def approve(party, job_id, **terms):
    return party.approve(job_id, plan=party.review(job_id).job.plan.digest, **terms)


def test_scripts_are_compiled_in_a_confined_process(room, confined):
    job_id = room.proposed()
    approve(room.ada, job_id)
    assert len(confined) == 2


def test_an_approval_is_recorded_kept_and_handed_in(room):
    job_id = room.proposed()
    approval = approve(room.ada, job_id, max_attempts=2, not_after=NOW + HOUR)
    assert approval.value.max_attempts == 2
    assert approval.value.not_after == NOW + HOUR
    assert room.coordinator.stored[job_id].approvals["ada"] == approval.envelope
    assert room.ada.home.approvals.get(job_id) == approval.envelope
    with room.ada.ledger.open() as book:
        assert book.state.jobs[job_id].approved.approval == approval.digest


def test_an_approval_lasts_a_week_and_as_many_attempts_as_the_contract_has(room):
    approval = approve(room.ada, room.proposed()).value
    assert approval.not_after == NOW + timedelta(days=7)
    assert approval.max_attempts == 3


def test_an_approval_can_be_renewed(room):
    job_id = room.proposed()
    approve(room.ada, job_id)
    room.clock.now = NOW + timedelta(days=8)
    approve(room.ada, job_id)
    approve(room.bo, job_id)
    room.cy.coordinator.start(job_id)
    assert room.ada.desk.agent().answer_job(job_id) is Answer.CHALLENGED


def test_a_plan_that_was_swapped_after_the_review_is_not_approved(room):
    job_id = room.proposed()
    with pytest.raises(ApprovalError, match="not the one that was reviewed"):
        room.ada.approve(job_id, plan=digest(b"another plan"))
    assert "ada" not in room.coordinator.stored[job_id].approvals


def test_what_was_checked_is_what_is_kept(room, monkeypatch):
    job_id = room.proposed()
    plan = room.ada.review(job_id).job.plan
    bundles = [room.coordinator.job_bundle(job_id), b"{}"]
    monkeypatch.setattr(room.coordinator, "job_bundle", lambda _: bundles.pop(0))
    room.ada.approve(job_id, plan=plan.digest)
    assert JobBundle.parse(room.ada.home.jobs.get(job_id)).plan == plan.encode()


def test_a_plan_that_does_not_follow_from_its_script_is_not_approved(room):
    """The proposer changed the plan by hand: more leaves than the script says."""
    room.with_data()
    proposed = room.cy.propose(SCRIPT, script_name="test.py")
    job = room.coordinator.stored.pop(proposed.job_id)
    plan = Plan.parse(job.plan)
    outputs = tuple(
        replace(o, recipients=("ada", "cy")) if o.name == "model" else o for o in plan.outputs
    )
    altered = replace(plan, outputs=outputs)
    bundle = JobBundle.parse(room.cy.home.jobs.get(proposed.job_id))
    said = Proposal.verify(bundle.proposal, make_contract().key_of).value
    signed = replace(said, plan=altered.digest).sign(identity("cy").signing)
    room.coordinator.propose(altered.encode(), signed)
    with pytest.raises(PlanError, match="compiles to another plan") as refused:
        approve(room.ada, proposed.job_id)
    assert "do not approve" in refused.value.hint
    assert len(room.ada.desk.agent().approved_jobs()) == 0


def test_an_approver_s_own_script_must_be_the_plan_s(room):
    job_id = room.proposed()
    approve(room.ada, job_id, script=SCRIPT)
    with pytest.raises(PlanError, match="another script"):
        approve(room.bo, job_id, script=SCRIPT + "# something else\n")


def test_who_has_no_say_cannot_approve(room):
    job_id = room.proposed()
    with pytest.raises(ApprovalError, match="no say"):
        approve(room.cy, job_id)


def test_a_simulation_is_not_approved_by_accident(room):
    job_id = room.proposed()
    room.ada = Party(room.ada.home, identity("ada"), coordinator=room.coordinator, clock=room.clock)
    with pytest.raises(UsageError, match="simulated"):
        approve(room.ada, job_id)


@pytest.mark.parametrize(
    "terms",
    [
        {"max_attempts": 4},
        {"max_attempts": -1},
        {"not_after": NOW},
        {"not_after": NOW + timedelta(days=9999)},
    ],
)
def test_terms_stay_within_the_contract(room, terms):
    job_id = room.proposed()
    with pytest.raises(UsageError):
        approve(room.ada, job_id, **terms)


def test_nothing_is_approved_without_a_ledger(room):
    job_id = room.proposed()
    plan = room.ada.review(job_id).job.plan.digest
    room.ada.home.ledger_file.unlink()
    with pytest.raises(LedgerError):
        room.ada.approve(job_id, plan=plan)
    assert room.coordinator.stored[job_id].approvals == {}


def test_a_new_ledger_approves_only_what_was_proposed_after_it(room):
    job_id = room.proposed()
    room.ada.home.ledger_file.unlink()
    room.clock.now = NOW + HOUR
    room.ada.new_ledger()
    room.join_all()
    with pytest.raises(ApprovalError, match="took the place of a lost one"):
        approve(room.ada, job_id)
    room.clock.now = NOW + 2 * HOUR
    approve(room.ada, room.cy.propose(SCRIPT, script_name="test.py").job_id)


def test_an_approval_of_an_older_version_of_one_s_own_data_is_refused(room):
    job_id = room.proposed()
    room.ada.upload(ROWS, "visits")
    with pytest.raises(DatasetError, match="older than version 2"):
        approve(room.ada, job_id)


# --- reject and revoke


def test_a_rejection_ends_the_job_and_says_why(room):
    job_id = room.proposed()
    room.ada.reject(job_id, "too many columns")
    (said,) = room.cy.rejections(job_id)
    assert (said.member, said.reason) == ("ada", "too many columns")
    with pytest.raises(LedgerError, match="rejected here before"):
        approve(room.ada, job_id)
    room.ada.reject(job_id, "again")
    with pytest.raises(JobError, match="rejected by ada"):
        room.cy.run(job_id)


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_rejection_has_a_reason(room, reason):
    with pytest.raises(UsageError, match="reason"):
        room.ada.reject(room.proposed(), reason)


def test_a_rejection_that_the_coordinator_hides_still_stops_the_keys(room, monkeypatch):
    job_id = room.approved()
    with monkeypatch.context() as patched:
        patched.setattr(room.coordinator, "reject", away)
        with pytest.raises(CoordinatorError):
            room.ada.reject(job_id, "no")
    room.cy.coordinator.start(job_id)
    assert room.ada.desk.agent().answer_job(job_id) is Answer.OVER
    assert room.coordinator.stored[job_id].challenges == {}
    room.ada.reject(job_id, "no")
    assert len(room.cy.rejections(job_id)) == 1


def test_revoking_needs_nobody(room):
    job_id = room.approved()
    room.ada._given = None
    room.ada.revoke(job_id)
    assert room.ada.desk.agent().approved_jobs() == []
    with pytest.raises(LedgerError):
        room.ada.revoke(job_id)


# --- run


def test_runs_a_job_to_its_end(room):
    job_id = room.approved()
    other = threading.Thread(target=serve_until_done, args=(room.bo, job_id))
    other.start()
    seen = []
    status = room.ada.run(job_id, watch=seen.append)
    other.join()
    assert status.state is JobState.SUCCEEDED
    assert seen[-1] == status
    assert len(seen) == len({repr(s) for s in seen})


def serve_until_done(party, job_id):
    for _ in range(10_000):
        status = party.coordinator.job(job_id)
        if status.state is JobState.SUCCEEDED:
            return
        if status.state is JobState.RUNNING:
            party.desk.agent().answer_job(job_id)


def test_says_whom_a_job_waits_for_when_time_runs_out(room):
    job_id = room.proposed()
    approve(room.ada, job_id)

    def tick(job_id, _seen, seconds):
        if seconds:
            room.clock.now += 60 * SECOND
        return JobNews(1, room.coordinator.job(job_id))

    room.coordinator.news = tick
    with pytest.raises(JobError, match="waits for bo"):
        room.ada.run(job_id, timeout=timedelta(minutes=5))
    approve(room.bo, job_id)
    with pytest.raises(JobError, match="waits for bo"):
        room.ada.run(job_id, timeout=timedelta(minutes=1))


@pytest.mark.parametrize(
    ("state", "match"), [(JobState.FAILED, "failed"), (JobState.CANCELLED, "cancelled")]
)
def test_says_how_a_job_ended(room, state, match):
    job_id = room.approved()
    room.coordinator.stored[job_id].state = state
    room.coordinator.stored[job_id].error = "the worker is gone"
    with pytest.raises(Exception, match=f"{match}: the worker is gone"):
        room.cy.run(job_id)


def test_an_attempt_that_was_refused_is_not_waited_for(room):
    job_id = room.approved()
    room.coordinator.enclave = lambda pieces: FakeEnclave(pieces, code="00" * 48)
    room.cy.coordinator.start(job_id)
    for party in (room.ada, room.bo):
        party.desk.agent().answer_job(job_id)
    with pytest.raises(Exception, match="MEASUREMENT"):
        room.ada.run(job_id)
    with pytest.raises(JobError, match="refused here before"):
        room.ada.run(job_id)


def test_status_is_of_the_job_that_was_asked_for(room):
    one = room.proposed()
    two = room.cy.propose(SCRIPT, script_name="test.py").job_id
    assert [s.job_id for s in room.ada.status()] == [one, two]
    assert [s.job_id for s in room.ada.status(two)] == [two]
    other = room.coordinator.job(one)
    room.coordinator.job = lambda _: other
    with pytest.raises(CoordinatorError):
        room.ada.status(two)
    room.cy.cancel(one)


def test_the_agent_serves_through_the_party(room):
    job_id = room.approved()
    room.cy.coordinator.start(job_id)
    for party in (room.ada, room.bo, room.ada, room.bo):
        rounds = iter([False, True])
        party.serve(lambda _: None, lambda rounds=rounds: next(rounds))
    assert room.coordinator.job(job_id).state is JobState.SUCCEEDED


# --- results


def test_downloads_what_is_for_this_party(room, tmp_path):
    job_id = room.finished()
    told = []
    done = room.cy.download(job_id, Destination(tmp_path / "out"), told=told.append)
    assert told == [done.job]
    assert {n: p.name for n, p in done.files.items()} == {
        "model": "model.json",
        "rows": "rows.parquet",
    }
    assert done.files["model"].read_bytes() == MODEL
    assert pq.read_table(done.files["rows"]).equals(ROWS)
    for path in done.files.values():
        assert path.stat().st_mode & 0o777 == 0o600
    ada = room.ada.download(job_id, Destination(tmp_path / "ada", ".csv"))
    with ada.files["rows"].open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["age", "ill"], ["40", "0"], ["50", "1"], ["60", "1"]]


def test_nothing_is_overwritten_unasked(room, tmp_path):
    job_id = room.finished()
    room.cy.download(job_id, Destination(tmp_path / "out"))
    with pytest.raises(UsageError, match="exists"):
        room.cy.download(job_id, Destination(tmp_path / "out"))
    room.cy.download(job_id, Destination(tmp_path / "out", overwrite=True), only=("model",))
    with pytest.raises(UsageError, match="written as"):
        Destination(tmp_path, ".xlsx")


def test_opens_results_in_memory(room):
    opened = room.cy.results(room.finished())
    assert opened["model"] == OpenedModel(MODEL)
    assert isinstance(opened["rows"], OpenedTable)
    assert isinstance(opened["rows"].table, pa.Table)


def test_who_receives_nothing_opens_nothing(room):
    with pytest.raises(UsageError, match="nothing of job"):
        room.bo.results(room.finished())


def test_a_verified_job_is_closed_in_the_ledger(room):
    job_id = room.finished()
    room.ada.verify_job(job_id)
    assert room.ada.desk.agent().approved_jobs() == []
    room.ada.verify_job(job_id)


def test_a_proof_of_another_plan_in_the_same_job_is_refused(room):
    """The proposer signs two plans for one job, and shows each party its own."""
    job_id = room.finished()
    other = Plan.parse(JobBundle.parse(room.cy.home.jobs.get(job_id)).plan)
    bundle = replace(
        JobBundle.parse(room.ada.home.jobs.get(job_id)),
        plan=replace(other, title="Another").encode(),
    )
    room.ada.home.jobs.put(job_id, bundle.encode())
    with pytest.raises(ReceiptError, match="another plan"):
        room.ada.verify_job(job_id)


def test_a_proof_of_another_job_is_refused(room):
    one = room.finished()
    two = room.cy.propose(SCRIPT, script_name="test.py").job_id
    room.coordinator.stored[two].proof = room.coordinator.stored[one].proof
    with pytest.raises(ReceiptError, match="another job"):
        room.cy.verify_job(two)


def test_a_result_that_was_altered_at_the_coordinator_is_never_written(room, tmp_path):
    job_id = room.finished()
    for name in room.coordinator.workers[job_id].blobs:
        room.coordinator.blobs[name] += b"\0"
    with pytest.raises(ReceiptError, match="does not open"):
        room.cy.download(job_id, Destination(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_job_under_a_contract_of_strangers_is_not_believed(room):
    job_id = room.finished()
    status = replace(room.coordinator.job(job_id), contract=digest(b"strangers"))
    room.coordinator.job = lambda _: status
    with pytest.raises(ContractError, match="not signed"):
        room.cy.verify_job(job_id)


def test_verifies_a_proof_from_a_file_offline(room):
    job_id = room.finished()
    room.cy.verify_job(job_id)
    raw = room.cy.home.proofs.get(job_id)
    auditor = Party(room.ada.home, identity("ada"), trust=SIMULATION)
    verified = auditor.verify(raw)
    assert verified.context.job_id == job_id
    assert any("SIMULATED" in w for w in verified.warnings)
    contract = verified.context.contract
    stranger = Party.create(room.folder / "stranger", "zoe", "", trust=SIMULATION)
    with pytest.raises(ContractError):
        stranger.verify(raw)
    assert stranger.verify(raw, contract).context.job_id == job_id
    with pytest.raises(ReceiptError, match="another contract"):
        stranger.verify(raw, digest(b"another"))


def test_a_proof_needs_the_flag_too(room):
    job_id = room.finished()
    room.cy.verify_job(job_id)
    raw = room.cy.home.proofs.get(job_id)
    with pytest.raises(ReceiptError, match="V2") as refused:
        Party(room.ada.home, identity("ada")).verify(raw)
    assert "--unsafe-simulation" in refused.value.hint


def test_the_flag_alone_is_not_enough(room):
    """A contract that demands hardware gets no verifier of simulations, flag or not."""
    assert SIMULATION.verifiers_for(make_contract()).kinds == (KIND,)
    assert SIMULATION.verifiers_for(make_contract(min_tier="hardware-cvm")).kinds == ()
    assert Trust().verifiers_for(make_contract()).kinds == ()


def test_a_proof_that_is_none(room):
    room.join_all()
    with pytest.raises(FormatError):
        room.ada.verify(b"{}")


def test_a_job_of_the_future_is_not_approved(room):
    """Otherwise it would be younger than any ledger that takes the place of a lost one."""
    room.with_data()
    room.clock.now = NOW + HOUR
    job_id = room.cy.propose(SCRIPT, script_name="test.py").job_id
    room.clock.now = NOW
    plan = room.ada.review(job_id).job.plan.digest
    with pytest.raises(ApprovalError, match="still to come") as refused:
        room.ada.approve(job_id, plan=plan)
    assert "clock" in refused.value.hint
    room.clock.now = NOW + HOUR - 5 * 60 * SECOND
    room.ada.approve(job_id, plan=plan)
