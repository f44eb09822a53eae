"""Literals: one exact spelling for each value of each type, and back.

A plan holds no floating-point number: `0.1` stands as the text `0.1`, the shortest that reads
back as the same bits, so that no JSON reader can round it.
"""

from __future__ import annotations

import math
import re
import struct
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final, TypeAlias

from mc2.errors import FormatError, PlanError
from mc2.formats.fields import from_base64, to_base64
from mc2.formats.schema import DataType
from mc2.plan.types import INTEGER_BITS, integer_range

Value: TypeAlias = bool | int | float | Decimal | str | bytes | date | datetime

_INTEGER: Final = re.compile(r"(?:0|-?[1-9][0-9]{0,18})\Z")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?\Z")
_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_LONGEST_DECIMAL: Final = 41  # 38 digits, a sign, a point and a leading zero
_EXACT: Final = Context(prec=100, rounding=ROUND_HALF_UP)


def float_text(value: float) -> str:
    """The one spelling of a double: Python's shortest, or NaN, Infinity, -Infinity."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def parse_float(text: str) -> float:
    """Read what `float_text` wrote. Raises: PlanError."""
    if text in _SPECIAL:
        return _SPECIAL[text]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value) or float_text(value) != text:
        raise PlanError("a floating-point number is not in its one exact spelling")
    return value


def literal_text(value: Value, kind: DataType) -> str:
    """The one spelling of a value of a type. Raises: PlanError if the type does not hold it."""
    if isinstance(value, str) != (kind.name == "string"):
        raise PlanError(f"a {type(value).__name__} is no value of type {kind}")
    text = _spell(value, kind)
    literal_value(text, kind)
    return text


def _spell(value: Value, kind: DataType) -> str:
    match value:
        case bool() | float():
            return float_text(value) if isinstance(value, float) else str(value).lower()
        case int() | Decimal():
            if kind.name in INTEGER_BITS and isinstance(value, int):
                return str(value)
            return _spell_decimal(Decimal(value), kind.scale)
        case bytes():
            return to_base64(value)
        case datetime() | date():
            return _spell_moment(value)
        case str():
            return value


def _spell_decimal(value: Decimal, scale: int) -> str:
    if not value.is_finite() or value.adjusted() > _LONGEST_DECIMAL:
        raise PlanError("a literal has more digits than a decimal can hold")
    exact = value.quantize(Decimal(1).scaleb(-scale), context=_EXACT)
    if exact != value:
        raise PlanError(f"a literal has more than the {scale} fraction digits of its type")
    return f"{exact or Decimal(0).scaleb(-scale):f}"


def _spell_moment(value: date) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        return value.isoformat()
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def literal_value(text: str, kind: DataType) -> Value:
    """The value that a literal's text stands for.

    Raises: PlanError if it is not the one spelling of a value of that type.
    """
    try:
        reader = _READERS[kind.name]
    except KeyError:
        raise PlanError(f"there are no literals of type {kind} but NULL") from None
    return reader(text, kind)


def _read_boolean(text: str, kind: DataType) -> Value:
    if text not in {"true", "false"}:
        raise _not(text, kind)
    return text == "true"


def _read_integer(text: str, kind: DataType) -> Value:
    if not _INTEGER.match(text):
        raise _not(text, kind)
    value = int(text)
    low, high = integer_range(kind)
    if not low <= value <= high:
        raise _not(text, kind)
    return value


def _read_decimal(text: str, kind: DataType) -> Value:
    if len(text) > _LONGEST_DECIMAL or not _DECIMAL.match(text):
        raise _not(text, kind)
    value = Decimal(text)
    digits = len(value.as_tuple().digits) if value else 1
    if -int(value.as_tuple().exponent) != kind.scale or digits > kind.precision:
        raise _not(text, kind)
    if not value and text.startswith("-"):
        raise _not(text, kind)
    return value


def _read_double(text: str, _kind: DataType) -> Value:
    return parse_float(text)


def _read_float(text: str, kind: DataType) -> Value:
    value = parse_float(text)
    if math.isfinite(value):
        try:
            single = struct.unpack("<f", struct.pack("<f", value))[0]
        except OverflowError:
            raise _not(text, kind) from None
        if single != value:
            raise _not(text, kind)
    return value


def _read_string(text: str, _kind: DataType) -> Value:
    return text


def _read_binary(text: str, kind: DataType) -> Value:
    try:
        return from_base64(text, "a literal")
    except FormatError:
        raise _not(text, kind) from None


def _read_date(text: str, kind: DataType) -> Value:
    try:
        value = date.fromisoformat(text)
    except ValueError:
        raise _not(text, kind) from None
    if value.isoformat() != text:
        raise _not(text, kind)
    return value


def _read_moment(text: str, kind: DataType) -> Value:
    zoned = kind.name == "timestamp_utc"
    bare = text.removesuffix("Z") if zoned else text
    try:
        value = datetime.fromisoformat(bare)
    except ValueError:
        raise _not(text, kind) from None
    if zoned:
        value = value.replace(tzinfo=UTC)
    if value.tzinfo is not (UTC if zoned else None) or _spell_moment(value) != text:
        raise _not(text, kind)
    return value


def _not(text: str, kind: DataType) -> PlanError:
    return PlanError(f"{text[:60]!r} is not the one spelling of a value of type {kind}")


_READERS: Final = {
    "boolean": _read_boolean,
    "int8": _read_integer,
    "int16": _read_integer,
    "int32": _read_integer,
    "int64": _read_integer,
    "float": _read_float,
    "double": _read_double,
    "decimal": _read_decimal,
    "string": _read_string,
    "binary": _read_binary,
    "date": _read_date,
    "timestamp": _read_moment,
    "timestamp_utc": _read_moment,
}
