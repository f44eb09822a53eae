"""`createDataFrame`: rows of the client's own process, which stand in the plan if allowed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from tests.support.connect import EngineRunner, spark_session

TABLES = {"a.t": pa.table({"x": pa.array([1, 2, 2], pa.int64())})}
SCHEMA = "k bigint, s string, d date, m decimal(6,2), v double, b boolean, t timestamp, i int, n timestamp_ntz"
ROWS = [
    (1, "it's\\", date(2024, 2, 29), Decimal("-0.50"), 1.5, True, datetime(2024, 1, 1, 12, tzinfo=UTC),
     -7, datetime.fromisoformat("2024-01-01T12:30:01.000005")),
    (None,) * 9,
    (2, "", date(1, 1, 1), Decimal("1234.00"), -0.1, False, datetime(2024, 1, 1, tzinfo=UTC), 2**31 - 1,
     datetime.fromisoformat("1999-12-31")),
]  # fmt: skip


@pytest.fixture(scope="module")
def allowed():
    runner = EngineRunner(TABLES, public_rows=True)
    with spark_session(runner) as session:
        yield session, runner


@pytest.mark.filterwarnings("ignore")
def test_rows_come_back_as_they_went(allowed):
    spark, _ = allowed
    frame = spark.createDataFrame(ROWS, SCHEMA)
    assert frame.dtypes[3] == ("m", "decimal(6,2)")
    one = spark.read.table("a.t").filter("x = 1").select()
    found = one.join(frame).toArrow().to_pylist()
    assert sorted((tuple(r.values()) for r in found), key=repr) == sorted(ROWS, key=repr)


@pytest.mark.filterwarnings("ignore")
def test_rows_join_sealed_tables_and_stand_in_the_script(allowed):
    spark, runner = allowed
    codes = spark.createDataFrame([(1, "one"), (2, "two")], ["x", "word"])
    found = spark.read.table("a.t").join(codes, "x").groupBy("word").count().orderBy("word")
    assert [tuple(r) for r in found.collect()] == [("one", 1), ("two", 2)]
    assert "VALUES (CAST(1 AS BIGINT), 'one')" in runner.scripts[-1]


@pytest.mark.filterwarnings("ignore")
def test_no_rows_have_their_columns(allowed):
    spark, _ = allowed
    frame = spark.createDataFrame([], "a int, b string")
    assert frame.columns == ["a", "b"]
    assert spark.read.table("a.t").join(frame).count() == 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("rows", "schema", "message"),
    [
        ([(float("nan"),)], "x double", "no NaN"),
        ([([1],)], "x array<int>", "plain columns"),
        ([(1, 2)], "x int, x int", "one name"),
        ([(1,)] * 10_001, "x int", "at most 10000 rows|too many"),
    ],
)
def test_what_cannot_stand_in_a_plan_is_refused(allowed, rows, schema, message):
    from pyspark.errors import PySparkException

    spark, _ = allowed
    with pytest.raises(PySparkException, match=message):
        spark.createDataFrame(rows, schema).collect()


@pytest.mark.filterwarnings("ignore")
def test_rows_are_refused_unless_they_were_allowed():
    from pyspark.errors import AnalysisException

    with (
        spark_session(EngineRunner(TABLES)) as spark,
        pytest.raises(AnalysisException, match="--public-rows"),
    ):
        spark.createDataFrame([(1,)], ["x"]).collect()
