"""What Python's operators and functions mean over the values of a row, as expressions of a plan.

Each gives what CPython gives for the same source, or fails the job, or is refused; never another
value. Spec: docs/spec/plan.md, section "Python functions".
"""

from __future__ import annotations

import ast
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.plan.expressions import Call, Case, Cast, Expression, Literal, When, literal
from mc2.plan.types import BOOLEAN, DOUBLE, INT32, INT64, STRING

EXACT: Final = 2**53
"""Up to here each whole number is a float."""
_INT64: Final = 2**63
_LONGEST: Final = 2**31 - 1  # characters of a text
_SPACES: Final = "".join(c for c in map(chr, range(sys.maxunicode + 1)) if c.isspace())
_TYPES: Final = {"bool": BOOLEAN, "int": INT64, "float": DOUBLE, "str": STRING}
_NUMBERS: Final = ("int", "float")


@dataclass(frozen=True, slots=True)
class Value:
    """A value: its type in Python, and the expression that it is.

    `none`: it may be None. `most`: no int that it can be is further from zero. `known`: the
    constant that it is, if it is one.
    """

    kind: str
    expression: Expression
    none: bool = False
    most: int = _INT64
    known: bool | int | float | str | None = None


NONE: Final = Value("None", Literal(None, STRING), none=True)


