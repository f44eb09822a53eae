"""The 22 queries of TPC-H, planned by us and run by our engine, give what DuckDB gives, in order."""

from __future__ import annotations

import duckdb
import pytest
from bench import tpch
from tests.support.catalogs import PACKAGES
from tests.support.differential import ArrowSource, catalog_of_tables, rows_of

from mc2.engine.limits import EngineLimits
from mc2.engine.outputs import TableOutput
from mc2.engine.run import execute
from mc2.plan.check import check_plan
from mc2.plan.plan import Plan
from mc2.planner.script import compile_here

LIMITS = EngineLimits(memory_bytes=512 * 1024 * 1024, threads=2)


@pytest.fixture(scope="module")
def data():
    return tpch.tables(0.01)


@pytest.fixture(scope="module")
def oracle(data):
    with duckdb.connect() as connection:
        for name, table in data.items():
            connection.register(name, table)
        yield connection


def plan_of(number: int, data) -> Plan:
    """The plan of a query over the datasets `shop.<table>`, those that it names."""
    return compile_here(
        tpch.script(number, "shop", to="institute"),
        name="tpch.py",
        catalog=catalog_of_tables({f"shop.{name}": table for name, table in data.items()}),
        packages=PACKAGES,
    )


@pytest.mark.parametrize("number", tpch.QUERIES)
def test_the_answer_is_duckdbs(number, data, oracle):
    plan = plan_of(number, data)
    sources = {i.dataset: ArrowSource(data[i.dataset.removeprefix("shop.")]) for i in plan.inputs}
    output = execute(check_plan(plan), sources, LIMITS, lambda _: None)[f"q{number:02}"]
    assert isinstance(output, TableOutput)
    wanted = rows_of(oracle.sql(tpch.query(number)).to_arrow_table())
    assert wanted
    assert rows_of(output.table) == wanted


@pytest.mark.parametrize("number", tpch.QUERIES)
def test_subqueries_become_joins_on_keys(number, data):
    """No pairs of all rows, which no exchange could spread and no oblivious engine afford."""
    joins = [n.operation for n in plan_of(number, data).nodes if n.operation.OP == "join"]
    assert all(j.how != "cross" for j in joins)


def test_the_data_is_the_same_each_time(data):
    again = tpch.tables(0.01)
    assert all(again[name].equals(table) for name, table in data.items())
    assert sorted(data) == list(tpch.TABLES)


def test_the_data_keeps_its_keys(data, oracle):
    """Each foreign key is there, as the specification wants it."""
    pairs = [
        ("lineitem", "l_orderkey", "orders", "o_orderkey"),
        (
            "lineitem",
            "l_partkey || '/' || l_suppkey",
            "partsupp",
            "ps_partkey || '/' || ps_suppkey",
        ),
        ("orders", "o_custkey", "customer", "c_custkey"),
        ("partsupp", "ps_suppkey", "supplier", "s_suppkey"),
    ]
    for table, key, other, known in pairs:
        query = f"SELECT count(*) FROM {table} WHERE {key} NOT IN (SELECT {known} FROM {other})"
        assert oracle.sql(query).fetchall() == [(0,)]
