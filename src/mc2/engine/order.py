"""Which relations have an order of rows, and the order that the others are put into.

Rows of inputs have their dataset's order, and sorting makes one; joins and aggregates lose it.
Wherever the order of rows shows (in a limit, in a matrix, in an output), a relation without one is
first sorted by all its columns. So a plan's answer is a function of its inputs, whatever the number
of threads, and tells nothing about how it was computed.
"""

from __future__ import annotations

from collections.abc import Sequence

from mc2.formats.schema import Schema
from mc2.plan.plan import Node
from mc2.plan.relations import Aggregate, Distinct, Filter, Join, Project, Union
from mc2.plan.types import TYPE_CLASSES


def ordered_nodes(nodes: Sequence[Node]) -> list[bool]:
    """For each node of a plan, whether its rows have an order."""
    found: list[bool] = []
    for node in nodes:
        match node.operation:
            case Join() | Aggregate() | Distinct():
                found.append(False)
            case Project() | Filter() | Union():
                found.append(all(found[s] for s in node.operation.sources))
            case _:
                found.append(True)
    return found


def order_of_all_columns(schema: Schema) -> str:
    """Keys of ORDER BY after which only rows remain equal that are alike in every bit."""
    keys = []
    for place, column in enumerate(schema.columns):
        keys.append(f"c{place} ASC NULLS FIRST")
        if column.type.name in TYPE_CLASSES["fraction"]:
            keys.append(f"signbit(c{place}) DESC NULLS FIRST")  # -0.0 equals 0.0
    return ", ".join(keys)
