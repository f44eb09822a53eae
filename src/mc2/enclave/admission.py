"""Admits a job: do the signed objects in its bundle agree? Steps E1 to E8 of key-release.md.

Pure rules. There is no clock here: an enclave has none that it could trust, so what can lapse is
checked when the owners' challenges have told the time (`mc2.enclave.freshness`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mc2.attestation.claims import Tier
from mc2.crypto.digest import Digest, same_digest
from mc2.errors import ApprovalError, AttestationError, ContractError, DatasetError
from mc2.formats.bundle import JobBundle
from mc2.formats.contract import Contract, VerifiedContract, verify_contract
from mc2.formats.job import Approval, Proposal
from mc2.formats.manifest import Manifest
from mc2.formats.release import JobContext
from mc2.formats.statement import Verified
from mc2.plan.check import CheckedPlan, check_plan
from mc2.plan.packages import check_packages
from mc2.plan.plan import Plan
from mc2.plan.rules import check_against

_BEFORE_ALL_TIME: Final = datetime.min.replace(tzinfo=UTC)
"""Stands for "no time yet": nothing has lapsed by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedJob:
    """A job whose signed objects all agree; only `admit_job` makes one.

    `owners` are those whose data the plan reads, in order: they challenge and they grant.
    """

    context: JobContext
    contract: VerifiedContract
    checked: CheckedPlan
    approvals: Mapping[str, Verified[Approval]]
    manifests: Mapping[str, Verified[Manifest]]
    owners: tuple[str, ...]

    @property
    def members(self) -> Contract:
        """The contract, for its members' keys."""
        return self.contract.contract

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.checked.plan

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
        check_against(self.checked, self.members, _values(self.manifests), at=at)


def admit_job(raw: bytes, *, packages: Mapping[str, str], tier: Tier) -> AdmittedJob:
    """Check a bundle. `packages` run here; `tier` is the most that this enclave can prove.

    Raises: FormatError, SignatureError, ContractError, PlanError, ApprovalError, DatasetError,
    PolicyError, AttestationError.
    """
    # E1. The bundle is canonical and within its ceilings. Nothing in it is believed yet.
    bundle = JobBundle.parse(raw)
    # E2. All members of the contract signed it, and nobody else did.
    contract = verify_contract(bundle.contract, at=_BEFORE_ALL_TIME)
    # E3. The plan is for exactly the packages that run here, and is what it says it is.
    plan = Plan.parse(bundle.plan)
    check_packages(plan.packages, packages)
    checked = check_plan(plan)
    # E4. An analyst of this contract proposed this plan, as a job with a name.
    proposal = _verify_proposal(bundle.proposal, contract.contract)
    context = JobContext(
        contract=contract.digest,
        policy=contract.contract.policy_digest,
        plan=checked.plan.digest,
        job_id=proposal.job_id,
        attempt=bundle.attempt,
    )
    _same_job(context, proposal, ContractError, f"the proposal by {proposal.proposer}")
    # E5. Exactly those who must approve did so, for this job and this attempt.
    owners = tuple(sorted({i.owner for i in checked.plan.inputs}))
    approvals = _verify_approvals(bundle.approvals, contract.contract, owners, context)
    # E6. The manifests are exactly the plan's inputs, each signed by its owner.
    manifests = _verify_manifests(bundle.manifests, contract.contract, checked.plan)
    # E7. The plan is for this contract, which allows it, as all usage policies do; no time yet.
    check_against(checked, contract.contract, _values(manifests), at=_BEFORE_ALL_TIME)
    # E8. What this enclave can prove is enough. Owners appraise that themselves; refusing here
    #     only spares them a pointless round of challenges.
    _check_tier(contract.contract, tier)
    return AdmittedJob(
        context=context,
        contract=contract,
        checked=checked,
        approvals=approvals,
        manifests=manifests,
        owners=owners,
    )


def _verify_proposal(raw: bytes, contract: Contract) -> Proposal:
    proposal = Proposal.verify(raw, contract.key_of).value
    # Its date is not looked at: it is for people, and binds nobody.
    if "analyst" not in contract.member(proposal.proposer).roles:
        raise ContractError(
            f"{proposal.proposer} proposed the job and is no analyst of {contract.name}",
            hint="let a member with the role analyst propose it",
        )
    return proposal


def _same_job(
    context: JobContext,
    said: Proposal | Approval,
    error: type[ContractError | ApprovalError],
    what: str,
) -> None:
    hint = "the coordinator mixed two jobs, or replayed an old one: propose the job again"
    if not same_digest(said.contract, context.contract):
        raise error(f"{what} is for another contract", hint=hint)
    if not same_digest(said.plan, context.plan):
        raise error(f"{what} is for another plan", hint=hint)
    if said.job_id != context.job_id:
        raise error(f"{what} is for another job", hint=hint)


def _verify_approvals(
    raw: Mapping[str, bytes], contract: Contract, owners: tuple[str, ...], context: JobContext
) -> dict[str, Verified[Approval]]:
    everybody = tuple(m.name for m in contract.members)
    required = owners if contract.approvers == "owners" else everybody
    _exactly(raw, required)
    approvals = {name: Approval.verify(raw[name], contract.key_of) for name in sorted(required)}
    most = contract.max_attempts
    for name, approval in approvals.items():
        if approval.value.approver != name:
            raise ApprovalError(f"the approval of {name} is by {approval.value.approver}")
        _same_job(context, approval.value, ApprovalError, f"the approval by {name}")
        most = min(most, approval.value.max_attempts)
    if context.attempt > most:
        raise ApprovalError(
            f"attempt {context.attempt} of the job, and only {most} were allowed",
            hint="propose the job again",
        )
    return approvals


def _exactly(raw: Mapping[str, bytes], required: tuple[str, ...]) -> None:
    missing = sorted(set(required) - raw.keys())
    if missing:
        raise ApprovalError(
            f"not approved by {', '.join(missing)}", hint="the job waits for these approvals"
        )
    superfluous = sorted(raw.keys() - set(required))
    if superfluous:
        raise ApprovalError(
            f"there is an approval by {', '.join(superfluous)}, who has no say in this job",
            hint="whoever added it expected it to count: ask the coordinator's operator",
        )


def _verify_manifests(
    raw: Mapping[str, bytes], contract: Contract, plan: Plan
) -> dict[str, Verified[Manifest]]:
    named: dict[str, Digest] = {i.dataset: i.manifest for i in plan.inputs}
    if raw.keys() != named.keys():
        raise DatasetError(
            "the manifests are not exactly those of the plan's inputs",
            hint="the coordinator handed over an incomplete job: start it again",
        )
    found = {}
    for item in plan.inputs:
        manifest = Manifest.verify(raw[item.dataset], contract.key_of)
        if not same_digest(manifest.digest, item.manifest):
            raise DatasetError(
                f"the manifest of {item.dataset} is another version than the plan names",
                hint="the coordinator swapped or rolled back the dataset",
            )
        found[item.dataset] = manifest
    return found


def _check_tier(contract: Contract, tier: Tier) -> None:
    if tier < Tier.of(contract.min_tier):
        raise AttestationError(
            f"{contract.name} demands {contract.min_tier}; this enclave is {tier.word} at best",
            hint="run the job on a machine with the hardware that the contract demands",
        )


def _values(manifests: Mapping[str, Verified[Manifest]]) -> dict[str, Manifest]:
    return {name: manifest.value for name, manifest in manifests.items()}
