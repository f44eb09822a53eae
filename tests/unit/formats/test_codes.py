"""Texts by codes: columns of few texts travel so, come back as they were, and hide no terabytes."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from mc2.errors import FormatError
from mc2.formats.arrow import schema_of
from mc2.formats.chunk import pack, pack_rows, room_for, unpack_rows
from mc2.formats.codes import MOST_TEXTS, check_codes, coded, is_coded, spelled_bytes, spelled_out
from mc2.formats.limits import LIMITS

TEXTS = st.lists(st.none() | st.text(max_size=5), min_size=1, max_size=20)
MANY = 2048


def repeated(texts, rows=MANY):
    return pa.array([texts[i % len(texts)] for i in range(rows)], pa.string())


@given(TEXTS, st.integers(0, 3), st.sampled_from(["lz4", "zstd"]))
@settings(deadline=None, max_examples=30)
def test_few_texts_travel_by_codes_and_come_back(texts, skip, codec):
    batch = pa.record_batch([repeated(texts), pa.array(range(MANY))], ["t", "n"]).slice(skip)
    schema = schema_of(batch.schema)
    plain = pack_rows(batch, codec)
    assert len(plain) <= room_for(batch)
    assert unpack_rows(plain, schema, codec).equals(batch)
    for names in ((), ("t",), ("t", "n")):
        short = unpack_rows(plain, schema, codec, names=names, short=True).column(0)
        assert is_coded(short.type)
        assert spelled_out(short).equals(batch.column(0))
    assert unpack_rows(plain, schema, codec, names=("n",)).column(0).equals(batch.column(1))


def test_codes_are_as_narrow_as_the_number_of_texts_allows():
    for texts, width in ((1, pa.int8()), (128, pa.int8()), (129, pa.int16())):
        found = coded(repeated([str(i) for i in range(texts)]))
        assert found.type == pa.dictionary(width, pa.string())


@pytest.mark.parametrize(
    "array",
    [
        repeated(["a"], rows=1023),
        pa.array([str(i) for i in range(5000)]),
        repeated([str(i) for i in range(257)]),
        pa.array(["a"] * 4096 + [str(i) for i in range(20_000)]),
        pa.array(["a"] * 4096 + [str(i) for i in range(33_000)] * 8),
        repeated([b"a"], rows=0).cast(pa.binary()),
        pa.array([1] * MANY),
        pa.array([["a"]] * MANY),
    ],
    ids=["rows", "sample", "eighth", "later", "most", "binary", "numbers", "lists"],
)
def test_other_columns_stay_as_they_are(array):
    assert coded(array) is array


def test_rows_that_are_not_compressed_are_never_coded():
    few, many = repeated(["aa"]), repeated([f"{i:02}" for i in range(64)])
    sizes = [len(pack_rows(pa.record_batch([a], ["t"]))) for a in (few, many)]
    assert sizes[0] == sizes[1]


def test_texts_are_told_apart_and_are_none_of_them_null():
    codes = pa.array([0, 1], pa.int8())
    check_codes(pa.DictionaryArray.from_arrays(codes, pa.array(["a", "b"])))
    for texts in (["a", "a"], ["a", None]):
        with pytest.raises(FormatError):
            check_codes(pa.DictionaryArray.from_arrays(codes, pa.array(texts)))
    many = pa.array([str(i) for i in range(MOST_TEXTS + 1)])
    with pytest.raises(FormatError, match="too many"):
        check_codes(pa.DictionaryArray.from_arrays(codes, many))


def test_the_room_of_texts_is_a_bound_or_exact():
    one = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(["a", "bbbb"]))
    assert spelled_bytes([one, one], most=24) == 24
    assert spelled_bytes([one, one], most=23) == 10
    nothing = pa.DictionaryArray.from_arrays(pa.array([None], pa.int8()), pa.array([], pa.string()))
    assert spelled_bytes([nothing], most=0) == spelled_bytes([nothing], most=-1) == 0


@pytest.mark.parametrize("short", [True, False])
def test_few_bytes_do_not_stand_for_many_columns_of_long_texts(short):
    """Each column has room by itself, all together have none; told before anything is spelled."""
    rows, width = 1 << 16, 512
    text = pa.array(["x" * width])
    codes = pa.array([0] * rows, pa.int8())
    columns = LIMITS.chunk_plain_bytes // (rows * width) + 1
    array = pa.DictionaryArray.from_arrays(codes, text)
    names = [f"t{i}" for i in range(columns)]
    batch = pa.record_batch([array] * columns, names)
    sink = pa.BufferOutputStream()
    options = ipc.IpcWriteOptions(compression="zstd")
    with ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    schema = schema_of(pa.schema([(name, pa.string()) for name in names]))
    plain = pack(sink.getvalue().to_pybytes(), rows=rows)
    with pytest.raises(FormatError, match="widen"):
        unpack_rows(plain, schema, "zstd", short=short)
    some = unpack_rows(plain, schema, "zstd", names=names[1:], short=short)
    assert some.num_columns == columns - 1
