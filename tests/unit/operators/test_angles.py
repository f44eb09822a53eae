"""Angles, hyperbolic functions and roots: the double nearest to the true value, everywhere."""

import math
import re
import struct
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.exact_curves import EXACT, angle, nearest, pi
from tests.support.secrets import secret, values

from mc2.engine import routines_numbers
from mc2.operators import curves
from mc2.operators.handles import Layout
from mc2.operators.run import Run
from mc2.plan.types import DOUBLE

CONSTANTS = Path(__file__).resolve().parents[3] / "native" / "include" / "mc2"
FINITE = st.floats(allow_nan=False, allow_infinity=False)
LARGEST = 1.7976931348623157e308
DOMAINS = {
    **dict.fromkeys(("sin", "cos", "tan", "atan", "asinh", "cbrt"), (-LARGEST, LARGEST)),
    **dict.fromkeys(("asin", "acos"), (-1.0, 1.0)),
    "atanh": (-1 + 2**-53, 1 - 2**-53), "acosh": (1.0, LARGEST), "log1p": (-1 + 2**-53, LARGEST),
    "expm1": (-800.0, 709.7), "tanh": (-800.0, 800.0),
    **dict.fromkeys(("sinh", "cosh"), (-710.4, 710.4)),
}  # fmt: skip
NEAREST_TO_QUARTERS = [6381956970095103 * 2.0**797, math.ldexp(5319372648326541, -49)]
"""Of all doubles; their sines and cosines have the fewest digits left."""
AWKWARD = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 5e-324, -5e-324, 2.0, -2.0, 0.5,
           -0.5, 1e308, -1e308, LARGEST, 710.4758600739439, 710.5, -745.2]  # fmt: skip


def column(numbers):
    return secret(Layout(DOUBLE), numbers)


def compute(what, *numbers):
    columns = [column(n) for n in numbers]
    if what == "atan2":
        return values(curves.angle_of_point(Run(), *columns))
    if what in curves.OF_TWO:
        return values(curves.curve_of_two(Run(), what, *columns))
    return values((curves.angle if what in curves.ANGLES else curves.curve)(Run(), what, *columns))


def same(found, wanted):
    return [struct.pack(">d", v) for v in found] == [struct.pack(">d", v) for v in wanted]


def drawn(low, high, count):
    """Of every size, and near the ends of each power of two."""
    random = np.random.default_rng(7)
    found = np.concatenate([
        np.ldexp(random.uniform(0.5, 1, count), random.integers(-1074, 1024, count)),
        np.ldexp(random.uniform(0.5, 1, count), random.integers(-12, 12, count)),
        np.ldexp(1.0, np.arange(-40, 12)), np.ldexp(1 - 2.0**-53, np.arange(-40, 12)),
        1 + np.ldexp(random.uniform(0.5, 1, count), random.integers(-52, 0, count)),
    ])  # fmt: skip
    found = np.concatenate([found, -found, np.arange(1, 80) * (math.pi / 2)])
    return [float(x) for x in found if low <= x <= high]


@pytest.mark.parametrize("what", DOMAINS)
def test_the_nearest_double_comes_out_over_the_whole_domain(what):
    numbers = drawn(*DOMAINS[what], 60)
    if what in {"sin", "cos", "tan"}:
        numbers += [*NEAREST_TO_QUARTERS, 2.0**1023, LARGEST, *(10.0**n for n in range(0, 309, 4))]
    assert same(compute(what, numbers), [nearest(what, x) for x in numbers])


@settings(max_examples=300)
@given(st.sampled_from(sorted(DOMAINS)), FINITE, st.floats(-30, 30))
@example("tan", NEAREST_TO_QUARTERS[0], 0.5)
@example("sinh", 710.4758600739439, 2.0**-27)
def test_any_number(what, far, near):
    low, high = DOMAINS[what]
    numbers = [x for x in (far, near) if low <= x <= high]
    assert same(compute(what, numbers), [nearest(what, x) for x in numbers])


@settings(max_examples=200)
@given(FINITE | st.floats(-30, 30), FINITE | st.floats(-30, 30))
@example(3.0, 4.0)
@example(5e-324, 5e-324)
@example(5e-324, LARGEST)
@example(1.0, -(2.0**-52))
def test_pairs(a, b):
    assert same(compute("hypot", [a], [b]), [abs(nearest("hypot", a, b))])
    if a and b:
        assert same(compute("atan2", [a], [b]), [nearest("atan2", a, b)])
    if a and b and abs(a) != 1:
        size, base = abs(b), abs(a)
        if size != 1:
            assert same(compute("logarithm", [base], [size]), [nearest("logarithm", base, size)])


