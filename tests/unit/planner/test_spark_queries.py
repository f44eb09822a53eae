"""Whole queries give the rows that Spark 4 gave for them: tests/golden/spark_queries."""

from __future__ import annotations

import pytest
from tests.support.catalogs import PACKAGES
from tests.support.differential import LIMITS, ArrowSource, catalog_of_tables
from tests.support.spark_queries import FOLDER, IN_ORDER, TABLES, answer, expected
from tests.support.spark_rows import read
from tests.support.stage_runs import StageRun

from mc2.engine.run import execute
from mc2.errors import EngineError, PlanError
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here

FILES = sorted(FOLDER.glob("*.txt"))
CASES = [(path.stem, query, found) for path in FILES for query, found in read(path)]
CATALOG = catalog_of_tables(TABLES)


def checked(query):
    script = (
        f"import mc2\njob = mc2.Job('t')\njob.release('r', job.sql({query!r}), to='institute')\n"
    )
    return check_plan(compile_here(script, name="t.py", catalog=CATALOG, packages=PACKAGES))


def sources(plan, rows=None):
    """The tables of a plan, in batches of so many rows."""
    tables = {i.dataset: TABLES[i.dataset] for i in plan.plan.inputs}
    return {name: ArrowSource(table, rows) for name, table in tables.items()}


def shown(query, output):
    rows = [[c[i].as_py() for c in output.table.columns] for i in range(output.table.num_rows)]
    kinds = [str(c.type) for c in output.schema.columns]
    return answer(kinds, rows, in_order=query.startswith(IN_ORDER))


ANSWERED = [(q, a) for _, q, a in CASES if ": [" in a]


@pytest.mark.parametrize(("query", "spark"), ANSWERED, ids=[q[:60] for q, _ in ANSWERED])
def test_queries_give_what_spark_gives(query, spark):
    plan = checked(query)
    found = shown(query, execute(plan, sources(plan), LIMITS, lambda _: None)["r"])
    assert found == expected(spark)


def staged(query):
    plan = checked(query)
    return shown(query, StageRun(plan, sources(plan, 2), 3).run()["r"])


@pytest.mark.parametrize(("query", "spark"), ANSWERED[::12])
def test_their_stages_do(query, spark):
    assert staged(query) == expected(spark)


@pytest.mark.slow
@pytest.mark.parametrize(("query", "spark"), ANSWERED)
def test_all_their_stages_do(query, spark):
    assert staged(query) == expected(spark)


def test_members_of_subqueries_are_unknown_beside_null():
    """As in SQL's standard; Spark gives false there, outside of WHERE."""
    query = "SELECT k, k IN (SELECT k FROM p.u) AS i FROM p.t WHERE k = 4 OR k IS NULL"
    plan = checked(query)
    found = shown(query, execute(plan, sources(plan), LIMITS, lambda _: None)["r"])
    assert found == "int32, boolean: [[4, null], [null, null], [null, null]]"


@pytest.mark.parametrize("query", [q for _, q, a in CASES if ": [" not in a])
def test_queries_fail_where_spark_fails(query):
    with pytest.raises((EngineError, PlanError)):
        execute(plan := checked(query), sources(plan), LIMITS, lambda _: None)


def test_there_are_queries_of_each_kind():
    assert {path.stem for path in FILES} >= {"subqueries", "joins", "aggregates", "windows", "sets"}
    assert sum(": [" in found for _, _, found in CASES) > 200
