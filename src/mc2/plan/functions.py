"""The functions of a plan, each with its typed signatures. Spec: docs/spec/plan.md.

A signature reads like `T, T -> boolean where T: ordered`: each argument has exactly the type
named, one letter is one type throughout, `...` after the last argument repeats it, and nothing is
converted silently. Results of decimal arithmetic follow Spark's rules (`mc2.plan.types`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType, parse_type
from mc2.plan.expressions import Literal
from mc2.plan.types import (
    TYPE_CLASSES,
    add_decimals,
    divide_decimals,
    multiply_decimals,
    remainder_decimals,
    round_decimal,
)


class Nulls(Enum):
    """When a function gives NULL."""

    ANY = "any"  # if any argument is NULL, and only then
    LOGIC = "logic"  # by the rules of three-valued logic
    ALL = "all"  # only if all arguments are NULL
    NEVER = "never"
    MAYBE = "maybe"  # also for arguments that are not NULL


@dataclass(frozen=True, slots=True)
class Argument:
    """What typing knows of an argument: its type, whether it may be NULL, and if it is fixed."""

    type: DataType
    nullable: bool
    literal: Literal | None = None


Rule = Callable[[tuple[Argument, ...]], DataType]


@dataclass(frozen=True, slots=True)
class Signature:
    """One line of a function's typing: parameters, the class of each letter, and the result."""

    text: str
    parameters: tuple[str, ...]
    repeats: bool
    letters: dict[str, frozenset[str]]
    result: str | Rule

    def match(self, arguments: tuple[Argument, ...]) -> DataType | None:
        """The result's type, or None if the arguments do not fit."""
        parameters = self.parameters
        if self.repeats and len(arguments) > len(parameters):
            parameters += (parameters[-1],) * (len(arguments) - len(parameters))
        if len(parameters) != len(arguments):
            return None
        bound: dict[str, DataType] = {}
        for parameter, argument in zip(parameters, arguments, strict=True):
            if not self._fits(parameter, argument.type, bound):
                return None
        if isinstance(self.result, str):
            return bound[self.result] if self.result in bound else parse_type(self.result)
        return self.result(arguments)

    def _fits(self, parameter: str, kind: DataType, bound: dict[str, DataType]) -> bool:
        if parameter not in self.letters:
            return str(kind) == parameter
        allowed = self.letters[parameter]
        return (not allowed or kind.name in allowed) and bound.setdefault(parameter, kind) == kind


@dataclass(frozen=True, slots=True)
class Function:
    """A scalar function: its name, typing, treatment of NULL, and meaning in one sentence.

    `literals` are the positions of arguments that must be literals and not NULL. `fails` says on
    which data it fails the job; empty if on none.
    """

    name: str
    signatures: tuple[Signature, ...]
    nulls: Nulls
    meaning: str
    fails: str = ""
    literals: frozenset[int] = frozenset()

    def type(self, arguments: tuple[Argument, ...]) -> tuple[DataType, bool]:
        """The type of the result and whether it may be NULL. Raises: PlanError."""
        for position in sorted(self.literals):
            if position < len(arguments):
                fixed = arguments[position].literal
                if fixed is None or fixed.text is None:
                    raise PlanError(f"argument {position + 1} of {self.name} must be a literal")
        for line in self.signatures:
            found = line.match(arguments)
            if found is not None:
                return found, self._nullable(arguments)
        raise PlanError(
            f"{self.name} takes no ({', '.join(str(a.type) for a in arguments)})",
            hint="it takes " + " or ".join(f"({line.text})" for line in self.signatures),
        )

    def _nullable(self, arguments: tuple[Argument, ...]) -> bool:
        match self.nulls:
            case Nulls.ANY | Nulls.LOGIC:
                return any(a.nullable for a in arguments)
            case Nulls.ALL:
                return all(a.nullable for a in arguments)
            case Nulls.NEVER:
                return False
            case Nulls.MAYBE:
                return True


def signature(text: str, result: Rule | None = None) -> Signature:
    """Read `T, T... -> boolean where T: ordered`; `result` stands in for the type after `->`.

    >>> signature("T, T -> boolean where T: ordered").parameters
    ('T', 'T')
    """
    head, _, where = text.partition(" where ")
    left, _, right = head.partition(" -> ")
    parameters = tuple(p.strip() for p in left.split(",")) if left else ()
    repeats = bool(parameters) and parameters[-1].endswith("...")
    parameters = tuple(p.removesuffix("...") for p in parameters)
    letters: dict[str, frozenset[str]] = {}
    for clause in filter(None, where.split("; ")):
        letter, _, word = clause.partition(": ")
        letters[letter] = frozenset() if word == "any" else TYPE_CLASSES[word]
    return Signature(text, parameters, repeats, letters, result or right)


