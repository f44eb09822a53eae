"""Writes tables of one's own as CSV, JSON lines, Parquet or Arrow files, exactly.

This is the one place where a party's rows are written in plain text, and only because the party
asked for that file. It appears whole or not at all, and others cannot read it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
from pyarrow import csv, ipc, parquet

from mc2.client.sources.open import FILE_FORMATS
from mc2.client.sources.text import Place, to_text
from mc2.errors import UsageError
from mc2.formats.arrow import arrow_schema
from mc2.formats.schema import Schema

_FILE_MODE: Final = 0o600
_Write = Callable[[pa.RecordBatch], None]


def export_table(
    schema: Schema, batches: Iterable[pa.RecordBatch], path: Path, *, overwrite: bool = False
) -> int:
    """Write rows to a file whose ending says its format; how many there were.

    CSV is UTF-8 with a header; NULL is an empty field, an empty string is `""`. JSON lines hold
    nested columns too, and no NaN. Dates beyond the years 1 to 9999 need Parquet or Arrow.
    Raises: UsageError, DatasetError.
    """
    writer = _writer_for(path)
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists", hint="choose another name, or ask to overwrite it")
    rows = 0
    with _draft(path) as file, writer(file, schema, path) as write:
        for batch in batches:
            write(batch)
            rows += batch.num_rows
    return rows


def _writer_for(path: Path) -> Callable[[IO[bytes], Schema, Path], AbstractContextManager[_Write]]:
    kind = FILE_FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(
            f"the ending of {path.name} does not say what to write",
            hint=f"use one of {', '.join(FILE_FORMATS)}",
        )
    return {"csv": _csv, "jsonl": _json_lines, "parquet": _parquet, "arrow": _arrow}[kind]


@contextmanager
def _draft(path: Path) -> Iterator[IO[bytes]]:
    """A new file beside `path` that takes its place when all went well, and goes if not."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def _csv(file: IO[bytes], schema: Schema, path: Path) -> Iterator[_Write]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    text = pa.schema([pa.field(name, pa.string()) for name in schema.names])
    options = csv.WriteOptions(delimiter=delimiter, quoting_style="needed")
    with csv.CSVWriter(file, text, write_options=options) as writer:

        def write(batch: pa.RecordBatch) -> None:
            texts = [
                to_text(Place(path.name, column.name, 1), values, column.type)
                for column, values in zip(schema.columns, batch.columns, strict=True)
            ]
            writer.write_batch(pa.record_batch(texts, schema=text))

        yield write


@contextmanager
def _json_lines(file: IO[bytes], schema: Schema, path: Path) -> Iterator[_Write]:
    from mc2.client.json_text import json_lines

    def write(batch: pa.RecordBatch) -> None:
        file.write(json_lines(path.name, schema, batch).encode())

    yield write


@contextmanager
def _parquet(file: IO[bytes], schema: Schema, _: Path) -> Iterator[_Write]:
    with parquet.ParquetWriter(file, arrow_schema(schema), compression="zstd") as writer:
        yield writer.write_batch


@contextmanager
def _arrow(file: IO[bytes], schema: Schema, path: Path) -> Iterator[_Write]:
    make: Any = ipc.new_stream if path.suffix.lower() == ".arrows" else ipc.new_file
    with make(file, arrow_schema(schema)) as writer:
        yield writer.write_batch
