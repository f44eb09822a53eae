"""What a join's condition demands: equalities of one side with the other, and the rest of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mc2.plan.expressions import Call, Cast, ColumnRef, Expression, Literal, columns_of
from mc2.plan.types import INT64

_EQUALITIES: Final = frozenset({"eq", "same"})


@dataclass(frozen=True, slots=True)
class Equality:
    """A term of each side that must be equal; `nulls`: NULL equals NULL."""

    left: Expression
    right: Expression
    nulls: bool


@dataclass(frozen=True, slots=True)
class Matching:
    """A condition, taken apart: it is true where all equalities hold and `rest` is true.

    `unsure` are the equalities, among the others, that could be NULL and are not made false then:
    only for them it matters whether a condition that is not true is false or NULL.
    """

    equalities: tuple[Equality, ...]
    rest: Expression | None
    unsure: tuple[Equality, ...]

    @property
    def left_columns(self) -> frozenset[str]:
        """The columns of the left side whose values the equalities fix."""
        return frozenset(n for e in self.equalities if (n := fixed_column(e.left)) is not None)

    @property
    def right_columns(self) -> frozenset[str]:
        """The columns of the right side whose values the equalities fix."""
        return frozenset(n for e in self.equalities if (n := fixed_column(e.right)) is not None)


def conjuncts(condition: Expression | None) -> list[Expression]:
    """The parts that must all be true, in order."""
    if condition is None:
        return []
    if isinstance(condition, Call) and condition.function == "and":
        return [p for a in condition.arguments for p in conjuncts(a)]
    return [condition]


def all_of(parts: Sequence[Expression]) -> Expression | None:
    """The condition that all parts are true; None for no parts."""
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else Call("and", tuple(parts))


def demanded(part: Expression) -> list[Expression]:
    """What must be true where a part is: of alternatives, what each of them demands."""
    if not isinstance(part, Call) or part.function != "or":
        return [part]
    first, *others = [[d for p in conjuncts(a) for d in demanded(p)] for a in part.arguments]
    return [d for d in dict.fromkeys(first) if all(d in other for other in others)]


def match(on: Expression | None, left: Collection[str], right: Collection[str]) -> Matching:
    """Take a join's condition apart; `left` and `right` are the columns of its sides."""
    found: dict[Equality, None] = {}
    unsure: dict[Equality, None] = {}
    rest = []
    for part in conjuncts(on):
        if isinstance(part, Literal) and part.text == "true":
            continue
        surely, equality = _equality(part, left, right)
        if equality is not None:
            found[equality] = None
            if not surely:
                unsure[equality] = None
            continue
        rest.append(part)
        for inner in demanded(part):
            _, equality = _equality(inner, left, right)
            if equality is not None:
                found[equality] = None
    return Matching(tuple(found), all_of(rest), tuple(unsure))


def _equality(
    part: Expression, left: Collection[str], right: Collection[str]
) -> tuple[bool, Equality | None]:
    """Whether it is never NULL, and the equality that it is of both sides, if it is one."""
    surely = False
    if isinstance(part, Call) and part.function == "coalesce":
        inner, *others = part.arguments
        if [o.text for o in others if isinstance(o, Literal)] != ["false"]:
            return False, None
        part, surely = inner, True
    if not isinstance(part, Call) or part.function not in _EQUALITIES:
        return False, None
    first, second = part.arguments
    nulls = part.function == "same"
    for a, b in ((first, second), (second, first)):
        if _of_side(a, left) and _of_side(b, right):
            return surely or nulls, Equality(a, b, nulls)
    return False, None


def _of_side(term: Expression, side: Collection[str]) -> bool:
    """Whether a term reads this side alone, and something of it, and fails on no row."""
    return fixed_column(term) is not None and columns_of(term) <= set(side)


def fixed_column(term: Expression) -> str | None:
    """The column whose value is known if the term's is: it, or it as an int64, which holds all."""
    while isinstance(term, Cast) and term.type == INT64 and isinstance(term.value, ColumnRef):
        term = term.value
    return term.name if isinstance(term, ColumnRef) else None


def names_of(expressions: Iterable[Expression]) -> frozenset[str]:
    """All columns that some expressions read."""
    return frozenset[str]().union(*(columns_of(e) for e in expressions))
