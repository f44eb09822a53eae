"""Whatever an owner brings comes back exactly; whatever is padded shows only its public shape."""

import tempfile
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.tables import (
    SECRET,
    any_types,
    flat_types,
    identical,
    schemas,
    seal,
    tables,
)

from mc2.client import rows as cutting
from mc2.client.data_key import open_own_table, own_data_key
from mc2.client.export import export_table
from mc2.client.padding import width_paths
from mc2.client.sources.columns import column_text, parse_columns
from mc2.client.sources.csv_dialect import CsvDialect
from mc2.client.sources.csv_file import from_csv
from mc2.client.sources.frames import from_frame
from mc2.client.sources.open import open_source
from mc2.formats.arrow import arrow_schema
from mc2.formats.dataset_open import dataset_cipher, open_rows
from mc2.formats.schema import Column, Schema, parse_type

RELAXED = settings(deadline=None, max_examples=80)
STRING = parse_type("string")


def read_all(source):
    survey = source.survey(lambda _: None)
    batches = list(source.batches(survey))
    table = pa.Table.from_batches(batches, schema=arrow_schema(survey.schema))
    assert table.num_rows == survey.rows
    return table


def opened(sealed, blobs):
    batches = list(open_own_table(SECRET, sealed.manifest, blobs.get))
    return pa.Table.from_batches(batches, schema=arrow_schema(sealed.manifest.schema))


@RELAXED
@given(tables(), st.sampled_from(["none", "lz4", "zstd"]), st.integers(1, 5))
def test_what_is_sealed_opens_to_the_same(drawn, compression, rows_per_chunk):
    schema, table = drawn
    sealed, blobs = seal(table, compression=compression, rows_per_chunk=rows_per_chunk)
    assert sealed.manifest.schema == schema
    assert sealed.manifest.row_bound == table.num_rows
    assert identical(opened(sealed, blobs), table)


@RELAXED
@given(tables(), st.integers(1, 5))
def test_slices_and_odd_batches_seal_alike(drawn, step):
    _, table = drawn
    batches = [table.slice(i, step) for i in range(0, table.num_rows, step)]
    pieces = pa.concat_tables([t for b in batches for t in (b, b.slice(0, 0))] or [table])
    sealed, blobs = seal(pieces, rows_per_chunk=3)
    assert identical(opened(sealed, blobs), table)


@RELAXED
@given(tables(), st.sampled_from(["none", "lz4", "zstd"]), st.data())
def test_what_is_cut_by_column_opens_to_the_same(drawn, compression, data):
    _, table = drawn
    with mock.patch.object(cutting, "_PART_BYTES", data.draw(st.sampled_from([1, 40]))):
        sealed, blobs = seal(table, compression=compression, rows_per_chunk=3)
    assert identical(opened(sealed, blobs), table)
    names = data.draw(st.lists(st.sampled_from(table.column_names), min_size=1, unique=True))
    with own_data_key(SECRET, sealed.manifest) as key:
        cipher = dataset_cipher(sealed.manifest, key.raw)
    some = pa.Table.from_batches(open_rows(cipher, sealed.manifest, blobs.get, names))
    assert identical(some, table.select([n for n in table.column_names if n in names]))


@RELAXED
@given(tables(flat_types), st.sampled_from([".csv", ".tsv"]))
def test_csv_comes_back_exactly(drawn, ending):
    schema, table = drawn
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table{ending}"
        assert export_table(schema, table.to_batches(), path) == table.num_rows
        dialect = CsvDialect(delimiter="\t" if ending == ".tsv" else ",")
        source = from_csv(path, schema.by_name(), dialect)
        assert identical(read_all(source), table)


@RELAXED
@given(tables(), st.sampled_from([".parquet", ".arrow", ".arrows"]))
def test_typed_files_come_back_exactly(drawn, ending):
    schema, table = drawn
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table{ending}"
        export_table(schema, table.to_batches(), path)
        assert identical(read_all(open_source(path)), table)


@RELAXED
@given(tables())
def test_a_stream_comes_back_exactly(drawn):
    _, table = drawn
    assert identical(read_all(from_frame(table.to_reader(), {})), table)


@RELAXED
@given(tables(flat_types))
def test_a_polars_frame_comes_back_exactly(drawn):
    polars = pytest.importorskip("polars")
    _, table = drawn
    found = read_all(from_frame(polars.from_arrow(table), {}))
    nullable = pa.schema([f.with_nullable(True) for f in table.schema])
    assert identical(found, table.cast(nullable))


