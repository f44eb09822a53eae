"""Window functions: a value for each row, from rows near it. Spec: docs/spec/plan.md.

A window node has one partition and one order, and any number of functions over them, each with a
frame of its own. Where rows that are equal in the order could matter, they stand in order of all
columns of the source, so that an answer depends on the rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

from mc2.errors import FormatError, PlanError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS
from mc2.formats.schema import Column, DataType, Schema
from mc2.plan.aggregates import AGGREGATES as _AGGREGATES
from mc2.plan.aggregates import aggregate
from mc2.plan.expressions import (
    EXPRESSION_DEPTH,
    Expression,
    Literal,
    read_expression,
)
from mc2.plan.functions import Argument
from mc2.plan.literals import literal_value
from mc2.plan.relations import SORT_KEYS, SortKey, read_names, read_node
from mc2.plan.types import BOOLEAN, DOUBLE, INT32, INT64, TYPE_CLASSES, is_numeric
from mc2.plan.typing import type_of

BOUNDS: Final = (
    "unbounded_preceding", "preceding", "current_row", "following", "unbounded_following",
)  # fmt: skip
"""Where a frame may start and end, from the first place to the last."""
UNITS: Final = ("rows", "range")
AGGREGATES: Final = tuple(sorted(_AGGREGATES))
"""The aggregates that may stand over a window: all."""
RANKINGS: Final = ("row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile")
"""Functions of a row's place in the order; they have no frame."""
NEIGHBOURS: Final = ("lag", "lead")
PICKS: Final = ("first_value", "last_value", "nth_value")
FUNCTIONS: Final = (*RANKINGS, *NEIGHBOURS, *PICKS, *AGGREGATES)
_FUNCTION_NAME_LENGTH: Final = 63
_MOST_ROWS: Final = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a frame; `offset` is a literal where it is so far before or after a row."""

    at: str
    offset: Literal | None = None

    def json(self) -> Json:
        """The bound as canonical JSON has it."""
        return {"at": self.at, "offset": None if self.offset is None else self.offset.json()}

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one bound. Raises: FormatError."""
        fields = Fields(value, "a bound of a frame")
        at, offset = fields.choice("at", BOUNDS), fields.value("offset")
        fields.done()
        if offset is None:
            return cls(at)
        found = read_expression(offset, EXPRESSION_DEPTH)
        if not isinstance(found, Literal):
            raise FormatError("the offset of a frame is no literal")
        return cls(at, found)


