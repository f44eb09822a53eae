"""Windows that a plan in oblivious mode may hold, and how wide their texts are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DECIMAL_DIGITS, Column
from mc2.plan.expressions import Expression, Literal
from mc2.plan.oblivious_lists import Sizes, greatest_sizes, named_sizes
from mc2.plan.typing import type_of
from mc2.plan.widths import sizes_of
from mc2.plan.windows import AGGREGATES, NEIGHBOURS, PICKS, Frame, Window, WindowColumn

MOST_PLACES: Final = 1 << 28
"""Of rows times the rows of a frame: each row has a copy of those near it."""
MOST_STEPS: Final = 64
"""How far LAG and LEAD look past NULLs: each step is a pass over all rows."""
_SPREADS: Final = frozenset({"stddev_pop", "stddev_samp", "var_pop", "var_samp"})
_REAL: Final = frozenset({"float", "double"})
_WORD_DIGITS: Final = 18  # of decimals that are one word
_COMPUTED: Final = frozenset(
    {
        "avg", "bool_and", "bool_or", "count", "count_star", "max", "min", "stddev_pop",
        "stddev_samp", "sum", "var_pop", "var_samp",
    }
)  # fmt: skip
_ENCRYPTED: Final = 'write it in another way, or run the job with mode="encrypted"'


TOLD_PLACES: Final = 5
"""Of what a task tells of its rows: equal ones at its start and end, what is next to them in their
partitions, and all between."""
_ADDED_UP: Final = frozenset(
    {"avg", "bool_and", "bool_or", "count", "count_star", "max", "min", "sum"}
)
_MORE_DIGITS: Final = 10
"""Of a sum of any rows that a table may have."""


def window_expressions(operation: Window) -> list[Expression]:
    """All that a window computes of a row."""
    arguments = [e for c in operation.columns for e in c.expressions]
    return [*(k.expression for k in operation.order), *arguments]


def check_window(operation: Window, columns: Mapping[str, Column], rows: int) -> None:
    """Check what oblivious mode can compute, for so many rows. Raises: PlanError."""
    for column in operation.columns:
        _check_column(column)
        if column.frame is not None:
            _check_frame(column, column.frame, rows, subtracts=_subtracts(column, columns))


def _check_column(column: WindowColumn) -> None:
    name = column.function
    if name in AGGREGATES and name not in _COMPUTED:
        raise PlanError(f"oblivious mode has no {name} over a window", hint=_ENCRYPTED)
    if name in NEIGHBOURS and column.ignore_nulls:
        away = abs(_number(column.arguments[1]))
        if not 0 < away <= MOST_STEPS:
            raise PlanError(
                f"oblivious mode looks past NULLs for 1 to {MOST_STEPS} rows", hint=_ENCRYPTED
            )


def _subtracts(column: WindowColumn, columns: Mapping[str, Column]) -> bool:
    """Whether a moving frame is the difference of two running values, at no cost for its rows."""
    if column.function in {"count", "count_star"}:
        return True
    if column.function not in {"sum", "avg"}:
        return False
    kind = type_of(column.arguments[0], columns).type
    wide = kind.name == "decimal" and kind.precision > _WORD_DIGITS
    return kind.name not in _REAL and not wide


def has_distance(column: WindowColumn) -> bool:
    """Whether a frame ends so far away in the order, not so many rows."""
    frame = column.frame
    if frame is None or frame.unit != "range":
        return False
    return frame.start.offset is not None or frame.end.offset is not None


def window_reach(operation: Window, columns: Mapping[str, Column]) -> int | None:
    """How many places of its neighbours a task looks at; None if that does not do for a function.

    One at least, to see whether rows are equal. Of all other rows a task needs what others have
    made of theirs, in `TOLD_PLACES`.
    """
    reaches = [_reach(c, columns) for c in operation.columns]
    found = [r for r in reaches if r is not None]
    return max(1, *found) if len(found) == len(reaches) else None


def is_near(column: WindowColumn, columns: Mapping[str, Column]) -> bool:
    """Whether a function looks at the rows so many places away alone, and at nothing else."""
    if column.function in NEIGHBOURS:
        return not column.ignore_nulls
    frame = column.frame
    if frame is None or frame.unit != "rows" or _subtracts(column, columns):
        return False
    return not (frame.start.at.startswith("unbounded") or frame.end.at.startswith("unbounded"))


def _reach(column: WindowColumn, columns: Mapping[str, Column]) -> int | None:
    if column.function in NEIGHBOURS:
        return abs(_number(column.arguments[1])) if is_near(column, columns) else None
    frame = column.frame
    if frame is None:
        return 0
    if has_distance(column) or not (is_near(column, columns) or _adds_up(column, columns)):
        return None
    offsets = [b.offset for b in (frame.start, frame.end) if b.offset is not None]
    return 1 + max((_number(o) for o in offsets), default=0)


def _adds_up(column: WindowColumn, columns: Mapping[str, Column]) -> bool:
    """Whether what tasks have made of their rows can be added up to what all rows give."""
    if column.function in PICKS:
        return column.function != "nth_value"
    if column.function not in {"sum", "avg"}:
        return column.function in _ADDED_UP
    kind = type_of(column.arguments[0], columns).type
    wide = kind.name == "decimal" and kind.precision + _MORE_DIGITS > DECIMAL_DIGITS
    return kind.name not in _REAL and not wide


def _check_frame(column: WindowColumn, frame: Frame, rows: int, *, subtracts: bool) -> None:
    offsets = [b.offset for b in (frame.start, frame.end) if b.offset is not None]
    ends = frame.start.at.startswith("unbounded"), frame.end.at.startswith("unbounded")
    moves = not any(ends) and frame.unit == "rows" and not subtracts
    grows = column.function in _SPREADS and ends[0] != ends[1]
    if has_distance(column):
        grows = column.function in _SPREADS or (
            column.function in {"sum", "avg"} and not subtracts and not any(ends)
        )
    if moves or grows:
        width = rows if grows else min(rows, sum(_number(o) for o in offsets) + 1)
        if rows * width > MOST_PLACES:
            raise PlanError(
                f"frames of {width:,} rows for {rows:,} rows take more room than there is",
                hint="bound the rows before: table.bound(10_000), or take fewer rows in a frame",
            )


def added_widths(operation: Window, widths: Sizes) -> dict[str, int]:
    """The sizes of the columns that a window adds."""
    found: dict[str, int] = {}
    for column in operation.columns:
        parts = []
        if column.function in {*PICKS, "min", "max"}:
            parts = [column.arguments[0]]
        elif column.function in NEIGHBOURS:
            parts = [column.arguments[0], column.arguments[2]]
        sizes = greatest_sizes([sizes_of(p, widths) for p in parts])
        found |= named_sizes(sizes, column.name)
    return found


def _number(argument: Expression) -> int:
    return int(argument.text or 0) if isinstance(argument, Literal) else 0
