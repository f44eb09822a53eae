"""Isolation, failures, and that no failure quotes data."""

import logging
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from tests.support.plans import LIMITS, Job, Source, schema

from mc2.engine.database import Database, DatabaseAhead, in_schema, translated
from mc2.engine.limits import EngineLimits
from mc2.errors import DatasetError, EngineError
from mc2.formats.schema import parse_type
from mc2.plan.expressions import Cast, ColumnRef, call, literal
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Filter,
    Join,
    Limit,
    NamedExpression,
    Project,
)
from mc2.plan.types import DOUBLE, INT32, INT64, STRING

SECRET = "Patient Zero 4711"
FORBIDDEN = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "COPY (SELECT 1) TO '/tmp/out.csv'",
    "ATTACH '/tmp/other.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET threads = 64",
    "SET temp_directory = '/tmp'",
    "RESET lock_configuration",
    "SELECT * FROM hidden",
]


@pytest.fixture
def database():
    with Database(LIMITS) as found:
        yield found


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_connection_is_locked_down(database, statement):
    hidden = pa.table({"x": [1]})  # noqa: F841  # no Python variable may be a table
    with pytest.raises(duckdb.Error):
        database._connection.execute(statement).fetchall()


class Rows:
    """Two batches, which may end in an error."""

    schema = schema(x="int64")

    def __init__(self, failure=None):
        self._failure = failure

    def batches(self):
        for _ in range(2):
            yield pa.record_batch([pa.array(range(1000), pa.int64())], ["x"])
        if self._failure:
            raise self._failure


def test_of_what_is_held_duckdb_knows_how_many_rows_there_are(database):
    database.attach("s", Rows(), ("x",))
    assert database.hold("s", 16_000) == 16_000
    assert database.count("s") == 2000
    explained = database._connection.execute("EXPLAIN SELECT * FROM s").fetchall()
    assert "2,000 rows" in explained[0][1]


def test_what_has_no_room_stays_a_stream(database):
    database.attach("s", Rows(), ("x",))
    assert database.hold("s", 15_999) is None
    assert database.count("s") == 2000


def test_what_fails_while_it_is_read_to_be_held_is_told_as_it_is(database):
    database.attach("s", Rows(DatasetError("chunk 7 is damaged")), ("x",))
    with pytest.raises(DatasetError, match="chunk 7"):
        database.hold("s", 1 << 20)


def test_a_database_opened_ahead_is_taken_once_and_locked_down():
    ahead = DatabaseAhead(LIMITS)
    with ahead.take() as database:
        with pytest.raises(duckdb.Error):
            database._connection.execute("SET threads = 64")
        ahead.close()  # it is the taker's to close
        assert database._connection.execute("SELECT 1").fetchall() == [(1,)]
    with pytest.raises(RuntimeError):
        ahead.take()


def test_a_database_that_nobody_took_is_closed(monkeypatch):
    closed, close = [], Database.close

    def watched(database):
        closed.append(database)
        close(database)

    monkeypatch.setattr(Database, "close", watched)
    ahead = DatabaseAhead(LIMITS)
    ahead.close()
    ahead.close()
    assert len(closed) == 1
    with pytest.raises(RuntimeError):
        ahead.take()


def test_what_fails_ahead_fails_whoever_takes_it(monkeypatch):
    def fail(*_args, **_named):
        raise MemoryError

    monkeypatch.setattr(duckdb, "connect", fail)
    with pytest.raises(MemoryError):
        DatabaseAhead(LIMITS).take()
    DatabaseAhead(LIMITS).close()


def test_settings(database):
    found = dict(
        database._connection.execute("SELECT name, value FROM duckdb_settings()").fetchall()
    )
    assert found["temp_directory"] == ""
    assert found["threads"] == "2"
    assert found["memory_limit"] == "512.0 MiB"
    assert found["lock_configuration"] == "true"


def test_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = Job(t=Source(schema(x="int64"), [(i,) for i in range(1000)]))
    job.rows(job.scan("t"))
    assert list(Path(tmp_path).iterdir()) == []


def test_connections_share_nothing(database):
    database.store("kept", "SELECT 1 AS c0", ())
    with Database(LIMITS) as other, pytest.raises(EngineError):
        other.fetch("SELECT c0 FROM kept", schema(x="int32"), ())


def failures():
    yield "cast", lambda x: Cast(x, INT32), "does not fit the type"
    yield (
        "range",
        lambda x: call("add", call("length", x), literal(2**31 - 1, INT32)),
        "out of its type's range",
    )
    length = Cast(call("length", ColumnRef("x")), INT64)
    zero = call("subtract", length, length)
    yield "zero", lambda _: call("integer_divide", literal(1, INT64), zero), "a divisor is zero"
    yield (
        "float zero",
        lambda _: call("divide", literal(1.0, DOUBLE), Cast(zero, DOUBLE)),
        "a divisor is zero",
    )
    wide = parse_type("decimal(38,10)")
    huge = Cast(literal(2**62, INT64), wide)
    yield (
        "wide",
        lambda _: call("multiply", huge, call("multiply", huge, huge)),
        "out of its type's range",
    )


