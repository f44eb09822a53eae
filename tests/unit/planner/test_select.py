"""Subqueries, window functions, sets and grouping sets, each against DuckDB with NULLs about."""

from __future__ import annotations

import pytest
from tests.support.differential import direct, planned, same_rows
from tests.support.golden import answer_to
from tests.unit.planner.test_differential import TABLES

from mc2.errors import EngineError

pytestmark = pytest.mark.usefixtures("enclaves")

SUBQUERIES = [
    "SELECT id FROM p.a WHERE id NOT IN (SELECT id FROM q.b)",
    "SELECT id FROM p.a WHERE id NOT IN (SELECT id FROM q.b WHERE id IS NOT NULL)",
    "SELECT id FROM p.a WHERE EXISTS (SELECT * FROM q.b WHERE b.id = a.id)",
    "SELECT id FROM p.a WHERE NOT EXISTS (SELECT * FROM q.b WHERE b.id = a.id)",
    "SELECT id FROM p.a WHERE EXISTS (SELECT 1 FROM q.b WHERE b.id < a.id AND b.site = a.site)",
    "SELECT id FROM p.a WHERE id IN (SELECT id FROM q.b) OR v > 1",
    "SELECT id FROM p.a WHERE id NOT IN (SELECT id FROM q.b) OR v > 1",
    (
        "SELECT id, id IN (SELECT id FROM q.b) AS i, id NOT IN (SELECT id FROM q.b WHERE id > "
        "100) AS e FROM p.a"
    ),
    (
        "SELECT id, CASE WHEN EXISTS (SELECT 1 FROM q.b WHERE b.id = a.id) THEN 'y' ELSE 'n' "
        "END AS c FROM p.a"
    ),
    "SELECT id, id IN (SELECT id FROM q.b WHERE b.site = a.site) AS i FROM p.a",
    "SELECT id, (SELECT max(w) FROM q.b) AS m FROM p.a",
    "SELECT id, (SELECT max(w) FROM q.b WHERE b.id = a.id) AS m FROM p.a",
    "SELECT id, (SELECT count(*) FROM q.b WHERE b.id = a.id) AS m FROM p.a",
    ("SELECT id, (SELECT count(*) + coalesce(max(w), 5) FROM q.b WHERE b.id = a.id) AS m FROM p.a"),
    "SELECT id, (SELECT count(w) FROM q.b WHERE b.id > a.id) AS m FROM p.a",
    "SELECT id, (SELECT sum(w) FROM q.b WHERE b.id = a.id AND b.w > a.v) AS m FROM p.a",
    "SELECT id, (SELECT count(*) FROM q.b WHERE b.id = a.id HAVING count(*) > 1) AS m FROM p.a",
    "SELECT id FROM p.a WHERE v > (SELECT avg(w) / 10 FROM q.b WHERE b.site = a.site)",
    "SELECT id FROM p.a WHERE (SELECT count(*) FROM q.b WHERE b.id = a.id) = 0",
    "SELECT id, (SELECT w FROM q.b WHERE b.id = a.id AND w = 10) AS m FROM p.a",
    "SELECT id, (SELECT coalesce(w, 7) FROM q.b WHERE b.id = a.id AND w IS NULL) AS m FROM p.a",
    (
        "SELECT site, count(*) AS n FROM p.a GROUP BY site HAVING count(*) > (SELECT count(*) "
        "FROM q.b WHERE b.site = a.site)"
    ),
    "SELECT site, (SELECT max(w) FROM q.b WHERE b.site = a.site) AS m FROM p.a GROUP BY site",
    "SELECT site, sum(v) AS s FROM p.a GROUP BY site HAVING site IN (SELECT site FROM q.b)",
    (
        "SELECT site, sum(v) AS s FROM p.a GROUP BY site HAVING sum(id) NOT IN (SELECT id "
        "FROM q.b WHERE id IS NOT NULL)"
    ),
    (
        "SELECT id FROM p.a WHERE id IN (SELECT id FROM q.b WHERE w IN (SELECT id * 10 FROM "
        "p.a AS x WHERE x.site = b.site))"
    ),
    (
        "SELECT id FROM p.a WHERE EXISTS (SELECT 1 FROM q.b WHERE b.id = a.id AND EXISTS "
        "(SELECT 1 FROM p.a AS x WHERE x.id = b.id AND x.site = a.site))"
    ),
    (
        "SELECT id FROM p.a WHERE EXISTS (SELECT 1 FROM q.b WHERE NOT EXISTS (SELECT 1 FROM "
        "p.a AS x WHERE x.id = b.id AND x.v > a.v))"
    ),
    "SELECT id FROM p.a WHERE (id, site) IN (SELECT id, site FROM q.b)",
    "SELECT id, (id, site) IN (SELECT id, site FROM q.b) AS i FROM p.a",
    "SELECT id, (id, site) NOT IN (SELECT id, site FROM q.b WHERE id = 2) AS i FROM p.a",
    "SELECT id FROM p.a WHERE (id, site) NOT IN (SELECT id, site FROM q.b WHERE id = 2)",
    "SELECT id, (SELECT max(x.v) FROM p.a AS x WHERE x.id <= a.id) AS m FROM p.a",
    "SELECT id, (SELECT a.id + 1) AS m FROM p.a",
    "SELECT id, (SELECT max(w) + a.id FROM q.b WHERE b.id = a.id) AS m FROM p.a",
    "SELECT id, (SELECT w FROM q.b WHERE b.id = a.id ORDER BY w LIMIT 1) AS m FROM p.a",
    (
        "SELECT id, (SELECT w FROM q.b WHERE b.id = a.id ORDER BY w DESC LIMIT 1 OFFSET 1) AS "
        "m FROM p.a"
    ),
    "SELECT id FROM p.a WHERE v IN (SELECT max(x.v) FROM p.a AS x WHERE x.site = a.site)",
    (
        "SELECT id FROM p.a WHERE id IN (SELECT id FROM q.b WHERE b.site = a.site UNION "
        "SELECT w FROM q.b AS c WHERE c.id = a.id)"
    ),
    (
        "SELECT id, EXISTS (SELECT 1 FROM q.b WHERE b.id = a.id INTERSECT SELECT 1 FROM q.b "
        "WHERE b.site = a.site) AS e FROM p.a"
    ),
    (
        "SELECT id, (SELECT count(DISTINCT w) FROM q.b LEFT JOIN p.a AS x ON x.id = b.id AND "
        "x.site = a.site WHERE x.id IS NULL) AS m FROM p.a"
    ),
    (
        "SELECT a.id, b.w FROM p.a AS a JOIN q.b AS b ON a.id = b.id AND b.w IN (SELECT id * "
        "10 FROM p.a)"
    ),
    (
        "SELECT a.id, b.w FROM p.a AS a LEFT JOIN q.b AS b ON a.id = b.id AND b.w IN (SELECT "
        "id * 10 FROM p.a)"
    ),
    (
        "SELECT a.id, b.w FROM p.a AS a LEFT JOIN q.b AS b ON a.id = b.id AND b.w > (SELECT "
        "min(w) FROM q.b)"
    ),
    "SELECT count((SELECT max(w) FROM q.b WHERE b.id = a.id)) AS n FROM p.a",
    (
        "SELECT (SELECT max(w) FROM q.b WHERE b.id = a.id) AS k, count(*) AS n FROM p.a GROUP "
        "BY (SELECT max(w) FROM q.b WHERE b.id = a.id)"
    ),
    "SELECT id FROM p.a ORDER BY (SELECT max(w) FROM q.b WHERE b.id = a.id), id LIMIT 3",
    (
        "WITH t AS (SELECT id FROM p.a), u AS (WITH t AS (SELECT id FROM q.b) SELECT id FROM "
        "t) SELECT t.id FROM t JOIN u ON t.id = u.id"
    ),
]

