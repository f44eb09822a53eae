"""Queries over databases as sources of rows: SQLite, DuckDB, and a real PostgreSQL server."""

import sqlite3
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from tests.support.postgres_server import PASSWORD, needs_postgres, postgres_server

from mc2.client.sources.columns import column_text
from mc2.client.sources.open import open_source
from mc2.client.sources.postgres import connection_options
from mc2.errors import DatasetError, UsageError
from mc2.formats.arrow import arrow_schema


def read(source):
    survey = source.survey(lambda _: None)
    table = pa.Table.from_batches(list(source.batches(survey)), arrow_schema(survey.schema))
    return [column_text(c) for c in survey.schema.columns], table.to_pylist()


# --- SQLite


@pytest.fixture
def sqlite(tmp_path):
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, x REAL, s TEXT, b BLOB, mixed)")
        rows = [(1, 1.5, "a", b"\x00", 7), (2, None, None, None, "seven"), (3, 2.0, "", b"", None)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
    connection.close()
    return path


def test_sqlite_columns_get_the_type_that_all_their_values_have(sqlite):
    types, rows = read(open_source(sqlite, query="SELECT id, x, s, b FROM t ORDER BY id"))
    assert types == ["id:int64", "x:double", "s:string", "b:binary"]
    assert rows[1] == {"id": 2, "x": None, "s": None, "b": None}
    assert rows[2] == {"id": 3, "x": 2.0, "s": "", "b": b""}


def test_sqlite_whole_numbers_beside_others_become_doubles(sqlite):
    query = "SELECT 1 AS v UNION ALL SELECT 2.5"
    assert read(open_source(sqlite, query=query)) == (["v:double"], [{"v": 1.0}, {"v": 2.5}])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT mixed FROM t", "'mixed' holds values of several types"),
        ("SELECT 9007199254740993 AS v UNION ALL SELECT 0.5", "a double would round"),
        ("SELECT nothing FROM t", "does not answer the query"),
        ("DELETE FROM t", "does not answer the query"),
        ("SELECT 1; SELECT 2", "does not answer the query"),
        ("BEGIN", "does not answer the query"),
        ("", "which rows"),
    ],
)
def test_sqlite_refuses(sqlite, query, message):
    before = sqlite.read_bytes()
    with pytest.raises((DatasetError, UsageError), match=message):
        open_source(sqlite, query=query)
    assert sqlite.read_bytes() == before


def test_a_query_is_not_for_files_and_frames(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    with pytest.raises(UsageError, match="no database"):
        open_source(path, query="SELECT 1")
    with pytest.raises(UsageError, match="not for frames"):
        open_source(pa.table({"a": [1]}), query="SELECT 1")


@pytest.mark.parametrize("name", ["none.sqlite", "none.duckdb"])
def test_a_missing_database_is_not_made(tmp_path, name):
    with pytest.raises(UsageError, match="cannot read"):
        open_source(tmp_path / name, query="SELECT 1")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database(tmp_path):
    for name in ("a.sqlite", "a.duckdb"):
        (tmp_path / name).write_text("secret-value " * 1000)
        with pytest.raises(DatasetError, match="does not answer") as refused:
            open_source(tmp_path / name, query="SELECT * FROM t")
        assert "secret-value" not in str(refused.value) + refused.value.hint


# --- DuckDB


@pytest.fixture
def duck(tmp_path):
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT i AS id, i * 0.5::DECIMAL(9,2) AS amount, "
                           "[i, NULL] AS l FROM range(100000) r(i)")  # fmt: skip
    return path


def test_duckdb_types_are_kept(duck):
    query = "SELECT id, amount, l, sum(id) OVER () AS s FROM t ORDER BY id LIMIT 2"
    types, rows = read(open_source(duck, query=query, columns=["id:int32"]))
    assert types[0] == "id:int32"
    assert types[2:] == ["l:list<int64>", "s:decimal(38,0)"]
    assert rows[1] == {"id": 1, "amount": Decimal("0.50"), "l": [1, None], "s": 4999950000}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT 1; SELECT 2", "not one SELECT"),
        ("DROP TABLE t", "not one SELECT"),
        ("SELECT * FROM read_csv('/etc/passwd')", "does not answer"),
        ("SELECT 'secret-value'::INT", "does not answer"),
    ],
)
def test_duckdb_refuses(duck, query, message):
    with pytest.raises((DatasetError, UsageError), match=message) as refused:
        open_source(duck, query=query)
    assert "secret-value" not in str(refused.value) + refused.value.hint


# --- PostgreSQL


@pytest.fixture(scope="module")
def server():
    with postgres_server() as address:
        yield address


@pytest.fixture
def password(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)


