"""What the text of other dialects than Spark's means: the same, said in our terms, or refused.

The plan has one meaning of each operation, near Spark's. DuckDB and PostgreSQL write some of them
otherwise, and mean others by the same signs. So here every kind of syntax is either known to mean
the same, or bound by a rule of its own, or refused by name: what is not listed is never planned.
Spec: docs/howto/write-a-script.md, section "Other dialects".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlglot import exp

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.plan.types import (
    BOOLEAN,
    DATE,
    DOUBLE,
    FLOAT,
    INT32,
    STRING,
    TIMESTAMP,
    is_integer,
)
from mc2.planner.call_rules import apply, cast, number
from mc2.planner.calls import build_call
from mc2.planner.dialect_functions import DIALECT_FUNCTIONS, parts_of_moments
from mc2.planner.intervals import Interval, combine
from mc2.planner.names import suggestion
from mc2.planner.scalar import Scalars, data_type
from mc2.planner.sql_text import QueryText
from mc2.planner.syntax import like
from mc2.planner.typed import Typed, arithmetic, convert

Binder = Callable[[Any, Any], Typed]
_Rule = Callable[[Scalars, Any, Binder], Typed]

_LONG: Final = 18  # digits of a number that every engine reads as the same type
_SPARK: Final = "write the query in Spark's SQL, whose meaning it then has"
_DEFAULT_DECIMAL: Final = (18, 3)  # DuckDB's

_SAME: Final = (
    exp.Boolean, exp.Null, exp.Paren, exp.Not, exp.And, exp.Or, exp.NullSafeNEQ, exp.NullSafeEQ,
    exp.Neg, exp.Is, exp.Between, exp.In, exp.Case, exp.Interval,
)  # fmt: skip
"""Syntax of values that means the same everywhere, if its parts do."""
_ORDERED: Final = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_NUMBERS: Final[Mapping[type[exp.Expr], str]] = {
    exp.Add: "add",
    exp.Sub: "subtract",
    exp.Mul: "multiply",
    exp.Mod: "remainder",
}
_AGGREGATES: Final = frozenset({
    "count", "sum", "avg", "min", "max", "stddev", "stddev_samp", "stddev_pop", "variance",
    "var_samp", "var_pop", "bool_and", "bool_or", "grouping",
})  # fmt: skip
_RANKINGS: Final = frozenset({
    "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead",
    "first_value", "last_value",
})  # fmt: skip
_OF_DOUBLES: Final = frozenset({
    "avg", "stddev", "stddev_samp", "stddev_pop", "variance", "var_samp", "var_pop",
})  # fmt: skip
_NOWHERE: Final[Mapping[type[exp.Expr], str]] = {
    exp.Pivot: "PIVOT",
    exp.Unnest: "UNNEST",
    exp.Lateral: "LATERAL",
    exp.TableSample: "TABLESAMPLE",
    exp.Values: "VALUES",
    exp.WithinGroup: "WITHIN GROUP",
    exp.IgnoreNulls: "IGNORE NULLS",
}


def check_dialect(tree: exp.Query, where: QueryText, dialect: str) -> None:
    """Refuse clauses and calls that mean something else in the dialect, or that are not known.

    Raises: PlanError with its place.
    """
    known = {*DIALECT_FUNCTIONS[dialect], *_AGGREGATES, *_RANKINGS, *where.functions}
    for node in list(tree.walk()):
        if type(node) in _NOWHERE:
            raise where.error(node, f"{_NOWHERE[type(node)]} is Spark's alone here", _SPARK)
        if isinstance(node, exp.Distinct) and node.args.get("on") is not None:
            raise where.error(node, "DISTINCT ON may not stand here", "number rows in a subquery")
        if isinstance(node, exp.Anonymous):
            name = str(node.this).lower()
            if name not in known:
                hint = suggestion(name, known) or _SPARK
                raise where.error(node, f"{name} of {dialect} is not known here", hint)
            if name in _OF_DOUBLES:
                _of_doubles(node, where, dialect)


def _of_doubles(node: exp.Anonymous, where: QueryText, dialect: str) -> None:
    """Averages are doubles: DuckDB makes them so itself; PostgreSQL has numerics without bound."""
    if len(node.expressions) != 1:
        raise where.error(node, f"{node.name} takes one argument here")
    holder = node.expressions[0] if isinstance(node.expressions[0], exp.Distinct) else node
    value = holder.expressions[0]
    if dialect == "duckdb":
        made = exp.Cast(this=value.copy(), to=exp.DataType(this=exp.DType.DOUBLE))
        holder.set("expressions", [made])
    elif not (isinstance(value, exp.Cast) and value.to.this == exp.DType.DOUBLE):
        raise where.error(
            node,
            f"{node.name} of PostgreSQL's exact numbers has no end of digits",
            f"write {node.name}(CAST(... AS DOUBLE PRECISION))",
        )


def rules_of(dialect: str) -> Callable[[Scalars, exp.Expr, Binder], Typed]:
    """What binds each part of a value of a dialect; `plain` is what binds it in Spark's."""
    rules: dict[type[exp.Expr], _Rule] = {**_COMMON, **_OWN[dialect]}

    def bind(self: Scalars, node: exp.Expr, plain: Binder) -> Typed:
        rule = rules.get(type(node))
        if rule is not None:
            return rule(self, node, plain)
        if isinstance(node, _SAME):
            return plain(self, node)
        raise PlanError(f"{node.key.upper()} may not stand in a query of {dialect}", hint=_SPARK)

    return bind


