"""The slow twin of the engine: plans over lists of Python tuples, one row at a time.

It knows what docs/spec/plan.md says and nothing of DuckDB. Integers are Python's, decimals exact
fractions, sums of floats exact; whatever the page calls a failure raises `EvaluationError`.
"""

from __future__ import annotations

import calendar
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cmp_to_key
from typing import Any

import numpy as np

from mc2.formats.schema import DataType, Schema
from mc2.plan.check import CheckedPlan
from mc2.plan.expressions import Call, Case, Cast, ColumnRef, Expression, InList, Literal
from mc2.plan.literals import literal_value
from mc2.plan.relations import (
    Aggregate,
    Distinct,
    Explode,
    Filter,
    Join,
    Limit,
    Mark,
    Project,
    Scan,
    Sort,
    Union,
    Values,
)
from mc2.plan.types import integer_range
from mc2.plan.typing import type_of
from mc2.plan.windows import Window
from tests.support.interpreter_windows import Partition, partitions

Row = tuple[Any, ...]
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # inside, instants are naive and mean UTC


class EvaluationError(Exception):
    """The plan fails on these rows."""


# --- values ---------------------------------------------------------------------------------


def fail_unless(condition: bool) -> None:
    if not condition:
        raise EvaluationError


def single(value: float) -> float:
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def integer(value: int, kind: DataType) -> int:
    low, high = integer_range(kind)
    fail_unless(low <= value <= high)
    return value


def half_up(value: Fraction) -> int:
    whole = (2 * abs(value.numerator) + value.denominator) // (2 * value.denominator)
    return whole if value >= 0 else -whole


def decimal(value: Fraction, kind: DataType) -> Decimal:
    digits = half_up(value * 10**kind.scale)
    fail_unless(abs(digits) < 10**kind.precision)
    sign = 1 if digits < 0 else 0
    return Decimal((sign, tuple(map(int, str(abs(digits)))), -kind.scale))


def is_zero(value: Any) -> bool:
    return value == 0


def compare(a: Any, b: Any) -> int:
    """Order of two values that are not NULL: NaN is greatest and equals itself."""
    if isinstance(a, float) and (math.isnan(a) or math.isnan(b)):
        return math.isnan(a) - math.isnan(b)
    return (a > b) - (a < b)


