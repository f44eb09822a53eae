"""What goes into an engine and what comes out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import pyarrow as pa

from mc2.formats.fixed import ChunkForm, FixedPlaces
from mc2.formats.schema import Schema


class TableSource(Protocol):
    """An input of a plan: its columns, and its rows in batches. It may be read several times."""

    @property
    def schema(self) -> Schema:
        """The table's columns."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, in order, as `mc2.formats.arrow` maps the schema."""


@runtime_checkable
class ColumnSource(TableSource, Protocol):
    """An input that can leave columns sealed which the plan does not read.

    `coded`: texts of named columns may come by codes, as dictionaries.
    """

    @property
    def coded(self) -> bool:
        """Whether texts may come as dictionaries."""

    def columns(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of all rows, in the schema's order; all columns if none is named."""


@dataclass(frozen=True, slots=True)
class TableOutput:
    """A relation that leaves the engine, in exactly the schema that the plan states."""

    schema: Schema
    table: pa.Table


class ChunkSource(Protocol):
    """A padded input as an oblivious engine reads it: nothing of a value has been looked at."""

    @property
    def form(self) -> ChunkForm:
        """What is public of its chunks."""

    def plains(self) -> Iterator[bytes]:
        """The plaintexts of all chunks, in order."""


@runtime_checkable
class ModelSource(Protocol):
    """A kept model as an input."""

    def file(self) -> bytes:
        """Its file, of which nothing has been looked at."""


@dataclass(frozen=True, slots=True)
class PaddedOutput:
    """What leaves an oblivious engine: chunks of one size that hide how full they are."""

    schema: Schema
    places: FixedPlaces
    widths: Mapping[str, int]
    row_bound: int
    chunks: tuple[bytearray, ...]


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """A model that leaves the engine: XGBoost's JSON, which stock XGBoost loads, or our own."""

    raw: bytes


Output: TypeAlias = TableOutput | PaddedOutput | ModelOutput