def _column(self: Scalars, node: exp.Column, plain: Binder) -> Typed:
    value = plain(self, node)
    if value.type == FLOAT and not isinstance(node.parent, exp.Cast):
        raise PlanError(
            "engines differ on what a 32-bit number becomes beside others",
            hint=f"write CAST({node.name} AS DOUBLE PRECISION)",
        )
    return value


def _literal(self: Scalars, node: exp.Literal, plain: Binder) -> Typed:
    written = str(node.this)
    if not node.is_string and "e" not in written.lower() and len(written) > _LONG:
        raise PlanError("a number has too many digits here", hint="write a text, and CAST")
    return plain(self, node)


def _exact_literal(self: Scalars, node: exp.Literal, plain: Binder) -> Typed:
    if not node.is_string and "e" in str(node.this).lower():
        raise PlanError(
            "PostgreSQL's 1e2 is an exact number", hint="write CAST('1e2' AS DOUBLE PRECISION)"
        )
    return _literal(self, node, plain)


def _compared(self: Scalars, node: exp.Binary, plain: Binder) -> Typed:
    if any(isinstance(v, Interval) for v in self.pair(node)):
        raise PlanError("intervals are not compared here", hint="compare dates")
    return plain(self, node)


def _arithmetic(self: Scalars, node: exp.Binary, plain: Binder) -> Typed:
    left, right = self.pair(node)
    name = _NUMBERS[type(node)]
    if isinstance(left, Interval) or isinstance(right, Interval):
        return _with_interval(self, name, left, right)
    if left.type in (DATE, TIMESTAMP) or right.type in (DATE, TIMESTAMP):
        return _with_dates(self, node, (left, right), plain)
    values = arithmetic([left, right], self.columns)
    found = apply(name, values, self.columns)
    if found.type.name == "decimal" and found.type.scale != _scale(name, values):
        raise PlanError("the result has more than 38 digits", hint="CAST a side to fewer digits")
    return found


def _scale(name: str, values: tuple[Typed, ...]) -> int:
    scales = [v.type.scale for v in values]
    return sum(scales) if name == "multiply" else max(scales)


