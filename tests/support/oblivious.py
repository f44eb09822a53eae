"""Plans in oblivious mode over tables of a test: inputs in fixed places, outputs as Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from mc2.engine.oblivious.run import execute
from mc2.engine.outputs import PaddedOutput
from mc2.formats.arrow import arrow_schema, schema_of
from mc2.formats.facts import TableFacts
from mc2.formats.fixed import ChunkForm, fixed_places, pack_fixed, unpack_fixed
from mc2.formats.manifest import chunk_count
from mc2.operators.run import Run
from mc2.plan.check import CheckedPlan


@dataclass(frozen=True)
class PaddedTable:
    """A table as an owner would seal it padded, without the sealing."""

    form: ChunkForm
    table: pa.Table

    def plains(self):
        rows = self.form.places.rows
        for index in range(chunk_count(self.form.row_bound, rows)):
            part = self.table.slice(index * rows, rows).combine_chunks()
            batches = part.to_batches() or [
                pa.RecordBatch.from_pylist([], schema=self.table.schema)
            ]
            chunk = bytearray(self.form.places.size)
            pack_fixed(batches[0], self.form.places, chunk)
            yield bytes(chunk)


def facts_of(table: pa.Table, **declared) -> TableFacts:
    """Facts with the widths that the table needs."""
    widths: dict[str, int] = {}
    for column in schema_of(table.schema).columns:
        values = table.column(column.name).combine_chunks()
        _measure(column.name, column.type, values, widths)
    return TableFacts(widths, **declared)


def _measure(path, kind, values, widths):
    if kind.name == "struct":
        for (name, inner), part in zip(kind.fields, values.flatten(), strict=True):
            _measure(f"{path}.{name}", inner, part, widths)
    elif kind.element is not None:
        widths[path] = pc.max(pc.list_value_length(values)).as_py() or 0
        _measure(f"{path}[]", kind.element, values.flatten(), widths)
    elif kind.has_width:
        widths[path] = pc.max(pc.binary_length(values)).as_py() or 0


def padded(table: pa.Table, facts: TableFacts, bound: int = 0, rows_per_chunk: int = 7):
    """A source of so many places."""
    schema = schema_of(table.schema)
    places = fixed_places(schema, facts.widths, rows_per_chunk)
    return PaddedTable(ChunkForm(schema, facts, places, (bound or table.num_rows,)), table)


def opened(output: PaddedOutput) -> pa.Table:
    """The rows of an output, as its recipient has them."""
    batches = [unpack_fixed(c, output.schema, output.places) for c in output.chunks]
    return pa.Table.from_batches(batches, arrow_schema(output.schema))


def run_obliviously(
    checked: CheckedPlan, tables: Mapping[str, PaddedTable], *, record: bool = False
) -> tuple[dict[str, pa.Table], Run]:
    """The outputs of a plan, opened, and the record of the run."""
    trace = Run(record=record)
    found = execute(checked, tables, lambda _: None, trace)
    return {name: opened(output) for name, output in found.items()}, trace


def in_mode(plan, mode: str):
    """The plan in another mode."""
    return replace(plan, mode=mode)
