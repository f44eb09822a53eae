"""A stage as a small plan of its own, which is checked like every other before it runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mc2.crypto.digest import digest
from mc2.formats.canonical import encode
from mc2.formats.limits import LIMITS
from mc2.formats.schema import Column, Schema
from mc2.plan.check import CheckedPlan, check_plan
from mc2.plan.partial import result_schema
from mc2.plan.plan import Node, Plan, PlanInput, PlanOutput
from mc2.plan.relations import Scan
from mc2.plan.stages import DatasetSource, Source, StagePlan
from mc2.plan.types import INT64

_TASK = "task"
NOTHING: Final = f"{_TASK}.nothing"
"""The input, without rows, of a stage that reads nothing: rows that stand in the script alone."""
_UNREAD: Final = "y"  # sorts after the names of exchanges
_NOTHING_SCHEMA: Final = Schema((Column("nothing", INT64, nullable=True),))


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
    found = replace(
        plan,
        script="",
        inputs=tuple(inputs) or (_no_input(),),
        nodes=here.nodes,
        outputs=stages.outputs if stage == stages.last else outputs,
    )
    return check_plan(found if here.sources else _with_unread(found))


def _with_unread(plan: Plan) -> Plan:
    """A plan reads every input that it has, and each of its nodes is needed."""
    scan = Node(Scan(0, _NOTHING_SCHEMA.names), _NOTHING_SCHEMA)
    output = PlanOutput(name=_UNREAD, node=len(plan.nodes), kind="table", recipients=(_TASK,))
    return replace(plan, nodes=(*plan.nodes, scan), outputs=(*plan.outputs, output))


def _no_input() -> PlanInput:
    return PlanInput(
        dataset=NOTHING,
        owner=_TASK,
        manifest=digest(NOTHING.encode()),
        schema=_NOTHING_SCHEMA,
        row_bound=1,
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
