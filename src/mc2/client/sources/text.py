"""Values as text, in both directions: what CSV files hold. Spec: docs/spec/schema.md, "Text".

`to_text` writes the one spelling of a value; `from_text` reads that and a few common others, and
refuses whatever would lose a digit. NULL is no text: it stays NULL in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from mc2.errors import DatasetError, UsageError
from mc2.formats.arrow import arrow_type
from mc2.formats.schema import DataType

_DATE: Final = (
    r"(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}"  # years 1 to 9999
)
_TIME: Final = r"[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
_ZONE: Final = r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
_NUMBER: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_INFINITE: Final = r"(?i)^[+-]?inf(?:inity)?$"
_INTEGER: Final = r"^-?[0-9]+$"

GRAMMAR: Final = {
    "boolean": r"(?i)^(?:true|false|0|1)$",
    "int8": _INTEGER,
    "int16": _INTEGER,
    "int32": _INTEGER,
    "int64": _INTEGER,
    "decimal": rf"^{_NUMBER}$",
    "float": rf"^(?:{_NUMBER}|[+-]?(?i:inf|infinity|nan))$",
    "double": rf"^(?:{_NUMBER}|[+-]?(?i:inf|infinity|nan))$",
    "date": rf"^{_DATE}$",
    "timestamp": rf"^{_DATE}(?:{_TIME})?$",
    "timestamp_utc": rf"^{_DATE}{_TIME}{_ZONE}$",
    "binary": r"^\\x(?:[0-9a-fA-F]{2})*$",
}
"""What a column that is declared with a type may hold, in RE2's syntax; strings hold anything."""

_ONE_SPELLING: Final = frozenset({"int8", "int16", "int32", "int64", "date"})

_FIRST_DAY: Final = -719162  # 0001-01-01
_LAST_DAY: Final = 2932896  # 9999-12-31
_DAY_MICROSECONDS: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stretch of values stands, for messages: `first_row` counts from 1."""

    table: str
    column: str
    first_row: int


def from_text(place: Place, texts: pa.StringArray, kind: DataType) -> pa.Array:
    """Read texts as values of a type, exactly. Raises: DatasetError with the first bad row."""
    if kind.name == "string":
        return texts
    if kind.name not in GRAMMAR:
        raise UsageError(
            f"{place.table}: text does not hold a {kind} (column {place.column!r})",
            hint="bring nested columns as Parquet or Arrow",
        )
    if (values := read_plain(texts, kind)) is not None:
        return values
    spelled = pc.match_substring_regex(texts, GRAMMAR[kind.name])
    bad = pc.index(spelled, False).as_py()
    if bad < 0:
        bad, values = _cast(texts, kind)
        if bad < 0:
            return values
    raise DatasetError(
        f"{place.table}: column {place.column!r} has in row {place.first_row + bad}"
        f" a text that is no {kind}",
        hint=f"correct that row, or declare another type, as in '{place.column}:string'",
    )


def read_plain(texts: pa.StringArray, kind: DataType) -> pa.Array | None:
    """The values of whole numbers and dates, if each is spelled as `to_text` would spell it.

    Writing them again and comparing is several times faster than a regular expression.
    """
    if kind.name not in _ONE_SPELLING:
        return None
    try:
        values = texts.cast(arrow_type(kind))
        if kind.name == "date":
            ends = pc.min_max(values.cast(pa.int32())).as_py()
            if (
                ends["min"] is not None
                and not _FIRST_DAY <= ends["min"] <= ends["max"] <= _LAST_DAY
            ):
                return None
        return values if values.cast(pa.string()).equals(texts) else None
    except (pa.ArrowException, ValueError):
        return None


def read_spelled(texts: pa.StringArray, kind: DataType) -> pa.Array | None:
    """The values of texts that fit the grammar of a type; None if one of them has none."""
    try:
        return _cast_all(texts, kind)
    except (pa.ArrowException, ValueError):
        return None


def _cast(texts: pa.StringArray, kind: DataType) -> tuple[int, pa.Array]:
    """The values, or the index of the first text that has none."""
    try:
        return -1, _cast_all(texts, kind)
    except (pa.ArrowException, ValueError):
        # Halve until one row is left: Arrow does not say which row it was.
        start, length = 0, len(texts)
        while length > 1:
            half = length // 2
            try:
                _cast_all(texts.slice(start, half), kind)
            except (pa.ArrowException, ValueError):
                length = half
            else:
                start, length = start + half, length - half
        return start, texts


def _cast_all(texts: pa.StringArray, kind: DataType) -> pa.Array:
    if kind.name == "binary":
        raw = [None if t is None else bytes.fromhex(t[2:]) for t in texts.to_pylist()]
        return pa.array(raw, pa.binary())
    if kind.name == "boolean":
        texts = pc.utf8_lower(texts)
    found = texts.cast(arrow_type(kind))
    if kind.name in {"float", "double"}:
        # Arrow reads 1e999 as infinity, which is not what was written.
        infinite = pc.is_inf(found)
        if pc.any(infinite).as_py():
            named = pc.match_substring_regex(texts, _INFINITE)
            if pc.any(pc.and_not(infinite, named)).as_py():
                raise ValueError
    return found


def to_text(place: Place, values: pa.Array, kind: DataType) -> pa.StringArray:
    """The texts of values. Raises: DatasetError for a date that text does not hold."""
    if kind.name == "decimal":
        return _decimal_text(values, kind.scale)
    if kind.name == "binary":
        return pa.array([None if v is None else "\\x" + v.hex() for v in values.to_pylist()])
    if kind.name in {"list", "struct"}:
        raise UsageError(
            f"{place.table}: text does not hold a {kind} (column {place.column!r})",
            hint="write Parquet or Arrow instead",
        )
    if kind.name in {"date", "timestamp", "timestamp_utc"}:
        _check_years(place, values, kind)
    return values.cast(pa.string())


def _decimal_text(values: pa.Array, scale: int) -> pa.StringArray:
    """Plain digits: Arrow would write small decimals with an exponent."""
    whole = pa.Array.from_buffers(
        pa.decimal128(38, 0), len(values), values.buffers(), values.null_count, values.offset
    ).cast(pa.string())
    if scale == 0:
        return whole
    sign = pc.if_else(pc.starts_with(whole, "-"), "-", "")
    digits = pc.utf8_lpad(pc.utf8_ltrim(whole, "-"), scale + 1, "0")
    before = pc.utf8_slice_codeunits(digits, 0, -scale)
    after = pc.utf8_slice_codeunits(digits, -scale)
    return pc.binary_join_element_wise(sign, before, ".", after, "")


def _check_years(place: Place, values: pa.Array, kind: DataType) -> None:
    unit = 1 if kind.name == "date" else _DAY_MICROSECONDS
    ends = pc.min_max(values.cast(pa.int32() if unit == 1 else pa.int64())).as_py()
    if ends["min"] is None:
        return
    if ends["min"] < _FIRST_DAY * unit or ends["max"] >= (_LAST_DAY + 1) * unit:
        raise DatasetError(
            f"{place.table}: column {place.column!r} has a {kind} outside the years 1 to 9999",
            hint="text does not hold it: write Parquet or Arrow instead",
        )
