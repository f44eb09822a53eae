"""Functions of lists and structs of a plan over secret columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mc2.errors import EngineError
from mc2.formats.schema import DataType
from mc2.operators import lengths, lists
from mc2.operators.handles import Marks, SecretColumn
from mc2.operators.run import Run
from mc2.plan.expressions import Expression, Literal
from mc2.plan.oblivious_lists import open_most
from mc2.plan.regex import plain_text


@dataclass(frozen=True, slots=True, eq=False)
class ListCall:
    """A call: its arguments as the plan has them and as values, and where errors count.

    `room`: how many elements of its list are looked at, if that is known.
    """

    run: Run
    arguments: Sequence[Expression]
    values: Sequence[SecretColumn]
    kind: DataType
    counts: Marks
    room: int | None = None

    def most(self, function: str) -> int:
        """How many elements of a list are made whose length a value says."""
        sizes = [{"": value.layout.text_bytes} for value in self.values]
        most = open_most(function, sizes, self.arguments, self.room)
        if most is None:
            raise EngineError(f"nothing but values says how long a {function} is")
        return most

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
    first, last, step = call.values
    return lengths.sequence(call.run, (first, last), step, call.most("sequence"), call.counts)


def _repeat(call: ListCall) -> SecretColumn:
    value, count = call.values
    most = call.most("list_repeat")
    return lengths.repeat_up_to(call.run, value, count, most, call.counts)


def _split(call: ListCall) -> SecretColumn:
    mark, limit = plain_text(call.text(1)) or "", int(call.text(2))
    wanted = limit if limit > 0 else None
    return lengths.split(call.run, call.values[0], mark.encode(), call.most("split"), wanted)


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
    "list_repeat": _repeat,
    "list_at_most": lambda c: lengths.at_most(c.run, c.values[0], int(c.text(1)), c.counts),
    "split": _split,
    "list_join": _join,
    "flatten": _one(lists.flattened),
    "sequence": _sequence,
    "struct": lambda c: lists.make_struct(c.run, c.kind, c.values[1::2]),
    "field": lambda c: lists.field(c.run, c.values[0], c.text(1)),
}

LIST_FUNCTIONS: Final = frozenset(_FUNCTIONS) - {"concat", "reverse"}
"""The functions that are of lists or structs alone."""