SUBQUERIES += [
    (
        "SELECT id, (SELECT count(*) FROM q.b AS b FULL JOIN p.a AS x ON x.id = b.id WHERE "
        "coalesce(x.v, 0) < a.v) AS n FROM p.a"
    ),
    (
        "SELECT id FROM p.a WHERE EXISTS (SELECT 1 FROM q.b AS b RIGHT JOIN p.a AS x ON x.id = b.id "
        "WHERE b.id IS NULL AND x.site = a.site)"
    ),
]

WINDOWS = [
    "SELECT id, row_number() OVER (PARTITION BY site ORDER BY id) AS r FROM p.a WHERE id <> 6",
    (
        "SELECT id, rank() OVER (ORDER BY v) AS r, dense_rank() OVER (ORDER BY v DESC) AS d, "
        "percent_rank() OVER (ORDER BY v) AS p, cume_dist() OVER (ORDER BY v) AS c FROM p.a"
    ),
    (
        "SELECT id, sum(id) OVER (PARTITION BY site) AS s, count(*) OVER () AS n, avg(v) OVER "
        "(ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS a FROM p.a WHERE id < 6"
    ),
    (
        "SELECT id, sum(v) OVER (ORDER BY id) AS s, min(v) OVER (ORDER BY id RANGE BETWEEN 1 "
        "PRECEDING AND CURRENT ROW) AS m, max(m) OVER (ORDER BY m RANGE BETWEEN 1.00 "
        "PRECEDING AND 1.00 FOLLOWING) AS x FROM p.a"
    ),
    (
        "SELECT id, lag(v) OVER (ORDER BY id) AS l, lead(v, 2, 0.5) OVER (ORDER BY id) AS m, "
        "first_value(v) OVER (ORDER BY id) AS f, last_value(v) OVER (PARTITION BY site ORDER "
        "BY id) AS z FROM p.a WHERE id < 6"
    ),
    (
        "SELECT id, ntile(3) OVER (ORDER BY id) AS t, nth_value(id, 2) OVER (ORDER BY id) AS "
        "n FROM p.a WHERE id < 6"
    ),
    (
        "SELECT site, sum(sum(id)) OVER (ORDER BY site) AS s, rank() OVER (ORDER BY count(*) "
        "DESC) AS r FROM p.a GROUP BY site"
    ),
    (
        "SELECT id, sum(id) OVER w AS s, count(*) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING "
        "AND CURRENT ROW) AS c FROM p.a WHERE id < 6 WINDOW w AS (PARTITION BY site ORDER BY "
        "id)"
    ),
    (
        "SELECT id, site FROM p.a WHERE id < 6 QUALIFY row_number() OVER (PARTITION BY site "
        "ORDER BY id DESC) = 1"
    ),
    "SELECT id, row_number() OVER (ORDER BY id) AS r FROM p.a WHERE id < 6 QUALIFY r > 2",
    "SELECT id, sum(id) FILTER (WHERE v > 0) OVER (ORDER BY id) AS s FROM p.a",
    (
        "SELECT id, sum(m) OVER (ORDER BY d RANGE BETWEEN INTERVAL '40' DAY PRECEDING AND "
        "CURRENT ROW) AS s, avg(m) OVER (PARTITION BY site) AS a, stddev_samp(v) OVER () AS t "
        "FROM p.a"
    ),
]

