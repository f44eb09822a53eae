"""Columns of DataFrame code to SQL, each with the name that Spark gives it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

from mc2.errors import PlanError
from mc2.planner.connect import user_text
from mc2.planner.connect.frame import quoted, split_name
from mc2.planner.connect.literals import literal
from mc2.planner.connect.message import Message, unsupported
from mc2.planner.connect.scope import Found, Scope
from mc2.planner.connect.types import read_type, sql_type, type_text

_FUNCTION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBERED: Final = re.compile(r"_[0-9]+$")  # how the client tells parameters of lambdas apart
_VARIABLE: Final = "namedlambdavariable()"  # as what Spark shows each of them
_BINARY: Final = {
    "==": "=", "=": "=", "!=": "<>", "<>": "<>", "<=>": "<=>", "<": "<", "<=": "<=", ">": ">",
    ">=": ">=", "+": "+", "-": "-", "*": "*", "/": "/", "%": "%", "div": "div", "&": "&",
    "|": "|", "^": "^",
}  # fmt: skip
_SHOWN: Final = {
    "sqrt": "SQRT", "exp": "EXP", "floor": "FLOOR", "ceil": "CEIL", "pow": "POWER",
    "power": "POWER", "log10": "LOG10", "log2": "LOG2", "log": "LOG", "signum": "SIGNUM",
    "sin": "SIN", "cos": "COS", "tan": "TAN", "asin": "ASIN", "acos": "ACOS", "atan": "ATAN",
    "sinh": "SINH", "cosh": "COSH", "tanh": "TANH", "degrees": "DEGREES", "radians": "RADIANS",
    "cbrt": "CBRT", "expm1": "EXPM1", "log1p": "LOG1P", "rint": "rint", "atan2": "ATAN2",
    "hypot": "HYPOT",
}  # fmt: skip
"""Functions that Spark shows in another spelling."""
_SHOWN_MORE: Final = {
    ("regexp_replace", 3): ", 1",
    **dict.fromkeys(user_text.UNFINISHED, user_text.UNCHANGED),
}
_RANKS: Final = ("row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile")
_PERCENTILES: Final = ("percentile", "percentile_approx", "approx_percentile")
_FLAGS: Final = ("true", "false")
_UDF: Final = (
    "a Python function over rows",
    "write it with pyspark.sql.functions or in SQL: a plan holds only what its owners can read",
)


@dataclass(frozen=True, slots=True)
class Value:
    """A value in SQL, and the name it has as a column.

    `inner` is the column that it is, if it is one as it stands. `whole` says that nothing around
    it can be read into it, so that it needs no brackets.
    """

    sql: str
    name: str
    inner: str = ""
    whole: bool = True
    named: bool = False
    inside: str = ""

    @property
    def part(self) -> str:
        """The name inside of a larger value's name: a cast, say, shows there and not alone."""
        return self.inside or self.name

    @property
    def operand(self) -> str:
        """The value beside an operator."""
        return self.sql if self.whole else f"({self.sql})"


