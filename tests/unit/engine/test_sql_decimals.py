"""Quotients of whole numbers: the same in 64 bits as in 128."""

from decimal import ROUND_HALF_UP, Context, Decimal

import duckdb
from hypothesis import example, given
from hypothesis import strategies as st

from mc2.engine.sql_decimals import divide_integers
from mc2.engine.sql_terms import Scribe
from mc2.formats.schema import decimal

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
