"""Keeps a stream that can be read only once, so that it can be read twice: encrypted.

The key lives in this process and nowhere else; the file has no name and goes with the process.
"""

from __future__ import annotations

import secrets
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Final

import pyarrow as pa
from pyarrow import ipc

from mc2.client.sources.files import in_steps
from mc2.client.sources.normal import to_schema
from mc2.client.sources.typed import TypedSource, closest_schema
from mc2.crypto.chunks import ChunkCipher
from mc2.errors import DatasetError
from mc2.formats.arrow import arrow_schema
from mc2.formats.schema import Column

_KEY_BYTES: Final = 32
_BOUND_TO: Final = b"mc2 spool"


class Spool:
    """Record batches in an unnamed file under a key of their own."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._cipher = ChunkCipher(secrets.token_bytes(_KEY_BYTES))
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with its reader
        self._sizes: list[int] = []
        weakref.finalize(self, self._file.close)

    def append(self, batch: pa.RecordBatch) -> None:
        """Add a batch."""
        plain = memoryview(batch.serialize()).cast("B")
        sealed = self._cipher.seal(len(self._sizes), plain, _BOUND_TO)
        self._file.write(sealed)
        self._sizes.append(len(sealed))

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """All batches from the start. Raises: CryptoError if the file was touched."""
        self._file.seek(0)
        for number, size in enumerate(self._sizes):
            plain = self._cipher.open(number, self._file.read(size), _BOUND_TO)
            yield ipc.read_record_batch(pa.py_buffer(plain), self._schema)


def from_stream(
    name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], declared: Mapping[str, Column]
) -> TypedSource:
    """Read a stream to its end into a spool. Raises: UsageError, DatasetError."""
    closest = closest_schema(name, schema)
    plain = arrow_schema(closest)
    spool = Spool(plain)

    def read(_: Sequence[str]) -> Iterator[pa.RecordBatch]:
        return iter(spool)

    source = TypedSource(name, plain, read, declared)  # a wrong declaration shows before reading
    rows = 0
    for batch in in_steps(iter(batches)):
        if not batch.schema.equals(schema, check_metadata=False):
            raise DatasetError(f"{name} changes its columns on the way")
        spool.append(to_schema(name, batch, closest, first_row=rows + 1))
        rows += batch.num_rows
    return source
