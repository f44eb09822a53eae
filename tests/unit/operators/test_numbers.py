"""Arithmetic and casts of columns against Python's integers, fractions and floats."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.support.secrets import everywhere, secret, values

from mc2.errors import EngineError
from mc2.formats.schema import DataType, decimal
from mc2.operators.arithmetic import Operation, compute, negative
from mc2.operators.conversions import cast
from mc2.operators.handles import Layout
from mc2.operators.run import Run
from mc2.plan.types import DOUBLE, INT16, INT64, integer_range

PAIRS = st.tuples(*[st.none() | st.integers(-40_000, 40_000) | st.integers(-3, 3)] * 2)


def cut(x, y):
    quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    return quotient, x - quotient * y


EXACT = {
    Operation.ADD: lambda x, y: x + y,
    Operation.SUBTRACT: lambda x, y: x - y,
    Operation.MULTIPLY: lambda x, y: x * y,
    Operation.DIVIDE: lambda x, y: cut(x, y)[0],
    Operation.REMAINDER: lambda x, y: cut(x, y)[1],
}


def outcome(run, column):
    """The values, or the error."""
    try:
        run.finish()
    except EngineError as error:
        return str(error)
    return values(column)


@pytest.mark.parametrize("kind", [INT16, INT64], ids=str)
@pytest.mark.parametrize("what", list(Operation))
@given(rows=st.lists(PAIRS, min_size=1, max_size=5))
def test_whole_numbers(kind, what, rows):
    low, high = integer_range(kind)
    assume(all(v is None or low <= v <= high for r in rows for v in r))
    run = Run()
    a, b = (secret(Layout(kind), [r[i] for r in rows]) for i in (0, 1))
    found = outcome(run, compute(run, what, a, b, kind, everywhere(a)))
    zero = what >= Operation.DIVIDE and any(x is not None and y == 0 for x, y in rows)
    exact = [
        None if None in r or (what >= Operation.DIVIDE and r[1] == 0) else EXACT[what](*r)
        for r in rows
    ]
    beyond = any(v is not None and not low <= v <= high for v in exact)
    if zero or beyond:
        assert isinstance(found, str)
        assert ("division by zero" in found) == zero
        assert ("fit its type" in found) == beyond
    else:
        assert found == exact


def half_away(value):
    floor = math.floor(abs(value) + Fraction(1, 2))
    return floor if value >= 0 else -floor


TYPES = [decimal(9, 2), decimal(18, 0), decimal(18, 6), decimal(20, 4), decimal(30, 10)]
RESULTS = [decimal(18, 2), decimal(19, 0), decimal(38, 6), decimal(38, 12)]


@given(st.data(), st.sampled_from(TYPES), st.sampled_from(TYPES), st.sampled_from(RESULTS))
def test_decimals_are_exact_and_rounded_once(data, left, right, kind):
    assume(left.scale + right.scale >= kind.scale)
    what = data.draw(st.sampled_from(list(Operation)))
    assume(what is not Operation.DIVIDE or kind.scale + right.scale >= left.scale)
    drawn = [
        st.none() | st.integers(-(10**t.precision) + 1, 10**t.precision - 1) | st.integers(-9, 9)
        for t in (left, right)
    ]
    x, y = data.draw(st.tuples(*drawn))
    run = Run()
    a, b = secret(Layout(left), [x]), secret(Layout(right), [y])
    found = outcome(run, compute(run, what, a, b, kind, everywhere(a)))
    if x is None or y is None:
        assert found == [None]
        return
    p, q = Fraction(x, 10**left.scale), Fraction(y, 10**right.scale)
    if y == 0 and what >= Operation.DIVIDE:
        assert "division by zero" in found
        return
    if what is Operation.DIVIDE:
        exact = p / q
    elif what is Operation.REMAINDER:
        quotient = abs(p) // abs(q) * (1 if (p < 0) == (q < 0) else -1)
        exact = p - quotient * q
    else:
        exact = EXACT[what](p, q)
    expected = half_away(exact * 10**kind.scale)
    if abs(expected) < 10**kind.precision:
        assert found == [expected]
    else:
        assert "fit its type" in found


def test_scales_that_are_too_far_apart_are_refused():
    a, b = secret(Layout(decimal(38, 0)), [1]), secret(Layout(decimal(38, 10)), [1])
    with pytest.raises(EngineError, match="to one scale"):
        compute(Run(), Operation.ADD, a, b, decimal(38, 6), everywhere(a))


@given(st.lists(st.tuples(st.floats(), st.floats()), min_size=1, max_size=5))
def test_doubles(rows):
    run = Run()
    a, b = (secret(Layout(DOUBLE), [r[i] for r in rows]) for i in (0, 1))
    found = outcome(run, compute(run, Operation.MULTIPLY, a, b, DOUBLE, everywhere(a)))
    for got, (x, y) in zip(found, rows, strict=True):
        assert got == x * y or (math.isnan(got) and math.isnan(x * y))
    (lost,) = values(
        negative(run, secret(Layout(DOUBLE), [0.0]), everywhere(secret(Layout(DOUBLE), [0.0])))
    )
    assert math.copysign(1, lost) == -1


def test_rows_that_do_not_count_raise_nothing():
    a, b = secret(Layout(INT64), [1, 2]), secret(Layout(INT64), [0, 2])
    counts = everywhere(a)
    counts[0] = 0
    run = Run()
    assert outcome(run, compute(run, Operation.DIVIDE, a, b, INT64, counts))[1] == 1


CASTS = [
    (INT64, INT16, lambda v: v),
    (INT64, decimal(6, 2), lambda v: v * 100),
    (INT64, DOUBLE, float),
    (INT16, INT64, lambda v: v),
    (decimal(12, 3), INT64, lambda v: cut(v, 1000)[0]),
    (decimal(30, 3), decimal(18, 1), lambda v: half_away(Fraction(v, 100))),
    (decimal(9, 1), decimal(38, 5), lambda v: v * 10**4),
    (decimal(20, 2), decimal(5, 2), lambda v: v),
    (DataType("boolean"), INT64, lambda v: v),
    (DataType("date"), DataType("timestamp"), lambda v: v * 86_400_000_000),
    (DataType("timestamp"), DataType("date"), lambda v: v // 86_400_000_000),
    (DataType("timestamp"), DataType("timestamp_utc"), lambda v: v),
]


def bounds(kind):
    if kind.name == "decimal":
        return -(10**kind.precision) + 1, 10**kind.precision - 1
    if kind.name == "boolean":
        return 0, 1
    return integer_range(kind) if kind.name.startswith("int") else (-(2**64), 2**64)


@pytest.mark.parametrize(("source", "target", "rule"), CASTS, ids=lambda x: str(x)[:20])
@given(data=st.data())
def test_casts(source, target, rule, data):
    moment = source.name in {"date", "timestamp"}
    low, high = (-(10**5), 10**5) if moment else bounds(source)
    value = data.draw(
        st.none() | st.integers(low, high) | st.integers(max(low, -999), min(high, 999))
    )
    run = Run()
    a = secret(Layout(source), [value])
    found = outcome(run, cast(run, a, target, everywhere(a)))
    expected = None if value is None else rule(value)
    if expected is None or bounds(target)[0] <= expected <= bounds(target)[1]:
        assert found == [expected]
    else:
        assert isinstance(found, str)


def test_doubles_to_integers():
    run = Run()
    a = secret(Layout(DOUBLE), [1.9, -1.9, None])
    assert outcome(run, cast(run, a, INT64, everywhere(a))) == [1, -1, None]
    a = secret(Layout(DOUBLE), [math.nan])
    assert "converted" in outcome(run, cast(run, a, INT64, everywhere(a)))


@pytest.mark.parametrize("target", [DataType("string"), DataType("date")], ids=str)
def test_casts_that_are_not_there_say_so(target):
    a = secret(Layout(INT64), [1])
    with pytest.raises(EngineError, match="no cast"):
        cast(Run(), a, target, everywhere(a))
