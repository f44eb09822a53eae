"""INTERSECT, EXCEPT and QUALIFY in oblivious mode: they are planned through windows."""

from dataclasses import replace

import pyarrow as pa
import pytest
from tests.support.catalogs import PACKAGES
from tests.support.differential import catalog_of_tables, direct, rows_of
from tests.support.oblivious import facts_of, padded, run_obliviously

from mc2.plan.check import check_plan
from mc2.planner.script import compile_here

TABLES = {
    "shop.a": pa.table(
        {"x": [1, 1, 1, 2, None, None, 3], "s": ["p", "p", "p", "q", None, "r", ""]}
    ),
    "shop.b": pa.table({"x": [1, 1, 2, None, 4], "s": ["p", "p", "z", None, ""]}),
}
SCRIPT = """
import mc2
job = mc2.Job("sets", mode="oblivious")
job.release("found", job.sql('''{query}'''), to=["institute"])
"""
QUERIES = [
    *(
        f"SELECT x, s FROM shop.a {how} SELECT x, s FROM shop.b"
        for how in ("INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL", "UNION")
    ),
    "SELECT x, s FROM shop.a QUALIFY row_number() OVER (PARTITION BY s ORDER BY x) = 1",
]


@pytest.mark.parametrize("query", QUERIES)
def test_sets_have_the_rows_that_duckdb_gives(query):
    facts = {n: facts_of(t) for n, t in TABLES.items()}
    known = catalog_of_tables(TABLES)
    datasets = {
        n: replace(e, sizes="padded", facts=facts[n], row_bound=TABLES[n].num_rows)
        for n, e in known.datasets.items()
    }
    catalog = replace(known, datasets=datasets)
    script = SCRIPT.format(query=query)
    plan = compile_here(script, name="sets.py", catalog=catalog, packages=PACKAGES)
    sources = {n: padded(t, facts[n], rows_per_chunk=3) for n, t in TABLES.items()}
    found, _ = run_obliviously(check_plan(plan), sources)
    (table,) = found.values()
    assert sorted(map(repr, rows_of(table))) == sorted(map(repr, direct(query, TABLES)))
