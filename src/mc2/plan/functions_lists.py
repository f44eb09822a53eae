"""Functions of lists (arrays) and structs. Places in lists count from 1 but where said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mc2.errors import FormatError, PlanError
from mc2.formats.schema import DataType, parse_type
from mc2.plan.signatures import Argument, Arguments, Nulls, Signature, define, signature
from mc2.plan.types import BOOLEAN, INT32, list_of

_OF_LIST: Final = "list<T>, list<T> -> list<T> where T: ordered"
_PAIR: Final = 2


def _struct(arguments: Arguments) -> DataType:
    names = [a.literal.text for a in arguments[::_PAIR] if a.literal is not None]
    parts = (f"{n}:{a.type}" for n, a in zip(names, arguments[1::_PAIR], strict=True))
    try:
        return parse_type(f"struct<{','.join(parts)}>")
    except FormatError:
        raise PlanError(
            "a field of a struct has a name that may not be, or two have one",
            hint="names start with a letter, and hold letters, digits and _ only",
        ) from None


@dataclass(frozen=True, slots=True)
class _StructSignature(Signature):
    """Pairs of a literal name and a value of any type."""

    def match(self, arguments: Arguments) -> DataType | None:
        names = arguments[::_PAIR]
        whole = len(arguments) >= _PAIR and len(arguments) % _PAIR == 0
        if not whole or not all(_is_name(a) for a in names):
            return None
        return _struct(arguments)


def _is_name(argument: Argument) -> bool:
    fixed = argument.literal
    return argument.type.name == "string" and fixed is not None and fixed.text is not None


@dataclass(frozen=True, slots=True)
class _FieldSignature(Signature):
    """A struct and the literal name of one of its fields."""

    def match(self, arguments: Arguments) -> DataType | None:
        if len(arguments) != _PAIR or arguments[0].type.name != "struct":
            return None
        fields = dict(arguments[0].type.fields)
        if arguments[1].text not in fields:
            raise PlanError(
                f"the struct has no field {arguments[1].text[:63]!r}",
                hint=f"its fields are {', '.join(fields)}",
            )
        return fields[arguments[1].text]


def _check_most(arguments: Arguments) -> None:
    if int(arguments[1].text) < 1:
        raise PlanError("at most so many elements are 1 or more", hint="at_most(x, 100)")


def _zipped(arguments: Arguments) -> DataType:
    parts = zip(("first", "second"), (a.type.element for a in arguments), strict=True)
    return parse_type(f"list<struct<{','.join(f'{n}:{t}' for n, t in parts)}>>")


def _element(arguments: Arguments) -> Arguments:
    """An element of the first argument, and its place."""
    element = arguments[0].type.element
    if element is None:
        raise PlanError(f"a {arguments[0].type} is no list")
    return Argument(element, nullable=True), Argument(INT32, nullable=False)


def _step(arguments: Arguments) -> Arguments:
    """What came of the elements before one, and that one."""
    return _so_far(arguments)[0], _element(arguments)[0]


def _so_far(arguments: Arguments) -> Arguments:
    return (Argument(arguments[1].type, nullable=True),)


@dataclass(frozen=True, slots=True)
class _MapSignature(Signature):
    """A list, and what each element becomes."""

    def match(self, arguments: Arguments) -> DataType | None:
        return list_of(arguments[1].type) if len(arguments) == _PAIR else None


@dataclass(frozen=True, slots=True)
class _FilterSignature(Signature):
    """A list, and whether an element stays."""

    def match(self, arguments: Arguments) -> DataType | None:
        fits = len(arguments) == _PAIR and arguments[1].type == BOOLEAN
        return arguments[0].type if fits else None


@dataclass(frozen=True, slots=True)
class _ReduceSignature(Signature):
    """A list, where to start, a step that gives the same type again, and perhaps a last one."""

    def match(self, arguments: Arguments) -> DataType | None:
        if len(arguments) not in {_PAIR + 1, _PAIR + 2}:
            return None
        return arguments[-1].type if arguments[1].type == arguments[2].type else None


_MAP: Final = _MapSignature("list<T>, (T, int32) => U -> list<U>", (), 0, {}, "")
_FILTER: Final = _FilterSignature("list<T>, (T, int32) => boolean -> list<T>", (), 0, {}, "")
_REDUCE: Final = (
    _ReduceSignature("list<T>, U, (U, T) => U -> U", (), 0, {}, ""),
    _ReduceSignature("list<T>, U, (U, T) => U, (U) => V -> V", (), 0, {}, ""),
)
_NAMED: Final = _StructSignature("string, T...2 -> struct", (), 0, {}, "")
_FIELD: Final = _FieldSignature("struct, string -> the field's type", (), 0, {}, "")

LISTS: Final = (
    define("list", "T... -> list<T> where T: any", "a list of these elements", Nulls.NEVER),
    define("list_size", "list<T> -> int32 where T: any", "how many elements"),
    define("element", "list<T>, int32 -> T where T: any",
           "the element at a place, from the end if negative", Nulls.MAYBE,
           fails="there is no such place"),
    define("element_or_null", "list<T>, int32 -> T where T: any",
           "the element at a place, from the end if negative; NULL if there is none", Nulls.MAYBE),
    define("list_contains", "list<T>, T -> boolean where T: ordered",
           "an element equals the second; NULL if none does and one is NULL", Nulls.MAYBE),
    define("list_position", "list<T>, T -> int64 where T: ordered",
           "place of the first element that equals the second; 0 if none"),
    define("list_distinct", "list<T> -> list<T> where T: ordered",
           "each element once, in order of the first"),
    define("list_sort", "list<T>, boolean, boolean -> list<T> where T: ordered",
           "sorted; ascending if the second is true, NULL first if the third is",
           literals=(1, 2)),
    define("list_min", "list<T> -> T where T: ordered", "the least element", Nulls.MAYBE),
    define("list_max", "list<T> -> T where T: ordered", "the greatest element", Nulls.MAYBE),
    define("list_union", _OF_LIST, "elements of both, each once"),
    define("list_intersect", _OF_LIST, "elements of the first that are in the second, each once"),
    define("list_except", _OF_LIST, "elements of the first that are not in the second, each once"),
    define("list_overlap", "list<T>, list<T> -> boolean where T: ordered",
           "an element that is not NULL is in both; NULL if none is, both have elements, and one "
           "is NULL", Nulls.MAYBE),
    define("list_remove", "list<T>, T -> list<T> where T: ordered",
           "without elements that equal the second"),
    define("list_compact", "list<T> -> list<T> where T: any", "without elements that are NULL"),
    define("list_append", "list<T>, T -> list<T> where T: any",
           "with another element at the end", Nulls.FIRST),
    define("list_prepend", "list<T>, T -> list<T> where T: any",
           "with another element at the start", Nulls.FIRST),
    define("list_slice", "list<T>, int32, int32 -> list<T> where T: any",
           "from a place, from the end if negative, so many elements",
           fails="the place is zero, or there are fewer than none"),
    define("list_at_most", "list<T>, int32 -> list<T> where T: any",
           "the first, which has at most so many elements", literals=(1,), check=_check_most,
           fails="it has more"),
    define("list_repeat", "T, int32 -> list<T> where T: any", "the first so many times",
           Nulls.MAYBE),
    define("list_join", ("list<string>, string -> string",
                         "list<string>, string, string -> string"),
           "elements, with the second between them; NULL left out, or as the third"),
    define("flatten", "list<list<T>> -> list<T> where T: any",
           "elements of the elements; NULL if one of these is", Nulls.MAYBE),
    define("sequence", ("T, T, T -> list<T> where T: integer", "date, date, int32 -> list<date>"),
           "from the first to the second, each so much (days) after the one before",
           fails="the step leads away, or there are more than 100,000"),
    define("list_zip",
           signature("list<T>, list<U> -> list<struct<first:T,second:U>> where T: any; U: any",
                     _zipped),
           "elements of both by their places; NULL beside what the other has more"),
    define("list_map", _MAP,
           "what the lambda gives for each element and its place, from 0", Nulls.FIRST,
           lambdas={1: _element}),
    define("list_filter", _FILTER,
           "elements for which, with their places from 0, the lambda gives true", Nulls.FIRST,
           lambdas={1: _element}),
    define("list_reduce", _REDUCE,
           "the second, then what the lambda gives for that and the next element, to the last "
           "element; then what the last lambda gives for it", Nulls.MAYBE,
           lambdas={2: _step, 3: _so_far}),
    define("struct", _NAMED, "a struct of these names and values", Nulls.NEVER),
    define("field", _FIELD, "a field of a struct", Nulls.MAYBE, literals=(1,)),
)  # fmt: skip
"""Lists and structs."""
