"""Tables as owners really bring them: odd files, odd frames, and files that change meanwhile."""

import gzip
import os
import tempfile
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from mc2.client.sources import spool as spool_module
from mc2.client.sources.columns import column_text, parse_columns
from mc2.client.sources.csv_dialect import CsvDialect
from mc2.client.sources.open import open_source
from mc2.client.sources.source import rows_per_step
from mc2.errors import CryptoError, DatasetError, UsageError
from mc2.formats.arrow import arrow_schema

MIDNIGHT = datetime.fromisoformat("2024-01-01T00:00:00")  # no zone: a timestamp, not an instant


def types(source):
    return [column_text(c) for c in source.survey(lambda _: None).schema.columns]


def read(source):
    survey = source.survey(lambda _: None)
    batches = list(source.batches(survey))
    for batch in batches:
        batch.validate(full=True)
    return pa.Table.from_batches(batches, schema=arrow_schema(survey.schema))


def rows(source):
    return read(source).to_pylist()


@pytest.fixture
def csv(tmp_path):
    def write(text, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


# --- declarations


def test_declarations_come_one_by_one_or_in_a_line():
    assert list(parse_columns(["a:int8", "b:decimal(4,2) not null"])) == ["a", "b"]
    line = parse_columns(["a:struct<x:int8,y:list<date>> not null, b : decimal(4,2) ,c d:string"])
    assert [column_text(c) for c in line.values()] == [
        "a:struct<x:int8,y:list<date>> not null",
        "b:decimal(4,2)",
        "c d:string",
    ]


def test_a_name_may_hold_a_colon():
    assert parse_columns(["time:start:timestamp"])["time:start"].type.name == "timestamp"


@pytest.mark.parametrize(
    "text",
    ["a", "a:", ":int8", "a:integer", "a:int8,", "a:int8 null", "a:int8,a:int8", "", "a:list<int8"],
)
def test_refuses_other_declarations(text):
    with pytest.raises(UsageError):
        open_source(pa.table({"a": [1]}), columns=[text])


# --- CSV


def test_types_are_found_and_shown(csv):
    path = csv(
        "id,name,cost,rate,day,at,when,ok,zip,raw\n"
        "1,ada,1.5,1e3,2024-02-29,2024-01-01 10:00,2024-01-01T10:00:00Z,true,01234,\\x00ff\n"
        "-2,,20.25,.5,2024-03-01,2024-01-01 10:00:00.5,2024-01-01 10:00:00+01:00,False,1,\\x\n"
    )
    assert types(open_source(path)) == [
        "id:int64", "name:string", "cost:decimal(18,2)", "rate:double", "day:date",
        "at:timestamp", "when:timestamp_utc", "ok:boolean", "zip:string", "raw:binary",
    ]  # fmt: skip
    second = rows(open_source(path))[1]
    assert second["cost"] == Decimal("20.25")
    assert second["name"] is None
    assert second["when"].isoformat() == "2024-01-01T09:00:00+00:00"
    assert second["raw"] == b""


def test_types_come_from_the_whole_file(csv):
    """One value in the last row decides, however far behind any sample it stands."""
    many = "n,m\n" + "7,7\n" * 300_000
    assert types(open_source(csv(many))) == ["n:int64", "m:int64"]
    assert types(open_source(csv(many + "7.125,x\n"))) == ["n:decimal(18,3)", "m:string"]


def test_null_and_the_empty_string_differ(csv):
    assert rows(open_source(csv('a,b\n,""\n"",\nx,y\n'))) == [
        {"a": None, "b": ""},
        {"a": "", "b": None},
        {"a": "x", "b": "y"},
    ]


def test_other_spellings_of_null(csv):
    path = csv('a,b\nNA,1\n"NA",2\n"",3\n-,\n')
    dialect = CsvDialect(nulls=("NA", "-", ""))
    assert [r["a"] for r in rows(open_source(path, csv=dialect))] == [None, "NA", "", None]
    dialect = CsvDialect(nulls=("NA", ""), quoted_nulls=True)
    assert [r["a"] for r in rows(open_source(path, csv=dialect))] == [None, None, None, "-"]


def test_quotes_hold_delimiters_quotes_line_breaks_and_nul(csv):
    path = csv('a,"b,c"\n"x,y","say ""hi"""\n"one\r\ntwo","\n"\n"\x00","\u00e9\U0001f600\x00"\n')
    assert rows(open_source(path)) == [
        {"a": "x,y", "b,c": 'say "hi"'},
        {"a": "one\r\ntwo", "b,c": "\n"},
        {"a": "\x00", "b,c": "\u00e9\U0001f600\x00"},
    ]


def test_one_column_keeps_its_empty_lines_and_more_do_not(csv):
    assert [r["a"] for r in rows(open_source(csv("a\n1\n\n2\n")))] == [1, None, 2]
    assert [r["a"] for r in rows(open_source(csv("a,b\n1,1\n\n2,2\n\n")))] == [1, 2]


def test_line_ends_marks_and_missing_ends(csv):
    for text in ("a,b\r\n1,2\r\n", "a,b\n1,2", "\ufeffa,b\n1,2\n", "a,b\r1,2\r"):
        assert rows(open_source(csv(text))) == [{"a": 1, "b": 2}]


def test_a_header_alone_is_an_empty_table(csv):
    source = open_source(csv("a,b\n"), columns=["b:date"])
    assert types(source) == ["a:string", "b:date"]
    assert rows(source) == []


def test_dialects(csv):
    assert rows(open_source(csv("a\tb\n1\t2\n", "t.tsv"))) == [{"a": 1, "b": 2}]
    dialect = CsvDialect(delimiter=";", quote="'", encoding="latin-1", names=("x", "y"))
    path = csv("1;'\u00e9;'\n".encode("latin-1"))
    assert rows(open_source(path, csv=dialect)) == [{"x": 1, "y": "\u00e9;"}]
    squeezed = csv(gzip.compress(b"a\n1\n"), "t.csv.gz")
    assert rows(open_source(squeezed)) == [{"a": 1}]


def test_decimals_are_exact_unless_asked_otherwise(csv):
    path = csv("a,b\n0.10,1\n2,2\n")
    assert types(open_source(path)) == ["a:decimal(18,2)", "b:int64"]
    assert types(open_source(path, csv=CsvDialect(decimals="double"))) == ["a:double", "b:int64"]
    assert types(open_source(path, columns=["a:double"])) == ["a:double", "b:int64"]


def test_declared_types_read_more_spellings(csv):
    path = csv("i,d,f,b,t\n007,1e2,+5,1,2024-01-01\n-0,.5,-0,0,2024-01-01T00:00:01\n")
    declared = "i:int16,d:decimal(6,2),f:double,b:boolean,t:timestamp"
    first, second = rows(open_source(path, columns=[declared]))
    assert first == {"i": 7, "d": Decimal("100.00"), "f": 5.0, "b": True, "t": MIDNIGHT}
    assert str(second["f"]) == "-0.0"


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("int8", "128"), ("int64", "9223372036854775808"), ("int32", "1.0"), ("int32", "0x10"),
        ("int32", " 1"), ("int32", "+1"), ("int32", "\uff11"), ("int32", '""'),
        ("decimal(4,2)", "123.45"), ("decimal(4,2)", "1.005"), ("decimal(4,2)", "nan"),
        ("double", "1e999"), ("float", "1e39"), ("double", "1,5"), ("double", "0x1p3"), ("double", "1_0"),
        ("boolean", "yes"), ("boolean", "2"), ("date", "2023-02-29"), ("date", "2024-1-1"),
        ("date", "0000-01-01"), ("date", "2024-01-01 00:00"), ("timestamp", "2024-01-01 10:00:00.1234567"),
        ("timestamp", "2024-01-01 10:00:00Z"), ("timestamp", "2024-01-01 24:00"),
        ("timestamp_utc", "2024-01-01 10:00:00"), ("timestamp_utc", "2024-01-01"),
        ("binary", "00"), ("binary", "\\x0"), ("binary", "\\xgg"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_such_value_is_refused_by_column_and_row(csv, declared, value):
    good = {"decimal(4,2)": "1", "boolean": "true", "date": "2024-01-01", "binary": "\\x"}
    good |= {"timestamp": "2024-01-01 00:00", "timestamp_utc": "2024-01-01 00:00Z"}
    fine = good.get(declared, "1")
    quoted = value if value == '""' else f'"{value}"'
    path = csv("a,secret\n" + f"x,{fine}\n" * 100 + f"x,{quoted}\n" + f"x,{fine}\n" * 9)
    source = open_source(path, columns=[f"secret:{declared}"])
    with pytest.raises(DatasetError, match=r"'secret' has in row 101") as caught:
        read(source)
    assert len(value) <= 2 or value not in str(caught.value)
    assert caught.value.hint


def test_rows_are_counted_over_the_whole_file(csv):
    path = csv("a,b\n" + "1,2\n" * 2_500_000 + "1,x\n")  # more than one block
    with pytest.raises(DatasetError, match="in row 2500001"):
        read(open_source(path, columns=["b:int8"]))


def test_not_null_is_checked(csv):
    with pytest.raises(DatasetError, match="'b' is declared not null"):
        read(open_source(csv("a,b\n1,\n"), columns=["b:int8 not null"]))
    assert types(open_source(csv("a\n1\n"), columns=["a:int8 not null"])) == ["a:int8 not null"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "is empty"),
        ("a,b\n1\n", "1 fields and not 2"),
        ("a,b\n1,2\n1,2,secret\n", "3 fields and not 2"),
        (b"a,b\n1,\xffsecret\n", "is not UTF-8"),
        ('a,b\n1,"' + "x" * (5 << 20) + '"\n', "row longer than"),
    ],
)
def test_a_damaged_file_is_refused_without_a_quote(csv, text, match):
    with pytest.raises(DatasetError, match=match) as caught:
        read(open_source(csv(text)))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("header", ["a,a", "a,A", "a,", "a,b\x01"])
