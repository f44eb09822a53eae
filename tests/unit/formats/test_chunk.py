"""Chunks as their owner writes them, and as a hostile owner would."""

import struct
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc
from tests.support.tables import tables

from mc2.errors import FormatError
from mc2.formats.arrow import arrow_schema, schema_of
from mc2.formats.chunk import pack, pack_rows, pack_rows_into, room_for, unpack, unpack_rows
from mc2.formats.limits import LIMITS
from mc2.formats.schema import Column, Schema, decimal, parse_type

SCHEMA = Schema(
    (
        Column("id", parse_type("int64"), nullable=False),
        Column("name", parse_type("string")),
        Column("tags", parse_type("list<string>")),
        Column("cost", decimal(4, 2)),
    )
)
ARROW = arrow_schema(SCHEMA)
BATCH = pa.RecordBatch.from_pylist(
    [
        {"id": 1, "name": "ada", "tags": ["x", None], "cost": None},
        {"id": 2, "name": None, "tags": None},
        {"id": 3, "name": "", "tags": []},
    ],
    schema=ARROW,
)
CODECS = ("none", "lz4", "zstd")


def stream(*batches, schema=ARROW, **options):
    """An Arrow stream of any shape, as a chunk of three rows."""
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, schema, options=ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def refuse(payload, match=None, *, schema=SCHEMA, compression="none", rows=3):
    for names in ((), schema.names):
        with pytest.raises(FormatError, match=match):
            unpack_rows(pack(payload, rows=rows), schema, compression, names=names)


TEXT = pa.array(["ab", "cd"])


# --- the header


def test_a_payload_comes_back():
    found = unpack(pack(b"model", rows=0))
    assert (found.rows, bytes(found.payload)) == (0, b"model")


def test_padding_makes_a_chunk_as_long_as_asked():
    plain = pack(b"model", size=64)
    assert len(plain) == 64
    assert bytes(unpack(plain, padded=True).payload) == b"model"


def test_the_header_is_as_the_page_says():
    assert pack(b"\xaa", rows=7) == b"MC2C\0\0\0\x07\0\0\0\0\0\0\0\x01\xaa"


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"MC2C",
        pack(b"abc")[:15],
        pack(b"abc")[:-1],
        pack(b"abc") + b"\x00",
        b"mc2c" + pack(b"abc")[4:],
        b"MC2D" + pack(b"abc")[4:],
        struct.pack(">4sIQ", b"MC2C", LIMITS.chunk_rows + 1, 0),
        struct.pack(">4sIQ", b"MC2C", 0, 2**64 - 1),
        struct.pack(">4sIQ", b"MC2C", 0, 2**64 - 16),
    ],
)
def test_refuses_a_wrong_header(plain):
    with pytest.raises(FormatError):
        unpack(plain)


@pytest.mark.parametrize("tail", [b"\x01", b"\x00\x00\x01", b"\x01\x00\x00"])
def test_refuses_hidden_bytes_in_the_padding(tail):
    with pytest.raises(FormatError, match="zeros"):
        unpack(pack(b"abc") + tail, padded=True)


def test_refuses_what_is_longer_than_a_chunk():
    with pytest.raises(FormatError):
        unpack(bytes(LIMITS.chunk_plain_bytes + 1), padded=True)
    with pytest.raises(FormatError):
        pack(bytes(LIMITS.chunk_plain_bytes - 15))
    with pytest.raises(FormatError):
        pack(b"x" * 100, size=64)
    with pytest.raises(FormatError):
        pack(b"", rows=LIMITS.chunk_rows + 1)


# --- rows


@pytest.mark.parametrize("compression", CODECS)
def test_rows_come_back(compression):
    assert unpack_rows(pack_rows(BATCH, compression), SCHEMA, compression).equals(BATCH)
    empty = BATCH.slice(0, 0)
    assert unpack_rows(pack_rows(empty, compression), SCHEMA, compression).equals(empty)


@given(tables(), st.sampled_from(CODECS), st.integers(0, 3))
@settings(deadline=None, max_examples=50)
def test_any_rows_come_back_and_fit_their_room(drawn, compression, skip):
    schema, table = drawn
    for whole in table.to_batches():
        batch = whole.slice(skip)
        plain = pack_rows(batch, compression)
        assert len(plain) <= room_for(batch)
        assert pack_rows(unpack_rows(plain, schema, compression), compression) == plain


@given(tables(), st.sampled_from(CODECS), st.data())
@settings(deadline=None, max_examples=50)
def test_some_columns_are_those_of_all(drawn, compression, data):
    schema, table = drawn
    chosen = data.draw(st.sets(st.sampled_from(schema.names), min_size=1))
    names = [n for n in schema.names if n in chosen]
    for batch in table.to_batches():
        plain = pack_rows(batch, compression)
        found = unpack_rows(plain, schema, compression, names=names)
        whole = unpack_rows(plain, schema, compression)
        assert found.schema == whole.select(names).schema
        # by bytes, since NaN is not equal to itself
        assert pack_rows(found) == pack_rows(whole.select(names))