class Expressions:
    """Binds columns over a scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._parameters: dict[str, str] = {}  # of lambdas around: the client's names, and ours
        self._seen: set[str] = set()

    def columns(self, values: Sequence[object]) -> list[Value]:
        """Columns of a result; a star becomes several. Raises: PlanError."""
        return [value for item in values for value in self._column(item)]

    def _column(self, expression: object) -> list[Value]:
        kind, inner = _opened(expression)
        if kind == "unresolved_star":
            message = Message(inner, "a star")
            target, plan_id = message.text("unparsed_target"), _plan_id(message)
            message.done()
            qualifier = split_name(target.removesuffix(".*")) if target else []
            return _starred(self._scope.star(qualifier, plan_id))
        if kind == "expression_string":
            text = Message(inner, "an expression").text("expression")
            qualifier_or_none = user_text.star(text)
            if qualifier_or_none is not None:
                return _starred(self._scope.star(qualifier_or_none, None))
        if kind == "unresolved_regex":
            return self._regex(Message(inner, "a pattern of columns"))
        return [self.value(expression)]

    def _regex(self, message: Message) -> list[Value]:
        pattern, plan_id = message.text("col_name"), _plan_id(message)
        message.done()
        inner = pattern[1:-1] if pattern[:1] == pattern[-1:] == "`" else pattern
        try:
            wanted = re.compile(inner, re.IGNORECASE)
        except re.error:
            raise PlanError(f"{inner!r} is no regular expression") from None
        found = self._scope.star([], plan_id)
        return [
            Value(f.sql, f.column.name, f.column.inner)
            for f in found
            if wanted.fullmatch(f.column.name)
        ]

    def value(self, expression: object) -> Value:
        """One value. Raises: PlanError."""
        kind, inner = _opened(expression)
        bind = _BINDERS.get(kind)
        if bind is None:
            what, hint = _REFUSED.get(kind, (f"{kind.replace('_', ' ')} in a column", ""))
            raise unsupported(what, hint)
        return bind(self, inner)

    def sort_order(self, expression: object) -> str:
        """A key of ORDER BY. Raises: PlanError."""
        message = Message(expression, "a sort key")
        child = self.value(message.take("child"))
        down = message.text("direction").endswith("DESCENDING")
        nulls = message.text("null_ordering")
        first = not down if not nulls or nulls.endswith("UNSPECIFIED") else nulls.endswith("FIRST")
        message.done()
        words = f"{'DESC' if down else 'ASC'} NULLS {'FIRST' if first else 'LAST'}"
        return f"{child.operand} {words}"

    # one method for each kind of expression

    def _literal(self, inner: Any) -> Value:
        sql, name = literal(inner)
        return Value(sql, name, whole=not sql.startswith("-"))

    def _attribute(self, inner: Any) -> Value:
        message = Message(inner, "a column")
        name, plan_id = message.text("unparsed_identifier"), _plan_id(message)
        if message.flag("is_metadata_column"):
            raise unsupported("a metadata column")
        message.done()
        parts = split_name(name)
        found = self._find(parts, plan_id)
        if found.field:
            return Value(found.sql, found.field)
        # Spark shows a column as the code spells it.
        return Value(found.sql, parts[-1], found.column.inner)

    def _text(self, inner: Any) -> Value:
        message = Message(inner, "an expression")
        text = message.text("expression")
        message.done()
        sql, name, named = user_text.bind(text, lambda parts: self._find(parts, None))
        return Value(sql, name, whole=False, named=named)

    def _lambda(self, inner: Any) -> Value:
        """A function of elements. The client numbers parameters as it likes; a plan must not."""
        message = Message(inner, "a lambda")
        body = message.take("function")
        given = [_variable(v) for v in message.items("arguments")]
        message.done()
        around, seen = dict(self._parameters), self._seen
        taken = set(around.values())
        while True:  # until no parameter hides a column that the body names
            self._seen = set()
            names = _told_apart(given, taken)
            self._parameters = {**around, **dict(zip(given, names, strict=True))}
            value = self.value(body)
            if not self._seen & {*names}:
                break
            taken |= self._seen
        self._parameters, self._seen = around, seen | self._seen
        shown = ", ".join([value.part, *(_VARIABLE for _ in given)])
        return Value(f"({', '.join(names)}) -> {value.operand}", f"lambdafunction({shown})")

    def _find(self, parts: Sequence[str], plan_id: int | None) -> Found:
        """A column, of which is remembered with which word its SQL starts."""
        found = self._scope.find(parts, plan_id)
        self._seen.add(split_name(found.sql)[0].casefold())
        return found

    def _parameter(self, inner: Any) -> Value:
        name = _variable(inner)
        if name not in self._parameters:
            raise PlanError(f"no lambda around it has a parameter {name!r}")
        return Value(self._parameters[name], _VARIABLE)

    def _alias(self, inner: Any) -> Value:
        message = Message(inner, "an alias")
        value = self.value(message.take("expr"))
        names = message.items("name")
        if message.take("metadata"):
            raise unsupported("metadata of a column")
        message.done()
        if len(names) != 1:
            raise unsupported(
                "a column with several names", "for the parts of an explode: spark.sql"
            )
        return replace(value, name=str(names[0]), inner="", named=True, inside="")

    def _cast(self, inner: Any) -> Value:
        message = Message(inner, "a cast")
        value = self.value(message.take("expr"))
        kind, text = message.take("type"), message.text("type_str")
        mode = message.text("eval_mode").removeprefix("EVAL_MODE_")
        message.done()
        if mode == "LEGACY":
            raise unsupported("a cast that gives NULL for what does not fit", "use try_cast")
        word = sql_type(read_type(kind)).upper() if kind is not None else type_text(text)
        function = "TRY_CAST" if mode == "TRY" else "CAST"
        # Spark: a column that is cast keeps its name; a value is named by the whole of it.
        whole = f"{function}({value.part} AS {word})"
        name = value.name if value.inner else whole
        return Value(f"{function}({value.sql} AS {word})", name, inside=whole)

    def _subquery(self, inner: Any) -> Value:
        kind, sql = inner["kind"], inner["sql"]
        if kind == "SCALAR":
            return Value(sql, "scalarsubquery()")
        if kind == "EXISTS":
            return Value(f"EXISTS {sql}", "exists()", whole=False)
        value = self.value(inner["values"][0])
        return Value(f"{value.operand} IN {sql}", f"({value.part} IN (listquery()))", whole=False)

    def _sort_order(self, _inner: Any) -> Value:
        raise PlanError("asc() and desc() stand in orderBy and in windows only")

    def _extract(self, inner: Any) -> Value:
        message = Message(inner, "an element")
        child = self.value(message.take("child"))
        key = _opened(message.take("extraction"))
        message.done()
        if key[0] == "literal" and "string" in key[1]:
            field = str(key[1]["string"])
            return Value(f"{child.operand}.{quoted(field)}", f"{child.part}.{field}")
        index = self.value({key[0]: key[1]})
        return Value(f"{child.operand}[{index.sql}]", f"{child.part}[{index.part}]")

    def _window(self, inner: Any) -> Value:
        message = Message(inner, "a window")
        function = self.value(message.take("window_function"))
        partition = [self.value(p) for p in message.items("partition_spec")]
        keys = [self.sort_order(k) for k in message.items("order_spec")]
        frame = message.take("frame_spec")
        message.done()
        parts = []
        if partition:
            parts.append(f"PARTITION BY {', '.join(p.sql for p in partition)}")
        if keys:
            parts.append(f"ORDER BY {', '.join(keys)}")
        shown = [*parts, self._shown_frame(function, frame, ordered=bool(keys))]
        if frame:
            parts.append(self._window_frame(frame))
        name = f"{function.part} OVER ({' '.join(shown)})"
        return Value(f"{function.sql} OVER ({' '.join(parts)})", name)

    def _shown_frame(self, function: Value, frame: object, *, ordered: bool) -> str:
        """The frame as Spark's name of the column shows it, also where the code has none."""
        if frame:
            words = self._window_frame(frame)
            return re.sub(r"(\d+) PRECEDING", r"-\1 FOLLOWING", words)
        if function.sql.partition("(")[0] in _RANKS:
            return "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
        if ordered:
            return "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
        return "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"

    def _window_frame(self, value: object) -> str:
        message = Message(value, "a window's frame")
        kind = message.text("frame_type").removeprefix("FRAME_TYPE_")
        low = self._boundary(message.take("lower"), "PRECEDING")
        high = self._boundary(message.take("upper"), "FOLLOWING")
        message.done()
        if kind not in {"ROW", "RANGE"}:
            raise unsupported(f"a window's frame of kind {kind}")
        return f"{'ROWS' if kind == 'ROW' else 'RANGE'} BETWEEN {low} AND {high}"

    def _boundary(self, value: object, side: str) -> str:
        kind, inner = Message(value, "an end of a window's frame").one()
        if kind == "current_row":
            return "CURRENT ROW"
        if kind == "unbounded":
            return f"UNBOUNDED {side}"
        found, constant = _opened(inner)
        if found != "literal":
            raise unsupported("an end of a window's frame that is computed", "write a number")
        number = literal(constant)[1]
        if not re.fullmatch(r"-?\d+(\.\d+)?", number):
            raise unsupported(f"{number} as an end of a window's frame", "write a number")
        if number in {"0", "-0"}:
            return "CURRENT ROW"
        return f"{number.lstrip('-')} {'PRECEDING' if number.startswith('-') else 'FOLLOWING'}"

    def _function(self, inner: Any) -> Value:
        message = Message(inner, "a function")
        name = message.text("function_name")
        arguments = message.items("arguments")
        distinct = message.flag("is_distinct")
        if message.flag("is_user_defined_function"):
            raise unsupported(*_UDF)
        message.flag("is_internal")  # the name says which function it is, and must be known
        message.done()
        return self._call(name, arguments, distinct=distinct)

    def _call_function(self, inner: Any) -> Value:
        message = Message(inner, "a function")
        name, arguments = message.text("function_name"), message.items("arguments")
        shown = message.text("shown")  # of a Python function: the name that its author gave it
        message.done()
        found = self._call(name, arguments, distinct=False)
        return replace(found, name=shown + found.name[len(name) :]) if shown else found

    def _arguments(self, expression: object) -> list[Value]:
        """An argument of a function; a star stands for all columns."""
        is_star = _opened(expression)[0] == "unresolved_star"
        return self._column(expression) if is_star else [self.value(expression)]

    def _call(self, name: str, arguments: Sequence[object], *, distinct: bool) -> Value:
        known = name.lower()
        if known == "count" and not distinct and len(arguments) == 1 and _is_star(arguments[0]):
            return Value("count(*)", "count(1)")
        values = [v for a in arguments for v in self._arguments(a)]
        if known in _BINARY and len(values) == 2 and not distinct:
            return _binary(known, *values)
        if known in _PERCENTILES and not distinct:
            return _percentile(known, values, arguments)
        if known == "nth_value" and len(values) == 3 and values[2].sql in _FLAGS:
            nulls = " IGNORE NULLS" if values[2].sql == "true" else ""
            shown = f"{known}({values[0].part}, {values[1].part}){nulls.lower()}"
            return Value(f"{known}({values[0].sql}, {values[1].sql}){nulls}", shown)
        special = _SPECIAL.get(known)
        if special is not None and not distinct:
            return special(known, values)
        if not _FUNCTION.fullmatch(name):
            raise unsupported(f"the function {name!r}")
        word = "DISTINCT " if distinct else ""
        shown = ", ".join(v.part for v in values) + _SHOWN_MORE.get((known, len(values)), "")
        return Value(
            f"{known}({word}{', '.join(v.sql for v in values)})",
            f"{_SHOWN.get(known, known)}({word}{shown})",
        )


