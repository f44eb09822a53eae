"""Functions of numbers."""

from __future__ import annotations

from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.plan.signatures import (
    OVERFLOW,
    ZERO,
    Arguments,
    Nulls,
    decimals,
    define,
    signature,
)
from mc2.plan.types import (
    add_decimals,
    divide_decimals,
    multiply_decimals,
    remainder_decimals,
    round_decimal,
)

_REAL: Final = "double -> double"
_ARITHMETIC: Final = "T, T -> T where T: number"
_BITS: Final = "T, T -> T where T: integer"
_SHIFT: Final = ("int32, int32 -> int32", "int64, int32 -> int64")
_ROUND_DIGITS: Final = 38


def _whole(arguments: Arguments) -> DataType:
    return round_decimal(arguments[0].type, 0)


def _rounded(arguments: Arguments) -> DataType:
    return round_decimal(arguments[0].type, int(arguments[1].text))


def _check_digits(arguments: Arguments) -> None:
    if abs(int(arguments[1].text)) > _ROUND_DIGITS:
        raise PlanError(f"numbers are rounded to at most {_ROUND_DIGITS} digits")


_ROUND: Final = (
    "double, int32 -> double",
    signature("P, int32 -> decimal where P: decimal", _rounded),
    "T, int32 -> T where T: integer",
)

NUMBERS: Final = (
    # Arithmetic. Integers fail on overflow; decimals are computed exactly, then rounded half up.
    define("add", (_ARITHMETIC, decimals(add_decimals)), "sum", fails=OVERFLOW),
    define("subtract", (_ARITHMETIC, decimals(add_decimals)), "difference", fails=OVERFLOW),
    define("multiply", (_ARITHMETIC, decimals(multiply_decimals)), "product",
              fails=OVERFLOW),
    define("divide", ("double, double -> double", decimals(divide_decimals)), "quotient",
              fails=ZERO),
    define("integer_divide",
           ("int64, int64 -> int64", "P, Q -> int64 where P: decimal; Q: decimal"),
              "quotient, cut towards zero (`div`)",
              fails=ZERO),
    define("remainder", (_ARITHMETIC, decimals(remainder_decimals)),
              "remainder, with the sign of the dividend (`%`)", fails="the divisor is zero"),
    define("negate", ("T -> T where T: number", "T -> T where T: decimal"),
              "with the other sign", fails=OVERFLOW),
    define("abs", ("T -> T where T: number", "T -> T where T: decimal"), "absolute value",
              fails=OVERFLOW),
    define("sign", _REAL, "-1, 0 or 1"),
    define("round", _ROUND, "rounded to so many fraction digits, halves away from zero",
           literals=(1,), fails=OVERFLOW, check=_check_digits),
    define("round_even", _ROUND, "rounded to so many fraction digits, halves to the even digit",
           literals=(1,), fails=OVERFLOW, check=_check_digits),
    define("floor_to", signature("P, int32 -> decimal where P: decimal", _rounded),
           "rounded down to so many fraction digits", literals=(1,), fails=OVERFLOW,
           check=_check_digits),
    define("ceil_to", signature("P, int32 -> decimal where P: decimal", _rounded),
           "rounded up to so many fraction digits", literals=(1,), fails=OVERFLOW,
           check=_check_digits),
    define("floor", ("double -> int64", signature("P -> decimal where P: decimal", _whole)),
              "the next whole number down", fails=OVERFLOW),
    define("ceil", ("double -> int64", signature("P -> decimal where P: decimal", _whole)),
              "the next whole number up", fails=OVERFLOW),
    define("sqrt", _REAL, "square root; NaN below zero"),
    define("exp", _REAL, "e to that power"),
    define("ln", _REAL, "natural logarithm; NULL at zero and below", Nulls.MAYBE),
    define("log2", _REAL, "logarithm of base 2; NULL at zero and below", Nulls.MAYBE),
    define("log10", _REAL, "logarithm of base 10; NULL at zero and below", Nulls.MAYBE),
    define("power", "double, double -> double", "the first to the power of the second"),
    define("modulo", (_ARITHMETIC, decimals(remainder_decimals)),
           "remainder, made positive by adding the divisor if it is below zero (`pmod`)",
           fails="the divisor is zero"),
    define("try_add", (_ARITHMETIC, decimals(add_decimals)),
           "sum, or NULL if it is out of its type's range", Nulls.MAYBE),
    define("try_subtract", (_ARITHMETIC, decimals(add_decimals)),
           "difference, or NULL if it is out of its type's range", Nulls.MAYBE),
    define("try_multiply", (_ARITHMETIC, decimals(multiply_decimals)),
           "product, or NULL if it is out of its type's range", Nulls.MAYBE),
    define("try_divide", ("double, double -> double", decimals(divide_decimals)),
           "quotient, or NULL if the divisor is zero or it is out of its type's range",
           Nulls.MAYBE),
    define("try_remainder", (_ARITHMETIC, decimals(remainder_decimals)),
           "remainder, or NULL if the divisor is zero", Nulls.MAYBE),
    define("cbrt", _REAL, "cube root"),
    define("expm1", _REAL, "e to that power, less 1"),
    define("log1p", _REAL, "natural logarithm of 1 more; NULL at -1 and below", Nulls.MAYBE),
    define("logarithm", "double, double -> double",
           "logarithm to the first as base; NULL if one of both is zero or below", Nulls.MAYBE),
    define("sin", _REAL, "sine"),
    define("cos", _REAL, "cosine"),
    define("tan", _REAL, "tangent"),
    define("asin", _REAL, "inverse sine; NaN beyond -1 and 1"),
    define("acos", _REAL, "inverse cosine; NaN beyond -1 and 1"),
    define("atan", _REAL, "inverse tangent"),
    define("atan2", "double, double -> double", "angle of the point (second, first)"),
    define("sinh", _REAL, "hyperbolic sine"),
    define("cosh", _REAL, "hyperbolic cosine"),
    define("tanh", _REAL, "hyperbolic tangent"),
    define("asinh", _REAL, "inverse hyperbolic sine"),
    define("acosh", _REAL, "inverse hyperbolic cosine; NaN below 1"),
    define("atanh", _REAL, "inverse hyperbolic tangent; NaN beyond -1 and 1"),
    define("hypot", "double, double -> double", "square root of the sum of both squares"),
    define("rint", _REAL, "the nearest whole number, halves to the even one"),
    define("factorial", "int32 -> int64", "factorial; NULL below 0 and beyond 20", Nulls.MAYBE),
    define("width_bucket", "double, double, double, int64 -> int64",
           "number of the bucket, of so many equal ones from the second to the third; 0 before, "
           "one more after them; NULL if there are no such buckets", Nulls.MAYBE),
    # Bits, of integers in two's complement.
    define("bits_and", _BITS, "bits that are set in both"),
    define("bits_or", _BITS, "bits that are set in one of both"),
    define("bits_xor", _BITS, "bits that differ"),
    define("bits_not", "T -> T where T: integer", "all bits turned"),
    define("shift_left", _SHIFT, "shifted left, modulo the width"),
    define("shift_right", _SHIFT, "shifted right, with the sign, modulo the width"),
    define("shift_right_unsigned", _SHIFT, "shifted right, with zeros, modulo the width"),
    define("bit_count", ("T -> int32 where T: integer", "boolean -> int32"),
           "how many bits are set, of 64 where the number is below zero"),
    define("bit_get", "T, int32 -> int8 where T: integer",
           "the bit at a place, from 0 at the right",
           fails="there is no such place"),
)  # fmt: skip
"""Arithmetic, rounding, logarithms, angles, and bits."""
