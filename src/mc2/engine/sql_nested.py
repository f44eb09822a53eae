"""Lists and structs as plans compare them, in DuckDB's words.

They compare part by part from the left, a shorter list before a longer one that starts with it.
NULL inside of them equals NULL and comes before every value, for which DuckDB has no word: it
takes such a NULL for the greatest value. So wherever an order counts, DuckDB is given a key
instead, in which each part stands behind whether there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from mc2.engine.sql_terms import cast_to
from mc2.formats.schema import DataType
from mc2.plan.types import TYPE_CLASSES, has_parts, holds_floats, list_of

_Leaf = Callable[[str, DataType], str]
_KEY: Final = "(CASE WHEN {0} IS NOT NULL THEN struct_pack(k := {1}, v := {0}) END)"


def positive_zero(sql: str, kind: DataType) -> str:
    """A value with 0.0 for -0.0: both are equal, so which one comes first must not matter."""
    return _mapped(sql, kind, _plus_zero) if holds_floats(kind) else sql


def alike(sql: str, kind: DataType) -> str:
    """A value with the same bits for all that compare as equal; floats are doubles in it."""
    return _mapped(sql, kind, _one_nan) if holds_floats(kind) else sql


def signs(sql: str, kind: DataType) -> str:
    """Which floats of a value are negative or -0.0: what else tells apart those that are equal."""
    return _mapped(sql, kind, lambda v, _: f"signbit({v})")


def order_key(sql: str, kind: DataType) -> str:
    """What DuckDB orders as plans order the value; NULL for NULL."""
    return _key(sql, kind, 0) if has_parts(kind) else sql


def sorted_list(sql: str, element: DataType, way: str = "'ASC', 'NULLS FIRST'") -> str:
    """A list in order of its elements; `way` as DuckDB's `list_sort` takes it."""
    if not has_parts(element):
        return f"list_sort({sql}, {way})"
    keyed = f"list_transform({sql}, lambda i: {_KEY.format('i', order_key('i', element))})"
    return f"list_transform(list_sort({keyed}, {way}), lambda i: struct_extract(i, 'v'))"


def _plus_zero(sql: str, kind: DataType) -> str:
    return f"({sql} + {cast_to('0', kind)})"


def _one_nan(sql: str, kind: DataType) -> str:
    return f"(CASE WHEN isnan({sql}) THEN 'NaN'::DOUBLE ELSE {_plus_zero(sql, kind)}::DOUBLE END)"


def _mapped(sql: str, kind: DataType, leaf: _Leaf, depth: int = 0) -> str:
    """A value with `leaf` of each float inside it."""
    if kind.name in TYPE_CLASSES["fraction"]:
        return leaf(sql, kind)
    if not holds_floats(kind):
        return sql
    name = f"m{depth}"
    if kind.element is not None:
        inner = _mapped(name, kind.element, leaf, depth + 1)
        return f"list_transform({sql}, lambda {name}: {inner})"
    parts = (f'"{n}" := {_mapped(_field(name, n), t, leaf, depth + 1)}' for n, t in kind.fields)
    return _named(sql, name, f"struct_pack({', '.join(parts)})")


def _key(sql: str, kind: DataType, depth: int) -> str:
    if not has_parts(kind):
        return sql
    name = f"k{depth}"
    if kind.element is not None:
        return f"list_transform({sql}, lambda {name}: {_known(name, kind.element, depth + 1)})"
    parts = (
        f"f{i} := {_known(_field(name, n), t, depth + 1)}" for i, (n, t) in enumerate(kind.fields)
    )
    return _named(sql, name, f"struct_pack({', '.join(parts)})")


def _known(sql: str, kind: DataType, depth: int) -> str:
    """Whether a part is there, and then the part."""
    return f"struct_pack(n := {sql} IS NOT NULL, v := {_key(sql, kind, depth)})"


def _field(sql: str, name: str) -> str:
    return f"struct_extract({sql}, '{name}')"


def _named(sql: str, name: str, body: str) -> str:
    """`body` over a value by name, and NULL for NULL."""
    whole = f"CASE WHEN {name} IS NOT NULL THEN {body} END"
    return f"list_transform([{sql}], lambda {name}: {whole})[1]"


def extreme(name: str, sql: str, kind: DataType, over: str = "") -> str:
    """`min`, `max`, `bool_and` or `bool_or` of a column, perhaps over a window."""
    if not has_parts(kind):
        return positive_zero(f"{name}({sql}){over}", kind)
    return f"arg_{name}({positive_zero(sql, kind)}, {order_key(sql, kind)}){over}"


def chosen(name: str, arguments: Sequence[str], kind: DataType) -> str:
    """The `least` or `greatest` of some lists or structs that are not NULL; NULL if all are."""
    listed = cast_to(f"[{', '.join(arguments)}]", list_of(kind))
    ordered = sorted_list(f"list_filter({listed}, lambda i: i IS NOT NULL)", kind)
    return positive_zero(f"({ordered})[{1 if name == 'least' else -1}]", kind)