def test_cubes_triangles_and_powers_have_whole_answers():
    cubes = [float(n) ** 3 for n in range(-300, 300)]
    assert compute("cbrt", cubes) == [float(n) for n in range(-300, 300)]
    assert compute("hypot", [3e150, 20.0, 2.0**-1074], [4e150, 21.0, 0.0]) == [
        5e150,
        29,
        2.0**-1074,
    ]
    assert compute("logarithm", [10.0, 2.0, 0.5], [1000.0, 2.0**-1074, 8.0]) == [3, -1074, -3]


def platform(what):
    if what in routines_numbers._REALS:
        special = {"sinh": routines_numbers._sinh}
        return routines_numbers._guarded(special.get(what, routines_numbers._REALS[what]))
    return {
        "atanh": routines_numbers._guarded(routines_numbers._atanh),
        "log1p": routines_numbers._log1p,
        "logarithm": routines_numbers._logarithm,
        "atan2": math.atan2,
        "hypot": math.hypot,
    }[what]


def agrees(found, wanted):
    """The platform's last places may be others; NULL, zeros, infinities and NaN may not."""
    if found is None or wanted is None or not found or not math.isfinite(found):
        return repr(found) == repr(wanted)
    return math.isclose(found, wanted, rel_tol=2.0**-50)


@pytest.mark.parametrize("what", [*DOMAINS, "atan2", "hypot", "logarithm"])
def test_special_cases_are_those_of_the_other_engine(what):
    single = what in DOMAINS
    pairs = [(x,) for x in AWKWARD] if single else [(a, b) for a in AWKWARD for b in AWKWARD]
    found = compute(what, *(list(n) for n in zip(*pairs, strict=True)))
    wanted = [platform(what)(*numbers) for numbers in pairs]
    wrong = [n for n, f, w in zip(pairs, found, wanted, strict=True) if not agrees(f, w)]
    assert not wrong


def test_null_stays_null():
    for what in (*curves.CURVES, *curves.ANGLES):
        assert compute(what, [None, 0.5])[0] is None
    for what in (*curves.OF_TWO, "atan2"):
        assert compute(what, [None, 1.5], [1.5, None]) == [None, None]


# --- the oracle, and the kernels' constants


def test_the_oracle_knows_sines_and_angles():
    with localcontext(Context(prec=60)):
        third = EXACT["sin"](Decimal(1) / 3)  # a double, near a third
        assert abs(third - Decimal(math.sin(float(Decimal(1) / 3)))) < Decimal("1e-16")
        assert abs(angle(Decimal(1)) * 4 - pi(50)) < Decimal("1e-50")
        assert str(pi(50)).startswith("3.14159265358979323846264338327950288419716939937510")
        wave, other = (EXACT[name](Decimal(10.0**22)) for name in ("sin", "cos"))
        assert abs(wave * wave + other * other - 1) < Decimal("1e-58")
        assert abs(wave - Decimal("-0.852200849767")) < Decimal("1e-12")


def constants(name):
    """The words of an array, or of one number, in a header of the kernels."""
    text = "".join(
        (CONSTANTS / f).read_text() for f in ("angle_constants.hpp", "curve_constants.hpp")
    )
    body = re.search(rf"\b{name}(?:\[\d+\])? = (.*?);", text, re.DOTALL)[1]
    return [int(word, 16) for word in re.findall(r"0x([0-9a-f]{16})", body)]


def numbers_of(name):
    words = constants(name)
    return [low | high << 64 for low, high in zip(words[::2], words[1::2], strict=True)]


def fixed(value, point):
    with localcontext(Context(prec=500)):
        return int((value * 2**point).to_integral_value())


def test_the_constants_of_the_kernels_are_right():
    with localcontext(Context(prec=500)):
        words = reversed(constants("two_over_pi"))
        bits = sum(word << (64 * place) for place, word in enumerate(words))
        assert bits == int(2 / pi(480) * 2**1280)
        quarter, third = fixed(pi(480) / 2, 127), fixed(Decimal(1) / 3, 129)
    assert numbers_of("half_pi") == [quarter]
    assert numbers_of("third") == [third]
    for name, first in (("cosine_terms", 0), ("sine_terms", 1)):
        wanted = [Fraction(2**127, math.factorial(2 * k + first)) for k in range(17)]
        assert numbers_of(name) == [round(value) for value in wanted]
    assert numbers_of("angle_terms") == [round(Fraction(2**127, 2 * k + 1)) for k in range(12)]
    with localcontext(Context(prec=120)):
        wanted = [fixed(angle(Decimal(i) / 32), 128) for i in range(33)]
    assert numbers_of("angles_of_parts") == wanted
