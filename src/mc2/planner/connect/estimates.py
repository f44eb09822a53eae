"""approxQuantile, freqItems: what Spark estimates in one pass, computed exactly.

An exact answer is within any error that may be asked for, and the same whenever the job runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.planner.connect.frame import Frame, FrameColumn, quoted
from mc2.planner.connect.literals import double_sql
from mc2.planner.connect.message import Message
from mc2.planner.connect.translator import Translate, Translator
from mc2.planner.connect.types import sql_type

_NUMBERS: Final = ("int8", "int16", "int32", "int64", "float", "double", "decimal")
_LEAST_SUPPORT: Final = 1e-4
"""Spark's own bound."""


def _quantiles(self: Translator, message: Message) -> Frame:
    """One row, one column: an array of quantiles for each; NULL and NaN do not count."""
    frame = self.input(message)
    columns = [frame.find([str(n)]) for n in message.items("cols")]
    shares = [float(p) for p in message.items("probabilities")]
    message.take("relative_error")  # an exact answer is within it
    if not columns:
        raise PlanError("approxQuantile names no column")
    if not shares:
        raise PlanError("approxQuantile names no probability")
    if not all(0 <= share <= 1 for share in shares):
        raise PlanError("a probability of approxQuantile is a number from 0 to 1")
    arrays = ", ".join(_array(column, shares) for column in columns)
    doubles = DataType("list", element=DataType("double"))
    made = FrameColumn("approx_quantile", "approx_quantile", doubles, nullable=True)
    text = f"SELECT array({arrays}) AS approx_quantile FROM {frame.sql}"
    return self.program.step(text, frame, [made])


def _array(column: FrameColumn, shares: list[float]) -> str:
    if column.type.name not in _NUMBERS:
        raise PlanError(
            f"approxQuantile takes columns of numbers, and {column.name!r} is none",
            hint="cast it first",
        )
    value = f"CAST({quoted(column.inner)} AS DOUBLE)"
    if column.type.name in {"float", "double"}:
        value = f"CASE WHEN NOT isnan({value}) THEN {value} END"
    cells = ", ".join(f"percentile_approx({value}, {_share(p)})" for p in shares)
    # Of no rows it is an array of nothing, not one of NULLs.
    nothing = f"collect_list(CASE WHEN false THEN {value} END)"
    return f"CASE WHEN count({value}) = 0 THEN {nothing} ELSE array({cells}) END"


def _share(share: float) -> str:
    from decimal import Decimal

    return format(Decimal(repr(share)), "f")


def _frequent(self: Translator, message: Message) -> Frame:
    """One row: for each column the array of values that so large a share of the rows has."""
    frame = self.input(message)
    columns = [frame.find([str(n)]) for n in message.items("cols")]
    given = message.take("support")
    support = 0.01 if given is None else float(given)
    if not columns:
        raise PlanError("freqItems names no column")
    if not _LEAST_SUPPORT <= support <= 1:
        raise PlanError(f"the support of freqItems is a number from {_LEAST_SUPPORT} to 1")
    names = [f"items_{number}" for number in range(len(columns))]
    parts = [_items(frame, c, support, n) for c, n in zip(columns, names, strict=True)]
    made = [
        FrameColumn(f"{c.name}_freqItems", n, DataType("list", element=c.type), nullable=True)
        for c, n in zip(columns, names, strict=True)
    ]
    joined = " CROSS JOIN ".join(parts)
    return self.program.step(f"SELECT {', '.join(names)} FROM {joined}", frame, made)


def _items(frame: Frame, column: FrameColumn, support: float, name: str) -> str:
    """A query of one row: the frequent values of a column in order, NULL last if it is one."""
    counted = f"SELECT {quoted(column.inner)} AS v, count(*) AS n FROM {frame.sql} GROUP BY 1"
    whole = f"SELECT count(*) AS m FROM {frame.sql}"
    listed = "sort_array(collect_list(v))"
    null = f"CAST(NULL AS {sql_type(column.type).upper()})"
    array = f"CASE WHEN count(*) > count(v) THEN array_append({listed}, {null}) ELSE {listed} END"
    test = f"CAST(n AS DOUBLE) >= {double_sql(support)} * CAST(m AS DOUBLE)"
    return f"(SELECT {array} AS {name} FROM ({counted}) CROSS JOIN ({whole}) WHERE {test})"


KINDS: Final[Mapping[str, Translate]] = {
    "approx_quantile": _quantiles,
    "freq_items": _frequent,
}
