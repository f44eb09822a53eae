"""Sizes that say nothing: what a chunk takes at most, given only what everybody may know.

A padded table has one chunk size, which follows from its schema, the declared widths and the
rows per chunk. Spec: docs/spec/dataset.md, section "Padding".
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mc2.errors import DatasetError, UsageError
from mc2.formats.fixed import fixed_places
from mc2.formats.schema import Schema, width_paths


def check_declared(schema: Schema, widths: Mapping[str, int]) -> None:
    """Check that exactly the columns without a fixed width have a declared one.

    Raises: UsageError.
    """
    needed = set(width_paths(schema))
    if missing := needed - set(widths):
        raise UsageError(
            f"a padded table needs a width for {', '.join(sorted(missing))}",
            hint="the most bytes a text may have, or elements a list: 'name=64'",
        )
    if unknown := set(widths) - needed:
        raise UsageError(f"{', '.join(sorted(unknown))} has no width to declare")
    if any(width < 0 for width in widths.values()):
        raise UsageError("a width is not negative")


def padded_bytes(schema: Schema, widths: Mapping[str, int], rows: int) -> int:
    """The plaintext size of every chunk of so many rows, whatever they hold."""
    return fixed_places(schema, widths, rows).size


def check_widths(
    table: str, batch: pa.RecordBatch, schema: Schema, widths: Mapping[str, int]
) -> pa.RecordBatch:
    """Check that all values keep to the widths, and drop bytes that belong to no value.

    Raises: DatasetError naming the column, never the value.
    """
    if not widths:
        return batch
    if any(column.null_count for column in batch.columns):
        # Arrow allows bytes behind a NULL; they would count, and they are nobody's.
        batch = batch.take(pa.array(np.arange(batch.num_rows, dtype=np.int32)))
    for column, array in zip(schema.columns, batch.columns, strict=True):
        _check_width(table, column.name, array, widths)
    return batch


def _check_width(table: str, path: str, array: pa.Array, widths: Mapping[str, int]) -> None:
    if pa.types.is_struct(array.type):
        for number, field in enumerate(array.type):
            _check_width(table, f"{path}.{field.name}", array.field(number), widths)
        return
    is_list = pa.types.is_list(array.type)
    if not is_list and path not in widths:
        return
    longest = pc.max(pc.list_value_length(array) if is_list else pc.binary_length(array)).as_py()
    if (longest or 0) > widths[path]:
        raise DatasetError(
            f"{table}: column {path!r} has a value beyond its declared width of {widths[path]}",
            hint="declare a larger width, or shorten the value",
        )
    if is_list:
        _check_width(table, f"{path}[]", array.flatten(), widths)