def naive(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


# --- expressions ----------------------------------------------------------------------------


class Evaluator:
    """Expressions over one row of a relation with this schema.

    `lenient`: what another argument already decides hides a failure, in whatever order they
    stand. An engine may do so too (docs/spec/plan.md, section "Failures").
    """

    def __init__(self, schema: Schema, *, lenient: bool = False) -> None:
        self.lenient = lenient
        self.columns = schema.by_name()
        self.places = {c.name: i for i, c in enumerate(schema.columns)}

    def type(self, expression: Expression) -> DataType:
        return type_of(expression, self.columns).type

    def __call__(self, expression: Expression, row: Row) -> Any:
        match expression:
            case ColumnRef(name):
                return row[self.places[name]]
            case Literal(text, kind):
                return None if text is None else naive(literal_value(text, kind))
            case Cast(value, kind, strict):
                found = self(value, row)
                if found is None:
                    return None
                try:
                    return cast(found, self.type(value), kind)
                except EvaluationError:
                    if strict:
                        raise
                    return None
            case Case(branches, otherwise):
                for branch in branches:
                    if self(branch.condition, row) is True:
                        return self(branch.value, row)
                return self(otherwise, row)
            case InList(value, items):
                found = self(value, row)
                if found is None:
                    return None
                listed = [self(i, row) for i in items]
                if any(i is not None and compare(found, i) == 0 for i in listed):
                    return True
                return None if None in listed else False
            case Call(name, arguments):
                return self.call(expression, name, arguments, row)

    def call(self, whole: Call, name: str, arguments: Sequence[Expression], row: Row) -> Any:
        if name in {"and", "or"}:
            return self.logic(name == "or", arguments, row)
        if name == "coalesce":
            for argument in arguments:
                value = self(argument, row)
                if value is not None:
                    return value
            return None
        if name in SPECIAL:
            return SPECIAL[name](*(self(a, row) for a in arguments))
        values, failure = [], None
        for argument in arguments:
            try:
                values.append(self(argument, row))
            except EvaluationError as error:
                failure = error
                if not self.lenient:
                    raise
        if any(v is None for v in values):
            return None
        if failure is not None:
            raise failure
        return FUNCTIONS[name](self.type(whole), *values)

    def logic(self, decided: bool, arguments: Sequence[Expression], row: Row) -> Any:
        found: Any = not decided
        failure = None
        for argument in arguments:
            try:
                value = self(argument, row)
            except EvaluationError as error:
                failure = error
                if not self.lenient:
                    raise
                continue
            if value is decided:
                return decided
            found = None if value is None else found
        if failure is not None:
            raise failure
        return found


def pick(sign: int) -> Callable[..., Any]:
    def choose(*values: Any) -> Any:
        best = None
        for v in values:
            if v is not None and (best is None or sign * compare(v, best) > 0):
                best = v
        return normal(best)

    return choose


def same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is None and b is None
    return compare(a, b) == 0


def nullif(a: Any, b: Any) -> Any:
    return None if a is not None and b is not None and compare(a, b) == 0 else a


SPECIAL: Mapping[str, Callable[..., Any]] = {
    "same": same,
    "is_null": lambda a: a is None,
    "is_not_null": lambda a: a is not None,
    "is_nan": lambda a: a is not None and math.isnan(a),
    "nullif": nullif,
    "greatest": pick(1),
    "least": pick(-1),
}


def arithmetic(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def run(kind: DataType, a: Any, b: Any) -> Any:
        if kind.name == "decimal":
            return decimal(function(Fraction(a), Fraction(b)), kind)
        if kind.name in {"float", "double"}:
            found = ieee(function, a, b)
            return single(found) if kind.name == "float" else found
        return integer(function(a, b), kind)

    return run


def ieee(function: Callable[[Any, Any], Any], a: float, b: float) -> float:
    try:
        return function(a, b)
    except OverflowError:
        return math.inf


def divide(kind: DataType, a: Any, b: Any) -> Any:
    fail_unless(not is_zero(b))
    return decimal(Fraction(a) / Fraction(b), kind) if kind.name == "decimal" else a / b


def cut(a: Any, b: Any) -> Any:
    """The whole part of a quotient, cut towards zero."""
    whole = abs(a) // abs(b)
    return whole if (a < 0) == (b < 0) else -whole


def remainder(kind: DataType, a: Any, b: Any) -> Any:
    fail_unless(not is_zero(b))
    if kind.name == "decimal":
        x, y = Fraction(a), Fraction(b)
        return decimal(x - y * cut(x, y), kind)
    if kind.name in {"float", "double"}:
        if math.isinf(a) or math.isnan(a) or math.isnan(b):
            return math.nan
        return math.fmod(a, b)
    low, _ = integer_range(kind)
    fail_unless((a, b) != (low, -1))
    return a - b * cut(a, b)


def integer_divide(kind: DataType, a: int, b: int) -> int:
    fail_unless(b != 0)
    return integer(cut(a, b), kind)


def negate(kind: DataType, a: Any) -> Any:
    if kind.name == "decimal":
        return decimal(-Fraction(a), kind)
    return -a if kind.name in {"float", "double"} else integer(-a, kind)


def absolute(kind: DataType, a: Any) -> Any:
    return negate(kind, a) if a < 0 or (a == 0 and math.copysign(1, a) < 0) else a


def rounded(kind: DataType, a: Any, digits: int) -> Any:
    if kind.name == "decimal":
        if digits >= 0:
            return decimal(Fraction(a), kind)
        return decimal(Fraction(half_up(Fraction(a) / 10**-digits) * 10**-digits), kind)
    factor = 10.0 ** abs(digits)
    moved = a * factor if digits >= 0 else a / factor
    if not math.isfinite(moved):
        return a
    near = math.copysign(float(half_up(Fraction(moved))), moved)
    back = near / factor if digits >= 0 else near * factor
    return back if math.isfinite(back) else (a if digits >= 0 else 0.0)


def whole(function: Callable[[Any], int]) -> Callable[..., Any]:
    def run(kind: DataType, a: Any) -> Any:
        if kind.name == "decimal":
            return decimal(Fraction(function(Fraction(a))), kind)
        fail_unless(math.isfinite(a))
        return integer(function(a), kind)

    return run


def real(function: Callable[..., float]) -> Callable[..., Any]:
    def run(_kind: DataType, *values: float) -> float:
        try:
            return function(*values)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    return run


def power(a: float, b: float) -> float:
    if a == 0 and b < 0:
        odd = b.is_integer() and b % 2 == 1
        return math.copysign(math.inf, a) if odd else math.inf
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b.is_integer() and b % 2 == 1 else math.inf


def logarithm(function: Callable[[float], float]) -> Callable[..., Any]:
    return lambda _kind, a: None if a <= 0 else function(a)


def sign(_kind: DataType, a: float) -> float:
    return a if math.isnan(a) else float((a > 0) - (a < 0))


def substring(_kind: DataType, text: str, start: int, length: int) -> str:
    begin = start - 1 if start > 0 else (len(text) + start if start < 0 else 0)
    end = begin + length
    return "" if end <= begin or end <= 0 else text[max(begin, 0) : end]


def like(_kind: DataType, text: str, pattern: str) -> bool:
    parts, at = [], 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            at += 1
            parts.append(re.escape(pattern[at]))
        else:
            parts.append({"%": ".*", "_": "."}.get(character) or re.escape(character))
        at += 1
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def moment(value: date) -> datetime:
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)  # noqa: DTZ001


def shifted(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except OverflowError:
        raise UnknownDateError from None


class UnknownDateError(EvaluationError):
    """Beyond what Python's dates hold; the engine's hold more."""


def add_months(kind: DataType, value: Any, months: int) -> Any:
    years, month = divmod(value.month - 1 + months, 12)
    year = value.year + years
    if not 1 <= year <= 9999:
        raise UnknownDateError
    day = min(value.day, calendar.monthrange(year, month + 1)[1])
    return value.replace(year=year, month=month + 1, day=day)


def truncate_to(kind: DataType, unit: str, value: Any) -> Any:
    day = value.date() if isinstance(value, datetime) else value
    match unit:
        case "year":
            day = day.replace(month=1, day=1)
        case "quarter":
            day = day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "month":
            day = day.replace(day=1)
        case "week":
            day = shifted(lambda: day - timedelta(days=day.weekday()))
        case "hour":
            return value.replace(minute=0, second=0, microsecond=0)
        case "minute":
            return value.replace(second=0, microsecond=0)
        case "second":
            return value.replace(microsecond=0)
    return day if kind.name == "date" else moment(day)


def make_date(_kind: DataType, year: int, month: int, day: int) -> date:
    if not 1 <= year <= 9999:
        raise UnknownDateError
    try:
        return date(year, month, day)
    except ValueError:
        raise EvaluationError from None


def microseconds(value: timedelta) -> int:
    return (value.days * 86400 + value.seconds) * 10**6 + value.microseconds


def upper(text: str) -> str:
    return text.upper()


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "eq": lambda _k, a, b: compare(a, b) == 0,
    "ne": lambda _k, a, b: compare(a, b) != 0,
    "lt": lambda _k, a, b: compare(a, b) < 0,
    "le": lambda _k, a, b: compare(a, b) <= 0,
    "gt": lambda _k, a, b: compare(a, b) > 0,
    "ge": lambda _k, a, b: compare(a, b) >= 0,
    "not": lambda _k, a: not a,
    "add": arithmetic(lambda a, b: a + b),
    "subtract": arithmetic(lambda a, b: a - b),
    "multiply": arithmetic(lambda a, b: a * b),
    "divide": divide,
    "integer_divide": integer_divide,
    "remainder": remainder,
    "negate": negate,
    "abs": absolute,
    "sign": sign,
    "round": rounded,
    "floor": whole(math.floor),
    "ceil": whole(math.ceil),
    "sqrt": real(math.sqrt),
    "exp": real(math.exp),
    "ln": logarithm(math.log),
    "log2": logarithm(math.log2),
    "log10": logarithm(math.log10),
    "power": real(power),
    "lower": lambda _k, a: a.lower(),
    "upper": lambda _k, a: upper(a),
    "trim": lambda _k, a: a.strip(" "),
    "trim_start": lambda _k, a: a.lstrip(" "),
    "trim_end": lambda _k, a: a.rstrip(" "),
    "length": lambda _k, a: len(a),
    "substring": substring,
    "concat": lambda _k, *texts: "".join(texts),
    "like": like,
    "contains": lambda _k, a, b: b in a,
    "starts_with": lambda _k, a, b: a.startswith(b),
    "ends_with": lambda _k, a, b: a.endswith(b),
    "replace": lambda _k, a, b, c: a.replace(b, c) if b else a,
    "position": lambda _k, a, b: a.find(b) + 1,
    "year": lambda _k, a: a.year,
    "quarter": lambda _k, a: (a.month + 2) // 3,
    "month": lambda _k, a: a.month,
    "day": lambda _k, a: a.day,
    "day_of_week": lambda _k, a: a.isoweekday() % 7 + 1,
    "day_of_year": lambda _k, a: a.timetuple().tm_yday,
    "week": lambda _k, a: a.isocalendar()[1],
    "hour": lambda _k, a: a.hour,
    "minute": lambda _k, a: a.minute,
    "second": lambda _k, a: a.second,
    "date_add": lambda _k, a, n: shifted(lambda: a + timedelta(days=n)),
    "date_diff": lambda _k, a, b: (a - b).days,
    "add_months": add_months,
    "last_day": lambda _k, a: a.replace(day=calendar.monthrange(a.year, a.month)[1]),
    "truncate_to": truncate_to,
    "timestamp_add": lambda _k, a, n: shifted(lambda: a + timedelta(microseconds=n)),
    "timestamp_diff": lambda _k, a, b: microseconds(a - b),
    "make_date": make_date,
}


# --- casts ----------------------------------------------------------------------------------

_SPACE = " \t\n\r"
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\Z", re.ASCII)
_PLAIN = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)\Z", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+\Z", re.ASCII)
_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})", re.ASCII)
_TIME = re.compile(r"[ T](\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?", re.ASCII)


