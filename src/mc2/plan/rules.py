"""Whether a plan may run: the contract's roles, the very datasets it names, the owners' policies.

Every party runs these rules before it signs, and the enclave runs them again before it opens
anything. Spec: docs/spec/plan.md, section "Rules", whose numbers stand below.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from mc2.crypto.digest import same_digest
from mc2.errors import ContractError, DatasetError, PolicyError
from mc2.formats.contract import Contract
from mc2.formats.fields import to_time
from mc2.formats.manifest import Manifest, ModelPolicy, UsagePolicy
from mc2.formats.result import Result
from mc2.plan.check import CheckedPlan
from mc2.plan.kept import kept_facts, policy_of
from mc2.plan.linear_models import Fit
from mc2.plan.models import Controls, Matrix, Train
from mc2.plan.plan import Plan, PlanInput, PlanOutput
from mc2.plan.relations import Scan
from mc2.plan.training import NO_CONTROLS


def check_against(
    checked: CheckedPlan,
    contract: Contract,
    manifests: Mapping[str, Manifest],
    at: datetime,
    kept: Mapping[str, Result] | None = None,
) -> None:
    """Check a plan against its contract, and the manifests and kept results that it reads.

    Both by the names of the inputs. That manifests are signed by their owners, and kept results
    are those of a proved job, is checked by whoever verified them.

    Raises: ContractError, DatasetError, PolicyError; each names the owner, the rule and the fix.
    """
    plan, kept = checked.plan, kept or {}
    # 1. The plan is for this contract.
    if not same_digest(plan.contract, contract.digest):
        raise ContractError(
            f"the plan is for another contract than {contract.name}",
            hint="compile the script again under the contract that is in force",
        )
    # 2. Inputs are of members with the role owner, outputs for members with the role recipient.
    for source in plan.inputs:
        _check_roles(contract, source.owners, "owner", f"brings {source.dataset}")
    for output in plan.outputs:
        _check_roles(contract, output.recipients, "recipient", f"receives {output.name}")
    # 3. The manifests and the kept results are those of the inputs, no more and no fewer, and say
    #    what the plan says.
    _check_sources(plan, contract, manifests, kept)
    # 4. Each owner's usage policy allows the columns, the recipients, the time and the models.
    #    Of a kept result counts the strictest of all that it derives from.
    rules = [_Rules.of(source, manifests, kept) for source in plan.inputs]
    for place, source in enumerate(plan.inputs):
        if source.kept is None:
            _check_columns(checked, place, manifests[source.dataset])
        _check_time(rules[place], at)
        _check_models(checked, rules[place])
    for output in plan.outputs:
        _check_recipients(checked, output, rules)
        if output.keep:
            kept_facts(checked, output, manifests, kept)


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules about one input, and whose they are."""

    dataset: str
    owners: str
    policy: UsagePolicy

    @classmethod
    def of(
        cls, source: PlanInput, manifests: Mapping[str, Manifest], kept: Mapping[str, Result]
    ) -> Self:
        policy = policy_of(source.dataset, manifests, kept)
        return cls(source.dataset, ", ".join(source.owners), policy)


def _check_sources(
    plan: Plan,
    contract: Contract,
    manifests: Mapping[str, Manifest],
    kept: Mapping[str, Result],
) -> None:
    if set(manifests) != {i.dataset for i in plan.inputs if i.kept is None}:
        raise DatasetError("the manifests are not exactly those of the plan's inputs")
    if set(kept) != {i.dataset for i in plan.inputs if i.kept is not None}:
        raise DatasetError("the kept results are not exactly those of the plan's inputs")
    for source in plan.inputs:
        if source.kept is None:
            _check_manifest(source, manifests[source.dataset])
        else:
            _check_kept(source, kept[source.dataset], contract)


def _check_roles(contract: Contract, members: Iterable[str], role: str, why: str) -> None:
    for name in members:
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
            ("placement", source.placement, manifest.placement),
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