def test_columns_that_are_not_read_are_not_looked_at():
    schema = Schema((Column("x", parse_type("string")), Column("y", parse_type("string"))))
    batch = pa.record_batch([pa.array(["ab", "cd"]), TEXT], arrow_schema(schema))
    raw = stream(batch, schema=batch.schema)
    at = raw.rindex(b"abcd")
    wrong = pack(raw[:at] + b"ab\xff\xfe" + raw[at + 4 :], rows=2)
    assert unpack_rows(wrong, schema, names=["x"]).to_pydict() == {"x": ["ab", "cd"]}
    for names in ((), ("y",), ("x", "y")):
        with pytest.raises(FormatError):
            unpack_rows(wrong, schema, names=names)


def test_a_bomb_in_a_column_that_is_not_read_is_refused_too():
    schema = Schema((Column("x", parse_type("int64")), Column("y", parse_type("string"))))
    texts = pa.array(["x" * (1 << 20)] * 65)
    batch = pa.record_batch([pa.array(range(65), pa.int64()), texts], arrow_schema(schema))
    raw = stream(batch, schema=batch.schema, compression="zstd")
    with pytest.raises(FormatError, match="inflate"):
        unpack_rows(pack(raw, rows=65), schema, "zstd", names=["x"])


def test_packing_in_place_gives_the_same_bytes():
    out = bytearray(room_for(BATCH))
    used = pack_rows_into(BATCH, "none", out)
    assert bytes(out[:used]) == pack_rows(BATCH)


@pytest.mark.parametrize("said", CODECS)
@pytest.mark.parametrize("done", CODECS)
def test_the_compression_is_the_one_that_the_manifest_names(said, done):
    if said == done:
        return
    with pytest.raises(FormatError, match="compressed"):
        unpack_rows(pack_rows(BATCH, done), SCHEMA, said)


def test_refuses_a_wrong_number_of_rows():
    refuse(stream(BATCH), "rows", rows=2)
    refuse(stream(BATCH), "rows", rows=4)


def test_refuses_no_batch_and_two_batches():
    refuse(stream())
    refuse(stream(BATCH, BATCH))
    refuse(stream(BATCH.slice(0, 1), BATCH.slice(1)))


def test_refuses_bytes_after_the_end_and_a_missing_end():
    refuse(stream(BATCH) + b"\x00")
    refuse(stream(BATCH) + stream(BATCH))
    refuse(stream(BATCH)[:-8])
    refuse(stream(BATCH)[:-4])
    refuse(b"")


@pytest.mark.parametrize(
    "other",
    [
        ARROW.with_metadata({"pandas": "{}"}),
        pa.schema([ARROW.field(0).with_metadata({"a": "b"}), *list(ARROW)[1:]]),
        pa.schema([ARROW.field(0).with_nullable(True), *list(ARROW)[1:]]),
        pa.schema([ARROW.field(0).with_name("ID"), *list(ARROW)[1:]]),
        pa.schema(list(ARROW)[::-1]),
    ],
    ids=["metadata", "field metadata", "nullable", "name", "order"],
)
def test_refuses_another_schema(other):
    batch = BATCH.select(other.names) if set(other.names) == set(ARROW.names) else BATCH
    batch = pa.RecordBatch.from_arrays(batch.columns, schema=other)
    refuse(stream(batch, schema=other), "schema")


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.array(["a", "b", "a"], pa.large_string()),
        pa.array(["a", "b", "a"], pa.string_view()),
        pa.array([1, 2, 3]),
        pa.array([b"a", b"b", b"c"]),
        pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1", "2", "3"])),
    ],
    ids=lambda a: str(a.type),
)
def test_refuses_other_types_in_place_of_text(array):
    batch = pa.record_batch([array], ["name"])
    expected = Schema((Column("name", parse_type("string")),))
    refuse(stream(batch, schema=batch.schema), schema=expected)


def test_refuses_null_where_the_schema_excludes_it():
    loose = pa.RecordBatch.from_pylist([{"id": None}], schema=pa.schema([("id", pa.int64())]))
    strict = loose.cast(loose.schema)  # the data of the one under the schema of the other
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False)])
    raw = stream(pa.RecordBatch.from_arrays(strict.columns, schema=schema), schema=schema)
    refuse(raw, "holds NULL", schema=schema_of(schema), rows=1)


def forged(array, old, new):
    """A stream of one column in which some bytes of the body were replaced."""
    batch = pa.record_batch([array], ["x"])
    raw = stream(batch, schema=batch.schema)
    at = raw.rindex(old)
    assert len(old) == len(new)
    return raw[:at] + new + raw[at + len(old) :]


