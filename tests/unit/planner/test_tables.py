"""Tables of scripts: their first rows."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.support.catalogs import PACKAGES
from tests.support.differential import LIMITS, ArrowSource, catalog_of_tables

from mc2.engine.run import execute
from mc2.errors import PlanError
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here

TABLES = {"a.t": pa.table({"x": pa.array([3, 1, 2, None], pa.int64())})}


def run(expression: str) -> list[object]:
    script = f"import mc2\njob = mc2.Job('t')\nt = job.table('a.t')\njob.release('r', {expression}, to='institute')\n"
    plan = compile_here(script, name="t.py", catalog=catalog_of_tables(TABLES), packages=PACKAGES)
    sources = {"a.t": ArrowSource(TABLES["a.t"])}
    return execute(check_plan(plan), sources, LIMITS, lambda _: None)["r"].table["x"].to_pylist()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("t.limit(2)", [3, 1]),
        ("t.limit(2, offset=1)", [1, 2]),
        ("t.limit(None, offset=3)", [None]),
        ("t.limit(0)", []),
        ("t.limit(9)", [3, 1, 2, None]),
        ("job.sql('SELECT x FROM {t} ORDER BY x DESC', t=t).limit(1)", [3]),
        ("job.sql('SELECT DISTINCT x FROM {t}', t=t).limit(2)", [None, 1]),
    ],
)
def test_the_first_rows_are_those_of_the_tables_order(expression, expected):
    assert run(expression) == expected


@pytest.mark.parametrize(
    "call", ["t.limit(-1)", "t.limit(1.5)", "t.limit(True)", "t.limit('2')", "t.limit(1, offset=-1)",
             "t.limit(10 * 1000000000000)"],
)  # fmt: skip
def test_a_limit_is_a_whole_number(call):
    with pytest.raises(PlanError, match="limit takes whole numbers"):
        run(call)
