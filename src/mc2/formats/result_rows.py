"""The rows or the file of a result from the plaintexts of its chunks. Spec: docs/spec/result.md.

Whoever reads it may look at every value: recipients, and enclaves in mode `encrypted`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import pyarrow as pa

from mc2.errors import FormatError
from mc2.formats.chunk import unpack, unpack_rows
from mc2.formats.fixed import FixedPlaces, fixed_places, unpack_fixed
from mc2.formats.result import Result


def places_of(result: Result) -> FixedPlaces:
    """Where values stand in each chunk. Raises: FormatError if the result is not padded."""
    padding = result.padding
    if padding is None or result.schema is None:
        raise FormatError(
            f"{result.output} has no fixed places",
            hint='what a job in mode="oblivious" keeps has them',
        )
    return fixed_places(result.schema, padding.widths, padding.rows_per_chunk)


def result_rows(
    result: Result, plains: Iterable[bytes], names: Collection[str] = ()
) -> Iterator[pa.RecordBatch]:
    """The rows of a table, chunk after chunk; of padded chunks those that are there.

    With `names` only these columns, in the schema's order. Raises: FormatError.
    """
    schema, padding = result.schema, result.padding
    if schema is None:
        raise FormatError(f"{result.output} is a model, and has no rows")
    if padding is None:
        wanted = tuple(names)
        yield from (unpack_rows(plain, schema, names=wanted) for plain in plains)
        return
    places, chosen = places_of(result), [n for n in schema.names if not names or n in names]
    left, ended = padding.row_bound, False
    for plain in plains:
        batch = unpack_fixed(plain, schema, places)
        if batch.num_rows > (0 if ended else left):
            raise FormatError("a padded result has rows behind a chunk that is not full")
        left -= batch.num_rows
        ended = batch.num_rows < places.rows
        yield batch.select(chosen)


def model_file(plains: Iterable[bytes]) -> bytes:
    """The file of a model, whose bytes stand in the chunks. Raises: FormatError."""
    return b"".join(_piece(plain) for plain in plains)


def _piece(plain: bytes) -> bytes:
    chunk = unpack(plain)
    if chunk.rows:
        raise FormatError("a chunk of a model says that it has rows")
    return bytes(chunk.payload)
