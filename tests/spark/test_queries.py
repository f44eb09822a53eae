"""The suites of SQL by hand and of DataFrames on a real Spark, many queries to a job.

`make slow` runs each of their tests there by itself as well: the fixture `enclaves`.
"""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.support.catalogs import PACKAGES
from tests.support.connect import EngineRunner, spark_session
from tests.support.dataframes import SNIPPETS
from tests.support.dataframes import TABLES as FRAMES
from tests.support.differential import catalog_of_tables, direct, rows_of, same_rows
from tests.support.spark_plans import Ran, SparkPlans
from tests.unit.planner.test_differential import QUERIES_BY_HAND, TABLES
from tests.unit.planner.test_select import SETS, SUBQUERIES, WINDOWS

from mc2.engine.outputs import TableOutput
from mc2.planner.script import compile_here

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:WARN WindowExpression:UserWarning"),
]
QUERIES = [*QUERIES_BY_HAND, *SUBQUERIES, *WINDOWS, *SETS]
TOGETHER = 36
"""So many queries are outputs of one job."""


def run(plans: SparkPlans, queries: list[str]) -> Ran:
    """One job of all queries; each output must be what DuckDB says."""
    releases = (
        f"job.release('q{i}', job.sql({q!r}), to='institute')" for i, q in enumerate(queries)
    )
    script = "\n".join(["import mc2", "job = mc2.Job('t')", *releases])
    catalog = catalog_of_tables(TABLES)
    found = plans.run(compile_here(script, name="t.py", catalog=catalog, packages=PACKAGES), TABLES)
    for number, query in enumerate(queries):
        output = found.outputs[f"q{number}"]
        assert isinstance(output, TableOutput)
        assert same_rows(rows_of(output.table), direct(query, TABLES)), query
    return found


def test_a_quarter_of_the_queries_in_one_job(spark_plans: SparkPlans) -> None:
    found = run(spark_plans, QUERIES[::4])
    assert found.members == 1  # the enclave beside the one executor, and the leader
    assert found.tasks > len(QUERIES[::4])


def test_frames_of_stock_pyspark(spark_plans: SparkPlans, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups, joins, windows: what a notebook asks, one job each."""
    tasks = []

    def watched(plan, tables: dict[str, pa.Table]):
        found = spark_plans.run(plan, tables)
        tasks.append(found.tasks)
        return found.outputs

    monkeypatch.setattr("tests.support.differential.RUN", watched)
    with spark_session(EngineRunner(FRAMES)) as spark:
        names = {n.partition(".")[2]: spark.read.table(n) for n in FRAMES}
        from pyspark.sql import Window
        from pyspark.sql.connect import functions

        known = {"spark": spark, "F": functions, "W": Window, **names}
        areas = {s.area: s for s in SNIPPETS if isinstance(s.expected, str) and not s.ordered}
        for snippet in [areas[a] for a in AREAS]:
            rows = rows_of(eval(snippet.code, dict(known)).toArrow())  # noqa: S307  our own code
            assert sorted(rows, key=repr) == sorted(direct(snippet.expected, FRAMES), key=repr)
    assert len(tasks) == len(AREAS)
    assert all(tasks)


AREAS = ("aggregate", "join", "window", "sets")


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, len(QUERIES), TOGETHER))
def test_all_queries_on_two_executors(plans_of_a_cluster: SparkPlans, start: int) -> None:
    found = run(plans_of_a_cluster, QUERIES[start : start + TOGETHER])
    assert found.members == 2
