"""Columns, functions and windows of `job.spark`, as the messages that PySpark makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NoReturn

from mc2.errors import PlanError

Json = dict[str, Any]
_INT32: Final = 2**31
_BYTES_64: Final = 2**63


class Column:
    """A value for each row. Comparisons and `&`, `|`, `~` make new ones."""

    __slots__ = ("expression",)

    def __init__(self, expression: Json) -> None:
        self.expression = expression

    @classmethod
    def call(cls, function: str, *arguments: Column, distinct: bool = False) -> Column:
        """A function's value."""
        content: Json = {
            "function_name": function,
            "arguments": [a.expression for a in arguments],
        }
        if distinct:
            content["is_distinct"] = True
        return cls({"unresolved_function": content})

    @classmethod
    def literal(cls, value: object) -> Column:  # noqa: PLR0911 - one for each type
        """A constant. Raises: PlanError."""
        if isinstance(value, Column):
            return value
        match value:
            case None:
                return cls({"literal": {"null": {"null": {}}}})
            case bool():
                return cls({"literal": {"boolean": value}})
            case int() if -_INT32 <= value < _INT32:
                return cls({"literal": {"integer": value}})
            case int() if -_BYTES_64 <= value < _BYTES_64:
                return cls({"literal": {"long": str(value)}})
            case float():
                return cls({"literal": {"double": value}})
            case str():
                return cls({"literal": {"string": value}})
        raise PlanError(f"a {type(value).__name__} is no constant of a column")

    def _with(self, function: str, *others: object) -> Column:
        return Column.call(function, self, *(Column.literal(o) for o in others))

    def _reversed(self, function: str, other: object) -> Column:
        return Column.call(function, Column.literal(other), self)

    def __eq__(self, other: object) -> Column:  # type: ignore[override]  # as PySpark's
        return self._with("==", other)

    def __ne__(self, other: object) -> Column:  # type: ignore[override]  # as PySpark's
        return Column.call("not", self == other)

    __hash__ = None  # type: ignore[assignment]  # equal columns are a column, not a fact

    def __lt__(self, other: object) -> Column:
        return self._with("<", other)

    def __le__(self, other: object) -> Column:
        return self._with("<=", other)

    def __gt__(self, other: object) -> Column:
        return self._with(">", other)

    def __ge__(self, other: object) -> Column:
        return self._with(">=", other)

    def __add__(self, other: object) -> Column:
        return self._with("+", other)

    def __radd__(self, other: object) -> Column:
        return self._reversed("+", other)

    def __sub__(self, other: object) -> Column:
        return self._with("-", other)

    def __rsub__(self, other: object) -> Column:
        return self._reversed("-", other)

    def __mul__(self, other: object) -> Column:
        return self._with("*", other)

    def __rmul__(self, other: object) -> Column:
        return self._reversed("*", other)

    def __truediv__(self, other: object) -> Column:
        return self._with("/", other)

    def __rtruediv__(self, other: object) -> Column:
        return self._reversed("/", other)

    def __mod__(self, other: object) -> Column:
        return self._with("%", other)

    def __neg__(self) -> Column:
        return Column.call("negative", self)

    def __and__(self, other: object) -> Column:
        return self._with("and", other)

    def __or__(self, other: object) -> Column:
        return self._with("or", other)

    def __invert__(self) -> Column:
        return Column.call("not", self)

    def __bool__(self) -> NoReturn:
        raise PlanError("a script cannot branch on a column", hint="use &, | and ~, or F.when(...)")

    def alias(self, name: str) -> Column:
        """The value under a name."""
        return Column({"alias": {"expr": self.expression, "name": [name]}})

    def cast(self, kind: str) -> Column:
        """The value in another type. Raises: PlanError."""
        return Column({"cast": {"expr": self.expression, "type_str": kind}})

    def isNull(self) -> Column:  # noqa: N802 - PySpark's name
        """Whether it is NULL."""
        return Column.call("isNull", self)

    def isNotNull(self) -> Column:  # noqa: N802
        """Whether it is not NULL."""
        return Column.call("isNotNull", self)

    def eqNullSafe(self, other: object) -> Column:  # noqa: N802
        """Whether they are equal, NULL being equal to NULL."""
        return self._with("<=>", other)

    def isin(self, *values: object) -> Column:
        """Whether it is one of these."""
        if len(values) == 1 and isinstance(values[0], (list, tuple)):
            values = tuple(values[0])
        return self._with("in", *values)

    def between(self, low: object, high: object) -> Column:
        """Whether it is at least one value and at most another."""
        return (self >= low) & (self <= high)

    def like(self, pattern: str) -> Column:
        """Whether the text fits a pattern of `%` and `_`."""
        return self._with("like", pattern)

    def rlike(self, pattern: str) -> Column:
        """Whether a regular expression is found in the text."""
        return self._with("rlike", pattern)

    def startswith(self, text: object) -> Column:
        """Whether the text begins so."""
        return self._with("startswith", text)

    def endswith(self, text: object) -> Column:
        """Whether the text ends so."""
        return self._with("endswith", text)

    def contains(self, text: object) -> Column:
        """Whether the text holds another."""
        return self._with("contains", text)

    def substr(self, start: int, length: int) -> Column:
        """A piece of the text, from a position counted from 1."""
        return self._with("substr", start, length)

    def _ordered(self, direction: str, nulls: str) -> Column:
        key = {
            "child": self.expression,
            "direction": f"SORT_DIRECTION_{direction}",
            "null_ordering": f"SORT_NULLS_{nulls}",
        }
        return Column({"sort_order": key})

    def asc(self) -> Column:
        """In rising order, NULL first."""
        return self._ordered("ASCENDING", "FIRST")

    def desc(self) -> Column:
        """In falling order, NULL last."""
        return self._ordered("DESCENDING", "LAST")

    def asc_nulls_last(self) -> Column:
        """In rising order, NULL last."""
        return self._ordered("ASCENDING", "LAST")

    def desc_nulls_first(self) -> Column:
        """In falling order, NULL first."""
        return self._ordered("DESCENDING", "FIRST")

    def sort_key(self) -> Json:
        """The value as a key of an order."""
        key: Json = (self if "sort_order" in self.expression else self.asc()).expression
        found: Json = key["sort_order"]
        return found

    def when(self, condition: Column, value: object) -> Column:
        """One more branch of `F.when`. Raises: PlanError."""
        return Column.call("when", *self._branches(), condition, Column.literal(value))

    def otherwise(self, value: object) -> Column:
        """What `F.when` gives where no condition is true. Raises: PlanError."""
        return Column.call("when", *self._branches(), Column.literal(value))

    def _branches(self) -> list[Column]:
        call = self.expression.get("unresolved_function", {})
        if call.get("function_name") != "when" or len(call["arguments"]) % 2:
            raise PlanError("when and otherwise follow F.when(...)")
        return [Column(a) for a in call["arguments"]]

    def over(self, window: Window) -> Column:
        """The function over a window of rows."""
        return Column({"window": {"window_function": self.expression, **window.content}})


