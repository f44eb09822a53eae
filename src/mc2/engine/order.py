"""The order that relations without one are put into.

Wherever the order of rows shows (in a limit, in a matrix, in an output), a relation without one is
first sorted by all its columns. So a plan's answer is a function of its inputs, whatever the number
of threads, and tells nothing about how it was computed. `mc2.plan.ordering` says which have one.
"""

from __future__ import annotations

from mc2.formats.schema import Schema
from mc2.plan.types import TYPE_CLASSES


def order_of_all_columns(schema: Schema) -> str:
    """Keys of ORDER BY after which only rows remain equal that are alike in every bit."""
    keys = []
    for place, column in enumerate(schema.columns):
        keys.append(f"c{place} ASC NULLS FIRST")
        if column.type.name in TYPE_CLASSES["fraction"]:
            keys.append(f"signbit(c{place}) DESC NULLS FIRST")  # -0.0 equals 0.0
    return ", ".join(keys)