def cast(value: Any, source: DataType, kind: DataType) -> Any:
    if source == kind:
        return value
    if source.name == "string":
        return from_text(value, kind)
    if kind.name == "string":
        return to_text(value, source)
    if kind.name == "boolean":
        return value != 0
    if kind.name in {"date", "timestamp", "timestamp_utc"}:
        if kind.name == "date":
            return value.date() if isinstance(value, datetime) else value
        return moment(value)
    value = int(value) if isinstance(value, bool) else value
    if kind.name == "decimal":
        if isinstance(value, float):
            fail_unless(math.isfinite(value))
            value = Decimal(repr(value))
        return decimal(Fraction(value), kind)
    if kind.name in {"float", "double"}:
        return to_float(value, kind)
    if isinstance(value, float):
        fail_unless(math.isfinite(value))
    return integer(int(value), kind)


def to_float(value: Any, kind: DataType) -> float:
    if kind.name == "double":
        return float(value)
    if isinstance(value, float):
        found = single(value)
        fail_unless(math.isfinite(found) or not math.isfinite(value))
        return found
    return nearest_single(Fraction(value))


def nearest_single(value: Fraction) -> float:
    """A rational rounded to 32 bits once, not by way of a double."""
    first = single(float(value))
    if Fraction(float(value)) == value:
        return first
    # The double may have been rounded onto a tie between two singles.
    bits = struct.unpack("<i", struct.pack("<f", first))[0]
    near = [struct.unpack("<f", struct.pack("<i", bits + d))[0] for d in (-1, 0, 1)]
    return min(near, key=lambda x: (abs(Fraction(x) - value), struct.pack("<f", x)[0] & 1))


