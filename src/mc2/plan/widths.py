"""How large texts and lists of expressions can be; `mc2.plan.oblivious_lists` has sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mc2.formats.schema import DataType
from mc2.plan.expressions import Call, Case, Cast, ColumnRef, Expression, Literal
from mc2.plan.oblivious_lists import (
    LISTS,
    Sizes,
    greatest_sizes,
    inside,
    list_sizes,
    size_of,
    sizes_of_column,
    sizes_of_list_call,
)
from mc2.plan.oblivious_texts import MOST_SPELLED, is_fixed, width_of_text

_FIRST: Final = frozenset({"lower", "upper", "trim", "trim_start", "trim_end", "nullif", "reverse"})
_GREATEST: Final = frozenset({"coalesce", "greatest", "least"})


def literal_bytes(value: Literal) -> int:
    """How many bytes a text literal has; one at least."""
    return max(1, len((value.text or "").encode()))


def width_of(expression: Expression, widths: Sizes) -> int:
    """The most bytes of a text that an expression gives, or elements of a list."""
    return size_of(sizes_of(expression, widths))


def sizes_of(expression: Expression, widths: Sizes) -> dict[str, int]:
    """The sizes of what an expression gives; of no meaning for types without any."""
    match expression:
        case ColumnRef(name):
            return sizes_of_column(widths, name)
        case Literal():
            return {"": literal_bytes(expression)}
        case Cast(value, kind):
            return _cast(sizes_of(value, widths), kind)
        case Case(branches, otherwise):
            parts = [*(b.value for b in branches), otherwise]
            return greatest_sizes([sizes_of(p, widths) for p in parts])
        case Call(function, arguments) if arguments:
            sizes = [sizes_of(a, widths) for a in arguments]
            return _sizes_of_call(function, sizes, arguments)
        case _:
            return {}


def _cast(sizes: Sizes, kind: DataType) -> dict[str, int]:
    if kind.element is not None:
        return list_sizes(size_of(sizes), _cast(inside(sizes, "[]"), kind.element))
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
        return {"": min(sizes[0], max(1, int(arguments[2].text or 0)))}
    return {"": width_of_text(name, sizes, arguments)}
