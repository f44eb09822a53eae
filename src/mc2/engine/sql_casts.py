"""Casts with Spark's ANSI rules: unlike DuckDB they cut numbers and read text strictly.

Each rule names its operand once. Text that does not match its pattern becomes the empty text, which
no type accepts: so a strict cast fails and the other kind gives NULL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mc2.engine.routines_casts import SHOWN as _SHOWN
from mc2.engine.routines_casts import shown
from mc2.engine.sql_terms import Scribe, Term, cast_to
from mc2.engine.sql_types import sql_string, sql_type
from mc2.formats.schema import DataType
from mc2.plan.types import (
    DOUBLE,
    INT32,
    INTEGER_BITS,
    TIMESTAMP,
    TYPE_CLASSES,
    as_decimal,
    is_integer,
)

_SPACE: Final = "[ \\t\\n\\r]*"
_PATTERNS: Final = {
    **dict.fromkeys(INTEGER_BITS, "[+-]?[0-9]+"),
    **dict.fromkeys(
        ("float", "double"),
        "[+-]?(?:[0-9]+(?:\\.[0-9]*)?|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?|NaN|[+-]?Infinity",
    ),
    "decimal": "[+-]?(?:[0-9]+(?:\\.[0-9]*)?|\\.[0-9]+)",
    "boolean": "(?i:t|true|y|yes|1|f|false|n|no|0)",
    "date": "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}",
    "timestamp": "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    "(?:[ T][0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\\.[0-9]{1,6})?)?",
}
"""What text each type is read from (docs/spec/plan.md, section "Casts")."""

_EXACT_DIGITS: Final = 15  # a decimal of so many digits is an exact quotient of two doubles


def cast(scribe: Scribe, term: Term, kind: DataType, *, strict: bool) -> str:
    """The SQL of a cast between types that `mc2.plan.typing` allows."""
    if term.type == kind:
        return term.sql
    if kind.element is not None:
        return _list(scribe, term, kind, strict=strict)
    if kind.name == "struct":
        return _struct(scribe, term, kind, strict=strict)
    if kind.name == "string" and term.type.name in _SHOWN:
        return scribe.call(shown(term.type, strict=strict), term.sql)
    if _classes(term.type, kind) == ("fraction", "decimal"):
        return _by_shortest_text(scribe, term, kind, strict=strict)
    return _simple(term, kind, strict=strict)


def _list(scribe: Scribe, term: Term, kind: DataType, *, strict: bool) -> str:
    name = scribe.name()
    inner, target = term.type.element, kind.element
    if inner is None or target is None:
        raise RuntimeError("typing lets lists become lists only")
    element = Term(name, inner, nullable=True, simple=True)
    return (
        f"list_transform({term.sql}, lambda {name}: {cast(scribe, element, target, strict=strict)})"
    )


def _struct(scribe: Scribe, term: Term, kind: DataType, *, strict: bool) -> str:
    def body(value: str) -> str:
        parts = []
        for (old, inner), (new, target) in zip(term.type.fields, kind.fields, strict=True):
            part = Term(f"struct_extract({value}, '{old}')", inner, nullable=True, simple=True)
            parts.append(f'"{new}" := {cast_to(cast(scribe, part, target, strict=strict), target)}')
        packed = f"struct_pack({', '.join(parts)})"
        return f"CASE WHEN {value} IS NOT NULL THEN {packed} END"

    return f"({scribe.let(term, body)})"


def _simple(term: Term, kind: DataType, *, strict: bool) -> str:
    source = term.type
    if source.name == "string":
        return _from_text(term, kind, strict=strict)
    if kind.name == "string":
        shown = f"CAST({term.sql} AS VARCHAR)"
        if source.name == "decimal" and source.precision == source.scale:
            # DuckDB leaves out the zero before the point of a type without digits there.
            return f"regexp_replace({shown}, '^(-?)[.]', '\\10.')"
        return shown
    if source.name == "boolean":
        return cast_to(cast_to(term.sql, INT32), kind, strict=strict)
    if kind.name == "boolean":
        return f"({term.sql} <> CAST('0' AS {sql_type(source)}))"
    return _RULES.get(_classes(source, kind), _plain)(term, kind, strict)


def never_fails(source: DataType, kind: DataType) -> bool:
    """Whether a cast succeeds for every value."""
    if source.element is not None and kind.element is not None:
        return never_fails(source.element, kind.element)
    if source.name == "struct" and source != kind:
        pairs = zip(source.fields, kind.fields, strict=True)
        return all(never_fails(a, b) for (_, a), (_, b) in pairs)
    if source == kind or kind.name in {"boolean", "string"}:
        return source == kind or source.name not in {"string", "binary"}
    return source.name != "string" and _holds(source, kind)


def _holds(source: DataType, kind: DataType) -> bool:
    """Whether a type of numbers, dates or times holds every value of another."""
    if kind.name in TYPE_CLASSES["fraction"]:
        return (source.name, kind.name) != ("double", "float")
    if is_integer(kind):
        return source.name == "boolean" or (
            is_integer(source) and INTEGER_BITS[source.name] <= INTEGER_BITS[kind.name]
        )
    if kind.name == "decimal" and (is_integer(source) or source.name == "decimal"):
        held = as_decimal(source)
        return (
            held.scale <= kind.scale and held.precision - held.scale <= kind.precision - kind.scale
        )
    return kind.name == "date" or source.name in TYPE_CLASSES["instant"]


def _classes(source: DataType, kind: DataType) -> tuple[str, str]:
    return _class(source), _class(kind)


def _class(kind: DataType) -> str:
    if is_integer(kind):
        return "integer"
    return "fraction" if kind.name in TYPE_CLASSES["fraction"] else kind.name


def _plain(term: Term, kind: DataType, strict: bool) -> str:  # noqa: FBT001  # one of a table
    return cast_to(term.sql, kind, strict=strict)


def _cut(term: Term, kind: DataType, strict: bool) -> str:  # noqa: FBT001  # one of a table
    return cast_to(f"trunc({term.sql})", kind, strict=strict)


def _by_shortest_text(scribe: Scribe, term: Term, kind: DataType, *, strict: bool) -> str:
    """A double counts as its shortest decimal text, as in Spark: 0.285 rounds to 0.29.

    DuckDB's reader of decimals miscounts digits of numbers with an exponent: it takes 5.1e18 for
    18 digits, and 5e-5 for too many where all stand after the point. So they are written out.
    """

    def body(value: str) -> str:
        text = f"CAST({cast_to(value, DOUBLE)} AS VARCHAR)"
        power = f"CAST(regexp_extract({text}, 'e(.*)$', 1) AS INTEGER)"
        digits = f"regexp_replace({text}, '[-.]|e.*$', '', 'g')"
        below = f"'0.' || repeat('0', -1 - {power}) || {digits}"
        plain = f"CASE WHEN {power} < 0 THEN {below} ELSE rpad({digits}, 1 + {power}, '0') END"
        sign = f"CASE WHEN {value} < 0 THEN '-' ELSE '' END"
        small, large = f"{value} <> 0 AND abs({value}) < 1e-4", f"abs({value}) >= 1e16"
        shown = f"({small} OR {large}) AND isfinite({value})"  # with an exponent
        whole = f"CASE WHEN {shown} THEN {sign} || {plain} ELSE {text} END"
        return cast_to(whole, kind, strict=strict)

    return f"({scribe.let(term, body)})"


def _to_fraction(term: Term, kind: DataType, strict: bool) -> str:  # noqa: FBT001  # one of a table
    if kind == DOUBLE and term.type.precision <= _EXACT_DIGITS:
        return cast_to(term.sql, kind, strict=strict)
    return cast_to(f"CAST({term.sql} AS VARCHAR)", kind, strict=strict)


_RULES: Final[dict[tuple[str, str], Callable[[Term, DataType, bool], str]]] = {
    ("fraction", "integer"): _cut,
    ("decimal", "integer"): _cut,
    ("decimal", "fraction"): _to_fraction,
}


def _from_text(term: Term, kind: DataType, *, strict: bool) -> str:
    if kind.name == "binary":
        return f"encode({term.sql})"
    zoned = kind.name == "timestamp_utc"
    pattern = _PATTERNS["timestamp" if zoned else kind.name]
    whole = f"^{_SPACE}({pattern}){'Z?' if zoned else ''}{_SPACE}$"
    found = f"regexp_extract({term.sql}, {sql_string(whole)}, 1)"
    return cast_to(found, TIMESTAMP if zoned else kind, strict=strict)
