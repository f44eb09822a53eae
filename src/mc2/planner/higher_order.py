"""Functions that take a lambda over the elements of arrays: `transform(a, x -> x + 1)`.

Spark has more than a plan: `exists` and `forall` look for a truth among what `list_map` gives,
`zip_with` maps pairs, and `array_sort` sorts elements behind how many of them come before each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Final, Protocol, TypeAlias

from sqlglot import exp

from mc2.errors import PlanError
from mc2.formats.schema import Column
from mc2.plan.expressions import Call, Expression, Lambda, Parameter, is_parameter_name
from mc2.plan.functions import Argument
from mc2.plan.functions import function as plan_function
from mc2.plan.types import BOOLEAN, is_integer
from mc2.plan.typing import inside, parameters_of
from mc2.planner.call_rules import apply
from mc2.planner.calls_lists import field, struct_of
from mc2.planner.typed import Typed, constant, convert, spark_name, typed

_TRUE: Final = constant(True, BOOLEAN)
_FALSE: Final = constant(False, BOOLEAN)
_PAIR: Final = 2


class Binder(Protocol):
    """What binds values: `mc2.planner.scalar.Scalars`."""

    @property
    def columns(self) -> Mapping[str, Column]:
        """The types of the plan's columns, and what lambdas around are given."""

    def inside(self, columns: Mapping[str, Column], parameters: Mapping[str, Typed]) -> Binder:
        """What binds the body of a lambda."""

    def bind(self, node: exp.Expr) -> Typed:
        """A value as a typed expression."""


_Body: TypeAlias = Callable[[Typed], Typed]
"""What is done with the body of a lambda."""


def of_elements(self: Binder, name: str, arguments: Sequence[exp.Expr]) -> Typed:
    """A call of one of `HIGHER`. Raises: PlanError."""
    least, most, build = HIGHER[name]
    lambdas = [isinstance(a, exp.Lambda) for a in arguments]
    if not least <= len(arguments) <= most or lambdas != sorted(lambdas) or not any(lambdas):
        raise PlanError(
            f"{name} takes {'other arguments' if any(lambdas) else 'a lambda'} here",
            hint=f"for example {_EXAMPLES[name]}",
        )
    return build(self, arguments)


def _array(self: Binder, node: exp.Expr) -> Typed:
    found = self.bind(node)
    if found.untyped or found.type.element is None:
        raise PlanError(f"a {found.type} is no array", hint="these functions take arrays")
    return found


def _same(value: Typed) -> Typed:
    return value


def _truth(value: Typed) -> Typed:
    if value.untyped:
        return constant(None, BOOLEAN)
    if value.type != BOOLEAN:
        raise PlanError(
            f"the lambda gives a {value.type}, not a boolean", hint="compare it, for example x > 0"
        )
    return value


def _names(node: exp.Expr, least: int, most: int) -> list[str]:
    """The parameters as the query calls them."""
    names = [p.name.casefold() for p in node.expressions]
    if not least <= len(names) <= most or len(set(names)) < len(names):
        wanted = f"{least} or {most}" if most > least else str(most)
        raise PlanError(f"the lambda takes {wanted} different parameters, not {len(names)}")
    return names


def _own(names: Sequence[str], columns: Mapping[str, Column]) -> tuple[str, ...]:
    """Names that no lambda around has, and that a plan can hold."""
    taken = set(parameters_of(columns))
    found = []
    for name in names:
        stem = name if is_parameter_name(name) else "x"
        numbered = (stem[:50] + (f"_{i}" if i > 1 else "") for i in count(1))
        found.append(next(n for n in numbered if n not in taken))
        taken.add(found[-1])
    return tuple(found)


def _over(
    self: Binder, names: Sequence[str], given: Sequence[Argument]
) -> tuple[tuple[str, ...], Mapping[str, Column], list[Typed]]:
    """Parameters of a plan for those of a query: names, what a body stands over, and values."""
    own = _own(names, self.columns)
    columns = inside(Lambda(own, Parameter(own[0])), tuple(given), self.columns)
    return own, columns, [typed(Parameter(n), columns) for n in own]


def _closed(own: tuple[str, ...], body: Typed) -> Lambda:
    if body.untyped:
        raise PlanError("NULL has no type here", hint="write CAST(NULL AS INT), or another type")
    return Lambda(own, body.expression)


def _lambda(
    self: Binder, node: exp.Expr, given: Sequence[Argument], least: int, body: _Body = _same
) -> Lambda:
    """A lambda of the query over what it is given. Raises: PlanError."""
    names = _names(node, least, len(given))
    own, columns, values = _over(self, names, given)
    meanings = dict(zip(names, values, strict=True))
    return _closed(own, body(self.inside(columns, meanings).bind(node.this)))


def _given(function: str, place: int, *before: Typed) -> tuple[Argument, ...]:
    """What the lambda at a place of a function of plans is given."""
    arguments = tuple(Argument(b.type, b.nullable) for b in before)
    return plan_function(function).lambdas[place](arguments)


def _called(self: Binder, function: str, array: Typed, *more: Expression) -> Typed:
    return typed(Call(function, (array.expression, *more)), self.columns)


