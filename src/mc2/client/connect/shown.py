"""Rows as `show()` prints them, character for character as Spark does."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from mc2.planner.connect.literals import java_double

_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f", "\b": "\\b", "\x0b": "\\v",
                   "\x07": "\\a"}  # fmt: skip
_NARROWEST: Final = 3


def show_string(
    names: Sequence[str], rows: pa.Table, *, count: int, truncate: int, vertical: bool
) -> str:
    """A text table of the first `count` rows; `rows` has one more if there are more."""
    cells = [[_cell(name, 0) for name in names]]
    columns = [column.to_pylist() for column in rows.columns]
    kinds = [field.type for field in rows.schema]
    for number in range(min(count, rows.num_rows)):
        row = [_text(c[number], kind) for c, kind in zip(columns, kinds, strict=True)]
        cells.append([_cell(text, truncate) for text in row])
    more = rows.num_rows > count
    text = _vertical(cells) if vertical else _table(cells, left=truncate <= 0)
    if more:
        text += f"only showing top {count} {'row' if count == 1 else 'rows'}\n"
    elif vertical and len(cells) == 1:
        text = "(0 rows)\n"
    return text


def _cell(text: str, truncate: int) -> str:
    plain = "".join(_ESCAPES.get(c, c) for c in text)
    if truncate <= 0 or len(plain) <= truncate:
        return plain
    return plain[:truncate] if truncate < 4 else plain[: truncate - 3] + "..."


def _table(cells: Sequence[Sequence[str]], *, left: bool) -> str:
    widths = [max(_NARROWEST, *(_width(row[i]) for row in cells)) for i in range(len(cells[0]))]
    line = "+" + "".join("-" * w + "+" for w in widths) + "\n"
    if not widths:
        line = "++\n"
    lines = []
    for row in cells:
        padded = (_padded(c, w, left=left) for c, w in zip(row, widths, strict=True))
        lines.append("|" + "|".join(padded) + "|\n")
    return line + lines[0] + line + "".join(lines[1:]) + line


def _vertical(cells: Sequence[Sequence[str]]) -> str:
    names, *rows = cells
    name_width = max([_NARROWEST, *(_width(n) for n in names)])
    value_width = max([_NARROWEST, *(_width(c) for row in rows for c in row)])
    found = []
    for number, row in enumerate(rows):
        found.append(f"-RECORD {number}".ljust(name_width + value_width + 5, "-") + "\n")
        for name, value in zip(names, row, strict=True):
            left, right = (
                _padded(name, name_width, left=True),
                _padded(value, value_width, left=True),
            )
            found.append(f" {left} | {right} \n")
    return "".join(found)


def _padded(text: str, width: int, *, left: bool) -> str:
    space = " " * (width - _width(text))
    return text + space if left else space + text


def _width(text: str) -> int:
    """Columns on a terminal: wide characters of East Asia take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _text(value: Any, kind: pa.DataType) -> str:  # noqa: PLR0911 - one answer for each type
    """A value as Spark casts it to text."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return java_float(value) if pa.types.is_float32(kind) else java_double(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ", "microseconds").rstrip("0").rstrip(".")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return "[" + " ".join(f"{b:02X}" for b in value) + "]"
    return _nested(value, kind)


def _nested(value: Any, kind: pa.DataType) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_text(v, kind.value_type) for v in value) + "]"
    if isinstance(value, dict):
        fields = zip(value.values(), kind, strict=True)
        return "{" + ", ".join(_text(v, field.type) for v, field in fields) + "}"
    return str(value)


def java_float(number: float) -> str:
    """A 32-bit float with the fewest digits that still mean it, as Java writes it."""
    import numpy as np

    return java_double(float(str(np.float32(number))))
