"""Spark's functions that choose between values, and those named like types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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
    TIMESTAMP_UTC,
)
from mc2.planner.call_rules import (
    MANY,
    Arguments,
    Columns,
    Rule,
    apply,
    choose,
    joined,
    to_type,
)
from mc2.planner.calls_texts import DECODE_BYTES
from mc2.planner.typed import NULL, Typed, convert, unify


def _test(function: str) -> Rule:
    def build(arguments: Arguments, columns: Columns) -> Typed:
        value = convert(NULL, STRING, columns) if arguments[0].untyped else arguments[0]
        return apply(function, [value], columns)

    return Rule(1, 1, build)


def _if_not_null(arguments: Arguments, columns: Columns) -> Typed:
    test = apply("is_not_null", [convert(arguments[0], arguments[0].type, columns)], columns)
    return choose([(test, arguments[1])], arguments[2], columns)


def _decode(arguments: Arguments, columns: Columns) -> Typed:
    """`decode(value, a, x, b, y, ..., otherwise)`; NULL equals NULL."""
    if len(arguments) == 2:
        return DECODE_BYTES.build(arguments, columns)
    value, *pairs = arguments
    otherwise = pairs.pop() if len(pairs) % 2 else NULL
    tests = [
        (apply("same", unify([value, wanted], columns), columns), found)
        for wanted, found in zip(pairs[::2], pairs[1::2], strict=True)
    ]
    return choose(tests, otherwise, columns)


def _if(arguments: Arguments, columns: Columns) -> Typed:
    return choose([(convert(arguments[0], BOOLEAN, columns), arguments[1])], arguments[2], columns)


CHOICE: Final[Mapping[str, Rule]] = {
    "coalesce": joined("coalesce", 1, MANY),
    "ifnull": joined("coalesce", 2, 2),
    "nvl": joined("coalesce", 2, 2),
    "nvl2": Rule(3, 3, _if_not_null),
    "nullif": joined("nullif", 2, 2),
    "equal_null": joined("same", 2, 2),
    "greatest": joined("greatest", 2, MANY),
    "least": joined("least", 2, MANY),
    "isnull": _test("is_null"),
    "isnotnull": _test("is_not_null"),
    "isnan": _test("is_nan"),
    "if": Rule(3, 3, _if),
    "iff": Rule(3, 3, _if),
    "decode": Rule(2, MANY, _decode),
    # types
    "binary": to_type(BINARY),
    "boolean": to_type(BOOLEAN),
    "tinyint": to_type(INT8),
    "smallint": to_type(INT16),
    "int": to_type(INT32),
    "bigint": to_type(INT64),
    "float": to_type(FLOAT),
    "double": to_type(DOUBLE),
    "string": to_type(STRING),
    "date": to_type(DATE),
    "timestamp": to_type(TIMESTAMP_UTC),
}
"""Rules by Spark's name."""
