"""The same script gives the same plan, byte for byte: in each run, process, and order of hashes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

from bench import tpch
from tests.support.catalogs import PACKAGES
from tests.support.differential import catalog_of_tables
from tests.support.random_sql import Queries, make_tables

from mc2.errors import PlanError
from mc2.planner.script import compile_here

ROOT = Path(__file__).resolve().parents[2]
CODE = "from tests.property.test_plan_digest import digests; print(digests(), end='')"
QUERIES = 20


def digests() -> str:
    """The digests of many plans, one a line."""
    return "\n".join([*_random_plans(), *_tpch_plans()])


def _random_plans():
    for seed in range(3_000_000, 3_000_000 + QUERIES):
        rng = random.Random(seed)
        tables = make_tables(rng)
        query = Queries(rng, subqueries=True).statement()
        script = f"import mc2\njob = mc2.Job('t')\njob.release('r', job.sql({query!r}), to='institute')\n"
        try:
            yield _digest(script, tables)
        except PlanError as error:
            yield str(error)


def _tpch_plans():
    tables = {f"shop.{name}": table for name, table in tpch.tables(0.0001).items()}
    for number in tpch.QUERIES:
        yield _digest(tpch.script(number, "shop", to="institute"), tables)


def _digest(script, tables) -> str:
    catalog = catalog_of_tables(tables)
    return compile_here(script, name="t.py", catalog=catalog, packages=PACKAGES).digest


def _elsewhere(seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "PYTHONHASHSEED": seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_plans_do_not_depend_on_the_process_or_its_hashes():
    here = digests()
    assert here == digests()
    assert here == _elsewhere("1") == _elsewhere("4711")
    assert len(set(here.split("\n"))) > QUERIES  # they are different plans
