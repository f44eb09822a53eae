"""Functions of numbers that oblivious mode has for some types only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.plan.expressions import Expression, Literal
from mc2.plan.types import INTEGER_BITS

NUMBERS: Final = frozenset(
    {
        "integer_divide", "modulo", "sign", "floor", "ceil", "round", "try_divide",
        "try_remainder", "iso_day_of_week", "epoch_second", "byte_length",
    }
)  # fmt: skip
_OF: Final = {
    "integer_divide": frozenset(INTEGER_BITS),
    "modulo": frozenset(INTEGER_BITS),
    "try_remainder": frozenset(INTEGER_BITS),
    "try_divide": frozenset({"double"}),
    "round": frozenset({*INTEGER_BITS, "decimal"}),
}
_CAST: Final = {
    "try_divide": "cast both to double",
    "round": "cast to decimal before",
}


def check_number(function: str, arguments: Sequence[Expression], types: Sequence[DataType]) -> None:
    """Check that oblivious mode has a function for these types. Raises: PlanError."""
    allowed = _OF.get(function)
    if allowed is not None and types[0].name not in allowed:
        raise PlanError(
            f"oblivious mode has no {function} of {types[0]}",
            hint=_CAST.get(function, "cast both to int64 before"),
        )
    if function != "round":
        return
    digits = arguments[1]
    if not isinstance(digits, Literal) or int(digits.text or 0) < 0:
        raise PlanError(
            "oblivious mode rounds to fraction digits only", hint="divide, round and multiply"
        )
