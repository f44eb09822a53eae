"""Functions of numbers that oblivious mode has for some types only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DECIMAL_DIGITS, DataType
from mc2.plan.expressions import Expression, Literal
from mc2.plan.types import add_decimals, divide_decimals, multiply_decimals

NUMBERS: Final = frozenset(
    {
        "integer_divide", "modulo", "sign", "floor", "ceil", "round", "try_divide",
        "try_remainder", "iso_day_of_week", "epoch_second", "byte_length",
        "round_even", "floor_to", "ceil_to", "rint", "sqrt",
        "try_add", "try_subtract", "try_multiply", "factorial", "width_bucket",
        "exp", "ln", "log2", "log10", "power", "cbrt", "expm1", "log1p", "logarithm", "hypot",
        "sin", "cos", "tan", "asin", "acos", "atan", "atan2",
        "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
        "bits_and", "bits_or", "bits_xor", "bits_not", "bit_count", "bit_get",
        "shift_left", "shift_right", "shift_right_unsigned",
    }
)  # fmt: skip
STATISTICS: Final = frozenset(
    {
        "min_by", "max_by", "mode", "percentile", "percentile_disc", "covar_pop", "covar_samp",
        "corr", "skewness", "kurtosis", "bits_and_of", "bits_or_of", "bits_xor_of",
    }
)  # fmt: skip
"""Aggregates that look at a group's rows in order, or twice: `mc2.operators.statistics`."""
_CUT: Final = {
    "try_add": add_decimals,
    "try_subtract": add_decimals,
    "try_multiply": multiply_decimals,
    "try_divide": divide_decimals,
}
"""What gives NULL where decimals do not fit its type, and that type."""
_ROUNDINGS: Final = frozenset({"round", "round_even", "floor_to", "ceil_to"})
_EXACT_POWER: Final = 22
"""Ten to this power is a double."""
_DROPPED: Final = 37
"""Of 38 digits, so that one is left."""


def check_number(function: str, arguments: Sequence[Expression], types: Sequence[DataType]) -> None:
    """Check that oblivious mode has a function for these types. Raises: PlanError."""
    if function in _CUT and types[0].name == "decimal":
        _check_cut(function, types[0], types[1])
    if function in _ROUNDINGS:
        _check_rounding(function, arguments[1], types[0])


def _check_cut(function: str, a: DataType, b: DataType) -> None:
    # With a digit to spare nothing was cut off the type, so every result fits.
    if _CUT[function](a, b).precision == DECIMAL_DIGITS:
        raise PlanError(
            f"oblivious mode has no {function} of {a} and {b}",
            hint="cast them to fewer digits first, or to double",
        )


def _check_rounding(function: str, digits: Expression, kind: DataType) -> None:
    count = int(digits.text or 0) if isinstance(digits, Literal) else 0
    if kind.name != "double":
        if kind.scale - count > _DROPPED:
            raise PlanError(
                f"oblivious mode rounds {_DROPPED} digits away at most",
                hint="round to more digits",
            )
    elif function == "round_even" and count:
        raise PlanError(
            "oblivious mode rounds doubles to whole even numbers only",
            hint="cast to decimal before",
        )
    elif abs(count) > _EXACT_POWER:
        raise PlanError(
            f"oblivious mode rounds doubles to at most {_EXACT_POWER} digits",
            hint="cast to decimal before",
        )
