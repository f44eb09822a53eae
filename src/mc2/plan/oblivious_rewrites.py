"""A plan as oblivious mode runs it: the same answers, in a way that public facts show to be cheap.

Owners sign a plan as it is written. What runs is a pure function of it, so everybody who has the
plan knows what that is. A rewrite changes nothing that anybody outside can rely on: the outputs,
their columns, and that they take no more room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mc2.errors import FormatError, PlanError
from mc2.plan.check import CheckedPlan, check_meaning
from mc2.plan.linear_models import LinearOperation
from mc2.plan.models import ModelOperation
from mc2.plan.oblivious_eager import aggregate_early
from mc2.plan.oblivious_order import in_cheap_order
from mc2.plan.oblivious_promises import keeps_promises
from mc2.plan.plan import Plan

Rewrite = Callable[[CheckedPlan], Plan | None]
"""Gives a plan with the same answers; None for the same plan."""

REWRITES: Final[tuple[Rewrite, ...]] = (
    lambda checked: aggregate_early(checked.plan),
    in_cheap_order,
)
"""In this order, each over what the one before gave.

Aggregates first: there are plans that have room for their pairs only because these are not made.
"""


def as_run(checked: CheckedPlan) -> CheckedPlan:
    """The plan that oblivious mode computes instead of a signed one; its nodes have other numbers.

    Plans of another mode are run as they are written. So are plans with models: what a training
    draws, what it tells of its rounds and who trains together go by the numbers of nodes.
    """
    operations = (node.operation for node in checked.plan.nodes)
    learns = any(isinstance(one, ModelOperation | LinearOperation) for one in operations)
    if learns or checked.plan.mode != "oblivious":
        return checked
    for rewrite in REWRITES:
        checked = _accepted(checked, rewrite(checked))
    return checked


def _accepted(before: CheckedPlan, plan: Plan | None) -> CheckedPlan:
    """The new plan, if it is one for oblivious mode and keeps the promises of the one before."""
    if plan is None:
        return before
    try:
        after = check_meaning(plan)
    except (FormatError, PlanError):  # too large, or with more pairs than there is room for
        return before
    kept = keeps_promises((before.plan, before.facts), (after.plan, after.facts))
    return after if kept else before