@dataclass(frozen=True, slots=True)
class Frame:
    """The rows around a row that a function sees: so many of them, or those near in the order."""

    unit: str
    start: Bound
    end: Bound

    def json(self) -> Json:
        """The frame as canonical JSON has it."""
        return {"unit": self.unit, "start": self.start.json(), "end": self.end.json()}

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one frame. Raises: FormatError."""
        fields = Fields(value, "a frame")
        found = cls(
            fields.choice("unit", UNITS),
            Bound.read(fields.value("start")),
            Bound.read(fields.value("end")),
        )
        fields.done()
        return found

    @property
    def whole(self) -> bool:
        """Whether it is always the whole partition."""
        return (self.start.at, self.end.at) == (BOUNDS[0], BOUNDS[-1])

    @property
    def has_own_row(self) -> bool:
        """Whether the row itself is always in it."""
        middle = BOUNDS.index("current_row")
        return BOUNDS.index(self.start.at) <= middle <= BOUNDS.index(self.end.at)


WHOLE: Final = Frame("rows", Bound(BOUNDS[0]), Bound(BOUNDS[-1]))
"""The whole partition."""
SO_FAR: Final = Frame("range", Bound(BOUNDS[0]), Bound("current_row"))
"""From the first row to this one and those equal to it: what SQL takes if an order is given."""


@dataclass(frozen=True, slots=True)
class WindowColumn:
    """One function over a window, and the name of its column.

    `ignore_nulls` skips rows whose first argument is NULL; `where` takes only rows for which it
    is true, for aggregates.
    """

    name: str
    function: str
    arguments: tuple[Expression, ...]
    frame: Frame | None = None
    ignore_nulls: bool = False
    where: Expression | None = None

    def json(self) -> Json:
        """The column as canonical JSON has it."""
        return {
            "name": self.name,
            "function": self.function,
            "arguments": [a.json() for a in self.arguments],
            "frame": None if self.frame is None else self.frame.json(),
            "ignore_nulls": self.ignore_nulls,
            "where": None if self.where is None else self.where.json(),
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one column. Raises: FormatError."""
        fields = Fields(value, "a window function")
        frame, where = fields.value("frame"), fields.value("where")
        found = cls(
            fields.text("name", 255),
            fields.text("function", _FUNCTION_NAME_LENGTH),
            fields.items("arguments", 4, read_expression),
            None if frame is None else Frame.read(frame),
            fields.boolean("ignore_nulls"),
            None if where is None else read_expression(where),
        )
        fields.done()
        return found

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """All that it reads of a row."""
        return self.arguments if self.where is None else (*self.arguments, self.where)

    @property
    def by_place(self) -> bool:
        """Whether the order of rows that are equal in the order's keys could matter."""
        if self.function in {"rank", "dense_rank", "percent_rank", "cume_dist"}:
            return False
        if self.function in {*RANKINGS, *NEIGHBOURS, *PICKS}:
            return True
        return self.frame is not None and self.frame.unit == "rows" and not self.frame.whole


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of the source with more columns, each a function of rows with the same keys.

    NULL is a key like others. Rows with the same keys stand in the order of `order`, NULLs as it
    says; the result has no order.
    """

    OP: ClassVar[str] = "window"

    source: int
    keys: tuple[str, ...]
    order: tuple[SortKey, ...]
    columns: tuple[WindowColumn, ...]

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.source,)

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            "source": self.source,
            "keys": list(self.keys),
            "order": [k.json() for k in self.order],
            "columns": [c.json() for c in self.columns],
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(
            read_node(fields, "source"),
            read_names(fields, "keys"),
            fields.items("order", SORT_KEYS, SortKey.read),
            fields.items("columns", LIMITS.columns, WindowColumn.read),
        )


def infer_window(operation: Window, schema: Schema) -> tuple[Column, ...]:
    """The columns that the functions add; keys and order are checked by the caller.

    Raises: PlanError.
    """
    if not operation.columns:
        raise PlanError("it has no functions")
    columns = schema.by_name()
    keys = tuple(type_of(k.expression, columns).type for k in operation.order)
    return tuple(_column(c, keys, columns) for c in operation.columns)


def _column(
    column: WindowColumn, keys: tuple[DataType, ...], columns: Mapping[str, Column]
) -> Column:
    name = column.function
    if name not in FUNCTIONS:
        raise PlanError(f"there is no window function {name[:_FUNCTION_NAME_LENGTH]!r}")
    _check_parts(column, keys)
    if column.where is not None and type_of(column.where, columns).type != BOOLEAN:
        raise PlanError(f"the condition of {column.name} is not boolean")
    arguments = tuple(type_of(a, columns) for a in column.arguments)
    if name in AGGREGATES:
        frame = column.frame or WHOLE
        may_be_empty = column.where is not None or not frame.has_own_row
        kind, nullable = aggregate(name).type(arguments, may_be_empty=may_be_empty)
    elif name in RANKINGS:
        kind, nullable = _ranking(name, arguments)
    elif name in NEIGHBOURS:
        kind, nullable = _neighbour(name, arguments)
    else:
        kind, nullable = _pick(name, arguments)
    return Column(column.name, kind, nullable)


def _check_parts(column: WindowColumn, keys: tuple[DataType, ...]) -> None:
    """That it has a frame, an order, IGNORE NULLS and a condition only where that means something.

    Raises: PlanError.
    """
    name = column.function
    framed = name in {*PICKS, *AGGREGATES}
    if framed != (column.frame is not None):
        raise PlanError(f"{name} has {'a' if framed else 'no'} frame")
    if column.frame is not None:
        _check_frame(column.frame, keys)
    if not framed and not keys:
        raise PlanError(f"{name} needs an order")
    if column.ignore_nulls and name not in {*NEIGHBOURS, *PICKS}:
        raise PlanError(f"{name} does not ignore NULL")
    if column.where is not None and name not in AGGREGATES:
        raise PlanError(f"{name} takes no condition")


def _ranking(name: str, arguments: tuple[Argument, ...]) -> tuple[DataType, bool]:
    if len(arguments) != (name == "ntile"):
        raise PlanError(f"{name} takes {'one argument' if name == 'ntile' else 'no arguments'}")
    if arguments and _integer(arguments[0]) < 1:
        raise PlanError("ntile makes at least one part")
    return (DOUBLE if name in {"percent_rank", "cume_dist"} else INT32), False


def _neighbour(name: str, arguments: tuple[Argument, ...]) -> tuple[DataType, bool]:
    """The value so many rows away, and the value where there is no such row."""
    if len(arguments) != 3:
        raise PlanError(f"{name} takes a value, a number of rows and a default")
    value, offset, default = arguments
    if default.type != value.type:
        raise PlanError(f"the default of {name} is a {default.type}, its value a {value.type}")
    _integer(offset)
    return value.type, value.nullable or default.nullable


def _pick(name: str, arguments: tuple[Argument, ...]) -> tuple[DataType, bool]:
    if len(arguments) != (2 if name == "nth_value" else 1):
        what = "a value and a place" if name == "nth_value" else "a value"
        raise PlanError(f"{name} takes {what}")
    if name == "nth_value" and _integer(arguments[1]) < 1:
        raise PlanError("places of nth_value count from 1")
    return arguments[0].type, True


def _integer(argument: Argument) -> int:
    """An argument that is an int32 literal. Raises: PlanError."""
    fixed = argument.literal
    if fixed is None or fixed.text is None or fixed.type != INT32:
        raise PlanError("it takes an int32 that is written out")
    return int(fixed.text)


def _check_frame(frame: Frame, keys: tuple[DataType, ...]) -> None:
    if frame.start.at == BOUNDS[-1] or frame.end.at == BOUNDS[0]:
        raise PlanError("a frame starts after its end")
    if BOUNDS.index(frame.start.at) > BOUNDS.index(frame.end.at):
        raise PlanError("a frame starts after its end")
    if frame == replace(frame, unit="range", start=WHOLE.start, end=WHOLE.end):
        raise PlanError("the frame of a whole partition is written with rows")
    for bound in (frame.start, frame.end):
        if (bound.at in {"preceding", "following"}) != (bound.offset is not None):
            goes = "with" if bound.offset is None else "without"
            raise PlanError(f"{bound.at} goes {goes} an offset")
        if bound.offset is not None:
            _check_offset(frame.unit, bound.offset, keys)
    if frame.unit == "range" and not keys:
        raise PlanError("a frame by range needs an order")


def _check_offset(unit: str, offset: Literal, keys: tuple[DataType, ...]) -> None:
    if offset.text is None or offset.text.startswith("-") or offset.text in {"NaN", "Infinity"}:
        raise PlanError("the offset of a frame is a number from 0 on")
    literal_value(offset.text, offset.type)
    if unit == "rows":
        if offset.type != INT32:
            raise PlanError("a frame by rows counts them in int32")
        return
    if len(keys) != 1:
        raise PlanError("a frame by range with an offset needs an order by one key")
    if offset.type != range_type(keys[0]):
        raise PlanError(f"the offset of a frame is a {offset.type}, and the key a {keys[0]}")


def range_type(key: DataType) -> DataType:
    """The type of an offset in an order by such a key: days, microseconds, or the key's own.

    Raises: PlanError if there is no distance between its values.
    """
    if key.name == "date":
        return INT32
    if key.name in TYPE_CLASSES["instant"]:
        return INT64
    if is_numeric(key):
        return key
    raise PlanError(f"values of type {key} have no distance")
