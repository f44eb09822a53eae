"""Whether two answers to one query are the same, exactly.

Three relations are compared: ours, DuckDB's, and DuckDB's without the last LIMIT. A query that
orders by too little leaves open which rows a LIMIT keeps, so: each of our rows is one of those
without the limit, as often at most; there are as many; and the keys of ORDER BY, where they are
columns of the answer, come in the same order. Without a LIMIT that makes both the same rows.

Numbers that Spark's types make decimals and DuckDB doubles are the same if they differ by less
than one in our last place, or by 1e-9 of their size; all other values must be equal.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import pyarrow as pa

Row = tuple[object, ...]
_RELATIVE: Final = 1e-9


def difference(ours: pa.Table, theirs: pa.Table, whole: pa.Table, keys: Sequence[int]) -> str:
    """What differs, in words; nothing if the answers are the same. `keys` are places of columns."""
    if ours.num_columns != theirs.num_columns:
        return f"{ours.num_columns} columns, not {theirs.num_columns}"
    if ours.num_rows != theirs.num_rows:
        return f"{ours.num_rows} rows, not {theirs.num_rows}"
    near = {n: _last_place(ours, n) for n in range(ours.num_columns) if _inexact(ours, theirs, n)}
    mine, other, full = _rows(ours), _rows(theirs), _rows(whole)
    left = _absent(mine, full, near)
    if left:
        return f"{len(left)} of {len(mine)} rows differ: {left[0]}"
    for number, (a, b) in enumerate(zip(mine, other, strict=True)):
        for place in keys:
            if not _same(a[place], b[place], near.get(place)):
                return f"row {number} is in another order: {a[place]}, not {b[place]}"
    return ""


def _inexact(ours: pa.Table, theirs: pa.Table, place: int) -> bool:
    kinds = (ours.schema.types[place], theirs.schema.types[place])
    return any(pa.types.is_floating(k) for k in kinds)


def _last_place(table: pa.Table, place: int) -> float:
    kind = table.schema.types[place]
    return float(10.0**-kind.scale) if pa.types.is_decimal(kind) else 0.0


def _rows(table: pa.Table) -> list[Row]:
    columns = [[_plain(v) for v in c.to_pylist()] for c in table.columns]
    return list(zip(*columns, strict=True)) if columns else []


def _plain(value: object) -> object:
    match value:
        case bool():
            return value
        case int() | Decimal():
            return Decimal(value)
        case float():
            return "NaN" if math.isnan(value) else value + 0.0
        case datetime():
            return value.replace(tzinfo=None).isoformat()
        case date():
            return f"{value.isoformat()}T00:00:00"
        case _:
            return value


def _absent(mine: Sequence[Row], full: Sequence[Row], near: dict[int, float]) -> list[Row]:
    """Our rows for which there is none of theirs left."""
    free: dict[Row, list[Row]] = defaultdict(list)
    for row in full:
        free[_exact(row, near)].append(row)
    left = []
    for row in mine:
        candidates = free[_exact(row, near)]
        found = next((c for c in candidates if _all_same(row, c, near)), None)
        if found is None:
            left.append(row)
        else:
            candidates.remove(found)
    return left


def _exact(row: Row, near: dict[int, float]) -> Row:
    return tuple(v for n, v in enumerate(row) if n not in near)


def _all_same(a: Row, b: Row, near: dict[int, float]) -> bool:
    return all(_same(a[n], b[n], unit) for n, unit in near.items())


def _same(a: object, b: object, unit: float | None) -> bool:
    numbers = (int, float, Decimal)
    if unit is None or not (isinstance(a, numbers) and isinstance(b, numbers)):
        return a == b
    return math.isclose(float(a), float(b), rel_tol=_RELATIVE, abs_tol=unit)
