"""Which relations of a plan have an order of rows. Spec: docs/spec/plan.md, section "Order".

Rows of inputs have their dataset's order, and sorting makes one; joins and aggregates lose it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mc2.plan.plan import Node
from mc2.plan.relations import (
    Aggregate,
    Distinct,
    Explode,
    Filter,
    Join,
    Mark,
    Project,
    RowBound,
    Scan,
    Union,
    Values,
)
from mc2.plan.windows import Window


def ordered_nodes(nodes: Sequence[Node], shuffled: Collection[int] = ()) -> list[bool]:
    """For each node of a plan, whether its rows have an order.

    `shuffled`: the inputs whose rows have none, which no dataset is, but results of joins are
    that come from another enclave.
    """
    found: list[bool] = []
    for node in nodes:
        match node.operation:
            case Scan():
                found.append(node.operation.input not in shuffled)
            case Join() | Mark() | Aggregate() | Window() | Distinct() | Explode() | Values():
                found.append(False)
            case Project() | Filter() | Union() | RowBound():
                found.append(all(found[s] for s in node.operation.sources))
            case _:
                found.append(True)
    return found
