"""Queries in other dialects give what their own engines give, or are refused."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal

import duckdb
import psycopg
import pyarrow as pa
import pytest
from tests.support.catalogs import PACKAGES, schema
from tests.support.dialect_sql import DialectQueries
from tests.support.differential import LIMITS, ArrowSource, catalog_of_tables, plain, rows_of
from tests.support.postgres_server import PASSWORD, needs_postgres, postgres_server
from tests.support.random_sql import COLUMNS

from mc2.engine.run import execute
from mc2.errors import EngineError, PlanError
from mc2.formats.arrow import arrow_schema
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here

BLOCKS, QUERIES = 3, 20


def table(seed=7, rows=25):
    rng = random.Random(seed)

    def maybe(value):
        return None if rng.random() < 0.25 else value

    found = [
        {
            "k": maybe(rng.randint(-3, 4)),
            "n": maybe(rng.randint(-9, 9)),
            "x": maybe(rng.choice([-2.5, -1.5, 0.0, 0.5, 1.5, 2.5, 3.25])),
            "s": maybe(rng.choice(["", "a", "ab", "B", "b a", "a\\b", "%", "éa"])),
            "b": maybe(rng.random() < 0.5),
            "d": maybe(date(2024, 1, 29) + timedelta(days=rng.randint(0, 3) * 11)),
            "m": maybe(Decimal(rng.randint(-400, 400)) / 100),
        }
        for _ in range(rows)
    ]
    return pa.Table.from_pylist(found, schema=arrow_schema(schema(COLUMNS)))


TABLE = table()
TABLES = {"p.t": TABLE}


def planned(query, dialect):
    script = (
        "import mc2\njob = mc2.Job('t')\n"
        f"job.release('r', job.sql({query!r}, dialect={dialect!r}), to='institute')\n"
    )
    plan = compile_here(script, name="t.py", catalog=catalog_of_tables(TABLES), packages=PACKAGES)
    sources = {i.dataset: ArrowSource(TABLE) for i in plan.inputs}
    return rows_of(execute(check_plan(plan), sources, LIMITS, lambda _: None)["r"].table)


@pytest.fixture(scope="module")
def duck():
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA p")
        connection.register("given", TABLE)
        connection.execute("CREATE TABLE p.t AS SELECT * FROM given")
        yield lambda query: rows_of(connection.sql(query).to_arrow_table())


@pytest.fixture(scope="module")
def postgres():
    with (
        postgres_server() as address,
        psycopg.connect(address, password=PASSWORD, autocommit=True) as connection,
    ):
        connection.execute("CREATE SCHEMA p")
        connection.execute(
            "CREATE TABLE p.t (k int, n bigint, x double precision, s text, b bool, d date, m numeric(8,2))"
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO p.t VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [tuple(row.values()) for row in TABLE.to_pylist()],
            )
        yield lambda query: [
            tuple(map(plain, row)) for row in connection.execute(query.encode()).fetchall()
        ]


def compare(query, dialect, engine, failures):
    """Whether the query was planned. What the engine itself refuses says nothing."""
    try:
        wanted = engine(query)
    except failures:
        return None
    try:
        found = planned(query, dialect)
    except (PlanError, EngineError):
        return False
    assert found == wanted, query
    return True


def many(seed, dialect, engine, failures):
    queries = DialectQueries(dialect, random.Random(seed))
    said = [compare(queries.query(), dialect, engine, failures) for _ in range(QUERIES)]
    assert said.count(True) > len(said) / 2, "most queries are planned"


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_queries_of_duckdb(block, duck):
    many(block, "duckdb", duck, duckdb.Error)


@needs_postgres
@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_queries_of_postgres(block, postgres):
    many(block, "postgres", postgres, psycopg.Error)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(30))
def test_many_random_queries_of_duckdb(block, duck):
    many(1_000 + block, "duckdb", duck, duckdb.Error)


@needs_postgres
@pytest.mark.slow
@pytest.mark.parametrize("block", range(30))
def test_many_random_queries_of_postgres(block, postgres):
    many(1_000 + block, "postgres", postgres, psycopg.Error)


def ask(query, engine, dialect="duckdb"):
    assert compare(query, dialect, engine, duckdb.Error)


SAME = [
    "SELECT k, x FROM p.t ORDER BY k, x, n, s",
    "SELECT k / 2 AS q, m / 3 AS r FROM p.t ORDER BY q, r",
    "SELECT avg(m) AS a, avg(k) AS b, stddev(m) AS c FROM p.t",
    "SELECT concat(s, NULL, 'x') AS c FROM p.t ORDER BY c",
    "SELECT 'a\\b' AS c, count(*) AS \"how many\" FROM p.t",
    "SELECT d + INTERVAL 1 MONTH AS e FROM p.t ORDER BY e",
    "SELECT s, row_number() OVER (ORDER BY s, k, n, x, m, d, b) AS r FROM p.t ORDER BY r",
    "SELECT k, sum(n) OVER (ORDER BY k RANGE UNBOUNDED PRECEDING) AS r FROM p.t ORDER BY k, r",
    "SELECT DISTINCT b FROM p.t ORDER BY b DESC",
    "SELECT k FROM p.t UNION SELECT length(s) FROM p.t ORDER BY k",
    "SELECT a.k, count(*) AS c FROM p.t a JOIN p.t b USING (k) GROUP BY a.k ORDER BY 1",
    "WITH w AS (SELECT s, sum(k) AS t FROM p.t GROUP BY s) SELECT * FROM w WHERE t > 0 ORDER BY s",
    "SELECT k FROM p.t WHERE k NOT IN (SELECT n FROM p.t WHERE n > 0) ORDER BY k",
    "SELECT s FROM p.t WHERE EXISTS (SELECT 1 FROM p.t AS u WHERE u.k = t.n) ORDER BY s, k",
    "SELECT a.k, b.n FROM p.t a, p.t b WHERE a.k = b.n ORDER BY a.k, b.s",
    "SELECT count(*) AS n FROM p.t a, p.t b LEFT JOIN p.t c ON b.k = c.n, (SELECT 1 AS one) d",
    "SELECT round(x, 1) AS r, round(x / 3, 2) AS s FROM p.t ORDER BY r, s",
    "SELECT k, b, grouping(k) + grouping(b) AS g, sum(n) AS t FROM p.t GROUP BY ROLLUP (k, b) ORDER BY g, k, b",
    "SELECT k FROM p.t EXCEPT SELECT n FROM p.t INTERSECT SELECT n FROM p.t WHERE n > 0 ORDER BY k",
]


@pytest.mark.parametrize("query", SAME)
def test_queries_of_duckdb(query, duck):
    ask(query, duck)


REFUSED = [
    ("duckdb", "SELECT ln(x) FROM p.t", "ln of duckdb is not known"),
    ("duckdb", "SELECT k ^ 2 FROM p.t", "may not stand"),
    ("duckdb", "SELECT substring(s, 0, 2) FROM p.t", "a start of 1 or later"),
    ("duckdb", "SELECT substring(s, k) FROM p.t", "must be written as an integer"),
    ("duckdb", "SELECT left(s, -1) FROM p.t", "not below zero"),
    ("duckdb", "SELECT TRY_CAST(s AS INT) FROM p.t", "TRYCAST"),
    ("duckdb", "SELECT CAST(x AS VARCHAR) FROM p.t", "engines differ"),
    ("duckdb", "SELECT CAST(x AS DECIMAL(9, 2)) FROM p.t", "engines differ"),
    ("duckdb", "SELECT CAST(s AS DATE) FROM p.t", "engines differ"),
    ("duckdb", "SELECT k || s FROM p.t", "of texts"),
    ("duckdb", "SELECT s[1] FROM p.t", "BRACKET"),
    ("duckdb", "SELECT k & 1 FROM p.t", "BITWISEAND"),
    ("duckdb", "SELECT s SIMILAR TO 'a' FROM p.t", "SIMILARTO"),
    ("duckdb", "SELECT s ~ 'a' FROM p.t", "REGEXP"),
    ("duckdb", "SELECT extract(dow FROM d) FROM p.t", "no dow"),
    ("duckdb", "SELECT extract(second FROM d) FROM p.t", "no second"),
    ("duckdb", "SELECT DISTINCT ON (k) k, n FROM p.t", "DISTINCT ON"),
    ("duckdb", "SELECT * FROM (VALUES (1)) AS v, p.t", "VALUES"),
    ("duckdb", "SELECT unnest([1]) FROM p.t", "unnest|UNNEST|EXPLODE|Explode"),
    ("duckdb", "SELECT median(x) FROM p.t", "median of duckdb"),
    ("duckdb", "SELECT log(x) FROM p.t", "log of duckdb"),
    ("duckdb", "SELECT concat(k, s) FROM p.t", "texts"),
    ("duckdb", "SELECT round(x, -1) FROM p.t", "rounds a decimal"),
    ("duckdb", "SELECT grouping(k, s) FROM p.t GROUP BY ROLLUP (k, s)", "one grouping key"),
    ("duckdb", "SELECT CAST(m AS DECIMAL(38,30)) * m * m * m * m FROM p.t", "38 digits"),
    ("duckdb", "SELECT d - TIMESTAMP '2024-01-01 00:00:00' FROM p.t", "computed with"),
    ("duckdb", "SELECT INTERVAL 1 DAY > INTERVAL 2 DAY FROM p.t", "not compared"),
    ("duckdb", "SELECT INTERVAL 1 DAY * 2 + d FROM p.t", "an interval is added"),
    ("duckdb", "SELECT sum(k) FROM p.t QUALIFY", "not SQL"),
    ("duckdb", "SELECT s = k FROM p.t", "type|text|string"),
    ("postgres", "SELECT k / 2 FROM p.t", "drops the rest"),
    ("postgres", "SELECT m / 2 FROM p.t", "drops the rest"),
    ("postgres", "SELECT avg(k) FROM p.t", "no end of digits"),
    ("postgres", "SELECT 1e2 * k FROM p.t", "an exact number"),
    ("postgres", "SELECT CAST(k AS NUMERIC) FROM p.t", "no bound of digits"),
    ("postgres", "SELECT round(x) FROM p.t", "rounds a decimal"),
    ("postgres", "SELECT k # 1 FROM p.t", "may not stand"),
    ("postgres", "SELECT date_trunc('month', d) FROM p.t", "date_trunc of postgres"),
    ("postgres", "SELECT E'a\\nb' || s FROM p.t", "may not stand|not SQL"),
    ("postgres", "SELECT DISTINCT ON (k) k FROM p.t", "DISTINCT ON"),
    ("postgres", "SELECT now() FROM p.t", "now of postgres|may not stand"),
]


@pytest.mark.parametrize(("dialect", "query", "message"), REFUSED)
def test_what_means_something_else_is_refused_by_name(dialect, query, message):
    with pytest.raises(PlanError, match=message) as refused:
        planned(query, dialect)
    assert refused.value.line == 3  # of the script
    assert refused.value.column > 0


def test_float_columns_are_cast_first():
    tables = {"p.f": pa.table({"f": pa.array([0.1], pa.float32())})}
    script = "import mc2\njob = mc2.Job('t')\njob.release('r', job.sql({!r}, dialect='duckdb'), to='institute')\n"
    catalog = catalog_of_tables(tables)
    compile_here(script.format("SELECT CAST(f AS DOUBLE) AS g FROM p.f"), name="t", catalog=catalog)
    with pytest.raises(PlanError, match="32-bit"):
        compile_here(script.format("SELECT f > 0.1 AS g FROM p.f"), name="t", catalog=catalog)


def test_braces_and_python_functions_work_in_each_dialect():
    for dialect in ("duckdb", "postgres"):
        script = (
            "import mc2\njob = mc2.Job('t')\n"
            "@job.udf('int')\ndef twice(n):\n    return None if n is None else 2 * n\n"
            "a = job.sql('SELECT k FROM p.t')\n"
            f"b = job.sql('SELECT twice(k) AS k FROM {{a}} ORDER BY 1', a=a, dialect={dialect!r})\n"
            "job.release('r', b, to='institute')\n"
        )
        catalog = catalog_of_tables(TABLES)
        compile_here(script, name="t", catalog=catalog, packages=PACKAGES)


@pytest.mark.parametrize("dialect", ["spark", "duckdb", "postgres"])
def test_decimals_below_one_are_shown_with_their_zero(dialect):
    kind = "STRING" if dialect == "spark" else "VARCHAR"
    shown = f"CAST(CAST(k AS DECIMAL(9, 2)) * 0 - 0.50 AS {kind})"
    tight = f"CAST(CAST(k * 0.01 AS DECIMAL(2, 2)) AS {kind})"
    found = planned(f"SELECT {shown} AS a, {tight} AS b FROM p.t WHERE k IN (0, -3)", dialect)
    assert set(found) == {("-0.50", "0.00"), ("-0.50", "-0.03")}
    constant = planned(f"SELECT DISTINCT CAST(-0.50 AS {kind}) AS c FROM p.t", dialect)
    assert constant == [("-0.50",)]
