"""The kernels for numbers against Python's own integers, decimals and floats."""

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2 import _native

OVERFLOW, DIVISION_BY_ZERO, BAD_CAST = 1, 2, 16
LOW, HIGH = -(2**63), 2**63 - 1
INTEGERS = st.one_of(
    st.integers(LOW, HIGH), st.integers(-5, 5), st.sampled_from([LOW, LOW + 1, HIGH])
)
WIDE_EDGE = 10**38 - 1
WIDE = st.one_of(
    st.integers(-WIDE_EDGE, WIDE_EDGE), st.integers(-5, 5), st.integers(LOW, HIGH),
    st.sampled_from([WIDE_EDGE, -WIDE_EDGE]),
)  # fmt: skip
DOUBLES = st.one_of(
    st.floats(), st.sampled_from([0.0, -0.0, math.nan, -math.nan, math.inf, -math.inf, 5e-324])
)


@pytest.fixture(params=[i for i in ("portable", "avx2") if _native.isa_supported(i)], autouse=True)
def isa(request):
    before = _native.isa()
    _native.use_isa(request.param)
    yield request.param
    _native.use_isa(before)


def words(values):
    return np.array([v % 2**64 for v in values], dtype=np.uint64)


def signed(array):
    return array.view(np.int64).tolist()


def pairs(values):
    low, high = [v % 2**64 for v in values], [(v >> 64) % 2**64 for v in values]
    return np.array([low, high], dtype=np.uint64).T.copy()


def unpaired(array):
    found = []
    for low, high in array.tolist():
        value = (high << 64) | low
        found.append(value - 2**128 if value >> 127 else value)
    return found


def bits(values):
    return np.array(values, dtype=np.float64).view(np.uint64)


def marks(rows, value=1):
    return np.full(rows, value, dtype=np.uint8)


def cut(a, b):
    """The quotient cut towards zero, and the remainder with the dividend's sign."""
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return quotient, a - quotient * b


def half_away(value):
    """The nearest integer, halves away from zero."""
    floor = math.floor(abs(value) + Fraction(1, 2))
    return floor if value >= 0 else -floor


def run(kernel, *arguments, out):
    flags = np.zeros(1, dtype=np.uint64)
    kernel(*arguments, out, flags)
    return int(flags[0])


@given(st.lists(st.tuples(INTEGERS, INTEGERS), min_size=1, max_size=9), st.integers(0, 4))
def test_whole_numbers(rows, what):
    a, b = words(r[0] for r in rows), words(r[1] for r in rows)
    out = np.empty(len(rows), dtype=np.uint64)
    flags = run(_native.integers, what, a, b, marks(len(rows)), out=out)
    expected, raised = [], 0
    for x, y in rows:
        if what >= 3 and y == 0:
            raised |= DIVISION_BY_ZERO
            expected.append(None)
            continue
        exact = [x + y, x - y, x * y, *(cut(x, y) if what >= 3 else (0, 0))][what]
        raised |= 0 if LOW <= exact <= HIGH else OVERFLOW
        expected.append(exact if LOW <= exact <= HIGH else None)
    assert flags == raised
    for found, exact in zip(signed(out), expected, strict=True):
        assert exact is None or found == exact


def test_errors_of_rows_that_do_not_count_are_none():
    out = np.empty(1, dtype=np.uint64)
    for what, b in ((0, HIGH), (2, HIGH), (3, 0), (4, 0)):
        assert run(_native.integers, what, words([HIGH]), words([b]), marks(1, 0), out=out) == 0


@given(st.lists(INTEGERS, min_size=1, max_size=9), INTEGERS, INTEGERS)
def test_ranges(values, low, high):
    flags = np.zeros(1, dtype=np.uint64)
    _native.check_range(words(values), low, high, marks(len(values)), 16, flags)
    assert int(flags[0]) == (16 if any(not low <= v <= high for v in values) else 0)


@given(st.lists(st.tuples(DOUBLES, DOUBLES), min_size=1, max_size=9), st.integers(0, 3))
def test_doubles_are_those_of_ieee_754(rows, what):
    a, b = bits([r[0] for r in rows]), bits([r[1] for r in rows])
    out = np.empty(len(rows), dtype=np.uint64)
    flags = run(_native.doubles, what, a, b, marks(len(rows)), out=out)
    x, y = a.view(np.float64), b.view(np.float64)
    with np.errstate(all="ignore"):
        expected = [x + y, x - y, x * y, x / y][what]
    np.testing.assert_array_equal(out.view(np.float64), expected)
    assert flags == (DIVISION_BY_ZERO if what == 3 and (y == 0).any() else 0)


def place(value):
    """SQL's order of doubles: NaN is one value, and the greatest; both zeros are one."""
    return (1, 0.0) if math.isnan(value) else (0, value + 0.0)