def test_names_of_columns_are_checked(csv, header):
    with pytest.raises(UsageError, match="column"):
        open_source(csv(f"{header}\n1,2\n"))


def test_what_makes_no_sense_is_refused(csv, tmp_path):
    path = csv("a\n1\n")
    for wrong in (
        lambda: open_source(tmp_path / "nothing.csv"),
        lambda: open_source(tmp_path),
        lambda: open_source(csv("a\n", "table.xlsx")),
        lambda: open_source(path, format="excel"),
        lambda: open_source(path, columns=["b:int8"]),
        lambda: (
            open_source(path, columns=["a:list<int8>"]).survey(lambda _: None)
            and read(open_source(path, columns=["a:list<int8>"]))
        ),
        lambda: open_source(pa.table({"a": [1]}), csv=CsvDialect()),
        lambda: open_source(csv("PAR1", "t.parquet"), csv=CsvDialect()),
        lambda: CsvDialect(delimiter=";;"),
        lambda: CsvDialect(delimiter='"'),
        lambda: CsvDialect(decimals="float"),
        lambda: CsvDialect(encoding="klingon"),
        lambda: open_source(17),
        lambda: open_source({"a": [1]}),
        lambda: open_source([1, 2]),
        lambda: open_source(iter([])),
        lambda: open_source(pl.LazyFrame({"a": [1]})),
        lambda: open_source(pd.DataFrame({"a": [1]}, index=pd.Index([5], name="key"))),
        lambda: open_source(pd.DataFrame({"a": [1, "x", b"y"]})),
        lambda: open_source(pd.DataFrame([[1, 2]], columns=["a", "a"])),
    ):
        with pytest.raises(UsageError) as caught:
            wrong()
        assert str(caught.value)


