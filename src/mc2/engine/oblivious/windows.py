"""Window nodes of a plan over secret rows: the expressions, and which operator a function takes."""

from __future__ import annotations

from collections.abc import Mapping

from mc2.engine.oblivious.calls import literal_number, one_layout
from mc2.engine.oblivious.expressions import Evaluator
from mc2.errors import EngineError
from mc2.formats.schema import Column, DataType, Schema
from mc2.operators import logic, ordering, reach, windows
from mc2.operators.grouping import Aggregate
from mc2.operators.handles import SecretColumn, SecretTable
from mc2.operators.run import Run
from mc2.plan.expressions import Expression, Literal
from mc2.plan.oblivious_windows import has_distance
from mc2.plan.relations import SortKey
from mc2.plan.typing import type_of
from mc2.plan.windows import AGGREGATES, NEIGHBOURS, RANKINGS, Bound, Window, WindowColumn


def compute_window(
    run: Run,
    operation: Window,
    source: SecretTable,
    schemas: tuple[Schema, Schema],
    ties: ordering.Ties,
) -> SecretTable:
    """The rows of a window's source with its functions' columns: `schemas` are before and after."""
    before, after = (s.by_name() for s in schemas)
    orders = window_orders(run, operation, source, before)
    rows = windows.arrange(run, source, operation.keys, orders, ties)
    here = Evaluator.over(run, rows.table)
    columns = dict(rows.table.columns)
    key = None
    if any(has_distance(c) for c in operation.columns):
        key = _order(here, operation.order[0], before)
    for one in operation.columns:
        columns[one.name] = _function(run, (rows, key), here, one, after[one.name].type)
    return SecretTable(columns, rows.table.present)


def window_orders(
    run: Run, operation: Window, source: SecretTable, columns: Mapping[str, Column]
) -> list[ordering.Order]:
    """What the rows of a partition are in order of."""
    evaluator = Evaluator.over(run, source)
    return [_order(evaluator, k, columns) for k in operation.order]


def _order(of: Evaluator, key: SortKey, columns: Mapping[str, Column]) -> ordering.Order:
    nullable = type_of(key.expression, columns).nullable
    return ordering.Order(of.of(key.expression), key.descending, key.nulls_first, nullable)


def _function(
    run: Run,
    arranged: tuple[windows.Ordered, ordering.Order | None],
    here: Evaluator,
    one: WindowColumn,
    kind: DataType,
) -> SecretColumn:
    rows, key = arranged
    if one.function in RANKINGS:
        return windows.rank_rows(run, rows, one.function, rank_parts(one))
    if one.function in NEIGHBOURS:
        value, away, default = neighbour_of(here, one)
        return windows.neighbour(run, rows, value, away, default, ignore_nulls=one.ignore_nulls)
    return reach.over_span(run, rows, key, framed(run, here, one, kind), span_of(one))


def rank_parts(one: WindowColumn) -> int:
    """How many parts `ntile` makes."""
    return _number(one.arguments[0]) if one.arguments else 1


def neighbour_of(here: Evaluator, one: WindowColumn) -> tuple[SecretColumn, int, SecretColumn]:
    """The value of a neighbour, how many rows on it is, and what stands for none."""
    away = _number(one.arguments[1]) * (-1 if one.function == "lag" else 1)
    value, default = one_layout(here.of(one.arguments[0]), here.of(one.arguments[2]))
    return value, away, default


def span_of(one: WindowColumn) -> windows.Span:
    """The frame of a function that has one."""
    if one.frame is None:
        raise EngineError(f"{one.function} has no frame")
    return windows.Span(
        _place(one.frame.start, one.frame.unit, forward=False),
        _place(one.frame.end, one.frame.unit, forward=True),
    )


def framed(
    run: Run, here: Evaluator, one: WindowColumn, kind: DataType
) -> Aggregate | windows.Pick:
    """What a function does of the rows of its frame, with its arguments computed."""
    if one.function in AGGREGATES:
        where, inside = None, here
        if one.where is not None:
            where = logic.value_marks(run, here.of(one.where))
            inside = here.where(where)
        argument = inside.of(one.arguments[0]) if one.arguments else None
        return Aggregate(one.name, one.function, argument, kind, where)
    place = {"first_value": 1, "last_value": None}.get(one.function, 0)
    if one.function == "nth_value":
        place = _number(one.arguments[1])
    return windows.Pick(here.of(one.arguments[0]), place, one.ignore_nulls)


def _place(bound: Bound, unit: str, *, forward: bool) -> windows.Place:
    """Where a frame ends, in the direction of that end."""
    if bound.at.startswith("unbounded"):
        return windows.END
    if bound.offset is None:
        return windows.Place(equals=True) if unit == "range" else windows.Place(0)
    ahead = (bound.at == "following") == forward
    if unit == "range":
        far = literal_number(bound.offset)
        if not isinstance(far, (int, float)):
            raise EngineError("a distance is a number")
        return windows.Place(distance=far if ahead else -far)
    count = _number(bound.offset)
    return windows.Place(count if ahead else -count)


def _number(argument: Expression) -> int:
    if not isinstance(argument, Literal) or argument.text is None:
        raise EngineError("it takes a number that is written out")
    return int(argument.text)
