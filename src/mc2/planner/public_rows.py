"""Public tables: rows that a script itself holds, for everybody to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from mc2.errors import FormatError, PlanError
from mc2.formats.schema import DECIMAL_DIGITS, DataType, decimal, parse_type
from mc2.plan.expressions import Literal, literal
from mc2.plan.relations import VALUES_ROWS, Values

_SHAPE_HINT: Final = 'write {"code": ["a", "b"], "rate": [1, 2]}, or a list of rows, each a dict'
_KINDS: Final[Mapping[type, str]] = {
    bool: "boolean",
    int: "int64",
    float: "double",
    str: "string",
    bytes: "binary",
    date: "date",
}


def public_rows(data: object, types: Mapping[str, str] | None = None) -> Values:
    """Rows as an operation of the plan, which everybody reads; `types` where Python's do not do.

    Raises: PlanError.
    """
    columns = _columns(data)
    unknown = set(types or {}) - set(columns)
    if unknown:
        raise PlanError(f"there is no column {min(unknown)!r} to give a type to")
    sizes = {len(values) for values in columns.values()}
    if len(sizes) != 1:
        raise PlanError("the columns of a public table are of different lengths")
    if not 1 <= max(sizes) <= VALUES_ROWS:
        raise PlanError(
            f"a public table in a script has 1 to {VALUES_ROWS} rows",
            hint="upload a larger one as a dataset: mc2 upload",
        )
    found = [_column(name, values, types or {}) for name, values in columns.items()]
    return Values(tuple(columns), tuple(zip(*found, strict=True)))


def _columns(data: object) -> dict[str, Sequence[Any]]:
    if isinstance(data, Mapping):
        columns = dict(data)
    elif isinstance(data, (list, tuple)) and data and all(isinstance(r, Mapping) for r in data):
        names = list(data[0])
        if any(list(row) != names for row in data):
            raise PlanError("the rows of a public table have other names, or in another order")
        columns = {name: [row[name] for row in data] for name in names}
    else:
        raise PlanError("a public table is given as its rows or columns", hint=_SHAPE_HINT)
    if not columns or not all(
        isinstance(n, str) and isinstance(v, (list, tuple)) for n, v in columns.items()
    ):
        raise PlanError("a public table has columns, each a list with a name", hint=_SHAPE_HINT)
    return columns


def _column(name: str, values: Sequence[Any], types: Mapping[str, str]) -> list[Literal]:
    try:
        kind = parse_type(types[name]) if name in types else _type_of(values)
        return [_literal(value, kind) for value in values]
    except (FormatError, PlanError) as error:
        raise PlanError(f"column {name!r} of a public table: {error}", hint=error.hint) from None


def _type_of(values: Sequence[Any]) -> DataType:
    """The one type that Python's values have. Raises: PlanError."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return DataType("double")
    if len(kinds) != 1:
        raise PlanError(
            "its values are of no type, or of several",
            hint='give it one: types={"rate": "decimal(9,2)"}',
        )
    kind = kinds.pop()
    if kind is Decimal:
        scale = max(max(0, -int(v.as_tuple().exponent)) for v in values if v is not None)
        return decimal(DECIMAL_DIGITS, scale)
    if kind is datetime:
        zones = {value.tzinfo is not None for value in values if value is not None}
        if len(zones) != 1:
            raise PlanError("some of its moments have a zone, and others none")
        return DataType("timestamp_utc" if zones.pop() else "timestamp")
    if kind not in _KINDS:
        raise PlanError(f"it holds values of Python's type {kind.__name__}")
    return DataType(_KINDS[kind])


def _literal(value: Any, kind: DataType) -> Literal:
    if kind.name in {"double", "float"} and isinstance(value, int) and not isinstance(value, bool):
        if int(float(value)) != value:
            raise PlanError("a whole number in it is no double")
        value = float(value)
    if kind.name == "decimal" and isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    return literal(value, kind)
