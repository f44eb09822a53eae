"""Types as plans use them: names for the simple ones, classes of types, and Spark's rules.

A plan converts nothing silently. Whoever writes one (the planner) puts a cast wherever two types
differ; `common_type` says to which type Spark's ANSI mode would convert them.
"""

from __future__ import annotations

from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DECIMAL_DIGITS, DataType, decimal

BOOLEAN: Final = DataType("boolean")
INT8: Final = DataType("int8")
INT16: Final = DataType("int16")
INT32: Final = DataType("int32")
INT64: Final = DataType("int64")
FLOAT: Final = DataType("float")
DOUBLE: Final = DataType("double")
STRING: Final = DataType("string")
BINARY: Final = DataType("binary")
DATE: Final = DataType("date")
TIMESTAMP: Final = DataType("timestamp")
TIMESTAMP_UTC: Final = DataType("timestamp_utc")

INTEGER_BITS: Final = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
_DECIMAL_OF_INTEGER: Final = {"int8": 3, "int16": 5, "int32": 10, "int64": 20}
_LEAST_SCALE: Final = 6  # Spark keeps so many fraction digits when it must cut a decimal

TYPE_CLASSES: Final = {
    "boolean": frozenset({"boolean"}),
    "integer": frozenset(INTEGER_BITS),
    "fraction": frozenset({"float", "double"}),
    "decimal": frozenset({"decimal"}),
    "number": frozenset({*INTEGER_BITS, "float", "double"}),
    "moment": frozenset({"date", "timestamp", "timestamp_utc"}),
    "instant": frozenset({"timestamp", "timestamp_utc"}),
    "flat": frozenset(
        {
            "boolean", *INTEGER_BITS, "float", "double", "decimal", "string", "binary",
            "date", "timestamp", "timestamp_utc",
        }
    ),
}  # fmt: skip
"""Classes of types, by the word that signatures use; a type belongs by the word of its name.

All types compare, sort and group: lists and structs by their parts, see `docs/spec/plan.md`.
"""


def is_integer(kind: DataType) -> bool:
    """Whether the type is one of the four signed integers."""
    return kind.name in INTEGER_BITS


def is_numeric(kind: DataType) -> bool:
    """Whether arithmetic is defined on the type."""
    return kind.name in TYPE_CLASSES["number"] or kind.name == "decimal"


def has_parts(kind: DataType) -> bool:
    """Whether values are lists or structs."""
    return kind.name not in TYPE_CLASSES["flat"]


def holds_floats(kind: DataType) -> bool:
    """Whether a value is a float, or has parts that are: then equal ones may differ in bits."""
    if kind.element is not None:
        return holds_floats(kind.element)
    if kind.name == "struct":
        return any(holds_floats(inner) for _, inner in kind.fields)
    return kind.name in TYPE_CLASSES["fraction"]


def list_of(element: DataType) -> DataType:
    """The type of lists of such elements."""
    return DataType("list", element=element)


def integer_range(kind: DataType) -> tuple[int, int]:
    """The least and the greatest value of an integer type."""
    half = 1 << (INTEGER_BITS[kind.name] - 1)
    return -half, half - 1


def as_decimal(kind: DataType) -> DataType:
    """The decimal type that holds every value of an integer or decimal type."""
    if kind.name == "decimal":
        return kind
    return decimal(_DECIMAL_OF_INTEGER[kind.name], 0)


def common_type(left: DataType, right: DataType) -> DataType:
    """The type both operands of a comparison, CASE or UNION are cast to (Spark, ANSI mode).

    Fields of structs go by place, and have the names of the left ones.

    Raises: PlanError if there is none; text never turns into a number by itself.
    """
    if left == right:
        return left
    names = {left.name, right.name}
    if is_numeric(left) and is_numeric(right):
        return _common_number(left, right)
    if left.element is not None and right.element is not None:
        return list_of(common_type(left.element, right.element))
    if names == {"struct"} and len(left.fields) == len(right.fields):
        pairs = zip(left.fields, right.fields, strict=True)
        fields = tuple((name, common_type(a, b)) for (name, a), (_, b) in pairs)
        return DataType("struct", fields=fields)
    if names == {"date", "timestamp"}:
        return TIMESTAMP
    if "timestamp_utc" in names and names <= TYPE_CLASSES["moment"]:
        return TIMESTAMP_UTC
    raise PlanError(
        f"{left} and {right} have no common type",
        hint="cast one of the two, for example CAST(column AS STRING)",
    )


def _common_number(left: DataType, right: DataType) -> DataType:
    names = {left.name, right.name}
    if "double" in names:
        return DOUBLE
    if "float" in names:  # 24 bits hold no int32, so Spark's ANSI mode goes to double
        return DOUBLE
    if "decimal" in names:
        a, b = as_decimal(left), as_decimal(right)
        scale = max(a.scale, b.scale)
        digits = max(a.precision - a.scale, b.precision - b.scale)
        return bounded_decimal(digits + scale, scale)
    return left if INTEGER_BITS[left.name] > INTEGER_BITS[right.name] else right


def bounded_decimal(precision: int, scale: int) -> DataType:
    """`decimal(precision, scale)`, both cut at 38 (Spark: DecimalType.bounded)."""
    precision = min(precision, DECIMAL_DIGITS)
    return decimal(precision, min(scale, precision))


def adjusted_decimal(precision: int, scale: int) -> DataType:
    """`decimal(precision, scale)`; beyond 38 digits fraction digits go first, down to six.

    Spark: DecimalType.adjustPrecisionScale.
    """
    if precision <= DECIMAL_DIGITS:
        return decimal(precision, scale)
    integral = precision - scale
    return decimal(DECIMAL_DIGITS, max(DECIMAL_DIGITS - integral, min(scale, _LEAST_SCALE)))


def add_decimals(a: DataType, b: DataType) -> DataType:
    """The type of a sum or difference of two decimals."""
    scale = max(a.scale, b.scale)
    digits = max(a.precision - a.scale, b.precision - b.scale)
    return adjusted_decimal(digits + scale + 1, scale)


def multiply_decimals(a: DataType, b: DataType) -> DataType:
    """The type of a product of two decimals."""
    return adjusted_decimal(a.precision + b.precision + 1, a.scale + b.scale)


def divide_decimals(a: DataType, b: DataType) -> DataType:
    """The type of a quotient of two decimals."""
    scale = max(_LEAST_SCALE, a.scale + b.precision + 1)
    return adjusted_decimal(a.precision - a.scale + b.scale + scale, scale)


def remainder_decimals(a: DataType, b: DataType) -> DataType:
    """The type of the remainder of two decimals."""
    scale = max(a.scale, b.scale)
    digits = min(a.precision - a.scale, b.precision - b.scale)
    return adjusted_decimal(digits + scale, scale)


def round_decimal(a: DataType, digits: int) -> DataType:
    """The type of a decimal rounded to so many fraction digits (Spark: RoundBase)."""
    whole = a.precision - a.scale + 1
    if digits < 0:
        return bounded_decimal(max(whole, 1 - digits), 0)
    scale = min(a.scale, digits)
    return bounded_decimal(whole + scale, scale)


def sum_type(kind: DataType) -> DataType:
    """The type of `sum` over a numeric column."""
    if kind.name == "decimal":
        return bounded_decimal(kind.precision + 10, kind.scale)
    return INT64 if is_integer(kind) else DOUBLE


def average_type(kind: DataType) -> DataType:
    """The type of `avg` over a numeric column."""
    if kind.name == "decimal":
        return bounded_decimal(kind.precision + 4, kind.scale + 4)
    return DOUBLE
