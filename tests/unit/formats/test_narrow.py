"""Whole numbers in few bytes: nothing changes but their width, and no width is believed."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.errors import FormatError
from mc2.formats.arrow import schema_of
from mc2.formats.chunk import pack_rows, unpack_rows
from mc2.formats.limits import LIMITS
from mc2.formats.narrow import narrowed, short_type, travelling_schema, widened

BITS = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
EDGES = [0, 1, 127, 128, 32767, 32768, 2**31 - 1, 2**31, 2**63 - 1]
NUMBERS = st.sampled_from([*EDGES, *(-e - 1 for e in EDGES)])


def batch_of(array):
    return pa.record_batch([array], ["n"])


@given(st.lists(st.none() | NUMBERS, max_size=5), st.integers(0, 2))
def test_integers_take_the_least_width_and_come_back(values, start):
    batch = batch_of(pa.array(values, pa.int64())).slice(min(start, len(values)))
    there = [v for v in batch.column(0).to_pylist() if v is not None]
    travelling = narrowed(batch).column(0)
    least = min(b for b in BITS if all(-(1 << (b - 1)) <= v < 1 << (b - 1) for v in there))
    assert travelling.type == BITS[least]
    assert widened(travelling, pa.int64(), short=False).equals(batch.column(0))


@given(
    st.lists(st.none() | st.integers(-(10**9), 10**9), max_size=5),
    st.sampled_from([pa.decimal128(18, 3), pa.decimal128(9, 0), pa.decimal128(30, 2)]),
    st.sampled_from(["lz4", "zstd", "none"]),
)
def test_decimals_come_back(values, kind, codec):
    values = [None if v is None else Decimal(v % 10**8) for v in values]
    scaled = [None if v is None else v.scaleb(-kind.scale) for v in values]
    batch = batch_of(pa.array(scaled, kind))
    schema = schema_of(batch.schema)
    assert unpack_rows(pack_rows(batch, codec), schema, codec).equals(batch)
    short = unpack_rows(pack_rows(batch, codec), schema, codec, short=True).column(0)
    assert short.type == (kind if codec == "none" else short_type(kind))
    assert short.cast(kind).equals(batch.column(0))


def test_sizes_tell_nothing_of_numbers_that_are_not_compressed():
    small = batch_of(pa.array([0, 1, 2], pa.int64()))
    large = batch_of(pa.array([0, 1, 1 << 60], pa.int64()))
    assert len(pack_rows(small)) == len(pack_rows(large))


def test_what_stands_behind_a_null_is_nobodys():
    numbers = np.array([1, 1 << 60, 3], np.int64)
    array = pa.Array.from_buffers(
        pa.int64(), 3, [pa.py_buffer(bytes([0b101])), pa.py_buffer(numbers.tobytes())]
    )
    (travelling,) = narrowed(batch_of(array)).columns
    assert travelling.type == pa.int8()
    assert widened(travelling, pa.int64(), short=False).to_pylist() == [1, None, 3]


@pytest.mark.parametrize("value", [1000, -1000])
@pytest.mark.parametrize("width", [pa.int16(), pa.int32(), pa.int64()])
def test_a_decimal_has_no_more_digits_than_its_type(value, width):
    kind = pa.decimal128(3, 1)
    assert widened(pa.array([999, -999], width), kind, short=False).type == kind
    with pytest.raises(FormatError, match="digits"):
        widened(pa.array([None, value], width), kind, short=True)


def test_widths_that_a_type_has_not_are_left_out():
    expected = pa.schema([("n", pa.int32()), ("s", pa.string())])
    for wrong in (pa.int64(), pa.uint8(), pa.float32()):
        found = pa.schema([("n", wrong), ("s", pa.string())])
        assert travelling_schema(found, expected) != found
    assert travelling_schema(pa.schema([("n", pa.int8()), ("s", pa.int8())]), expected).types == [
        pa.int8(),
        pa.string(),
    ]
    with pytest.raises(FormatError, match="columns"):
        travelling_schema(expected, pa.schema([("n", pa.int32())]))


def test_widening_is_bounded_before_it_happens():
    rows = LIMITS.chunk_rows
    zeros = pa.array(np.zeros(rows, np.int64))
    names = [f"n{i}" for i in range(9)]
    batch = pa.record_batch([zeros] * 9, names)
    with pytest.raises(FormatError, match="widen"):
        unpack_rows(pack_rows(batch, "zstd"), schema_of(batch.schema), "zstd")