def _opened(expression: object) -> tuple[str, Any]:
    """An expression's kind and content; where in the client's code it stands is put aside."""
    message = Message(expression, "an expression")
    message.take("common")
    return message.one()


def _variable(value: object) -> str:
    message = Message(value, "a parameter of a lambda")
    parts = message.items("name_parts")
    message.done()
    if len(parts) != 1 or not _FUNCTION.fullmatch(str(parts[0])):
        raise PlanError("a parameter of a lambda has one name", hint="letters, digits and _")
    return str(parts[0])


def _told_apart(names: Sequence[str], taken: AbstractSet[str]) -> list[str]:
    """Names without the client's numbers, and with others where there is such a one already."""
    found: list[str] = []
    for name in names:
        stem = _NUMBERED.sub("", name).lower()
        numbered = (stem + (f"_{i}" if i > 1 else "") for i in count(1))
        found.append(next(n for n in numbered if n not in taken and n not in found))
    return found


def _plan_id(message: Message) -> int | None:
    value = message.take("plan_id")
    return None if value is None else int(value)


def _starred(found: Sequence[Found]) -> list[Value]:
    """What a star stands for: columns, or the fields of one."""
    return [
        Value(f.sql, f.field) if f.field else Value(f.sql, f.column.name, f.column.inner)
        for f in found
    ]


