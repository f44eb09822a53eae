"""Exponentials, logarithms and powers: the nearest double, on every instruction set."""

import math
from decimal import Context, Decimal

import duckdb
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.kernels import ISAS
from tests.support.secrets import secret, values

from mc2 import _native
from mc2.operators import curves
from mc2.operators.handles import Layout
from mc2.operators.run import Run
from mc2.plan.types import DOUBLE

EXACT = Context(prec=60, Emin=-10_000, Emax=10_000)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
ABOVE = st.floats(min_value=5e-324, allow_nan=False, allow_infinity=False)
AWKWARD = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5,
           2.0**53, 2.0**53 + 2, -(2.0**53) + 1, 1e300, -1e300, 5e-324, 1 - 2**-53, 1 + 2**-52]  # fmt: skip


def column(numbers):
    return secret(Layout(DOUBLE), numbers)


def nearest(value):
    """The double nearest to a decimal of many digits: reading rounds correctly."""
    return float(value)


def compute(what, numbers):
    return values(curves.curve(Run(), what, column(numbers)))


@settings(max_examples=200)
@given(st.floats(-745, 709.7))
@example(2**-60)
@example(-745.0)
@example(709.782712893384)
def test_exponentials(x):
    assert compute("exp", [x]) == [nearest(EXACT.exp(Decimal(x)))]


@settings(max_examples=200)
@given(ABOVE | st.floats(0.5, 2))
@example(1 - 2**-53)
@example(1 + 2**-52)
@example(8.0)
@example(1000.0)
def test_logarithms(x):
    natural = EXACT.ln(Decimal(x))
    assert compute("ln", [x]) == [nearest(natural)]
    assert compute("log10", [x]) == [nearest(EXACT.log10(Decimal(x)))]
    assert compute("log2", [x]) == [nearest(EXACT.divide(natural, EXACT.ln(Decimal(2))))]


def test_exact_powers_of_two_and_ten_have_whole_logarithms():
    assert compute("log2", [2.0**n for n in range(-1074, 1024, 7)]) == list(range(-1074, 1024, 7))
    assert compute("log10", [10.0**n for n in range(23)]) == list(range(23))


def powered(a, b):
    return values(curves.curve_of_two(Run(), "power", column([a]), column([b])))[0]


@settings(max_examples=200)
@given(ABOVE | st.floats(0.9, 1.1), NUMBERS | st.floats(-60, 60))
@example(1 + 2**-52, 2.0**62)
@example(1 - 2**-53, -(2.0**63))
def test_powers(a, b):
    exponent = EXACT.multiply(EXACT.ln(Decimal(a)), Decimal(b))
    if abs(exponent) < 740:
        assert powered(a, b) == nearest(EXACT.exp(exponent))
    else:
        assert powered(a, b) in {0.0, math.inf} or abs(exponent) < 746


@pytest.mark.parametrize("a", AWKWARD)
def test_special_cases_are_those_of_the_other_engine(a):
    with duckdb.connect() as database:
        for b in AWKWARD:
            row = database.execute("SELECT pow(?::DOUBLE, ?::DOUBLE)", [a, b]).fetchall()
            found, wanted = powered(a, b), row[0][0]
            # libm's last place may be another one: ours is the nearest
            assert repr(found) == repr(wanted) or math.isclose(found, wanted, rel_tol=2.0**-52)


def test_logarithms_at_zero_and_below_are_null():
    for what in ("ln", "log2", "log10"):
        assert compute(what, [0.0, -0.0, -1.0, -math.inf, None]) == [None] * 5
        assert repr(compute(what, [math.inf, math.nan])) == "[inf, nan]"
    assert repr(compute("exp", [math.inf, -math.inf, math.nan])) == "[inf, 0.0, nan]"


@pytest.mark.skipif(len(ISAS) < 2, reason="one instruction set here")
def test_every_instruction_set_gives_the_same_bits():
    words = np.random.default_rng(3).integers(0, 2**64, 400, dtype=np.uint64)
    other, before = words[::-1].copy(), _native.isa()
    found = []
    try:
        for isa in ISAS:
            _native.use_isa(isa)
            outs = []
            for kernel, count in ((_native.curve, len(curves.CURVES)), (_native.angle, 6)):
                for what in range(count):
                    outs.append(np.empty_like(words))
                    kernel(what, words, outs[-1])
            for what in range(len(curves.OF_TWO)):
                outs.append(np.empty_like(words))
                _native.curve_of_two(what, words, other, outs[-1])
            outs.append(np.empty_like(words))
            _native.angle_of_point(words, other, outs[-1])
            found.append(outs)
    finally:
        _native.use_isa(before)
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))
