"""Jobs before they run: propose, review, approve, reject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from mc2.client.contracts import find_contract, verified_contract
from mc2.client.datasets import newest_datasets
from mc2.client.desk import Desk
from mc2.client.kept import check_kept, kept_results
from mc2.client.ledger_events import Approved, Rejected, Revoked
from mc2.client.ledger_rules import CLOCK_SKEW
from mc2.client.review import review_plan
from mc2.client.review_parts import Review
from mc2.crypto.digest import Digest, same_digest
from mc2.errors import (
    ApprovalError,
    ContractError,
    CoordinatorError,
    FormatError,
    PlanError,
    UsageError,
)
from mc2.formats.bundle import JobBundle
from mc2.formats.contract import Contract, VerifiedContract
from mc2.formats.fields import to_time
from mc2.formats.job import Approval, Proposal, Rejection, new_job_id
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import Manifest
from mc2.formats.result import KEPT, Result
from mc2.formats.statement import Verified
from mc2.plan.check import check_plan
from mc2.plan.plan import Plan
from mc2.plan.rules import check_against
from mc2.plan.signed_job import SignedJob, verify_signed_job

APPROVAL_TIME: Final = timedelta(days=7)
"""How long an approval holds unless the approver says otherwise."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """A job that waits for approvals."""

    job_id: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A job as its signed objects say it, and the same in words."""

    job: SignedJob
    review: Review


def compile_plan(desk: Desk, source: str, *, script_name: str, contract: str = "") -> Plan:
    """Compile a script over the newest datasets, for oneself alone.

    Raises: PlanError, ContractError, DatasetError, CoordinatorError.
    """
    agreed = verified_contract(desk, find_contract(desk, contract))
    available = newest_datasets(desk, agreed.contract)
    kept = _kept_for(desk, source, agreed)
    return _compile(desk, source, script_name, agreed, available, kept)


def propose(
    desk: Desk, source: str, *, script_name: str, contract: str = "", note: str = ""
) -> Proposed:
    """Compile a script over the newest datasets and ask the owners for one run of it.

    Raises: PlanError, ContractError, PolicyError, DatasetError, CoordinatorError.
    """
    agreed = verified_contract(desk, find_contract(desk, contract))
    if "analyst" not in agreed.contract.member(desk.name).roles:
        raise ContractError(
            f"{desk.name} is no analyst of {agreed.contract.name}, and cannot propose",
            hint="let a member with the role analyst propose it",
        )
    available = newest_datasets(desk, agreed.contract)
    there = _kept_for(desk, source, agreed)
    plan = _compile(desk, source, script_name, agreed, available, there)
    inputs = {i.dataset: available[i.dataset] for i in plan.inputs if i.kept is None}
    kept = {i.dataset: there[i.dataset] for i in plan.inputs if i.kept is not None}
    # What would be refused later by all is refused here, before anybody is asked.
    values = {name: manifest.value for name, manifest in inputs.items()}
    check_against(check_plan(plan), agreed.contract, values, desk.clock(), kept)
    proposal = Proposal(
        contract=agreed.digest,
        plan=plan.digest,
        job_id=new_job_id(),
        proposer=desk.name,
        created=desk.clock(),
        note=_short(note, "the note"),
    )
    signed = proposal.sign(desk.identity.signing)
    desk.home.see_manifests(inputs)
    if desk.coordinator.propose(plan.encode(), signed) != proposal.job_id:
        raise CoordinatorError("the coordinator gave the job another id than its own")
    bundle = JobBundle(
        contract=agreed.envelope,
        plan=plan.encode(),
        proposal=signed,
        approvals={},
        manifests={name: manifest.envelope for name, manifest in inputs.items()},
        kept={name: result.encode() for name, result in kept.items()},
        attempt=1,
    )
    desk.home.jobs.put(proposal.job_id, bundle.encode())
    return Proposed(proposal.job_id, plan)


def _kept_for(desk: Desk, source: str, agreed: VerifiedContract) -> dict[str, Result]:
    """What a script may read of kept results; a script without the word reads none."""
    return kept_results(desk, agreed.digest) if KEPT in source else {}


