"""Says in plain words what each node of a plan does. Deterministic, and safe to print.

Names and constants in a plan come from strangers, so every character that could rewrite a screen
or hide text is shown as its code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mc2.client.linear_words import linear_words
from mc2.client.model_words import model_words, recalled_words
from mc2.client.text_words import name_words, names, steps, visible
from mc2.plan.expressions import (
    Call,
    Case,
    Cast,
    ColumnRef,
    Expression,
    InList,
    Lambda,
    Literal,
    Parameter,
)
from mc2.plan.linear_models import LinearOperation
from mc2.plan.models import ModelOperation, Recall
from mc2.plan.plan import Plan
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Distinct,
    Explode,
    Filter,
    Join,
    Limit,
    Mark,
    NamedExpression,
    PairBound,
    Project,
    RowBound,
    Scan,
    Sort,
    SortKey,
    Union,
    Values,
)
from mc2.plan.shapes import NO_USEFUL_BOUND
from mc2.plan.windows import BOUNDS, SO_FAR, Bound, Frame, Window, WindowColumn

_INFIX: Final = {
    "eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "same": "<=>",
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "integer_divide": "div",
    "remainder": "%", "and": "and", "or": "or", "like": "like",
}  # fmt: skip
_TESTS: Final = {"is_null": "is NULL", "is_not_null": "is not NULL"}
_JOINS: Final = {
    "inner": "Join step {0} with step {1}",
    "left": "Join step {0} with step {1}, keeping rows of step {0} without a match",
    "right": "Join step {0} with step {1}, keeping rows of step {1} without a match",
    "full": "Join step {0} with step {1}, keeping rows of both without a match",
    "semi": "Keep the rows of step {0} that match a row of step {1}",
    "anti": "Keep the rows of step {0} that match no row of step {1}",
    "single": "Look up for each row of step {0} the one row of step {1}, or none",
    "cross": "Pair each row of step {0} with each row of step {1}",
}
_LEAKS: Final = {
    "none": "nobody learns how many there are",
    "rounded": "the host learns that number, rounded up to a power of two",
    "sizes": "the host learns how many there are",
}
_QUOTED_TYPES: Final = {"date": "date ", "timestamp": "time ", "timestamp_utc": "time "}


__all__ = [
    "aggregate_words",
    "expanded_words",
    "expression_words",
    "name_words",
    "names",
    "rows",
    "step_words",
    "visible",
    "window_words",
]


def rows(bound: int) -> str:
    """A bound on rows in words."""
    if bound >= NO_USEFUL_BOUND:
        return "any number of rows"
    return "at most 1 row" if bound == 1 else f"at most {bound:,} rows"


def expression_words(expression: Expression) -> str:
    """An expression as people write it."""
    return _Words({}).of(expression)


def expanded_words(expression: Expression, meanings: Mapping[str, str]) -> str:
    """The same, with what some columns mean in the place of their names."""
    return _Words(meanings).of(expression)


class _Words:
    """Writes expressions, with other words for some columns."""

    def __init__(self, meanings: Mapping[str, str]) -> None:
        self._meanings = meanings

    def of(self, expression: Expression) -> str:  # noqa: PLR0911 - one a case
        """The expression in words."""
        match expression:
            case ColumnRef(name):
                return self._meanings.get(name, name_words(name))
            case Literal():
                return _literal(expression)
            case Cast(value, kind, strict):
                how = "" if strict else ", or NULL if it does not fit"
                return f"({self._inner(value)} as {kind}{how})"
            case Case(branches, otherwise):
                parts = [f"when {self.of(b.condition)} then {self.of(b.value)}" for b in branches]
                return f"case {' '.join(parts)} else {self.of(otherwise)} end"
            case InList(value, items):
                return f"{self._inner(value)} in ({', '.join(_literal(i) for i in items)})"
            case Call(function, arguments):
                return self._call(function, arguments)
            case Parameter(name):
                return name
            case Lambda(parameters, body):
                given = ", ".join(parameters)
                given = f"({given})" if len(parameters) > 1 else given
                return f"{given} -> {self.of(body)}"

    def _call(self, function: str, arguments: tuple[Expression, ...]) -> str:
        if function in _INFIX:
            return f" {_INFIX[function]} ".join(self._inner(a) for a in arguments)
        if function == "not":
            return f"not {self._inner(arguments[0])}"
        if function in _TESTS:
            return f"{self._inner(arguments[0])} {_TESTS[function]}"
        return f"{function}({', '.join(self.of(a) for a in arguments)})"

    def _inner(self, expression: Expression) -> str:
        """The same in brackets, where without them it could be read in two ways."""
        text = self.of(expression)
        plain = isinstance(expression, (ColumnRef, Literal, Cast, Parameter)) or (
            isinstance(expression, Call) and expression.function not in {*_INFIX, *_TESTS, "not"}
        )
        return text if plain else f"({text})"


def _literal(value: Literal) -> str:
    if value.text is None:
        return "NULL"
    if value.type.name == "string":
        return "'" + visible(value.text).replace("'", "''") + "'"
    if value.type.name == "binary":
        return f"base64'{value.text}'"
    prefix = _QUOTED_TYPES.get(value.type.name)
    return value.text if prefix is None else f"{prefix}'{value.text}'"


def step_words(plan: Plan, index: int) -> str:
    """What one node does, in one sentence; other nodes are called by their step numbers."""
    operation = plan.nodes[index].operation
    match operation:
        case Scan(place, columns):
            words = f"Read {names(columns)} of {plan.inputs[place].dataset}"
        case Recall(place):
            words = recalled_words(plan.inputs[place])
        case Project(source, chosen):
            words = f"Of step {source + 1}, {_projection(chosen)}"
        case Filter(source, predicate):
            words = f"Keep the rows of step {source + 1} where {expression_words(predicate)}"
        case Join() | Mark():
            words = _join(operation)
        case Aggregate():
            words = _aggregate(operation)
        case Window():
            words = _window(operation)
        case _ if isinstance(operation, ModelOperation):
            words = model_words(operation)
        case _ if isinstance(operation, LinearOperation):
            words = linear_words(operation)
        case _:
            words = _rows(operation)
    return f"{words}."


def _rows(operation: Sort | Limit | RowBound | Union | Distinct | Explode | Values) -> str:
    match operation:
        case Sort(source, keys):
            words = f"Sort step {source + 1} by {', '.join(_sort_key(k) for k in keys)}"
        case Limit():
            words = _limit(operation)
        case PairBound(source, most, counts=counts):
            each = f"where each stands for {expression_words(counts)}"
            words = f"Fail if step {source + 1} has more than {most:,} rows, {each}"
        case RowBound(source, most, leak):
            words = f"Fail if step {source + 1} has more than {most:,} rows; {_LEAKS[leak]}"
        case Union(sources):
            words = f"Put the rows of {steps(sources)} one below the other"
        case Distinct(source):
            words = f"Keep each different row of step {source + 1} once"
        case Explode():
            words = _explode(operation)
        case Values(columns, listed):
            written = "; ".join(", ".join(_literal(i) for i in row) for row in listed)
            words = f"Take {names(columns)} from the script itself, PUBLIC rows: {written}"
    return words


def _join(operation: Join | Mark) -> str:
    if isinstance(operation, Mark):
        return (
            f"Say of each row of step {operation.left + 1}, as {name_words(operation.name)}, "
            f"whether step {operation.right + 1} has a row where {expression_words(operation.on)}"
        )
    on = operation.on
    condition = "" if on is None else f", where {expression_words(on)}"
    return _JOINS[operation.how].format(operation.left + 1, operation.right + 1) + condition


def _projection(columns: tuple[NamedExpression, ...]) -> str:
    taken, renamed, computed = [], [], []
    for column in columns:
        if column.expression == ColumnRef(column.name):
            taken.append(name_words(column.name))
        elif isinstance(column.expression, ColumnRef):
            old, new = name_words(column.expression.name), name_words(column.name)
            renamed.append(f"{old} as {new}")
        else:
            computed.append(f"{name_words(column.name)} = {expression_words(column.expression)}")
    parts = []
    if taken or renamed:
        parts.append("take " + ", ".join(taken + renamed))
    if computed:
        parts.append("compute " + ", ".join(computed))
    return " and ".join(parts)


def _aggregate(operation: Aggregate) -> str:
    source = f"step {operation.source + 1}"
    found = ", ".join(_aggregate_column(a) for a in operation.aggregates)
    if not operation.keys:
        return f"Over all rows of {source}: {found}"
    words = f"Group {source} by {names(operation.keys)}"
    return f"{words}; for each group: {found}" if found else words


def _window(operation: Window) -> str:
    parts = []
    if operation.keys:
        parts.append(f"within the same {names(operation.keys)}")
    if operation.order:
        parts.append(f"in order of {', '.join(_sort_key(k) for k in operation.order)}")
    ordered = bool(operation.order)
    found = "; ".join(_window_column(c, ordered=ordered) for c in operation.columns)
    where = f", {', '.join(parts)}" if parts else ""
    return f"To each row of step {operation.source + 1}{where}, add {found}"


def _window_column(column: WindowColumn, *, ordered: bool) -> str:
    return f"{name_words(column.name)} = {_window_value(column, ordered=ordered)}"


def _window_value(column: WindowColumn, *, ordered: bool) -> str:
    where = "" if column.where is None else f" where {expression_words(column.where)}"
    arguments = ", ".join(expression_words(a) for a in column.arguments)
    nulls = " ignoring NULL" if column.ignore_nulls else ""
    text = f"{column.function}({arguments}){nulls}{where}"
    return text + _frame(column.frame, ordered=ordered)


def window_words(operation: Window, column: WindowColumn) -> str:
    """The value of one window function, and among which rows."""
    value = _window_value(column, ordered=bool(operation.order))
    among = f"of the same {names(operation.keys)}" if operation.keys else "of all"
    return f"{value} among rows {among}"


def _frame(frame: Frame | None, *, ordered: bool) -> str:
    if frame is None or (frame.whole and not ordered):
        return ""
    if frame.whole:
        return " over all of them"
    if frame == SO_FAR:
        return " up to the row and its equals"
    return f" over {frame.unit} from {_bound(frame.start)} to {_bound(frame.end)}"


def _bound(bound: Bound) -> str:
    if bound.offset is not None:
        return f"{_literal(bound.offset)} {bound.at}"
    return {BOUNDS[0]: "the first", BOUNDS[-1]: "the last"}.get(bound.at, "the row")


def _explode(operation: Explode) -> str:
    text = (
        f"Make a row of each element of {expression_words(operation.expression)} in step "
        f"{operation.source + 1}, as {name_words(operation.name)}"
    )
    if operation.position is not None:
        text += f", its place as {name_words(operation.position)}"
    return f"{text}; keep rows without elements" if operation.outer else text


def _aggregate_column(column: AggregateColumn) -> str:
    return f"{name_words(column.name)} = {aggregate_words(column)}"


def aggregate_words(column: AggregateColumn) -> str:
    """The value of one aggregate."""
    where = "" if column.where is None else f" where {expression_words(column.where)}"
    if column.function == "count_star":
        return f"number of rows{where}"
    distinct = "distinct " if column.distinct else ""
    arguments = ", ".join(expression_words(a) for a in column.arguments)
    return f"{column.function}({distinct}{arguments}){where}"


def _sort_key(key: SortKey) -> str:
    way = "falling" if key.descending else "rising"
    nulls = "first" if key.nulls_first else "last"
    return f"{expression_words(key.expression)} ({way}, NULL {nulls})"


def _limit(operation: Limit) -> str:
    after = f" after the first {operation.offset:,}" if operation.offset else ""
    count = "all rows" if operation.count is None else f"the first {operation.count:,} rows"
    return f"Keep {count} of step {operation.source + 1}{after}"
