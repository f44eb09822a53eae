"""How a join is computed when nothing may depend on its rows: by the form of its condition.

Equalities are matched by sorting. What else a condition demands is tested on the pairs that come
out. Whether there is a partner at all, where one comparison with it decides, is answered by the
partners' least or greatest value, so that no pairs are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Schema
from mc2.plan.bands import Band, band_of
from mc2.plan.expressions import Call, Cast, Expression, Literal, columns_of, walk
from mc2.plan.facts import Facts
from mc2.plan.functions import FUNCTIONS
from mc2.plan.matching import Equality, all_of, conjuncts, match
from mc2.plan.relations import Join, Mark
from mc2.plan.shapes import NO_USEFUL_BOUND, capped
from mc2.plan.typing import type_of

COMPARISONS: Final = {"ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
"""Comparisons, and what each is with its sides changed."""

_ASCII_ONLY: Final = frozenset(
    {
        "lower", "upper", "substring", "position", "reverse", "pad_start", "pad_end", "split_part",
        "translate", "replace",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison of a term of the left side with one of the right side."""

    function: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class JoinForm:
    """A join's condition, taken apart.

    `to_one`: a row of the left side has one partner at most, `of_one`: one of the right side has.
    `left_only` and `right_only` read one side and never fail; `rest` is all others, and `compared`
    what that is if it is one comparison. `unsure`: the one equality, of a mark, whose NULL counts.
    `pairs` is how many pairs there are at most. `band`: all that `rest` demands, if it is one.
    """

    equalities: tuple[Equality, ...]
    to_one: bool
    of_one: bool
    left_only: Expression | None
    right_only: Expression | None
    rest: Expression | None
    compared: Compared | None
    pairs: int
    unsure: Equality | None = None
    band: Band | None = None

    @property
    def whole(self) -> Expression | None:
        """All that is demanded beside the equalities."""
        return all_of([p for p in (self.left_only, self.right_only, self.rest) if p is not None])


def join_form(
    operation: Join | Mark,
    left: Schema,
    right: Schema,
    facts: tuple[Facts, Facts],
    room: int = NO_USEFUL_BOUND,
) -> JoinForm:
    """Take a join apart; `room` is how many pairs a bound above it allows at most.

    Raises: PlanError if oblivious mode cannot compute it.
    """
    found = match(operation.on, left.names, right.names)
    parts = conjuncts(found.rest)
    names = frozenset(left.names), frozenset(right.names)
    sound = [p for p in parts if not may_fail(p)]
    of_left = [p for p in sound if columns_of(p) <= names[0]]
    of_right = [p for p in sound if columns_of(p) <= names[1] and p not in of_left]
    others = [p for p in parts if p not in of_left and p not in of_right]
    to_one = facts[1].is_unique(found.right_columns)
    of_one = facts[0].is_unique(found.left_columns)
    pairs = [facts[0].rows * facts[1].rows]
    pairs += [facts[0].rows] * to_one + [facts[1].rows] * of_one
    form = JoinForm(
        equalities=found.equalities,
        to_one=to_one,
        of_one=of_one,
        left_only=all_of(of_left),
        right_only=all_of(of_right),
        rest=all_of(others),
        compared=_compared(others, names),
        pairs=capped(min(*pairs, room)),
        band=band_of(others, left.names, right.names),
    )
    if not isinstance(operation, Mark):
        return form
    both = Schema(left.columns + right.columns).by_name()
    if any(type_of(p, both).nullable for p in parts):
        raise PlanError(
            "oblivious mode has no IN or EXISTS whose further condition could be NULL",
            hint="write coalesce(condition, false)",
        )
    loose = [e for e in found.unsure if any(type_of(t, both).nullable for t in (e.left, e.right))]
    if len(loose) > 1 or (loose and others):
        raise PlanError(
            "oblivious mode has no IN with several columns that could be NULL",
            hint="leave rows with NULL out, on both sides",
        )
    if not loose:
        return form
    kept = tuple(e for e in form.equalities if e not in loose)
    return replace(form, equalities=kept, unsure=loose[0])


def needs_pairs(operation: Join | Mark, form: JoinForm) -> bool:
    """Whether computing it takes room for all its pairs."""
    asks = isinstance(operation, Mark) or operation.how in {"semi", "anti"}
    if asks:
        return form.rest is not None and form.compared is None and not form.to_one
    return not isinstance(operation, Mark) and operation.how != "single"


def may_fail(expression: Expression) -> bool:
    """Whether an expression could raise an error for some row, in oblivious mode."""
    return any(fails_itself(part) for part in walk(expression))


def fails_itself(part: Expression) -> bool:
    """Whether an expression could fail over values that its parts do have, in oblivious mode."""
    if isinstance(part, Cast):
        return True
    if not isinstance(part, Call):
        return False
    if part.function == "like":
        pattern = part.arguments[1]
        return not isinstance(pattern, Literal) or "_" in (pattern.text or "")
    found = FUNCTIONS.get(part.function)
    return found is None or bool(found.fails) or part.function in _ASCII_ONLY


def _compared(
    parts: Sequence[Expression], names: tuple[frozenset[str], frozenset[str]]
) -> Compared | None:
    if len(parts) != 1 or not isinstance(parts[0], Call) or parts[0].function not in COMPARISONS:
        return None
    function, (first, second) = parts[0].function, parts[0].arguments
    if may_fail(parts[0]):
        return None
    if columns_of(first) <= names[0] and columns_of(second) <= names[1]:
        return Compared(function, first, second)
    if columns_of(first) <= names[1] and columns_of(second) <= names[0]:
        return Compared(COMPARISONS[function], second, first)
    return None
