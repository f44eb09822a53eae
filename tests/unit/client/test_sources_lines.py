"""Files of lines: JSON lines and LibSVM, and where a CSV file ends."""

import gzip
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mc2.client.export import export_table
from mc2.client.sources import csv_end, json_lines
from mc2.client.sources.columns import column_text
from mc2.client.sources.csv_dialect import CsvDialect
from mc2.client.sources.open import open_source
from mc2.errors import DatasetError
from mc2.formats.arrow import arrow_schema


def read(source):
    survey = source.survey(lambda _: None)
    table = pa.Table.from_batches(list(source.batches(survey)), arrow_schema(survey.schema))
    return [column_text(c) for c in survey.schema.columns], table.to_pylist()


@pytest.fixture
def file(tmp_path):
    def write(text, name):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


# --- the end of a CSV file


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('a,b\n1,2\n3,"x\n5,6\n', "in row 2"),
        ('a\n"x', "in row 1"),
        ('a,b\n1,"\n', "in row 1"),
        ('a,b\n1,"x""\n', "in row 1"),
    ],
)
def test_a_quote_that_is_never_closed_is_refused(file, text, where):
    with pytest.raises(DatasetError, match=f"inside of a quoted value that begins {where}"):
        read(open_source(file(text, "a.csv")))


def test_a_quote_that_is_never_closed_in_the_header(file):
    with pytest.raises(DatasetError, match="is empty") as refused:
        open_source(file('a,"b\n1,2\n', "a.csv"))
    assert "no quote stays open" in refused.value.hint


def test_a_quote_that_swallows_fields_names_its_row(file):
    with pytest.raises(DatasetError, match="row 2 has 1 fields and not 2"):
        read(open_source(file('a,b\n1,2\n"3,4\n5,6\n', "a.csv")))


@pytest.mark.parametrize("text", ["a,b\n1,x", "a,b\n1,x\n", "a,b\r\n1,x\r\n", "a,b\r1,x\r"])
def test_a_whole_file_ends_as_it_likes(file, text):
    assert read(open_source(file(text, "a.csv")))[1] == [{"a": 1, "b": "x"}]


def test_a_quote_within_a_bare_value_is_text(file):
    assert read(open_source(file('a,b\n5" pipe,x\n', "a.csv")))[1] == [{"a": '5" pipe', "b": "x"}]


@pytest.mark.parametrize("delimiter", ["a", "0", ".", "\t"])
def test_any_character_may_separate(file, delimiter):
    path = file(delimiter.join("xy") + "\n" + delimiter.join("78") + "\n", "t.csv")
    assert read(open_source(path, csv=CsvDialect(delimiter=delimiter)))[1] == [{"x": 7, "y": 8}]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1", "utf-8-sig", "cp1252"])
def test_encodings_and_their_ends(file, encoding):
    path = file("a,b\n1,é\n2,ü".encode(encoding), "a.csv")
    source = open_source(path, csv=CsvDialect(encoding=encoding))
    assert [r["b"] for r in read(source)[1]] == ["é", "ü"]


def test_bytes_that_are_not_of_the_encoding(file):
    with pytest.raises(DatasetError):
        read(open_source(file(b"a\n\xff\xfe\xfd", "a.csv"), csv=CsvDialect(encoding="utf-16-le")))