@given(st.lists(st.tuples(DOUBLES, DOUBLES), min_size=1, max_size=9))
def test_comparisons_of_doubles_are_those_of_sql(rows):
    a, b = bits([r[0] for r in rows]), bits([r[1] for r in rows])
    out = np.empty(len(rows), dtype=np.uint8)
    tests = (lambda x, y: x == y, lambda x, y: x < y, lambda x, y: x <= y)
    for what, test in enumerate(tests):
        _native.compare(what, True, a, b, out)
        assert out.tolist() == [int(test(place(x), place(y))) for x, y in rows]


@given(st.lists(DOUBLES, min_size=1, max_size=9))
def test_doubles_as_keys_and_back(values):
    keys, back = np.empty(len(values), dtype=np.uint64), np.empty(len(values), dtype=np.uint64)
    _native.order_doubles(bits(values), keys)
    assert sorted(range(len(values)), key=lambda i: int(keys[i])) == sorted(
        range(len(values)), key=lambda i: place(values[i])
    )
    _native.restore_doubles(keys, back)
    for value, found in zip(values, back.view(np.float64).tolist(), strict=True):
        assert struct.pack("d", found) == struct.pack("d", value + 0.0) or math.isnan(value)
        assert math.isnan(found) == math.isnan(value)


@given(st.lists(st.tuples(INTEGERS, INTEGERS), min_size=1, max_size=9))
def test_comparisons_of_integers(rows):
    out = np.empty(len(rows), dtype=np.uint8)
    a, b = words(r[0] for r in rows), words(r[1] for r in rows)
    for what, test in enumerate((lambda x, y: x == y, lambda x, y: x < y, lambda x, y: x <= y)):
        _native.compare(what, False, a, b, out)
        assert out.tolist() == [int(test(x, y)) for x, y in rows]


@given(st.lists(st.tuples(WIDE, WIDE), min_size=1, max_size=9))
def test_comparisons_of_wide_numbers(rows):
    out = np.empty(len(rows), dtype=np.uint8)
    a, b = pairs([r[0] for r in rows]), pairs([r[1] for r in rows])
    for what, test in enumerate((lambda x, y: x == y, lambda x, y: x < y, lambda x, y: x <= y)):
        _native.compare_wide(what, a, b, out)
        assert out.tolist() == [int(test(x, y)) for x, y in rows]


@given(st.lists(INTEGERS, min_size=1, max_size=9), st.lists(WIDE, min_size=1, max_size=9))
def test_widening_and_narrowing(small, large):
    wide = np.empty((len(small), 2), dtype=np.uint64)
    _native.widen(words(small), wide)
    assert unpaired(wide) == small
    out = np.empty(len(large), dtype=np.uint64)
    flags = run(_native.narrow, pairs(large), marks(len(large)), out=out)
    assert flags == (0 if all(LOW <= v <= HIGH for v in large) else OVERFLOW)
    for value, found in zip(large, signed(out), strict=True):
        assert found == value or not LOW <= value <= HIGH


def check_decimals(rows, out, flags, exact, precision):
    """Compare with exact fractions; a row that does not fit raises overflow and says nothing."""
    raised = 0
    for (x, y), found in zip(rows, unpaired(out), strict=True):
        if exact(x, y) is None:
            raised |= DIVISION_BY_ZERO
            continue
        expected = half_away(exact(x, y))
        if abs(expected) < 10**precision:
            assert found == expected
        else:
            raised |= OVERFLOW
    assert flags == raised


WIDE_ROWS = st.lists(st.tuples(WIDE, WIDE), min_size=1, max_size=5)


@given(WIDE_ROWS, st.integers(1, 38), st.booleans())
def test_decimal_sums(rows, precision, subtract):
    a, b = pairs([r[0] for r in rows]), pairs([r[1] for r in rows])
    out, n = np.empty_like(a), marks(len(rows))
    flags = run(_native.add_wide, a, b, subtract, precision, n, out=out)
    exact = (lambda x, y: Fraction(x - y)) if subtract else (lambda x, y: Fraction(x + y))
    check_decimals(rows, out, flags, exact, precision)


@given(WIDE_ROWS, st.integers(0, 38), st.integers(1, 38))
def test_decimal_products(rows, drop, precision):
    a, b = pairs([r[0] for r in rows]), pairs([r[1] for r in rows])
    out, n = np.empty_like(a), marks(len(rows))
    flags = run(_native.multiply_wide, a, b, drop, precision, n, out=out)
    check_decimals(rows, out, flags, lambda x, y: Fraction(x * y, 10**drop), precision)


