"""What a join is spread by: the equalities that every pair of rows it gives must fulfil."""

from __future__ import annotations

from dataclasses import dataclass

from mc2.formats.schema import Schema
from mc2.plan.expressions import Call, Cast, ColumnRef, Expression, columns_of
from mc2.plan.types import INTEGER_BITS
from mc2.plan.typing import type_of

_EQUALITIES = frozenset({"eq", "same"})


@dataclass(frozen=True, slots=True)
class JoinKeys:
    """Terms over the left side, and those over the right that must equal them, one by one."""

    left: tuple[Expression, ...]
    right: tuple[Expression, ...]


def join_keys(condition: Expression | None, left: Schema, right: Schema) -> JoinKeys | None:
    """The equalities of a condition by which both sides can be spread; None if there are none.

    Only terms that fail on no row: spreading evaluates them also where no pair would.
    """
    found = [] if condition is None else _equalities(condition)
    pairs: dict[tuple[Expression, Expression], None] = {}
    for first, second in found:
        if _fits(first, left) and _fits(second, right):
            pairs[first, second] = None
        elif _fits(second, left) and _fits(first, right):
            pairs[second, first] = None
    if not pairs:
        return None
    return JoinKeys(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


def _equalities(condition: Expression) -> list[tuple[Expression, Expression]]:
    found = []
    for part in _conjuncts(condition):
        match part:
            case Call(name, (first, second)) if name in _EQUALITIES:
                found.append((first, second))
            case Call("or", arguments):  # what every branch demands, the whole demands
                branches = [_equalities(a) for a in arguments]
                found += [p for p in branches[0] if all(p in b for b in branches[1:])]
    return found


def _conjuncts(condition: Expression) -> list[Expression]:
    if isinstance(condition, Call) and condition.function == "and":
        return [p for a in condition.arguments for p in _conjuncts(a)]
    return [condition]


def _fits(term: Expression, side: Schema) -> bool:
    """Whether a term reads this side alone, and something of it, and fails on no row."""
    names = columns_of(term)
    if not names or not names <= set(side.names):
        return False
    while isinstance(term, Cast):
        source = type_of(term.value, side.by_name()).type
        bits, room = INTEGER_BITS.get(source.name, 99), INTEGER_BITS.get(term.type.name, 0)
        if bits > room:
            return False
        term = term.value
    return isinstance(term, ColumnRef)