def _is_star(expression: object) -> bool:
    kind, inner = _opened(expression)
    return kind == "unresolved_star" and not inner.get("unparsed_target")


def _binary(name: str, left: Value, right: Value) -> Value:
    symbol = _BINARY[name]
    sql = f"{left.operand} {symbol} {right.operand}"
    shown = f"({left.part} {symbol} {right.part})"
    if symbol == "<>":  # Spark has no such node: it is NOT of the equality
        shown = f"(NOT ({left.part} = {right.part}))"
    return Value(sql, shown, whole=False)


def _percentile(name: str, values: Sequence[Value], arguments: Sequence[object]) -> Value:
    """One percentile, or an array of them. They are exact, whatever error the code allows."""
    _need(name, values, 2, 3)
    if name == "percentile" and [v.sql for v in values[2:]] not in ([], ["1"]):
        raise unsupported("percentile with weights", "repeat the rows")
    more = "".join(f", {v.sql}" for v in values[2:] if name != "percentile")
    shown = f"{name}({', '.join(v.part for v in values)})"
    kind, inner = _opened(arguments[1])
    if kind != "unresolved_function" or inner.get("function_name") != "array":
        if name == "percentile":  # each row counts once
            shown = f"{name}({values[0].part}, {values[1].part}{', 1' * len(values[2:])})"
        return Value(f"{name}({values[0].sql}, {values[1].sql}{more})", shown)
    shares = [literal(_opened(share)[1])[0] for share in inner.get("arguments", ())]
    if not shares:
        raise PlanError(f"{name} names no percentile")
    cells = ", ".join(f"{name}({values[0].sql}, {share}{more})" for share in shares)
    # Of no rows it is NULL, not an array of NULLs.
    return Value(f"CASE WHEN count({values[0].sql}) > 0 THEN array({cells}) END", shown)


