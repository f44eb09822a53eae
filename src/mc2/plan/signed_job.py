"""A job as people signed it: do contract, plan, proposal, approvals and manifests agree?

Steps E2 to E7 of docs/spec/key-release.md, which owners take before they release keys (O1) and
verifiers before they believe a receipt (V1). Pure rules; what can lapse is asked for by time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from mc2.crypto.digest import Digest, same_digest
from mc2.errors import ApprovalError, ContractError, DatasetError
from mc2.formats.bundle import JobBundle
from mc2.formats.contract import Contract, VerifiedContract, verify_contract
from mc2.formats.job import Approval, Proposal
from mc2.formats.manifest import Manifest
from mc2.formats.release import JobContext
from mc2.formats.result import Result
from mc2.formats.statement import Verified
from mc2.plan.check import CheckedPlan, check_plan
from mc2.plan.kept import KeptFacts, kept_facts
from mc2.plan.plan import Plan, PlanOutput
from mc2.plan.rules import check_against

_BEFORE_ALL_TIME: Final = datetime.min.replace(tzinfo=UTC)
"""Stands for "no time yet": nothing has lapsed by then."""

_MIXED_HINT: Final = "the coordinator mixed two jobs, or replayed an old one: propose the job again"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedJob:
    """A job whose signed objects agree; only `verify_signed_job` makes one.

    `approvals` are those that are there, each genuine; whether they are all that the contract
    demands is for `check_approved`. `owners` bring the data: they challenge and they grant. `kept`
    are the results of earlier jobs that it reads; that those are proved is for owners to check.
    """

    context: JobContext
    contract: VerifiedContract
    checked: CheckedPlan
    proposal: Verified[Proposal]
    approvals: Mapping[str, Verified[Approval]]
    manifests: Mapping[str, Verified[Manifest]]
    owners: tuple[str, ...]
    kept: Mapping[str, Result] = field(default_factory=dict)

    @property
    def members(self) -> Contract:
        """The contract, for its members' keys."""
        return self.contract.contract

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.checked.plan

    @property
    def inputs(self) -> dict[str, Digest]:
        """What it reads, by name: the digests of manifests and of kept results."""
        return {source.dataset: source.manifest for source in self.plan.inputs}

    def kept_facts(self, output: PlanOutput) -> KeptFacts | None:
        """What is known of an output that the plan keeps; None for one with recipients."""
        if not output.keep:
            return None
        return kept_facts(self.checked, output, _values(self.manifests), self.kept)

    @property
    def approvers(self) -> tuple[str, ...]:
        """Who must approve: the owners of the inputs, or all members."""
        return _approvers(self.members, self.owners)

    def check_time(self, at: datetime) -> None:
        """Refuse what has lapsed by `at`: contract, approvals, usage policies.

        Raises: ContractError, ApprovalError, PolicyError.
        """
        verify_contract(self.contract.envelope, at=at)
        for name, approval in self.approvals.items():
            if at > approval.value.not_after:
                raise ApprovalError(
                    f"the approval by {name} has lapsed",
                    hint=f"propose the job again, for {name} to approve",
                )
        check_against(self.checked, self.members, _values(self.manifests), at, self.kept)

    def check_approved(self) -> None:
        """E5. All who must approve did so, for this attempt too. Raises: ApprovalError."""
        missing = sorted(set(self.approvers) - self.approvals.keys())
        if missing:
            raise ApprovalError(
                f"not approved by {', '.join(missing)}", hint="the job waits for these approvals"
            )
        allowed = [approval.value.max_attempts for approval in self.approvals.values()]
        most = min(self.members.max_attempts, *allowed)
        if self.context.attempt > most:
            raise ApprovalError(
                f"attempt {self.context.attempt} of the job, and only {most} were allowed",
                hint="propose the job again",
            )


