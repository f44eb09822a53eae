"""How large texts and lists of expressions can be; `mc2.plan.oblivious_lists` has sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.plan.expressions import (
    Call,
    Case,
    Cast,
    ColumnRef,
    Expression,
    Lambda,
    Literal,
    Parameter,
)
from mc2.plan.oblivious_bytes import BYTES, width_of_bytes
from mc2.plan.oblivious_lists import (
    LAMBDAS,
    LISTS,
    MOST_NESTED_WORDS,
    OPEN,
    Sizes,
    field_names,
    greatest_sizes,
    inside,
    list_sizes,
    looked_at,
    named_sizes,
    size_of,
    sizes_of_column,
    sizes_of_list_call,
    sizes_of_open,
)
from mc2.plan.oblivious_texts import CHARACTER_BYTES, MOST_SPELLED, is_fixed, width_of_text

_FIRST: Final = frozenset({"trim", "trim_start", "trim_end", "nullif", "reverse"})
_GREATEST: Final = frozenset({"coalesce", "greatest", "least"})
_STEP: Final = 2
"""Where `list_reduce` has the lambda that is done with each element."""
_MOST_PLACES: Final = 1 << 14
_MOST_SIZE: Final = 8 * MOST_NESTED_WORDS
"""Bytes or elements; what is larger is refused, and how much larger it is does not matter."""


@dataclass(frozen=True, slots=True)
class Around:
    """The lambdas around an expression.

    `sizes` are those of their parameters, `places` how many there are of each row.
    """

    sizes: Mapping[str, Sizes] = field(default_factory=dict)
    places: int = 1

    def given(self, one: Lambda, sizes: Sequence[Sizes], places: int) -> Around:
        """What is around the body of a lambda."""
        return Around({**self.sizes, **dict(zip(one.parameters, sizes, strict=False))}, places)


NO_LAMBDA: Final = Around()


def literal_bytes(value: Literal) -> int:
    """How many bytes a text literal has; one at least."""
    return max(1, len((value.text or "").encode()))


def width_of(expression: Expression, widths: Sizes, around: Around = NO_LAMBDA) -> int:
    """The most bytes of a text that an expression gives, or elements of a list."""
    return size_of(sizes_of(expression, widths, around))


def sizes_of(  # noqa: PLR0911 - one a case
    expression: Expression,
    widths: Sizes,
    around: Around = NO_LAMBDA,
    room: int | None = None,
) -> dict[str, int]:
    """The sizes of what an expression gives; of no meaning for types without any.

    `room`: how many elements of it are looked at, if it is a list and that is known.

    Raises: PlanError if lambdas inside of lambdas make too many places of a row.
    """
    match expression:
        case ColumnRef(name):
            return sizes_of_column(widths, name)
        case Parameter(name):
            return dict(around.sizes[name])
        case Literal():
            return {"": literal_bytes(expression)}
        case Cast(value, kind):
            return _cast(sizes_of(value, widths, around), kind)
        case Case(branches, otherwise):
            parts = [*(b.value for b in branches), otherwise]
            return greatest_sizes([sizes_of(p, widths, around) for p in parts])
        case Call(function) if function in LAMBDAS:
            return _sizes_of_lambdas(expression, widths, around)
        case Call(function, arguments) if arguments:
            sizes = sizes_of_arguments(function, arguments, widths, around)
            if function in OPEN:
                return sizes_of_open(function, sizes, arguments, room)
            return _sizes_of_call(function, sizes, arguments)
        case _:
            return {}


def sizes_of_arguments(
    function: str, arguments: Sequence[Expression], widths: Sizes, around: Around
) -> list[dict[str, int]]:
    """The sizes of a call's arguments, as far as it looks at them."""
    looked = looked_at(function, arguments)
    rooms = (looked if place == 0 else None for place in range(len(arguments)))
    return [sizes_of(a, widths, around, r) for a, r in zip(arguments, rooms, strict=True)]


