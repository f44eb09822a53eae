"""Says what an oblivious job lets its host see of models, beside what follows from bounds."""

from __future__ import annotations

from mc2.plan.linear_models import Fit
from mc2.plan.oblivious_models import has_history, is_released
from mc2.plan.plan import Plan
from mc2.plan.training import Train


def shown_of_models(plan: Plan) -> tuple[str, ...]:
    """What each training of a plan in oblivious mode shows to whoever watches the enclave."""
    found = []
    for index, node in enumerate(plan.nodes):
        step = f"step {index + 1}"
        if isinstance(node.operation, Fit) and is_released(plan.outputs, index):
            found.append(f"THE MODEL of {step}, by close watching of memory: it is released")
        if not isinstance(node.operation, Train):
            continue
        if is_released(plan.outputs, index):
            found.append(f"THE MODEL of {step}, by close watching of memory: it is released")
        if node.operation.stopping is not None:
            found.append(f"THE METRICS of {step} after each round, and when its training stops")
        elif has_history(plan.nodes, index):
            found.append(f"THE METRICS of {step}, by close watching of memory: they are listed")
    return tuple(found)
