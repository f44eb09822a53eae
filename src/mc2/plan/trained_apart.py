"""Which trainings of a plan in encrypted mode stock XGBoost can spread over several enclaves.

A pure function of the stages: the leader and each member work it out for themselves. What XGBoost
does not train over several processes, or only with other meaning, the leader trains alone.
Spec: docs/spec/collective.md, section "Which trainings".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mc2.plan.models import Matrix, Train
from mc2.plan.plan import Node
from mc2.plan.relations import Scan
from mc2.plan.shapes import MatrixShape, Shape
from mc2.plan.stages import ExchangeSource, StagePlan
from mc2.plan.training import NO_CONTROLS

_OTHERS: Final[Mapping[str, frozenset[object]]] = {
    "booster": frozenset({"gbtree"}),
    "tree_method": frozenset({"auto", "hist", "approx"}),
    "multi_strategy": frozenset({"one_output_per_tree"}),
    "process_type": frozenset({"default"}),
}
"""Parameters that must have one of these values, if they are set at all."""

_ABSENT: Final = frozenset({"updater"})
_ALONE: Final = ("rank:", "survival:cox")
"""Objectives for which rows must not be apart from one another."""
_METRICS: Final = ("ndcg", "map", "pre", "cox-nloglik")


@dataclass(frozen=True, slots=True)
class ApartTraining:
    """A training in the last stage, and the stage's sources that each of its matrices reads."""

    node: int
    operation: Train
    matrices: Mapping[int, tuple[int, ...]]


def trainings_apart(stages: StagePlan, shapes: Sequence[Shape]) -> Mapping[int, ApartTraining]:
    """The trainings of the last stage whose rows come as blocks, by node.

    `shapes` are those of the last stage's nodes.
    """
    found = {}
    for index, node in enumerate(stages.stages[stages.last].nodes):
        operation = node.operation
        if isinstance(operation, Train) and _spreads(operation):
            matrices = {m: _sources(stages, m, shapes[m]) for m in operation.matrices}
            if all(matrices.values()):
                known = {m: s for m, s in matrices.items() if s}
                found[index] = ApartTraining(index, operation, known)
    return found


def _spreads(operation: Train) -> bool:
    """Whether XGBoost trains the same kind of model over several processes."""
    settings = {name: p.argument for name, p in operation.named_parameters.items()}
    texts = {name: str(value) for name, value in settings.items()}
    if any(texts.get(name, "") not in {"", *wanted} for name, wanted in _OTHERS.items()):
        return False
    if _ABSENT & settings.keys() or texts.get("objective", "").startswith(_ALONE):
        return False
    metrics = settings.get("eval_metric", ())
    named = (metrics,) if isinstance(metrics, str) else tuple(map(str, metrics))
    return (
        not any(m.startswith(_METRICS) for m in named)
        and operation.objective is None
        and operation.metric is None
        and operation.start is None
        and operation.controls == NO_CONTROLS
    )


def _sources(stages: StagePlan, matrix: int, shape: Shape) -> tuple[int, ...] | None:
    """The last stage's sources that a matrix reads, if each is rows as they come."""
    nodes = stages.stages[stages.last].nodes
    operation = nodes[matrix].operation
    if not isinstance(operation, Matrix) or not isinstance(shape, MatrixShape):
        return None
    if operation.group is not None or any(f.categorical for f in shape.features):
        return None  # groups stay together; names of categories are those of all rows
    found = [_source(stages, nodes[s]) for s in operation.sources]
    return None if None in found else tuple(p for p in found if p is not None)


def _source(stages: StagePlan, node: Node) -> int | None:
    operation, sources = node.operation, stages.stages[stages.last].sources
    if not isinstance(operation, Scan) or node.schema is None:
        return None
    source = sources[operation.input]
    if not isinstance(source, ExchangeSource):
        return None
    exchange = stages.stages[source.stage].exchanges[source.exchange]
    whole = exchange.partial is None and operation.columns == exchange.schema.names
    return operation.input if whole else None
