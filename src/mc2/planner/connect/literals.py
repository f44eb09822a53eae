"""Constants of DataFrame code as SQL, and as Spark shows them in names of columns."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from mc2.errors import PlanError
from mc2.planner.connect.message import Message, unsupported
from mc2.planner.connect.types import read_type, sql_type

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE: Final = {"byte": "TINYINT", "short": "SMALLINT", "integer": "INT", "long": "BIGINT"}
_ESCAPES: Final = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def text_sql(text: str) -> str:
    """A text constant. Raises: PlanError for control characters, which hide from readers."""
    if any(ord(c) < 32 and c not in _ESCAPES for c in text):
        raise PlanError("a text constant holds a control character", hint="leave it out")
    return "'" + "".join(_ESCAPES.get(c, c) for c in text) + "'"


def literal(value: object) -> tuple[str, str]:  # noqa: PLR0911 - one answer for each type
    """A constant as SQL, and the name that Spark gives it. Raises: PlanError."""
    message = Message(value, "a literal")
    message.take("data_type")
    kind, inner = message.one()
    if kind in _WHOLE:
        return whole_sql(int(inner), kind), str(int(inner))
    match kind:
        case "null":
            return _null(inner), "NULL"
        case "boolean":
            return ("true", "true") if inner else ("false", "false")
        case "string":
            return text_sql(inner), inner
        case "double" | "float":
            number = float(inner)
            shown = java_double(number)
            sql = double_sql(number)
            return (sql if kind == "double" else f"CAST({sql} AS FLOAT)"), shown
        case "decimal":
            return _decimal(inner)
        case "date":
            day = date(1970, 1, 1) + timedelta(days=int(inner))
            return f"CAST('{day.isoformat()}' AS DATE)", f"DATE '{day.isoformat()}'"
        case "timestamp" | "timestamp_ntz":
            moment = (_EPOCH + timedelta(microseconds=int(inner))).replace(tzinfo=None)
            word = kind.upper()
            text = moment.isoformat(" ")
            return f"CAST('{text}' AS {word})", f"{word} '{text}'"
        case _:
            raise unsupported(f"a constant of type {kind}")


def whole_sql(number: int, kind: str) -> str:
    """A whole number of one of Spark's types."""
    if kind == "integer":
        return str(number)
    return f"CAST({number} AS {_WHOLE[kind]})"


def double_sql(number: float) -> str:
    """A double: with an exponent, because 1.5 alone is a decimal."""
    if math.isnan(number) or math.isinf(number):
        word = "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")
        return f"CAST('{word}' AS DOUBLE)"
    text = repr(number)
    return text if "e" in text else f"{text}e0"


def java_double(number: float) -> str:
    """A double as Java writes it, which is how Spark shows it."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    size = abs(number)
    if size == 0 or 1e-3 <= size < 1e7:
        from decimal import Decimal

        text = format(Decimal(repr(number)), "f")
        return text if "." in text else f"{text}.0"
    mantissa, _, exponent = format(number, ".17e").partition("e")
    shortest = repr(number)
    if "e" in shortest:
        mantissa, _, exponent = shortest.partition("e")
    else:
        digits = shortest.replace(".", "").lstrip("-").strip("0") or "0"
        sign = "-" if number < 0 else ""
        mantissa = f"{sign}{digits[0]}.{digits[1:] or '0'}"
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}E{int(exponent)}"


def _null(inner: Any) -> str:
    if not inner or "null" in inner:
        return "NULL"
    return f"CAST(NULL AS {sql_type(read_type(inner)).upper()})"


def _decimal(inner: Any) -> tuple[str, str]:
    fields = Message(inner, "a decimal")
    text = fields.text("value")
    plain = format(_as_decimal(text), "f")
    digits = plain.lstrip("-").replace(".", "").lstrip("0")
    scale = len(plain.partition(".")[2])
    precision = fields.integer("precision", max(len(digits), scale, 1))
    scale = fields.integer("scale", scale)
    fields.done()
    return f"CAST('{plain}' AS DECIMAL({precision}, {scale}))", plain


def _as_decimal(text: str) -> Any:
    from decimal import Decimal, InvalidOperation

    try:
        found = Decimal(text)
    except InvalidOperation:
        raise PlanError("a decimal of the client is no number") from None
    if not found.is_finite():
        raise PlanError("a decimal of the client is no number")
    return found
