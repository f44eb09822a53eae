"""Syntax of one value (`a + 1`, `CASE`, `x IN (...)`) to a typed expression of the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from sqlglot import exp

from mc2.errors import FormatError, PlanError
from mc2.formats.schema import Column, DataType, decimal, parse_type
from mc2.plan.expressions import Call, InList
from mc2.plan.types import BOOLEAN, DATE, DOUBLE, INT32, INT64, STRING, is_integer, list_of
from mc2.planner import calls
from mc2.planner.comparisons import compare
from mc2.planner.intervals import Interval, combine, negated, same_kind
from mc2.planner.sql_text import QueryText, refuse_others
from mc2.planner.syntax import SYNTAX, special_call
from mc2.planner.typed import (
    NULL,
    Typed,
    all_true,
    arithmetic,
    constant,
    convert,
    number,
    spark_name,
    unify,
)
from mc2.planner.typed import typed as type_expression

_TYPES: Final = {
    exp.DType.BOOLEAN: "boolean",
    exp.DType.TINYINT: "int8",
    exp.DType.SMALLINT: "int16",
    exp.DType.INT: "int32",
    exp.DType.BIGINT: "int64",
    exp.DType.FLOAT: "float",
    exp.DType.DOUBLE: "double",
    exp.DType.TEXT: "string",
    exp.DType.BINARY: "binary",
    exp.DType.DATE: "date",
    exp.DType.TIMESTAMP: "timestamp",
    exp.DType.TIMESTAMPNTZ: "timestamp",
    exp.DType.TIMESTAMPTZ: "timestamp_utc",
    exp.DType.TIMESTAMPLTZ: "timestamp_utc",
}
_MANUAL: Final = "docs/howto/write-a-script.md lists what may"
_DEFAULT_DECIMAL: Final = (10, 0)  # Spark's

_COMPARISONS: Final = {
    exp.EQ: "eq",
    exp.NEQ: "ne",
    exp.LT: "lt",
    exp.LTE: "le",
    exp.GT: "gt",
    exp.GTE: "ge",
    exp.NullSafeEQ: "same",
}
_ARITHMETIC: Final = {
    exp.Add: "add",
    exp.Sub: "subtract",
    exp.Mul: "multiply",
    exp.Mod: "remainder",
}
_INSTEAD: Final[Mapping[type[exp.Expr], tuple[str, str]]] = {
    exp.Window: ("a window function", "name its result in a subquery of FROM"),
    exp.Exists: ("EXISTS", "put it into WHERE, or join with the subquery"),
    exp.Subquery: ("a subquery as a value", "join with the subquery instead"),
    exp.Select: ("a subquery as a value", "join with the subquery instead"),
    exp.Any: ("ANY", "write IN, EXISTS, or a comparison with (SELECT max(...) ...)"),
    exp.All: ("ALL", "write NOT EXISTS, or a comparison with (SELECT max(...) ...)"),
    exp.Star: ("* as a value", "name the column"),
    exp.Placeholder: ("a placeholder", "put the value in with an f-string in the script"),
    exp.Parameter: ("a placeholder", "put the value in with an f-string in the script"),
    exp.Concat: (
        "a text beside a text",
        "versions of Spark differ on it; write a text with a quote in double quotes",
    ),
    exp.CurrentDate: ("current_date", calls.REFUSED["current_date"]),
    exp.CurrentTimestamp: ("current_timestamp", calls.REFUSED["current_timestamp"]),
}


@dataclass(frozen=True, slots=True)
class Scalars:
    """Binds values. `resolve` says what a name means, `aggregate` what an aggregate call is.

    `special` binds window functions and subqueries, where a clause may have them. `columns` types
    the plan's columns; aggregates may add to it while values are bound. `parameters` are what
    the names of lambdas around the values mean.
    """

    where: QueryText
    columns: Mapping[str, Column]
    resolve: Callable[[exp.Column], Typed]
    aggregate: Callable[[exp.Expr], Typed | None]
    special: Callable[[Scalars, exp.Expr], Typed | None] | None = None
    parameters: Mapping[str, Typed] = field(default_factory=dict)

    def inside(self, columns: Mapping[str, Column], parameters: Mapping[str, Typed]) -> Scalars:
        """What binds the body of a lambda: with more names, that mean its parameters."""
        return replace(self, columns=columns, parameters={**self.parameters, **parameters})

    def bind(self, node: exp.Expr) -> Typed:
        """The value as a typed expression. Raises: PlanError with its place."""
        if isinstance(node, exp.Anonymous) and str(node.this).lower() in self.where.functions:
            return self._python(node)
        found = self.aggregate(node)
        if found is None and self.special is not None:
            found = self.special(self, node)
        if found is not None:
            return found
        binder = _BINDERS.get(type(node))
        if binder is None:
            what, hint = _INSTEAD.get(type(node), (f"{node.key.upper()}", _MANUAL))
            raise self.where.error(node, f"{what} may not stand here", hint)
        try:
            if self.where.rules is not None:
                return self.where.rules(self, node, binder)
            return binder(self, node)
        except PlanError as error:
            if error.line:
                raise
            raise self.where.error(node, str(error), error.hint) from None
        except FormatError as error:
            raise self.where.error(node, str(error), error.hint) from None

    def _python(self, node: exp.Anonymous) -> Typed:
        """A call of a Python function of the script. Raises: PlanError."""
        function = self.where.functions[str(node.this).lower()]
        self.only(node, "this", "expressions")
        arguments = [self.bind(a) for a in node.expressions]
        try:
            found = function.apply(arguments)
            return type_expression(found.expression, self.columns)
        except (PlanError, FormatError) as error:
            raise self.where.error(node, str(error), error.hint) from None

    def condition(self, node: exp.Expr, what: str) -> Typed:
        """A value that must be true or false. Raises: PlanError."""
        value = self.bind(node)
        if value.untyped:
            value = constant(None, BOOLEAN)
        if value.type != BOOLEAN:
            hint = "compare it with something, for example > 0"
            raise self.where.error(node, f"{what} is a {value.type}, not a boolean", hint)
        return value

    def pair(self, node: exp.Binary) -> tuple[Typed, Typed]:
        """Both sides of an operator."""
        return self.bind(node.left), self.bind(node.right)

    def only(self, node: exp.Expr, *known: str) -> None:
        """Refuse what else the syntax may carry."""
        refuse_others(self.where, node, known, f"{node.key.upper()} here")


def data_type(node: exp.DataType) -> DataType:
    """The type that a query names. Raises: PlanError."""
    if node.this == exp.DType.DECIMAL:
        numbers = [int(p.name) for p in node.expressions] or list(_DEFAULT_DECIMAL)
        precision, scale = (*numbers, 0)[:2]
        return decimal(precision, scale)
    if node.this == exp.DType.ARRAY and len(node.expressions) == 1:
        return list_of(data_type(node.expressions[0]))
    if node.this == exp.DType.STRUCT and node.expressions:
        fields = tuple((f.name, data_type(f.args["kind"])) for f in node.expressions)
        return parse_type(str(DataType("struct", fields=fields)))
    if node.this not in _TYPES or node.expressions:
        known = ", ".join(sorted(spark_name(DataType(n)) for n in set(_TYPES.values())))
        hint = f"there are: {known}, DECIMAL(p, s)"
        raise PlanError(f"there is no type {node.sql(dialect='spark')} here", hint=hint)
    return parse_type(_TYPES[node.this])


def _literal(_self: Scalars, node: exp.Literal) -> Typed:
    if node.is_string:
        return constant(str(node.this), STRING)
    return number(str(node.this))


def _boolean(_self: Scalars, node: exp.Boolean) -> Typed:
    return constant(bool(node.this), BOOLEAN)


def _comparison(self: Scalars, node: exp.Binary) -> Typed:
    left, right = self.pair(node)
    function = _COMPARISONS[type(node)]
    if isinstance(left, Interval) or isinstance(right, Interval):
        left, right = same_kind(left, right)
    if (left.untyped or right.untyped) and function != "same":
        raise PlanError("a comparison with NULL is never true", hint="write IS NULL or IS NOT NULL")
    return compare(function, [left, right], self.columns)


def _different(self: Scalars, node: exp.Binary) -> Typed:
    same = compare("same", self.pair(node), self.columns)
    return calls.apply("not", [same], self.columns)


def _arithmetic(self: Scalars, node: exp.Binary) -> Typed:
    left, right = self.pair(node)
    found = combine(_ARITHMETIC[type(node)], left, right, self.columns)
    if found is not None:
        return found
    if DATE in (left.type, right.type) and not (left.untyped or right.untyped):
        return _date_arithmetic(self, node, left, right)
    values = arithmetic([left, right], self.columns)
    return calls.apply(_ARITHMETIC[type(node)], values, self.columns)


def _date_arithmetic(self: Scalars, node: exp.Binary, left: Typed, right: Typed) -> Typed:
    if isinstance(node, exp.Add) and is_integer(right.type):
        return calls.build_call("date_add", [left, right], self.columns)
    if isinstance(node, exp.Add) and is_integer(left.type):
        return calls.build_call("date_add", [right, left], self.columns)
    if isinstance(node, exp.Sub) and is_integer(right.type):
        return calls.build_call("date_sub", [left, right], self.columns)
    raise PlanError(
        f"{left.type} and {right.type} cannot be computed with here",
        hint="write datediff(end, start) or date_add(day, n)",
    )


def _division(self: Scalars, node: exp.Div) -> Typed:
    if node.args.get("typed"):
        raise PlanError("a division in another dialect's sense may not stand here")
    left, right = self.pair(node)
    found = combine("divide", left, right, self.columns)
    if found is not None:
        return found
    values = arithmetic([left, right], self.columns)
    if not any(v.type.name == "decimal" for v in values):
        values = tuple(convert(v, DOUBLE, self.columns) for v in values)
    return calls.apply("divide", values, self.columns)


def _whole_division(self: Scalars, node: exp.IntDiv) -> Typed:
    return calls.build_call("div", self.pair(node), self.columns)


def _logic(self: Scalars, node: exp.Connector) -> Typed:
    function = "and" if isinstance(node, exp.And) else "or"
    parts = [self.condition(part, "a part of it") for part in node.flatten()]
    flat: list[Typed] = []
    for part in parts:
        inner = part.expression
        if isinstance(inner, Call) and inner.function == function:
            flat.extend(type_expression(a, self.columns) for a in inner.arguments)
        else:
            flat.append(part)
    return calls.apply(function, flat, self.columns)


def _not(self: Scalars, node: exp.Not) -> Typed:
    inner = node.this.unnest()
    if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
        return calls.build_call("isnotnull", [self.bind(inner.this)], self.columns)
    return calls.apply("not", [self.condition(node.this, "what follows NOT")], self.columns)


def _negated(self: Scalars, node: exp.Expr, value: Typed) -> Typed:
    return calls.apply("not", [value], self.columns) if node.args.get("negate") else value


def _is(self: Scalars, node: exp.Is) -> Typed:
    self.only(node, "this", "expression", "negate")
    wanted = node.expression
    if isinstance(wanted, exp.Null):
        name = "isnotnull" if node.args.get("negate") else "isnull"
        return calls.build_call(name, [self.bind(node.this)], self.columns)
    if not isinstance(wanted, exp.Boolean):
        raise PlanError("IS stands before NULL, TRUE or FALSE here")
    value = self.condition(node.this, "what stands before IS")
    pair = [value, constant(bool(wanted.this), BOOLEAN)]
    return _negated(self, node, calls.apply("same", pair, self.columns))


def _between(self: Scalars, node: exp.Between) -> Typed:
    self.only(node, "this", "low", "high")
    value = self.bind(node.this)
    low, high = self.bind(node.args["low"]), self.bind(node.args["high"])
    if low.untyped or high.untyped or value.untyped:
        raise PlanError("a comparison with NULL is never true", hint="write IS NULL")
    at_least = calls.apply("ge", unify([value, low], self.columns), self.columns)
    at_most = calls.apply("le", unify([value, high], self.columns), self.columns)
    return type_expression(all_true([at_least.expression, at_most.expression]), self.columns)


def _in(self: Scalars, node: exp.In) -> Typed:
    if node.args.get("query"):
        raise PlanError(
            "IN with a subquery may not stand here", hint="put it into WHERE, or join with it"
        )
    self.only(node, "this", "expressions")
    items = [self.bind(item) for item in node.expressions]
    if not items:
        raise PlanError("the list after IN is empty", hint="nothing is in it: write false")
    value = self.bind(node.this)
    if value.untyped:
        raise PlanError("NULL is in no list", hint="write IS NULL")
    if value.type.name == "struct":
        tests = [compare("eq", [value, item], self.columns) for item in items]
    else:
        values = unify([value, *items], self.columns)
        literals = tuple(v.literal for v in values[1:] if v.literal is not None)
        if len(literals) == len(items):
            unique = tuple(dict.fromkeys(literals))
            return type_expression(InList(values[0].expression, unique), self.columns)
        tests = [calls.apply("eq", [values[0], item], self.columns) for item in values[1:]]
    return calls.apply("or", tests, self.columns) if len(tests) > 1 else tests[0]


def _case(self: Scalars, node: exp.Case) -> Typed:
    self.only(node, "this", "ifs", "default")
    subject = self.bind(node.this) if node.this else None
    branches = []
    for branch in node.args["ifs"]:
        if subject is None:
            condition = self.condition(branch.this, "a condition of CASE")
        else:
            condition = compare("eq", [subject, self.bind(branch.this)], self.columns)
        branches.append((condition, self.bind(branch.args["true"])))
    default = node.args.get("default")
    return calls.choose(branches, self.bind(default) if default else NULL, self.columns)


def _if(self: Scalars, node: exp.If) -> Typed:
    condition = self.condition(node.this, "the condition of IF")
    other = node.args.get("false")
    branches = [(condition, self.bind(node.args["true"]))]
    return calls.choose(branches, self.bind(other) if other else NULL, self.columns)


def _cast(self: Scalars, node: exp.Cast) -> Typed:
    self.only(node, "this", "to", "safe")
    strict = not isinstance(node, exp.TryCast)
    target = node.to
    if not isinstance(target, exp.DataType):
        raise PlanError("there is no such type here")
    return calls.cast(self.bind(node.this), data_type(target), self.columns, strict=strict)


def _concat(self: Scalars, node: exp.DPipe) -> Typed:
    return calls.build_call("concat", [self.bind(p) for p in node.flatten()], self.columns)


def _call(self: Scalars, node: exp.Anonymous) -> Typed:
    self.only(node, "this", "expressions")
    if not isinstance(node.this, str):
        raise PlanError("a function's name stands without quotes")
    name = node.this.lower()
    for argument in node.expressions:
        if isinstance(argument, (exp.Distinct, exp.Star)):
            raise self.where.error(argument, f"{name} is no aggregate", _MANUAL)
    found = special_call(self, name, node.expressions)
    if found is not None:
        return found
    return calls.build_call(name, [self.bind(a) for a in node.expressions], self.columns)


def _negate(self: Scalars, node: exp.Neg) -> Typed:
    inner = node.this
    if isinstance(inner, exp.Literal) and not inner.is_string:
        return _negative_number(str(inner.this))
    value = self.bind(inner)
    if isinstance(value, Interval):
        return negated(value, self.columns)
    return calls.negate(value, self.columns)


def _negative_number(text: str) -> Typed:
    """A number with its sign, so that -2147483648 is an int and not a bigint."""
    positive = number(text)
    if positive.type == INT64 and int(text) == 2**31:
        return constant(-(2**31), INT32)
    if positive.type == DOUBLE:
        return constant(-float(text), DOUBLE)
    if positive.type.name == "decimal":
        exact = -Decimal(text)
        return constant(exact, INT64 if exact == -(2**63) and text.isdigit() else positive.type)
    return constant(-int(text), positive.type)


_Binder = Callable[[Scalars, exp.Expr], Typed]


def _table() -> dict[type[exp.Expr], _Binder]:
    found: dict[type[exp.Expr], Callable[..., Typed]] = {
        exp.Literal: _literal,
        exp.Boolean: _boolean,
        exp.Null: lambda _self, _node: NULL,
        exp.Paren: lambda self, node: self.bind(node.this),
        exp.Not: _not,
        exp.And: _logic,
        exp.Or: _logic,
        exp.NullSafeNEQ: _different,
        exp.Div: _division,
        exp.IntDiv: _whole_division,
        exp.Neg: _negate,
        exp.Is: _is,
        exp.Between: _between,
        exp.In: _in,
        exp.Case: _case,
        exp.If: _if,
        exp.Cast: _cast,
        exp.TryCast: _cast,
        exp.DPipe: _concat,
        exp.Anonymous: _call,
    }
    found.update(SYNTAX)
    found.update(dict.fromkeys(_COMPARISONS, _comparison))
    found.update(dict.fromkeys(_ARITHMETIC, _arithmetic))
    return found


_BINDERS: Final = _table()
