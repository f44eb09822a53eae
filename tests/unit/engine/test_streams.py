"""Columns of an input as DuckDB reads them: by codes, without, and as no schema allows."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mc2.engine.streams import Stream
from mc2.errors import EngineError
from mc2.formats.arrow import schema_of

ARROW = pa.schema([("n", pa.int64()), ("t", pa.string())])
TEXTS = st.lists(st.none() | st.text(max_size=3), max_size=8)


class Source:
    """Batches as a sealed table gives them."""

    def __init__(self, batches, *, coded=True, schema=ARROW):
        self.schema = schema_of(schema)
        self.coded = coded
        self._batches = batches

    def batches(self):
        return self.columns(())

    def columns(self, names):
        return (
            b.select([n for n in b.schema.names if not names or n in names]) for b in self._batches
        )


def by_codes(texts, width="int8"):
    found = pa.array(texts, pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(
        found.indices.cast(pa.type_for_alias(width)), found.dictionary
    )


def batch_of(texts, column):
    return pa.record_batch([pa.array(range(len(texts)), pa.int64()), column], ["n", "t"])


def read(stream, query):
    with duckdb.connect() as connection:
        connection.register("s", stream)
        return connection.execute(query).fetchall()


@given(st.lists(st.tuples(TEXTS, st.sampled_from(["int8", "int16", "none"])), max_size=4))
@settings(deadline=None, max_examples=30)
def test_chunks_with_and_without_codes_are_one_table(chunks):
    batches, rows = [], []
    for texts, width in chunks:
        plain = pa.array(texts, pa.string())
        column = plain if width == "none" else by_codes(texts, width)
        batches.append(batch_of(texts, column))
        rows += enumerate(texts)
    stream = Stream(Source(batches), ("n", "t"))
    assert read(stream, "SELECT c0, c1 FROM s") == rows
    counts = {}
    for _, text in rows:
        counts[text] = counts.get(text, 0) + 1
    assert dict(read(stream, "SELECT c1, count(*) FROM s GROUP BY c1")) == counts
    assert dict(read(stream, "SELECT c1 || '!', 1 FROM s WHERE c1 > 'a'")) == {
        t + "!": 1 for t in counts if t is not None and t.encode() > b"a"
    }


def test_more_rows_than_duckdb_takes_at_once_keep_their_codes():
    texts = [None if i % 7 == 0 else f"t{i % 5}" for i in range(10_000)]
    batches = [batch_of(texts, by_codes(texts)), batch_of(texts, pa.array(texts))]
    stream = Stream(Source(batches), ("n", "t"))
    assert [t for (t,) in read(stream, "SELECT c1 FROM s")] == texts * 2


def test_a_slice_without_codes_keeps_its_nulls():
    texts = ["a", None, "b", None, "c"]
    column = pa.array(texts).slice(1)
    stream = Stream(Source([batch_of(texts[1:], column)]), ("n", "t"))
    assert [t for (t,) in read(stream, "SELECT c1 FROM s")] == texts[1:]


def test_who_gives_no_codes_is_read_as_texts():
    stream = Stream(Source([batch_of(["a"], pa.array(["a"]))], coded=False), ("n", "t"))
    assert pa.RecordBatchReader.from_stream(stream).schema.types == [pa.int64(), pa.string()]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"a"]),
        pa.array([1]),
        by_codes(["a"], "int32"),
        pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array([np.int64(1)])),
    ],
    ids=lambda a: str(a.type),
)
def test_other_columns_are_refused(column):
    stream = Stream(Source([batch_of(["a"], column)]), ("n", "t"))
    with pytest.raises(Exception, match="other columns"):
        read(stream, "SELECT c1 FROM s")
    assert isinstance(stream.failure, EngineError)
