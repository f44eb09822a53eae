"""Aggregates of pairs that a straight line is drawn through: formulas of others of the same pairs.

`regr_slope(y, x)` and its like look at pairs without NULL. What they are made of is exact, and each
step of the formula is rounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlglot import exp

from mc2.errors import PlanError
from mc2.plan.expressions import Call, Case, Cast, Expression, Literal, When, literal
from mc2.plan.relations import AggregateColumn
from mc2.plan.types import DOUBLE, is_numeric
from mc2.planner.scalar import Scalars
from mc2.planner.typed import Typed, convert

Total = Callable[[AggregateColumn], Expression]
"""The column that holds an aggregate."""
_Formula = Callable[["_Pairs"], Expression]


class _Pairs:
    """Aggregates of the pairs that have no NULL, where a condition holds."""

    def __init__(
        self, total: Total, values: tuple[Typed, Typed], condition: Expression | None, rows: Scalars
    ) -> None:
        self._total = total
        self._given = dict(zip("yx", (v.expression for v in values), strict=True))
        doubles = (convert(v, DOUBLE, rows.columns).expression for v in values)
        self._of = dict(zip("yx", doubles, strict=True))
        known = tuple(Call("is_not_null", (v,)) for v in self._given.values())
        self._where = Call("and", known if condition is None else (condition, *known))

    def count(self) -> Expression:
        return self._total(AggregateColumn("", "count_star", (), where=self._where))

    def mean(self, side: str) -> Expression:
        return self._total(AggregateColumn("", "avg", (self._given[side],), where=self._where))

    def middle(self, side: str) -> Expression:
        """The mean of doubles."""
        return self._total(AggregateColumn("", "avg", (self._of[side],), where=self._where))

    def spread(self, side: str) -> Expression:
        return self._total(AggregateColumn("", "var_pop", (self._of[side],), where=self._where))

    def together(self) -> Expression:
        pair = (self._of["y"], self._of["x"])
        return self._total(AggregateColumn("", "covar_pop", pair, where=self._where))


def _zero(value: Expression) -> Expression:
    return Call("eq", (value, literal(0.0, DOUBLE)))


def _times_count(pairs: _Pairs, value: Expression) -> Expression:
    return Call("multiply", (value, Cast(pairs.count(), DOUBLE)))


def _slope(pairs: _Pairs) -> Expression:
    spread = pairs.spread("x")
    divisor = Call("nullif", (spread, literal(0.0, DOUBLE)))
    return Call("divide", (pairs.together(), divisor))


def _intercept(pairs: _Pairs) -> Expression:
    rise = Call("multiply", (_slope(pairs), pairs.middle("x")))
    return Call("subtract", (pairs.middle("y"), rise))


def _determination(pairs: _Pairs) -> Expression:
    """The share of y's spread that the line explains; 1 if y has none, NULL if x has none."""
    of_x, of_y, both = pairs.spread("x"), pairs.spread("y"), pairs.together()
    share = Call("divide", (Call("multiply", (Call("divide", (both, of_x)), both)), of_y))
    none = When(_zero(of_x), Literal(None, DOUBLE))
    return Case((none, When(_zero(of_y), literal(1.0, DOUBLE))), share)


REGRESSIONS: Final[Mapping[str, _Formula]] = {
    "regr_count": _Pairs.count,
    "regr_avgx": lambda pairs: pairs.mean("x"),
    "regr_avgy": lambda pairs: pairs.mean("y"),
    "regr_sxx": lambda pairs: _times_count(pairs, pairs.spread("x")),
    "regr_syy": lambda pairs: _times_count(pairs, pairs.spread("y")),
    "regr_sxy": lambda pairs: _times_count(pairs, pairs.together()),
    "regr_slope": _slope,
    "regr_intercept": _intercept,
    "regr_r2": _determination,
}
"""Of y and x, in that order."""


def regression(
    rows: Scalars, name: str, arguments: list[exp.Expr], condition: Expression | None, total: Total
) -> Expression:
    """A call as a formula over aggregates, each of which `total` puts into a column.

    Raises: PlanError.
    """
    if len(arguments) != 2 or any(isinstance(a, (exp.Distinct, exp.Star)) for a in arguments):
        raise PlanError(f"{name} takes y and x")
    values = tuple(rows.bind(a) for a in arguments)
    if any(v.untyped or not is_numeric(v.type) for v in values):
        raise PlanError(f"{name} is of numbers", hint="cast them to double")
    pair = values[0], values[1]
    return REGRESSIONS[name](_Pairs(total, pair, condition, rows))
