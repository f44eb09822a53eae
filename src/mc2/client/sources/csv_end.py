"""Tells whether a CSV file ends outside of quotes.

Arrow takes the end of a file for the end of a value, so a quote that is never closed swallows the
rest of the table without a word. We add a row of our own after the last one: if the last value is
open, that row ends up inside of it instead of standing alone.
"""

from __future__ import annotations

import codecs
import io
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

import pyarrow as pa

from mc2.client.sources.csv_dialect import CsvDialect
from mc2.errors import DatasetError

_TOKEN_BYTES: Final = 16  # nobody's data hold these bytes by chance


@dataclass(frozen=True, slots=True)
class EndMark:
    """The row that is added: one token, once for each column."""

    table: str
    token: str
    row: bytes

    @classmethod
    def choose(cls, table: str, columns: int, dialect: CsvDialect) -> Self:
        """A fresh mark for a table of so many columns."""
        special = dialect.delimiter + dialect.quote
        plain = next(c for c in ".:;" if c not in special)
        token = "".join(plain if c in special else c for c in secrets.token_hex(_TOKEN_BYTES))
        text = dialect.delimiter.join([token] * columns) + "\n"
        return cls(table, token, text.encode())

    def without(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """All rows but the mark. Raises: DatasetError if it does not stand alone at the end."""
        last: pa.RecordBatch | None = None
        rows = 0
        for batch in batches:
            if not batch.num_rows:
                continue
            if last is not None:
                rows += last.num_rows
                yield last
            last = batch
        if last is None or not self._stands_in(last):
            raise self._open_quote(rows + (0 if last is None else last.num_rows))
        if last.num_rows > 1:
            yield last.slice(0, last.num_rows - 1)

    def _stands_in(self, batch: pa.RecordBatch) -> bool:
        return all(column[-1].as_py() == self.token for column in batch.columns)

    def _open_quote(self, row: int) -> DatasetError:
        where = f"in row {row}" if row else "in its header"
        return DatasetError(
            f"{self.table} ends inside of a quoted value that begins {where}",
            hint="close the quote, or name another quote character if this one is part of the text",
        )


class Utf8File(io.RawIOBase):
    """A file as UTF-8, with a row added at its end, on a line of its own."""

    def __init__(self, file: pa.NativeFile, encoding: str, row: bytes = b"") -> None:
        self._file = file
        self._row = row
        self._done = False
        self._last = b"\n"
        plain = codecs.lookup(encoding).name == "utf-8"  # Arrow itself checks that it is
        self._decoder = None if plain else codecs.getincrementaldecoder(encoding)()

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """About as many bytes as asked for; none at the end. Raises: ValueError."""
        while not self._done:
            found: bytes = self._file.read(size)
            self._done = not found
            if self._decoder is not None:
                found = self._decoder.decode(found, final=self._done).encode()
            if self._done and self._row:
                before = found or self._last
                found += (b"" if before.endswith((b"\n", b"\r")) else b"\n") + self._row
            if found:
                self._last = found[-1:]
                return found
        return b""
