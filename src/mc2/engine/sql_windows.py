"""Window functions in DuckDB's SQL, over columns of already evaluated arguments.

DuckDB's own order of rows that are equal in ORDER BY is an accident, so wherever it could matter
the order goes on by all columns. Sums of floats go through the same exact routines as everywhere:
a frame's values are collected into a list first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mc2.engine.routines import FLOAT_AGGREGATES
from mc2.engine.sql_aggregates import Operand, aggregate
from mc2.engine.sql_decimals import combine
from mc2.engine.sql_nested import extreme, positive_zero
from mc2.engine.sql_terms import Scribe, Term, cast_to
from mc2.engine.sql_types import sql_literal
from mc2.formats.schema import DataType
from mc2.formats.schema import decimal as decimal_of
from mc2.plan.aggregates import declared_most
from mc2.plan.expressions import Literal
from mc2.plan.types import DOUBLE, INT32, INTEGER_BITS, TYPE_CLASSES, is_integer, sum_type
from mc2.plan.windows import PICKS, Bound, Frame, WindowColumn

_COUNT: Final = decimal_of(19, 0)
_BOUNDS: Final = {
    "unbounded_preceding": "UNBOUNDED PRECEDING",
    "preceding": "PRECEDING",
    "current_row": "CURRENT ROW",
    "following": "FOLLOWING",
    "unbounded_following": "UNBOUNDED FOLLOWING",
}
_WORDS: Final = {
    "row_number": "row_number", "rank": "rank", "dense_rank": "dense_rank",
    "percent_rank": "percent_rank", "cume_dist": "cume_dist", "ntile": "ntile",
    "first_value": "first_value", "last_value": "last_value", "nth_value": "nth_value",
}  # fmt: skip
_OWN: Final = frozenset(
    {"count", "count_star", "min", "max", "bool_and", "bool_or", "sum", "avg", *FLOAT_AGGREGATES}
)
"""Aggregates that are written otherwise over a window than over a group."""


@dataclass(frozen=True, slots=True)
class Over:
    """The partition and order of a window: `keys` by its own keys, `ties` what follows them.

    `range_key` is the only key, as a number that a distance can be added to, with its direction.
    """

    partition: str
    keys: str
    ties: str
    range_key: str = ""

    def text(self, column: WindowColumn) -> str:
        """What stands after OVER for one function."""
        frame = column.frame
        if frame is not None and frame.whole and not column.by_place:
            return f"({self.partition})"
        offsets = frame is not None and frame.unit == "range" and _has_offset(frame)
        order = self.range_key if offsets else self.keys
        if column.by_place and not offsets:
            # A range ends with a row's equals, whatever their order: only ROWS may have ties.
            order = self._total(column)
        rest = "" if frame is None else _frame(frame)
        by = f"ORDER BY {order}" if order else ""
        return f"({' '.join(filter(None, (self.partition, by, rest)))})"

    def picked(self, column: WindowColumn) -> str:
        """The order in which one of a range's rows is picked, to stand behind the arguments.

        The window's own order must leave equals equal there, for ranges end with them.
        """
        frame = column.frame
        if column.function not in PICKS or frame is None or frame.unit != "range":
            return ""
        return f" ORDER BY {', '.join(filter(None, (self.keys, self.ties)))}"

    def _total(self, column: WindowColumn) -> str:
        if column.frame is not None and column.frame.unit == "range":
            return self.keys
        return ", ".join(filter(None, (self.keys, self.ties)))


def _has_offset(frame: Frame) -> bool:
    return frame.start.offset is not None or frame.end.offset is not None


def _frame(frame: Frame) -> str:
    start, end = (_bound(b, frame.unit) for b in (frame.start, frame.end))
    return f"{frame.unit.upper()} BETWEEN {start} AND {end}"


def _bound(bound: Bound, unit: str) -> str:
    word = _BOUNDS[bound.at]
    if bound.offset is None:
        return word
    return f"{bound.offset.text if unit == 'rows' else range_offset(bound.offset)} {word}"


def range_value(sql: str, kind: DataType) -> str:
    """The key of an order as a number with room for a distance on both sides."""
    if kind.name == "date":
        return f"CAST(({sql} - DATE '1970-01-01') AS HUGEINT)"
    if kind.name in TYPE_CLASSES["instant"]:
        return f"CAST(epoch_us({sql}) AS HUGEINT)"
    if kind.name in INTEGER_BITS:
        return cast_to_huge(sql)
    if kind.name == "decimal":
        return f"CAST({sql} AS DECIMAL(38, {kind.scale}))"
    return positive_zero(sql, kind)


def cast_to_huge(sql: str) -> str:
    """A whole number with 128 bits."""
    return f"CAST({sql} AS HUGEINT)"


def range_offset(offset: Literal) -> str:
    """A distance in the type of `range_value`."""
    if offset.type.name in INTEGER_BITS:
        return cast_to_huge(offset.text or "0")
    if offset.type.name == "decimal":
        return f"CAST({offset.text} AS DECIMAL(38, {offset.type.scale}))"
    return sql_literal(offset)


def window_function(
    scribe: Scribe, column: WindowColumn, arguments: Sequence[Term], over: Over, result: DataType
) -> str:
    """The SQL of one function; an aggregate's argument is NULL where its condition fails."""
    place = over.text(column)
    name = column.function
    nulls = " IGNORE NULLS" if column.ignore_nulls else ""
    if name in {"lag", "lead"}:
        value, offset, default = (a.sql for a in arguments)
        return f"{name}({value}, {offset}, {default}{nulls}) OVER {place}"
    if name in _WORDS:
        listed = ", ".join(a.sql for a in arguments)
        order = over.picked(column)
        return cast_to(f"{_WORDS[name]}({listed}{order}{nulls}) OVER {place}", result)
    if name in _OWN:
        return _aggregate(scribe, name, arguments[0], place, result)
    first, second = arguments[0], arguments[1] if len(arguments) > 1 else None
    most = declared_most(column.arguments)
    operand = Operand(
        first.sql, first.type, distinct=False, second=second, over=f" OVER {place}", most=most
    )
    return aggregate(scribe, name, operand, result)


def _aggregate(scribe: Scribe, name: str, value: Term, place: str, result: DataType) -> str:
    sql, kind = value.sql, value.type
    if name in {"count", "count_star"}:
        return f"count({sql}) OVER {place}"
    if name in {"min", "max", "bool_and", "bool_or"}:
        return extreme(name, sql, result, f" OVER {place}")
    if kind.name in TYPE_CLASSES["fraction"]:
        listed = f"list({cast_to(sql, DOUBLE)}) FILTER (WHERE {sql} IS NOT NULL) OVER {place}"
        return scribe.call(FLOAT_AGGREGATES[name], listed)
    total = f"sum({sql}) OVER {place}"
    if name == "sum":
        return cast_to(total, result)
    count = f"count({sql}) OVER {place}"
    if is_integer(kind):
        # By way of text: DuckDB rounds large negative HUGEINTs twice on the way to a double.
        return f"(CAST(CAST({total} AS VARCHAR) AS DOUBLE) / nullif({count}, 0))"
    wide = sum_type(kind)
    summed = Term(cast_to(total, wide), wide, nullable=True)
    counted = Term(cast_to(count, _COUNT), _COUNT, nullable=False)
    guarded = combine(scribe, "divide", summed, counted, result)
    return f"(CASE WHEN {count} > 0 THEN {guarded} END)"


ONE: Final = Term("1", INT32, nullable=False, simple=True)
"""What `count_star` counts."""