def to_text(value: Any, source: DataType) -> str:
    match value:
        case float():
            return float_text(value, source)
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise EvaluationError from None
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:f}"
        case datetime():
            text = value.isoformat(" ", "microseconds")
            return text.rstrip("0").removesuffix(".") if "." in text else text
        case _:
            return str(value)


def float_text(value: float, source: DataType) -> str:
    """As Java writes it, from the shortest digits that read back."""
    if not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    found = Decimal(repr(value) if source.name == "double" else str(np.float32(value)))
    if not found or Decimal("0.001") <= abs(found) < 10**7:
        text = f"{found.normalize():f}"
        return text if "." in text else f"{text}.0"
    digits, power = f"{found.normalize():E}".split("E")
    return f"{digits if '.' in digits else f'{digits}.0'}E{int(power)}"


def from_text(text: str, kind: DataType) -> Any:
    if kind.name == "binary":
        return text.encode()
    text = text.strip(_SPACE)
    match kind.name:
        case "boolean":
            fail_unless(text.isascii())
            if text.lower() in {"t", "true", "y", "yes", "1"}:
                return True
            fail_unless(text.lower() in {"f", "false", "n", "no", "0"})
            return False
        case "float" | "double":
            if text in {"NaN", "Infinity", "+Infinity", "-Infinity"}:
                return float(text)
            fail_unless(bool(_NUMBER.match(text)))
            if kind.name == "double":
                return float(text)
            return (
                nearest_single(Fraction(text)) if abs(float(text)) < 1e38 else single(float(text))
            )
        case "decimal":
            fail_unless(bool(_PLAIN.match(text)))
            return decimal(Fraction(text), kind)
        case "date" | "timestamp" | "timestamp_utc":
            return read_moment(text, kind)
        case _:
            fail_unless(bool(_WHOLE.match(text)))
            return integer(int(text), kind)


