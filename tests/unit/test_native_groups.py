"""The kernels for groups against Python's exact numbers."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2 import _native

MARKS = st.integers(0, 1)
DOUBLES = st.one_of(
    st.floats(),
    st.floats(-1e6, 1e6),
    st.sampled_from(
        [5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, -0.1, 2.0**53, 1.0]
    ),
)


@pytest.fixture(params=[i for i in ("portable", "avx2") if _native.isa_supported(i)], autouse=True)
def isa(request):
    before = _native.isa()
    _native.use_isa(request.param)
    yield request.param
    _native.use_isa(before)


def marks(values):
    return np.array(values, dtype=np.uint8)


@given(st.lists(st.tuples(*[MARKS] * 5), max_size=30))
def test_bits(rows):
    columns = [marks([r[k] for r in rows]) for k in range(5)]
    out = np.empty(len(rows), dtype=np.uint64)
    _native.gather_bits(columns, out)
    assert out.tolist() == [sum(b << k for k, b in enumerate(r)) for r in rows]
    back = np.empty(len(rows), dtype=np.uint8)
    for k in range(5):
        _native.spread_bit(out, k, back)
        assert back.tolist() == columns[k].tolist()


ROW = st.tuples(*[st.sampled_from([0, 1, 2**63, 2**64 - 1])] * 2)


@given(st.lists(st.tuples(MARKS, MARKS, ROW), max_size=20), st.booleans())
def test_extremes_of_rows(rows, greatest):
    flips = [2**63, 0]
    values = np.array([r[2] for r in rows], dtype=np.uint64).reshape(-1, 2)
    out = np.empty_like(values)
    starts, keep = marks([r[0] for r in rows]), marks([r[1] for r in rows])
    _native.extreme_rows(starts, keep, values, flips, greatest, out)
    best, expected = None, []
    for start, kept, row in rows:
        if start:
            best = None
        place = (row[0] ^ flips[0], row[1])
        if kept and (best is None or (place > best[0] if greatest else place < best[0])):
            best = (place, row)
        expected.append([0, 0] if best is None else list(best[1]))
    assert out.tolist() == expected


def exact(values):
    """IEEE 754's sum in any order, rounded once."""
    if any(math.isnan(v) for v in values) or {math.inf, -math.inf} <= set(values):
        return math.nan
    infinite = [v for v in values if math.isinf(v)]
    if infinite:
        return infinite[0]
    total = sum(map(Fraction, values), Fraction(0))
    try:
        return float(total)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 0, 0, 1]), st.sampled_from([0, 1, 1]), DOUBLES), max_size=20
    )
)
def test_sums_of_doubles_are_exact(rows):
    values = np.array([r[2] for r in rows], dtype=np.float64)
    starts, keep = marks([r[0] for r in rows]), marks([r[1] for r in rows])
    out = np.empty(len(rows), dtype=np.uint64)
    _native.exact_sum(starts, keep, values.view(np.uint64), out)
    group = []
    for (start, kept, value), found in zip(rows, out.view(np.float64).tolist(), strict=True):
        group = [] if start else group
        group += [value] if kept else []
        expected = exact(group)
        assert found == expected or (math.isnan(found) and math.isnan(expected))


def test_halves_go_to_even_and_anything_more_goes_up():
    cases = {
        (2.0**53, 1.0): 2.0**53,
        (2.0**53, 1.0, 5e-324): 2.0**53 + 2,
        (2.0**53 + 2, 1.0): 2.0**53 + 4,
        (1e308, 1e308): math.inf,
        (1e308, 1e308, -1e308): 1e308,
        (5e-324, 5e-324): 1e-323,
        (2.225073858507201e-308, 5e-324): 2.2250738585072014e-308,
        (1.0, 1e100, 1.0, -1e100): 2.0,
    }
    for values, expected in cases.items():
        n = len(values)
        out = np.empty(n, dtype=np.uint64)
        for order in (values, values[::-1]):
            array = np.array(order, dtype=np.float64).view(np.uint64)
            _native.exact_sum(marks([1] + [0] * (n - 1)), marks([1] * n), array, out)
            assert out.view(np.float64)[-1] == expected
