"""Verifies, offline, that a job ran exactly as it was signed: steps V1 to V6 of bundle.md.

Everything is equality: a receipt that says more than was signed is as false as one that says
less. What opens results (`mc2.client.results`) takes a `VerifiedJob` and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from mc2.attestation.appraisal import (
    Appraised,
    AppraisedToActivate,
    appraise,
    appraise_to_activate,
)
from mc2.attestation.claims import ClaimsToActivate, RawEvidence, Tier
from mc2.attestation.policy import AttestationPolicy
from mc2.attestation.verifiers import Verifiers
from mc2.client.cluster_proof import AppraisedMember, check_epochs, check_homes, verify_members
from mc2.crypto.digest import Digest, same_digest
from mc2.errors import Mc2Error, ReceiptError
from mc2.formats.bundle import Proof
from mc2.formats.cluster import MemberEvidence
from mc2.formats.contract import Contract
from mc2.formats.receipt import Receipt
from mc2.formats.release import ENCLAVE, Challenge, Evidence, Grant, JobContext, verify_evidence
from mc2.formats.result import Result
from mc2.formats.statement import Verified
from mc2.plan.kept import KeptFacts
from mc2.plan.plan import Plan, PlanOutput
from mc2.plan.signed_job import SignedJob, verify_signed_job

_HINT: Final = "do not use these results; ask the coordinator's operator for the job's own proof"
_SIMULATED: Final = "SIMULATED ATTESTATION: this proof says nothing about the machine that computed"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedJob:
    """A job that ran exactly as signed. Only `verify_proof` makes one.

    `at` is the time of the job by its owners' clocks. `appraised` is the enclave that the owners
    granted to, `members` are those that it shared the work with. `tier` is how much their evidence
    means; `warnings` are for people, and never empty below a hardware tier.
    """

    job: SignedJob
    at: datetime
    appraised: Appraised
    members: tuple[AppraisedMember, ...]
    receipt: Verified[Receipt]
    grants: Mapping[str, Verified[Grant]]
    results: Mapping[str, Result]
    warnings: tuple[str, ...]

    @property
    def context(self) -> JobContext:
        """Which attempt of which job of which plan."""
        return self.job.context

    @property
    def contract(self) -> Contract:
        """The contract that all members signed."""
        return self.job.members

    @property
    def plan(self) -> Plan:
        """The plan that ran."""
        return self.job.plan

    @property
    def tier(self) -> Tier:
        """How much the evidence means: the weakest of all enclaves."""
        return _weakest(self.appraised, self.members)


def verify_proof(
    raw: bytes, *, contract: Digest, job_id: str | None, verifiers: Verifiers
) -> VerifiedJob:
    """Verify the proof of one job under one contract, both named by who asks.

    A proof is true or false of itself; that it is of *this* job only the asker can say. With
    `job_id` None the asker wants to know which job it is of.

    Raises: ReceiptError naming the step that failed.
    """
    with _step("the proof"):
        proof = Proof.parse(raw)
    with _step("V1, what people signed"):
        job, challenges, at = _verify_job(proof)
        _check_asked(job, contract, job_id)
    with _step("V2, the evidence"):
        evidence = verify_evidence(proof.evidence)
        judge = partial(_appraise, job, verifiers, at)
        found = judge(evidence.value, evidence.value.runtime_data.report_data())
        members = verify_members(proof.members, evidence, judge, job.members.key_of)
    with _step("V3, the runtime data"):
        _check_runtime_data(evidence.value, job, challenges)
    with _step("V4, the grants"):
        grants = _verify_grants(proof.grants, job, evidence, challenges)
    with _step("V5, the receipt"):
        appraised = _activated(found, grants, proof.receipt, evidence.value)
        tier = _weakest(appraised, members)
        receipt = _verify_receipt(proof.receipt, job, evidence, grants, tier)
        check_epochs(receipt.value, members)
        check_homes(receipt.value, members, job.plan)
    with _step("V6, the results"):
        results = _check_results(proof.results, job, receipt.value)
    warnings = receipt.value.warnings
    if tier is Tier.SIMULATED:
        warnings = (_SIMULATED, *warnings)
    return VerifiedJob(
        job=job,
        at=at,
        appraised=appraised,
        members=members,
        receipt=receipt,
        grants=grants,
        results=results,
        warnings=warnings,
    )


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Whatever fails in a step is a ReceiptError that names it, and keeps the reason."""
    try:
        yield
    except ReceiptError as error:
        raise ReceiptError(f"{name}: {error}", hint=error.hint or _HINT) from None
    except Mc2Error as error:
        raise ReceiptError(f"{name}: {error}", hint=error.hint or _HINT) from error