SPELLINGS = st.one_of(
    st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,20})?([eE]-?[0-9]{1,3})?", fullmatch=True),
    st.from_regex(r"000?[0-9]-[01][0-9]-[0-3][0-9]( [0-9]{2}:[0-9]{2})?(Z)?", fullmatch=True),
    st.sampled_from(["true", "False", "inf", "NaN", "-0", "-0.0", "007", "+1", "\\x00", ""]),
    st.text(st.characters(codec="utf-8"), max_size=6),
)


MEANS = {
    bool: lambda text, value: text.lower() == str(value).lower(),
    int: lambda text, value: text == str(value),
    float: lambda text, value: repr(float(text)) == repr(value),
    Decimal: lambda text, value: Decimal(text) == value and (value or text[0] != "-"),
    bytes: lambda text, value: text == "\\x" + value.hex(),
    date: lambda text, value: text == str(value),
    datetime: lambda text, value: datetime.fromisoformat(text) == value,
    str: lambda text, value: text == value,
}
"""Whether a value that was read is what its text says, to the last digit."""


@RELAXED
@given(st.lists(st.none() | SPELLINGS, max_size=4))
def test_inference_never_changes_a_value(texts):
    schema = Schema((Column("first", STRING), Column("second", STRING)))
    column = pa.array(texts, pa.string())
    table = pa.table({"first": column, "second": column})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        export_table(schema, table.to_batches(), path)
        found = read_all(open_source(path)).column(0).to_pylist()
    assert all(
        (value is None) == (text is None) and (text is None or MEANS[type(value)](text, value))
        for text, value in zip(texts, found, strict=True)
    )


@RELAXED
@given(schemas(any_types))
def test_declarations_read_back(schema):
    for column in schema.columns:
        if (
            "," in column.name
            or column.name.strip() != column.name
            or set(column.name) & set("<>()")
        ):
            continue
        assert parse_columns([column_text(column)]) == {column.name: column}


@st.composite
def two_tables_of_one_shape(draw):
    schema = draw(schemas(any_types))
    _, one = draw(tables(schema=schema))
    _, two = draw(tables(schema=schema))
    return schema, one, two


@RELAXED
@given(two_tables_of_one_shape(), st.sampled_from([0, 1, 3]))
def test_padded_tables_of_one_shape_look_alike(drawn, rows_per_chunk):
    schema, one, two = drawn
    widths = dict.fromkeys(width_paths(schema), 48)
    shape = {"sizes": "padded", "row_bound": 13, "widths": widths, "rows_per_chunk": rows_per_chunk}
    (a, blobs_a), (b, blobs_b) = seal(one, **shape), seal(two, **shape)
    sizes = {c.size for c in (*a.manifest.chunks, *b.manifest.chunks)}
    assert len(sizes) == 1
    assert {len(raw) for raw in (*blobs_a.blobs.values(), *blobs_b.blobs.values())} == sizes
    random = {"dataset_id": "", "key_salt": "", "key_commitment": "", "chunks": a.manifest.chunks}
    assert replace(a.manifest, **random) == replace(b.manifest, **random)
    assert len(a.envelope) == len(b.envelope)
    assert identical(opened(a, blobs_a), one)
    assert identical(opened(b, blobs_b), two)


@RELAXED
@given(st.data())
def test_nonces_and_keys_never_repeat(data):
    """Two runs over one table share no ciphertext block: each has a key of its own."""
    _, table = data.draw(tables())
    (a, blobs_a), (b, blobs_b) = seal(table), seal(table)
    assert a.manifest.key_salt != b.manifest.key_salt
    assert not set(blobs_a.blobs) & set(blobs_b.blobs)


def test_the_largest_values_fit_their_padded_size():
    kinds = "string binary int8 boolean decimal(38,2) list<string> struct<a:string,b:list<binary>>"
    columns = parse_columns(f"c{i}:{kind}" for i, kind in enumerate(kinds.split()))
    schema = Schema(tuple(columns.values()))
    full = {"c0": "x" * 7, "c1": b"y" * 7, "c2": 1, "c3": True, "c4": 10}
    full |= {"c5": ["z" * 7] * 7, "c6": {"a": "a" * 7, "b": [b"b" * 7] * 7}}
    for rows in (1, 8, 9, 1000):
        table = pa.Table.from_pylist([full] * (rows - 1) + [{}], schema=arrow_schema(schema))
        widths = dict.fromkeys(width_paths(schema), 7)
        sealed, blobs = seal(table, sizes="padded", row_bound=rows, widths=widths)
        assert identical(opened(sealed, blobs), table)
