"""Casts of doubles and floats in oblivious mode: bit for bit what the encrypted engine gives."""

import math
import struct
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.differential import rows_of
from tests.support.oblivious import run_obliviously
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.plans import Job, Source, schema

from mc2.errors import EngineError
from mc2.formats.schema import DataType, decimal, parse_type
from mc2.plan.expressions import Cast, ColumnRef, call
from mc2.plan.relations import NamedExpression, Project
from mc2.plan.types import BOOLEAN, DATE, DOUBLE, FLOAT, INT64, STRING

KINDS = schema(
    x="double", f="float", s="string", i="int64", n="decimal(9,2)", w="decimal(38,10)",
    p="decimal(38,38)", b="boolean", d="date",
)  # fmt: skip
X, F, S, A, N, W, P, B, D = (ColumnRef(c.name) for c in KINDS.columns)
DECIMALS = (
    decimal(5, 2),
    decimal(1, 1),
    decimal(18, 0),
    decimal(20, 4),
    decimal(38, 0),
    decimal(38, 38),
)
DOUBLES = [
    0.0, -0.0, math.nan, math.inf, -math.inf, 1.0, -1.5, 0.285, 9.5, 0.05, 99.995, 5e-5, 5e-324, 1e7, 9999999.5,
    1e-3, 0.00099999, 1e16, 1e23, 5.1e18, -1.2345678901234567e17, 1.23e38, 9e37, 3.4028235677973366e38, 1e39,
    1.7976931348623157e308, 2.0**-126, 2.0**-149, 2.0**-150, 16777217.0, 0.1, None, 2.0**50 + 0.25,
]  # fmt: skip
TEXTS = [
    "1", " -2.5e3\t", "NaN", "Infinity", "-Infinity", "inf", "1e400", "-1e39", "1e-400", ".5", "5.", "+7", "e5", "1e",
    "", "-0", "0.1", "16777217", "9007199254740993", "9007199254740992.99999999999999999999999999999999", "1d", None,
    "2.2250738585072011e-308", "4.9406564584124654e-324", "2.4703282292062328e-324", "3.4028235677973366e38", "1e5 ",
    "123456789012345678901234567890", "0.000000000000000000000000000000000000000000001", "- 1", "1_0", "nan", "1E-7",
]  # fmt: skip


def row(place):
    x = DOUBLES[place % len(DOUBLES)]
    small = x is None or not math.isfinite(x) or abs(x) < 3.4e38
    return (
        x, x if small else 1e-40, TEXTS[place % len(TEXTS)],
        [0, 2**53 + 1, -(2**63), 2**63 - 1, 16777217, None][place % 6],
        [Decimal("0.01"), Decimal("-9999999.99"), None][place % 3],
        [Decimal("0.0000000001"), Decimal("-9999999999999999999999999999.9999999999"), None][place % 3],
        [Decimal("0.1"), Decimal("1E-38"), Decimal("-0.11754943508222875079687365372222456778")][place % 3],
        [True, False, None][place % 3],
        [date(1, 1, 1), date(2024, 2, 9), date(9999, 12, 31), None][place % 4],
    )  # fmt: skip


ROWS = [row(place) for place in range(max(len(DOUBLES), len(TEXTS)))]


def bits(value):
    """A value such that NaN equals itself, and -0.0 is not 0.0."""
    if isinstance(value, list):
        return [bits(v) for v in value]
    if isinstance(value, dict):
        return {name: bits(v) for name, v in value.items()}
    return struct.pack("<d", value) if isinstance(value, float) else value


def agree(expressions, rows=ROWS):
    made = Job(t=Source(KINDS, rows, bound=0))
    columns = tuple(NamedExpression(f"c{n}", e) for n, e in enumerate(expressions))
    node = made.add(Project(made.scan("t"), columns))
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert fast.schema == slow.schema
    assert rows_of(fast) == rows_of(slow)
    for name in fast.column_names:
        assert bits(fast[name].to_pylist()) == bits(slow[name].to_pylist())


def test_texts_of_doubles():
    agree([Cast(v, STRING, strict=strict) for v in (X, F) for strict in (True, False)])


def test_texts_as_doubles():
    agree([Cast(S, kind, strict=False) for kind in (DOUBLE, FLOAT)])
    agree(
        [
            Cast(Cast(v, STRING, strict=True), v_kind, strict=True)
            for v, v_kind in ((X, DOUBLE), (F, FLOAT))
        ]
    )


def test_doubles_as_decimals():
    agree([Cast(v, kind, strict=False) for v in (X, F) for kind in DECIMALS])


def test_numbers_as_floats():
    agree([Cast(X, FLOAT, strict=False), *(Cast(v, FLOAT, strict=True) for v in (A, N, W, P, B))])
    agree([Cast(v, DOUBLE, strict=True) for v in (A, N, W, P, B, F)])


def test_what_always_fits_may_be_lenient():
    stamp = DataType("timestamp")
    agree([Cast(D, stamp, strict=False), Cast(Cast(D, stamp, strict=True), DATE, strict=False),
           Cast(X, BOOLEAN, strict=False), Cast(F, DOUBLE, strict=False), Cast(F, INT64, strict=False)])  # fmt: skip


def test_elements_and_fields_are_cast():
    several, pair = call("list", X, A_DOUBLE, X), call("list", S, S)
    agree([
        Cast(several, parse_type("list<string>"), strict=True),
        Cast(several, parse_type("list<float>"), strict=False),
        Cast(several, parse_type("list<decimal(20,3)>"), strict=False),
        Cast(pair, parse_type("list<double>"), strict=False),
    ])  # fmt: skip


A_DOUBLE = Cast(A, DOUBLE, strict=True)


@settings(max_examples=10)
@given(
    st.lists(
        st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)), min_size=1, max_size=20
    )
)
def test_any_bits_agree(patterns):
    rows = []
    for double, single in patterns:
        (x,), (f,) = (
            struct.unpack("<d", struct.pack("<Q", double)),
            struct.unpack("<f", struct.pack("<I", single)),
        )
        rows.append((x, f, repr(x), *row(0)[3:]))
    lenient = [
        Cast(X, FLOAT, strict=False),
        Cast(S, FLOAT, strict=False),
        Cast(S, DOUBLE, strict=False),
    ]
    shown = [Cast(X, STRING, strict=True), Cast(F, STRING, strict=True)]
    exact = [
        Cast(v, kind, strict=False) for v in (X, F) for kind in (decimal(38, 10), decimal(12, 12))
    ]
    agree([*shown, *lenient, *exact], rows)


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        (Cast(X, FLOAT, strict=True), {"x": 1e39}),
        (Cast(X, decimal(3, 1), strict=True), {"x": 99.95}),
        (Cast(X, decimal(3, 1), strict=True), {"x": math.nan}),
        (Cast(F, decimal(3, 1), strict=True), {"f": math.inf}),
        (Cast(S, DOUBLE, strict=True), {"s": "1d"}),
        (Cast(S, FLOAT, strict=True), {"s": ""}),
    ],
)
def test_what_does_not_fit_fails_the_job(expression, values):
    given_row = tuple(values.get(c.name) for c in KINDS.columns)
    made = Job(t=Source(KINDS, [given_row, tuple(None for _ in KINDS.columns)], bound=0))
    node = made.add(Project(made.scan("t"), (NamedExpression("r", expression),)))
    checked, sources = obliviously(made.plan(out=node), made)
    with pytest.raises(EngineError, match="cannot be converted"):
        run_obliviously(checked, sources)
