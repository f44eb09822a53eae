"""Admits a job: steps E1 to E8 of docs/spec/key-release.md, before anything is proved or opened.

Pure rules. There is no clock here: an enclave has none that it could trust, so what can lapse is
checked when the owners' challenges have told the time (`mc2.enclave.freshness`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NewType

from mc2.attestation.claims import Tier
from mc2.errors import AttestationError
from mc2.formats.bundle import JobBundle
from mc2.formats.contract import Contract
from mc2.plan.packages import check_packages
from mc2.plan.signed_job import SignedJob, verify_signed_job

AdmittedJob = NewType("AdmittedJob", SignedJob)
"""A signed job that is fully approved and that this enclave can run; only `admit_job` makes one."""


def admit_job(raw: bytes, *, packages: Mapping[str, str], tier: Tier) -> AdmittedJob:
    """Check a bundle. `packages` run here; `tier` is the most that this enclave can prove.

    Raises: FormatError, SignatureError, ContractError, PlanError, ApprovalError, DatasetError,
    PolicyError, AttestationError.
    """
    # E1. The bundle is canonical and within its ceilings. Nothing in it is believed yet.
    bundle = JobBundle.parse(raw)
    # E2 to E7. All that people signed agrees, and allows this plan.
    job = verify_signed_job(bundle)
    # E3. The plan is for exactly the packages that run here.
    check_packages(job.plan.packages, packages)
    # E5. Nobody is missing who must approve, and the attempt is one that all of them allow.
    job.check_approved()
    # E8. What this enclave can prove is enough. Owners appraise that themselves; refusing here
    #     only spares them a pointless round of challenges.
    _check_tier(job.members, tier)
    return AdmittedJob(job)


def _check_tier(contract: Contract, tier: Tier) -> None:
    if tier < Tier.of(contract.min_tier):
        raise AttestationError(
            f"{contract.name} demands {contract.min_tier}; this enclave is {tier.word} at best",
            hint="run the job on a machine with the hardware that the contract demands",
        )
