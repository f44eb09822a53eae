"""Quotients of whole numbers and products of decimals: the same in 64 bits as in 128."""

from decimal import ROUND_HALF_UP, Context, Decimal

import duckdb
from hypothesis import example, given
from hypothesis import strategies as st

from mc2.engine.sql_decimals import combine, divide_integers
from mc2.engine.sql_terms import Scribe, Term
from mc2.formats.schema import DataType, decimal
from mc2.plan.functions import Argument, function

_EDGE = 10**18
_CONTEXT = Context(prec=100, rounding=ROUND_HALF_UP)
numbers = st.one_of(
    st.integers(-20, 20),
    st.integers(_EDGE - 3, _EDGE + 3).flatmap(lambda n: st.sampled_from([n, -n])),
    st.integers(-(10**30), 10**30),
)


@given(numbers, numbers.filter(bool))
@example(_EDGE, -_EDGE)
@example(-_EDGE - 1, 2)
@example(5, 2)
@example(-5, 2)
@example(_EDGE, _EDGE + 1)
@example(_EDGE // 2, _EDGE)
def test_quotients_are_rounded_half_away_from_zero(n, d):
    sql = divide_integers(Scribe(), f"{n}::HUGEINT", f"{d}::HUGEINT", decimal(38, 0))
    ((found,),) = duckdb.execute(f"SELECT {sql}").fetchall()
    quotient = _CONTEXT.divide(Decimal(n), Decimal(d))
    assert found == quotient.quantize(Decimal(1), context=_CONTEXT)


def test_null_gives_null():
    sql = divide_integers(Scribe(), "NULL::HUGEINT", "2::HUGEINT", decimal(10, 2))
    assert duckdb.execute(f"SELECT {sql}").fetchall() == [(None,)]


def product(a: DataType, b: DataType) -> str:
    """The SQL of a product of two columns of such types."""
    kind, _ = function("multiply").type((Argument(a, False), Argument(b, False)))
    terms = (Term("a", a, nullable=False), Term("b", b, nullable=False))
    return combine(Scribe(), "multiply", *terms, kind)


def test_products_that_fit_18_digits_are_computed_in_64_bits_and_others_in_128():
    assert product(decimal(9, 2), decimal(9, 3)).startswith("CAST((a * b)")
    assert product(decimal(9, 2), decimal(10, 3)).startswith("CAST((CAST(a AS DECIMAL(19,2)) * b)")


@given(st.integers(1, 18), st.integers(1, 18), st.booleans())
@example(9, 9, False)
@example(1, 17, True)
@example(18, 18, True)
def test_the_largest_product_of_any_two_types_is_exact(left, right, negative):
    a, b = -(10**left - 1) if negative else 10**left - 1, 10**right - 1
    sql = product(decimal(left, 0), decimal(right, 0))
    rows = f"(VALUES (CAST({a} AS DECIMAL({left},0)), CAST({b} AS DECIMAL({right},0)))) AS t(a, b)"
    with duckdb.connect() as connection:
        ((found,),) = connection.execute(f"SELECT {sql} FROM {rows}").fetchall()
    assert found == Decimal(a * b)
