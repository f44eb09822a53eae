"""What is known of a result that stays sealed, before it is there: whose it is, and which rules.

The enclave writes these facts into the result, and whoever verifies the job works them out again.
Spec: docs/spec/result.md, section "Kept results".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mc2.crypto.digest import Digest
from mc2.errors import PlanError
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import Manifest, ModelPolicy, UsagePolicy
from mc2.formats.result import Result
from mc2.plan.check import CheckedPlan
from mc2.plan.kept_models import ModelFacts, facts_of
from mc2.plan.models import Matrix
from mc2.plan.oblivious_rewrites import as_run
from mc2.plan.plan import PlanOutput
from mc2.plan.shapes import LinearShape, ModelShape, TableShape


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFacts:
    """Of a kept output: who shares its key, at most how many rows, from what, under which rules.

    A table that an oblivious job keeps is of padded `sizes`, and `unique` are its keys. `model` are
    the facts of a model, which counts as one row; None for a table.
    """

    owners: tuple[str, ...]
    row_bound: int
    policy: UsagePolicy
    origins: Mapping[str, Digest]
    sizes: str = "exact"
    unique: tuple[tuple[str, ...], ...] = ()
    model: ModelFacts | None = None


def kept_facts(
    checked: CheckedPlan,
    output: PlanOutput,
    manifests: Mapping[str, Manifest],
    kept: Mapping[str, Result],
) -> KeptFacts:
    """The facts of an output that the plan keeps. Raises: PlanError if it cannot be kept."""
    names = checked.lineage(output).datasets
    sources = [i for i in checked.plan.inputs if i.dataset in names]
    return KeptFacts(
        owners=kept_owners(checked, output),
        row_bound=kept_bound(checked, output),
        policy=strictest(policy_of(name, manifests, kept) for name in sorted(names)),
        origins={i.dataset: i.manifest for i in sources},
        sizes="padded" if checked.facts and output.kind == "table" else "exact",
        unique=_unique(checked, output),
        model=kept_model(checked, output),
    )


def kept_owners(checked: CheckedPlan, output: PlanOutput) -> tuple[str, ...]:
    """Who shares the key: all whose data could change the result. Raises: PlanError if nobody."""
    names = checked.lineage(output).datasets
    found = {o for i in checked.plan.inputs if i.dataset in names for o in i.owners}
    if not found:
        raise PlanError(
            f"{output.name} derives from no dataset, so nobody could keep it",
            hint="write what is public into the later script",
        )
    return tuple(sorted(found))


def kept_bound(checked: CheckedPlan, output: PlanOutput) -> int:
    """At most how many rows it has, for plans that read it. Raises: PlanError without a bound."""
    shape = checked.shapes[output.node]
    if isinstance(shape, ModelShape | LinearShape):
        return 1
    if checked.facts:  # of an oblivious plan: as much room as the engine makes
        run = as_run(checked)
        return next(run.facts[o.node].rows for o in run.plan.outputs if o.name == output.name)
    if not isinstance(shape, TableShape) or shape.row_bound > LIMITS.row_bound:
        raise PlanError(
            f"the rows of {output.name} are not bounded, so it cannot be kept",
            hint="say how many rows there are at most: LIMIT, or a bound on the table",
        )
    return shape.row_bound


def _unique(checked: CheckedPlan, output: PlanOutput) -> tuple[tuple[str, ...], ...]:
    """Keys that follow from an oblivious plan; one row at most needs none."""
    if not checked.facts or kept_bound(checked, output) <= 1:
        return ()
    return tuple(sorted(tuple(sorted(key)) for key in checked.facts[output.node].unique if key))


def kept_model(checked: CheckedPlan, output: PlanOutput) -> ModelFacts | None:
    """The facts of a model; None for a table. Raises: PlanError if it cannot be kept."""
    shape = checked.shapes[output.node]
    if not isinstance(shape, ModelShape | LinearShape):
        return None
    matrix = checked.plan.nodes[shape.operation.matrix].operation
    if not isinstance(matrix, Matrix):
        raise PlanError(f"{output.name} was not trained in this plan, so it cannot be kept")
    return facts_of(shape, matrix, checked.plan.mode)


def policy_of(
    name: str, manifests: Mapping[str, Manifest], kept: Mapping[str, Result]
) -> UsagePolicy:
    """The rules about what derives from an input.

    What comes of an owner's own data may always go back to the owner, so it is among recipients.
    """
    manifest = manifests.get(name)
    if manifest is None:
        found = kept[name].kept
        return UsagePolicy() if found is None else found.policy
    policy = manifest.policy
    if policy.recipients is None:
        return policy
    recipients = tuple(sorted({*policy.recipients, manifest.owner}))
    return UsagePolicy(policy.columns, recipients, policy.not_after, policy.models)


def strictest(policies: Iterable[UsagePolicy]) -> UsagePolicy:
    """Rules as strict as all of these together.

    Those about columns fall away: they say what a plan may read, and it was read already.
    """
    found = list(policies)
    allowed = [set(p.recipients) for p in found if p.recipients is not None]
    ends = [p.not_after for p in found if p.not_after is not None]
    models = [p.models for p in found if p.models is not None]
    return UsagePolicy(
        columns=None,
        recipients=tuple(sorted(set.intersection(*allowed))) if allowed else None,
        not_after=min(ends) if ends else None,
        models=_strictest_models(models) if models else None,
    )


def _strictest_models(rules: list[ModelPolicy]) -> ModelPolicy:
    return ModelPolicy(
        leaf_rows=max(r.leaf_rows for r in rules),
        leaf_owners=max(r.leaf_owners for r in rules),
        bare=any(r.bare for r in rules),
        public_thresholds=any(r.public_thresholds for r in rules),
    )
