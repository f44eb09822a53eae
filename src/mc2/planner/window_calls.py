"""Window functions: `rank() OVER (PARTITION BY a ORDER BY b)`, and WINDOW with its names.

Each call stands as a column of its own while values are bound. When the rows are there, calls
over the same partition and order become one node. Spec: docs/howto/write-a-script.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlglot import exp

from mc2.errors import PlanError
from mc2.formats.schema import Column, DataType, Schema
from mc2.plan.expressions import ColumnRef, Expression, Literal, columns_of
from mc2.plan.expressions import literal as make_literal
from mc2.plan.relations import AggregateColumn, NamedExpression, Project, SortKey
from mc2.plan.types import INT32, INT64, is_integer
from mc2.plan.windows import (
    AGGREGATES,
    BOUNDS,
    NEIGHBOURS,
    PICKS,
    RANKINGS,
    SO_FAR,
    WHOLE,
    Bound,
    Frame,
    Window,
    WindowColumn,
    infer_window,
    range_type,
)
from mc2.planner.aggregate_calls import aggregate_call, formula_call
from mc2.planner.levels import Rows
from mc2.planner.scalar import Scalars
from mc2.planner.sql_text import QueryText, refuse_others
from mc2.planner.typed import Typed, constant, convert, fold, typed

_MARK: Final = "\x02"
"""Starts the name under which a call stands in an expression; no real column has it."""
_NAMES: Final = {**{n: n for n in (*RANKINGS, *NEIGHBOURS, *PICKS)}, "first": "first_value",
                 "last": "last_value"}  # fmt: skip
_ARGUMENTS: Final = {"ntile": (1, 1), "lag": (1, 3), "lead": (1, 3), "nth_value": (2, 2),
                     "first_value": (1, 2), "last_value": (1, 2)}  # fmt: skip
_UNITS: Final = {
    "DAY": 86_400_000_000, "HOUR": 3_600_000_000, "MINUTE": 60_000_000, "SECOND": 1_000_000,
    "WEEK": 7 * 86_400_000_000, "MILLISECOND": 1_000, "MICROSECOND": 1,
}  # fmt: skip
_DAY: Final = _UNITS["DAY"]

Rewrite = Callable[[Expression, exp.Expr], Expression]
"""A bound value over the rows that the windows stand on."""


@dataclass(frozen=True, slots=True)
class _Spec:
    """A partition and an order."""

    keys: tuple[Expression, ...]
    order: tuple[SortKey, ...]


@dataclass(frozen=True, slots=True)
class _Call:
    """One call, and where it was written."""

    spec: _Spec
    column: WindowColumn
    node: exp.Expr


def _over_rows(column: AggregateColumn) -> WindowColumn:
    """An aggregate as a function over a window."""
    return WindowColumn("", column.function, column.arguments, where=column.where)


class WindowCalls:
    """Collects the window functions of one SELECT, then adds their nodes."""

    def __init__(self, where: QueryText, select: exp.Select, columns: dict[str, Column]) -> None:
        self._where = where
        self._columns = columns  # of the rows; calls are added as they are found
        self._calls: list[_Call] = []
        self._named: dict[str, exp.Window] = {}
        for node in select.args.get("windows") or []:
            name = node.name.casefold()
            if name in self._named:
                raise where.error(node, f"WINDOW defines {node.name!r} twice", "rename one")
            self._named[name] = node

    def bind(self, scalars: Scalars, node: exp.Window) -> Typed:
        """A call as the column that will hold it. Raises: PlanError."""
        known = ("this", "partition_by", "order", "spec", "alias", "over")
        refuse_others(self._where, node, known, "a window")
        for part in node.find_all(exp.Window):
            if part is not node and not isinstance(part.this, exp.Identifier):
                raise self._where.error(
                    part,
                    "a window function may not stand inside another one",
                    "name the inner one in a subquery of FROM",
                )
        try:
            return self._value(scalars, node)
        except PlanError as error:
            if error.line:
                raise
            raise self._where.error(node, str(error), error.hint) from None

    def _placed(self, call: _Call) -> Typed:
        number = next(
            (i for i, c in enumerate(self._calls) if replace(c, node=call.node) == call), None
        )
        if number is None:
            number = len(self._calls)
            self._calls.append(call)
            column = self._typed(call)
            self._columns[f"{_MARK}{number}"] = replace(column, name=f"{_MARK}{number}")
        return typed(ColumnRef(f"{_MARK}{number}"), self._columns)

    def _typed(self, call: _Call) -> Column:
        schema = Schema(tuple(c for n, c in self._columns.items() if not n.startswith(_MARK)))
        try:
            return infer_window(Window(0, (), call.spec.order, (call.column,)), schema)[0]
        except PlanError as error:
            hint = error.hint or "docs/howto/write-a-script.md shows frames"
            if not call.spec.order:
                hint = "write OVER (... ORDER BY ...)"
            raise self._where.error(call.node, str(error), hint) from None

    def _value(self, scalars: Scalars, node: exp.Window) -> Typed:
        """One call, or a formula over several."""
        spec, frame = self._over(scalars, node)

        def placed(column: WindowColumn) -> Typed:
            if column.function in {*AGGREGATES, *PICKS}:
                column = replace(column, frame=_usual(frame, ordered=bool(spec.order)))
            elif frame is not None:
                raise PlanError(f"{column.function} has no frame", hint="leave ROWS or RANGE out")
            return self._placed(_Call(spec, column, node))

        formula = formula_call(scalars, node.this, lambda c: placed(_over_rows(c)))
        if formula is not None:
            return typed(formula, self._columns)
        return placed(self._function(scalars, node.this))

    def _over(self, scalars: Scalars, node: exp.Window) -> tuple[_Spec, Frame | None]:
        partition, order, written = self._spec(node, set())
        keys = tuple(self._key(scalars, p) for p in partition)
        sort = tuple(k for p in order for k in self._sort_key(scalars, p))
        frame = None if written is None else self._frame(written, scalars, sort)
        return _Spec(tuple(dict.fromkeys(keys)), sort), frame

    def _spec(
        self, node: exp.Window, seen: set[str]
    ) -> tuple[list[exp.Expr], list[exp.Expr], exp.WindowSpec | None]:
        """Partition, order and frame, with what a named window says."""
        order = node.args.get("order")
        partition = list(node.args.get("partition_by") or [])
        sort = list(order.expressions) if order is not None else []
        alias, frame = node.args.get("alias"), node.args.get("spec")
        if alias is None:
            return partition, sort, frame
        name = alias.name.casefold()
        if name not in self._named or name in seen:
            raise self._where.error(
                node, f"there is no window {alias.name!r} here", "define it: WINDOW w AS (...)"
            )
        base, base_sort, base_frame = self._spec(self._named[name], {*seen, name})
        if partition or (sort and base_sort) or (base_frame is not None and (sort or frame)):
            raise self._where.error(
                node, f"the window {alias.name!r} says that already", "write the window out"
            )
        return base, sort or base_sort, frame or base_frame

    def _key(self, scalars: Scalars, node: exp.Expr) -> Expression:
        value = scalars.bind(node)
        if value.untyped:
            raise self._where.error(node, "NULL is no key of a partition", "name a column")
        return value.expression

    def _sort_key(self, scalars: Scalars, node: exp.Expr) -> list[SortKey]:
        refuse_others(self._where, node, ("this", "desc", "nulls_first"), "ORDER BY")
        value = scalars.bind(node.this).expression
        if not columns_of(value):
            return []  # a constant orders nothing
        return [SortKey(value, bool(node.args.get("desc")), bool(node.args.get("nulls_first")))]

    # The function

    def _function(self, scalars: Scalars, node: exp.Expr) -> WindowColumn:
        ignore = isinstance(node, exp.IgnoreNulls)
        if isinstance(node, (exp.IgnoreNulls, exp.RespectNulls)):
            node = node.this
        inner = node.this if isinstance(node, exp.Filter) else node
        name = str(inner.this).lower() if isinstance(inner, exp.Anonymous) else ""
        if name in _NAMES and isinstance(inner, exp.Anonymous):
            if inner is not node:
                raise PlanError(f"{name} takes no FILTER", hint="filter the rows in a subquery")
            return self._own(scalars, _NAMES[name], inner, ignore=ignore)
        found = aggregate_call(scalars, node)
        if found is None:
            raise PlanError(
                f"{name or node.key} may not stand over a window",
                hint=f"there are: {', '.join(sorted(_NAMES))}, and aggregates",
            )
        if found.distinct:
            raise PlanError(
                f"{name}(DISTINCT ...) may not stand over a window",
                hint="join with a subquery that has GROUP BY",
            )
        if ignore:
            raise PlanError(f"{name} ignores NULL anyway", hint="leave IGNORE NULLS out")
        return _over_rows(found)

    def _own(
        self, scalars: Scalars, name: str, node: exp.Anonymous, *, ignore: bool
    ) -> WindowColumn:
        least, most = _ARGUMENTS.get(name, (0, 0))
        written = list(node.expressions)
        if not least <= len(written) <= most:
            wanted = f"{least} to {most}" if most != least else f"{least or 'no'}"
            raise PlanError(f"{name} takes {wanted} argument{'s' * (most != 1)}")
        values = [scalars.bind(a) for a in written]
        if name in {"first_value", "last_value"} and len(values) == 2:
            ignore = _truth(values.pop()) or ignore
        if name in NEIGHBOURS:
            values = self._neighbour(name, values)
            name, values = _forward(name, values)
        elif values and name in {"ntile", "nth_value"}:
            values[-1] = _count(values[-1], name)
        if values and values[0].untyped:
            raise PlanError(f"{name} of NULL says nothing", hint="name a column")
        expressions = tuple(v.expression for v in values)
        return WindowColumn("", name, expressions, ignore_nulls=ignore)

    def _neighbour(self, name: str, values: list[Typed]) -> list[Typed]:
        value = values[0]
        offset = _count(values[1], name) if len(values) > 1 else constant(1, INT32)
        default = values[2] if len(values) > 2 else constant(None, value.type)
        return [value, offset, convert(default, value.type, self._columns)]

    # The frame

    def _frame(self, spec: exp.WindowSpec, scalars: Scalars, order: Sequence[SortKey]) -> Frame:
        known = ("kind", "start", "start_side", "end", "end_side")
        refuse_others(self._where, spec, known, "a frame")
        unit = str(spec.args.get("kind") or "").lower()
        if unit not in {"rows", "range"}:
            raise self._where.error(spec, f"there are no frames by {unit.upper()} here",
                                    "write ROWS or RANGE")  # fmt: skip
        start = self._bound(spec, "start", unit, scalars, order)
        end = Bound("current_row")
        if spec.args.get("end") is not None:
            end = self._bound(spec, "end", unit, scalars, order)
        if start.at == BOUNDS[0] and end.at == BOUNDS[-1]:
            return WHOLE
        return Frame(unit, start, end)

    def _bound(
        self, spec: exp.WindowSpec, part: str, unit: str, scalars: Scalars, order: Sequence[SortKey]
    ) -> Bound:
        value = spec.args.get(part)
        side = str(spec.args.get(f"{part}_side") or "").lower()
        if isinstance(value, str):
            at = "current_row" if value.upper() == "CURRENT ROW" else f"unbounded_{side}"
            return Bound(at)
        if not isinstance(value, exp.Expr):
            raise self._where.error(spec, "a frame has a bound that is none")
        if unit == "rows":
            return Bound(side, _literal(_count(scalars.bind(value), "a frame")))
        if len(order) != 1:
            raise self._where.error(
                value, "RANGE with a distance needs ORDER BY one key", "write ROWS"
            )
        kind = typed(order[0].expression, self._columns).type
        return Bound(side, _distance(value, kind, scalars))

    # The nodes

    def build(self, rows: Rows, rewrite: Rewrite, first: Sequence[str]) -> dict[str, Expression]:
        """Add the calls to the rows, each within its own value of the columns `first`.

        Gives the columns that the calls stand for. Raises: PlanError.
        """
        found: dict[str, Expression] = {}
        groups: dict[_Spec, list[tuple[int, _Call]]] = {}
        for number, call in enumerate(self._calls):
            groups.setdefault(_rewritten(call, rewrite), []).append((number, call))
        for spec, calls in groups.items():
            keys = (*(ColumnRef(n) for n in first), *spec.keys)
            names = _key_names(rows, tuple(dict.fromkeys(keys)))
            columns: list[WindowColumn] = []
            for number, call in calls:
                name = rows.fresh(call.column.function)
                while name in {c.name for c in columns}:
                    name = f"{name}_{number}"
                arguments = tuple(rewrite(a, call.node) for a in call.column.arguments)
                where = call.column.where
                columns.append(
                    replace(
                        call.column,
                        name=name,
                        arguments=arguments,
                        where=None if where is None else rewrite(where, call.node),
                    )
                )
                found[f"{_MARK}{number}"] = ColumnRef(name)
            rows.add(Window(rows.node, names, spec.order, tuple(columns)))
        return found


def _rewritten(call: _Call, rewrite: Rewrite) -> _Spec:
    keys = tuple(rewrite(k, call.node) for k in call.spec.keys)
    order = tuple(replace(k, expression=rewrite(k.expression, call.node)) for k in call.spec.order)
    return _Spec(keys, order)


def _key_names(rows: Rows, keys: Sequence[Expression]) -> tuple[str, ...]:
    """The keys as columns of the rows: computed ones are added to them first."""
    names: list[str] = []
    added: list[NamedExpression] = []
    for key in keys:
        if isinstance(key, ColumnRef):
            names.append(key.name)
            continue
        stem = rows.fresh("part")
        name = stem if not added else f"{stem}_{len(added)}"
        added.append(NamedExpression(name, key))
        names.append(name)
    if added:
        kept = (NamedExpression(n, ColumnRef(n)) for n in rows.builder.schema(rows.node).names)
        rows.add(Project(rows.node, (*kept, *added)))
    return tuple(names)


def _usual(frame: Frame | None, *, ordered: bool) -> Frame:
    if frame is not None:
        return frame
    return SO_FAR if ordered else WHOLE


def _forward(name: str, values: list[Typed]) -> tuple[str, list[Typed]]:
    """A lag by a number below zero is a lead."""
    offset = int(_literal(values[1]).text or "0")
    if offset >= 0:
        return name, values
    other = "lead" if name == "lag" else "lag"
    return other, [values[0], constant(-offset, INT32), values[2]]


def _literal(value: Typed) -> Literal:
    if value.literal is None:
        raise PlanError("a number that is written out must stand here")
    return value.literal


def _count(value: Typed, what: str) -> Typed:
    """A whole number that is written out, as an int32."""
    if value.literal is None or value.literal.text is None or not is_integer(value.type):
        raise PlanError(f"{what} takes a whole number that is written out")
    found = fold(value.literal, INT32)
    if found is None:
        raise PlanError(f"{what} takes a whole number that is written out")
    return found


def _truth(value: Typed) -> bool:
    if value.literal is None or value.literal.text not in {"true", "false"}:
        raise PlanError("whether NULL is ignored is true or false", hint="write IGNORE NULLS")
    return value.literal.text == "true"


def _distance(node: exp.Expr, key: DataType, scalars: Scalars) -> Literal:
    """How far a frame reaches, in the units of its key."""
    kind = range_type(key)
    if isinstance(node, exp.Interval):
        return _interval(node, key, kind)
    value = scalars.bind(node)
    if value.literal is None:
        raise PlanError("the bound of a frame is a number that is written out")
    if value.type == kind:
        return value.literal
    if value.literal.text is not None and key.name in {"timestamp", "timestamp_utc"}:
        raise PlanError("the distance of times is an interval", hint="write INTERVAL '1' DAY")
    found = fold(value.literal, kind)
    if found is None and kind.name == "float":
        found = constant(float(value.literal.text or "0"), kind)
    if found is None:
        raise PlanError(f"a distance of {key} is a {kind}")
    return _literal(found)


def _interval(node: exp.Interval, key: DataType, kind: DataType) -> Literal:
    amount, unit = node.this, node.args.get("unit")
    word = unit.name.upper().removesuffix("S") if isinstance(unit, exp.Var) else ""
    if kind not in {INT32, INT64} or key.name not in {"date", "timestamp", "timestamp_utc"}:
        raise PlanError(f"an interval is no distance of {key}")
    if word not in _UNITS or not isinstance(amount, exp.Literal) or not str(amount.this).isdigit():
        raise PlanError(
            "the interval of a frame is a whole number of days, hours, minutes or seconds",
            hint="write INTERVAL '1' DAY",
        )
    micros = int(str(amount.this)) * _UNITS[word]
    if key.name != "date":
        return make_literal(micros, INT64)
    if micros % _DAY:
        raise PlanError("dates are whole days apart", hint="write INTERVAL '1' DAY")
    return make_literal(micros // _DAY, INT32)


def has_window(node: exp.Expr) -> bool:
    """Whether a value holds a window function, outside of subqueries."""
    return any(
        isinstance(n, exp.Window) for n in node.walk(prune=lambda n: isinstance(n, exp.Query))
    )