def _transform(self: Binder, arguments: Sequence[exp.Expr]) -> Typed:
    array = _array(self, arguments[0])
    one = _lambda(self, arguments[1], _given("list_map", 1, array), 1)
    return _called(self, "list_map", array, one)


def _filter(self: Binder, arguments: Sequence[exp.Expr]) -> Typed:
    array = _array(self, arguments[0])
    one = _lambda(self, arguments[1], _given("list_filter", 1, array), 1, _truth)
    return _called(self, "list_filter", array, one)


def _among(self: Binder, arguments: Sequence[exp.Expr], wanted: Typed) -> Typed:
    """Whether a truth is among those of the elements; NULL if only a NULL could be it."""
    array = _array(self, arguments[0])
    one = _lambda(self, arguments[1], _given("list_map", 1, array)[:1], 1, _truth)
    truths = _called(self, "list_map", array, one)
    return apply("list_contains", [truths, wanted], self.columns)


def _exists(self: Binder, arguments: Sequence[exp.Expr]) -> Typed:
    return _among(self, arguments, _TRUE)


def _forall(self: Binder, arguments: Sequence[exp.Expr]) -> Typed:
    return apply("not", [_among(self, arguments, _FALSE)], self.columns)


def _aggregate(self: Binder, arguments: Sequence[exp.Expr]) -> Typed:
    array, start = _array(self, arguments[0]), self.bind(arguments[1])
    if start.untyped:
        raise PlanError("NULL has no type here", hint="write CAST(NULL AS INT), or another type")

    def step(value: Typed) -> Typed:
        if value.type != start.type and not value.untyped:
            raise PlanError(
                f"the lambda starts with a {start.type} and gives a {value.type}",
                hint=f"start with CAST(... AS {spark_name(value.type)})",
            )
        return convert(value, start.type, self.columns)

    merge = _lambda(self, arguments[2], _given("list_reduce", 2, array, start), _PAIR, step)
    more = [
        _lambda(self, last, _given("list_reduce", 3, array, start), 1) for last in arguments[3:]
    ]
    return _called(self, "list_reduce", array, start.expression, merge, *more)


def _zip_with(self: Binder, arguments: Sequence[exp.Expr]) -> Typed:
    pairs = apply("list_zip", [_array(self, a) for a in arguments[:2]], self.columns)
    node = arguments[2]
    names = _names(node, _PAIR, _PAIR)
    own, columns, (pair,) = _over(self, ["pair"], _given("list_map", 1, pairs)[:1])
    both = [field(pair, part, columns) for part in ("first", "second")]
    binder = self.inside(columns, dict(zip(names, both, strict=True)))
    return _called(self, "list_map", pairs, _closed(own, binder.bind(node.this)))


def _array_sort(self: Binder, arguments: Sequence[exp.Expr]) -> Typed:
    """Elements in order of how many come before each by the lambda, and then of their places."""
    array, node = _array(self, arguments[0]), arguments[1]
    names = _names(node, _PAIR, _PAIR)
    own, columns, (value, place) = _over(self, [names[1], "place"], _given("list_map", 1, array))
    around = self.inside(columns, {})
    other, within, (first,) = _over(around, [names[0]], _given("list_filter", 1, array)[:1])
    meanings = dict(zip(names, (first, value), strict=True))
    compared = around.inside(within, meanings).bind(node.this)
    if compared.untyped or not is_integer(compared.type):
        raise PlanError(
            f"the lambda gives a {compared.type}, not an integer",
            hint="below 0 if the first comes before the second, above 0 if after, 0 if neither",
        )
    below = apply("lt", [compared, constant(0, compared.type)], within)
    smaller = typed(Call("list_filter", (array.expression, _closed(other, below))), columns)
    parts = [("before", apply("list_size", [smaller], columns)), ("place", place), ("value", value)]
    ranked = _called(self, "list_map", array, _closed(own, struct_of(parts, columns)))
    in_order = apply("list_sort", [ranked, _TRUE, _TRUE], self.columns)
    own, columns, (found, *_) = _over(self, ["ranked"], _given("list_map", 1, in_order)[:1])
    return _called(self, "list_map", in_order, _closed(own, field(found, "value", columns)))


_Build: TypeAlias = Callable[[Binder, Sequence[exp.Expr]], Typed]
HIGHER: Final[Mapping[str, tuple[int, int, _Build]]] = {
    "transform": (2, 2, _transform),
    "filter": (2, 2, _filter),
    "exists": (2, 2, _exists),
    "forall": (2, 2, _forall),
    "aggregate": (3, 4, _aggregate),
    "reduce": (3, 4, _aggregate),
    "zip_with": (3, 3, _zip_with),
    "array_sort": (2, 2, _array_sort),
}
"""How many arguments each function has, of which the last ones are lambdas, and what binds it."""
_EXAMPLES: Final = {
    "transform": "transform(a, x -> x + 1)",
    "filter": "filter(a, x -> x > 1)",
    "exists": "exists(a, x -> x = 2)",
    "forall": "forall(a, x -> x > 0)",
    "aggregate": "aggregate(a, 0, (total, x) -> total + x)",
    "reduce": "reduce(a, 0, (total, x) -> total + x)",
    "zip_with": "zip_with(a, b, (x, y) -> x + y)",
    "array_sort": "array_sort(a, (x, y) -> y - x)",
}
