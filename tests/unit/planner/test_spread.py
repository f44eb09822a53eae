"""A few of the queries that `make slow` runs all of in three enclaves with sealed blocks between."""

from __future__ import annotations

import pytest
from tests.support.differential import direct, planned, same_rows
from tests.unit.planner.test_differential import QUERIES_BY_HAND, TABLES
from tests.unit.planner.test_select import SETS, SUBQUERIES, WINDOWS

pytestmark = pytest.mark.usefixtures("three_enclaves")
EACH = 17


@pytest.mark.parametrize("query", [*QUERIES_BY_HAND, *SUBQUERIES, *WINDOWS, *SETS][::EACH])
def test_same_rows_as_duckdb(query):
    assert same_rows(planned(query, TABLES), direct(query, TABLES))