def _with_interval(self: Scalars, name: str, left: Typed, right: Typed) -> Typed:
    """A date and an interval are a timestamp, as everywhere but in Spark."""
    sides = [
        cast(v, TIMESTAMP, self.columns) if not isinstance(v, Interval) and v.type == DATE else v
        for v in (left, right)
    ]
    moments = [v for v in sides if not isinstance(v, Interval)]
    if name not in {"add", "subtract"} or len(moments) != 1 or moments[0].type != TIMESTAMP:
        raise PlanError("an interval is added to a date or timestamp, or subtracted, here")
    found = combine(name, sides[0], sides[1], self.columns)
    if found is None:
        raise PlanError("an interval may not stand here")
    return found


def _with_dates(
    self: Scalars, node: exp.Binary, sides: tuple[Typed, Typed], plain: Binder
) -> Typed:
    kinds = tuple(v.type for v in sides)
    if isinstance(node, exp.Sub) and kinds == (DATE, DATE):
        return build_call("datediff", sides, self.columns)
    days = kinds[0] == DATE and is_integer(kinds[1]) and isinstance(node, (exp.Add, exp.Sub))
    if days or (kinds[1] == DATE and is_integer(kinds[0]) and isinstance(node, exp.Add)):
        return plain(self, node)
    raise PlanError(
        f"{kinds[0]} and {kinds[1]} cannot be computed with here",
        hint="subtract dates, or add days or an INTERVAL to one",
    )


def _divide(self: Scalars, node: exp.Div, _plain: Binder) -> Typed:
    """DuckDB's `/` is of doubles, whatever stands beside it."""
    values = arithmetic(self.pair(node), self.columns)
    doubles = [cast(v, DOUBLE, self.columns) for v in values]
    return apply("divide", doubles, self.columns)


def _divide_doubles(self: Scalars, node: exp.Div, _plain: Binder) -> Typed:
    values = self.pair(node)
    if not any(v.type == DOUBLE and not v.untyped for v in values):
        raise PlanError(
            "PostgreSQL's `/` of whole numbers drops the rest, and of exact ones has no end",
            hint="write CAST(a AS DOUBLE PRECISION) / b, or div(a, b) of integers",
        )
    doubles = [convert(v, DOUBLE, self.columns) for v in arithmetic(values, self.columns)]
    return apply("divide", doubles, self.columns)


def _whole_division(self: Scalars, node: exp.IntDiv, plain: Binder) -> Typed:
    if not all(is_integer(v.type) or v.untyped for v in self.pair(node)):
        raise PlanError("// is of integers here", hint="write floor(a / b)")
    return plain(self, node)


def _joined(self: Scalars, node: exp.DPipe, plain: Binder) -> Typed:
    if not all(v.untyped or v.type == STRING for v in map(self.bind, node.flatten())):
        raise PlanError("|| is of texts here", hint="write CAST(... AS VARCHAR)")
    return plain(self, node)


def _like(self: Scalars, node: exp.Expr, plain: Binder) -> Typed:
    """DuckDB's LIKE has no escape unless one is named."""
    _texts(self, node)
    return like(self, node, "") if self.where.dialect == "duckdb" else plain(self, node)


def _escaped(self: Scalars, node: exp.Escape, plain: Binder) -> Typed:
    _texts(self, node.this)
    return plain(self, node)


def _texts(self: Scalars, node: exp.Expr) -> None:
    if isinstance(node.expression, (exp.Any, exp.All)):
        raise PlanError("LIKE is of one pattern here", hint="write OR")
    value = self.bind(node.this)
    if not value.untyped and value.type != STRING:
        raise PlanError("LIKE is of texts", hint="write CAST(... AS VARCHAR)")


def _trim(self: Scalars, node: exp.Trim, plain: Binder) -> Typed:
    if node.args.get("expression") is not None or node.args.get("position") is not None:
        raise PlanError("trim takes a text alone here", hint="use ltrim, rtrim or replace")
    value = self.bind(node.this)
    if not value.untyped and value.type != STRING:
        raise PlanError("trim is of texts", hint="write CAST(... AS VARCHAR)")
    return plain(self, node)