# --- files that change


def test_a_file_that_changes_between_the_passes_is_noticed(csv):
    path = csv("a,b\n1,2\n")
    source = open_source(path)
    survey = source.survey(lambda _: None)
    path.write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(DatasetError, match="changed"):
        list(source.batches(survey))


def test_a_file_that_is_replaced_by_one_of_the_same_size_is_noticed(csv, tmp_path):
    path = csv("a,b\n1,2\n")
    source = open_source(path)
    survey = source.survey(lambda _: None)
    stamp = path.stat()
    other = tmp_path / "other"
    other.write_text("a,b\n9,9\n")
    os.utime(other, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    other.replace(path)
    with pytest.raises(DatasetError, match="changed"):
        list(source.batches(survey))


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow"])
def test_a_file_that_grows_while_it_is_read_is_noticed(tmp_path, kind):
    path = tmp_path / f"t.{kind}"
    table = pa.table({"a": np.arange(200_000), "b": np.arange(200_000)})
    if kind == "csv":
        path.write_text("a,b\n" + "1,2\n" * 3_000_000)
    elif kind == "parquet":
        parquet.write_table(table, path, row_group_size=50_000)
    else:
        with ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=50_000)
    source = open_source(path)
    survey = source.survey(lambda _: None)
    batches = source.batches(survey)
    next(batches)
    with path.open("ab") as file:
        file.write(b"5,6\n")
    with pytest.raises(DatasetError, match="changed"):
        list(batches)


