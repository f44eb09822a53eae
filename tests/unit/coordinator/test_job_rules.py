"""Proposals, approvals, rejections: states move forward, and only members move them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.coordinator_world import ROLES, Clock, World, make_service

from mc2.coordinator.refusals import NotFoundError
from mc2.errors import (
    ApprovalError,
    ContractError,
    DatasetError,
    FormatError,
    JobError,
    SignatureError,
)
from mc2.formats.bundle import JobBundle
from mc2.formats.job import new_job_id
from mc2.formats.status import JobChanges, JobState

PAST = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def world():
    return World()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def access(tmp_path, clock):
    service = make_service(tmp_path, clock)
    yield service.for_party
    service.store.close()


# --- propose ---


def test_a_proposed_job_waits_for_the_owners(access, world):
    job_id = world.propose(access)
    status = access("ada").job(job_id)
    assert (status.state, status.phase, status.attempt) == (JobState.PROPOSED, "waiting", 0)
    assert status.missing == ("ada", "bo")
    assert status.proposer == "cy"
    assert access("bo").jobs() == [status]
    bundle = JobBundle.parse(access("ada").job_bundle(job_id))
    assert bundle.plan == world.plan.encode()
    assert bundle.manifests == {s.manifest.dataset: s.envelope for s in world.sealed.values()}
    assert (dict(bundle.approvals), bundle.attempt) == ({}, 1)


def test_all_members_approve_if_the_contract_says_so(access):
    world = World(approvers="members")
    job_id = world.propose(access)
    for name in ROLES:
        assert name in access("ada").job(job_id).missing
        access(name).approve(job_id, world.approval(name))
    assert access("ada").job(job_id).state is JobState.APPROVED


def test_the_same_proposal_again_is_no_error(access, world):
    world.propose(access)
    proposal = world.proposal()
    world.job_id = new_job_id()
    again = world.proposal()
    assert access("cy").propose(world.plan.encode(), again) == world.job_id
    event = access("cy").wait(None, 0, 0)
    assert access("cy").propose(world.plan.encode(), again) == world.job_id
    assert access("cy").wait(None, 0, 0) == event
    assert len(access("cy").jobs()) == 2
    assert proposal != again


def test_a_job_id_is_used_once(access, world):
    world.propose(access)
    world.plan = world.make_plan("another")
    with pytest.raises(JobError, match="another job of this id"):
        access("cy").propose(world.plan.encode(), world.proposal())


def test_only_an_analyst_proposes_and_in_his_own_name(access, world):
    world.propose(access)
    world.job_id = new_job_id()
    with pytest.raises(ContractError, match="not an analyst"):
        access("ada").propose(world.plan.encode(), world.proposal("ada"))
    with pytest.raises(JobError, match="another party"):
        access("ada").propose(world.plan.encode(), world.proposal("cy"))
    with pytest.raises(SignatureError):
        access("cy").propose(world.plan.encode(), world.proposal("cy", signer="ada"))
    with pytest.raises(NotFoundError):
        access("mallory").propose(world.plan.encode(), world.proposal("mallory"))


def test_a_proposal_is_for_its_plan(access, world):
    world.propose(access)
    proposal = world.proposal(job_id=new_job_id())
    with pytest.raises(JobError, match="another plan"):
        access("cy").propose(world.make_plan("swapped").encode(), proposal)


def test_a_plan_needs_a_contract_that_all_have_signed(access, world):
    world.enrol(access)
    world.upload(access)
    with pytest.raises(NotFoundError):
        access("cy").propose(world.plan.encode(), world.proposal())
    access("cy").put_contract(world.signed_contract("cy", "ada"))
    with pytest.raises(SignatureError, match="bo has not signed"):
        access("cy").propose(world.plan.encode(), world.proposal())


def test_no_proposal_after_the_contract_has_ended(access, world, clock):
    world.propose(access)
    clock.ahead = timedelta(days=365)
    world.job_id = new_job_id()
    with pytest.raises(ContractError, match="ended"):
        access("cy").propose(world.plan.encode(), world.proposal())


def test_a_plan_reads_what_is_here(access, world):
    world.enrol(access)
    access("cy").put_contract(world.signed_contract())
    with pytest.raises(DatasetError, match="not here"):
        access("cy").propose(world.plan.encode(), world.proposal())


def test_a_plan_reads_owners_data_only(access):
    world = World()
    members = tuple(
        replace(m, roles=("recipient",)) if m.name == "bo" else m for m in world.contract.members
    )
    world.contract = replace(world.contract, members=members)
    world.plan = world.make_plan()
    with pytest.raises(ContractError, match="bo is not an owner"):
        world.propose(access)


def test_a_plan_names_a_manifest_of_that_dataset(access, world):
    world.enrol(access)
    access("cy").put_contract(world.signed_contract())
    world.upload(access)
    swapped = tuple(
        replace(i, manifest=world.sealed["bo"].manifest.digest) if i.owner == "ada" else i
        for i in world.plan.inputs
    )
    world.plan = replace(world.plan, inputs=swapped)
    with pytest.raises(DatasetError, match=r"ada\.visits"):
        access("cy").propose(world.plan.encode(), world.proposal())


@pytest.mark.parametrize("plan", [b"", b"{}", b"[1]", b'{"type":"mc2/plan/v1"}'])
def test_junk_plans_are_refused(access, world, plan):
    world.enrol(access)
    with pytest.raises(FormatError):
        access("cy").propose(plan, world.proposal())


def test_outsiders_do_not_see_jobs(access, world):
    job_id = world.propose(access)
    assert access("mallory").jobs() == []
    for act in (
        lambda: access("mallory").job(job_id),
        lambda: access("mallory").job_bundle(job_id),
        lambda: access("mallory").rejections(job_id),
        lambda: access("mallory").start(job_id),
        lambda: access("mallory").cancel(job_id),
        lambda: access("mallory").proof(job_id),
        lambda: access("mallory").wait(job_id, 0, 0),
        lambda: access("mallory").approve(job_id, world.approval("mallory")),
        lambda: access("ada").job(new_job_id()),
    ):
        with pytest.raises(NotFoundError):
            act()


# --- approve ---


def test_the_last_approval_makes_the_job_approved(access, world):
    job_id = world.propose(access)
    access("ada").approve(job_id, world.approval("ada"))
    status = access("cy").job(job_id)
    assert (status.state, status.missing) == (JobState.PROPOSED, ("bo",))
    access("bo").approve(job_id, world.approval("bo"))
    status = access("cy").job(job_id)
    assert (status.state, status.approvals) == (JobState.APPROVED, ("ada", "bo"))


def test_an_approval_may_be_renewed_until_the_start(access, world):
    job_id = world.approve(access)
    newer = world.approval("ada", max_attempts=1)
    access("ada").approve(job_id, newer)
    assert JobBundle.parse(access("ada").job_bundle(job_id)).approvals["ada"] == newer
    access("cy").start(job_id)
    access("ada").approve(job_id, newer)  # the same again: no error, and nothing changes
    with pytest.raises(JobError, match="too late"):
        access("ada").approve(job_id, world.approval("ada", max_attempts=2))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"job_id": "00" * 16}, ApprovalError),
        ({"plan": "sha256:" + "0" * 64}, ApprovalError),
        ({"contract": "sha256:" + "0" * 64}, ApprovalError),
        ({"approver": "bo"}, SignatureError),
        ({"not_after": PAST}, ApprovalError),
        ({"signer": "bo"}, SignatureError),
        ({"signer": "mallory"}, SignatureError),
    ],
)
def test_other_approvals_do_not_count(access, world, changes, error):
    job_id = world.propose(access)
    with pytest.raises(error):
        access("ada").approve(job_id, world.approval("ada", **changes))
    assert access("ada").job(job_id).approvals == ()


def test_nobody_hands_in_the_approval_of_another(access, world):
    job_id = world.propose(access)
    with pytest.raises(ApprovalError, match="another party"):
        access("bo").approve(job_id, world.approval("ada"))


def test_an_approval_without_a_say_is_refused(access, world):
    job_id = world.propose(access)
    with pytest.raises(ApprovalError, match="no say"):
        access("cy").approve(job_id, world.approval("cy"))


# --- reject, cancel, start ---


def test_a_rejection_ends_the_job_and_gives_its_reason(access, world):
    job_id = world.approve(access)
    said = world.rejection("bo")
    access("bo").reject(job_id, said)
    access("bo").reject(job_id, said)
    status = access("cy").job(job_id)
    assert (status.state, status.rejections) == (JobState.REJECTED, ("bo",))
    assert status.error == "rejected by bo"
    assert access("cy").rejections(job_id) == [said]
    for act in (
        lambda: access("ada").reject(job_id, world.rejection("ada")),
        lambda: access("ada").approve(job_id, world.approval("ada", max_attempts=1)),
        lambda: access("cy").start(job_id),
        lambda: access("cy").cancel(job_id),
    ):
        with pytest.raises(JobError):
            act()
    assert access("cy").job(job_id) == status


def test_rejections_are_checked_like_approvals(access, world):
    job_id = world.propose(access)
    with pytest.raises(JobError, match="another party"):
        access("ada").reject(job_id, world.rejection("bo"))
    with pytest.raises(JobError, match="something else"):
        access("ada").reject(job_id, world.rejection("ada", job_id="00" * 16))
    assert access("cy").job(job_id).state is JobState.PROPOSED


def test_only_the_proposer_cancels(access, world):
    job_id = world.propose(access)
    with pytest.raises(JobError, match="only cy"):
        access("ada").cancel(job_id)
    access("cy").cancel(job_id)
    access("cy").cancel(job_id)
    status = access("cy").job(job_id)
    assert (status.state, status.phase) == (JobState.CANCELLED, "done")


def test_a_job_starts_once_it_is_approved(access, world):
    job_id = world.propose(access)
    with pytest.raises(JobError, match="not approved"):
        access("cy").start(job_id)
    for owner in ("ada", "bo"):
        access(owner).approve(job_id, world.approval(owner))
    assert access("ada").start(job_id) == 1
    assert access("cy").start(job_id) == 1
    status = access("cy").job(job_id)
    assert (status.state, status.attempt, status.phase) == (JobState.RUNNING, 1, "waiting")


def test_a_member_without_a_part_in_the_job_does_not_start_it(tmp_path):
    world = World()
    del world.sealed["bo"]
    world.plan = world.make_plan()
    service = make_service(tmp_path)
    job_id = world.approve(service.for_party)
    with pytest.raises(JobError, match="those who approve"):
        service.for_party("bo").start(job_id)
    service.store.close()


def test_a_lapsed_approval_must_be_renewed_before_the_start(access, world, clock):
    job_id = world.approve(access)
    clock.ahead = timedelta(hours=200)
    with pytest.raises(ApprovalError, match="by ada lapsed"):
        access("cy").start(job_id)
    for owner in ("ada", "bo"):
        later = (datetime.now(UTC) + timedelta(hours=300)).replace(microsecond=0)
        access(owner).approve(job_id, world.approval(owner, not_after=later))
    assert access("cy").start(job_id) == 1


def test_everything_is_there_after_a_restart(tmp_path, world):
    service = make_service(tmp_path)
    job_id = world.approve(service.for_party)
    before = [service.for_party(n).job(job_id) for n in ROLES]
    bundle, event = (
        service.for_party("ada").job_bundle(job_id),
        service.for_party("ada").wait(None, 0, 0),
    )
    service.store.close()
    again = make_service(tmp_path)
    assert [again.for_party(n).job(job_id) for n in ROLES] == before
    assert again.for_party("ada").job_bundle(job_id) == bundle
    assert again.for_party("ada").wait(None, 0, 0) == event
    again.store.close()


def test_waiting_returns_at_the_first_change(access, world):
    job_id = world.propose(access)
    seen = access("cy").wait(job_id, 0, 5)
    assert seen > 0
    assert access("cy").wait(job_id, seen, 0.05) == seen
    access("ada").approve(job_id, world.approval("ada"))
    assert access("cy").wait(job_id, seen, 5) > seen
    assert access("cy").wait(None, seen, 5) > seen


def test_changes_are_told_with_where_the_jobs_stand(access, world):
    job_id = world.propose(access)
    told = access("cy").changes(0, 5)
    assert told.jobs == (access("cy").job(job_id),)
    assert access("cy").changes(told.event, 0.05) == JobChanges(told.event, ())
    access("ada").approve(job_id, world.approval("ada"))
    assert access("cy").changes(told.event, 5).jobs == (access("cy").job(job_id),)
    assert access("mallory").changes(0, 0) == JobChanges(0, ())


def test_from_the_beginning_on_jobs_that_are_over_are_left_out(access, world):
    job_id = world.propose(access)
    before = access("cy").changes(0, 0)
    access("cy").cancel(job_id)
    assert access("cy").changes(0, 0).jobs == ()
    assert [s.state for s in access("cy").changes(before.event, 5).jobs] == [JobState.CANCELLED]


def test_many_changes_are_told_in_parts(access, world, monkeypatch):
    monkeypatch.setattr("mc2.coordinator.job_rules.STATUSES_AT_ONCE", 2)
    world.propose(access)
    for _ in range(4):
        world.job_id = new_job_id()
        access("cy").propose(world.plan.encode(), world.proposal())
    found, seen = [], 0
    for size in (2, 2, 1, 0):
        told = access("cy").changes(seen, 0)
        assert len(told.jobs) == size
        found += [s.job_id for s in told.jobs]
        seen = told.event
    assert found == [s.job_id for s in access("cy").jobs()]