@pytest.mark.parametrize(
    ("make", "words"), [f[1:] for f in failures()], ids=[f[0] for f in failures()]
)
def test_failures_never_quote_data(make, words, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    job = Job(t=Source(schema(x="string"), [(SECRET,)]))
    node = job.add(Project(job.scan("t"), (NamedExpression("y", make(ColumnRef("x"))),)))
    told = []
    with pytest.raises(EngineError, match=words) as caught:
        job.rows(node, progress=told.append)
    error = caught.value
    texts = [str(error), error.hint, repr(error), *told, *capfd.readouterr(), caplog.text]
    assert not any("4711" in t or "Zero" in t for t in texts)
    assert error.__cause__ is None
    assert error.__suppress_context__


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (duckdb.OutOfMemoryException("x"), "more memory"),
        (MemoryError(), "more memory"),
        (duckdb.InvalidInputException("Invalid Input Error: mc2:zero"), "divisor"),
        (duckdb.InvalidInputException("... ValueError: mc2:range"), "range"),
        (duckdb.ConversionException(f"Could not convert '{SECRET}'"), "does not fit"),
        (duckdb.BinderException(SECRET), "failed with BinderException"),
        (duckdb.InternalException(SECRET), "failed with InternalException"),
        (RuntimeError(SECRET), "failed with RuntimeError"),
    ],
)
def test_every_kind_of_failure_has_words_of_its_own(error, words):
    found = translated(error)
    assert words in str(found)
    assert SECRET not in str(found)


def test_data_that_looks_like_a_failure_is_not_believed():
    """The text of a failed cast quotes the value; only the kind counts."""
    error = duckdb.ConversionException(
        "Could not convert string 'mc2:zero Division by zero in expression'"
    )
    assert "does not fit" in str(translated(error))


class Breaking(Source):
    """Fails in the middle of its batches, as a swapped chunk does."""

    def batches(self):
        yield from self.table.to_batches(max_chunksize=2)
        raise DatasetError("chunk 3 was swapped")


def many(kind=Source):
    return kind(schema(x="int64"), [(i,) for i in range(10)])


@pytest.mark.parametrize("twice", [False, True], ids=["streamed", "stored"])
def test_a_failing_input_is_the_error_itself(twice):
    job = Job(t=many(Breaking))
    node = job.scan("t")
    if twice:
        other = job.add(Project(node, (NamedExpression("y", ColumnRef("x")),)))
        node = job.add(Join(node, other, "cross", None))
    with pytest.raises(DatasetError, match="chunk 3 was swapped"):
        job.rows(node)


def test_a_failing_input_wins_over_what_it_causes():
    class Torn(Source):
        def batches(self):
            raise RuntimeError("connection lost")
            yield

    job = Job(t=many(Torn))
    with pytest.raises(RuntimeError, match="connection lost"):
        job.rows(job.scan("t"))


def test_an_input_of_another_shape_is_refused():
    class Lying(Source):
        def batches(self):
            yield pa.record_batch({"x": pa.array(["1"])})

    job = Job(t=many(Lying))
    with pytest.raises(EngineError, match="other columns"):
        job.rows(job.scan("t"))

    job = Job(t=many())
    job.sources["a.t"] = Source(schema(y="int64"), [])
    with pytest.raises(EngineError, match=r"a\.t has other columns"):
        job.rows(job.scan("t"))


def test_more_rows_than_the_bound_are_refused():
    source = Source(schema(x="int64"), [(1,)] * 5)
    job = Job(t=source)
    node = job.scan("t")
    source.rows = [(1,)] * 1001
    with pytest.raises(EngineError, match="more rows than its bound of 1000"):
        job.rows(node)


def test_what_progress_raises_ends_the_run():
    class LapsedError(Exception):
        pass

    def stop(_text):
        raise LapsedError

    job = Job(t=many())
    with pytest.raises(LapsedError):
        job.rows(job.scan("t"), progress=stop)


def test_the_memory_limit_holds():
    limits = EngineLimits(memory_bytes=64 * 1024 * 1024, threads=1)
    job = Job(t=Source(schema(x="int64"), [(i,) for i in range(3000)]))
    left = job.scan("t")
    right = job.add(Project(left, (NamedExpression("y", ColumnRef("x")),)))
    pairs = job.add(Join(left, right, "cross", None))
    text = Cast(
        call("add", call("multiply", ColumnRef("x"), literal(3000, INT64)), ColumnRef("y")), STRING
    )
    node = job.add(Project(pairs, (NamedExpression("t", text),)))
    node = job.add(Aggregate(node, ("t",), (AggregateColumn("n", "count_star", ()),)))
    with pytest.raises(EngineError, match="more memory"):
        job.rows(
            job.add(Filter(node, call("gt", ColumnRef("n"), literal(1, INT64)))), limits=limits
        )


def test_null_where_the_plan_rules_it_out_is_refused():
    table = pa.table({"c0": pa.array([1, None], pa.int64())})
    with pytest.raises(EngineError, match="holds NULL"):
        in_schema(table, schema(x="int64!"))


def test_a_source_hears_which_columns_are_read_even_if_no_row_is():
    class Asked(Source):
        coded = False

        def columns(self, names):
            asked.append(tuple(names))
            return (b.select(list(names)) for b in self.batches())

    asked = []
    job = Job(t=Asked(schema(x="int64", y="int64"), [(1, 2)]))
    assert job.rows(job.add(Limit(job.scan("t", "y"), 0, 0))) == []
    assert set(asked) == {("y",)}