def constant(value: object) -> Value:
    """A constant of the source. Raises: PlanError."""
    if value is None:
        return NONE
    kind = type(value).__name__
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _INT64:
        raise PlanError("this number has more than 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise PlanError("this number is not finite")
    if not isinstance(value, (bool, int, float, str)):
        raise PlanError(f"a {kind} is no value of a row", hint="bool, int, float, str and None are")
    most = abs(value) if isinstance(value, int) else _INT64
    return Value(kind, literal(value, _TYPES[kind]), most=most, known=value)


def call(function: str, *values: Value, kind: str = "", most: int = _INT64) -> Value:
    """A function of the plan over values."""
    made = Call(function, tuple(v.expression for v in values))
    return Value(kind or values[0].kind, made, most=min(most, _INT64))


def choice(test: Value, yes: Value, no: Value) -> Value:
    """One of two values of one type. Raises: PlanError."""
    if test.known is not None:
        return yes if test.known else no
    if yes.kind == no.kind == "None":
        return NONE
    kind = no.kind if yes.kind == "None" else yes.kind
    if not {yes.kind, no.kind} <= {kind, "None"}:
        raise PlanError(
            f"it is a {yes.kind} or a {no.kind}", hint="write both in one type, as in float(n)"
        )
    a, b = (_as_null(v, kind) for v in (yes, no))
    branches: tuple[When, ...] = (When(test.expression, a.expression),)
    otherwise = b.expression
    if isinstance(otherwise, Case):
        branches, otherwise = (*branches, *otherwise.branches), otherwise.otherwise
    return Value(kind, Case(branches, otherwise), yes.none or no.none, max(a.most, b.most))


def _as_null(value: Value, kind: str) -> Value:
    if value.kind != "None":
        return value
    return Value(kind, Literal(None, _TYPES[kind]), none=True, most=0)


def sure(value: Value, what: str) -> Value:
    """A value that is not None. Raises: PlanError where Python could meet None."""
    if value.none:
        raise PlanError(
            f"{what} may be None here, where Python fails",
            hint="say first what None gives: if x is None: return None",
        )
    return value


def truth(value: Value) -> Value:
    """A value that decides. Raises: PlanError unless it is a bool."""
    if sure(value, "the condition").kind != "bool":
        raise PlanError(f"a {value.kind} is no condition", hint="compare it: n != 0, s != ''")
    return value


def negated(value: Value) -> Value:
    """The opposite."""
    if value.known is not None:
        return constant(not value.known)
    return call("not", truth(value))


def joined(word: str, values: Sequence[Value]) -> Value:
    """`and` or `or` of conditions, from the left, as far as needed."""
    rest = []
    for value in map(truth, values):
        if value.known is None:
            rest.append(value)
        elif value.known == (word == "or"):
            if not rest:
                return constant(value.known)
            rest.append(value)
            break
    if not rest:
        return constant(word == "and")
    return rest[0] if len(rest) == 1 else call(word, *rest)


def as_float(value: Value) -> Value:
    """`float(x)`. Raises: PlanError."""
    if value.kind == "float":
        return value
    if value.kind != "int":
        raise PlanError(f"float() takes an int or a float here, not a {value.kind}")
    if isinstance(value.known, int):
        return constant(float(value.known))
    return Value("float", Cast(value.expression, DOUBLE))


def _alike(a: Value, b: Value, what: str) -> tuple[Value, Value]:
    """Two values of one type; an int beside a float becomes one where it is exactly one."""
    a, b = sure(a, "the left side"), sure(b, "the right side")
    if a.kind == b.kind:
        return a, b
    if {a.kind, b.kind} != {"int", "float"}:
        raise PlanError(f"{what} of a {a.kind} and a {b.kind} may not stand here")
    whole = a if a.kind == "int" else b
    if whole.most > EXACT:
        raise PlanError(
            f"{what} of an int beyond 2**53 and a float has a meaning of Python's own",
            hint="write float(n), or hand over an INT column: CAST(n AS INT)",
        )
    return as_float(a), as_float(b)


def _not_nan(value: Value) -> Sequence[Value]:
    if value.kind != "float" or value.known is not None:
        return ()
    return (call("not", call("is_nan", value, kind="bool")),)


def compare(operator: type[ast.cmpop], a: Value, b: Value) -> Value:
    """A comparison; with NaN it is false, and `!=` true. Raises: PlanError."""
    a, b = _alike(a, b, "the comparison")
    if operator is ast.NotEq:
        return negated(compare(ast.Eq, a, b))
    function = _COMPARISONS.get(operator)
    if function is None:
        raise PlanError("this comparison may not stand here", hint="== != < <= > >= is in")
    # A plan holds NaN for equal to itself and for the greatest of all.
    guarded = b if operator in (ast.Lt, ast.LtE) else a
    return joined("and", [*_not_nan(guarded), call(function, a, b, kind="bool")])


_COMPARISONS: Final[Mapping[type[ast.cmpop], str]] = {
    ast.Eq: "eq", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge",
}  # fmt: skip


def contains(text: Value, part: Value) -> Value:
    """`part in text`. Raises: PlanError."""
    if (text.kind, part.kind) != ("str", "str"):
        raise PlanError(f"`in` of a {part.kind} and a {text.kind} may not stand here")
    return call("contains", sure(text, "the text"), sure(part, "the part"), kind="bool")


def _remainder(a: Value, b: Value) -> tuple[Value, Value]:
    """The remainder towards zero, and whether Python's has the other sign."""
    rest = call("remainder", a, b)
    zero = constant(0)
    apart = call("ne", call("lt", rest, zero, kind="bool"), call("lt", b, zero, kind="bool"))
    if b.known is not None:  # so do most: one comparison is enough
        word = "lt" if isinstance(b.known, int) and b.known > 0 else "gt"
        return rest, call(word, rest, zero, kind="bool")
    return rest, call("and", call("ne", rest, zero, kind="bool"), apart)


def _modulo(a: Value, b: Value) -> Value:
    rest, apart = _remainder(a, b)
    return replace(choice(apart, call("add", rest, b), rest), most=b.most)


def _floor_divide(a: Value, b: Value) -> Value:
    _, apart = _remainder(a, b)
    quotient = call("integer_divide", a, b, most=a.most)
    lower = call("subtract", quotient, constant(1))
    return replace(choice(apart, lower, quotient), most=min(a.most + 1, _INT64))


def _divide(a: Value, b: Value) -> Value:
    for value in (a, b):
        if value.kind == "int" and value.most > EXACT:
            raise PlanError(
                "/ of an int beyond 2**53 is rounded in a way of Python's own",
                hint="write float(a) / float(b), or hand over INT columns: CAST(n AS INT)",
            )
    return call("divide", as_float(a), as_float(b))


def binary(operator: type[ast.operator], a: Value, b: Value) -> Value:
    """`+ - * / // %`. Raises: PlanError."""
    a, b = sure(a, "the left side"), sure(b, "the right side")
    if operator is ast.Add and a.kind == b.kind == "str":
        return call("concat", a, b)
    if a.kind not in _NUMBERS or b.kind not in _NUMBERS:
        raise PlanError(f"a {a.kind} and a {b.kind} cannot be computed with", hint="int(b) counts")
    if operator is ast.Div:
        return _divide(a, b)
    if operator in (ast.FloorDiv, ast.Mod):
        if (a.kind, b.kind) != ("int", "int"):
            raise PlanError("// and % are for ints here", hint="write int(a / b)")
        return (_floor_divide if operator is ast.FloorDiv else _modulo)(a, b)
    function = _ARITHMETIC.get(operator)
    if function is None:
        hint = "write x * x" if operator is ast.Pow else "+ - * / // %"
        raise PlanError("this operator may not stand in a Python function", hint=hint)
    if a.kind != b.kind:
        a, b = as_float(a), as_float(b)
    most = a.most * b.most if operator is ast.Mult else a.most + b.most
    return call(function, a, b, most=most)


_ARITHMETIC: Final[Mapping[type[ast.operator], str]] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply",
}  # fmt: skip