def verify_signed_job(bundle: JobBundle) -> SignedJob:
    """Check what people signed about a job, whatever the time.

    Raises: FormatError, SignatureError, ContractError, PlanError, ApprovalError, DatasetError,
    PolicyError.
    """
    # E2. All members of the contract signed it, and nobody else did.
    contract = verify_contract(bundle.contract, at=_BEFORE_ALL_TIME)
    # E3. The plan is what it says it is.
    checked = check_plan(Plan.parse(bundle.plan))
    # E4. An analyst of this contract proposed this plan, as a job with a name.
    proposal = _verify_proposal(bundle.proposal, contract.contract)
    context = JobContext(
        contract=contract.digest,
        policy=contract.contract.policy_digest,
        plan=checked.plan.digest,
        job_id=proposal.value.job_id,
        attempt=bundle.attempt,
    )
    _same_job(context, proposal.value, ContractError, f"the proposal by {proposal.value.proposer}")
    # E5. Each approval that is there is by one who has a say, for this very job.
    owners = checked.plan.owners
    approvals = _verify_approvals(bundle.approvals, contract.contract, owners, context)
    # E6. The manifests are exactly the plan's inputs, each signed by its owner.
    manifests = _verify_manifests(bundle.manifests, contract.contract, checked.plan)
    kept = {name: Result.parse(raw) for name, raw in bundle.kept.items()}
    # E7. Contract and usage policies allow what the plan does, whatever the time.
    check_against(checked, contract.contract, _values(manifests), _BEFORE_ALL_TIME, kept)
    return SignedJob(
        context=context,
        contract=contract,
        checked=checked,
        proposal=proposal,
        approvals=approvals,
        manifests=manifests,
        owners=owners,
        kept=kept,
    )


def _verify_proposal(raw: bytes, contract: Contract) -> Verified[Proposal]:
    proposal = Proposal.verify(raw, contract.key_of)
    if "analyst" not in contract.member(proposal.value.proposer).roles:
        raise ContractError(
            f"{proposal.value.proposer} proposed the job and is no analyst of {contract.name}",
            hint="let a member with the role analyst propose it",
        )
    return proposal


def _same_job(
    context: JobContext,
    said: Proposal | Approval,
    error: type[ContractError | ApprovalError],
    what: str,
) -> None:
    if not same_digest(said.contract, context.contract):
        raise error(f"{what} is for another contract", hint=_MIXED_HINT)
    if not same_digest(said.plan, context.plan):
        raise error(f"{what} is for another plan", hint=_MIXED_HINT)
    if said.job_id != context.job_id:
        raise error(f"{what} is for another job", hint=_MIXED_HINT)


def _approvers(contract: Contract, owners: tuple[str, ...]) -> tuple[str, ...]:
    return owners if contract.approvers == "owners" else tuple(m.name for m in contract.members)


def _verify_approvals(
    raw: Mapping[str, bytes], contract: Contract, owners: tuple[str, ...], context: JobContext
) -> dict[str, Verified[Approval]]:
    superfluous = sorted(raw.keys() - set(_approvers(contract, owners)))
    if superfluous:
        raise ApprovalError(
            f"there is an approval by {', '.join(superfluous)}, who has no say in this job",
            hint="whoever added it expected it to count: ask the coordinator's operator",
        )
    approvals = {name: Approval.verify(raw[name], contract.key_of) for name in sorted(raw)}
    for name, approval in approvals.items():
        if approval.value.approver != name:
            raise ApprovalError(f"the approval of {name} is by {approval.value.approver}")
        _same_job(context, approval.value, ApprovalError, f"the approval by {name}")
    return approvals


def _verify_manifests(
    raw: Mapping[str, bytes], contract: Contract, plan: Plan
) -> dict[str, Verified[Manifest]]:
    own = [i for i in plan.inputs if i.kept is None]
    if raw.keys() != {i.dataset for i in own}:
        raise DatasetError(
            "the manifests are not exactly those of the plan's inputs",
            hint="the coordinator handed over an incomplete job: try again",
        )
    found = {}
    for item in own:
        manifest = Manifest.verify(raw[item.dataset], contract.key_of)
        if not same_digest(manifest.digest, item.manifest):
            raise DatasetError(
                f"the manifest of {item.dataset} is another version than the plan names",
                hint="the coordinator swapped or rolled back the dataset",
            )
        found[item.dataset] = manifest
    return found


def _values(manifests: Mapping[str, Verified[Manifest]]) -> dict[str, Manifest]:
    return {name: manifest.value for name, manifest in manifests.items()}
