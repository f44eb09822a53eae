"""What lambdas may hold in oblivious mode: their bodies are computed for every place of lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Column
from mc2.plan.expressions import Call, ColumnRef, Expression, Lambda, Parameter, walk
from mc2.plan.functions import Argument, function
from mc2.plan.oblivious_lists import Sizes, words_of_value
from mc2.plan.typing import inside, type_of
from mc2.plan.widths import Around, around_bodies, sizes_of

_MOST_WORDS: Final = 1 << 17
"""Of what a lambda reads, at all places of a row."""

Check = Callable[[Expression, Mapping[str, Column], Sizes, Around], None]
"""Checks an expression: `mc2.plan.oblivious.check_expression`."""


def check_lambdas(
    expression: Call, columns: Mapping[str, Column], widths: Sizes, around: Around, check: Check
) -> None:
    """Check the arguments of a function that takes lambdas. Raises: PlanError."""
    known, found = function(expression.function), list[Argument]()
    bodies = around_bodies(expression, widths, around)
    for place, argument in enumerate(expression.arguments):
        over, within, value = columns, around, argument
        if isinstance(argument, Lambda):
            over = inside(argument, known.lambdas[place](tuple(found)), columns)
            within, value = bodies[place], argument.body
            _check_room(value, over, widths, within)
        check(value, over, widths, within)
        found.append(type_of(value, over))


def _check_room(
    body: Expression, columns: Mapping[str, Column], widths: Sizes, around: Around
) -> None:
    read = {e for e in walk(body) if isinstance(e, ColumnRef | Parameter)}
    inner = {p for e in walk(body) if isinstance(e, Lambda) for p in e.parameters}
    words = sum(
        words_of_value(type_of(e, columns).type, sizes_of(e, widths, around))
        for e in read
        if not (isinstance(e, Parameter) and e.name in inner)
    )
    if words * around.places > _MOST_WORDS:
        raise PlanError(
            f"a lambda would read more than {8 * _MOST_WORDS:,} bytes for each row, all places of "
            "lists included",
            hint="take fewer elements before: slice(x, 1, 10)",
        )
