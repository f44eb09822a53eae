"""Says what an oblivious job lets its host see of models, beside what follows from bounds."""

from __future__ import annotations

from mc2.plan.drawn_edges import drawn_matrices
from mc2.plan.linear_models import Fit
from mc2.plan.models import Annotate, Slice
from mc2.plan.oblivious_models import has_history, is_released
from mc2.plan.plan import Plan
from mc2.plan.training import CrossValidate, Train


def shown_of_models(plan: Plan) -> tuple[str, ...]:
    """What each training of a plan in oblivious mode shows to whoever watches the enclave."""
    found = []
    noisy = drawn_matrices(plan.nodes)
    for index, node in enumerate(plan.nodes):
        step, operation = f"step {index + 1}", node.operation
        is_model = isinstance(operation, Fit | Train | Slice | Annotate)
        if is_model and is_released(plan.outputs, index):
            found.append(f"THE MODEL of {step}, by close watching of memory: it is released")
        if index in noisy:
            found.append(f"HOW MANY ROWS of {step} are in each cell of noisy edges, with noise")
        if isinstance(operation, CrossValidate):
            found.append(f"THE METRICS of each part of {step}, by close watching of memory")
        if not isinstance(operation, Train):
            continue
        if operation.stopping is not None:
            found.append(f"THE METRICS of {step} after each round, and when its training stops")
        elif has_history(plan.nodes, index):
            found.append(f"THE METRICS of {step}, by close watching of memory: they are listed")
    return tuple(found)
