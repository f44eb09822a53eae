"""Spark's functions of arrays and structs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.plan.types import BOOLEAN, INT32, STRING, common_type, is_integer, list_of
from mc2.planner.call_rules import (
    MANY,
    Arguments,
    Columns,
    Rule,
    apply,
    as_text,
    cast,
    choose,
    number,
    signed,
    text,
    text_literal,
)
from mc2.planner.typed import Typed, constant, convert, unify


def _array(arguments: Arguments, columns: Columns) -> Typed:
    return apply("list", unify(arguments, columns), columns)


def element_type(value: Typed) -> DataType:
    """The type of an array's elements. Raises: PlanError if it is none."""
    if value.type.element is None:
        raise PlanError(f"{value.type} is no array", hint="write array(...) around elements")
    return value.type.element


def _as_list(value: Typed, element: DataType, columns: Columns) -> Typed:
    return value if value.type.element == element else cast(value, list_of(element), columns)


def _with_element(function: str) -> Rule:
    """An array and an element, in their common type."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        element = element_type(arguments[0])
        if not arguments[1].untyped:
            element = common_type(element, arguments[1].type)
        pair = [
            _as_list(arguments[0], element, columns), convert(arguments[1], element, columns),
        ]  # fmt: skip
        return apply(function, pair, columns)

    return Rule(2, 2, build)


def _both(function: str) -> Rule:
    """Two arrays, in the common type of their elements."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        element = common_type(element_type(arguments[0]), element_type(arguments[1]))
        return apply(function, [_as_list(a, element, columns) for a in arguments], columns)

    return Rule(2, 2, build)


def element(value: Typed, place: Typed, columns: Columns) -> Typed:
    """`array[place]`, places counting from 0; one that is not there fails."""
    element_type(value)
    if place.literal is not None:
        at = number(_literal(place) + 1)
        if _literal(place) < 0:
            raise PlanError("places in an array count from 0", hint="use element_at(array, -1)")
        return apply("element", [value, at], columns)
    shifted = apply("add", [convert(place, INT32, columns), number(1)], columns)
    return apply("element", [value, _not_negative(shifted, columns)], columns)


def _literal(place: Typed) -> int:
    if place.literal is None or place.literal.text is None or not is_integer(place.type):
        raise PlanError("a place in an array is an integer")
    return int(place.literal.text)


def _not_negative(place: Typed, columns: Columns) -> Typed:
    """Places below the first become 0, which no array has."""
    return (
        apply("greatest", [place, number(0)], columns)
        if not place.nullable
        else _guarded(place, columns)
    )


def _guarded(place: Typed, columns: Columns) -> Typed:
    below = apply("lt", [place, number(0)], columns)
    return choose([(below, number(0))], place, columns)


def _element_at(function: str) -> Rule:
    def build(arguments: Arguments, columns: Columns) -> Typed:
        element_type(arguments[0])
        return apply(function, [arguments[0], convert(arguments[1], INT32, columns)], columns)

    return Rule(2, 2, build)


def _get(arguments: Arguments, columns: Columns) -> Typed:
    element_type(arguments[0])
    place = apply("add", [convert(arguments[1], INT32, columns), number(1)], columns)
    return apply("element_or_null", [arguments[0], _not_negative(place, columns)], columns)


def _sort(arguments: Arguments, columns: Columns) -> Typed:
    rising = arguments[1] if len(arguments) == 2 else constant(True, BOOLEAN)  # a value
    return apply("list_sort", [arguments[0], rising, rising], columns)


def _array_sort(arguments: Arguments, columns: Columns) -> Typed:
    yes, no = constant(True, BOOLEAN), constant(False, BOOLEAN)  # values
    return apply("list_sort", [arguments[0], yes, no], columns)


