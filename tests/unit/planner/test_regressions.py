"""`regr_slope` and its like: DuckDB's and Spark's answers, both modes, where they may stand."""

from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.catalogs import PACKAGES
from tests.support.differential import (
    ArrowSource,
    catalog_of_tables,
    direct,
    planned,
    rows_of,
    same_rows,
)
from tests.support.oblivious_plans import both_ways

from mc2.errors import PlanError
from mc2.planner.regressions import REGRESSIONS
from mc2.planner.script import compile_here

NUMBERS = st.none() | st.integers(-3, 3).map(lambda n: n / 2)
ROWS = st.lists(st.tuples(st.none() | st.integers(0, 2), NUMBERS, NUMBERS), max_size=14)
WANTED = ", ".join(f"{name}(y, x) AS {name}" for name in REGRESSIONS)
SOME = ", ".join(f"{name}(y, x) FILTER (WHERE x < 1) AS {name}" for name in REGRESSIONS)


def table(rows):
    types = {"g": pa.int64(), "y": pa.float64(), "x": pa.float64()}
    columns = zip(*rows, strict=True) if rows else ([],) * 3
    return pa.table(
        {n: pa.array(list(c), t) for (n, t), c in zip(types.items(), columns, strict=True)}
    )


@settings(max_examples=10)
@given(ROWS)
def test_formulas_agree_with_duckdb(rows):
    tables = {"p.t": table(rows)}
    for query in (
        f"SELECT g, {WANTED} FROM p.t GROUP BY g",
        f"SELECT {SOME} FROM p.t",
    ):
        # Without spread, DuckDB's slope is NaN, and Spark's NULL.
        wanted = [tuple(None if v == "NaN" else v for v in row) for row in direct(query, tables)]
        assert same_rows(planned(query, tables), wanted)


# (y, x), and what Spark gives, rounded.
OF_SPARK = [
    ([(0.5, 0.0)], (1, 0, 0.5, 0, 0, 0, None, None, None)),
    ([(0.0, 0.0), (1.0, 0.0)], (2, 0, 0.5, 0, 0.5, 0, None, None, None)),
    ([(0.0, 0.0), (0.0, 1.0)], (2, 0.5, 0, 0.5, 0, 0, 0, 0, 1)),
    (
        [(1.0, 2.0), (2.0, 5.0), (4.0, -1.0), (None, 3.0), (1.0, None)],
        (3, 2, 2.333333, 18, 4.666667, -6, -0.333333, 3, 0.428571),
    ),
    ([(None, 1.0)], (0, *[None] * 8)),
]


@pytest.mark.parametrize(("pairs", "wanted"), OF_SPARK)
def test_formulas_agree_with_spark(pairs, wanted):
    rows = table([(0, y, x) for y, x in pairs])
    assert planned(f"SELECT {WANTED} FROM p.t", {"p.t": rows}) == [wanted]


@settings(max_examples=3)
@given(ROWS)
def test_both_modes_agree(rows):
    tables = {"p.t": table(rows)}
    query = f"SELECT g, {SOME} FROM p.t GROUP BY g ORDER BY g"
    script = (
        f"import mc2\njob = mc2.Job('t')\njob.release('r', job.sql({query!r}), to='institute')\n"
    )
    plan = compile_here(script, name="t.py", catalog=catalog_of_tables(tables), packages=PACKAGES)
    job = SimpleNamespace(sources={n: ArrowSource(t) for n, t in tables.items()})
    ((_, fast, slow),) = both_ways(plan, job)
    assert rows_of(fast) == rows_of(slow)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT regr_slope(y) FROM p.t", "takes y and x"),
        ("SELECT regr_slope(y, 'a') FROM p.t", "of numbers"),
        ("SELECT y FROM p.t WHERE regr_count(y, x) > 1", "may not stand in WHERE"),
        ("SELECT regr_r2(DISTINCT y, x) FROM p.t", "takes y and x"),
    ],
)
def test_what_means_nothing_is_refused(query, words):
    with pytest.raises(PlanError, match=words):
        planned(query, {"p.t": table([])})