@given(texts=st.lists(st.text(alphabet='x"\n, ', max_size=6), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_the_mark_never_stays_in_a_table(texts, tmp_path_factory):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    quoted = ['"' + t.replace('"', '""') + '"' for t in texts]
    path.write_text("a,b\n" + "\n".join(f"{q},1" for q in quoted))
    assert [r["a"] for r in read(open_source(path, columns=["a:string"]))[1]] == texts


def test_reading_in_small_pieces_finds_the_same(file, monkeypatch):
    whole = csv_end.Utf8File(pa.BufferReader("ä,b\nc".encode()), "utf-8", b"end\n")
    assert b"".join(iter(lambda: whole.read(2), b"")) == "ä,b\nc\nend\n".encode()


# --- JSON lines


def test_json_types_come_from_all_lines(file, monkeypatch):
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", 16)
    text = '{"a":1,"s":"2024-01-01"}\n{"a":2.5}\n\n{"b":{"x":[1,null]},"a":null,"s":null}'
    types, rows = read(open_source(file(text, "a.jsonl")))
    assert types == ["a:double", "s:string", "b:struct<x:list<int64>>"]
    assert rows == [
        {"a": 1.0, "s": "2024-01-01", "b": None},
        {"a": 2.5, "s": None, "b": None},
        {"a": None, "s": None, "b": {"x": [1, None]}},
    ]


def test_declared_json_columns_are_read_exactly(file):
    text = '{"n":0.10,"t":"2024-01-01T10:00:00+02:00","i":"7"}\n{"n":12345678901234567890.12}\n'
    columns = ["n:decimal(38,2)", "t:timestamp_utc", "i:int8"]
    _, rows = read(open_source(file(gzip.compress(text.encode()), "a.jsonl.gz"), columns=columns))
    assert [r["n"] for r in rows] == [Decimal("0.10"), Decimal("12345678901234567890.12")]
    assert (rows[0]["t"], rows[0]["i"]) == (datetime(2024, 1, 1, 8, tzinfo=UTC), 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":1}\n{"a":1,"a":2}\n', "line 2 is no JSON object"),
        ('{"a":1}{"a":2}\n', "line 1 is no JSON object"),
        ('{"a":\n1}\n', "line 1 is no JSON object"),
        ('{"a":1}\n[1]\n', "line 2 is no JSON object"),
        ('{"a":1}\n{"a":"secret-value"}\n', "two kinds"),
        ('{"a":9007199254740993}\n{"a":0.5}\n', "doubles do not hold"),
        ("\n", "is empty"),
        ("", "is empty"),
    ],
)
def test_json_lines_refuse(file, text, message):
    with pytest.raises(DatasetError, match=message) as refused:
        read(open_source(file(text, "a.jsonl")))
    assert "secret-value" not in str(refused.value) + refused.value.hint


def test_two_kinds_far_apart(file, monkeypatch):
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", 8)
    with pytest.raises(DatasetError, match="two kinds"):
        open_source(file('{"a":1}\n{"a":2}\n{"a":"x"}\n', "a.jsonl"))


def test_written_json_lines_read_back(tmp_path):
    table = pa.table(
        {
            "n": pa.array([Decimal("0.10"), None], pa.decimal128(38, 2)),
            "d": pa.array([date(2024, 2, 29), None]),
            "t": pa.array([datetime(2024, 2, 29, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
            "s": ['a"\n\u2028é', None],
            "x": [0.1, None],
            "l": pa.array([[{"k": 1}, None], None]),
            "b": [True, None],
            "raw": [b"\x00\xff", None],
        }
    )
    path, source = tmp_path / "out.jsonl", open_source(table)
    survey = source.survey(lambda _: None)
    export_table(survey.schema, source.batches(survey), path)
    assert len([json.loads(line) for line in path.read_text().split("\n")[:-1]]) == 2
    declared = [column_text(c) for c in survey.schema.columns if c.name in {"n", "d", "t", "raw"}]
    assert read(open_source(path, columns=declared))[1] == table.to_pylist()


def test_json_holds_no_nan(tmp_path):
    source = open_source(pa.table({"x": [float("nan")]}))
    survey = source.survey(lambda _: None)
    with pytest.raises(DatasetError, match="NaN"):
        export_table(survey.schema, source.batches(survey), tmp_path / "out.jsonl")
    assert not list(tmp_path.iterdir())


# --- LibSVM


def test_libsvm_is_dense_with_nulls(file):
    text = "1 0:0.5 2:-1e3 # a comment\n\n0 1:7\n-1\n"
    types, rows = read(open_source(file(text, "a.libsvm")))
    assert types == ["label:double", "f0:double", "f1:double", "f2:double"]
    assert rows[0] == {"label": 1.0, "f0": 0.5, "f1": None, "f2": -1000.0}
    assert rows[2] == {"label": -1.0, "f0": None, "f1": None, "f2": None}


def test_libsvm_of_a_ranking(file):
    types, rows = read(open_source(file("1 qid:4 0:1\n0 qid:4 1:2\n", "a.svm")))
    assert types[1] == "qid:int64"
    assert [r["qid"] for r in rows] == [4, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0:0.5\n1 x:2\n", "line 2 is not"),
        ("1 2:1 1:1\n", "line 1 do not rise"),
        ("1 1:1 1:1\n", "line 1 do not rise"),
        ("1 0:1e999\n", "line 1 is too large"),
        ("1 -1:3\n", "line 1 is not"),
        ("1 0:nan\n", "line 1 is not"),
        ("1 99999999:3\n", "features beyond"),
        ("1 qid:1 0:1\n1 0:1\n", "qid in some lines only"),
        ("# nothing\n", "is empty"),
    ],
)
def test_libsvm_refuses(file, text, message):
    with pytest.raises(DatasetError, match=message):
        open_source(file(text, "a.libsvm"))
