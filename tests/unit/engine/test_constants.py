"""Arithmetic over literals: exactly what the engine would compute, or left to it."""

from decimal import Decimal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.engine.constants import folded_call, folded_cast
from mc2.engine.sql_expressions import ExpressionWriter
from mc2.engine.sql_terms import Scribe
from mc2.formats.schema import decimal
from mc2.plan.expressions import Cast, call, literal
from mc2.plan.literals import literal_value
from mc2.plan.types import BOOLEAN, DOUBLE, INT8, INT32, INT64, STRING

_OPERATORS = {"add": "+", "subtract": "-", "multiply": "*"}


def term(value, kind):
    return ExpressionWriter(Scribe(), {}, {}).term(literal(value, kind))


@given(
    st.sampled_from(sorted(_OPERATORS)),
    st.decimals(-9999, 9999, places=2),
    st.decimals(-99, 99, places=1),
)
def test_decimals_are_what_duckdb_makes_of_them(name, a, b):
    found = folded_call(name, [term(a, decimal(6, 2)), term(b, decimal(3, 1))], decimal(10, 3))
    sign = _OPERATORS[name]
    sql = (
        f"SELECT CAST(CAST({a} AS DECIMAL(9,3)) {sign} CAST({b} AS DECIMAL(9,3)) AS DECIMAL(10,3))"
    )
    ((expected,),) = duckdb.execute(sql).fetchall()
    assert found is not None
    assert literal_value(found.text, found.type) == expected


@pytest.mark.parametrize(("name", "value"), [("add", 127), ("subtract", -128), ("multiply", 64)])
def test_what_overflows_is_left_to_fail(name, value):
    assert folded_call(name, [term(value, INT8), term(2, INT8)], INT8) is None
    assert folded_call(name, [term(value, INT8), term(2, INT8)], INT32) is not None


def test_what_must_be_rounded_is_left():
    assert folded_cast(term(Decimal("1.25"), decimal(3, 2)), decimal(3, 1)) is None
    assert folded_cast(term(Decimal("1.25"), decimal(3, 2)), INT32) is None
    assert folded_cast(term(Decimal("12.00"), decimal(4, 2)), INT32) == literal(12, INT32)
    assert folded_cast(term(12, INT32), decimal(4, 2)) == literal(Decimal(12), decimal(4, 2))
    assert folded_cast(term(123, INT32), decimal(4, 2)) is None


@pytest.mark.parametrize(
    ("value", "kind", "target"),
    [(1.5, DOUBLE, INT64), (1, INT64, DOUBLE), ("1", STRING, INT64), (True, BOOLEAN, INT64)],
)
def test_only_exact_numbers_are_computed(value, kind, target):
    assert folded_cast(term(value, kind), target) is None


def test_null_is_left():
    assert folded_cast(term(None, INT32), INT64) is None
    assert folded_call("add", [term(None, INT32), term(1, INT32)], INT32) is None


def test_a_sum_of_literals_cannot_fail_and_one_that_overflows_may():
    writer = ExpressionWriter(Scribe(), {}, {})
    assert not writer.term(call("add", literal(1, INT32), literal(10, INT32))).fails
    assert writer.term(call("add", literal(2**31 - 1, INT32), literal(10, INT32))).fails
    wide = Cast(call("add", literal(1, INT32), literal(10, INT32)), decimal(12, 2), strict=True)
    assert writer.term(wide).literal == "11.00"
