"""A plan reads no more than its outputs need; and it still says the same."""

from __future__ import annotations

import random

import pytest
from tests.support.catalogs import catalog
from tests.support.differential import planned, same_rows
from tests.support.golden import plan_of
from tests.support.random_sql import Queries, make_tables

from mc2.plan.plan import PlanOutput
from mc2.plan.relations import Project, Scan
from mc2.planner import draft


def scanned(query):
    plan = plan_of(query)
    return {
        plan.inputs[n.operation.input].dataset: n.operation.columns
        for n in plan.nodes
        if isinstance(n.operation, Scan)
    }


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("SELECT age FROM clinic_a.visits", ("age",)),
        ("SELECT age FROM (SELECT * FROM clinic_a.visits) t", ("age",)),
        ("SELECT age FROM clinic_a.visits WHERE smoker ORDER BY bmi", ("bmi", "age", "smoker")),
        ("SELECT count(*) AS n FROM clinic_a.visits", ("visit",)),
        ("SELECT 1 AS x FROM clinic_a.visits", ("visit",)),
        (("SELECT n FROM (SELECT site, avg(age) AS a, count(*) AS n FROM clinic_a.visits "
         "GROUP BY site) t"), ("site",)),
        ("SELECT 1 AS x FROM (SELECT max(age) AS a, max(bmi) AS b FROM clinic_a.visits) t",
         ("age",)),
        ("SELECT count(*) AS n FROM (SELECT DISTINCT age, site FROM clinic_a.visits) t",
         ("site", "age")),
        (("SELECT a FROM (SELECT age AS a, bmi AS b FROM clinic_a.visits UNION ALL "
         "SELECT visit, glucose FROM clinic_a.visits) t"), ("visit", "age")),
        ("SELECT b.age FROM clinic_a.visits a JOIN clinic_a.visits b ON a.patient = b.visit",
         ("visit", "patient", "age")),
    ],
)  # fmt: skip
def test_reads_only_what_is_needed(query, columns):
    assert scanned(query) == {"clinic_a.visits": columns}


def test_counting_reads_an_allowed_column():
    from mc2.planner.script import compile_here

    script = (
        "import mc2\njob = mc2.Job('t')\n"
        "job.release('n', job.sql('SELECT count(*) AS n FROM clinic_a.visits'), to='institute')\n"
    )
    plan = compile_here(script, name="s.py", catalog=catalog(allowed=("bmi", "site")))
    assert [n.operation.columns for n in plan.nodes if isinstance(n.operation, Scan)] == [("bmi",)]


def test_projections_that_change_nothing_are_gone():
    plan = plan_of("SELECT * FROM (SELECT * FROM (SELECT visit, age FROM clinic_a.visits) a) b")
    assert [n.operation for n in plan.nodes] == [Scan(0, ("visit", "age"))]


def test_renames_are_joined():
    plan = plan_of("SELECT x + 1 AS y FROM (SELECT age AS x FROM clinic_a.visits) t")
    assert [type(n.operation) for n in plan.nodes] == [Scan, Project]


def unpruned(inputs, nodes, outputs, _cheapest):
    return tuple(inputs), tuple(nodes), tuple(outputs)


@pytest.mark.parametrize("seed", range(20))
def test_pruned_and_unpruned_plans_give_the_same_rows(seed, monkeypatch):
    rng = random.Random(50_000 + seed)
    tables = make_tables(rng)
    queries = Queries(rng)
    # Above a query that reads much, one that needs little of it.
    inner, columns = queries.query()
    name, kind = rng.choice(list(columns.items()))
    outer = f"SELECT {name} AS x, count(*) AS n FROM ({inner}) AS t GROUP BY {name}"
    small = planned(outer, tables)
    for other in tables:  # every input is scanned, so that none has to go
        outer_all = (
            f"{outer} UNION ALL SELECT CAST(NULL AS {sql_type(kind)}), k FROM {other} WHERE false"
        )
        outer = outer_all
    with monkeypatch.context() as patch:
        patch.setattr(draft, "prune", unpruned)
        whole = planned(outer, tables)
    assert same_rows(small, whole), outer


def sql_type(kind):
    return {"int32": "INT", "int64": "BIGINT", "decimal": "DECIMAL(38, 2)"}.get(kind, kind.upper())


def test_released_tables_keep_all_their_columns():
    plan = plan_of("SELECT * FROM clinic_b.labs")
    output = plan.outputs[0]
    assert isinstance(output, PlanOutput)
    schema = plan.nodes[output.node].schema
    assert schema is not None
    assert schema.names == ("patient", "test", "value", "taken")