def _extract(self: Scalars, node: exp.Extract, _plain: Binder) -> Typed:
    value = self.bind(node.expression)
    parts = parts_of_moments(value)
    rule = parts.get(node.name.lower())
    if rule is None:
        raise PlanError(
            f"extract gives no {node.name.lower()} here", hint=f"one of {', '.join(parts)}"
        )
    return rule.build([value], self.columns)


def _call(self: Scalars, node: exp.Anonymous, _plain: Binder) -> Typed:
    self.only(node, "this", "expressions")
    name = str(node.this).lower()
    rule = DIALECT_FUNCTIONS[self.where.dialect].get(name)
    if rule is None:
        raise PlanError(f"{name} may not stand here", hint=_SPARK)
    if not rule.least <= len(node.expressions) <= rule.most:
        raise PlanError(f"{name} takes other arguments here", hint=_SPARK)
    return rule.build([self.bind(a) for a in node.expressions], self.columns)


def _cast(self: Scalars, node: exp.Cast, _plain: Binder) -> Typed:
    self.only(node, "this", "to", "safe")
    value, kind = self.bind(node.this), _target(node, self.where.dialect)
    if value.untyped or value.type == kind:
        return cast(value, kind, self.columns)
    if not _converts(value, kind):
        raise PlanError(
            f"engines differ on {value.type} as {kind}", hint="go by another type, or use Spark's"
        )
    if is_integer(kind) and value.type.name == "decimal":
        value = apply("round", [value, number(0)], self.columns)
    elif is_integer(kind) and value.type == DOUBLE:
        value = apply("round_even", [value, number(0)], self.columns)
    return cast(value, kind, self.columns)


def _target(node: exp.Cast, dialect: str) -> DataType:
    to = node.to
    if not isinstance(to, exp.DataType):
        raise PlanError("there is no such type here")
    if to.this == exp.DType.VARCHAR and not to.expressions:
        return STRING
    if to.this == exp.DType.DECIMAL and not to.expressions:
        if dialect == "postgres":
            raise PlanError("NUMERIC has no bound of digits", hint="write NUMERIC(18, 6)")
        return DataType("decimal", *_DEFAULT_DECIMAL)
    return data_type(to)


def _converts(value: Typed, kind: DataType) -> bool:
    """Whether all engines convert so, or fail."""
    source = value.type
    exact = is_integer(kind) or kind.name == "decimal"
    if source.name == "decimal" or is_integer(source):
        return exact or kind in (DOUBLE, STRING)
    if source == STRING:
        written = value.literal is not None
        return exact or kind == DOUBLE or (written and kind in (DATE, TIMESTAMP))
    if source == DOUBLE:
        return is_integer(kind)
    return kind in _FROM.get(source, ())


_FROM: Final[Mapping[DataType, tuple[DataType, ...]]] = {
    FLOAT: (DOUBLE,),
    BOOLEAN: (INT32, STRING),
    DATE: (TIMESTAMP, STRING),
    TIMESTAMP: (DATE,),
}
_COMMON: Final[Mapping[type[exp.Expr], _Rule]] = {
    exp.Column: _column,
    exp.Literal: _literal,
    **dict.fromkeys(_ORDERED, _compared),
    **dict.fromkeys(_NUMBERS, _arithmetic),
    exp.DPipe: _joined,
    exp.Like: _like,
    exp.ILike: _like,
    exp.Escape: _escaped,
    exp.Trim: _trim,
    exp.Extract: _extract,
    exp.Anonymous: _call,
    exp.Cast: _cast,
}
_OWN: Final[Mapping[str, Mapping[type[exp.Expr], _Rule]]] = {
    "duckdb": {exp.Div: _divide, exp.IntDiv: _whole_division},
    "postgres": {exp.Div: _divide_doubles, exp.Literal: _exact_literal},
}