def _both(rule: Callable[[DataType, DataType], DataType]) -> Rule:
    return lambda arguments: rule(arguments[0].type, arguments[1].type)


def _decimals(rule: Callable[[DataType, DataType], DataType]) -> Signature:
    return signature("P, Q -> decimal where P: decimal; Q: decimal", _both(rule))


def _whole(arguments: tuple[Argument, ...]) -> DataType:
    return round_decimal(arguments[0].type, 0)


def _rounded(arguments: tuple[Argument, ...]) -> DataType:
    digits = arguments[1].literal
    if digits is None or digits.text is None:  # `literals` of the function says so before
        raise PlanError("the number of digits of round must be a literal")
    return round_decimal(arguments[0].type, int(digits.text))


def _function(
    name: str,
    signatures: str | tuple[str | Signature, ...],
    meaning: str,
    nulls: Nulls = Nulls.ANY,
    *,
    fails: str = "",
    literals: tuple[int, ...] = (),
) -> Function:
    lines = (signatures,) if isinstance(signatures, str) else signatures
    typed = tuple(signature(line) if isinstance(line, str) else line for line in lines)
    return Function(name, typed, nulls, meaning, fails, frozenset(literals))


_COMPARE: Final = "T, T -> boolean where T: ordered"
_LOGIC: Final = "boolean, boolean... -> boolean"
_OVERFLOW: Final = "the result is out of its type's range"
_ZERO: Final = "the divisor is zero, or the result is out of its type's range"
_REAL: Final = "double -> double"
_ARITHMETIC: Final = "T, T -> T where T: number"
_PART: Final = "T -> int32 where T: moment"
_TIME_PART: Final = "T -> int32 where T: instant"