def _verify_job(proof: Proof) -> tuple[SignedJob, dict[str, Verified[Challenge]], datetime]:
    """V1, and the part of V4 that tells the time: the challenges."""
    job = verify_signed_job(proof.job)
    if proof.challenges.keys() != set(job.owners):
        raise ReceiptError(f"challenges are needed from exactly {', '.join(job.owners)}")
    challenges = {n: Challenge.verify(proof.challenges[n], job.members.key_of) for n in job.owners}
    for name, challenge in challenges.items():
        if challenge.value.owner != name:
            raise ReceiptError(f"the challenge of {name} is by {challenge.value.owner}")
        if challenge.value.context != job.context:
            raise ReceiptError(f"the challenge by {name} is for another job, attempt or plan")
    # The time of the job is the latest that an owner states; by then nothing had lapsed.
    at = max(c.value.issued for c in challenges.values())
    for name, challenge in challenges.items():
        if at > challenge.value.not_after:
            raise ReceiptError(f"the challenge by {name} had lapsed when the others were made")
    job.check_approved()
    job.check_time(at)
    return job, challenges, at


def _check_asked(job: SignedJob, contract: Digest, job_id: str | None) -> None:
    if not same_digest(job.contract.digest, contract):
        raise ReceiptError("this is the proof of a job under another contract")
    if job_id is not None and job.context.job_id != job_id:
        raise ReceiptError("this is the proof of another job")


def _appraise(
    job: SignedJob,
    verifiers: Verifiers,
    at: datetime,
    evidence: Evidence | MemberEvidence,
    report_data: bytes,
) -> Appraised | AppraisedToActivate:
    raw = RawEvidence(evidence.kind, evidence.evidence, evidence.endorsements)
    found = verifiers.verify_to_activate(raw, at=at)
    policy = AttestationPolicy.read(job.members.attestation)
    min_tier = Tier.of(job.members.min_tier)
    if isinstance(found, ClaimsToActivate):
        return appraise_to_activate(found, policy, min_tier, report_data)
    return appraise(found, policy, min_tier, report_data)


def _activated(
    found: Appraised | AppraisedToActivate,
    grants: Mapping[str, Verified[Grant]],
    receipt: bytes,
    evidence: Evidence,
) -> Appraised:
    """V5: what activations the grants have, were opened, by who signed the receipt.

    A token is known to its owner and to who opened the owner's secret, which takes the machine
    that the evidence names. So one honest owner is enough to believe the evidence.
    """
    activations = {
        name: grant.value.activation
        for name, grant in grants.items()
        if grant.value.activation is not None
    }
    key = evidence.runtime_data.signing_key
    tokens = Receipt.verify(receipt, {ENCLAVE: key}.__getitem__).value.activations
    if isinstance(found, AppraisedToActivate):
        if activations.keys() != grants.keys():
            raise ReceiptError("a grant has no activation, and the evidence proves nothing without")
        return found.activated(activations, tokens)
    if activations or tokens:
        raise ReceiptError("there is an activation, and the evidence needs none")
    return found


def _weakest(leader: Appraised, members: tuple[AppraisedMember, ...]) -> Tier:
    return min([leader.tier, *(m.appraised.tier for m in members)])


def _check_runtime_data(
    evidence: Evidence, job: SignedJob, challenges: Mapping[str, Verified[Challenge]]
) -> None:
    found = evidence.runtime_data
    if found.context != job.context:
        raise ReceiptError("the evidence is for another job, attempt, plan, contract or policy")
    if dict(found.challenges) != {name: c.digest for name, c in challenges.items()}:
        raise ReceiptError("the evidence answers other challenges than those of the owners")


