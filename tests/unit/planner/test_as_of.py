"""ASOF JOIN: DuckDB's answers in both modes, and refusals."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

import duckdb
import pyarrow as pa
import pytest
from tests.support.catalogs import PACKAGES
from tests.support.differential import LIMITS, ArrowSource, catalog_of_tables, rows_of
from tests.support.oblivious import facts_of, padded, run_obliviously

from mc2.engine.run import execute
from mc2.errors import EngineError, PlanError
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here


def trades(random: Random, rows: int = 30) -> pa.Table:
    """Trades at times of which some are equal, some NULL."""
    return pa.table({
        "s": pa.array([random.choice(["a", "b", None]) for _ in range(rows)]),
        "t": pa.array([random.choice([None, *range(20)]) for _ in range(rows)], pa.int64()),
        "n": pa.array(range(rows), pa.int64()),
    })  # fmt: skip


def quotes(random: Random) -> pa.Table:
    """Quotes, one for each key and time."""
    pairs = [(s, t) for s in ("a", "b", None) for t in range(-2, 22, 3)]
    kept = random.sample(pairs, 15)
    return pa.table({
        "s": pa.array([s for s, _ in kept]),
        "t": pa.array([t for _, t in kept], pa.int64()),
        "p": pa.array([random.choice([None, 1, 2, 3]) for _ in kept], pa.int64()),
    })  # fmt: skip


def answers(text: str, tables: dict[str, pa.Table]) -> list[pa.Table]:
    """What both modes give."""
    found = []
    for mode in ("encrypted", "oblivious"):
        catalog = catalog_of_tables(tables)
        sources = {n: ArrowSource(t) for n, t in tables.items()}
        if mode == "oblivious":
            facts = {n: facts_of(t) for n, t in tables.items()}
            sources = {n: padded(t, facts[n]) for n, t in tables.items()}
            entries = {
                n: replace(e, sizes="padded", facts=facts[n], row_bound=tables[n].num_rows)
                for n, e in catalog.datasets.items()
            }
            catalog = replace(catalog, datasets=entries)
        script = (
            f'import mc2\njob = mc2.Job("j", mode="{mode}")\n'
            f'found = job.sql("""{text}""", dialect="duckdb")\n'
            'job.release("found", found, to=["institute"])\n'
        )
        checked = check_plan(compile_here(script, name="j.py", catalog=catalog, packages=PACKAGES))
        if mode == "encrypted":
            found.append(execute(checked, sources, LIMITS, lambda _: None)["found"].table)
        else:
            found.append(run_obliviously(checked, sources)[0]["found"])
    return found


CONDITIONS = [
    *(f"a.s = q.s AND a.t {sign} q.t" for sign in (">=", ">", "<=", "<")),
    "a.t >= q.t AND a.s = q.s",
    "q.t <= a.t AND a.s = q.s",
]


@pytest.mark.parametrize("how", ["ASOF", "ASOF LEFT"])
@pytest.mark.parametrize("on", CONDITIONS)
def test_both_modes_give_what_duckdb_does(how, on):
    random = Random(on + how)
    tables = {"x.trades": trades(random), "y.quotes": quotes(random)}
    text = f"SELECT a.n, a.t, q.t AS since, q.p FROM x.trades AS a {how} JOIN y.quotes AS q ON {on}"
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.execute(f"CREATE SCHEMA {name.split('.')[0]}")
            connection.register("given", table)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
        wanted = connection.sql(text).to_arrow_table()
    for found in answers(text, tables):
        assert sorted(rows_of(found)) == sorted(rows_of(wanted))


def test_two_rows_of_one_time_fail_the_job():
    random = Random(1)
    twice = pa.table({"s": ["a", "a"], "t": pa.array([1, 1], pa.int64()), "p": [1, 2]})
    text = "SELECT a.n, q.p FROM x.trades AS a ASOF JOIN y.quotes AS q ON a.s = q.s AND a.t > q.t"
    with pytest.raises(EngineError):
        answers(text, {"x.trades": trades(random), "y.quotes": twice})


@pytest.mark.parametrize(
    "join",
    [
        "ASOF JOIN y.quotes AS q ON a.s = q.s",
        "ASOF JOIN y.quotes AS q ON a.t >= q.t AND a.n > q.p",
        "ASOF JOIN y.quotes AS q USING (s, t)",
        "ASOF RIGHT JOIN y.quotes AS q ON a.t >= q.t",
    ],
)
def test_what_is_no_as_of_join_is_refused_with_its_place(join):
    random = Random(1)
    text = f"SELECT a.n FROM x.trades AS a {join}"
    with pytest.raises(PlanError, match=re.escape("ASOF JOIN takes")) as raised:
        answers(text, {"x.trades": trades(random), "y.quotes": quotes(random)})
    assert "line" in str(raised.value)
