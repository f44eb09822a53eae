"""All 22 queries of TPC-H in oblivious mode: DuckDB's answers, and calls that data do not change."""

import re
from contextlib import suppress
from dataclasses import replace

import duckdb
import numpy as np
import pytest
from bench import tpch
from tests.support.catalogs import PACKAGES
from tests.support.differential import catalog_of_tables, rows_of
from tests.support.oblivious import facts_of, padded, run_obliviously

from mc2.engine.oblivious.run import execute
from mc2.errors import EngineError
from mc2.operators.run import Run
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here

KEYS = {
    "customer": (("c_custkey",),),
    "lineitem": (("l_linenumber", "l_orderkey"),),
    "nation": (("n_nationkey",),),
    "orders": (("o_orderkey",),),
    "part": (("p_partkey",),),
    "partsupp": (("ps_partkey", "ps_suppkey"),),
    "region": (("r_regionkey",),),
    "supplier": (("s_suppkey",),),
}
"""What the owner declares unique: the primary keys."""


class Shop:
    """The tables of one scale, sealed as an owner would."""

    def __init__(self, scale):
        self.tables = tpch.tables(scale)
        self.facts = {n: facts_of(t, unique=KEYS[n]) for n, t in self.tables.items()}
        known = catalog_of_tables({f"shop.{n}": t for n, t in self.tables.items()})
        datasets = {
            name: replace(
                entry,
                sizes="padded",
                facts=self.facts[name.removeprefix("shop.")],
                row_bound=self.tables[name.removeprefix("shop.")].num_rows,
            )
            for name, entry in known.datasets.items()
        }
        self.catalog = replace(known, datasets=datasets)

    def checked(self, number):
        script = tpch.script(number, "shop", to="institute")
        script = re.sub(r"(mc2\.Job\([^)]*)\)", r'\1, mode="oblivious")', script, count=1)
        plan = compile_here(script, name="tpch.py", catalog=self.catalog, packages=PACKAGES)
        assert plan.mode == "oblivious"
        return check_plan(plan)

    def sources(self, tables=None):
        return {
            f"shop.{n}": padded(t, self.facts[n], rows_per_chunk=min(t.num_rows, 1 << 16))
            for n, t in (tables or self.tables).items()
        }


@pytest.fixture(scope="module")
def shop():
    return Shop(0.01)


@pytest.fixture(scope="module")
def oracle(shop):
    with duckdb.connect() as connection:
        for name, table in shop.tables.items():
            connection.register(name, table)
        yield connection


@pytest.mark.parametrize("number", tpch.QUERIES)
def test_the_answer_is_duckdbs(number, shop, oracle):
    found, trace = run_obliviously(shop.checked(number), shop.sources())
    wanted = rows_of(oracle.sql(tpch.query(number)).to_arrow_table())
    assert wanted
    assert rows_of(found[f"q{number:02}"]) == wanted
    assert trace.declassified == ["whether the computation failed"]


@pytest.mark.parametrize("number", tpch.QUERIES)
def test_no_table_has_more_places_than_the_largest_input(number, shop):
    most = max(t.num_rows for t in shop.tables.values())
    assert max(f.rows for f in shop.checked(number).facts) <= most


def mixed(table, seed):
    """The same values in each column, in another order."""
    random = np.random.default_rng(seed)
    columns = [c.take(random.permutation(table.num_rows)) for c in table.columns]
    return table.from_arrays(columns, schema=table.schema)


@pytest.fixture(scope="module")
def little():
    return Shop(0.001)


@pytest.mark.parametrize("number", tpch.QUERIES)
def test_other_data_make_the_same_calls(number, little):
    checked = little.checked(number)
    found = []
    for seed in (None, 1, 2):
        tables = (
            little.tables if seed is None else {n: mixed(t, seed) for n, t in little.tables.items()}
        )
        trace = Run(record=True)
        with suppress(EngineError):  # keys are no longer unique: told at the end, nowhere else
            execute(checked, little.sources(tables), lambda _: None, trace)
        found.append(trace.calls)
    assert found[0]
    assert found[0] == found[1] == found[2]