def _compile(  # the script, and all that it may refer to
    desk: Desk,
    source: str,
    script_name: str,
    agreed: VerifiedContract,
    manifests: Mapping[str, Verified[Manifest]],
    kept: Mapping[str, Result],
) -> Plan:
    from mc2.planner.catalog import Catalog
    from mc2.planner.script import compile_script

    by_digest = {manifest.digest: manifest.value for manifest in manifests.values()}
    catalog = Catalog.of(agreed.contract, by_digest, kept)
    return compile_script(
        source, name=script_name, catalog=catalog, unsafe_unconfined=desk.unconfined
    )


def load_job(desk: Desk, job_id: str) -> SignedJob:
    """A job as people signed it, under a contract that this party takes part in.

    Raises: CoordinatorError if it is another job; whatever is wrong with the signed objects.
    """
    job = verify_signed_job(JobBundle.parse(desk.coordinator.job_bundle(job_id)))
    if job.context.job_id != job_id:
        raise CoordinatorError(
            f"asked for job {job_id}, the coordinator handed over another",
            hint="ask its operator; nothing was signed",
        )
    with desk.ledger.open() as book:
        book.state.check_in_force(job.contract.digest)
    check_kept(desk, job)
    return job


def review(desk: Desk, job_id: str) -> Reviewed:
    """Say what a job reads, computes and releases, and what differs from the last one approved.

    Raises: what `load_job` raises.
    """
    job = load_job(desk, job_id)
    said = review_plan(
        job.checked,
        job.members,
        {name: manifest.value for name, manifest in job.manifests.items()},
        at=desk.clock(),
        earlier=_earlier_plan(desk, job),
        kept=job.kept,
    )
    return Reviewed(job, said)


def _earlier_plan(desk: Desk, job: SignedJob) -> Plan | None:
    """The plan of the same script that this party approved last, if it kept one."""
    with desk.ledger.open() as book:
        approved = [j for j, record in book.state.jobs.items() if record.approved is not None]
    for job_id in reversed(approved):
        kept = desk.home.jobs.get(job_id)
        if kept is None or job_id == job.context.job_id:
            continue
        plan = Plan.parse(JobBundle.parse(kept).plan)
        if plan.script_name == job.plan.script_name:
            return plan
    return None


def approve(
    desk: Desk,
    job_id: str,
    *,
    plan: Digest,
    script: str | None = None,
    not_after: datetime | None = None,
    max_attempts: int = 0,
) -> Verified[Approval]:
    """Sign that one job may run, until a moment and so many times.

    `plan` is the digest of what was reviewed: the coordinator cannot put another plan in its
    place meanwhile. The plan's script is compiled again, and `script`, if the approver has one of
    its own, must be that script. Zero attempts are as many as the contract allows.

    Raises: ApprovalError, PlanError, ContractError, PolicyError, DatasetError, LedgerError.
    """
    job = load_job(desk, job_id)
    if not same_digest(job.plan.digest, plan):
        raise ApprovalError(
            "the job's plan is not the one that was reviewed", hint=f"mc2 review {job_id}"
        )
    desk.trust.check_wanted(job.members)
    if desk.name not in job.approvers:
        raise ApprovalError(
            f"{desk.name} has no say in this job", hint=f"it is for {', '.join(job.approvers)}"
        )
    now = desk.clock()
    # Approvals of others may lapse; what matters here is whether the job may be approved at all.
    replace(job, approvals={}).check_time(now)
    _check_not_ahead(job.proposal.value, now)
    check_script(desk, job, script)
    desk.home.see_manifests(job.manifests)
    approval = Approval(
        contract=job.context.contract,
        plan=job.context.plan,
        job_id=job_id,
        approver=desk.name,
        max_attempts=_attempts(job.members, max_attempts),
        not_after=_end(job.members, not_after, now),
    )
    signed = approval.sign(desk.identity.signing)
    event = Approved(
        contract=approval.contract,
        plan=approval.plan,
        job_id=job_id,
        proposed=job.proposal.value.created,
        approval=approval.digest,
        max_attempts=approval.max_attempts,
        not_after=approval.not_after,
    )
    desk.home.jobs.put(job_id, _bundle_of(job).encode())
    desk.ledger.record(event, now)
    desk.home.approvals.put(job_id, signed)
    desk.coordinator.approve(job_id, signed)
    return Approval.verify(signed, job.members.key_of)


