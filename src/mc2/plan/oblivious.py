"""What a plan in oblivious mode may hold. It is refused when it is compiled, never half-way.

A pure function of the plan: whoever writes a script, whoever approves it and the enclave that runs
it find the same. Spec: docs/spec/plan.md, section "Oblivious mode".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Column, DataType, Schema, width_paths
from mc2.plan.bands import rooms
from mc2.plan.expressions import (
    Call,
    Case,
    Cast,
    Expression,
    InList,
    Literal,
    children,
)
from mc2.plan.facts import Facts, trace_facts
from mc2.plan.infer import Inference
from mc2.plan.models import ModelOperation
from mc2.plan.oblivious_bytes import BYTES, check_bytes
from mc2.plan.oblivious_eager import aggregate_early
from mc2.plan.oblivious_functions import NUMBERS, STATISTICS, check_number
from mc2.plan.oblivious_joins import JoinForm, join_form, needs_pairs
from mc2.plan.oblivious_lambdas import check_lambdas
from mc2.plan.oblivious_lists import (
    COLLECTING,
    LAMBDAS,
    LISTS,
    check_lists,
    check_room,
    looked_at,
    size_of,
    sizes_of_column,
)
from mc2.plan.oblivious_models import check_learning, is_model_node
from mc2.plan.oblivious_moments import MOMENTS, check_moment
from mc2.plan.oblivious_promises import keeps_promises
from mc2.plan.oblivious_texts import TEXTS, check_grouped, check_replaced, check_text, is_spelled
from mc2.plan.oblivious_windows import check_window, window_expressions
from mc2.plan.plan import Node, Operation, Plan, PlanInput
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Explode,
    Filter,
    Join,
    Mark,
    PairBound,
    Project,
    Sort,
)
from mc2.plan.shapes import MOST_ROWS, NO_USEFUL_BOUND, Shape
from mc2.plan.types import INTEGER_BITS
from mc2.plan.typing import type_of
from mc2.plan.widths import NO_LAMBDA, Around, sizes_of, sizes_of_arguments
from mc2.plan.windows import Window

FUNCTIONS: Final = frozenset(
    {
        "eq", "ne", "lt", "le", "gt", "ge", "same", "is_null", "is_not_null", "is_nan",
        "and", "or", "not", "coalesce", "nullif", "greatest", "least",
        "add", "subtract", "multiply", "divide", "remainder", "negate", "abs",
        "year", "quarter", "month", "day", "day_of_week", "day_of_year", "week",
        "hour", "minute", "second", "date_add", "date_diff", "add_months", "last_day",
        "truncate_to", "timestamp_add", "timestamp_diff", "make_date",
        "lower", "upper", "trim", "trim_start", "trim_end", "length", "substring", "concat",
        "like", "contains", "starts_with", "ends_with",
        *NUMBERS, *TEXTS, *BYTES, *MOMENTS, *LISTS, *LAMBDAS,
    }
)  # fmt: skip
AGGREGATES: Final = frozenset(
    {
        "count_star", "count", "sum", "avg", "min", "max", "bool_and", "bool_or",
        "stddev_samp", "stddev_pop", "var_samp", "var_pop", *STATISTICS, *COLLECTING,
    }
)  # fmt: skip
_TRUNCATED: Final = frozenset(
    {"year", "quarter", "month", "week", "day", "hour", "minute", "second"}
)
_IN_ONE_SCALE: Final = frozenset(
    {"add", "subtract", "remainder", "integer_divide", "modulo", "try_remainder"}
)
_INSTANTS: Final = frozenset({"timestamp", "timestamp_utc"})
_ENCRYPTED: Final = 'write it in another way, or run the job with mode="encrypted"'


class _NoRoomError(PlanError):
    """More rows than oblivious mode makes room for."""


def check_oblivious(plan: Plan, shapes: Sequence[Shape]) -> tuple[Facts, ...]:
    """The facts of each node of a plan that oblivious mode can run.

    Raises: PlanError, which names the node, what of it cannot be done, and a next step.
    """
    for source in plan.inputs:
        _check_input(source)
    _check_kinds(plan.nodes)
    facts = trace_facts(plan.inputs, plan.nodes, shapes)
    try:
        _check_nodes(plan, shapes, facts)
    except _NoRoomError:
        if not _has_room_if_grouped(plan, facts):
            raise
    return facts


def _has_room_if_grouped(plan: Plan, facts: Sequence[Facts]) -> bool:
    """Whether a plan can be run where sides of joins are grouped first: then that is done."""
    better = aggregate_early(plan)
    if better is None:
        return False
    inference = Inference(better.inputs)
    shapes = [inference.add(node.operation) for node in better.nodes]
    found = trace_facts(better.inputs, better.nodes, shapes)
    try:
        _check_nodes(better, shapes, found)
    except PlanError:
        return False
    return keeps_promises((plan, facts), (better, found))


def _check_nodes(plan: Plan, shapes: Sequence[Shape], facts: Sequence[Facts]) -> None:
    room = rooms(plan.nodes)
    for index, node in enumerate(plan.nodes):
        try:
            if is_model_node(node):
                check_learning(node, shapes)
            else:
                _check_node(node, plan.nodes, facts, room.get(index, NO_USEFUL_BOUND))
            _check_size(facts[index], node.schema)
        except PlanError as error:
            where = f"node {index} ({node.operation.OP})"
            raise type(error)(f"{where}: {error}", hint=error.hint) from None


def _check_input(source: PlanInput) -> None:
    if source.model is not None and source.model.mode != "oblivious":
        raise PlanError(
            f"the kept model {source.dataset} comes from a job in mode encrypted, and cannot be "
            "read without looking at it",
            hint='keep it in a job in mode="oblivious", or run this one with mode="encrypted"',
        )
    if source.model is None and source.sizes != "padded":
        hint = f"let {source.owner} upload it with --padded, --row-bound and --width"
        raise PlanError(
            f"oblivious mode reads padded tables only, and {source.dataset} is not",
            hint=hint if source.kept is None else 'keep it in a job in mode="oblivious"',
        )


def _check_kinds(nodes: Sequence[Node]) -> None:
    for index, node in enumerate(nodes):
        operation = node.operation
        what = ""
        match operation:
            case _ if is_model_node(node):
                pass
            case _ if isinstance(operation, ModelOperation):
                what = "such models"
        if what:
            raise PlanError(
                f"node {index} ({operation.OP}): oblivious mode has no {what} in plans",
                hint='run the job with mode="encrypted"',
            )


def _check_size(facts: Facts, schema: Schema | None) -> None:
    _check_rows(facts.rows)
    paths = () if schema is None else width_paths(schema)
    if len(set(paths)) != len(paths):
        raise PlanError("two columns have names that read like a part of one", hint="rename one")
    for column in () if schema is None else schema.columns:
        check_room(
            column.type,
            sizes_of_column(facts.widths or {}, column.name),
            f"values of column {column.name!r}",
            "let the owner upload the table with a smaller --width for it",
        )


def _check_rows(rows: int) -> None:
    if rows > MOST_ROWS:
        raise _NoRoomError(
            f"it could have more than {MOST_ROWS:,} rows, and oblivious mode reserves room for all",
            hint="let owners declare keys unique (mc2 upload --unique), or bound the rows before, "
            "or right behind a join by equalities or a band: table.bound(10_000)",
        )


def _check_single(form: JoinForm) -> None:
    if form.whole is not None and not form.to_one:
        raise PlanError(
            "oblivious mode looks a value up by equalities alone, where there could be several",
            hint="aggregate in the subquery, for example max(...)",
        )


def _check_node(node: Node, nodes: Sequence[Node], facts: Sequence[Facts], room: int) -> None:
    operation = node.operation
    sources = [nodes[s].schema for s in operation.sources]
    schemas = [s for s in sources if s is not None]
    if isinstance(operation, (Join, Mark)):
        sides = facts[operation.left], facts[operation.right]
        form = join_form(operation, schemas[0], schemas[1], sides, room)
        if needs_pairs(operation, form):
            _check_rows(form.pairs)
        if isinstance(operation, Join) and operation.how == "single":
            _check_single(form)
    columns = {c.name: c for s in schemas for c in s.columns}
    widths = {n: w for s in operation.sources for n, w in (facts[s].widths or {}).items()}
    for expression in _expressions(operation):
        check_expression(expression, columns, widths)
    if isinstance(operation, Aggregate):
        for aggregate in operation.aggregates:
            _check_aggregate(aggregate)
    if isinstance(operation, Window):
        check_window(operation, columns, facts[operation.source].rows)


def _expressions(operation: Operation) -> list[Expression]:  # noqa: PLR0911 - one a case
    match operation:
        case Project(columns=columns):
            return [c.expression for c in columns]
        case Filter(predicate=predicate):
            return [predicate]
        case Explode(expression=expression) | PairBound(counts=expression):
            return [expression]
        case Join(on=on) | Mark(on=on):
            return [] if on is None else [on]
        case Sort(keys=keys):
            return [k.expression for k in keys]
        case Window():
            return window_expressions(operation)
        case Aggregate(aggregates=aggregates):
            conditions = [a.where for a in aggregates if a.where is not None]
            return [*(e for a in aggregates for e in a.arguments), *conditions]
        case _:
            return []


def _check_aggregate(column: AggregateColumn) -> None:
    if column.function not in AGGREGATES:
        raise PlanError(f"oblivious mode has no aggregate {column.function}", hint=_ENCRYPTED)
    if column.distinct and column.where is not None and column.function == "count_star":
        raise PlanError("oblivious mode counts no distinct rows with a condition", hint=_ENCRYPTED)
    if column.distinct and column.function in STATISTICS:
        raise PlanError(
            f"oblivious mode takes no {column.function} of distinct values", hint=_ENCRYPTED
        )


def check_expression(
    expression: Expression,
    columns: Mapping[str, Column],
    widths: Mapping[str, int],
    around: Around = NO_LAMBDA,
    room: int | None = None,
) -> None:
    """Check that oblivious mode can compute an expression. Raises: PlanError.

    `room`: how many elements of it are looked at, if it is a list and that is known.
    """
    if isinstance(expression, Call) and expression.function in LAMBDAS:
        check_lambdas(expression, columns, widths, around, check_expression)
    else:
        call = expression if isinstance(expression, Call) else None
        looked = None if call is None else looked_at(call.function, call.arguments)
        for place, inner in enumerate(children(expression)):
            check_expression(inner, columns, widths, around, None if place else looked)
    kind = type_of(expression, columns).type
    match expression:
        case Call(function) if function in LAMBDAS:
            pass
        case Call(function, arguments):
            _check_call(function, arguments, [type_of(a, columns).type for a in arguments])
            sizes = sizes_of_arguments(function, arguments, widths, around)
            check_lists(function, sizes, arguments, room)
            if function == "replace":
                check_replaced(size_of(sizes[0]), arguments)
            check_bytes(function, [size_of(s) for s in sizes])
        case Cast(value, target):
            _check_cast(type_of(value, columns).type, target)
        case InList() | Case():
            pass
    if kind.has_width:
        check_room(kind, sizes_of(expression, widths, around, room), "a value", _ENCRYPTED)


def _check_call(function: str, arguments: Sequence[Expression], types: Sequence[DataType]) -> None:
    if function not in FUNCTIONS:
        raise PlanError(f"oblivious mode has no function {function}", hint=_ENCRYPTED)
    check_text(function, arguments)
    if function == "format_number":
        check_grouped(types[0], arguments)
    if function in MOMENTS:
        check_moment(function, arguments)
    if function == "truncate_to" and (
        not isinstance(arguments[0], Literal) or arguments[0].text not in _TRUNCATED
    ):
        raise PlanError("oblivious mode truncates times to seconds at most", hint=_ENCRYPTED)
    if function in NUMBERS:
        check_number(function, arguments, types)
    if function in _IN_ONE_SCALE:
        _check_scales(types)


def _check_scales(types: Sequence[DataType]) -> None:
    decimals = [t for t in types if t.name == "decimal"]
    if len(decimals) == 2:
        scale = max(t.scale for t in decimals)
        if any(t.precision - t.scale + scale > 38 for t in decimals):
            raise PlanError(
                f"oblivious mode cannot bring {types[0]} and {types[1]} to one scale",
                hint="cast them to fewer digits first",
            )


def _check_cast(source: DataType, kind: DataType) -> None:
    if source == kind:
        return
    if source.element is not None and kind.element is not None:
        _check_cast(source.element, kind.element)
        return
    if source.name == kind.name == "struct":
        for (_, one), (_, other) in zip(source.fields, kind.fields, strict=True):
            _check_cast(one, other)
        return
    if not castable_obliviously(source, kind):
        raise PlanError(f"oblivious mode has no cast from {source} to {kind}", hint=_ENCRYPTED)


def castable_obliviously(source: DataType, kind: DataType) -> bool:
    """Whether oblivious mode has a cast: `mc2.operators.conversions.cast`, and `spelling`."""
    numbers = {*INTEGER_BITS, "boolean", "decimal", "double", "float"}
    if kind.name == "string" or source.name == "string":
        other = source if kind.name == "string" else kind
        return other.name == "binary" or is_spelled(other)
    if kind.name in numbers:
        return source.name in numbers
    if kind.name in _INSTANTS:
        return source.name == "date" or source.name in _INSTANTS
    return kind.name == "date" and source.name in _INSTANTS