def test_a_frame_that_changes_between_the_passes_is_noticed():
    class Growing:
        def __init__(self):
            self.table = pa.table({"a": [1]})

        def read(self, _):
            self.table = pa.concat_tables([self.table, self.table])
            return iter(self.table.to_batches())

    from mc2.client.sources.typed import TypedSource

    growing = Growing()
    source = TypedSource("it", growing.table.schema, growing.read, {})
    with pytest.raises(DatasetError, match="it changed"):
        list(source.batches(source.survey(lambda _: None)))


@pytest.mark.parametrize("cut", [0, 3, 10, 200, -10])
@pytest.mark.parametrize("kind", ["parquet", "arrow", "arrows"])
def test_a_cut_or_foreign_file_is_refused(tmp_path, kind, cut):
    path = tmp_path / f"t.{kind}"
    table = pa.table({"a": np.arange(1000)})
    if kind == "parquet":
        parquet.write_table(table, path)
    else:
        make = ipc.new_file if kind == "arrow" else ipc.new_stream
        with make(path, table.schema) as writer:
            writer.write_table(table)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DatasetError):
        read(open_source(path))


# --- typed data


def test_parquet_is_read_in_steps_and_nothing_is_lost(tmp_path):
    table = pa.table(
        {
            "n": np.arange(150_000),
            "s": [f"text {i}" for i in range(150_000)],
            "a.b": pa.array([{"x": 1}] * 150_000),
        }
    )
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=70_000)
    source = open_source(tmp_path / "t.parquet")
    survey = source.survey(lambda _: None)
    assert survey.rows == 150_000
    batches = list(source.batches(survey))
    assert max(b.num_rows for b in batches) <= 65_536
    assert pa.Table.from_batches(batches).equals(table.cast(batches[0].schema))


def test_rows_per_step_is_a_power_of_two():
    assert rows_per_step(8.0, 1 << 16) == 1 << 16
    assert rows_per_step(3000.0, 1 << 16) == 1 << 13
    assert rows_per_step(1e12, 1 << 16) == 1


CONVERSIONS = {
    "int16": pa.array([255, None], pa.uint8()),
    "int32": pa.array([65535, None], pa.uint16()),
    "int64": pa.array([2**32 - 1, None], pa.uint32()),
    "decimal(20,0)": pa.array([2**64 - 1, None], pa.uint64()),
    "float": pa.array([1.5, None], pa.float16()),
    "date": pa.array([date(2024, 1, 1), None], pa.date64()),
    "string": pa.array([None, None], pa.null()),
    "decimal(5,2)": pa.array([Decimal("1.25"), None], pa.decimal256(5, 2)),
    "timestamp": pa.array([1, None], pa.timestamp("s")),
    "timestamp_utc": pa.array([1000, None], pa.timestamp("ns", "Europe/Paris")),
    "list<string>": pa.array([["a"], None], pa.large_list(pa.large_string())),
    "list<int16>": pa.array([[1, 2], None], pa.list_(pa.uint8(), 2)),
    "struct<a:string>": pa.array([{"a": "x"}, None], pa.struct([("a", pa.string_view())])),
    "binary": pa.array([b"ab", None], pa.binary(2)),
}


