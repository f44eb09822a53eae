"""PIVOT and UNPIVOT: each against the query that DuckDB answers, with Spark's rules on NULL."""

from __future__ import annotations

import pytest
from tests.support.catalogs import PACKAGES
from tests.support.differential import catalog_of_tables, direct, planned, same_rows
from tests.unit.planner.test_differential import TABLES

from mc2.errors import PlanError
from mc2.planner.script import compile_here

pytestmark = pytest.mark.usefixtures("enclaves")

ALIKE = [  # each with what it means, in words that both engines know
    (
        "SELECT * FROM (SELECT id, site, v FROM p.a) PIVOT (sum(v) FOR site IN ('n', 's' AS south))",
        (
            "SELECT id, sum(v) FILTER (WHERE site = 'n') AS n, sum(v) FILTER (WHERE site = 's') AS "
            "south FROM p.a GROUP BY id"
        ),
    ),
    (  # what has no rows is NULL, also a count
        "SELECT * FROM (SELECT site, b, id FROM p.a) PIVOT (count(*) FOR site IN ('n', 'x'))",
        (
            "SELECT b, id, nullif(count(*) FILTER (WHERE site = 'n'), 0) AS n, CAST(NULL AS BIGINT) "
            "AS x FROM p.a GROUP BY b, id"
        ),
    ),
    (  # NULL is a value like others
        "SELECT * FROM (SELECT b, site FROM p.a) PIVOT (count(*) FOR site IN (NULL AS none, 'n'))",
        (
            "SELECT b, nullif(count(*) FILTER (WHERE site IS NULL), 0) AS none, "
            "nullif(count(*) FILTER (WHERE site = 'n'), 0) AS n FROM p.a GROUP BY b"
        ),
    ),
    (  # several aggregates, and no other columns: one row
        "SELECT * FROM (SELECT site, v FROM p.a) PIVOT (max(v) AS most, count(v) FOR site IN ('n'))",
        "SELECT max(v) AS n_most, count(v) AS n_count FROM p.a WHERE site = 'n'",
    ),
    (
        (
            "SELECT * FROM (SELECT site, b, v FROM p.a) PIVOT (sum(v) FOR (site, b) IN "
            "(('n', true) AS x, ('s', false)))"
        ),
        (
            "SELECT sum(v) FILTER (WHERE site = 'n' AND b) AS x, sum(v) FILTER (WHERE site = 's' AND "
            "NOT b) AS y FROM p.a"
        ),
    ),
    (
        (
            "SELECT q.id, q.n + 1 AS m, w FROM (SELECT id, site, v FROM p.a) PIVOT (sum(v) FOR site IN "
            "('n')) AS q JOIN q.b ON q.id = b.id"
        ),
        (
            "SELECT q.id, q.n + 1 AS m, w FROM (SELECT id, sum(v) FILTER (WHERE site = 'n') AS n FROM "
            "p.a GROUP BY id) AS q JOIN q.b ON q.id = b.id"
        ),
    ),
    (
        "SELECT * FROM q.b UNPIVOT (value FOR name IN (id, w AS weight))",
        (
            "SELECT site, 'id' AS name, id::BIGINT AS value FROM q.b WHERE id IS NOT NULL UNION ALL "
            "SELECT site, 'weight', w FROM q.b WHERE w IS NOT NULL"
        ),
    ),
    (
        "SELECT * FROM q.b UNPIVOT INCLUDE NULLS (value FOR name IN (id, w)) AS u WHERE u.name > 'i'",
        (
            "SELECT site, 'id' AS name, id::BIGINT AS value FROM q.b UNION ALL SELECT site, 'w', w FROM "
            "q.b"
        ),
    ),
    (  # a row goes only if all of its values are NULL
        "SELECT * FROM q.b UNPIVOT ((x, y) FOR name IN ((id, w), (w, id) AS turned))",
        (
            "SELECT site, 'id_w' AS name, id::BIGINT AS x, w AS y FROM q.b WHERE id IS NOT NULL OR w IS "
            "NOT NULL UNION ALL SELECT site, 'turned', w, id FROM q.b WHERE id IS NOT NULL OR w IS NOT "
            "NULL"
        ),
    ),
    (  # one after the other
        (
            "SELECT * FROM q.b UNPIVOT (value FOR name IN (id, w)) PIVOT (max(value) FOR name IN ('id', "
            "'w'))"
        ),
        (
            "SELECT site, max(id)::BIGINT AS id, max(w) AS w FROM q.b WHERE id IS NOT NULL OR w IS NOT "
            "NULL GROUP BY site"
        ),
    ),
]


@pytest.mark.parametrize(("query", "meant"), ALIKE)
def test_pivots_give_what_they_mean(query, meant):
    assert same_rows(planned(query, TABLES), direct(meant, TABLES))


def columns(query):
    script = (
        f"import mc2\njob = mc2.Job('t')\njob.release('r', job.sql({query!r}), to='institute')\n"
    )
    known = catalog_of_tables(TABLES)
    plan = compile_here(script, name="t.py", catalog=known, packages=PACKAGES)
    return plan.nodes[plan.outputs[0].node].schema.names


@pytest.mark.parametrize(
    ("clause", "names"),
    [
        ("PIVOT (sum(w) FOR id IN (1, -2, 3 AS three))", ("site", "1", "-2", "three")),
        ("PIVOT (sum(w) AS s, max(w) FOR id IN (1))", ("site", "1_s", "1_max(w)")),
        ("PIVOT (sum(w) FOR (id, site) IN ((1, 'x'), (2, NULL)))", ("{1, x}", "{2, null}")),
        ("UNPIVOT (v FOR n IN (id, w))", ("site", "n", "v")),
        ("UNPIVOT ((v, u) FOR n IN ((id, w)))", ("site", "n", "v", "u")),
        ("UNPIVOT (v FOR n IN (id, w)) AS u (a, b, c)", ("a", "b", "c")),
    ],
)
def test_columns_are_named_as_spark_names_them(clause, names):
    assert columns(f"SELECT * FROM q.b {clause}") == names


@pytest.mark.parametrize(
    ("clause", "message"),
    [
        ("PIVOT (abs(w) FOR id IN (1))", "takes aggregates"),
        ("PIVOT (sum(w) FOR id IN (site))", "constants"),
        ("PIVOT (sum(w) FOR id IN (1.50))", "names no column"),
        ("PIVOT (sum(w) FOR (id, site) IN (1))", "2 value"),
        ("PIVOT (sum(w) FOR nothing IN (1))", "nothing"),
        ("PIVOT (sum(w) FOR id IN (1, 1))", "two columns"),
        ("UNPIVOT (v FOR n IN (id, nothing))", "columns of its table"),
        ("UNPIVOT (v FOR n IN ((id, w)))", r"takes 1 column"),
        ("UNPIVOT (v FOR n IN (id, site))", "UNION"),
    ],
)
def test_refusals_say_where(clause, message):
    with pytest.raises(PlanError, match=message) as caught:
        columns(f"SELECT * FROM q.b {clause}")
    assert caught.value.line