def _check_kept(source: PlanInput, result: Result, contract: Contract) -> None:
    kept = result.kept
    if kept is None or result.dataset != source.dataset:
        raise DatasetError(f"what is given for {source.dataset} is another result, or not kept")
    if not same_digest(result.context.contract, contract.digest):
        raise ContractError(
            f"{source.dataset} was kept under another contract than {contract.name}",
            hint="run the job that keeps it again, under this contract",
        )
    differing = [
        what
        for what, planned, found in (
            ("owners", source.owners, tuple(sorted(kept.shares))),
            ("columns", source.schema, result.columns),
            ("row bound", source.row_bound, result.row_bound),
            ("model", None if source.model is None else source.model.json(), kept.model),
            ("sizes", source.sizes, result.sizes),
            ("facts", source.facts, result.facts),
        )
        if planned != found
    ]
    if not differing and not same_digest(source.manifest, result.digest):
        differing = ["version"]
    if differing:
        raise DatasetError(
            f"{source.dataset} is not the one in the plan: another {', '.join(differing)}",
            hint="compile the script again, so that the plan names what is kept now",
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


def _check_models(checked: CheckedPlan, of: _Rules) -> None:
    rules = of.policy.models
    if rules is None:
        return
    # What is trained is checked, not only what is released: the strictest reading.
    for node, lineage in zip(checked.plan.nodes, checked.lineages, strict=True):
        if isinstance(node.operation, Fit) and of.dataset in lineage.datasets:
            _check_fit(rules, of)
        if isinstance(node.operation, Train) and of.dataset in lineage.datasets:
            _check_edges(checked, node.operation, rules, of)
            lacking = _lacking(rules, node.operation.controls)
            if lacking:
                raise PolicyError(
                    f"{of.owners} wants of models trained on {of.dataset}: {', '.join(lacking)}",
                    hint=f"xgboost.train(..., {', '.join(lacking)})",
                )


def _check_edges(checked: CheckedPlan, training: Train, rules: ModelPolicy, of: _Rules) -> None:
    """Noisy edges follow from the data, so they are no public thresholds."""
    matrix = checked.plan.nodes[training.matrix].operation
    if rules.public_thresholds and isinstance(matrix, Matrix) and matrix.noisy:
        raise PolicyError(
            f"{of.owners} wants models trained on {of.dataset} to split at numbers of the plan: "
            "noisy edges are drawn from the rows",
            hint="DMatrix(..., bin_edges={feature: [numbers]})",
        )


def _check_fit(rules: ModelPolicy, of: _Rules) -> None:
    """Linear models and centres have no leaves: such rules rule them out."""
    if _lacking(rules, NO_CONTROLS):
        raise PolicyError(
            f"{of.owners} has rules on models trained on {of.dataset}, which linear "
            "models and clusters cannot hold to",
            hint=f"train trees, or ask {of.owners} to seal the table anew with other rules",
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


def _check_time(of: _Rules, at: datetime) -> None:
    last = of.policy.not_after
    if last is not None and at > last:
        raise PolicyError(
            f"{of.owners} allowed the use of {of.dataset} until {to_time(last)}",
            hint=f"ask {of.owners} to seal the table anew with a later date",
        )


def _check_recipients(checked: CheckedPlan, output: PlanOutput, rules: Sequence[_Rules]) -> None:
    datasets = checked.lineage(output).datasets
    for of in rules:
        allowed = of.policy.recipients
        if allowed is None or of.dataset not in datasets:
            continue
        for name in output.recipients:
            # The owner is among them: what comes of its own data may always go back to it.
            if name not in allowed:
                raise PolicyError(
                    f"{of.owners} does not allow {name} to receive {output.name}, "
                    f"which derives from {of.dataset}",
                    hint=f"release {output.name} to others, or ask {of.owners} to seal the "
                    "table anew with another policy",
                )