SETS = [
    "SELECT id FROM p.a INTERSECT SELECT id FROM q.b",
    "SELECT id FROM p.a EXCEPT SELECT id FROM q.b",
    "SELECT id FROM p.a INTERSECT ALL SELECT id FROM q.b",
    "SELECT id FROM p.a EXCEPT ALL SELECT id FROM q.b",
    "SELECT site, id FROM p.a EXCEPT ALL SELECT site, id FROM q.b",
    "SELECT id FROM p.a UNION SELECT w FROM q.b INTERSECT SELECT id FROM q.b",
    "SELECT id FROM p.a INTERSECT SELECT id FROM q.b INTERSECT SELECT w FROM q.b",
    "SELECT site, b, count(*) AS n FROM p.a GROUP BY GROUPING SETS ((site, b), (site), ())",
    "SELECT site, b, count(*) AS n, grouping(site) AS g FROM p.a GROUP BY CUBE (site, b)",
    "SELECT site, b, sum(id) AS n, grouping_id(site, b) AS g FROM p.a GROUP BY ROLLUP (site, b)",
    "SELECT site, b, sum(id) AS n FROM p.a GROUP BY site, ROLLUP (b)",
    (
        "SELECT upper(site) AS s, count(*) AS n FROM p.a GROUP BY ROLLUP (upper(site)) HAVING "
        "count(*) > 1"
    ),
    "SELECT x, y FROM (VALUES (1, 'a'), (2, NULL)) AS t(x, y), p.a WHERE a.id = t.x",
    "SELECT a.id FROM p.a AS a FULL JOIN q.b AS b ON a.id < b.id",
    "SELECT a.id, b.w FROM p.a AS a FULL JOIN q.b AS b ON a.id < b.id AND a.v > 0",
    "SELECT a.id, b.w FROM p.a AS a JOIN q.b AS b ON a.site IS NOT DISTINCT FROM b.site",
    (
        "SELECT count(DISTINCT site) AS a, count(DISTINCT id) FILTER (WHERE v > 0) AS b, "
        "sum(DISTINCT id) FILTER (WHERE b) AS c FROM p.a"
    ),
    "SELECT id FROM p.a ORDER BY id NULLS LAST LIMIT 2",
]