def _cast(sizes: Sizes, kind: DataType) -> dict[str, int]:
    if kind.element is not None:
        return list_sizes(size_of(sizes), _cast(inside(sizes, "[]"), kind.element))
    if kind.name == "struct":  # by their places: any field could be the one that is meant
        every = greatest_sizes([inside(sizes, f".{name}") for name in field_names(sizes)])
        parts = (named_sizes(_cast(every, inner), f".{name}") for name, inner in kind.fields)
        return {path: size for part in parts for path, size in part.items()}
    width = size_of(sizes)
    return {"": max(width, MOST_SPELLED) if kind.name == "string" else width}


def _sizes_of_call(
    name: str, parts: Sequence[Sizes], arguments: Sequence[Expression]
) -> dict[str, int]:
    if name in LISTS:
        return sizes_of_list_call(name, parts, arguments)
    if name in _FIRST:
        return dict(parts[0])
    if name in _GREATEST:
        return greatest_sizes(parts)
    sizes = [size_of(p) for p in parts]
    if name == "concat":  # of texts or lists
        return {**greatest_sizes(parts), "": sum(sizes)}
    if name == "substring" and is_fixed(arguments[2]) and isinstance(arguments[2], Literal):
        count = max(1, int(arguments[2].text or 0))
        return {"": min(sizes[0], CHARACTER_BYTES * count)}
    width = width_of_bytes if name in BYTES else width_of_text
    return {"": width(name, sizes, arguments)}


# --- lambdas


def around_bodies(expression: Call, widths: Sizes, around: Around) -> dict[int, Around]:
    """What is around the bodies of a call's lambdas, by their places among its arguments.

    Raises: PlanError if they make too many places of a row.
    """
    array = sizes_of(expression.arguments[0], widths, around)
    places = around.places * size_of(array)
    if places > _MOST_PLACES:
        raise PlanError(
            f"lambdas make {places:,} places of a row, and there may be {_MOST_PLACES:,}",
            hint="take fewer elements before: slice(x, 1, 10)",
        )
    lambdas = {i: a for i, a in enumerate(expression.arguments) if isinstance(a, Lambda)}
    if expression.function != "list_reduce":
        given: tuple[Sizes, Sizes] = (inside(array, "[]"), {})
        return {i: around.given(one, given, places) for i, one in lambdas.items()}
    start, step = expression.arguments[1], lambdas[_STEP]
    so_far = sizes_of(start, widths, around)
    for _ in range(size_of(array) - 1):
        last = around.given(step, (so_far, inside(array, "[]")), places)
        more = greatest_sizes([so_far, sizes_of(step.body, widths, last)])
        if more == so_far:
            break
        so_far = more
        if max(so_far.values()) > _MOST_SIZE:
            break
    last = around.given(step, (so_far, inside(array, "[]")), places)
    end = greatest_sizes([so_far, sizes_of(step.body, widths, last)])
    return {_STEP: last} | {
        i: around.given(lambdas[i], (end,), places) for i in lambdas if i > _STEP
    }


def _sizes_of_lambdas(expression: Call, widths: Sizes, around: Around) -> dict[str, int]:
    """The sizes of what a function that takes lambdas gives."""
    bodies = around_bodies(expression, widths, around)
    found = {
        place: sizes_of(one.body, widths, bodies[place])
        for place, one in enumerate(expression.arguments)
        if isinstance(one, Lambda)
    }
    array = sizes_of(expression.arguments[0], widths, around)
    match expression.function:
        case "list_map":
            return list_sizes(size_of(array), found[1])
        case "list_filter":
            return array
        case _:
            start = bodies[_STEP].sizes[_parameter(expression, _STEP)]
            return found.get(_STEP + 1) or greatest_sizes([start, found[_STEP]])


def _parameter(expression: Call, place: int) -> str:
    """The first parameter of a lambda."""
    one = expression.arguments[place]
    if not isinstance(one, Lambda):
        raise TypeError("typing finds a lambda here")
    return one.parameters[0]