def _check_not_ahead(proposal: Proposal, now: datetime) -> None:
    """Refuse a proposal that claims to be of the future. Raises: ApprovalError.

    A new ledger in place of a lost one takes only proposals that are younger than itself; one
    dated ahead would pass for such, and an old attempt could have a second grant.
    """
    if proposal.created > now + CLOCK_SKEW:
        raise ApprovalError(
            f"the job was proposed on {to_time(proposal.created)}, which is still to come",
            hint=f"set the clocks here and at {proposal.proposer} (NTP), then propose it again",
        )


def _bundle_of(job: SignedJob) -> JobBundle:
    """The very objects that were checked, to be kept at home: never fetched a second time."""
    return JobBundle(
        contract=job.contract.envelope,
        plan=job.plan.encode(),
        proposal=job.proposal.envelope,
        approvals={name: approval.envelope for name, approval in job.approvals.items()},
        manifests={name: manifest.envelope for name, manifest in job.manifests.items()},
        kept={name: result.encode() for name, result in job.kept.items()},
        attempt=job.context.attempt,
    )


def check_script(desk: Desk, job: SignedJob, script: str | None) -> None:
    """Whether the plan is what its script compiles to, here, over the same datasets.

    Raises: PlanError.
    """
    if script is not None and script != job.plan.script:
        raise PlanError(
            "the plan is of another script than yours",
            hint="see both texts: mc2 review, and ask who changed which",
        )
    again = _compile(
        desk, job.plan.script, job.plan.script_name, job.contract, job.manifests, job.kept
    )
    if again.digest == job.plan.digest:
        return
    versions = [
        f"{name} {job.plan.packages.get(name)} there, {here} here"
        for name, here in again.packages.items()
        if job.plan.packages.get(name) != here
    ]
    raise PlanError(
        "the script compiles to another plan here"
        + (f": {'; '.join(versions)}" if versions else ", with the same package versions"),
        hint="install the versions that the plan names"
        if versions
        else "do not approve; whoever proposed it may have changed the plan by hand",
    )


def _attempts(contract: Contract, asked: int) -> int:
    if not 0 <= asked <= contract.max_attempts:
        raise UsageError(f"the contract allows 1 to {contract.max_attempts} attempts")
    return asked or contract.max_attempts


def _end(contract: Contract, asked: datetime | None, now: datetime) -> datetime:
    end = min(now + APPROVAL_TIME, contract.not_after) if asked is None else asked
    if not now < end <= contract.not_after:
        raise UsageError(
            f"an approval ends later than now, and no later than the contract: "
            f"{to_time(contract.not_after)}"
        )
    return end.replace(microsecond=0)


def reject(desk: Desk, job_id: str, reason: str) -> Verified[Rejection]:
    """Refuse a job, before or after approving it, with a reason for its proposer.

    From then on no key is released for it, whatever the coordinator does with the rejection.
    Called again, it sends the same rejection again.

    Raises: UsageError without a reason, LedgerError if the job ended here otherwise.
    """
    if not reason.strip():
        raise UsageError("a rejection needs a reason", hint="say what should be different")
    job = load_job(desk, job_id)
    signed = desk.home.rejections.get(job_id)
    if signed is None:
        rejection = Rejection(
            contract=job.context.contract,
            plan=job.context.plan,
            job_id=job_id,
            member=desk.name,
            reason=_short(reason, "the reason"),
        )
        desk.ledger.record(Rejected(job_id=job_id, rejection=rejection.digest), desk.clock())
        signed = rejection.sign(desk.identity.signing)
        desk.home.rejections.put(job_id, signed)
    desk.coordinator.reject(job_id, signed)
    return Rejection.verify(signed, job.members.key_of)


def revoke(desk: Desk, job_id: str) -> None:
    """Take an approval back, here and at once; nobody else needs to agree or even be there.

    Raises: LedgerError if there is nothing to take back.
    """
    desk.ledger.record(Revoked(job_id=job_id), desk.clock())


def rejections(desk: Desk, job_id: str) -> list[Rejection]:
    """Who refused a job and why; only genuine ones. Raises: SignatureError, FormatError."""
    job = load_job(desk, job_id)
    found = []
    for raw in desk.coordinator.rejections(job_id):
        said = Rejection.verify(raw, job.members.key_of).value
        if (said.job_id, said.plan) != (job_id, job.context.plan):
            raise CoordinatorError("the coordinator shows a rejection of another job")
        found.append(said)
    return found


def _short(text: str, what: str) -> str:
    if len(text) > LIMITS.note_bytes:
        raise FormatError(f"{what} is longer than {LIMITS.note_bytes} characters")
    return text