TWICE = [
    "SELECT a.id, b.id FROM p.a AS a JOIN q.b AS b ON a.id = b.id ORDER BY b.id, a.id LIMIT 3",
    "SELECT id, id AS ID FROM p.a ORDER BY id",
    "SELECT count(*) AS n FROM (SELECT * FROM p.a AS a JOIN q.b AS b ON a.id = b.id) AS s",
    "SELECT v, w FROM (SELECT * FROM p.a AS a, q.b AS b WHERE a.id = b.id) AS s WHERE v > 0",
    "SELECT * FROM (SELECT a.id, b.id FROM p.a AS a JOIN q.b AS b ON a.id = b.id) AS s",
    "SELECT DISTINCT a.site, b.site FROM p.a AS a JOIN q.b AS b ON a.id = b.id",
    "SELECT site, count(*) AS site FROM p.a GROUP BY site HAVING count(*) > 1",
    "SELECT id, w AS id FROM q.b UNION SELECT id, id FROM p.a ORDER BY 2, 1",
]

UNTYPED = [
    "SELECT NULL AS x, id FROM p.a UNION ALL SELECT site, NULL FROM q.b",
    "SELECT NULL AS x UNION ALL SELECT NULL UNION ALL SELECT v FROM p.a",
    "(SELECT NULL AS x UNION SELECT NULL) UNION ALL SELECT id FROM p.a ORDER BY 1",
    "SELECT site, NULL AS x FROM p.a INTERSECT SELECT site, v FROM p.a",
    "SELECT NULL AS x FROM p.a EXCEPT SELECT id FROM q.b",
    (
        "SELECT x, sum(n) AS n FROM (SELECT NULL AS x, count(*) AS n FROM p.a UNION ALL SELECT "
        "site, count(*) FROM p.a GROUP BY site) AS s GROUP BY x"
    ),
    "SELECT id FROM p.a WHERE EXISTS (SELECT NULL FROM q.b WHERE b.id = a.id UNION SELECT 1 LIMIT 0)",
]


@pytest.mark.parametrize("query", [*SUBQUERIES, *WINDOWS, *SETS, *TWICE, *UNTYPED])
def test_same_rows_as_duckdb(query):
    assert same_rows(planned(query, TABLES), direct(query, TABLES))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id, (SELECT w FROM q.b) AS w FROM p.a",
        "SELECT id, (SELECT w FROM q.b WHERE b.id = a.id) AS w FROM p.a",
        "SELECT id FROM p.a WHERE v > (SELECT w FROM q.b WHERE b.id <= a.id)",
    ],
)
def test_a_subquery_with_several_rows_is_no_value(query):
    with pytest.raises(EngineError, match="must give one row gives several"):
        planned(query, TABLES)


