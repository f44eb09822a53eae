"""Functions that take a lambda: its body is computed for every place of all lists at once.

Where no element stands the body is computed like elsewhere, and errors do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mc2.operators.elements import (
    Elements,
    cleared_where,
    elements,
    in_one_layout,
    listed,
    without_gaps,
)
from mc2.operators.handles import Layout, Marks, SecretColumn, known_of, words_of
from mc2.operators.logic import choose, value_marks
from mc2.operators.run import Run
from mc2.plan.expressions import Expression, Lambda
from mc2.plan.types import INT32


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """What a body is computed over: its parameters, so many for each row, and which ones count."""

    values: Sequence[SecretColumn]
    count: int
    there: Marks


Body = Callable[[Lambda, Places], SecretColumn]
"""What the body of a lambda gives."""


@dataclass(frozen=True, slots=True, eq=False)
class LambdaCall:
    """A call: the list, the arguments behind it, what computes these, and what a body gives."""

    run: Run
    array: SecretColumn
    arguments: Sequence[Expression]
    value: Callable[[Expression], SecretColumn]
    body: Body


def compute_lambda(call: LambdaCall, function: str) -> SecretColumn:
    """What a function that takes a lambda gives."""
    return _FUNCTIONS[function](call)


def _of_elements(call: LambdaCall, found: Elements) -> SecretColumn:
    """What the lambda gives for each element and its place, from 0."""
    place = SecretColumn(
        Layout(INT32), words_of(found.places()), np.ones(found.value.rows, dtype=np.uint8)
    )
    return call.body(_lambda(call, 0), Places((found.value, place), found.most, found.there))


def _lambda(call: LambdaCall, place: int) -> Lambda:
    one = call.arguments[place]
    if not isinstance(one, Lambda):
        raise TypeError("typing finds a lambda here")
    return one


def _map(call: LambdaCall) -> SecretColumn:
    found = elements(call.run, call.array)
    value = cleared_where(call.run, _of_elements(call, found), found.there)
    return listed(call.run, Elements(found.most, found.there, value), known_of(call.array))


def _filter(call: LambdaCall) -> SecretColumn:
    found = elements(call.run, call.array)
    keep = value_marks(call.run, _of_elements(call, found))
    return listed(call.run, without_gaps(call.run, found, keep), known_of(call.array))


def _reduce(call: LambdaCall) -> SecretColumn:
    """Place after place: what there was stays where no element stands."""
    found, so_far = elements(call.run, call.array), call.value(call.arguments[0])
    for at in range(found.most):
        there = found.there_at(at)
        step = call.body(_lambda(call, 1), Places((so_far, found.slot(at)), 1, there))
        so_far = choose(call.run, there, *in_one_layout([step, so_far]))
    known = known_of(call.array)
    for at in range(2, len(call.arguments)):
        so_far = call.body(_lambda(call, at), Places((so_far,), 1, known))
    return cleared_where(call.run, so_far, known)


_FUNCTIONS: Final[Mapping[str, Callable[[LambdaCall], SecretColumn]]] = {
    "list_map": _map,
    "list_filter": _filter,
    "list_reduce": _reduce,
}
