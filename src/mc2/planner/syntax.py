"""Syntax of values beyond names, numbers and calls: patterns, bits, intervals, elements, fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from sqlglot import exp

from mc2.errors import PlanError
from mc2.formats.schema import Column
from mc2.plan.like import escape_with, folded_pattern
from mc2.plan.types import BINARY
from mc2.planner import calls
from mc2.planner.call_rules import apply, as_text, text, text_literal
from mc2.planner.calls_lists import element, field, struct_of
from mc2.planner.calls_moments import add_units, diff_units, part_of
from mc2.planner.calls_numbers import bits
from mc2.planner.calls_texts import trim
from mc2.planner.higher_order import HIGHER, of_elements
from mc2.planner.intervals import Interval, make_interval, part_of_interval, read_interval
from mc2.planner.typed import Typed, constant


class Scalars(Protocol):
    """What binds the parts of a value: `mc2.planner.scalar.Scalars`."""

    @property
    def columns(self) -> Mapping[str, Column]:
        """The types of the plan's columns."""

    @property
    def resolve(self) -> Callable[[exp.Column], Typed]:
        """What a name means."""

    @property
    def parameters(self) -> Mapping[str, Typed]:
        """What names mean that lambdas around a value have given."""

    def inside(self, columns: Mapping[str, Column], parameters: Mapping[str, Typed]) -> Scalars:
        """What binds the body of a lambda."""

    def bind(self, node: exp.Expr) -> Typed:
        """A value as a typed expression."""

    def pair(self, node: exp.Binary) -> tuple[Typed, Typed]:
        """Both sides of an operator."""

    def only(self, node: exp.Expr, *known: str) -> None:
        """Refuse what else the syntax may carry."""


_BITS: Final = {
    exp.BitwiseAnd: "bits_and",
    exp.BitwiseOr: "bits_or",
    exp.BitwiseXor: "bits_xor",
}
_UNIT_CALLS: Final = frozenset(
    {"timestampadd", "timestampdiff", "dateadd", "date_add", "datediff", "date_diff"}
)
_PLACES: Final = ("this", "table", "db", "catalog")
_NAMES: Final = (exp.Column, exp.Identifier)
_UNITS: Final = 3  # arguments of such a call


def like(self: Scalars, node: exp.Expr, escape: str = "\\") -> Typed:
    """LIKE and ILIKE, also with ANY and ALL."""
    self.only(node, "this", "expression", "negate")
    value = as_text(self.bind(node.this), self.columns)
    if isinstance(node, exp.ILike):
        value = apply("lower", [value], self.columns)
    many = node.expression
    if not isinstance(many, (exp.Any, exp.All)):
        return _negated(self, node, _matched(self, node, value, many, escape))
    inner = many.this.unnest()
    patterns = inner.expressions if isinstance(inner, exp.Tuple) else [inner]
    negate = bool(node.args.get("negate"))
    tests = [_matched(self, node, value, p, escape) for p in patterns]
    if negate:
        tests = [apply("not", [t], self.columns) for t in tests]
    word = "or" if isinstance(many, exp.Any) else "and"
    return apply(word, tests, self.columns) if len(tests) > 1 else tests[0]


def _matched(self: Scalars, node: exp.Expr, value: Typed, given: exp.Expr, escape: str) -> Typed:
    found = self.bind(given)
    if found.literal is None:
        raise PlanError(
            "a pattern must be written as a text",
            hint="use contains, startswith or endswith for text of a column",
        )
    if found.literal.text is None:
        raise PlanError("a comparison with NULL is never true", hint="write IS NULL")
    pattern = escape_with(text_literal(found, "the pattern", "a%"), escape)
    if isinstance(node, exp.ILike):
        pattern = folded_pattern(pattern)
    return apply("like", [value, text(pattern)], self.columns)


def _negated(self: Scalars, node: exp.Expr, value: Typed) -> Typed:
    return apply("not", [value], self.columns) if node.args.get("negate") else value


def _escape(self: Scalars, node: exp.Escape) -> Typed:
    inner = node.this
    if not isinstance(inner, (exp.Like, exp.ILike)) or len(node.expression.name) != 1:
        raise PlanError("ESCAPE stands after LIKE, with one character")
    return like(self, inner, node.expression.name)


def _regex(self: Scalars, node: exp.RegexpLike) -> Typed:
    self.only(node, "this", "expression", "negate")
    values = [self.bind(node.this), self.bind(node.expression)]
    return _negated(self, node, calls.build_call("regexp_like", values, self.columns))


def _bit_operation(self: Scalars, node: exp.Binary) -> Typed:
    return bits(_BITS[type(node)], self.pair(node), self.columns)


def _bit_not(self: Scalars, node: exp.BitwiseNot) -> Typed:
    return bits("bits_not", [self.bind(node.this)], self.columns)


def _interval(self: Scalars, node: exp.Interval) -> Typed:
    unit, value = node.args.get("unit"), node.this
    first = last = ""
    if isinstance(unit, exp.IntervalSpan):
        first, last = unit.this.name, unit.expression.name
    elif unit is not None:
        first = unit.name
    if not isinstance(value, exp.Literal):
        raise PlanError(
            "the length of an interval is written as a number",
            hint="write INTERVAL '1' DAY * n",
        )
    self.only(node, "this", "unit")
    return read_interval(str(value.this), first, last)


