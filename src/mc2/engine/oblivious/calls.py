"""What functions of a plan are computed with: the rows around a call, and how its arguments look.

The functions themselves are listed by theme (`functions.py`, `functions_literal.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, Protocol

from mc2.formats.schema import DataType
from mc2.operators.elements import in_one_layout
from mc2.operators.handles import Marks, SecretColumn
from mc2.operators.run import Run
from mc2.plan.expressions import Expression, Literal
from mc2.plan.literals import literal_value

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = date(1970, 1, 1)


class Around(Protocol):
    """The rows that a call is computed for."""

    @property
    def run(self) -> Run:
        """The run, with its flags."""

    @property
    def rows(self) -> int:
        """How many rows."""

    @property
    def counts(self) -> Marks:
        """Where errors count."""

    def of(self, expression: Expression) -> SecretColumn:
        """The values of an argument."""

    def type(self, expression: Expression) -> DataType:
        """The type of an expression."""


Values = Sequence[SecretColumn]
OfValues = Callable[[Around, Values, DataType], SecretColumn]
"""Computes a call by the values of its arguments and the type of its answer."""
OfArguments = Callable[[Around, Sequence[Expression]], SecretColumn]
"""Computes a call of which some arguments are constants that everybody knows."""


def literal_number(value: Literal) -> float | bytes | None:
    """A literal as words are made of it: unscaled decimals, days, microseconds, bytes."""
    if value.text is None:
        return None
    found = literal_value(value.text, value.type)
    match found:
        case str():
            return found.encode()
        case Decimal():
            return int(found.scaleb(value.type.scale))
        case datetime():
            moment = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
            delta = moment - _EPOCH
            return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
        case date():
            return (found - _DAY).days
        case _:
            return found


def text_of(argument: Expression) -> str:
    """The text of a constant; of anything else, and of NULL, an empty one."""
    return argument.text or "" if isinstance(argument, Literal) else ""


def one_layout(a: SecretColumn, b: SecretColumn) -> tuple[SecretColumn, SecretColumn]:
    """Both in rows of one size: texts and lists may have different greatest lengths."""
    first, second = in_one_layout([a, b])
    return first, second
