"""Our plan of a query, run by our engine, gives the rows that DuckDB gives for its text."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from tests.support.differential import direct, planned, same_rows
from tests.support.random_sql import Queries, make_tables
from tests.support.wide_sql import WideQueries
from tests.support.wide_sql import make_tables as wide_tables

from mc2.errors import PlanError

BLOCKS = 4
QUERIES = 16


def check(seed, *, subqueries=False):
    """`subqueries`: with these, window functions, grouping sets, INTERSECT and EXCEPT, too."""
    rng = random.Random(seed)
    tables = make_tables(rng)
    compare(Queries(rng, subqueries=subqueries).statement(), tables)


def check_wide(seed):
    rng = random.Random(seed)
    tables = wide_tables(rng)
    compare(WideQueries(rng, subqueries=True).statement(), tables)


def compare(query, tables):
    try:
        wanted = direct(query, tables)
    except (duckdb.BinderException, duckdb.OutOfRangeException):
        # A constant as a grouping key, which DuckDB takes for a place; the spread of NaN.
        return
    try:
        found = planned(query, tables)
    except PlanError as error:
        if "no result needs it" in str(error):  # what is looked up and never shown
            return
        raise
    assert same_rows(found, wanted), query


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_queries(block):
    for number in range(QUERIES):
        check(block * QUERIES + number)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_queries_with_subqueries(block):
    for number in range(QUERIES):
        check(block * QUERIES + number, subqueries=True)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_queries_of_more_kinds(block):
    for number in range(QUERIES // 4):
        check_wide(block * QUERIES + number)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_many_random_queries_of_more_kinds(block):
    for number in range(200):
        check_wide(3_000_000 + block * 200 + number)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_many_random_queries_with_subqueries(block):
    for number in range(200):
        check(2_000_000 + block * 200 + number, subqueries=True)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_many_random_queries(block):
    for number in range(200):
        check(1_000_000 + block * 200 + number)


A = pa.table(
    {
        "id": pa.array([1, 2, 3, 4, None, 6, 6], pa.int32()),
        "site": ["n", "s", None, "n", "s", "", "n"],
        "v": [1.5, None, -2.0, 0.0, 3.0, 3.0, None],
        "d": pa.array([date(2024, 2, 29), date(2025, 1, 31), None, date(2024, 12, 31)] * 1
                      + [date(2025, 3, 1)] * 3, pa.date32()),
        "m": pa.array([Decimal("1.10"), Decimal("-2.25"), None, Decimal("0.00"), Decimal("9.99"),
                       Decimal("1.10"), Decimal("3.33")], pa.decimal128(6, 2)),
        "b": [True, False, None, True, None, False, True],
    }
)  # fmt: skip
B = pa.table(
    {
        "id": pa.array([2, 2, 3, None, 7], pa.int32()),
        "w": pa.array([10, 20, None, 40, 50], pa.int64()),
        "site": ["s", "n", "n", None, "x"],
    }
)
TABLES = {"p.a": A, "q.b": B}

QUERIES_BY_HAND = [
    "SELECT * FROM p.a",
    "SELECT a.id, b.w FROM p.a AS a JOIN q.b AS b ON a.id = b.id",
    "SELECT id, w, v FROM p.a JOIN q.b USING (id)",
    "SELECT id, w, v FROM p.a LEFT JOIN q.b USING (id)",
    "SELECT id, w, v FROM p.a RIGHT JOIN q.b USING (id)",
    "SELECT id, w, v FROM p.a FULL JOIN q.b USING (id)",
    "SELECT id, site, w FROM p.a FULL JOIN q.b USING (id, site)",
    "SELECT a.* FROM p.a AS a SEMI JOIN q.b AS b ON a.id = b.id",
    "SELECT a.* FROM p.a AS a ANTI JOIN q.b AS b ON a.id = b.id",
    "SELECT a.id FROM p.a AS a, q.b AS b WHERE a.id = b.id AND b.w > 10",
    "SELECT count(*) AS n FROM p.a AS a CROSS JOIN q.b AS b",
    "SELECT a.id, b.id AS other FROM p.a a LEFT JOIN q.b b ON a.id = b.id AND b.w > 10 WHERE a.b",
    "SELECT a.id FROM p.a a LEFT JOIN q.b b ON a.id = b.id WHERE b.id IS NULL",
    "SELECT id FROM p.a WHERE id IN (SELECT id FROM q.b)",
    "SELECT id FROM p.a WHERE id IN (SELECT id FROM q.b WHERE w > 15) AND site = 's'",
    "SELECT id FROM p.a WHERE v + id IN (SELECT w / 10 FROM q.b)",
    "SELECT site, count(*) AS n, count(v) AS c, sum(v) AS s, avg(v) AS a FROM p.a GROUP BY site",
    "SELECT count(*) AS n, sum(v) AS s, min(site) AS m FROM p.a WHERE id > 100",
    "SELECT site, sum(v) AS s FROM p.a WHERE id > 100 GROUP BY site",
    "SELECT count(DISTINCT site) AS n, sum(DISTINCT id) AS s FROM p.a",
    "SELECT site, count(*) AS n FROM p.a GROUP BY site HAVING count(*) > 1",
    "SELECT count(*) AS n FROM p.a HAVING count(*) > 100",
    "SELECT year(d) AS y, max(id) - min(id) AS r FROM p.a GROUP BY year(d)",
    "SELECT upper(site) || '!' AS k, count(*) AS n FROM p.a GROUP BY upper(site)",
    "SELECT id % 2 AS k, sum(m) AS m FROM p.a GROUP BY id % 2",
    "SELECT coalesce(site, 'none') AS k, count(*) AS n FROM p.a GROUP BY coalesce(site, 'none')",
    (
        "SELECT site, count(*) FILTER (WHERE v > 0) AS n, sum(id) FILTER (WHERE b) AS s FROM p.a "
        "GROUP BY site"
    ),
    "SELECT DISTINCT site, b FROM p.a",
    "SELECT count(*) AS n FROM (SELECT DISTINCT site, b FROM p.a) AS t",
    "SELECT id FROM p.a UNION SELECT id FROM q.b",
    "SELECT id, site FROM p.a UNION ALL SELECT w, site FROM q.b",
    "SELECT id FROM p.a UNION ALL SELECT id FROM q.b UNION SELECT w FROM q.b",
    "SELECT id FROM p.a UNION SELECT id FROM q.b UNION ALL SELECT id FROM q.b",
    "SELECT id FROM p.a UNION ALL SELECT v FROM p.a",
    "SELECT id, v FROM p.a ORDER BY v DESC, id LIMIT 3",
    "SELECT id, v FROM p.a ORDER BY v NULLS LAST, id DESC LIMIT 3 OFFSET 2",
    "SELECT id AS v, v AS id FROM p.a ORDER BY v, id LIMIT 2",
    "SELECT -id AS id FROM p.a ORDER BY id LIMIT 2",
    "SELECT site FROM p.a GROUP BY site ORDER BY count(*) DESC, site LIMIT 2",
    "SELECT id FROM p.a WHERE v BETWEEN 0 AND 2 OR v IS NULL",
    "SELECT id FROM p.a WHERE NOT (v > 0)",
    "SELECT id FROM p.a WHERE site NOT IN ('n', 's')",
    "SELECT id FROM p.a WHERE site IN ('n', NULL)",
    "SELECT id FROM p.a WHERE site NOT IN ('n', NULL)",
    "SELECT id FROM p.a WHERE b IS NOT TRUE",
    "SELECT id FROM p.a WHERE site IS DISTINCT FROM 'n'",
    "SELECT id FROM p.a WHERE site LIKE '%' AND site NOT LIKE 'n_'",
    "SELECT id, CASE site WHEN 'n' THEN 1 WHEN 's' THEN 2 END AS c FROM p.a",
    "SELECT id, CASE WHEN v > 1 THEN m END AS c FROM p.a",
    "SELECT m * 2 AS a, m + m AS b, m - 1 AS c, -m AS d, abs(m) AS e FROM p.a",
    "SELECT v / 4 AS a, id / 4 AS b, v * id AS c, round(v, 0) AS d FROM p.a",
    "SELECT CAST(id AS STRING) AS a, CAST(v AS BIGINT) AS b, CAST(b AS INT) AS c FROM p.a WHERE v = 3",
    "SELECT id FROM p.a WHERE d >= DATE '2025-01-01' AND d < '2025-03-01'",
    "SELECT year(d) AS y, month(d) AS m, day(d) AS x, last_day(d) AS l FROM p.a",
    (
        "WITH t AS (SELECT id, v FROM p.a WHERE v > 0), u(x) AS (SELECT id FROM t) "
        "SELECT t.v, u.x FROM t JOIN u ON t.id = u.x"
    ),
    (
        "SELECT x.n FROM (SELECT site, count(*) AS n FROM p.a GROUP BY site) x "
        "JOIN (SELECT site, sum(w) AS w FROM q.b GROUP BY site) y ON x.site = y.site"
    ),
    "SELECT greatest(id, 3) AS g, least(v, 1) AS l, nullif(site, 'n') AS x FROM p.a",
    "SELECT substring(site, 1, 1) AS a, length(site) AS b, trim('  x ') AS c FROM p.a",
    "SELECT 'x' AS k, count(*) AS n FROM p.a",
    "SELECT b AND v > 0 AS x, b OR v > 0 AS y, NOT b AS z FROM p.a",
]


@pytest.mark.slow
@pytest.mark.usefixtures("three_enclaves")
def test_random_queries_in_three_enclaves():
    for number in range(40):
        check(3_000_000 + number, subqueries=number % 2 == 1)


@pytest.mark.usefixtures("enclaves")
@pytest.mark.parametrize("query", QUERIES_BY_HAND)
def test_queries_by_hand(query):
    assert same_rows(planned(query, TABLES), direct(query, TABLES))


@pytest.mark.usefixtures("enclaves")
@pytest.mark.parametrize(
    "query",
    [
        "SELECT id, v FROM p.a ORDER BY v DESC NULLS FIRST, id",
        "SELECT site, count(*) AS n FROM p.a GROUP BY site ORDER BY n, site DESC",
        "SELECT id FROM p.a UNION ALL SELECT id FROM q.b ORDER BY id DESC",
        "SELECT id FROM (SELECT id, v FROM p.a) t ORDER BY v, id",
    ],
)
def test_the_order_is_kept(query):
    assert planned(query, TABLES) == direct(query, TABLES)


def test_the_oracle_can_fail():
    assert not same_rows(
        planned("SELECT id FROM p.a", TABLES), direct("SELECT id FROM q.b", TABLES)
    )