class Window:
    """The rows around each row that a function is computed over."""

    __slots__ = ("content",)

    unboundedPreceding: Final = -_BYTES_64  # noqa: N815 - PySpark's names
    unboundedFollowing: Final = _BYTES_64 - 1  # noqa: N815
    currentRow: Final = 0  # noqa: N815

    def __init__(self, content: Json | None = None) -> None:
        self.content = content or {}

    def partitionBy(self, *columns: object) -> Window:  # noqa: N802
        """Rows that are alike in these columns."""
        return Window({**self.content, "partition_spec": columns_of(columns)})

    def orderBy(self, *columns: object) -> Window:  # noqa: N802
        """The order of the rows."""
        keys = [Column(c).sort_key() for c in columns_of(columns)]
        return Window({**self.content, "order_spec": keys})

    def rowsBetween(self, start: int, end: int) -> Window:  # noqa: N802
        """From so many rows before (negative) or after to so many."""
        return self._frame("ROW", start, end)

    def rangeBetween(self, start: int, end: int) -> Window:  # noqa: N802
        """From so much less (negative) or more than the row's own value to so much."""
        return self._frame("RANGE", start, end)

    def _frame(self, kind: str, start: int, end: int) -> Window:
        frame = {
            "frame_type": f"FRAME_TYPE_{kind}",
            "lower": self._end(start),
            "upper": self._end(end),
        }
        return Window({**self.content, "frame_spec": frame})

    def _end(self, number: int) -> Json:
        if number <= self.unboundedPreceding or number >= self.unboundedFollowing:
            return {"unbounded": True}
        return (
            {"current_row": True} if number == 0 else {"value": Column.literal(number).expression}
        )


