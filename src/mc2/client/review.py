"""What a member reads before signing: the plan in plain words, as data and as text.

Everything is derived from the plan that will run, never from what its author says of it; the
script is shown by its digest's side only through the plan that it compiled to. The same plan,
contract and manifests give the same words, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from mc2.client.changes import list_changes
from mc2.client.fact_words import fact_words
from mc2.client.grain import GROUPS, HISTORY, MODEL, TOTAL, Grain, trace_grains
from mc2.client.linear_words import linear_holds
from mc2.client.model_review import model_holds, model_rules
from mc2.client.oblivious_words import shown_of_models
from mc2.client.origins import Origins as ColumnOrigins
from mc2.client.origins import trace_origins
from mc2.client.plan_words import names, step_words, visible
from mc2.client.python_functions import sources_in
from mc2.client.review_parts import Outgoing, OutgoingColumn, Reading, Review
from mc2.client.review_text import review_text
from mc2.errors import Mc2Error
from mc2.formats.contract import Contract
from mc2.formats.fields import to_time
from mc2.formats.manifest import Manifest, UsagePolicy
from mc2.formats.result import Result
from mc2.formats.secret_value import is_secret_value
from mc2.plan.check import CheckedPlan
from mc2.plan.kept import kept_owners
from mc2.plan.lineage import Origins
from mc2.plan.models import Recall
from mc2.plan.plan import Plan, PlanInput, PlanOutput
from mc2.plan.relations import RowBound, Scan
from mc2.plan.rules import check_against
from mc2.plan.shapes import LinearShape, ModelShape, Shape, TableShape

_HOST_ALWAYS: Final = (
    "this plan: the script, all names, constants and bounds in it, and who receives what",
    "the columns and types of the datasets, and their row bounds",
    "when the job runs, how long each part takes, and how much memory it uses",
)


__all__ = ["Review", "review_plan", "review_text"]


def review_plan(
    checked: CheckedPlan,
    contract: Contract,
    manifests: Mapping[str, Manifest],
    *,
    at: datetime,
    earlier: Plan | None = None,
    kept: Mapping[str, Result] | None = None,
) -> Review:
    """Review a plan under its contract, and the manifests and kept results that it reads, by name.

    `at` is the moment for which the rules are checked. `earlier` is a plan that the reader knows;
    what differs from it is listed.
    """
    plan, kept = checked.plan, kept or {}
    grains, origins = trace_grains(plan.nodes), trace_origins(plan)
    return Review(
        title=plan.title,
        plan=plan.digest,
        contract=plan.contract,
        contract_name=contract.name,
        script_name=plan.script_name,
        tier=contract.min_tier,
        mode=plan.mode,
        approvers=_approvers(plan, contract),
        readings=tuple(
            _reading(plan, i, manifests.get(i.dataset), kept.get(i.dataset)) for i in plan.inputs
        ),
        steps=tuple(_step(checked, index) for index in range(len(plan.nodes))),
        functions=sources_in(plan.script),
        outputs=tuple(_outgoing(checked, o, grains[o.node], origins[o.node]) for o in plan.outputs),
        host_sees=_host_sees(plan, manifests),
        packages=tuple(sorted(plan.packages.items())),
        objections=_objections(checked, contract, manifests, at, kept),
        changes=None if earlier is None else list_changes(earlier, plan),
    )


def _step(checked: CheckedPlan, index: int) -> str:
    words = step_words(checked.plan, index)
    if not checked.facts:
        return words
    return f"{words} It has room for {checked.facts[index].rows:,} rows, whatever there are."


def _approvers(plan: Plan, contract: Contract) -> tuple[str, ...]:
    if contract.approvers == "members":
        return tuple(m.name for m in contract.members)
    return plan.owners


def _reading(
    plan: Plan, source: PlanInput, manifest: Manifest | None, kept: Result | None
) -> Reading:
    place = plan.inputs.index(source)
    scanned = {
        column
        for node in plan.nodes
        if isinstance(node.operation, Scan | Recall) and node.operation.input == place
        for column in node.operation.columns
    }
    read = tuple(c.name for c in source.schema.columns if c.name in scanned)
    return Reading(
        dataset=source.dataset,
        owner=", ".join(source.owners),
        version=0 if manifest is None else manifest.version,
        manifest=source.manifest,
        row_bound=source.row_bound,
        sizes=source.sizes if kept else "unknown" if manifest is None else manifest.sizes,
        columns=read,
        unread=len(source.schema) - len(read),
        policy=(
            *_home_words(source),
            *_secret_words(source),
            *(() if manifest is None else _policy_words(manifest.policy, manifest.owner)),
            *(() if kept is None else _kept_words(kept)),
        ),
    )


def _kept_words(result: Result) -> tuple[str, ...]:
    kept = result.kept
    if kept is None:
        return ()
    owners = ", ".join(sorted(kept.shares))
    origins = ", ".join(sorted(kept.origins))
    words = (
        f"kept sealed by job {result.context.job_id}; derives from {origins}; opens only with the "
        f"grants of all of {owners}"
    )
    return (
        words,
        *_policy_words(kept.policy, "an owner of what it derives from"),
    )


def _policy_words(policy: UsagePolicy, owner: str) -> tuple[str, ...]:
    found = []
    if policy.columns is not None:
        found.append(f"{owner} lets plans read only: {names(policy.columns)}")
    if policy.recipients is not None:
        allowed = names(policy.recipients) or "nobody else"
        found.append(f"{owner} lets only these receive what derives from it: {allowed}")
    if policy.not_after is not None:
        found.append(f"{owner} lets no job start after {to_time(policy.not_after)}")
    if policy.models is not None:
        found.append(f"{owner} wants of models: {model_rules(policy.models)}")
    return tuple(found)


def _home_words(source: PlanInput) -> tuple[str, ...]:
    if not source.at_home:
        return ()
    words = (
        f"the rows stay at home: only an enclave on the premises of {source.owner} opens them, and "
        "sums of agreed shape leave it"
    )
    return (words,)


def _secret_words(source: PlanInput) -> tuple[str, ...]:
    """What to know of an input that is one value, which its owner chose and others cannot see."""
    if not is_secret_value(source.schema.names, source.row_bound):
        return ()
    kind = source.schema.columns[0].type
    words = (
        f"<secret of {source.owner}>, of type {kind}: ONLY {source.owner} KNOWS THE VALUE, and "
        "chose it freely; compared with data of others, it can single rows out"
    )
    return (words,)


def _outgoing(
    checked: CheckedPlan, output: PlanOutput, grain: Grain, origins: ColumnOrigins
) -> Outgoing:
    shape = checked.shapes[output.node]
    lineage = checked.lineage(output)
    columns: tuple[OutgoingColumn, ...] = ()
    bound: int | None = None
    if isinstance(shape, TableShape):
        bound = checked.facts[output.node].rows if checked.facts else shape.row_bound
        columns = tuple(
            OutgoingColumn(
                name=c.name,
                type=str(c.type),
                how=origins[c.name].text,
                values_of=_origins(lineage.values[c.name]),
            )
            for c in shape.schema.columns
        )
    values = frozenset[tuple[str, str]]().union(*lineage.values.values())
    return Outgoing(
        name=output.name,
        kind=output.kind,
        step=output.node + 1,
        recipients=output.recipients,
        kept_by=kept_owners(checked, output) if output.keep else (),
        row_bound=bound,
        each_row=_each_row(grain, lineage.datasets) if output.kind == "table" else "",
        warns=not output.keep
        and output.kind == "table"
        and grain.kind not in {GROUPS, TOTAL, HISTORY, MODEL},
        columns=columns,
        holds=_holds(shape),
        derived_from=tuple(sorted(lineage.datasets)),
        influenced_by=_origins(lineage.influences - values),
    )


def _holds(shape: Shape) -> tuple[str, ...]:
    if isinstance(shape, LinearShape):
        return linear_holds(shape)
    return model_holds(shape) if isinstance(shape, ModelShape) else ()


def _origins(origins: Origins) -> tuple[str, ...]:
    return tuple(f"{dataset}.{column}" for dataset, column in sorted(origins))


def _each_row(grain: Grain, datasets: frozenset[str]) -> str:
    if grain.kind == HISTORY:
        return "one metric after one round of training"
    if grain.kind == MODEL:
        return "a part of a model: thresholds and leaves tell of the rows that it was trained on"
    if grain.kind not in {GROUPS, TOTAL}:
        return f"data of SINGLE ROWS of {', '.join(sorted(datasets))}"
    what = "a total over the rows that the steps before keep"
    if grain.kind == GROUPS:
        what = f"one group by {names(grain.keys)}" if grain.keys else "one group"
    if grain.least > 1:
        out = f"those of fewer than {grain.least:,} rows are left out"
        return f"{what}; {out} (one person can have several)"
    return f"{what}; it can be of a single row, for the plan sets no least number"


def _host_sees(plan: Plan, manifests: Mapping[str, Manifest]) -> tuple[str, ...]:
    found = list(_HOST_ALWAYS)
    for source in plan.inputs:
        manifest = manifests.get(source.dataset)
        if source.kept is not None:
            found.append(f"how large the encrypted {source.dataset} is, and the size of its parts")
        elif manifest is not None and manifest.sizes == "exact":
            found.append(f"the exact number of rows of {source.dataset}, and the size of its parts")
        else:
            found.append(f"the padded size of {source.dataset}, not its number of rows")
        found.extend(f"of {source.dataset}, as declared: {w}" for w in fact_words(source))
    found.extend(f"how large the encrypted result {o.name} is" for o in plan.outputs)
    for index, node in enumerate(plan.nodes):
        if isinstance(node.operation, RowBound) and node.operation.leak != "none":
            rounded = ", rounded up to a power of two" if node.operation.leak == "rounded" else ""
            found.append(f"HOW MANY ROWS step {index + 1} has{rounded}, as the script says")
    if plan.mode == "encrypted":
        found.append(
            "which parts of its memory the enclave uses when, which can tell sizes of groups and "
            "joins, and more to a determined observer"
        )
    else:
        found.extend(shown_of_models(plan))
    return tuple(found)


def _objections(
    checked: CheckedPlan,
    contract: Contract,
    manifests: Mapping[str, Manifest],
    at: datetime,
    kept: Mapping[str, Result],
) -> tuple[str, ...]:
    found = []
    if at > contract.not_after:
        found.append(f"the contract ended on {to_time(contract.not_after)}")
    try:
        check_against(checked, contract, manifests, at, kept)
    except Mc2Error as error:
        found.append(visible(f"{error}" + (f" ({error.hint})" if error.hint else "")))
    return tuple(found)