def test_values_are_a_query():
    assert planned("SELECT id FROM p.a UNION ALL VALUES (40), (50)", TABLES)[-1] == (50.0,)


def test_limit_without_order_takes_the_rows_that_come_first():
    assert planned("SELECT id FROM p.a LIMIT 2 OFFSET 1", TABLES) == [(2.0,), (3.0,)]
    # Joins have no order of their own: all columns decide.
    query = "SELECT b.w FROM p.a AS a JOIN q.b AS b ON a.id = b.id LIMIT 1"
    assert planned(query, TABLES) == [(None,)]


def test_equal_rows_are_ranked_by_all_columns():
    query = "SELECT v, id, row_number() OVER (ORDER BY site) AS r FROM p.a WHERE site = 'n'"
    found = {row[:2]: row[2] for row in planned(query, TABLES)}
    by_columns = sorted(found, key=lambda row: (row[1] is not None, row[1] or 0))
    assert [found[row] for row in by_columns] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT age FROM clinic_a.visits WHERE age > ALL (SELECT 1)", "ALL may not stand"),
        ("SELECT (SELECT age, bmi FROM clinic_a.visits) AS x FROM clinic_b.labs", "one column"),
        (
            "SELECT (SELECT sum(v.age) FROM clinic_b.labs) AS x FROM clinic_a.visits v",
            "columns of an outer query alone",
        ),
        ("SELECT age FROM clinic_a.visits WHERE age IN (SELECT 1, 2)", "must have one column"),
        ("SELECT rank() OVER () AS r FROM clinic_a.visits", "needs an order"),
        ("SELECT sum(DISTINCT age) OVER () AS r FROM clinic_a.visits", "DISTINCT"),
        ("SELECT sum(sum(age) OVER ()) OVER () AS r FROM clinic_a.visits", "inside another"),
        ("SELECT age FROM clinic_a.visits WHERE rank() OVER (ORDER BY age) = 1", "window"),
        ("SELECT sum(age) OVER w AS r FROM clinic_a.visits", "no window 'w'"),
        ("SELECT grouping(age) AS g FROM clinic_a.visits GROUP BY age", "GROUPING SETS"),
        ("SELECT age FROM clinic_a.visits QUALIFY age > 3", "no window function"),
        (
            "SELECT age FROM clinic_a.visits EXCEPT SELECT patient, test FROM clinic_b.labs",
            "1 and 2",
        ),
        ("SELECT NULL AS x FROM clinic_a.visits UNION SELECT NULL", "NULL has no type"),
        ("SELECT x FROM (SELECT age AS x, bmi AS x FROM clinic_a.visits) AS s", "one of several"),
        ("SELECT age AS x, bmi AS x FROM clinic_a.visits ORDER BY x", "several columns 'x'"),
        ("SELECT age AS x, bmi AS x FROM clinic_a.visits GROUP BY x, bmi", "several columns 'x'"),
        (
            "SELECT age AS x, count(*) AS x FROM clinic_a.visits GROUP BY age HAVING x > 1",
            "several columns 'x'",
        ),
        (
            "SELECT age AS x, rank() OVER (ORDER BY age) AS x FROM clinic_a.visits QUALIFY x > 1",
            "several columns 'x'",
        ),
        (
            "SELECT age AS x, bmi AS x FROM clinic_a.visits UNION SELECT 1, 2 ORDER BY x",
            "several columns 'x'",
        ),
        (
            "SELECT 1 AS x FROM clinic_b.labs JOIN (SELECT 2 AS patient, 1 AS patient) AS s USING (patient)",
            "several columns 'patient'",
        ),
        ("WITH RECURSIVE t AS (SELECT 1 AS x) SELECT * FROM t", "RECURSIVE"),
    ],
)
def test_refusals_say_where_and_what_to_write(query, message):
    answer = answer_to(query)
    assert answer.startswith("error at line 1, column ")
    assert message in answer
    assert not answer.endswith("hint: "), answer
