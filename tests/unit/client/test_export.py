from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from mc2.client.export import export_table
from mc2.client.sources.columns import parse_columns
from mc2.errors import DatasetError, UsageError
from mc2.formats.arrow import arrow_schema
from mc2.formats.schema import Schema


def schema(*columns):
    return Schema(tuple(parse_columns(columns).values()))


def table(of, *rows):
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(of))


EVERY = schema(
    "b:boolean", "i:int64", "f:float", "d:double", "m:decimal(38,9)", "s:string", "x:binary",
    "day:date", "at:timestamp", "when:timestamp_utc",
)  # fmt: skip


def test_each_type_has_one_spelling_as_text(tmp_path):
    rows = table(
        EVERY,
        {
            "b": True, "i": -5, "f": 0.1, "d": 1e300, "m": Decimal("-0.000000001"), "s": 'a"b,\n',
            "x": b"\x00\xff", "day": date(1, 1, 1),
            "at": datetime.fromisoformat("2024-01-01T10:00:00.000001"),
            "when": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        },
        {"d": float("nan"), "m": Decimal(12345), "s": "", "x": b""},
        {"d": float("-inf"), "f": -0.0, "m": Decimal(0)},
    )  # fmt: skip
    path = tmp_path / "t.csv"
    assert export_table(EVERY, rows.to_batches(), path) == 3
    assert path.read_bytes().decode() == (
        '"b","i","f","d","m","s","x","day","at","when"\n'
        '"true","-5","0.1","1e+300","-0.000000001","a""b,\n","\\x00ff","0001-01-01",'
        '"2024-01-01 10:00:00.000001","9999-12-31 23:59:59.999999Z"\n'
        ',,,"nan","12345.000000000","","\\x",,,\n'
        ',,"-0","-inf","0.000000000",,,,,\n'
    )


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "arrow", "arrows"])
def test_a_file_is_its_owners_alone_and_of_the_format_of_its_ending(tmp_path, ending):
    of = schema("a:int8 not null", "b:string")
    path = tmp_path / f"t.{ending}"
    rows = table(of, {"a": 1, "b": "x"})
    assert export_table(of, rows.to_batches(), path) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if ending == "parquet":
        assert parquet.read_table(path).equals(rows)
    elif ending == "arrow":
        assert ipc.open_file(path).read_all().equals(rows)
    elif ending == "arrows":
        assert ipc.open_stream(path).read_all().equals(rows)
    else:
        assert path.read_text().splitlines()[1] == {"csv": '"1","x"', "tsv": '"1"\t"x"'}[ending]


def test_an_empty_table_is_a_header(tmp_path):
    of = schema("a:int8")
    assert export_table(of, [], tmp_path / "t.csv") == 0
    assert (tmp_path / "t.csv").read_text() == '"a"\n'


def test_an_existing_file_stays_unless_asked(tmp_path):
    of, path = schema("a:int8"), tmp_path / "t.csv"
    path.write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        export_table(of, [], path)
    assert path.read_text() == "precious"
    export_table(of, [], path, overwrite=True)
    assert path.read_text() == '"a"\n'


def test_a_failure_leaves_nothing_behind(tmp_path):
    of, path = schema("a:int8"), tmp_path / "t.csv"
    path.write_text("precious")

    def batches():
        yield from table(of, {"a": 1}).to_batches()
        raise DatasetError("the second chunk is damaged")

    with pytest.raises(DatasetError, match="damaged"):
        export_table(of, batches(), path, overwrite=True)
    assert path.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize("name", ["t", "t.xlsx", "t.csv.gz"])
def test_the_ending_says_the_format(tmp_path, name):
    with pytest.raises(UsageError, match="does not say"):
        export_table(schema("a:int8"), [], tmp_path / name)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot write"):
        export_table(schema("a:int8"), [], tmp_path / "no" / "t.csv")


@pytest.mark.parametrize("kind", ["list<int8>", "struct<a:int8>"])
def test_text_does_not_hold_nested_columns(tmp_path, kind):
    of = schema(f"a:{kind}")
    with pytest.raises(UsageError, match="column 'a'"):
        export_table(of, table(of, {"a": None}).to_batches(), tmp_path / "t.csv")


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamp_utc"])
@pytest.mark.parametrize("years", [-3000, 12000])
def test_text_does_not_hold_distant_years(tmp_path, kind, years):
    of = schema(f"a:{kind}")
    days = years * 365
    raw = pa.array([days if kind == "date" else days * 86_400_000_000])
    step = raw.cast(pa.int32()) if kind == "date" else raw
    batch = pa.record_batch([step.cast(arrow_schema(of).field(0).type)], schema=arrow_schema(of))
    with pytest.raises(DatasetError, match="outside the years"):
        export_table(of, [batch], tmp_path / "t.csv")
    export_table(of, [batch], tmp_path / "t.parquet")
    assert parquet.read_table(tmp_path / "t.parquet").to_batches()[0].equals(batch)
