"""Whether a plan may run: the contract's roles, the very datasets it names, the owners' policies.

Every party runs these rules before it signs, and the enclave runs them again before it opens
anything. Spec: docs/spec/plan.md, section "Rules", whose numbers stand below.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from mc2.crypto.digest import same_digest
from mc2.errors import ContractError, DatasetError, PolicyError
from mc2.formats.contract import Contract
from mc2.formats.fields import to_time
from mc2.formats.manifest import Manifest, ModelPolicy
from mc2.plan.check import CheckedPlan
from mc2.plan.linear_models import Fit
from mc2.plan.models import Controls, Train
from mc2.plan.plan import PlanInput, PlanOutput
from mc2.plan.relations import Scan
from mc2.plan.training import NO_CONTROLS


def check_against(
    checked: CheckedPlan, contract: Contract, manifests: Mapping[str, Manifest], at: datetime
) -> None:
    """Check a plan against its contract and the manifests of its inputs, by dataset.

    That the manifests are signed by their owners is checked by whoever verified them.

    Raises: ContractError, DatasetError, PolicyError; each names the owner, the rule and the fix.
    """
    plan = checked.plan
    # 1. The plan is for this contract.
    if not same_digest(plan.contract, contract.digest):
        raise ContractError(
            f"the plan is for another contract than {contract.name}",
            hint="compile the script again under the contract that is in force",
        )
    # 2. Inputs are of members with the role owner, outputs for members with the role recipient.
    for source in plan.inputs:
        _check_role(contract, source.owner, "owner", f"brings {source.dataset}")
    for output in plan.outputs:
        for name in output.recipients:
            _check_role(contract, name, "recipient", f"receives {output.name}")
    # 3. The manifests are those of the inputs, no more and no fewer, and say what the plan says.
    if set(manifests) != {i.dataset for i in plan.inputs}:
        raise DatasetError("the manifests are not exactly those of the plan's inputs")
    for source in plan.inputs:
        _check_manifest(source, manifests[source.dataset])
    # 4. Each owner's usage policy allows the columns, the recipients, the time and the models.
    for place, source in enumerate(plan.inputs):
        manifest = manifests[source.dataset]
        _check_columns(checked, place, manifest)
        _check_time(manifest, at)
        _check_models(checked, manifest)
    for output in plan.outputs:
        _check_recipients(checked, output, manifests)


def _check_role(contract: Contract, name: str, role: str, why: str) -> None:
    if role not in contract.member(name).roles:
        raise ContractError(
            f"{name} {why}, and has not the role {role} in {contract.name}",
            hint=f"agree on a new epoch of the contract in which {name} has the role {role}",
        )


def _check_manifest(source: PlanInput, manifest: Manifest) -> None:
    differing = [
        what
        for what, planned, found in (
            ("name", source.dataset, manifest.dataset),
            ("owner", source.owner, manifest.owner),
            ("columns", source.schema, manifest.schema),
            ("row bound", source.row_bound, manifest.row_bound),
            ("sizes", source.sizes, manifest.sizes),
            ("facts", source.facts, manifest.facts),
        )
        if planned != found
    ]
    if not differing and not same_digest(source.manifest, manifest.digest):
        differing = ["version"]
    if differing:
        raise DatasetError(
            f"{source.dataset} of {source.owner} is not the one in the plan: "
            f"another {', '.join(differing)}",
            hint="compile the script again, so that the plan names the dataset as it is now",
        )


def _check_columns(checked: CheckedPlan, place: int, manifest: Manifest) -> None:
    allowed = manifest.policy.columns
    if allowed is None:
        return
    # What is scanned is checked, not only what reaches an output: the strictest reading.
    for node in checked.plan.nodes:
        operation = node.operation
        if isinstance(operation, Scan) and operation.input == place:
            for column in operation.columns:
                if column not in allowed:
                    raise PolicyError(
                        f"{manifest.owner} does not allow column {column!r} of "
                        f"{manifest.dataset} to be read",
                        hint=f"use the allowed columns ({', '.join(allowed) or 'none'}), or ask "
                        f"{manifest.owner} to seal the table anew with another policy",
                    )


def _check_models(checked: CheckedPlan, manifest: Manifest) -> None:
    rules = manifest.policy.models
    if rules is None:
        return
    # What is trained is checked, not only what is released: the strictest reading.
    for node, lineage in zip(checked.plan.nodes, checked.lineages, strict=True):
        if isinstance(node.operation, Fit) and manifest.dataset in lineage.datasets:
            _check_fit(rules, manifest)
        if isinstance(node.operation, Train) and manifest.dataset in lineage.datasets:
            lacking = _lacking(rules, node.operation.controls)
            if lacking:
                raise PolicyError(
                    f"{manifest.owner} wants of models trained on {manifest.dataset}: "
                    f"{', '.join(lacking)}",
                    hint=f"xgboost.train(..., {', '.join(lacking)})",
                )


def _check_fit(rules: ModelPolicy, manifest: Manifest) -> None:
    """Linear models and centres have no leaves: such rules rule them out."""
    if _lacking(rules, NO_CONTROLS):
        raise PolicyError(
            f"{manifest.owner} has rules on models trained on {manifest.dataset}, which linear "
            "models and clusters cannot hold to",
            hint=f"train trees, or ask {manifest.owner} to seal the table anew with other rules",
        )


def _lacking(rules: ModelPolicy, controls: Controls) -> list[str]:
    """What a training lacks of an owner's rules, as its script would write it."""
    found = []
    if controls.leaf_rows < rules.leaf_rows:
        found.append(f"min_leaf_rows={rules.leaf_rows}")
    if controls.leaf_owners < rules.leaf_owners:
        found.append(f"min_leaf_owners={rules.leaf_owners}")
    if rules.bare and not controls.bare:
        found.append("strip_statistics=True")
    if rules.public_thresholds and not controls.public_thresholds:
        found.append("public_thresholds=True")
    return found


def _check_time(manifest: Manifest, at: datetime) -> None:
    last = manifest.policy.not_after
    if last is not None and at > last:
        raise PolicyError(
            f"{manifest.owner} allowed the use of {manifest.dataset} until {to_time(last)}",
            hint=f"ask {manifest.owner} to seal the table anew with a later date",
        )


def _check_recipients(
    checked: CheckedPlan, output: PlanOutput, manifests: Mapping[str, Manifest]
) -> None:
    for dataset in sorted(checked.lineage(output).datasets):
        manifest = manifests[dataset]
        allowed = manifest.policy.recipients
        if allowed is None:
            continue
        for name in output.recipients:
            # What comes of the owner's own data may always go back to the owner.
            if name != manifest.owner and name not in allowed:
                raise PolicyError(
                    f"{manifest.owner} does not allow {name} to receive {output.name}, "
                    f"which derives from {dataset}",
                    hint=f"release {output.name} to others, or ask {manifest.owner} to seal the "
                    "table anew with another policy",
                )
