"""Elementary functions of doubles to many digits, then rounded once: the oracle of the kernels.

Decimals have powers, logarithms and roots of any precision; sines and angles are summed up here.
"""

import math
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from functools import cache

DIGITS = 80
_CONTEXT = Context(prec=DIGITS, Emin=-100_000, Emax=100_000)
_TURNS = 400
"""Digits of pi for numbers of 10^308: so many of whole turns, and `DIGITS` of what is left."""


@cache
def pi(digits: int) -> Decimal:
    """By Machin's formula."""
    with localcontext(Context(prec=digits + 10)):
        return 4 * (4 * _small_angle(Decimal(1) / 5) - _small_angle(Decimal(1) / 239))


def _small_angle(tangent: Decimal) -> Decimal:
    power = total = tangent
    odd, square = 1, tangent * tangent
    while power and power.adjusted() > total.adjusted() - 1000:
        power, odd = -power * square, odd + 2
        before, total = total, total + power / odd
        if total == before:
            break
    return total


def angle(tangent: Decimal) -> Decimal:
    """The angle of a tangent not below zero, in the context's precision."""
    if tangent > 1:
        return pi(DIGITS) / 2 - angle(1 / tangent)
    halvings = 0
    while tangent > Decimal("0.05"):
        tangent, halvings = tangent / (1 + (1 + tangent * tangent).sqrt()), halvings + 1
    return _small_angle(tangent) * 2**halvings


def _wave(x: float, quarters: int) -> Decimal:
    """The sine of x, so many quarters of a turn further on."""
    with localcontext(Context(prec=_TURNS + DIGITS, Emin=-100_000, Emax=100_000)):
        quarter = pi(_TURNS + DIGITS) / 2
        count = (Decimal(x) / quarter).to_integral_value()
        rest = Decimal(x) - count * quarter
    place = (int(count) + quarters) % 4
    term, k = (Decimal(1), 0) if place % 2 else (+rest, 1)
    total = term
    while term:
        term = -term * rest * rest / ((k + 1) * (k + 2))
        before, total, k = total, total + term, k + 2
        if total == before:
            break
    return -total if place >= 2 else total


def _less_one(x: Decimal) -> Decimal:
    with localcontext(Context(prec=3 * DIGITS, Emin=-100_000, Emax=100_000)):
        if x.adjusted() > -DIGITS:
            return x.exp() - 1
        return x + x * x / 2


def _natural_of_more(x: Decimal) -> Decimal:
    with localcontext(Context(prec=3 * DIGITS, Emin=-100_000, Emax=100_000)):
        if x.adjusted() > -DIGITS:
            return (1 + x).ln()
        return x - x * x / 2


def _sine_to_angle(x: Decimal) -> Decimal:
    size = abs(x)
    found = pi(DIGITS) / 2 if size == 1 else angle(size / ((1 - size) * (1 + size)).sqrt())
    return found.copy_sign(x)


def _cosine_to_angle(x: Decimal) -> Decimal:
    if x == 0:
        return pi(DIGITS) / 2
    flat = angle(((1 - x) * (1 + x)).sqrt() / abs(x))
    return pi(DIGITS) - flat if x < 0 else flat


def _point_to_angle(y: Decimal, x: Decimal) -> Decimal:
    flat = pi(DIGITS) / 2 if x == 0 else angle(abs(y / x))
    return (pi(DIGITS) - flat if x < 0 else flat).copy_sign(y)


def _cube_root(x: Decimal) -> Decimal:
    return (abs(x).ln() / 3).exp().copy_sign(x) if x else x


def _area_sine(x: Decimal) -> Decimal:
    size = abs(x)
    return _natural_of_more(size + size * size / (1 + (1 + size * size).sqrt())).copy_sign(x)


def _area_cosine(x: Decimal) -> Decimal:
    rest = x - 1
    return _natural_of_more(rest + (rest * (rest + 2)).sqrt())


def _sinh(x: Decimal) -> Decimal:
    less = _less_one(abs(x))
    return ((less + less / (less + 1)) / 2).copy_sign(x)


def _tanh(x: Decimal) -> Decimal:
    less = _less_one(2 * abs(x))
    return (less / (less + 2)).copy_sign(x)


EXACT: dict[str, Callable[..., Decimal]] = {
    "sin": lambda x: _wave(float(x), 0),
    "cos": lambda x: _wave(float(x), 1),
    "tan": lambda x: _wave(float(x), 0) / _wave(float(x), 1),
    "asin": _sine_to_angle,
    "acos": _cosine_to_angle,
    "atan": lambda x: _point_to_angle(x, Decimal(1)),
    "atan2": _point_to_angle,
    "expm1": _less_one,
    "log1p": _natural_of_more,
    "cbrt": _cube_root,
    "sinh": _sinh,
    "cosh": lambda x: (x.exp() + (-x).exp()) / 2,
    "tanh": _tanh,
    "asinh": _area_sine,
    "acosh": _area_cosine,
    "atanh": lambda x: _natural_of_more(2 * x / (1 - x)) / 2,
    "logarithm": lambda base, x: x.ln() / base.ln(),
    "hypot": lambda x, y: (x * x + y * y).sqrt(),
}
"""By the plan's names."""


def nearest(name: str, *numbers: float) -> float:
    """The double nearest to the true value, of finite numbers in the function's domain."""
    with localcontext(_CONTEXT):
        found = EXACT[name](*(Decimal(n) for n in numbers))
    if not found:
        return math.copysign(0.0, numbers[0]) if name != "acos" else 0.0
    return float(found)