def ints(*values):
    return struct.pack(f"<{len(values)}i", *values)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("string", forged(TEXT, b"abcd", b"ab\xff\xfe")),
        ("string", forged(TEXT, ints(0, 2, 4), ints(0, 4, 2))),
        ("string", forged(TEXT, ints(0, 2, 4), ints(-5, 2, 4))),
        ("string", forged(TEXT, ints(0, 2, 4), ints(0, 2, 1 << 30))),
        ("binary", forged(TEXT.cast(pa.binary()), ints(0, 2, 4), ints(0, 2, -1))),
        (
            "list<int8>",
            forged(pa.array([[1], [2, 3]], pa.list_(pa.int8())), ints(0, 1, 3), ints(0, 9, 3)),
        ),
        (
            "decimal(4,2)",
            forged(pa.array([Decimal("12.34")] * 2, pa.decimal128(4, 2)), b"\xd2\x04", b"\xff\x7f"),
        ),
    ],
    ids=["utf-8", "offsets fall", "negative", "beyond", "binary", "list", "digits"],
)
def test_refuses_arrays_that_are_not_valid(kind, raw):
    refuse(raw, "valid|offsets", schema=Schema((Column("x", parse_type(kind)),)), rows=2)


NESTED_ARROW = pa.list_(pa.list_(pa.int8()))
NESTED = Schema((Column("x", parse_type("list<list<int8>>")),))


def test_refuses_an_empty_list_without_offsets():
    """Arrow calls it valid, and then reads at address zero when asked for its size."""
    raw = stream(
        pa.record_batch([pa.array([[]], NESTED_ARROW)], ["x"]), schema=arrow_schema(NESTED)
    )
    at = raw.rindex(struct.pack("<qq", 8, 4))  # where the offsets of the inner list stand
    refuse(raw[:at] + struct.pack("<qq", 8, 0) + raw[at + 16 :], "offsets", schema=NESTED, rows=1)


def test_refuses_an_empty_list_that_points_outside():
    """Arrow calls it valid, and then aborts the process when flattening it."""
    raw = stream(
        pa.record_batch([pa.array([[]], NESTED_ARROW)], ["x"]), schema=arrow_schema(NESTED)
    )
    end = len(raw) - 8  # the end mark; before it, the inner offset and what aligns it
    assert raw[end - 8 : end] == bytes(8)
    refuse(raw[: end - 8] + ints(99, 0) + raw[end:], "offsets", schema=NESTED, rows=1)


def test_refuses_an_array_with_too_little_behind_it():
    raw = stream(BATCH)
    # The length of the batch stands in its message; 255 rows would lie far outside of the body.
    at = raw.rindex(struct.pack("<qq", 3, 0))
    refuse(raw[:at] + struct.pack("<qq", 255, 0) + raw[at + 16 :])


# --- bombs


def test_refuses_a_bomb_before_it_inflates():
    text = "x" * (1 << 20)
    batch = pa.record_batch([pa.array([text] * 65)], ["x"])
    raw = stream(batch, schema=batch.schema, compression="zstd")
    assert len(raw) < 1 << 20
    schema = Schema((Column("x", parse_type("string")),))
    before = pa.default_memory_pool().bytes_allocated()
    refuse(raw, "inflate", schema=schema, compression="zstd", rows=65)
    assert pa.default_memory_pool().bytes_allocated() == before


@pytest.mark.parametrize("claim", [1 << 62, (1 << 63) - 1, -2, -(1 << 63)])
def test_refuses_absurd_claims_of_size(claim):
    array = pa.array(["x" * 1000])
    batch = pa.record_batch([array], ["x"])
    raw = stream(batch, schema=batch.schema, compression="zstd")
    at = raw.rindex(struct.pack("<q", 1000))
    wrong = raw[:at] + struct.pack("<q", claim) + raw[at + 8 :]
    schema = Schema((Column("x", parse_type("string")),))
    refuse(wrong, schema=schema, compression="zstd", rows=1)


def test_refuses_a_message_with_metadata_of_its_own():
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, ARROW) as writer:
        writer.write_batch(BATCH, custom_metadata={"a": "b"})
    refuse(sink.getvalue().to_pybytes(), "metadata")


def test_refuses_the_old_format():
    refuse(stream(BATCH, metadata_version=ipc.MetadataVersion.V4))
    refuse(stream(BATCH, use_legacy_format=True))


# --- anything at all


@settings(deadline=None, max_examples=400)
@given(data=st.data(), compression=st.sampled_from(CODECS))
def test_altered_bytes_are_refused_or_valid(data, compression):
    """No alteration crashes the reader, and what it lets through is fully valid."""
    plain = bytearray(pack_rows(BATCH, compression))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(16, len(plain) - 1))
        plain[at] = data.draw(st.integers(0, 255))
    try:
        batch = unpack_rows(bytes(plain), SCHEMA, compression)
    except FormatError:
        return
    batch.validate(full=True)
    assert batch.nbytes > 0
    assert pa.concat_batches([batch, batch]).num_rows == 6
    assert batch.schema.equals(ARROW)
    assert batch.num_rows == 3
    assert batch.column("id").null_count == 0


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused(payload):
    refuse(payload)


def test_complaints_quote_no_value():
    raw = forged(pa.array(["secret", "x"]), b"secretx", b"secret\xff")
    with pytest.raises(FormatError) as caught:
        unpack_rows(pack(raw, rows=2), Schema((Column("x", parse_type("string")),)))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
