"""Means of integers, and of integers that were made doubles, have the bits of one division."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.support.catalogs import PACKAGES
from tests.support.differential import LIMITS, ArrowSource, catalog_of_tables

from mc2.engine.outputs import TableOutput
from mc2.engine.run import execute
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here

_VALUES = {
    "int8": [-128, 127, 5, None, -128],
    "int16": [-(2**15), 2**15 - 1, 7, None, 2**15 - 1],
    "int32": [-(2**31), 2**31 - 1, 2**31 - 1, None, 2**31 - 2],
    "int64": [2**53 + 1, 2**53 + 1, -(2**60), None, 3],
}
_QUERY = """SELECT count(x) AS n, avg(x) AS a, avg(CAST(x AS DOUBLE)) AS b,
    avg(DISTINCT CAST(x AS DOUBLE)) AS c, avg(CAST(x AS DOUBLE)) FILTER (WHERE x > 0) AS d,
    avg(CAST(x AS DOUBLE)) FILTER (WHERE x IS NULL) AS e FROM ada.numbers"""


@pytest.mark.parametrize("kind", _VALUES)
def test_means_are_exact_sums_divided(kind):
    given = _VALUES[kind]
    tables = {"ada.numbers": pa.table({"x": pa.array(given, getattr(pa, kind)())})}
    script = (
        f"import mc2\njob = mc2.Job('t')\njob.release('r', job.sql({_QUERY!r}), to='institute')\n"
    )
    plan = compile_here(script, name="t.py", catalog=catalog_of_tables(tables), packages=PACKAGES)
    output = execute(
        check_plan(plan),
        {"ada.numbers": ArrowSource(tables["ada.numbers"])},
        LIMITS,
        lambda _: None,
    )["r"]
    assert isinstance(output, TableOutput)
    there = [v for v in given if v is not None]
    doubles = [int(float(v)) for v in there]  # each is a whole number, so the sums below are exact
    more = [v for v in doubles if v > 0]
    assert output.table.to_pylist() == [
        {
            "n": len(there),
            "a": float(sum(there)) / len(there),
            "b": float(sum(doubles)) / len(doubles),
            "c": float(sum(set(doubles))) / len(set(doubles)),
            "d": float(sum(more)) / len(more),
            "e": None,
        }
    ]
