import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.engine.routines import (
    FLOAT_AGGREGATES,
    decimal_routine,
    deviation,
    exact_sum,
    mean,
    squared_deviations,
    variance,
)
from mc2.formats.schema import parse_type

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(FINITE, max_size=20))
def test_sums_are_exact_in_every_order(numbers):
    total = sum(map(Fraction, numbers), Fraction(0))
    try:
        expected = float(total)
    except OverflowError:
        expected = math.inf if total > 0 else -math.inf
    for order in (numbers, numbers[::-1], sorted(numbers)):
        assert exact_sum(np.array(order, dtype=float)) == expected


def test_many_values():
    numbers = np.tile([1e16, 1.0, -1e16], 50_000)
    assert exact_sum(numbers) == 50_000.0


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([math.inf, 1.0], math.inf), ([-math.inf], -math.inf), ([math.inf, -math.inf], math.nan),
     ([math.nan], math.nan), ([1.7e308, 1.7e308], math.inf), ([-1.7e308, -1.7e308], -math.inf),
     ([1.7e308, 1.7e308, -math.inf], -math.inf), ([1.7e308, 1.7e308, math.nan], math.nan),
     ([1.7e308, 1.7e308, math.inf, -math.inf], math.nan)],
)  # fmt: skip
def test_sums_beyond_the_doubles(numbers, expected):
    found = exact_sum(np.array(numbers))
    assert found == expected or (math.isnan(found) and math.isnan(expected))


def test_spread():
    numbers = np.array([1.0, 2.0, 4.0])
    assert mean(numbers) == 7 / 3
    assert squared_deviations(numbers) == pytest.approx(14 / 3)
    assert variance(numbers, sample=True) == pytest.approx(7 / 3)
    assert deviation(numbers, sample=False) == pytest.approx(math.sqrt(14 / 9))
    assert variance(numbers[:1], sample=True) is None
    assert deviation(numbers[:1], sample=True) is None
    assert variance(numbers[:1], sample=False) == 0
    assert math.isnan(squared_deviations(np.array([1.0, math.inf])))
    assert squared_deviations(np.array([1e308, -1e308])) == math.inf


def test_lists_may_be_empty_null_or_slices():
    lists = pa.array([[9.0], [1.0, 2.0], None, [], [3.0]], pa.list_(pa.float64())).slice(1)
    assert FLOAT_AGGREGATES["sum"].compute(lists).to_pylist() == [3.0, None, None, 3.0]
    assert FLOAT_AGGREGATES["sum"].compute(pa.chunked_array([lists])).to_pylist()[0] == 3.0


ALONE = {
    "sum": exact_sum,
    "avg": mean,
    "var_samp": lambda v: variance(v, sample=True),
    "var_pop": lambda v: variance(v, sample=False),
    "stddev_samp": lambda v: deviation(v, sample=True),
    "stddev_pop": lambda v: deviation(v, sample=False),
}
SOME = st.one_of(FINITE, st.sampled_from([0.0, 1.0, 1e308, -1e308]))


@pytest.mark.parametrize("name", ALONE)
@given(
    st.lists(
        st.none() | st.lists(st.one_of(SOME, st.sampled_from([math.nan, math.inf])), max_size=5),
        max_size=6,
    )
    | st.lists(st.none() | st.lists(SOME, max_size=5), max_size=6)
)
def test_many_lists_give_the_bits_of_each_alone(name, lists):
    found = FLOAT_AGGREGATES[name].compute(pa.array(lists, pa.list_(pa.float64()))).to_pylist()
    for values, value in zip(lists, found, strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            expected = ALONE[name](np.array(values)) if values else None
        assert repr(value) == repr(expected if expected is None else float(expected))


def decimal(function, a, b, *kinds):
    types = [parse_type(f"decimal({k})") for k in kinds]
    routine = decimal_routine(function, *types)
    assert routine.name.startswith(f"mc2_{function}_")
    arrays = [pa.array([None if v is None else Decimal(v)], pa.decimal128(t.precision, t.scale))
              for v, t in zip((a, b), types, strict=False)]  # fmt: skip
    return routine.compute(*arrays).to_pylist()[0]


def test_decimals():
    big = "9" * 38
    assert decimal("add", big, "-" + big, "38,0", "38,0", "38,0") == 0
    assert decimal("multiply", "2.5", "0.2", "38,10", "38,10", "38,0") == 1
    assert decimal("multiply", "0.5", "-1", "38,10", "38,10", "38,0") == -1
    assert decimal("divide", "1", "3", "38,0", "38,0", "38,6") == Decimal("0.333333")
    assert decimal("divide", "-2", "3", "38,0", "38,0", "38,6") == Decimal("-0.666667")
    assert decimal("remainder", "-7", "0.3", "38,0", "38,38", "38,38") == Decimal("-0.1")
    assert decimal("subtract", None, "1", "38,0", "38,0", "38,0") is None


def test_decimal_failures():
    big = "9" * 38
    with pytest.raises(ValueError, match="mc2:range"):
        decimal("add", big, "1", "38,0", "38,0", "38,0")
    for function in ("divide", "remainder"):
        with pytest.raises(ValueError, match="mc2:zero"):
            decimal(function, "1", "0", "38,0", "38,0", "38,6")
