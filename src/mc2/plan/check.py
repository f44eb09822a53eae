"""Re-derives everything a plan claims: names, types, NULLs, row bounds, lineage.

The enclave runs nothing but what `check_plan` gives it; a plan's own statements about itself are
compared, never believed. Spec: docs/spec/plan.md, section "Checks", whose numbers stand below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Schema
from mc2.plan.facts import Facts
from mc2.plan.home import check_home
from mc2.plan.infer import Inference
from mc2.plan.lineage import Lineage, trace
from mc2.plan.models import Recall
from mc2.plan.oblivious import check_oblivious
from mc2.plan.oblivious_models import check_stock
from mc2.plan.plan import Node, Plan, PlanOutput
from mc2.plan.relations import Scan
from mc2.plan.shapes import LinearShape, ModelShape, Shape, TableShape

_OUTPUT_SHAPE: Final[dict[str, tuple[type, ...]]] = {
    "table": (TableShape,),
    "model": (ModelShape, LinearShape),
}


@dataclass(frozen=True, slots=True)
class CheckedPlan:
    """A plan that is well typed and whole. Only the functions below make one.

    `shapes` and `lineages` stand at the places of the nodes they describe, and so do `facts`, which
    only plans in oblivious mode have.
    """

    plan: Plan
    shapes: tuple[Shape, ...]
    lineages: tuple[Lineage, ...]
    facts: tuple[Facts, ...] = ()

    def lineage(self, output: PlanOutput) -> Lineage:
        """Where an output comes from."""
        return self.lineages[output.node]

    def schema(self, output: PlanOutput) -> Schema | None:
        """The columns of an output; None for a model."""
        return self.plan.nodes[output.node].schema


def check_plan(plan: Plan) -> CheckedPlan:
    """Check a plan. Raises: FormatError, PlanError naming the node and the reason."""
    # 1. The plan has a canonical form, within the limits, that says all there is to say of it.
    if Plan.parse(plan.encode()) != plan:
        raise PlanError("the plan does not survive its own encoding")
    return check_meaning(plan)


def check_meaning(plan: Plan) -> CheckedPlan:
    """Check what a plan means; of one that nobody signs, as it is made of another one here.

    Raises: PlanError naming the node and the reason.
    """
    # 2. Each node reads earlier ones only, is well typed, and states its schema truly.
    shapes = _check_nodes(plan)
    # 3. Each output is the result of a node of its kind.
    for output in plan.outputs:
        _check_output(plan, output, shapes)
    # 4. Nothing is there that no output needs: owners approve what runs, and all of it.
    _check_used(plan)
    # 5. A plan holds nothing that its mode cannot do: there is no other way then.
    check_home(plan)
    facts = check_oblivious(plan, shapes) if plan.mode == "oblivious" else _check_encrypted(plan)
    return CheckedPlan(plan, tuple(shapes), trace(plan.inputs, plan.nodes), facts)


def _check_encrypted(plan: Plan) -> tuple[Facts, ...]:
    for node in plan.nodes:
        check_stock(node.operation)
    return ()


def _check_nodes(plan: Plan) -> list[Shape]:
    inference = Inference(plan.inputs)
    for index, node in enumerate(plan.nodes):
        shape = inference.add(node.operation)
        found = shape.schema if isinstance(shape, TableShape) else None
        if node.schema != found:
            raise PlanError(f"node {index} ({node.operation.OP}) states a schema it does not have")
    return inference.shapes


def _check_output(plan: Plan, output: PlanOutput, shapes: Sequence[Shape]) -> None:
    if output.node >= len(shapes):
        raise PlanError(f"the output {output.name} is of node {output.node}, which is not there")
    if not isinstance(shapes[output.node], _OUTPUT_SHAPE[output.kind]):
        raise PlanError(f"the output {output.name} is not a {output.kind}")
    if isinstance(plan.nodes[output.node].operation, Recall):
        raise PlanError(
            f"the output {output.name} is a kept model, which never leaves",
            hint="predict with it; or release the model in the job that trains it",
        )


def _check_used(plan: Plan) -> None:
    used = {o.node for o in plan.outputs}
    for index in range(len(plan.nodes) - 1, -1, -1):
        if index not in used:
            raise PlanError(f"no output needs node {index} ({plan.nodes[index].operation.OP})")
        used.update(plan.nodes[index].operation.sources)
    scanned = {n.operation.input for n in plan.nodes if isinstance(n.operation, Scan | Recall)}
    for place, source in enumerate(plan.inputs):
        if place not in scanned:
            raise PlanError(f"no node reads the input {source.dataset}")


def uses(nodes: Sequence[Node], outputs: Sequence[PlanOutput]) -> list[int]:
    """How often the result of each node is read, by other nodes and as an output."""
    counts = [0] * len(nodes)
    for node in nodes:
        for source in node.operation.sources:
            counts[source] += 1
    for output in outputs:
        counts[output.node] += 1
    return counts
