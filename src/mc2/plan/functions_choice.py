"""Functions that compare, decide, and choose between values."""

from __future__ import annotations

from typing import Final

from mc2.plan.signatures import Nulls, define

_COMPARE: Final = "T, T -> boolean where T: ordered"
_LOGIC: Final = "boolean, boolean... -> boolean"

CHOICE: Final = (
    # Comparison. NaN equals NaN and is greater than all other numbers; -0.0 equals 0.0.
    define("eq", _COMPARE, "equal"),
    define("ne", _COMPARE, "not equal"),
    define("lt", _COMPARE, "less than"),
    define("le", _COMPARE, "less than or equal"),
    define("gt", _COMPARE, "greater than"),
    define("ge", _COMPARE, "greater than or equal"),
    define("same", _COMPARE, "equal, where NULL equals NULL (`<=>`)", Nulls.NEVER),
    define("is_null", "T -> boolean where T: any", "is NULL", Nulls.NEVER),
    define("is_not_null", "T -> boolean where T: any", "is not NULL", Nulls.NEVER),
    define("is_nan", "T -> boolean where T: fraction", "is NaN; false for NULL", Nulls.NEVER),
    # Truth, with three values.
    define("and", _LOGIC, "all are true; later ones need not be run", Nulls.LOGIC),
    define("or", _LOGIC, "one is true; later ones need not be run", Nulls.LOGIC),
    define("not", "boolean -> boolean", "the opposite"),
    # Choice.
    define("coalesce", "T... -> T where T: any", "the first that is not NULL", Nulls.ALL),
    define("nullif", "T, T -> T where T: ordered", "the first, or NULL if both are equal",
              Nulls.MAYBE),
    define("greatest", "T, T... -> T where T: ordered", "the greatest that is not NULL",
              Nulls.ALL),
    define("least", "T, T... -> T where T: ordered", "the least that is not NULL", Nulls.ALL),
)  # fmt: skip
"""Comparison, truth, and choice."""