def _join(arguments: Arguments, columns: Columns) -> Typed:
    if element_type(arguments[0]) != STRING:
        raise PlanError("array_join is of texts", hint="write CAST(... AS ARRAY<STRING>)")
    return apply(
        "list_join", [arguments[0], *(as_text(a, columns) for a in arguments[1:])], columns
    )


def _sequence(arguments: Arguments, columns: Columns) -> Typed:
    first, last = unify(arguments[:2], columns)
    if first.type.name == "date":
        raise PlanError(
            "a sequence of dates is not here", hint="add the days of a sequence of integers"
        )
    step = arguments[2] if len(arguments) == 3 else None
    if step is None:
        up = apply("le", [first, last], columns)
        one, back = (constant(n, first.type) for n in (1, -1))
        step = choose([(up, one)], back, columns)
    return apply("sequence", [first, last, convert(step, first.type, columns)], columns)


def _repeat(arguments: Arguments, columns: Columns) -> Typed:
    value = convert(arguments[0], arguments[0].type, columns)
    return apply("list_repeat", [value, convert(arguments[1], INT32, columns)], columns)


def _named_struct(arguments: Arguments, columns: Columns) -> Typed:
    if len(arguments) % 2:
        raise PlanError("named_struct takes pairs", hint="named_struct('a', x, 'b', y)")
    values: list[Typed] = []
    for name, value in zip(arguments[::2], arguments[1::2], strict=True):
        values += [text(text_literal(name, "the name of a field", "a"))]
        values += [convert(value, value.type, columns)]
    return apply("struct", values, columns)


def struct_of(pairs: list[tuple[str, Typed]], columns: Columns) -> Typed:
    """A struct of named values."""
    return _named_struct([v for name, value in pairs for v in (text(name), value)], columns)


def field(value: Typed, name: str, columns: Columns) -> Typed:
    """A field of a struct, upper and lower case being the same. Raises: PlanError."""
    if value.type.name != "struct":
        raise PlanError(f"{value.type} has no fields")
    names = [n for n, _ in value.type.fields if n.casefold() == name.casefold()]
    if len(names) > 1:
        raise PlanError(f"{name!r} could be one of several fields")
    return apply("field", [value, text(names[0] if names else name)], columns)


def _struct(arguments: Arguments, columns: Columns) -> Typed:
    names: list[tuple[str, Typed]] = []
    for place, value in enumerate(arguments, 1):
        known = getattr(value.expression, "name", "")
        names.append((known or f"col{place}", value))
    return struct_of(names, columns)


LISTS: Final[Mapping[str, Rule]] = {
    "array": Rule(1, MANY, _array),
    "size": signed("list_size"),
    "cardinality": signed("list_size"),
    "array_size": signed("list_size"),
    "element_at": _element_at("element"),
    "try_element_at": _element_at("element_or_null"),
    "get": Rule(2, 2, _get),
    "array_contains": _with_element("list_contains"),
    "array_position": _with_element("list_position"),
    "array_remove": _with_element("list_remove"),
    "array_append": _with_element("list_append"),
    "array_prepend": _with_element("list_prepend"),
    "array_distinct": signed("list_distinct"),
    "array_compact": signed("list_compact"),
    "array_max": signed("list_max"),
    "array_min": signed("list_min"),
    "array_union": _both("list_union"),
    "array_intersect": _both("list_intersect"),
    "array_except": _both("list_except"),
    "arrays_overlap": _both("list_overlap"),
    "array_join": Rule(2, 3, _join),
    "array_repeat": Rule(2, 2, _repeat),
    "array_sort": Rule(1, 1, _array_sort),
    "sort_array": Rule(1, 2, _sort),
    "slice": signed("list_slice"),
    "at_most": signed("list_at_most"),
    "flatten": signed("flatten"),
    "reverse": signed("reverse"),
    "sequence": Rule(2, 3, _sequence),
    "named_struct": Rule(2, MANY, _named_struct),
    "struct": Rule(1, MANY, _struct),
}
"""Rules by Spark's name."""