@pytest.mark.parametrize("kind", CONVERSIONS)
def test_types_that_differ_only_in_memory_are_taken_for_what_they_hold(kind):
    array = CONVERSIONS[kind]
    found = read(open_source(pa.table({"x": array})))
    assert types(open_source(pa.table({"x": array}))) == [f"x:{kind}"]
    if kind == "timestamp_utc":
        assert found.column(0).cast(pa.int64()).to_pylist() == [1, None]
    else:
        assert found.column(0).to_pylist() == array.to_pylist()


def test_dictionaries_are_decoded():
    for values in (
        pa.array(["a", "b"]),
        pa.array([1, 2]),
        pa.array([b"x", b"y"], pa.large_binary()),
    ):
        array = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), values)
        assert read(open_source(pa.table({"x": array}))).column(0).to_pylist() == array.to_pylist()


@pytest.mark.parametrize(
    "array",
    [
        pa.array([time(1, 2)]), pa.array([1], pa.duration("s")), pa.array([[(1, 2)]], pa.map_(pa.int8(), pa.int8())),
        pa.array([Decimal(1)], pa.decimal256(60, 0)), pa.array([Decimal(100)], pa.decimal128(5, -2)),
        pa.array([[1]], pa.list_view(pa.int8())), pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"x" * 16], pa.binary(16))),
        pa.array([{"bad name": 1}]),
    ],
    ids=lambda a: str(a.type),
)  # fmt: skip
def test_types_that_we_do_not_have_are_refused_by_name(array):
    with pytest.raises(UsageError, match="'x'"):
        open_source(pa.table({"x": array}))


@pytest.mark.parametrize(
    ("array", "declared"),
    [
        (pa.array([1], pa.timestamp("ns")), ""),  # no whole microsecond
        (pa.array([2**60], pa.timestamp("s")), ""),
        (pa.array([300]), "int8"),
        (pa.array([2]), "boolean"),
        (pa.array([1.5]), "int64"),
        (pa.array([2**53 + 1]), "double"),
        (pa.array([1e300]), "float"),
        (pa.array([MIDNIGHT.replace(hour=5)]), "date"),
        (pa.array([Decimal("1.25")]), "decimal(4,1)"),
        (pa.array([12345]), "decimal(4,0)"),
        (pa.array(["x"]), "int64"),
        (pa.array([b"\xff"]), "string"),
        (pa.array([float("nan")]), "int64"),
        (pa.array([[300]]), "list<int8>"),
    ],
)
def test_a_conversion_that_loses_something_is_refused(array, declared):
    with pytest.raises(DatasetError, match="'secret'"):
        read(
            open_source(
                pa.table({"secret": array}), columns=[f"secret:{declared}"] if declared else []
            )
        )


def test_conversions_that_lose_nothing():
    table = pa.table(
        {
            "a": pa.array([1, None]),
            "b": pa.array([MIDNIGHT, None]),
            "c": pa.array(["1.50", None]),
            "d": pa.array([Decimal("0.0000001"), None]),
            "e": pa.array([0.1, None]),
            "f": pa.array([5, None]),
            "g": pa.array(["\u00e9".encode(), None]),
        }
    )
    declared = ["a:int8,b:date,c:decimal(4,2),d:string,e:float,f:decimal(5,2),g:string"]
    found = read(open_source(table, columns=declared)).to_pylist()
    assert found[0] == {
        "a": 1,
        "b": date(2024, 1, 1),
        "c": Decimal("1.50"),
        "d": "0.0000001",
        "e": float(np.float32(0.1)),
        "f": Decimal("5.00"),
        "g": "\u00e9",
    }
    assert set(found[1].values()) == {None}


