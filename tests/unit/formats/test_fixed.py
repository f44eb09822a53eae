"""Chunks in fixed places: what goes in comes out, and nothing else is one."""

import math
from datetime import UTC, date, datetime
from decimal import Context, Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.errors import FormatError
from mc2.formats.arrow import schema_of
from mc2.formats.fixed import fixed_places, header, pack_fixed, unpack_fixed

MIN = datetime(1, 1, 2, tzinfo=UTC).replace(tzinfo=None)
KINDS = {
    "b": (pa.bool_(), st.booleans()),
    "i8": (pa.int8(), st.integers(-128, 127)),
    "i16": (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "i32": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "i64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "f": (pa.float32(), st.floats(width=32)),
    "d": (pa.float64(), st.floats()),
    "n": (pa.decimal128(7, 2), st.decimals("-99999.99", "99999.99", places=2)),
    "w": (pa.decimal128(38, 3), st.integers(-(10**38) + 1, 10**38 - 1).map(
        lambda n: Decimal(n).scaleb(-3, context=Context(prec=60)))),
    "s": (pa.string(), st.text(max_size=3)),
    "x": (pa.binary(), st.binary(max_size=9)),
    "day": (pa.date32(), st.dates(date(1, 1, 1))),
    "at": (pa.timestamp("us"), st.datetimes(MIN)),
}  # fmt: skip
WIDTHS = {"s": 12, "x": 9}
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in KINDS.items()])
PLACES = fixed_places(schema_of(SCHEMA), WIDTHS, 9)
rows = st.lists(
    st.fixed_dictionaries({n: st.none() | values for n, (_, values) in KINDS.items()}), max_size=9
)


def packed(batch, places=PLACES):
    chunk = bytearray(places.size)
    pack_fixed(batch, places, chunk)
    return bytes(chunk)


def plain(value):
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


@given(rows)
def test_what_goes_in_comes_out(found):
    batch = pa.RecordBatch.from_pylist(found, schema=SCHEMA)
    chunk = packed(batch)
    assert len(chunk) == PLACES.size  # whatever the rows
    again = unpack_fixed(chunk, schema_of(SCHEMA), PLACES)
    assert again.schema == SCHEMA
    assert [[plain(v) for v in r.values()] for r in again.to_pylist()] == [
        [plain(v) for v in r.values()] for r in batch.to_pylist()
    ]


SMALL = pa.schema([("n", pa.int16()), ("s", pa.string())])
SMALL_PLACES = fixed_places(schema_of(SMALL), {"s": 5}, 3)
ROWS = [{"n": 7, "s": "ab"}, {"n": None, "s": None}]
GOOD = packed(pa.RecordBatch.from_pylist(ROWS, schema=SMALL), SMALL_PLACES)


def altered(at, value):
    chunk = bytearray(GOOD)
    chunk[at] = value
    return bytes(chunk)


NUMBERS, TEXTS = SMALL_PLACES.columns


@pytest.mark.parametrize(
    "chunk",
    [
        GOOD[:-1],
        GOOD + b"\0",
        altered(0, ord("X")),
        header(4) + GOOD[8:],  # more rows than places
        header(0) + GOOD[8:],  # a row behind the last one
        altered(NUMBERS.values + 2, 1),  # a value behind a NULL
        altered(NUMBERS.values + 4, 1),  # a value where no row is
        altered(NUMBERS.values + 6, 1),  # between two parts
        altered(NUMBERS.known, 0b101),  # known where no row is
        altered(TEXTS.values + 2, 1),  # behind the end of a text
        altered(TEXTS.values, 0xFF),  # no UTF-8
        altered(TEXTS.lengths, 9),  # longer than its place
        altered(TEXTS.lengths + 3, 0xFF),
        altered(TEXTS.lengths + 4, 1),  # a length of a NULL
    ],
)
def test_anything_else_is_refused(chunk):
    assert unpack_fixed(GOOD, schema_of(SMALL), SMALL_PLACES).to_pylist() == ROWS
    with pytest.raises(FormatError):
        unpack_fixed(chunk, schema_of(SMALL), SMALL_PLACES)


