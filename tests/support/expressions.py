"""Random typed expressions and values, for tests of the engine against its twin."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from mc2.formats.schema import Column, DataType, parse_type
from mc2.plan.expressions import (
    Call,
    Case,
    Cast,
    ColumnRef,
    Expression,
    InList,
    Literal,
    When,
    call,
    literal,
)
from mc2.plan.types import (
    BINARY,
    BOOLEAN,
    DATE,
    DOUBLE,
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    integer_range,
    is_integer,
)
from mc2.plan.typing import CASTS, type_of
from tests.support.interpreter import EPOCH

D1, D2, D3, D4 = (parse_type(f"decimal({t})") for t in ("7,2", "18,4", "38,10", "38,0"))
TYPES = (
    BOOLEAN, INT8, INT16, INT32, INT64, FLOAT, DOUBLE, STRING, BINARY, DATE, TIMESTAMP,
    TIMESTAMP_UTC, D1, D2, D3, D4,
)  # fmt: skip
COLUMNS = (
    *tuple(Column(f"x{i}", kind) for i, kind in enumerate(TYPES)),
    Column("sure", INT64, nullable=False),
    Column("yes", BOOLEAN, nullable=False),
)

TEXTS = ("", " ", "a", "A", "ab", "aab", "%", "_", "\\", "'", "''; --", "é", "b\x00c", "12", " -7 ",
         "1.5", "1e3", "true", "no", "2024-02-29", "2024-1-5 03:04:05.25", "NaN", "0x1", "ZZ top")  # fmt: skip
PATTERNS = ("%", "", "_", "a%", "%b", "%a_%", "\\%", "\\_", "\\\\", "a", "'%", "%\x00%")
FLOATS = (0.0, -0.0, 1.0, -1.5, 0.1, 2.5, 1e-300, 1e300, -3e38, float("inf"), float("-inf"),
          float("nan"), 2.0**53, 0.285, 1234567.891)  # fmt: skip
DAYS = tuple(date(*d) for d in ((1970, 1, 1), (2024, 2, 29), (2023, 12, 31), (1900, 3, 1), (1, 1, 1),
                                (9999, 12, 31), (2021, 1, 3)))  # fmt: skip


SINGLES = tuple(f for f in FLOATS if not 3.4e38 < abs(f) < math.inf)


def single(number: float) -> float:
    return struct.unpack("<f", struct.pack("<f", number))[0]


def value(random: Random, kind: DataType) -> Any:
    """A value of a type, most often one at the edges."""
    if is_integer(kind):
        low, high = integer_range(kind)
        edge = random.choice((low, high, 0, 1, low + 1))
        return random.choice((random.randint(-9, 9), edge, random.randint(low, high)))
    if kind.name == "decimal":
        top = 10**kind.precision - 1
        digits = (random.randint(-999, 999), random.choice((top, -top)), random.randint(-top, top))
        return _decimal(random.choice(digits), kind.scale)
    match kind.name:
        case "boolean":
            return random.random() < 0.5
        case "float":
            return single(random.choice((*SINGLES, random.uniform(-9, 9))))
        case "double":
            return random.choice((*FLOATS, random.uniform(-9, 9), random.gauss(0, 1e6)))
        case "string":
            some = "".join(random.choices("ab %_'1.-é", k=random.randint(0, 6)))
            return random.choice((*TEXTS, some))
        case "binary":
            return random.randbytes(random.randint(0, 4))
        case "date":
            return random.choice((*DAYS, date.fromordinal(random.randint(1, 3652059))))
    moment = EPOCH - timedelta(days=719162) + timedelta(
        days=random.randint(0, 3652058), seconds=random.randint(0, 86399),
        microseconds=random.choice((0, 5, 250000, 999999)),
    )  # fmt: skip
    return moment.replace(tzinfo=UTC) if kind.name == "timestamp_utc" else moment


def _decimal(digits: int, scale: int) -> Decimal:
    return Decimal((int(digits < 0), tuple(map(int, str(abs(digits)))), -scale))


def rows(random: Random, columns: Sequence[Column], count: int) -> list[tuple[Any, ...]]:
    """Rows for columns; a fifth of what may be NULL is."""

    def cell(column: Column) -> Any:
        return None if column.nullable and random.random() < 0.2 else value(random, column.type)

    return [tuple(map(cell, columns)) for _ in range(count)]


def expression(
    random: Random, columns: Sequence[Column], kind: DataType, depth: int = 3
) -> Expression:
    """An expression of a type over some columns."""
    return _Maker(random, columns).make(kind, depth)


class _Maker:
    def __init__(self, random: Random, columns: Sequence[Column]) -> None:
        self.random = random
        self.columns = columns
        self.named = {c.name: c for c in columns}

    def one_of(self, *items: Any) -> Any:
        return self.random.choice(items)

    def leaf(self, kind: DataType) -> Expression:
        fitting = [c for c in self.columns if c.type == kind]
        if fitting and self.random.random() < 0.75:
            return ColumnRef(self.one_of(*fitting).name)
        return self.constant(kind)

    def constant(self, kind: DataType) -> Literal:
        some = None if self.random.random() < 0.2 else value(self.random, kind)
        return literal(some, kind)

    def make(self, kind: DataType, depth: int) -> Expression:
        if depth == 0:
            return self.leaf(kind)
        choices: list[Callable[[], Expression]] = [
            lambda: self.leaf(kind),
            lambda: self.case(kind, depth - 1),
            lambda: self.cast(kind, depth - 1),
            lambda: self.calls(kind, depth - 1, "coalesce", "greatest", "least", "nullif"),
            *self.special(kind, depth - 1),
            *self.special(kind, depth - 1),
        ]
        return self.one_of(*choices)()

    def case(self, kind: DataType, depth: int) -> Expression:
        count = self.random.randint(1, 2)
        branches = tuple(
            When(self.make(BOOLEAN, depth), self.make(kind, depth)) for _ in range(count)
        )
        return Case(branches, self.make(kind, depth))

    def cast(self, kind: DataType, depth: int) -> Expression:
        sources = [t for t in TYPES if kind.name in CASTS.get(t.name, ())]
        inner = self.make(self.one_of(*sources), depth)
        return Cast(inner, kind, self.random.random() < 0.5)

    def calls(self, kind: DataType, depth: int, *names: str) -> Expression:
        name = self.one_of(*names)
        return call(name, self.make(kind, depth), self.make(kind, depth))

    def typed(self, name: str, depth: int, *kinds: DataType) -> Callable[[], Expression]:
        return lambda: call(name, *(self.make(k, depth) for k in kinds))

    def special(self, kind: DataType, depth: int) -> list[Callable[[], Expression]]:
        if is_integer(kind):
            return self.integers(kind, depth)
        return {
            "boolean": self.truths,
            "float": self.floats,
            "double": self.doubles,
            "decimal": lambda d: self.decimals(kind, d),
            "string": self.texts,
            "binary": lambda _: [lambda: self.leaf(kind)],
            "date": self.dates,
            "timestamp": lambda d: self.instants(kind, d),
            "timestamp_utc": lambda d: self.instants(kind, d),
        }[kind.name](depth)

    def truths(self, depth: int) -> list[Callable[[], Expression]]:
        def comparison() -> Expression:
            kind = self.one_of(*TYPES)
            return self.calls(kind, depth, "eq", "ne", "lt", "le", "gt", "ge", "same")

        def listed() -> Expression:
            kind = self.one_of(*TYPES)
            items = tuple(self.constant(kind) for _ in range(self.random.randint(1, 3)))
            return InList(self.make(kind, depth), items)

        def logic() -> Expression:
            count = self.random.randint(2, 3)
            return Call(
                self.one_of("and", "or"), tuple(self.make(BOOLEAN, depth) for _ in range(count))
            )

        def null() -> Expression:
            return call(
                self.one_of("is_null", "is_not_null"), self.make(self.one_of(*TYPES), depth)
            )

        def like() -> Expression:
            return call("like", self.make(STRING, depth), literal(self.one_of(*PATTERNS), STRING))

        return [
            comparison,
            logic,
            logic,
            null,
            listed,
            like,
            self.typed("not", depth, BOOLEAN),
            self.typed("is_nan", depth, self.one_of(DOUBLE, FLOAT)),
            self.typed(self.one_of("contains", "starts_with", "ends_with"), depth, STRING, STRING),
        ]

    def integers(self, kind: DataType, depth: int) -> list[Callable[[], Expression]]:
        found: list[Callable[[], Expression]] = [
            lambda: self.calls(kind, depth, "add", "subtract", "multiply", "remainder"),
            lambda: call(self.one_of("negate", "abs"), self.make(kind, depth)),
        ]
        if kind == INT64:
            found += [
                self.typed("integer_divide", depth, INT64, INT64),
                self.typed(self.one_of("floor", "ceil"), depth, DOUBLE),
                self.typed("timestamp_diff", depth, *[self.one_of(TIMESTAMP, TIMESTAMP_UTC)] * 2),
            ]
        if kind == INT32:
            part = ("year", "quarter", "month", "day", "day_of_week", "day_of_year", "week")
            found += [
                self.typed(self.one_of(*part), depth, self.one_of(DATE, TIMESTAMP)),
                self.typed(self.one_of("hour", "minute", "second"), depth, TIMESTAMP),
                self.typed("date_diff", depth, DATE, DATE),
                self.typed("length", depth, self.one_of(STRING, BINARY)),
                self.typed("position", depth, STRING, STRING),
            ]
        return found

    def floats(self, depth: int) -> list[Callable[[], Expression]]:
        return [
            lambda: self.calls(FLOAT, depth, "add", "subtract", "multiply"),
            lambda: call(self.one_of("negate", "abs"), self.make(FLOAT, depth)),
        ]

    def doubles(self, depth: int) -> list[Callable[[], Expression]]:
        one = ("negate", "abs", "sign", "sqrt", "exp", "ln", "log2", "log10")
        return [
            lambda: self.calls(DOUBLE, depth, "add", "subtract", "multiply", "divide", "remainder"),
            lambda: call(self.one_of(*one), self.make(DOUBLE, depth)),
            lambda: call(
                "round", self.make(DOUBLE, depth), literal(self.one_of(0, 1, 3, -1), INT32)
            ),
            self.typed("power", depth, DOUBLE, DOUBLE),
        ]

    def decimals(self, kind: DataType, depth: int) -> list[Callable[[], Expression]]:
        some = (D1, D2, D3, D4)

        def binary() -> Expression:
            name = self.one_of("add", "subtract", "multiply", "divide", "remainder")
            found = call(
                name, self.make(self.one_of(*some), depth), self.make(self.one_of(*some), depth)
            )
            return self.to(found, kind)

        def unary() -> Expression:
            inner = self.make(self.one_of(*some), depth)
            name = self.one_of("negate", "abs", "floor", "ceil", "round")
            digits = literal(self.one_of(0, 1, 2, 5, -1, -3), INT32)
            return self.to(call(name, inner, *([digits] if name == "round" else [])), kind)

        return [binary, binary, unary]

    def to(self, expression: Expression, kind: DataType) -> Expression:
        found = type_of(expression, self.named).type
        return expression if found == kind else Cast(expression, kind)

    def texts(self, depth: int) -> list[Callable[[], Expression]]:
        return [
            lambda: call(
                self.one_of("lower", "upper", "trim", "trim_start", "trim_end"),
                self.make(STRING, depth),
            ),
            self.typed("concat", depth, STRING, STRING),
            self.typed("replace", depth, STRING, STRING, STRING),
            lambda: call(
                "substring",
                self.make(STRING, depth),
                self.make(INT32, depth),
                self.make(INT32, depth),
            ),
        ]

    def dates(self, depth: int) -> list[Callable[[], Expression]]:
        units = ("year", "quarter", "month", "week", "day")
        return [
            lambda: call("date_add", self.make(DATE, depth), self.small()),
            lambda: call("add_months", self.make(DATE, depth), self.small()),
            self.typed("last_day", depth, DATE),
            lambda: call(
                "truncate_to", literal(self.one_of(*units), STRING), self.make(DATE, depth)
            ),
            lambda: call(
                "make_date", *(literal(self.random.randint(1, n), INT32) for n in (9999, 14, 32))
            ),
        ]

    def instants(self, kind: DataType, depth: int) -> list[Callable[[], Expression]]:
        units = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")

        def later() -> Expression:
            span = timedelta(
                days=self.random.randint(-900, 900), seconds=self.random.randint(0, 99)
            )
            return call(
                "timestamp_add",
                self.make(kind, depth),
                literal(span // timedelta(microseconds=1), INT64),
            )

        return [
            later,
            lambda: call("add_months", self.make(kind, depth), self.small()),
            lambda: call(
                "truncate_to", literal(self.one_of(*units), STRING), self.make(kind, depth)
            ),
        ]

    def small(self) -> Expression:
        return literal(self.random.randint(-30, 30), INT32)


def shown(value: Any) -> Any:
    """A value by which rows compare bit for bit: NaN equals NaN, -0.0 does not equal 0.0."""
    match value:
        case float():
            return repr(value)
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None)
        case list():
            return [shown(v) for v in value]
        case _:
            return value