def test_text_that_is_not_utf8_is_refused():
    bad = pa.Array.from_buffers(
        pa.string(),
        1,
        [None, pa.py_buffer(b"\x00\x00\x00\x00\x01\x00\x00\x00"), pa.py_buffer(b"\xff")],
    )
    with pytest.raises(DatasetError, match="not valid Arrow data"):
        read(open_source(pa.table({"x": bad})))


# --- frames


def test_pandas_frames():
    frame = pd.DataFrame(
        {
            "a": [1, 2],
            "b": ["x", None],
            "c": [1.5, float("nan")],
            "d": pd.to_datetime(["2024-01-01", None]),
            "e": pd.Categorical(["u", None]),
            "f": pd.array([1, None], dtype="Int64"),
            "g": [True, False],
        },
        index=[7, 3],  # unnamed: a leftover of filtering, which nobody means
    )
    source = open_source(frame)
    assert types(source) == [
        "a:int64", "b:string", "c:double", "d:timestamp", "e:string", "f:int64", "g:boolean",
    ]  # fmt: skip
    second = rows(source)[1]
    assert second == {"a": 2, "b": None, "c": None, "d": None, "e": None, "f": None, "g": False}


def test_polars_frames_keep_nan_and_null_apart():
    frame = pl.DataFrame({"x": [1.0, float("nan"), None], "s": ["", None, "a"]})
    found = rows(open_source(frame))
    assert repr([r["x"] for r in found]) == "[1.0, nan, None]"
    assert [r["s"] for r in found] == ["", None, "a"]


class Speaks:
    """Anything with Arrow's stream interface, as query engines give it."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def test_streams_of_every_kind_are_read_once_and_iterated_twice():
    table = pa.table({"a": np.arange(200_000), "s": pa.array(["x"] * 200_000).dictionary_encode()})
    batches = table.to_batches(max_chunksize=30_000)
    streams = [
        table.to_reader(),
        iter(batches),
        (pa.Table.from_batches([b]) for b in batches),
        Speaks(table),
        batches,
    ]
    for stream in streams:
        source = open_source(stream)
        assert read(source).num_rows == 200_000
        assert read(source).column("a").equals(table.column("a"))


def test_a_stream_keeps_its_columns():
    with pytest.raises(DatasetError, match="changes its columns"):
        open_source(iter([pa.record_batch({"a": [1]}), pa.record_batch({"b": [1]})]))
    with pytest.raises(UsageError, match="yields int"):
        open_source(iter([pa.record_batch({"a": [1]}), 5]))


def test_a_stream_may_be_empty_but_has_columns():
    assert types(open_source(iter([pa.table({"a": pa.array([], pa.int8())})]))) == ["a:int8"]


def spooled_bytes(monkeypatch, tmp_path):
    """Let the spool keep its file where the test can look into it."""
    made = []

    def named():
        made.append((tmp_path / f"spool{len(made)}").open("w+b"))
        return made[-1]

    monkeypatch.setattr(spool_module.tempfile, "TemporaryFile", named)
    return made


def test_the_spool_holds_no_plaintext(monkeypatch, tmp_path):
    made = spooled_bytes(monkeypatch, tmp_path)
    marks = [f"plaintext-mark-{i}" for i in range(1000)]
    source = open_source(pa.table({"s": marks}).to_reader())
    assert [r["s"] for r in rows(source)] == marks
    made[0].flush()
    raw = Path(made[0].name).read_bytes()
    assert len(raw) > 10_000
    assert b"plaintext" not in raw


def test_an_altered_spool_is_noticed(monkeypatch, tmp_path):
    made = spooled_bytes(monkeypatch, tmp_path)
    source = open_source(pa.table({"s": ["x"] * 1000}).to_reader())
    made[0].flush()
    with Path(made[0].name).open("r+b") as file:
        file.seek(100)
        file.write(b"\x00\x01")
    with pytest.raises(CryptoError):
        read(source)


def test_the_spool_has_no_name(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source = open_source(pa.table({"s": ["x"] * 1000}).to_reader())
    assert list(tmp_path.iterdir()) == []
    assert read(source).num_rows == 1000
