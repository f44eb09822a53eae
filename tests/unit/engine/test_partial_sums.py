"""Sums of decimals by parts: the same bits as in one piece, and few rows handed on."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from tests.support.catalogs import PACKAGES
from tests.support.differential import LIMITS, ArrowSource, catalog_of_tables
from tests.support.stage_runs import StageRun

from mc2.engine.run import execute
from mc2.errors import EngineError
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here

QUERY = "SELECT k, sum(x) AS s, avg(x) AS m, count(x) AS n FROM a.t GROUP BY k"
LARGEST = Decimal("9" * 32)
LARGE = Decimal("9" * 24)


def table(values):
    columns = {
        "k": pa.array([i % 3 for i in range(len(values))], pa.int32()),
        "x": pa.array(values, pa.decimal128(38, 6)),
    }
    return pa.table(columns)


def runs(values):
    """A plan's run in one piece, and one over parts of five rows."""
    tables = {"a.t": table(values)}
    script = (
        f"import mc2\njob = mc2.Job('t')\njob.release('r', job.sql({QUERY!r}), to='institute')\n"
    )
    plan = compile_here(script, name="t.py", catalog=catalog_of_tables(tables), packages=PACKAGES)
    checked = check_plan(plan)
    sources = {"a.t": ArrowSource(tables["a.t"], rows=5)}
    return lambda: execute(checked, sources, LIMITS, lambda _: None), StageRun(checked, sources, 3)


def test_wide_decimals_are_summed_up_by_parts_to_the_same_bits():
    values = [None if i % 7 == 0 else Decimal(f"{i * 977}.{i:06}") for i in range(1, 61)]
    whole, parts = runs([*values, LARGE, LARGE.copy_negate(), LARGE])
    assert parts.run()["r"].table.equals(whole()["r"].table)
    # Of each part no more than one row for each group, not its rows.
    assert all(len(b) <= 3 for blocks in parts.blocks.values() for b in blocks)


def test_a_sum_with_too_many_digits_is_an_error_in_both():
    whole, parts = runs([LARGEST] * 6)
    with pytest.raises(EngineError, match="out of its type's range"):
        whole()
    with pytest.raises(EngineError, match="out of its type's range"):
        parts.run()
