"""A stage as a small plan of its own, which is checked like every other before it runs."""

from __future__ import annotations

from dataclasses import replace

from mc2.crypto.digest import digest
from mc2.formats.canonical import encode
from mc2.formats.limits import LIMITS
from mc2.formats.schema import Schema
from mc2.plan.check import CheckedPlan, check_plan
from mc2.plan.partial import result_schema
from mc2.plan.plan import Plan, PlanInput, PlanOutput
from mc2.plan.stages import DatasetSource, Source, StagePlan

_TASK = "task"


def source_name(place: int) -> str:
    """The name under which a fragment reads the source of its stage at a place."""
    return f"{_TASK}.s{place:05d}"


def exchange_name(place: int) -> str:
    """The name under which a fragment puts out what its stage hands on."""
    return f"x{place:05d}"


def fragment(plan: Plan, stages: StagePlan, stage: int) -> CheckedPlan:
    """The plan of one stage: its sources as inputs, what it hands on or puts out as outputs.

    Raises: FormatError, PlanError if the stage is not well typed, which is a flaw of the cut.
    """
    here = stages.stages[stage]
    outputs = tuple(
        PlanOutput(name=exchange_name(i), node=e.node, kind="table", recipients=(_TASK,))
        for i, e in enumerate(here.exchanges)
    )
    inputs = (_input(plan, stages, source, place) for place, source in enumerate(here.sources))
    return check_plan(
        replace(
            plan,
            script="",
            inputs=tuple(inputs),
            nodes=here.nodes,
            outputs=stages.outputs if stage == stages.last else outputs,
        )
    )


def source_schema(plan: Plan, stages: StagePlan, source: Source) -> Schema:
    """The columns of a source as the fragment reads it."""
    if isinstance(source, DatasetSource):
        return plan.inputs[source.input].schema
    exchange = stages.stages[source.stage].exchanges[source.exchange]
    if exchange.partial is None:
        return exchange.schema
    return result_schema(exchange.partial, exchange.schema)


def _input(plan: Plan, stages: StagePlan, source: Source, place: int) -> PlanInput:
    manifest, bound = digest(encode(source.json())), LIMITS.row_bound
    if isinstance(source, DatasetSource):
        dataset = plan.inputs[source.input]
        manifest, bound = dataset.manifest, dataset.row_bound
    return PlanInput(
        dataset=source_name(place),
        owner=_TASK,
        manifest=manifest,
        schema=source_schema(plan, stages, source),
        row_bound=bound,
    )
