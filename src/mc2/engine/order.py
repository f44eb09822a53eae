"""The order that relations without one are put into.

Wherever the order of rows shows (in a limit, in a matrix, in an output), a relation without one is
first sorted by all its columns. So a plan's answer is a function of its inputs, whatever the number
of threads, and tells nothing about how it was computed. `mc2.plan.ordering` says which have one.
"""

from __future__ import annotations

from mc2.engine.sql_nested import order_key, signs
from mc2.formats.schema import Schema
from mc2.plan.types import holds_floats


def order_of_all_columns(schema: Schema) -> str:
    """Keys of ORDER BY after which only rows remain equal that are alike in every bit."""
    keys = []
    for place, column in enumerate(schema.columns):
        keys.append(f"{order_key(f'c{place}', column.type)} ASC NULLS FIRST")
        if holds_floats(column.type):
            keys.append(f"{signs(f'c{place}', column.type)} DESC NULLS FIRST")  # -0.0 equals 0.0
    return ", ".join(keys)