@given(WIDE_ROWS, st.integers(0, 38), st.integers(1, 38))
def test_decimal_quotients(rows, up, precision):
    a, b = pairs([r[0] for r in rows]), pairs([r[1] for r in rows])
    out, n = np.empty_like(a), marks(len(rows))
    flags = run(_native.divide_wide, a, b, up, precision, n, out=out)
    exact = lambda x, y: Fraction(x * 10**up, y) if y else None  # noqa: E731 - one of four alike
    check_decimals(rows, out, flags, exact, precision)


@given(WIDE_ROWS)
def test_decimal_remainders(rows):
    a, b = pairs([r[0] for r in rows]), pairs([r[1] for r in rows])
    out, n = np.empty_like(a), marks(len(rows))
    flags = run(_native.remainder_wide, a, b, n, out=out)
    exact = lambda x, y: Fraction(cut(x, y)[1]) if y else None  # noqa: E731 - one of four alike
    check_decimals(rows, out, flags, exact, 38)


@given(st.lists(INTEGERS, min_size=1, max_size=9), st.lists(DOUBLES, min_size=1, max_size=9))
def test_integers_to_doubles_and_back(integers, doubles):
    out = np.empty(len(integers), dtype=np.uint64)
    _native.integer_to_double(words(integers), out)
    assert out.view(np.float64).tolist() == [float(v) for v in integers]
    out = np.empty(len(doubles), dtype=np.uint64)
    flags = run(_native.double_to_integer, bits(doubles), marks(len(doubles)), out=out)
    fits = [math.isfinite(v) and LOW <= math.trunc(v) <= HIGH for v in doubles]
    assert flags == (0 if all(fits) else BAD_CAST)
    for value, fit, found in zip(doubles, fits, signed(out), strict=True):
        assert not fit or found == math.trunc(value)


@given(st.lists(DOUBLES, min_size=1, max_size=9))
def test_square_roots_are_those_of_the_processor(values):
    given, out = np.array(values), np.empty(len(values), dtype=np.uint64)
    _native.square_roots(given.view(np.uint64), out)
    with np.errstate(all="ignore"):
        assert out.tolist() == np.sqrt(given).view(np.uint64).tolist()


@given(st.lists(DOUBLES | st.integers(-99, 99).map(lambda n: n / 2), min_size=1, max_size=9))
def test_doubles_are_rounded_to_whole_ones(values):
    out = np.empty(len(values), dtype=np.uint64)
    _native.round_doubles(True, bits(values), out)
    even = out.view(np.float64).copy()
    _native.round_doubles(False, bits(values), out)
    for value, found, away in zip(values, even, out.view(np.float64), strict=True):
        if not math.isfinite(value):
            assert repr(float(found)) == repr(float(away)) == repr(value)
            continue
        assert repr(float(found)) == repr(float(np.rint(value)))
        size = math.floor(Fraction(abs(value)) + Fraction(1, 2))
        assert repr(float(away)) == repr(math.copysign(size, value))


def wrapped(value, width):
    value %= 2**width
    return value - 2**width if value >> (width - 1) else value


BITS = [
    lambda x, y, w: x & y,
    lambda x, y, w: x | y,
    lambda x, y, w: x ^ y,
    lambda x, y, w: wrapped(x << y % w, w),
    lambda x, y, w: x >> y % w,
    lambda x, y, w: wrapped(x % 2**w >> y % w, w),
    lambda x, y, w: (x % 2**64).bit_count(),
]


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("what", range(len(BITS)))
@given(rows=st.lists(st.tuples(INTEGERS, INTEGERS), min_size=1, max_size=9))
def test_bits(what, width, rows):
    rows = [(wrapped(x, width), y) for x, y in rows]
    out = np.empty(len(rows), dtype=np.uint64)
    _native.bits(what, width, words([x for x, _ in rows]), words([y for _, y in rows]), out)
    assert signed(out) == [BITS[what](x, y, width) for x, y in rows]


def test_shapes_are_checked():
    one, two = words([1]), words([1, 2])
    flags = np.zeros(1, dtype=np.uint64)
    with pytest.raises(ValueError, match="one length"):
        _native.integers(0, one, two, marks(1), one.copy(), flags)
    with pytest.raises(ValueError, match="no such operation"):
        _native.integers(5, one, one, marks(1), one.copy(), flags)
    with pytest.raises(ValueError, match="two words"):
        _native.widen(one, np.empty((1, 3), dtype=np.uint64))
    with pytest.raises(ValueError, match="one word"):
        _native.integers(0, one, one, marks(1), one.copy(), two)
    with pytest.raises(ValueError, match="38 digits"):
        _native.multiply_wide(pairs([1]), pairs([1]), 0, 39, marks(1), pairs([0]), flags)
    with pytest.raises(ValueError, match="no such operation"):
        _native.bits(7, 64, one, one, one.copy())
    with pytest.raises(ValueError, match="64 or 32 bits"):
        _native.bits(0, 16, one, one, one.copy())