def unary(operator: type[ast.unaryop], value: Value) -> Value:
    """`-x`, `+x` and `not x`. Raises: PlanError."""
    if operator is ast.Not:
        return negated(truth(value))
    if sure(value, "the number").kind not in _NUMBERS or operator is ast.Invert:
        raise PlanError(f"a {value.kind} has no sign")
    if operator is ast.UAdd:
        return value
    if isinstance(value.known, (int, float)):
        return constant(-value.known)
    return call("negate", value, most=value.most)


def piece(text: Value, low: int | None, high: int | None) -> Value:
    """`s[low:high]`. Raises: PlanError."""
    if sure(text, "the text").kind != "str":
        raise PlanError(f"a {text.kind} has no parts")

    def place(number: int) -> Value:
        if abs(number) > _LONGEST // 2:
            raise PlanError("this place in a text is too far")
        given = Value("int", literal(abs(number), INT32))
        if number >= 0:
            return given
        there = call("subtract", call("length", text), given)
        return call("greatest", there, Value("int", literal(0, INT32)))

    start = place(low or 0)
    end = Value("int", literal(_LONGEST // 2, INT32)) if high is None else place(high)
    length = call("subtract", end, start)
    if high is not None:
        length = call("greatest", length, Value("int", literal(0, INT32)))
    first = call("add", start, Value("int", literal(1, INT32)))
    return call("substring", text, first, length, kind="str")


def _ascii(text: Value) -> Value:
    """A text of ASCII alone; any other fails the job, since cases differ between libraries."""
    name = Value("str", literal("US-ASCII", STRING))
    return call("decode", call("encode", text, name), name, kind="str")


def _length(values: Sequence[Value]) -> Value:
    (text,) = values
    _check("len", [text], "str")
    return Value("int", Cast(call("length", text).expression, INT64), most=_LONGEST)


def _absolute(values: Sequence[Value]) -> Value:
    (number,) = values
    if number.kind not in _NUMBERS:
        raise PlanError(f"a {number.kind} has no absolute value")
    return call("abs", number, most=number.most)


def _integer(values: Sequence[Value]) -> Value:
    (value,) = values
    if value.kind == "bool":
        return replace(choice(value, constant(1), constant(0)), most=1)
    if value.kind == "float":
        return Value("int", Cast(value.expression, INT64))
    if value.kind != "int":
        raise PlanError(
            "int() takes a number or a bool here", hint="hand over CAST(s AS BIGINT) instead"
        )
    return value


def _text(values: Sequence[Value]) -> Value:
    (value,) = values
    if value.kind == "str":
        return value
    if value.kind != "int":
        raise PlanError("str() takes an int or a str here", hint="hand over CAST(x AS STRING)")
    return Value("str", Cast(value.expression, STRING))


def _extreme(operator: type[ast.cmpop]) -> Callable[[Sequence[Value]], Value]:
    def build(values: Sequence[Value]) -> Value:
        if len({v.kind for v in values}) != 1 or len(values) < 2:
            raise PlanError("min() and max() take two or more values of one type here")
        found = values[0]
        for value in values[1:]:
            found = choice(compare(operator, value, found), value, found)
        return found

    return build


FUNCTIONS: Final[Mapping[str, tuple[int, Callable[[Sequence[Value]], Value]]]] = {
    "abs": (1, _absolute),
    "float": (1, lambda values: as_float(values[0])),
    "int": (1, _integer),
    "len": (1, _length),
    "max": (0, _extreme(ast.Gt)),
    "min": (0, _extreme(ast.Lt)),
    "str": (1, _text),
}
"""Functions with how many values they take; 0 says two or more."""


def _check(name: str, values: Sequence[Value], *kinds: str) -> None:
    if [v.kind for v in values] != list(kinds):
        given = ", ".join(v.kind for v in values)
        raise PlanError(f"{name} takes ({', '.join(kinds)}), not ({given})")


def method(name: str, text: Value, values: Sequence[Value]) -> Value:
    """A method of a text. Raises: PlanError."""
    for value in (text, *values):
        sure(value, f"the text or an argument of {name}")
    kinds = ["str"] * {"startswith": 1, "endswith": 1, "replace": 2}.get(name, 0)
    if name == "strip" and values:
        kinds = ["str"]
    if text.kind != "str" or name not in METHODS:
        raise PlanError(f"a {text.kind} has no {name} here", hint=f"a str has {', '.join(METHODS)}")
    _check(name, values, *kinds)
    match name:
        case "strip":
            return call("trim", text, values[0] if values else constant(_SPACES))
        case "lower" | "upper":
            return call(name, _ascii(text))
        case "replace":
            if not values[0].known:
                raise PlanError("what replace looks for is written as a text, and not empty")
            return call("replace", text, *values)
        case _:
            plan_name = "starts_with" if name == "startswith" else "ends_with"
            return call(plan_name, text, *values, kind="bool")


METHODS: Final = ("endswith", "lower", "replace", "startswith", "strip", "upper")


def argument(expression: Expression, kind: DataType, *, nullable: bool) -> Value:
    """A column's value as Python has it. Raises: PlanError for types that Python has no one for."""
    if kind.name in ("int8", "int16", "int32", "int64"):
        most = 2 ** (int(kind.name[3:]) - 1)
        whole = expression if kind == INT64 else Cast(expression, INT64)
        return Value("int", whole, nullable, most)
    if kind.name in ("float", "double"):
        return Value("float", expression if kind == DOUBLE else Cast(expression, DOUBLE), nullable)
    for name in ("bool", "str"):
        if kind == _TYPES[name]:
            return Value(name, expression, nullable)
    raise PlanError(
        f"a Python function takes no {kind}",
        hint="hand over a number, a text or a boolean: CAST(x AS DOUBLE), year(day)",
    )


RETURNS: Final = {
    "boolean": "bool", "int8": "int", "int16": "int", "int32": "int", "int64": "int",
    "double": "float", "string": "str",
}  # fmt: skip
"""Types that a function may be declared to return, and what it then returns in Python."""


def result(value: Value, kind: DataType) -> Value:
    """What a function returns, in its declared type. Raises: PlanError if it is another."""
    wanted = RETURNS[kind.name]
    if value.kind == "None":
        return Value(wanted, Literal(None, kind), none=True)
    if value.kind != wanted:
        hint = "write 0.0, float(n)" if (value.kind, wanted) == ("int", "float") else ""
        raise PlanError(
            f"it returns a {value.kind}, and is declared to return {kind}, a {wanted}",
            hint=hint or "declare another type",
        )
    if wanted != "int" or kind == INT64:
        return value
    if isinstance(value.known, int):
        return replace(value, expression=literal(value.known, kind))
    return replace(value, expression=Cast(value.expression, kind))
