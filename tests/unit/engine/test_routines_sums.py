"""Exact sums that DuckDB counts in units, against sums of all values listed."""

from __future__ import annotations

import math

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from duckdb.func import FunctionNullHandling, PythonUDFType
from hypothesis import example, given
from hypothesis import strategies as st

from mc2.engine.routines import exact_sum
from mc2.engine.routines_sums import counted, total
from mc2.engine.sql_aggregates import Operand, aggregate
from mc2.engine.sql_terms import Scribe
from mc2.plan.types import DOUBLE, FLOAT

VALUES = st.none() | st.one_of(
    st.floats(),
    st.floats(-1e6, 1e6),
    st.sampled_from([0.0, -0.0, 2.0**30, 2.0**-64, 2.0**-65, 0.1, -0.1, 1e308, 1073741823.9999999]),
)


@pytest.fixture(scope="module")
def found():
    """The sum and the mean that the engine's SQL gives."""
    with duckdb.connect(config={"disabled_optimizers": "expression_rewriter"}) as connection:
        scribe = Scribe()
        operand = Operand("a0", DOUBLE, distinct=False)
        both = [aggregate(scribe, name, operand, DOUBLE) for name in ("sum", "avg")]
        for routine in scribe.routines.values():
            connection.create_function(
                routine.name,
                routine.compute,
                list(routine.parameters),
                routine.result,
                type=PythonUDFType.ARROW,
                null_handling=FunctionNullHandling.SPECIAL,
            )

        def run(values):
            given_rows = pa.table({"a0": pa.array(values, pa.float64())})
            connection.register("given_rows", given_rows)
            return connection.sql(f"SELECT {', '.join(both)} FROM given_rows").fetchall()[0]

        yield run


@given(st.lists(VALUES, max_size=12))
@example([1e308, 1e308, -1e308])
@example([math.inf, 1.0, -math.inf])
@example([0.1] * 10 + [1e16, 2.0**-70])
def test_sums_are_those_of_all_values(found, values):
    known = np.array([v for v in values if v is not None], np.float64)
    wanted = exact_sum(known) if len(known) else None
    assert repr(found(values)[0]) == repr(wanted)
    assert repr(found(values)[1]) == repr(wanted / len(known) if len(known) else None)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.integers(-(2**120), 2**120))
def test_units_and_listed_values_are_added_exactly(listed, units):
    parts = [*listed, float(units), float(units - int(float(units)))]
    scaled = [parts[0], *parts[1:-2], parts[-2] / 2**64, parts[-1] / 2**64]
    if int(parts[-2]) + int(parts[-1]) == units:
        assert total(listed, str(units)) == exact_sum(np.array(scaled))


def test_without_values_there_is_no_sum():
    assert total(None, None) is None
    assert total([], "0") == 0.0


@pytest.mark.parametrize(
    ("value", "fits"),
    [(0.5, True), (0.1, True), (-1e9, True), (2.0**30, False), (1e-9, False), (2.0**-64, True),
     (math.nan, False), (math.inf, False), (-1e308, False), (None, False)],
)  # fmt: skip
def test_what_is_counted_in_units(value, fits):
    with duckdb.connect() as connection:
        units = connection.execute(f"SELECT {counted('a')} FROM (SELECT ?::DOUBLE AS a)", [value])
        (found,) = units.fetchone()
    assert (found is not None) == fits
    if fits:
        assert found == value * 2**64


def test_floats_are_summed_as_doubles():
    text = aggregate(Scribe(), "sum", Operand("a0", FLOAT, distinct=False), DOUBLE)
    assert "CAST(a0 AS DOUBLE)" in text
