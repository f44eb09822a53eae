"""The functions of a plan in DuckDB's words; each family has a module of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mc2.engine import sql_decimals
from mc2.engine.sql_choice import CHOICE
from mc2.engine.sql_lists import LISTS
from mc2.engine.sql_moments import MOMENTS
from mc2.engine.sql_numbers import NUMBERS, not_zero
from mc2.engine.sql_print import Print
from mc2.engine.sql_terms import Scribe, Term
from mc2.engine.sql_texts import TEXTS
from mc2.formats.schema import DataType
from mc2.plan.functions import function
from mc2.plan.types import TYPE_CLASSES

_PRINTERS: Final[Mapping[str, Print]] = {**CHOICE, **NUMBERS, **TEXTS, **MOMENTS, **LISTS}
_EXACT: Final = frozenset({"add", "subtract", "multiply", "negate", "abs", "round", "round_even"})
"""Functions that fail for exact numbers only."""
_EXACT_DECIMALS: Final = frozenset({"add", "subtract", "multiply"})
_DIVIDING: Final = frozenset({"divide", "remainder", "modulo"})


def call(scribe: Scribe, name: str, arguments: Sequence[Term], result: DataType) -> str:
    """The SQL of a call that `mc2.plan.typing` has typed."""
    return _PRINTERS[name](scribe, arguments, result)


def may_fail(name: str, arguments: Sequence[Term], result: DataType) -> bool:
    """Whether the function itself may fail on some values of these arguments."""
    if not function(name).fails:
        return False
    kind = arguments[0].type.name
    if kind == "decimal" and name in _EXACT_DECIMALS:
        return not sql_decimals.holds_all(name, arguments[0].type, arguments[1].type, result)
    if name in _DIVIDING:
        return not (kind in TYPE_CLASSES["fraction"] and not_zero(arguments[1]))
    return not (name in _EXACT and kind in TYPE_CLASSES["fraction"])