def _bracket(self: Scalars, node: exp.Bracket) -> Typed:
    self.only(node, "this", "expressions")
    if len(node.expressions) != 1:
        raise PlanError("one place stands in square brackets")
    return element(self.bind(node.this), self.bind(node.expressions[0]), self.columns)


def _dot(self: Scalars, node: exp.Dot) -> Typed:
    if not isinstance(node.expression, exp.Identifier):
        raise PlanError("a field's name stands after the dot")
    return field(self.bind(node.this), node.expression.name, self.columns)


def _bytes(_self: Scalars, node: exp.HexString) -> Typed:
    try:
        return constant(bytes.fromhex(node.name), BINARY)
    except ValueError:
        raise PlanError("these are no hexadecimal digits", hint="for example X'1F'") from None


def _raw(_self: Scalars, node: exp.RawString) -> Typed:
    return text(str(node.this))


def _extract(self: Scalars, node: exp.Extract) -> Typed:
    value = self.bind(node.expression)
    if isinstance(value, Interval):
        return part_of_interval(node.name, value, self.columns)
    return part_of(node.name, value, self.columns)


def _trim(self: Scalars, node: exp.Trim) -> Typed:
    self.only(node, "this", "expression", "position")
    taken = node.args.get("expression")
    where = str(node.args.get("position") or "BOTH").upper()
    return trim(where, self.bind(taken) if taken else None, self.bind(node.this), self.columns)


def special_call(self: Scalars, name: str, arguments: list[exp.Expr]) -> Typed | None:
    """A call whose arguments are no plain values; None if it is not one."""
    if name == "position" and len(arguments) == 1 and isinstance(arguments[0], exp.In):
        inner = arguments[0]
        pair = [self.bind(inner.this), self.bind(inner.args["field"])]
        return calls.build_call("position", pair, self.columns)
    if name in _UNIT_CALLS and len(arguments) == _UNITS:
        unit = arguments[0].name
        first, second = (self.bind(a) for a in arguments[1:])
        find = add_units if name.endswith("add") else diff_units
        return find(unit, first, second, self.columns)
    if name == "struct":
        return struct_of(_named(self, arguments), self.columns)
    if name in HIGHER and (name != "array_sort" or len(arguments) > 1):
        return of_elements(self, name, arguments)
    if name in {"make_ym_interval", "make_dt_interval"}:
        return make_interval(name, [self.bind(a) for a in arguments], self.columns)
    return None


def _parameter(self: Scalars, node: exp.Identifier) -> Typed:
    """A name that a lambda around the value has given; other names are columns."""
    try:
        return self.parameters[node.name.casefold()]
    except KeyError:
        raise PlanError(
            f"the parameter {node.name!r} of a lambda may not stand here",
            hint="windows, aggregates and subqueries read rows, and no elements",
        ) from None


def _transform(self: Scalars, node: exp.Transform) -> Typed:
    self.only(node, "this", "expression")
    return of_elements(self, "transform", [node.this, node.expression])


def _lambda(_self: Scalars, _node: exp.Lambda) -> Typed:
    raise PlanError(
        "a lambda may not stand here",
        hint=f"these take one as their last arguments: {', '.join(sorted(HIGHER))}",
    )


def _tuple(self: Scalars, node: exp.Tuple) -> Typed:
    return struct_of(_named(self, node.expressions), self.columns)


def _named(self: Scalars, arguments: list[exp.Expr]) -> list[tuple[str, Typed]]:
    found = []
    for place, argument in enumerate(arguments, 1):
        value = self.bind(argument.this if isinstance(argument, exp.Alias) else argument)
        name = argument.alias or (argument.name if isinstance(argument, _NAMES) else "")
        found.append((name or f"col{place}", value))
    return found


def _column(self: Scalars, node: exp.Column) -> Typed:
    """A column; or, if there is none of that name, a field of one: `address.city`."""
    try:
        return self.resolve(node)
    except PlanError:
        found = _field_of_column(self, node)
        if found is None:
            raise
        return found


def _field_of_column(self: Scalars, node: exp.Column) -> Typed | None:
    parts = node.parts
    for length in range(1, len(parts)):
        try:
            value = self.resolve(
                exp.Column(**dict(zip(_PLACES, parts[length - 1 :: -1], strict=False)))
            )
        except PlanError:
            continue
        for part in parts[length:]:
            value = field(value, part.name, self.columns)
        return value
    return None


SYNTAX: Final[dict[type[exp.Expr], Callable[..., Typed]]] = {
    **dict.fromkeys(_BITS, _bit_operation),
    exp.Column: _column,
    exp.BitwiseNot: _bit_not,
    exp.Like: like,
    exp.ILike: like,
    exp.Escape: _escape,
    exp.RegexpLike: _regex,
    exp.Interval: _interval,
    exp.Bracket: _bracket,
    exp.Dot: _dot,
    exp.HexString: _bytes,
    exp.RawString: _raw,
    exp.Extract: _extract,
    exp.Trim: _trim,
    exp.Tuple: _tuple,
    exp.Identifier: _parameter,
    exp.Lambda: _lambda,
    exp.Transform: _transform,
}
"""What binds each kind of syntax."""