_TABLE: Final = (
    # Comparison. NaN equals NaN and is greater than all other numbers; -0.0 equals 0.0.
    _function("eq", _COMPARE, "equal"),
    _function("ne", _COMPARE, "not equal"),
    _function("lt", _COMPARE, "less than"),
    _function("le", _COMPARE, "less than or equal"),
    _function("gt", _COMPARE, "greater than"),
    _function("ge", _COMPARE, "greater than or equal"),
    _function("same", _COMPARE, "equal, where NULL equals NULL (`<=>`)", Nulls.NEVER),
    _function("is_null", "T -> boolean where T: any", "is NULL", Nulls.NEVER),
    _function("is_not_null", "T -> boolean where T: any", "is not NULL", Nulls.NEVER),
    _function("is_nan", "T -> boolean where T: fraction", "is NaN; false for NULL", Nulls.NEVER),
    # Truth, with three values.
    _function("and", _LOGIC, "all are true; later ones need not be run", Nulls.LOGIC),
    _function("or", _LOGIC, "one is true; later ones need not be run", Nulls.LOGIC),
    _function("not", "boolean -> boolean", "the opposite"),
    # Choice.
    _function("coalesce", "T... -> T where T: any", "the first that is not NULL", Nulls.ALL),
    _function("nullif", "T, T -> T where T: ordered", "the first, or NULL if both are equal",
              Nulls.MAYBE),
    _function("greatest", "T, T... -> T where T: ordered", "the greatest that is not NULL",
              Nulls.ALL),
    _function("least", "T, T... -> T where T: ordered", "the least that is not NULL", Nulls.ALL),
    # Arithmetic. Integers fail on overflow; decimals are computed exactly, then rounded half up.
    _function("add", (_ARITHMETIC, _decimals(add_decimals)), "sum", fails=_OVERFLOW),
    _function("subtract", (_ARITHMETIC, _decimals(add_decimals)), "difference", fails=_OVERFLOW),
    _function("multiply", (_ARITHMETIC, _decimals(multiply_decimals)), "product",
              fails=_OVERFLOW),
    _function("divide", ("double, double -> double", _decimals(divide_decimals)), "quotient",
              fails=_ZERO),
    _function("integer_divide", "int64, int64 -> int64", "quotient, cut towards zero (`div`)",
              fails=_ZERO),
    _function("remainder", (_ARITHMETIC, _decimals(remainder_decimals)),
              "remainder, with the sign of the dividend (`%`)", fails="the divisor is zero"),
    _function("negate", ("T -> T where T: number", "T -> T where T: decimal"),
              "with the other sign", fails=_OVERFLOW),
    _function("abs", ("T -> T where T: number", "T -> T where T: decimal"), "absolute value",
              fails=_OVERFLOW),
    _function("sign", _REAL, "-1, 0 or 1"),
    _function("round", ("double, int32 -> double",
                        signature("P, int32 -> decimal where P: decimal", _rounded)),
              "rounded to so many fraction digits, halves away from zero", literals=(1,),
              fails=_OVERFLOW),
    _function("floor", ("double -> int64", signature("P -> decimal where P: decimal", _whole)),
              "the next whole number down", fails=_OVERFLOW),
    _function("ceil", ("double -> int64", signature("P -> decimal where P: decimal", _whole)),
              "the next whole number up", fails=_OVERFLOW),
    _function("sqrt", _REAL, "square root; NaN below zero"),
    _function("exp", _REAL, "e to that power"),
    _function("ln", _REAL, "natural logarithm; NULL at zero and below", Nulls.MAYBE),
    _function("log2", _REAL, "logarithm of base 2; NULL at zero and below", Nulls.MAYBE),
    _function("log10", _REAL, "logarithm of base 10; NULL at zero and below", Nulls.MAYBE),
    _function("power", "double, double -> double", "the first to the power of the second"),
    # Text. Lengths and positions count Unicode code points, from 1.
    _function("lower", "string -> string", "in lower case"),
    _function("upper", "string -> string", "in upper case"),
    _function("trim", "string -> string", "without spaces at both ends"),
    _function("trim_start", "string -> string", "without spaces at the start"),
    _function("trim_end", "string -> string", "without spaces at the end"),
    _function("length", ("string -> int32", "binary -> int32"), "in characters, or in bytes"),
    _function("substring", "string, int32, int32 -> string",
              "from a position, so many characters; a negative position counts from the end"),
    _function("concat", "string, string... -> string", "one after the other"),
    _function("like", "string, string -> boolean",
              "matches a pattern: % any text, _ one character, \\ escapes", literals=(1,)),
    _function("contains", "string, string -> boolean", "the second occurs in the first"),
    _function("starts_with", "string, string -> boolean", "the first starts with the second"),
    _function("ends_with", "string, string -> boolean", "the first ends with the second"),
    _function("replace", "string, string, string -> string",
              "the first, each occurrence of the second made the third"),
    _function("position", "string, string -> int32",
              "where the second first occurs in the first; 0 if nowhere"),
    # Dates and times. Instants (timestamp_utc) are read in UTC.
    _function("year", _PART, "the year"),
    _function("quarter", _PART, "the quarter, 1 to 4"),
    _function("month", _PART, "the month, 1 to 12"),
    _function("day", _PART, "the day of the month"),
    _function("day_of_week", _PART, "1 for Sunday to 7 for Saturday"),
    _function("day_of_year", _PART, "the day of the year"),
    _function("week", _PART, "the ISO week of the year"),
    _function("hour", _TIME_PART, "the hour"),
    _function("minute", _TIME_PART, "the minute"),
    _function("second", _TIME_PART, "the whole second"),
    _function("date_add", "date, int32 -> date", "so many days later", fails=_OVERFLOW),
    _function("date_diff", "date, date -> int32", "days from the second to the first"),
    _function("add_months", "T, int32 -> T where T: moment",
              "so many months later, on the last day of the month if it is shorter",
              fails=_OVERFLOW),
    _function("last_day", "date -> date", "the last day of the month"),
    _function("truncate_to", "string, T -> T where T: moment",
              "the start of the year, quarter, month, week, day, hour, minute or second",
              literals=(0,)),
    _function("timestamp_add", "T, int64 -> T where T: instant", "so many microseconds later",
              fails=_OVERFLOW),
    _function("timestamp_diff", "T, T -> int64 where T: instant",
              "microseconds from the second to the first"),
    _function("make_date", "int32, int32, int32 -> date", "from year, month and day",
              fails="there is no such day"),
)  # fmt: skip

FUNCTIONS: Final = {f.name: f for f in _TABLE}
"""All scalar functions by name."""


def function(name: str) -> Function:
    """A function by name. Raises: PlanError."""
    try:
        return FUNCTIONS[name]
    except KeyError:
        raise PlanError(f"there is no function {name[:63]!r}") from None
