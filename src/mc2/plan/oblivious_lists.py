"""Lists and structs in oblivious mode: what there is, and how much room values take.

Sizes are the most bytes of texts and the most elements of lists, by path as in manifests
(`mc2.formats.schema.width_paths`); those of an expression have the paths of a column without name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.plan.expressions import Expression, Literal
from mc2.plan.regex import plain_text

MOST_NESTED_WORDS: Final = 1024
"""Words of a list or struct, each place with one before it: what a row of a table may take."""
_MOST_TEXT_BYTES: Final = 1016
_WORD_BYTES: Final = 8
_WIDE_DIGITS: Final = 18

Sizes = Mapping[str, int]

LISTS: Final = frozenset(
    {
        "list", "list_size", "element", "element_or_null", "list_contains", "list_position",
        "list_distinct", "list_sort", "list_min", "list_max", "list_union", "list_intersect",
        "list_except", "list_overlap", "list_remove", "list_compact", "list_append", "list_prepend",
        "list_slice", "list_repeat", "list_join", "flatten", "sequence", "struct", "field",
        "list_zip", "list_at_most", "split",
    }
)  # fmt: skip
OPEN: Final = frozenset({"sequence", "list_repeat", "split"})
"""Functions whose values may say how long a list is."""
LAMBDAS: Final = frozenset({"list_map", "list_filter", "list_reduce"})
"""Functions that take lambdas: their sizes are those of `mc2.plan.widths`."""
COLLECTING: Final = frozenset({"collect_list", "collect_set", "join_texts"})
"""Aggregates that give all values of a group."""
_SAME: Final = frozenset(
    {"list_distinct", "list_sort", "list_remove", "list_compact", "list_intersect", "list_except"}
)
_ELEMENTS: Final = frozenset({"element", "element_or_null", "list_min", "list_max"})


def size_of(sizes: Sizes) -> int:
    """The most bytes of a text, or elements of a list."""
    return max(1, sizes.get("", 1))


def sizes_of_column(widths: Sizes, name: str) -> dict[str, int]:
    """The sizes of a column, by path without its name."""
    starts = (f"{name}[]", f"{name}.")
    return {
        path[len(name) :]: size
        for path, size in widths.items()
        if path == name or path.startswith(starts)
    }


def named_sizes(sizes: Sizes, name: str) -> dict[str, int]:
    """The sizes of an expression as those of a column."""
    return {f"{name}{path}": size for path, size in sizes.items()}


def greatest_sizes(parts: Sequence[Sizes]) -> dict[str, int]:
    """Sizes that do for any of some values."""
    found: dict[str, int] = {}
    for part in parts:
        for path, size in part.items():
            found[path] = max(size, found.get(path, 0))
    return found


def inside(sizes: Sizes, step: str) -> dict[str, int]:
    """The sizes of what stands in a list (`[]`) or in a field (`.name`)."""
    ends = ("", "[", ".")
    return {
        path[len(step) :]: size
        for path, size in sizes.items()
        if path.startswith(step) and path[len(step) : len(step) + 1] in ends
    }


def field_names(sizes: Sizes) -> frozenset[str]:
    """The fields of a struct that have sizes."""
    return frozenset(re.split(r"[.\[]", path[1:])[0] for path in sizes if path.startswith("."))


def list_sizes(count: int, elements: Sizes) -> dict[str, int]:
    """The sizes of a list of so many elements."""
    return {"": count, **named_sizes(elements, "[]")}


def collected_sizes(function: str, value: Sizes, most: int, mark: int) -> dict[str, int]:
    """The sizes of all values of a group, of which there are at most so many."""
    if function == "join_texts":
        return {"": most * size_of(value) + (most - 1) * mark}
    return list_sizes(most, value)


def sizes_of_list_call(
    name: str, parts: Sequence[Sizes], arguments: Sequence[Expression]
) -> dict[str, int]:
    """The sizes of what a function of lists or structs gives."""
    if name in _ELEMENTS:
        return inside(parts[0], "[]")
    if name in _SAME:
        return dict(parts[0])
    return _SIZES[name](parts, arguments) if name in _SIZES else {}


_Arguments = Sequence[Expression]


def _sliced(parts: Sequence[Sizes], arguments: _Arguments) -> dict[str, int]:
    count, most = _number(arguments[2]), size_of(parts[0])
    return {**parts[0], "": most if count is None else min(most, max(1, count))}


def _with_one(parts: Sequence[Sizes], _: _Arguments) -> dict[str, int]:
    both = greatest_sizes([inside(parts[0], "[]"), parts[1]])
    return list_sizes(size_of(parts[0]) + 1, both)


def _joined(parts: Sequence[Sizes], _: _Arguments) -> dict[str, int]:
    element, mark = size_of(inside(parts[0], "[]")), size_of(parts[1])
    shown, most = max([element, *map(size_of, parts[2:])]), size_of(parts[0])
    return {"": most * shown + (most - 1) * mark}


def _flattened(parts: Sequence[Sizes], _: _Arguments) -> dict[str, int]:
    inner = inside(parts[0], "[]")
    return {**inner, "": size_of(parts[0]) * size_of(inner)}


def _zipped(parts: Sequence[Sizes], _: _Arguments) -> dict[str, int]:
    pairs = zip(("first", "second"), parts, strict=True)
    named = (named_sizes(inside(part, "[]"), f"[].{name}") for name, part in pairs)
    found = {path: size for part in named for path, size in part.items()}
    return {**found, "": max(map(size_of, parts))}


def _struct(parts: Sequence[Sizes], arguments: _Arguments) -> dict[str, int]:
    pairs = zip(arguments[::2], parts[1::2], strict=True)
    named = (named_sizes(part, f".{_text(name)}") for name, part in pairs)
    return {path: size for part in named for path, size in part.items()}


_SIZES: Final[Mapping[str, Callable[[Sequence[Sizes], _Arguments], dict[str, int]]]] = {
    "list": lambda parts, _: list_sizes(len(parts), greatest_sizes(parts)),
    "list_union": lambda parts, _: {**greatest_sizes(parts), "": sum(size_of(p) for p in parts)},
    "list_append": _with_one,
    "list_prepend": _with_one,
    "list_slice": _sliced,
    "list_at_most": lambda parts, given: {**parts[0], "": min(size_of(parts[0]), _most(given))},
    "list_join": _joined,
    "flatten": _flattened,
    "list_zip": _zipped,
    "struct": _struct,
    "field": lambda parts, given: inside(parts[0], f".{_text(given[1])}"),
}


def _text(argument: Expression) -> str:
    return argument.text or "" if isinstance(argument, Literal) else ""


def _number(argument: Expression) -> int | None:
    if not isinstance(argument, Literal) or argument.text is None:
        return None
    return int(argument.text)


def _most(arguments: _Arguments) -> int:
    return max(1, _number(arguments[1]) or 1)


# --- lists whose length a value says


def looked_at(function: str, arguments: Sequence[Expression]) -> int | None:
    """How many elements of its first argument a call looks at, if constants say it."""
    if function == "list_at_most":
        return _most(arguments) + 1  # one more is an error
    if function == "list_slice":
        start, count = (_number(a) for a in arguments[1:])
        if start is not None and count is not None and start > 0 and count >= 0:
            return max(1, start + count - 1)
    return None


def open_most(
    function: str, parts: Sequence[Sizes], arguments: Sequence[Expression], room: int | None
) -> int | None:
    """How many elements of such a list are made, of which `room` are looked at; None: unknown."""
    most = _OPEN_MOST[function](parts, arguments)
    known = [m for m in (most, room) if m is not None]
    return max(1, min(known)) if known else None


def sizes_of_open(
    function: str, parts: Sequence[Sizes], arguments: Sequence[Expression], room: int | None
) -> dict[str, int]:
    """The sizes of a list whose length a value says; `check_lists` refuses what has no bound."""
    element: Sizes = {} if function == "sequence" else parts[0]
    return list_sizes(open_most(function, parts, arguments, room) or 1, element)


def _most_steps(_: Sequence[Sizes], arguments: _Arguments) -> int | None:
    """None if an end is no constant; a sequence whose step leads away has no element."""
    if not all(_is_constant(a) for a in arguments[:2]):
        return None
    first, last = (_number_of(a) for a in arguments[:2])
    if not _is_constant(arguments[2]):
        return abs(last - first) + 1
    step = _number_of(arguments[2])
    return (last - first) // step + 1 if step else 1


def _most_parts(parts: Sequence[Sizes], arguments: _Arguments) -> int | None:
    mark, limit = plain_text(_text(arguments[1])), _number(arguments[2]) or 0
    if not mark:
        return None
    most = size_of(parts[0]) // len(mark.encode()) + 1
    return min(most, limit) if limit > 0 else most


_OPEN_MOST: Final[Mapping[str, Callable[[Sequence[Sizes], _Arguments], int | None]]] = {
    "sequence": _most_steps,
    "list_repeat": lambda _, given: _number(given[1]),
    "split": _most_parts,
}


def _number_of(argument: Expression) -> int:
    if isinstance(argument, Literal) and argument.type.name == "date":
        return date.fromisoformat(argument.text or "1970-01-01").toordinal()
    return _number(argument) or 0


def words_of_value(kind: DataType, sizes: Sizes) -> int:
    """How many words a value takes: `mc2.operators.handles.Layout`."""
    if kind.element is not None:
        return size_of(sizes) * (1 + words_of_value(kind.element, inside(sizes, "[]")))
    if kind.name == "struct":
        fields = (words_of_value(k, inside(sizes, f".{n}")) for n, k in kind.fields)
        return sum(1 + words for words in fields)
    if kind.has_width:
        return -(-size_of(sizes) // _WORD_BYTES) + 1
    return 1 + (kind.name == "decimal" and kind.precision > _WIDE_DIGITS)


def check_room(kind: DataType, sizes: Sizes, what: str, hint: str) -> None:
    """Check that a value is no larger than oblivious mode has room for. Raises: PlanError."""
    if kind.element is not None:
        check_room(kind.element, inside(sizes, "[]"), what, hint)
    for name, inner in kind.fields:
        check_room(inner, inside(sizes, f".{name}"), what, hint)
    nested = kind.name in {"list", "struct"}
    if nested and words_of_value(kind, sizes) > MOST_NESTED_WORDS:
        raise PlanError(
            f"{what} could take more than {MOST_NESTED_WORDS * _WORD_BYTES:,} bytes in a row",
            hint="say how many elements there are at most: at_most(x, 10), collect_list(x, 10)",
        )
    if not nested and kind.has_width and size_of(sizes) > _MOST_TEXT_BYTES:
        raise PlanError(f"{what} could have more than {_MOST_TEXT_BYTES} bytes", hint=hint)


def check_lists(
    function: str, parts: Sequence[Sizes], arguments: Sequence[Expression], room: int | None
) -> None:
    """Check that a list has a bound that everybody can know. Raises: PlanError."""
    if function not in OPEN:
        return
    if function == "split" and not plain_text(_text(arguments[1])):
        raise PlanError(
            "oblivious mode splits at a text, not at a pattern",
            hint='name one text, for example "," or "\\\\|", or run the job with mode="encrypted"',
        )
    if open_most(function, parts, arguments, room) is None:
        raise PlanError(
            f"only values say how long a {function} is, and oblivious mode needs room for it",
            hint="say how many elements there are at most: at_most(x, 10), or slice(x, 1, 10)",
        )


def _is_constant(argument: Expression) -> bool:
    return isinstance(argument, Literal) and argument.text is not None
