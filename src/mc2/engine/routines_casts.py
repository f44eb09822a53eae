"""Casts to text that DuckDB spells otherwise: floats, and bytes."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

import numpy as np

from mc2.engine.routines import TEXT, Routine
from mc2.engine.routines_rows import row_by_row
from mc2.formats.schema import DataType

SHOWN: Final = frozenset({"float", "double", "binary"})
"""Types whose text is written here."""

_PLAIN_LEAST: Final = -3
_PLAIN_MOST: Final = 7


def _float_text(shortest: str, value: float) -> str:
    """As Java writes it: `1.0`, `0.001`, `1.0E7`, from the shortest digits that read back."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if not value:
        return "-0.0" if math.copysign(1.0, value) < 0 else "0.0"
    sign, digits, _ = Decimal(shortest).normalize().as_tuple()
    power = Decimal(shortest).adjusted()
    text = "".join(map(str, digits))
    if _PLAIN_LEAST <= power < _PLAIN_MOST:
        plain = f"{abs(Decimal(shortest)):f}"
        text = plain.rstrip("0") if "." in plain else plain
        text += "0" if text.endswith(".") else "" if "." in text else ".0"
    else:
        text = f"{text[0]}.{text[1:] or '0'}E{power}"
    return f"-{text}" if sign else text


def _double(value: float) -> str:
    return _float_text(repr(value), value)


def _single(value: float) -> str:
    return _float_text(str(np.float32(value)), value)


def _strict(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeError:
        raise ValueError(TEXT) from None


def _lenient(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeError:
        return None


def shown(kind: DataType, *, strict: bool) -> Routine:
    """The cast of such a type to text."""
    match kind.name:
        case "double":
            return row_by_row("show_double", "double", "string", _double)
        case "float":
            return row_by_row("show_float", "float", "string", _single)
        case _:
            name, compute = ("show_binary", _strict) if strict else ("try_show_binary", _lenient)
            return row_by_row(name, "binary", "string", compute)
