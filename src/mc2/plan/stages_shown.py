"""What people are shown of a stage."""

from __future__ import annotations

from collections.abc import Sequence

from mc2.plan.oblivious_written import ObliviousStage
from mc2.plan.plan import Node
from mc2.plan.stages import Stage


def operations_of(nodes: Sequence[Node], stage: Stage) -> tuple[str, ...]:
    """The kinds of a stage's own operations, but for scans, in their order; `nodes`: the plan's."""
    own = stage.nodes
    if isinstance(stage, ObliviousStage):
        own = tuple(nodes[s.node] for s in stage.steps if s.source is None)
    return tuple(n.operation.OP for n in own if n.operation.OP != "scan")