NESTED = pa.schema(
    [
        ("l", pa.list_(pa.int16())),
        ("t", pa.list_(pa.string())),
        ("s", pa.struct([("a", pa.bool_()), ("l", pa.list_(pa.list_(pa.int8())))])),
    ]
)
NESTED_WIDTHS = {"l": 3, "t": 2, "t[]": 8, "s.l": 2, "s.l[]": 1}
NESTED_PLACES = fixed_places(schema_of(NESTED), NESTED_WIDTHS, 5)
small = st.none() | st.integers(-9, 9)
nested_rows = st.lists(
    st.fixed_dictionaries(
        {
            "l": st.none() | st.lists(small, max_size=3),
            "t": st.none() | st.lists(st.none() | st.text(max_size=2), max_size=2),
            "s": st.none()
            | st.fixed_dictionaries(
                {
                    "a": st.none() | st.booleans(),
                    "l": st.none() | st.lists(st.none() | st.lists(small, max_size=1), max_size=2),
                }
            ),
        }
    ),
    max_size=5,
)


@given(nested_rows)
def test_lists_and_structs_come_out_as_they_went_in(found):
    batch = pa.RecordBatch.from_pylist(found, schema=NESTED)
    chunk = packed(batch, NESTED_PLACES)
    assert len(chunk) == NESTED_PLACES.size
    again = unpack_fixed(chunk, schema_of(NESTED), NESTED_PLACES)
    assert again.schema == NESTED
    assert again.to_pylist() == found


def test_lists_that_are_not_as_they_are_written_are_refused():
    rows = [{"l": [1], "t": ["x"], "s": {"a": True, "l": [[1]]}}, {"l": None, "t": None, "s": None}]
    good = packed(pa.RecordBatch.from_pylist(rows, schema=NESTED), NESTED_PLACES)
    lists, _, structs = NESTED_PLACES.columns
    inside = lists.parts[0]
    for at, value in (
        (lists.lengths, 4),  # longer than its place
        (lists.lengths + 4, 1),  # a length of a NULL
        (lists.lengths, 2),  # a NULL too many
        (inside.values + 2, 1),  # behind the last element
        (inside.known, 0b11),
        (inside.values + 6, 1),  # an element of a NULL
        (structs.parts[0].known, 0b11),  # a field of a NULL
    ):
        chunk = bytearray(good)
        chunk[at] = value
        if (at, value) == (lists.lengths, 2):  # is a list of two, the second one NULL
            assert unpack_fixed(bytes(chunk), schema_of(NESTED), NESTED_PLACES)["l"][0].as_py() == [
                1, None,
            ]  # fmt: skip
            continue
        with pytest.raises(FormatError):
            unpack_fixed(bytes(chunk), schema_of(NESTED), NESTED_PLACES)
    with pytest.raises(FormatError, match="a list has no room"):
        packed(pa.RecordBatch.from_pylist([{"l": [1] * 4}], schema=NESTED), NESTED_PLACES)


def test_null_in_a_column_that_excludes_it_is_refused():
    strict = pa.schema([pa.field("n", pa.int16(), nullable=False), ("s", pa.string())])
    with pytest.raises(FormatError, match="NULL"):
        unpack_fixed(GOOD, schema_of(strict), SMALL_PLACES)


def test_what_has_no_room_is_refused():
    with pytest.raises(FormatError, match="room"):
        packed(pa.RecordBatch.from_pylist(ROWS * 2, schema=SMALL), SMALL_PLACES)
    with pytest.raises(FormatError, match="room"):
        packed(pa.RecordBatch.from_pylist([{"n": 1, "s": "123456789"}], schema=SMALL), SMALL_PLACES)


def test_a_decimal_has_no_more_digits_than_its_type():
    schema = pa.schema([("n", pa.decimal128(3, 1))])
    places = fixed_places(schema_of(schema), {}, 1)
    chunk = bytearray(packed(pa.RecordBatch.from_pylist([{"n": Decimal("99.9")}], schema), places))
    value = places.columns[0].values
    chunk[value : value + 2] = (1000).to_bytes(2, "little")
    with pytest.raises(FormatError):
        unpack_fixed(bytes(chunk), schema_of(schema), places)