def _need(name: str, values: Sequence[Value], least: int, most: int) -> None:
    if not least <= len(values) <= most:
        raise PlanError(f"{name} has {len(values)} arguments here")


def _logic(name: str, values: Sequence[Value]) -> Value:
    _need(name, values, 2, 2)
    word = name.upper()
    sql = f" {word} ".join(v.operand for v in values)
    return Value(sql, f"({f' {word} '.join(v.part for v in values)})", whole=False)


def _not(name: str, values: Sequence[Value]) -> Value:
    _need(name, values, 1, 1)
    return Value(f"NOT {values[0].operand}", f"(NOT {values[0].part})", whole=False)


def _null_test(name: str, values: Sequence[Value]) -> Value:
    _need(name, values, 1, 1)
    word = "IS NULL" if name == "isnull" else "IS NOT NULL"
    return Value(f"{values[0].operand} {word}", f"({values[0].part} {word})", whole=False)


def _in(name: str, values: Sequence[Value]) -> Value:
    _need(name, values, 1, 10_000)
    first, *rest = values
    if not rest:
        raise PlanError("the list of isin is empty", hint="nothing is in it: write lit(False)")
    sql = f"{first.operand} IN ({', '.join(v.sql for v in rest)})"
    return Value(sql, f"({first.part} IN ({', '.join(v.part for v in rest)}))", whole=False)


def _when(_name: str, values: Sequence[Value]) -> Value:
    pairs = list(zip(values[0::2], values[1::2], strict=False))
    other = values[-1] if len(values) % 2 else None
    if not pairs:
        raise PlanError("when() has no condition")
    sql = "".join(f" WHEN {c.sql} THEN {v.sql}" for c, v in pairs)
    shown = "".join(f" WHEN {c.part} THEN {v.part}" for c, v in pairs)
    if other is not None:
        sql, shown = f"{sql} ELSE {other.sql}", f"{shown} ELSE {other.part}"
    return Value(f"CASE{sql} END", f"CASE{shown} END")


def _pattern(name: str, values: Sequence[Value]) -> Value:
    _need(name, values, 2, 2)
    left, right = values
    sql = f"{left.operand} {name.upper()} {right.operand}"
    shown = f"{left.part} {name.upper()} {right.part}"
    if name in {"rlike", "ilike"}:
        shown = (
            f"{name.upper()}({left.part}, {right.part})"
            if name == "rlike"
            else f"{name}({left.part}, {right.part})"
        )
    return Value(sql, shown, whole=False)


def _constant_name(sql: str) -> Callable[[str, Sequence[Value]], Value]:
    def build(name: str, values: Sequence[Value]) -> Value:
        _need(name, values, 1, 1)
        return Value(sql.format(values[0].operand), f"{name}({values[0].part})", whole=False)

    return build


_Special = Callable[[str, Sequence[Value]], Value]
_SPECIAL: Final[dict[str, _Special]] = {
    "and": _logic,
    "or": _logic,
    "not": _not,
    "!": _not,
    "isnull": _null_test,
    "isnotnull": _null_test,
    "in": _in,
    "when": _when,
    "like": _pattern,
    "ilike": _pattern,
    "rlike": _pattern,
    "negative": _constant_name("- {}"),
}

_Binder = Callable[[Expressions, Any], Value]
_BINDERS: Final[dict[str, _Binder]] = {
    "literal": Expressions._literal,  # noqa: SLF001 - the table of this class's own methods
    "unresolved_attribute": Expressions._attribute,  # noqa: SLF001
    "unresolved_function": Expressions._function,  # noqa: SLF001
    "call_function": Expressions._call_function,  # noqa: SLF001
    "expression_string": Expressions._text,  # noqa: SLF001
    "alias": Expressions._alias,  # noqa: SLF001
    "cast": Expressions._cast,  # noqa: SLF001
    "sort_order": Expressions._sort_order,  # noqa: SLF001
    "unresolved_extract_value": Expressions._extract,  # noqa: SLF001
    "window": Expressions._window,  # noqa: SLF001
    "subquery": Expressions._subquery,  # noqa: SLF001
    "lambda_function": Expressions._lambda,  # noqa: SLF001
    "unresolved_named_lambda_variable": Expressions._parameter,  # noqa: SLF001
}
_REFUSED: Final = {
    "common_inline_user_defined_function": _UDF,
    "typed_aggregate_expression": _UDF,
    "subquery_expression": ("a DataFrame as a value", "join with it instead, or use spark.sql"),
    "update_fields": ("a changed field of a struct", "build the struct anew"),
}