def _verify_grants(
    raw: Mapping[str, bytes],
    job: SignedJob,
    evidence: Verified[Evidence],
    challenges: Mapping[str, Verified[Challenge]],
) -> dict[str, Verified[Grant]]:
    if raw.keys() != set(job.owners):
        raise ReceiptError(f"grants are needed from exactly {', '.join(job.owners)}")
    grants = {name: Grant.verify(raw[name], job.members.key_of) for name in job.owners}
    for name, grant in grants.items():
        value = grant.value
        if value.owner != name:
            raise ReceiptError(f"the grant of {name} is by {value.owner}")
        if value.context != job.context:
            raise ReceiptError(f"the grant by {name} is for another job, attempt or plan")
        if not same_digest(value.evidence, evidence.digest):
            raise ReceiptError(f"the grant by {name} is for other evidence")
        if not same_digest(value.challenge, challenges[name].digest):
            raise ReceiptError(f"the grant by {name} is for another challenge")
        own = {i.dataset: i.manifest for i in job.plan.inputs if name in i.owners}
        if {key.dataset: key.manifest for key in value.keys} != own:
            raise ReceiptError(f"the grant by {name} is not for exactly the inputs of {name}")
    return grants


def _verify_receipt(
    raw: bytes,
    job: SignedJob,
    evidence: Verified[Evidence],
    grants: Mapping[str, Verified[Grant]],
    tier: Tier,
) -> Verified[Receipt]:
    key = evidence.value.runtime_data.signing_key
    receipt = Receipt.verify(raw, {ENCLAVE: key}.__getitem__)
    found = receipt.value
    expected: dict[str, tuple[object, object]] = {
        "context": (found.context, job.context),
        "tier": (found.tier, tier.word),
        "mode": (found.mode, job.plan.mode),
        "evidence": (found.evidence, evidence.digest),
        "inputs": (dict(found.inputs), job.inputs),
        "approvals": (dict(found.approvals), {n: a.digest for n, a in job.approvals.items()}),
        "grants": (dict(found.grants), {n: g.digest for n, g in grants.items()}),
    }
    for what, (said, signed) in expected.items():
        if said != signed:
            raise ReceiptError(f"the receipt names other {what} than what was signed")
    _check_code(found, job.plan)
    if tier < Tier.HARDWARE_CVM and not found.warnings:
        raise ReceiptError("the receipt is of a tier below hardware, and does not warn of it")
    return receipt


def _check_code(receipt: Receipt, plan: Plan) -> None:
    """The enclave ran with exactly the package versions that the plan names."""
    for name, version in plan.packages.items():
        if receipt.code.get(name) != version:
            raise ReceiptError(f"the receipt is of another version of {name} than the plan's")


def _check_results(raw: Mapping[str, bytes], job: SignedJob, receipt: Receipt) -> dict[str, Result]:
    planned = {output.name: output for output in job.plan.outputs}
    if raw.keys() != planned.keys() or receipt.outputs.keys() != planned.keys():
        raise ReceiptError("the results are not exactly the outputs of the plan")
    results = {name: Result.parse(found) for name, found in raw.items()}
    for name, result in results.items():
        output = planned[name]
        if not same_digest(result.digest, receipt.outputs[name]):
            raise ReceiptError(f"the result {name} is not the one in the receipt")
        if result.output != name or result.context != job.context:
            raise ReceiptError(f"the result {name} is of another output or job")
        if result.kind != output.kind or result.schema != job.checked.schema(output):
            raise ReceiptError(f"the result {name} is not of the kind and schema in the plan")
        _check_keys(result, output, job.kept_facts(output))
    return results


def _check_keys(result: Result, output: PlanOutput, facts: KeptFacts | None) -> None:
    """A result is for exactly the plan's recipients; or kept, by whom and as the plan implies."""
    found = result.kept
    if facts is None:
        if found is not None or result.keys.keys() != set(output.recipients):
            raise ReceiptError(f"the result {output.name} is not for exactly the plan's recipients")
        return
    if found is None or tuple(sorted(result.keys)) != facts.owners:
        raise ReceiptError(f"the result {output.name} is not kept by exactly its owners")
    for what, said, implied in (
        ("row bound", found.row_bound, facts.row_bound),
        ("policy", found.policy, facts.policy),
        ("origins", dict(found.origins), dict(facts.origins)),
        ("set of sizes", result.sizes, facts.sizes),
        ("set of unique keys", found.unique, facts.unique),
        ("model", found.model, None if facts.model is None else facts.model.json()),
    ):
        if said != implied:
            raise ReceiptError(f"the kept result {output.name} has another {what} than the plan's")
