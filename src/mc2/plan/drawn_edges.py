"""Which matrices of a plan have edges that its trainings draw."""

from __future__ import annotations

from collections.abc import Sequence

from mc2.plan.models import Matrix
from mc2.plan.plan import Node
from mc2.plan.training import Train


def drawn_matrices(nodes: Sequence[Node]) -> tuple[int, ...]:
    """The matrices whose edges trainings draw, in the order of the plan.

    The place among them names the noise: no two have the same, else the difference of two would
    be free of it. A plan and its last stage have the same order, so every attempt draws the same.
    """
    found = {
        n.operation.matrix
        for n in nodes
        if isinstance(n.operation, Train) and _is_noisy(nodes[n.operation.matrix])
    }
    return tuple(sorted(found))


def _is_noisy(node: Node) -> bool:
    return isinstance(node.operation, Matrix) and bool(node.operation.noisy)