@needs_postgres
def test_postgres_keeps_every_digit(server, password):
    query = """
        SELECT 1::int2 AS i2, 2::int4 AS i4, 9007199254740993::int8 AS i8, true AS b,
               0.1::float4 AS f4, 0.1::float8 AS f8, 12.50::numeric(10,2) AS n,
               '123456789012345678901234567890.12'::numeric AS any_number,
               'a"b, ' || chr(10) || 'c' AS s, '' AS empty, NULL::text AS nothing,
               date '2024-02-29' AS d, timestamp '2024-02-29 10:00:00.25' AS t,
               timestamptz '2024-02-29 10:00:00+02' AS z, '\\x00ff'::bytea AS raw,
               '1b4e28ba-2fa1-11d2-883f-0016d3cca427'::uuid AS u
    """
    types, rows = read(open_source(server, query=query))
    assert types == [
        "i2:int16", "i4:int32", "i8:int64", "b:boolean", "f4:float", "f8:double",
        "n:decimal(10,2)", "any_number:decimal(38,2)", "s:string", "empty:string",
        "nothing:string", "d:date", "t:timestamp", "z:timestamp_utc", "raw:binary", "u:string",
    ]  # fmt: skip
    row = rows[0]
    assert (row["i8"], row["f8"], row["raw"]) == (9007199254740993, 0.1, b"\x00\xff")
    assert row["any_number"] == Decimal("123456789012345678901234567890.12")
    assert (row["s"], row["empty"], row["nothing"]) == ('a"b, \nc', "", None)
    assert row["t"].isoformat() == "2024-02-29T10:00:00.250000"
    assert row["z"].isoformat() == "2024-02-29T08:00:00+00:00"


@needs_postgres
def test_postgres_rows_are_read_in_many_blocks(server, password):
    query = "SELECT i AS id, repeat('x', 50) AS s FROM generate_series(1, 200000) i ORDER BY i;"
    survey = (source := open_source(server, query=query, columns=["id:int64"])).survey(lambda _: 0)
    ids = [i for batch in source.batches(survey) for i in batch.column("id").to_pylist()]
    assert ids == list(range(1, 200001))


@needs_postgres
def test_postgres_gives_an_empty_table_with_its_columns(server, password):
    types, rows = read(open_source(server, query="SELECT 1 AS a, 'x'::text AS b WHERE false"))
    assert (types, rows) == (["a:int32", "b:string"], [])


@needs_postgres
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT nothing", "UndefinedColumn"),
        ("SELECT 'secret-value'::int AS a", "InvalidTextRepresentation"),
        ("SELECT 1) AS x; DROP TABLE IF EXISTS t; SELECT (1", "refuses the query"),
        ("SELECT set_config('a.b', 'c', false) AS a, nextval('s') AS b", "refuses the query"),
        ("WITH d AS (DELETE FROM pg_description RETURNING 1) SELECT * FROM d", "refuses"),
        ("SELECT interval '1 day' AS i", "interval"),
        ("SELECT 1 AS a, 2 AS a", "two columns of one name|refuses the query"),
        ("SELECT timestamp 'infinity' AS t", "no timestamp"),
    ],
)
def test_postgres_refuses(server, password, query, message):
    with pytest.raises((DatasetError, UsageError), match=message) as refused:
        read(open_source(server, query=query))
    assert "secret-value" not in str(refused.value) + refused.value.hint


@needs_postgres
def test_postgres_lets_nobody_in_without_the_password(server, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "wrong-password")
    with pytest.raises(DatasetError, match="cannot be reached, or does not let") as refused:
        open_source(server, query="SELECT 1 AS a")
    assert "wrong-password" not in str(refused.value) + refused.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hunter2@db/shop",
        "postgresql://ann@db/shop?password=hunter2",
        "postgresql://ann@db/shop?sslmode=require&sslpassword=hunter2",
    ],
)
def test_a_password_in_an_address_is_refused(url):
    with pytest.raises(UsageError, match="holds a password") as refused:
        open_source(url, query="SELECT 1")
    assert "hunter2" not in str(refused.value) + refused.value.hint


def test_a_server_elsewhere_must_prove_its_name():
    assert connection_options("postgresql://a@db.example/x", {})["sslmode"] == "verify-full"
    assert connection_options("postgresql:///x", {"PGHOST": "db"})["sslmode"] == "verify-full"
    for here in ("postgresql:///x", "postgresql://a@127.0.0.1/x", "postgresql://a@%2Frun/x",
                 "postgresql://a@localhost/x"):  # fmt: skip
        assert "sslmode" not in connection_options(here, {})
    chosen = connection_options("postgresql://a@db/x?sslmode=require", {})
    assert "sslmode" not in chosen
