"""What later nodes of a plan need of earlier ones: their order, or only their first rows."""

from __future__ import annotations

from mc2.plan.check import CheckedPlan, uses
from mc2.plan.relations import (
    ROW_COUNT_LIMIT,
    Aggregate,
    Distinct,
    Explode,
    Filter,
    Join,
    Limit,
    Mark,
    Project,
    Sort,
    Union,
)
from mc2.plan.windows import Window


def most_read(limit: Limit) -> int | None:
    """How many of the first rows a limit reads, if that is a limit itself."""
    if limit.count is None or limit.count + limit.offset > ROW_COUNT_LIMIT:
        return None
    return limit.count + limit.offset


def only_readers(checked: CheckedPlan) -> list[Limit | None]:
    """For each node, the limit that alone reads it."""
    counts = uses(checked.plan.nodes, checked.plan.outputs)
    found: list[Limit | None] = [None] * len(checked.plan.nodes)
    for node in checked.plan.nodes:
        if isinstance(node.operation, Limit) and counts[node.operation.source] == 1:
            found[node.operation.source] = node.operation
    return found


def order_shows(checked: CheckedPlan) -> list[bool]:
    """For each node, whether anybody can tell in which order its rows stand."""
    nodes = checked.plan.nodes
    found = [False] * len(nodes)
    for place in {o.node for o in checked.plan.outputs}:
        found[place] = True
    for index in range(len(nodes) - 1, -1, -1):
        operation = nodes[index].operation
        match operation:
            case Join() | Mark() | Aggregate() | Window() | Distinct() | Explode() | Sort():
                shows = False
            case Project() | Filter() | Union():
                shows = found[index]
            case _:
                shows = True
        for source in operation.sources:
            found[source] = found[source] or shows
    return found