def column_of(value: object, *, literal: bool = False) -> Column:
    """A column, or the column of a name. Raises: PlanError."""
    if isinstance(value, Column):
        return value
    if literal:
        return Column.literal(value)
    if not isinstance(value, str):
        raise PlanError(f"a {type(value).__name__} is no column", hint='F.col("name"), F.lit(1)')
    if value == "*" or value.endswith(".*"):
        return Column({"unresolved_star": {} if value == "*" else {"unparsed_target": value}})
    return Column({"unresolved_attribute": {"unparsed_identifier": value}})


def columns_of(values: Sequence[object]) -> list[Json]:
    """Columns, names of columns, or one list of them. Raises: PlanError."""
    if len(values) == 1 and isinstance(values[0], (list, tuple)):
        values = values[0]
    return [column_of(v).expression for v in values]


_OF_COLUMNS: Final = (
    "abs", "acos", "asin", "atan", "atan2", "avg", "bool_and", "bool_or", "ceil", "coalesce",
    "concat", "corr", "cos", "count", "count_if", "covar_pop", "covar_samp", "cume_dist",
    "datediff", "day", "dayofmonth", "dayofweek", "dayofyear", "degrees", "dense_rank", "exp",
    "explode", "floor", "greatest", "hash", "hour", "hypot", "initcap", "isnan", "isnull",
    "kurtosis", "last_day", "least", "length", "ln", "log10", "log1p", "log2", "lower", "ltrim",
    "make_date", "max", "max_by", "md5", "mean", "median", "min", "min_by", "minute", "month",
    "nanvl", "negative", "nullif", "nvl", "percent_rank", "pow", "quarter", "radians", "rank",
    "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2", "regr_slope",
    "regr_sxx", "regr_sxy", "regr_syy", "reverse", "row_number", "rtrim", "second", "signum",
    "sin", "size", "skewness", "sqrt", "stddev", "stddev_pop", "sum", "tan", "to_date",
    "to_timestamp", "trim", "upper", "var_pop", "variance", "weekofyear", "xxhash64", "year",
)  # fmt: skip
"""Functions all of whose arguments are columns, or names of columns."""

_WITH_CONSTANTS: Final[dict[str, tuple[int, ...]]] = {
    # function: which arguments are columns by name; the others are constants
    "add_months": (0,), "date_add": (0,), "date_sub": (0,), "date_trunc": (1,), "instr": (0,),
    "lag": (0,), "lead": (0,), "locate": (1,), "lpad": (0,), "ntile": (), "percentile": (0,),
    "regexp_extract": (0,), "regexp_replace": (0,), "repeat": (0,), "round": (0,), "rpad": (0,),
    "sha2": (0,), "split": (0,), "substring": (0,), "translate": (0,), "trunc": (0,),
    "date_format": (0,),
}  # fmt: skip

FUNCTION_NAMES: Final = (
    *_OF_COLUMNS, *_WITH_CONSTANTS, "asc", "col", "column", "concat_ws", "countDistinct",
    "count_distinct", "desc", "expr", "lit", "sum_distinct", "udf", "when",
)  # fmt: skip


def functions() -> dict[str, object]:
    """What `F` holds in a script."""
    found: dict[str, object] = {name: _of_columns(name) for name in _OF_COLUMNS}
    found |= {name: _mixed(name, places) for name, places in _WITH_CONSTANTS.items()}
    found |= {
        "col": column_of,
        "column": column_of,
        "lit": Column.literal,
        "expr": lambda text: Column({"expression_string": {"expression": text}}),
        "asc": lambda c: column_of(c).asc(),
        "desc": lambda c: column_of(c).desc(),
        "when": lambda test, value: Column.call("when", test, Column.literal(value)),
        "countDistinct": _distinct("count"),
        "count_distinct": _distinct("count"),
        "sum_distinct": _distinct("sum"),
        "concat_ws": lambda sep, *cs: Column.call(
            "concat_ws", Column.literal(sep), *(Column(c) for c in columns_of(cs))
        ),
    }
    return found


def _of_columns(name: str) -> object:
    def build(*arguments: object) -> Column:
        return Column.call(name, *(column_of(a) for a in arguments))

    return build


def _mixed(name: str, places: tuple[int, ...]) -> object:
    def build(*arguments: object) -> Column:
        found = (column_of(a, literal=place not in places) for place, a in enumerate(arguments))
        return Column.call(name, *found)

    return build


def _distinct(name: str) -> object:
    def build(*arguments: object) -> Column:
        return Column.call(name, *(column_of(a) for a in arguments), distinct=True)

    return build
