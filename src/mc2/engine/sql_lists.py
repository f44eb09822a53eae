"""Functions of lists and structs in DuckDB's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mc2.engine.routines import RANGE
from mc2.engine.routines_lists import LIST_ROUTINES, list_routine
from mc2.engine.sql_nested import positive_zero, sorted_list
from mc2.engine.sql_print import Print, let_all, template
from mc2.engine.sql_terms import Scribe, Term, cast_to, raising
from mc2.engine.sql_types import sql_type
from mc2.formats.schema import DataType
from mc2.plan.types import TYPE_CLASSES, has_parts

_PAIR: Final = 2
_EXACT: Final = TYPE_CLASSES["flat"] - TYPE_CLASSES["fraction"]
"""Elements that DuckDB finds as plans mean it: equal values have equal bits."""


def _list(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    return cast_to(f"[{', '.join(a.sql for a in arguments)}]", result)


def _element(*, strict: bool) -> Print:
    def write(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
        if not strict:
            return f"({arguments[0].sql})[{arguments[1].sql}]"

        def body(a: str, i: str) -> str:
            fails = raising(RANGE, result)
            # The place as a wider number: the least one has no absolute value of its own type.
            outside = f"{i} = 0 OR abs(CAST({i} AS BIGINT)) > len({a})"
            return f"CASE WHEN {outside} THEN {fails} ELSE ({a})[{i}] END"

        return let_all(scribe, arguments, body)

    return write


def _routine(name: str) -> Print:
    def write(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
        routine = list_routine(name, tuple(a.type for a in arguments), result)
        return scribe.call(routine, *(a.sql for a in arguments))

    return write


def _contains(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    if arguments[1].type.name not in _EXACT:
        return _routine("list_contains")(scribe, arguments, result)

    def body(a: str, x: str) -> str:
        absent = f"len(list_filter({a}, lambda e: e IS NULL)) > 0"
        return (
            f"CASE WHEN {a} IS NULL OR {x} IS NULL THEN CAST(NULL AS BOOLEAN) "
            f"WHEN list_contains({a}, {x}) THEN TRUE WHEN {absent} THEN CAST(NULL AS BOOLEAN) "
            "ELSE FALSE END"
        )

    return let_all(scribe, arguments, body)


def _sort(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    rising, first = (a.literal == "true" for a in arguments[1:])
    way = f"'{'ASC' if rising else 'DESC'}', 'NULLS {'FIRST' if first else 'LAST'}'"
    return sorted_list(arguments[0].sql, _element_of(result), way)


def _element_of(kind: DataType) -> DataType:
    if kind.element is None:
        raise RuntimeError("typing gives this function a list")
    return kind.element


def _extreme(name: str) -> Print:
    def write(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
        if not has_parts(result):
            return positive_zero(f"{name}({arguments[0].sql})", result)
        known = f"list_filter({arguments[0].sql}, lambda i: i IS NOT NULL)"
        place = 1 if name == "list_min" else -1
        return positive_zero(f"({sorted_list(known, result)})[{place}]", result)

    return write


def _with(form: str) -> Print:
    """A list with one element more; without a list, NULL."""

    def write(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
        def body(a: str, x: str) -> str:
            joined = cast_to(form.format(a, x), result)
            return f"CASE WHEN {a} IS NULL THEN CAST(NULL AS {sql_type(result)}) ELSE {joined} END"

        return let_all(scribe, arguments, body)

    return write


def lambda_of(names: Sequence[str], body: str) -> str:
    """A lambda as DuckDB's functions of lists take it."""
    return f"lambda {', '.join(names)}: ({body})"


def place_of(function: str, parameter: int, name: str) -> str:
    """A lambda's parameter: DuckDB counts places from 1, in integers of its own."""
    counts = function in {"list_map", "list_filter"} and parameter == 1
    return f"CAST({name} - 1 AS INTEGER)" if counts else name


def _at_most(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    most = arguments[1].literal

    def body(a: str) -> str:
        return f"CASE WHEN len({a}) > {most} THEN {raising(RANGE, result)} ELSE {a} END"

    return let_all(scribe, arguments[:1], body)


def _zip(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    def body(a: str, b: str) -> str:
        pairs = cast_to(f"list_zip({a}, {b})", result)  # a list that is NULL is empty to it
        return f"CASE WHEN {a} IS NOT NULL AND {b} IS NOT NULL THEN {pairs} END"

    return let_all(scribe, arguments, body)


def _reduce(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    start = cast_to(arguments[1].sql, arguments[1].type)

    def body(a: str) -> str:
        found = f"list_reduce({a}, {arguments[2].sql}, {start})"
        if len(arguments) == _PAIR + 1:
            return found
        return (
            f"CASE WHEN {a} IS NOT NULL THEN list_transform([{found}], {arguments[3].sql})[1] END"
        )

    return let_all(scribe, arguments[:1], body)


def _struct(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    values = zip(result.fields, arguments[1::_PAIR], strict=True)
    parts = ", ".join(f'"{name}" := {cast_to(v.sql, kind)}' for (name, kind), v in values)
    return f"struct_pack({parts})"


def _field(_scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    return f"struct_extract({arguments[0].sql}, '{arguments[1].literal}')"


LISTS: Final[Mapping[str, Print]] = {
    **{name: _routine(name) for name in LIST_ROUTINES},
    "list": _list,
    "list_size": template("CAST(len({0}) AS {type})"),
    "element": _element(strict=True),
    "element_or_null": _element(strict=False),
    "list_contains": _contains,
    "list_sort": _sort,
    "list_min": _extreme("list_min"),
    "list_max": _extreme("list_max"),
    "list_compact": template("list_filter({0}, lambda e: e IS NOT NULL)"),
    "list_append": _with("list_append({0}, {1})"),
    "list_prepend": _with("list_prepend({1}, {0})"),
    "list_at_most": _at_most,
    "list_zip": _zip,
    "list_map": template("list_transform({0}, {1})"),
    "list_filter": template("list_filter({0}, {1})"),
    "list_reduce": _reduce,
    "struct": _struct,
    "field": _field,
}
"""Printers by function."""