def read_moment(text: str, kind: DataType) -> Any:
    if kind.name == "timestamp_utc":
        text = text.removesuffix("Z")
    day = _DAY.match(text)
    fail_unless(day is not None)
    found = make_date(kind, *map(int, day.groups())) if int(day[1]) else fail_unless(False)
    rest = text[day.end() :]
    if kind.name == "date":
        fail_unless(not rest)
        return found
    if not rest:
        return moment(found)
    time = _TIME.fullmatch(rest)
    fail_unless(time is not None)
    hour, minute, second = map(int, time.groups()[:3])
    fail_unless(hour < 24 and minute < 60 and second < 60)
    fraction = int((time[4] or "0").ljust(6, "0"))
    return moment(found).replace(hour=hour, minute=minute, second=second, microsecond=fraction)


# --- aggregates -----------------------------------------------------------------------------


def normal(value: Any) -> Any:
    """A value as a group has it: -0.0 is 0.0."""
    return 0.0 if isinstance(value, float) and value == 0 else value


def identity(value: Any) -> Any:
    """Equal for values that group together."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value + 0.0
    return value


def float_sum(values: Sequence[float]) -> float:
    if any(map(math.isnan, values)) or {math.inf, -math.inf} <= set(values):
        return math.nan
    if math.inf in values or -math.inf in values:
        return math.inf if math.inf in values else -math.inf
    total = sum(map(Fraction, values), Fraction(0))
    try:
        return float(total)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


def aggregated(name: str, values: list[Any], result: DataType) -> Any:
    match name:
        case "count" | "count_star":
            return len(values)
        case "bool_and" | "bool_or" if values:
            return all(values) if name == "bool_and" else any(values)
        case "min" | "max" if values:
            return normal(pick(1 if name == "max" else -1)(*values))
    if not values:
        return None
    if isinstance(values[0], float):
        return float_aggregate(name, values)
    total = sum(map(Fraction, values), Fraction(0))
    if name == "avg":
        if result.name == "decimal":
            return decimal(total / len(values), result)
        return float(total) / len(values)
    return decimal(total, result) if result.name == "decimal" else integer(int(total), result)


def float_aggregate(name: str, values: list[float]) -> float | None:
    total = float_sum(values)
    if name == "sum":
        return total
    mean = total / len(values)
    if name == "avg":
        return mean
    divisor = len(values) - name.endswith("samp")
    if not divisor:
        return None
    if not all(map(math.isfinite, values)):
        return math.nan
    squares = [(v - mean) * (v - mean) for v in values]
    variance = float_sum(squares) / divisor
    return variance if name.startswith("var") else math.sqrt(variance)


# --- relations ------------------------------------------------------------------------------


def order(keys: Sequence[tuple[Any, bool, bool]], others: Sequence[tuple[Any, bool, bool]]) -> int:
    for (a, descending, nulls_first), (b, _, _) in zip(keys, others, strict=True):
        if a is None or b is None:
            if (a is None) != (b is None):
                return -1 if (a is None) == nulls_first else 1
            continue
        found = compare(a, b)
        if found:
            return -found if descending else found
    return 0


def all_columns(row: Row) -> list[tuple[Any, bool, bool]]:
    keys = []
    for value in row:
        keys.append((value, False, True))
        negative = isinstance(value, float) and math.copysign(1, value) < 0
        keys.append((None if value is None else not negative, False, True))
    return keys


def in_order(rows: Sequence[Row], keys: Callable[[Row], list[tuple[Any, bool, bool]]]) -> list[Row]:
    return sorted(rows, key=cmp_to_key(lambda a, b: order(keys(a), keys(b))))


def literal(item: Literal) -> Any:
    """The value of a literal, instants without their zone."""
    return None if item.text is None else naive(literal_value(item.text, item.type))


class Interpreter:
    """Runs the relations of a checked plan over the rows of its inputs, by dataset."""

    def __init__(
        self,
        checked: CheckedPlan,
        tables: Mapping[str, Sequence[Row]],
        *,
        lenient: bool = False,
    ) -> None:
        self.plan = checked.plan
        self.lenient = lenient
        self.tables = tables
        self.rows: list[list[Row]] = []
        self.ordered: list[bool] = []
        for node in self.plan.nodes:
            rows, ordered = self.run(node.operation)
            self.rows.append(rows)
            self.ordered.append(ordered)

    def output(self, name: str) -> list[Row]:
        node = next(o.node for o in self.plan.outputs if o.name == name)
        return self.listed(node)

    def listed(self, node: int) -> list[Row]:
        rows = self.rows[node]
        return rows if self.ordered[node] else in_order(rows, all_columns)

    def schema(self, node: int) -> Schema:
        schema = self.plan.nodes[node].schema
        assert schema is not None
        return schema

    def run(self, operation: Any) -> tuple[list[Row], bool]:
        match operation:
            case Scan():
                source = self.plan.inputs[operation.input]
                places = [source.schema.names.index(n) for n in operation.columns]
                rows = self.tables[source.dataset]
                return [tuple(naive(r[p]) for p in places) for r in rows], True
            case Union():
                rows = [r for s in operation.sources for r in self.rows[s]]
                return rows, all(self.ordered[s] for s in operation.sources)
            case Join():
                return self.join(operation), False
            case Mark():
                return self.mark(operation), False
            case Values():
                return [tuple(literal(i) for i in row) for row in operation.rows], False
        rows, ordered = self.rows[operation.source], self.ordered[operation.source]
        value = Evaluator(self.schema(operation.source), lenient=self.lenient)
        match operation:
            case Project():
                expressions = [c.expression for c in operation.columns]
                return [tuple(value(e, r) for e in expressions) for r in rows], ordered
            case Filter():
                return [r for r in rows if value(operation.predicate, r) is True], ordered
            case Aggregate():
                return self.aggregate(operation, value, rows), False
            case Window():
                return self.window(operation, value, rows), False
            case Explode():
                return self.explode(operation, value, rows), False
            case Distinct():
                found = {tuple(map(identity, r)): tuple(map(normal, r)) for r in rows}
                return list(found.values()), False
            case Limit():
                end = None if operation.count is None else operation.offset + operation.count
                return self.listed(operation.source)[operation.offset : end], True
            case Sort():

                def keys(row: Row) -> list[tuple[Any, bool, bool]]:
                    own = [
                        (value(k.expression, row), k.descending, k.nulls_first)
                        for k in operation.keys
                    ]
                    return own + all_columns(row)

                return in_order(rows, keys), True
        raise AssertionError

    def join(self, operation: Join) -> list[Row]:
        left, right = self.rows[operation.left], self.rows[operation.right]
        schema = Schema(self.schema(operation.left).columns + self.schema(operation.right).columns)
        value = Evaluator(schema, lenient=self.lenient)
        nothing = [(None,) * len(self.schema(side)) for side in (operation.left, operation.right)]
        found: list[Row] = []
        matched: set[int] = set()
        for a in left:
            hits = [
                i
                for i, b in enumerate(right)
                if operation.on is None or value(operation.on, a + b) is True
            ]
            matched.update(hits)
            fail_unless(operation.how != "single" or len(hits) < 2)
            match operation.how:
                case "semi" | "anti":
                    found += [a] if bool(hits) == (operation.how == "semi") else []
                case "left" | "full" | "single":
                    found += [a + right[i] for i in hits] or [a + nothing[1]]
                case _:
                    found += [a + right[i] for i in hits]
        if operation.how in {"right", "full"}:
            found += [nothing[0] + b for i, b in enumerate(right) if i not in matched]
        return found

    def mark(self, operation: Mark) -> list[Row]:
        left, right = self.rows[operation.left], self.rows[operation.right]
        schema = Schema(self.schema(operation.left).columns + self.schema(operation.right).columns)
        value = Evaluator(schema, lenient=self.lenient)
        found = []
        for a in left:
            tests = [value(operation.on, a + b) for b in right]
            found.append((*a, True if True in tests else None if None in tests else False))
        return found

    def window(self, operation: Window, value: Evaluator, rows: Sequence[Row]) -> list[Row]:
        places = [value.places[k] for k in operation.keys]
        kinds = [c.type for c in self.schema(len(self.rows)).columns[-len(operation.columns) :]]

        def keys(row: Row) -> list[tuple[Any, bool, bool]]:
            return [
                (value(k.expression, row), k.descending, k.nulls_first) for k in operation.order
            ]

        def equal(a: Row, b: Row) -> bool:
            return not order(keys(a), keys(b))

        def key(row: Row) -> tuple[Any, ...]:
            return tuple(identity(row[p]) for p in places)

        found = []
        for members in partitions(operation, rows, key):
            part = Partition(in_order(members, lambda r: keys(r) + all_columns(r)), equal, value)
            for place, row in enumerate(part.rows):
                made = [
                    part.column(c, place, lambda c, r, kind=kind: self.column(c, value, r, kind))
                    for c, kind in zip(operation.columns, kinds, strict=True)
                ]
                found.append((*row, *made))
        return found

    def explode(self, operation: Explode, value: Evaluator, rows: Sequence[Row]) -> list[Row]:
        assert isinstance(operation.expression, Call)  # the twin knows lists where they are made
        assert operation.expression.function == "list"
        found = []
        for row in rows:
            items = [value(a, row) for a in operation.expression.arguments]
            for place, item in enumerate(items):
                counted = () if operation.position is None else (place,)
                found.append((*row, *counted, item))
        return found

    def aggregate(self, operation: Aggregate, value: Evaluator, rows: Sequence[Row]) -> list[Row]:
        places = [value.places[k] for k in operation.keys]
        groups: dict[tuple[Any, ...], tuple[tuple[Any, ...], list[Row]]] = {}
        for row in rows:
            key = tuple(identity(row[p]) for p in places)
            first = tuple(normal(row[p]) for p in places)
            groups.setdefault(key, (first, []))[1].append(row)
        if not operation.keys:
            groups = {(): ((), list(rows))}
        place = len(self.rows)
        results = [c.type for c in self.schema(place).columns[len(places) :]]
        found = []
        for first, members in groups.values():
            values = [
                self.column(column, value, members, kind)
                for column, kind in zip(operation.aggregates, results, strict=True)
            ]
            found.append((*first, *values))
        return found

    def column(self, column: Any, value: Evaluator, rows: Sequence[Row], kind: DataType) -> Any:
        if column.where is not None:
            rows = [r for r in rows if value(column.where, r) is True]
        if not column.arguments:
            return len(rows)
        values = [v for r in rows if (v := value(column.arguments[0], r)) is not None]
        if getattr(column, "distinct", False):
            values = list({identity(v): normal(v) for v in values}.values())
        return aggregated(column.function, values, kind)
