"""Functions of lists and structs of a plan over secret columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from mc2.errors import EngineError
from mc2.formats.schema import DataType
from mc2.operators import lists
from mc2.operators.constants import constant
from mc2.operators.handles import Layout, Marks, SecretColumn
from mc2.operators.run import Run
from mc2.plan.expressions import Expression, Literal
from mc2.plan.types import BOOLEAN

_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class ListCall:
    """A call: its arguments as the plan has them and as values, and where errors count."""

    run: Run
    arguments: Sequence[Expression]
    values: Sequence[SecretColumn]
    kind: DataType
    counts: Marks

    def text(self, place: int) -> str:
        """The text of a literal argument; empty if it is none."""
        given = self.arguments[place]
        return given.text or "" if isinstance(given, Literal) else ""


def makes_list(function: str, kind: DataType) -> bool:
    """Whether a function is one of lists here: some names are those of texts, too."""
    return function in LIST_FUNCTIONS or (kind.element is not None and function in _FUNCTIONS)


def compute_list(call: ListCall, function: str) -> SecretColumn:
    """What a function of lists or structs gives. Raises: EngineError for one that is not here."""
    if function not in _FUNCTIONS:
        raise EngineError(f"oblivious mode has no function {function}")
    return _FUNCTIONS[function](call)


def _sort(call: ListCall) -> SecretColumn:
    rising, first = (call.text(place) == "true" for place in (1, 2))
    return lists.in_order(call.run, call.values[0], rising=rising, nulls_first=first)


def _slice(call: ListCall) -> SecretColumn:
    most = max(1, int(call.text(2))) if call.text(2) else None
    value, start, count = call.values
    return lists.part_of(call.run, value, start, count, call.counts, most)


def _join(call: ListCall) -> SecretColumn:
    text, mark, *absent = call.values
    shown = absent[0] if absent else None
    return lists.in_one_text(call.run, text, mark, shown, call.counts)


def _sequence(call: ListCall) -> SecretColumn:
    """A list of constants: the plan is refused where they are none."""
    first, last, step = (_number(a) for a in call.arguments)
    if (not step and first != last) or (step and (last - first) * step < 0):
        raise EngineError("a sequence has a step that leads away from its end")
    many = (last - first) // step + 1 if step else 1
    layout = Layout(call.kind.element or BOOLEAN)
    values = [constant(layout, first + step * place, len(call.counts)) for place in range(many)]
    return lists.make_list(call.run, values)


def _number(argument: Expression) -> int:
    text = argument.text or "0" if isinstance(argument, Literal) else "0"
    if isinstance(argument, Literal) and argument.type.name == "date":
        return (date.fromisoformat(text) - _EPOCH).days
    return int(text)


def _one(function: Callable[..., SecretColumn]) -> Callable[[ListCall], SecretColumn]:
    return lambda call: function(call.run, *call.values)


def _found(*, counts: bool) -> Callable[[ListCall], SecretColumn]:
    return lambda c: lists.element(c.run, c.values[0], c.values[1], c.counts if counts else None)


_FUNCTIONS: Final[Mapping[str, Callable[[ListCall], SecretColumn]]] = {
    "list": lambda c: lists.make_list(c.run, c.values),
    "concat": lambda c: lists.joined_lists(c.run, c.values),
    "reverse": _one(lists.backwards),
    "list_size": _one(lists.list_size),
    "element": _found(counts=True),
    "element_or_null": _found(counts=False),
    "list_contains": _one(lists.contains),
    "list_position": _one(lists.position),
    "list_distinct": _one(lists.distinct),
    "list_sort": _sort,
    "list_min": lambda c: lists.extreme(c.run, c.values[0], most=False),
    "list_max": lambda c: lists.extreme(c.run, c.values[0], most=True),
    "list_union": _one(lists.union),
    "list_intersect": lambda c: lists.intersection(c.run, *c.values, inside=True),
    "list_except": lambda c: lists.intersection(c.run, *c.values, inside=False),
    "list_overlap": _one(lists.overlap),
    "list_remove": _one(lists.without),
    "list_compact": lambda c: lists.without(c.run, c.values[0], None),
    "list_append": lambda c: lists.with_element(c.run, *c.values, at_end=True),
    "list_prepend": lambda c: lists.with_element(c.run, *c.values, at_end=False),
    "list_slice": _slice,
    "list_zip": lambda c: lists.zipped(c.run, c.kind, *c.values),
    "list_repeat": lambda c: lists.repeat(c.run, c.values[0], int(c.text(1))),
    "list_join": _join,
    "flatten": _one(lists.flattened),
    "sequence": _sequence,
    "struct": lambda c: lists.make_struct(c.run, c.kind, c.values[1::2]),
    "field": lambda c: lists.field(c.run, c.values[0], c.text(1)),
}

LIST_FUNCTIONS: Final = frozenset(_FUNCTIONS) - {"concat", "reverse"}
"""The functions that are of lists or structs alone."""
