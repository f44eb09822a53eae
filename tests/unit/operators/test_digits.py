"""Doubles and floats as decimal digits: the exact answers, on every instruction set."""

import math
import re
import struct
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.kernels import ISAS

from mc2 import _native
from mc2.engine.routines_casts import shown
from mc2.formats.schema import DataType

CONSTANTS = Path(__file__).parents[3] / "native/include/mc2/power_constants.hpp"
EXACT = Context(prec=1200, Emin=-10_000, Emax=10_000)
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|NaN|[+-]?Infinity")
BITS = st.integers(0, 2**64 - 1)
FEW_DIGITS = st.tuples(st.integers(-(10**17), 10**17), st.integers(-330, 308))


def double_of(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def bits_of(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def single_of(bits):
    return float(np.uint32(bits).view(np.float32))


def near(value):
    """A number and its neighbours in both directions."""
    bits = bits_of(value)
    return [double_of(b) for b in (bits - 1, bits, bits + 1) if 0 <= b < 2**64]


POWERS = [double_of((e << 52) + d) for e in range(2047) for d in (-1, 0, 1) if e or d >= 0]
TENS = [x for e in range(-324, 309) for m in (1, 3, 5) for x in near(float(f"{m}e{e}"))]
ODD = [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308, 9999999.5, 1e-3]
TIES = [2.0**50 + 0.25, 2.0**50 + 0.75, 2.0**-44, 1e23, 9007199254740993.0]
ALL = [*POWERS, *TENS, *ODD, *TIES, 123456789012345680.0, 0.1 + 0.2]


@pytest.fixture(params=ISAS)
def isa(request):
    before = _native.isa()
    _native.use_isa(request.param)
    yield
    _native.use_isa(before)


def words(numbers):
    return np.array(numbers, dtype=np.float64).view(np.uint64)


def spelled(numbers, *, narrow):
    out = np.empty((len(numbers), 3 if narrow else 4), dtype=np.uint64)
    _native.spell_double(words(numbers), narrow, out)
    found = []
    for row in out.tolist():
        raw = b"".join(struct.pack(">Q", word) for word in row[:-1])
        assert not raw[row[-1] :].strip(b"\0")
        found.append(raw[: row[-1]].decode())
    return found


def read(texts, *, narrow, width=0):
    raw = [t.encode() for t in texts]
    width = max(width, *(-(-len(t) // 8) for t in raw), 1)
    rows = [[*struct.unpack(f">{width}Q", t.ljust(8 * width, b"\0")), len(t)] for t in raw]
    out, good = np.empty(len(texts), dtype=np.uint64), np.empty(len(texts), dtype=np.uint8)
    _native.read_double(np.array(rows, dtype=np.uint64), narrow, out, good)
    return [b if g else None for b, g in zip(out.tolist(), good.tolist(), strict=True)]


def as_decimals(numbers, precision, scale):
    out = np.empty((len(numbers), 2), dtype=np.uint64)
    fits = np.empty(len(numbers), dtype=np.uint8)
    _native.double_to_decimal(words(numbers), scale, precision, out, fits)
    whole = [low | high << 64 for low, high in out.tolist()]
    signed = [w - (1 << 128 if w >> 127 else 0) for w in whole]
    return [w if f else None for w, f in zip(signed, fits.tolist(), strict=True)]


def expected_decimal(number, precision, scale):
    if not math.isfinite(number):
        return None
    found = int(EXACT.scaleb(Decimal(repr(number)), scale).to_integral_value(ROUND_HALF_UP))
    return found if abs(found) < 10**precision else None


def as_java_writes(numbers, name):
    """What encrypted mode writes: from Python's shortest texts, or numpy's of floats."""
    kind = pa.float32() if name == "float" else pa.float64()
    return shown(DataType(name), strict=True).compute(pa.array(numbers, kind)).to_pylist()


def rounded(value, bits, least):
    """An exact number above 0 as the nearest one of a binary format, the even one of two."""
    power = value.numerator.bit_length() - value.denominator.bit_length()
    power -= value < Fraction(2) ** power
    unit = Fraction(2) ** (max(power, least) - bits + 1)
    return unit * round(value / unit)


def expected_bits(text, *, narrow):
    if NUMBER.fullmatch(text) is None:
        return None
    if text.strip("+-") in {"NaN", "Infinity"} or not narrow:
        return bits_of(float(text))
    value = abs(float(text))
    if 1e-60 < value < 1e60:
        found = rounded(abs(Fraction(Decimal(text))), 24, -126)
        value = math.inf if found >= 2**128 else float(found)
    elif value:
        value = math.inf if value > 1 else 0.0
    return bits_of(math.copysign(value, -1.0 if text.startswith("-") else 1.0))


def test_powers_are_exact():
    """Every power of five of a double's decimals is the product of two of the constants."""
    text = CONSTANTS.read_text()
    coarse, fine = (
        [int(w, 16) for w in re.findall("0x[0-9a-f]+", text[text.index(name) :].split(";")[0])]
        for name in ("coarse_five", "fine_five")
    )
    steps = [sum(w << 64 * j for j, w in enumerate(coarse[3 * i : 3 * i + 3])) for i in range(26)]
    assert [len(coarse), len(fine)] == [78, 27]
    for power in range(-292, 325):
        index = power + 351
        product = steps[index // 27] * fine[index % 27]
        product <<= 256 - product.bit_length()
        first, rest = divmod(product, 2**128)
        exact = Fraction(5) ** power
        shift = 127 - (exact.numerator.bit_length() - exact.denominator.bit_length())
        scaled = exact * Fraction(2) ** shift
        scaled *= 2 if scaled < 2**127 else Fraction(1, 2) if scaled >= 2**128 else 1
        assert first == math.floor(scaled)
        assert bool(rest) == (scaled != first)


@pytest.mark.usefixtures("isa")
def test_awkward_numbers_are_spelled_shortest():
    signed = [*ALL, *(-x for x in ALL)]
    assert spelled(signed, narrow=False) == as_java_writes(signed, "double")
    singles = [single_of((e << 23) + d) for e in range(255) for d in (0, 1, 2**23 - 1)]
    singles += [math.inf, -math.inf, math.nan, 0.0, -0.0]
    assert spelled(singles, narrow=True) == as_java_writes(singles, "float")


@given(st.lists(BITS | FEW_DIGITS.map(lambda d: bits_of(float(f"{d[0]}e{d[1]}"))), min_size=1))
def test_any_number_is_spelled_shortest_and_read_again(patterns):
    numbers = [double_of(b) for b in patterns]
    texts = spelled(numbers, narrow=False)
    assert texts == as_java_writes(numbers, "double")
    again = read(texts, narrow=False)
    assert again == [bits_of(math.nan if math.isnan(x) else x) for x in numbers]


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1))
def test_any_float_is_spelled_shortest_and_read_again(patterns):
    numbers = [single_of(b) for b in patterns]
    texts = spelled(numbers, narrow=True)
    assert texts == as_java_writes(numbers, "float")
    assert read(texts, narrow=True) == [bits_of(math.nan if math.isnan(x) else x) for x in numbers]


@pytest.mark.parametrize(("precision", "scale"), [(1, 1), (9, 3), (18, 0), (38, 0), (38, 38)])
@pytest.mark.usefixtures("isa")
def test_awkward_numbers_as_decimals(precision, scale):
    numbers = [*ALL[::3], *(-x for x in ODD), 0.05, 0.5, 9.5, 0.285, 2.675, 1e37, -5e-39]
    expected = [expected_decimal(x, precision, scale) for x in numbers]
    assert as_decimals(numbers, precision, scale) == expected


@given(BITS | FEW_DIGITS.map(lambda d: bits_of(float(f"{d[0]}e{d[1]}"))), st.data())
def test_any_number_as_a_decimal(pattern, data):
    precision = data.draw(st.integers(1, 38))
    scale = data.draw(st.integers(0, precision))
    number = double_of(pattern)
    assert as_decimals([number], precision, scale) == [expected_decimal(number, precision, scale)]


@pytest.mark.usefixtures("isa")
def test_doubles_as_floats():
    halves = [single_of(b) for b in (0, 1, 2, 0x007FFFFF, 0x00800000, 0x3F800001, 0x7F7FFFFF)]
    numbers = [*ALL, *halves, *(y for x in halves for y in near(x + x * 2.0**-24 + 2.0**-150))]
    numbers += [-x for x in numbers]
    out, fits = np.empty(len(numbers), dtype=np.uint64), np.empty(len(numbers), dtype=np.uint8)
    _native.double_to_float(words(numbers), out, fits)
    with np.errstate(all="ignore"):
        singles = np.array(numbers).astype(np.float32)
    expected = np.isfinite(singles) | ~np.isfinite(numbers)
    assert (fits == expected).all()
    assert (out == singles.astype(np.float64).view(np.uint64))[expected].all()


@given(st.integers(-(10**38) + 1, 10**38 - 1), st.integers(0, 38))
@example(1, 38)
@example(2**125 + 2**101, 0)
@example((2**24 + 1) * 2**60, 0)
@example(10**38 - 1, 38)
def test_decimals_as_floats(number, scale):
    row = np.array([[number % 2**64, (number >> 64) % 2**64]], dtype=np.uint64)
    for narrow, form in ((True, (24, -126)), (False, (53, -1022))):
        out = np.empty(1, dtype=np.uint64)
        _native.decimal_to_double(row, scale, narrow, out)
        exact = Fraction(abs(number), 10**scale)
        found = float(rounded(exact, *form)) if number else 0.0
        assert out.tolist() == [bits_of(-found if number < 0 else found)]


def halfway(bits):
    """The number exactly between a double and the next one, as a text of all its digits."""
    here, above = Fraction(double_of(bits)), Fraction(double_of(bits + 1))
    middle = (here + above) / 2
    number = EXACT.divide(Decimal(middle.numerator), Decimal(middle.denominator))
    assert Fraction(number) == middle
    return number


@pytest.mark.parametrize("bits", [0, 1, 2, 2**52 - 1, 2**52, 2**60 + 1, 0x3FF0000000000000,
                                  0x4340000000000001, 0x7FEFFFFFFFFFFFFE])  # fmt: skip
def test_halfway_texts_go_to_the_even_number(bits):
    middle = halfway(bits)
    finer = Context(prec=len(middle.as_tuple().digits) + 1, Emin=-10_000, Emax=10_000)
    three = [finer.next_minus(middle), middle, finer.next_plus(middle)]
    wanted = [bits, bits + bits % 2, bits + 1]
    assert read([f"{x:E}" for x in three], narrow=False) == wanted
    plain = [f"{x:f}" for x in three]
    if max(map(len, plain)) <= 1016:
        assert read(plain, narrow=False, width=127) == wanted


@settings(max_examples=60)
@given(st.integers(0, 0x7FEFFFFFFFFFFFFE), st.integers(17, 60), st.booleans())
def test_texts_near_the_middle(bits, digits, up):
    context = Context(prec=digits, Emin=-10_000, Emax=10_000)
    cut = context.plus(halfway(bits))
    text = str(context.next_plus(cut) if up else cut)
    assert read([text], narrow=False) == [bits_of(float(text))]
    assert read([text], narrow=True) == [expected_bits(text, narrow=True)]


ODD_TEXTS = [
    "NaN", "Infinity", "+Infinity", "-Infinity", "-NaN", "nan", "inf", "", ".", "-", "+", "e5", "1e", "1e+", "1e+-5",
    ".e1", "1.", ".5", "+.5e-3", "-0", "-0e99999", "1e400", "-1e400", "1e-400", "1e0000000000000000000000000001",
    "1e-99999999999999999999", "1..2", "1.2.3", "1e5.", "--1", "1-", "12a", "0x10", "1d", "1_0", "00012.50", "NaN1",
    "3.4028235677973366e38", "3.4028235677973365e38", "1.7976931348623159e308", "1.7976931348623158e308", "7e-46",
    "7.1e-46", "2.4703282292062328e-324", "2.4703282292062327e-324", "Infinit", "Infinityy", "1E5", "1e38", "1e39",
    "0." + "0" * 60 + "1", "1" + "0" * 50, "0." + "0" * 330 + "123e331", "123" + "0" * 320 + "e-320",
]  # fmt: skip


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("narrow", [False, True], ids=["double", "float"])
def test_odd_texts(narrow):
    assert read(ODD_TEXTS, narrow=narrow) == [expected_bits(t, narrow=narrow) for t in ODD_TEXTS]
    for text in ODD_TEXTS:  # in the narrowest rows too
        assert read([text], narrow=narrow) == [expected_bits(text, narrow=narrow)]


@settings(max_examples=200)
@given(
    st.text("0123456789.eE+-", max_size=30) | st.from_regex(NUMBER, fullmatch=True), st.booleans()
)
def test_any_text(text, narrow):
    text = text[:200]
    assert read([text], narrow=narrow) == [expected_bits(text, narrow=narrow)]


def test_shapes_are_checked():
    column, rows = np.zeros(2, dtype=np.uint64), np.zeros((2, 5), dtype=np.uint64)
    marks = np.zeros(2, dtype=np.uint8)
    with pytest.raises(ValueError, match="24 bytes"):
        _native.spell_double(column, False, rows)
    with pytest.raises(ValueError, match="two words"):
        _native.double_to_decimal(column, 1, 2, rows, marks)
    with pytest.raises(ValueError, match="38 digits"):
        _native.double_to_decimal(column, 3, 2, np.zeros((2, 2), dtype=np.uint64), marks)
    with pytest.raises(ValueError, match="8 to 1016"):
        _native.read_double(np.zeros((2, 1), dtype=np.uint64), False, column, marks)
    with pytest.raises(ValueError, match="one length"):
        _native.double_to_float(column, np.zeros(3, dtype=np.uint64), marks)
