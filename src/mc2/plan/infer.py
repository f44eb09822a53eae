"""The shape of each operation's result, from the shapes of what it reads.

The planner uses it to write schemas into a plan, and `mc2.plan.check` to see that they are true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from mc2.errors import FormatError, PlanError
from mc2.formats.schema import Column, Schema
from mc2.plan.aggregates import aggregate
from mc2.plan.expressions import Expression, columns_of
from mc2.plan.infer_boosters import (
    infer_annotate,
    infer_cross_validate,
    infer_inspect,
    infer_slice,
)
from mc2.plan.infer_linear import infer_apply, infer_fit
from mc2.plan.infer_models import infer_history, infer_matrix, infer_predict, infer_train
from mc2.plan.linear_models import Apply, LinearOperation
from mc2.plan.models import (
    Annotate,
    CrossValidate,
    History,
    Inspect,
    Matrix,
    ModelOperation,
    Predict,
    Recall,
    Slice,
    Train,
)
from mc2.plan.plan import Operation, PlanInput
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Distinct,
    Explode,
    Filter,
    Join,
    Limit,
    Mark,
    Project,
    RowBound,
    Scan,
    Sort,
    SortKey,
    Union,
    Values,
)
from mc2.plan.shapes import (
    NO_USEFUL_BOUND,
    LinearShape,
    MatrixShape,
    ModelShape,
    Shape,
    TableShape,
    capped,
)
from mc2.plan.types import BOOLEAN, INT32
from mc2.plan.typing import type_of
from mc2.plan.windows import Window, infer_window

S = TypeVar("S", bound=Shape)
_WHAT: Final[Mapping[type, str]] = {
    TableShape: "a table",
    MatrixShape: "a matrix",
    ModelShape: "a model",
    LinearShape: "a linear model or clusters",
}


class Inference:
    """Gives each operation its shape, in the order of the plan."""

    def __init__(self, inputs: Sequence[PlanInput]) -> None:
        self._inputs = tuple(inputs)
        self._recalled: set[int] = set()
        self.shapes: list[Shape] = []

    def add(self, operation: Operation) -> Shape:
        """The shape of the next operation. Raises: PlanError, which says where and why."""
        try:
            shape = self._infer(operation)
        except (PlanError, FormatError) as error:
            where = f"node {len(self.shapes)} ({operation.OP})"
            raise PlanError(f"{where}: {error}", hint=error.hint) from None
        if isinstance(operation, Recall):
            self._recalled.add(len(self.shapes))
        self.shapes.append(shape)
        return shape

    def _infer(self, operation: Operation) -> Shape:
        if isinstance(operation, Scan):
            return self._scan(operation)
        if isinstance(operation, ModelOperation):
            return self._infer_model(operation)
        if isinstance(operation, LinearOperation):
            return self._infer_linear(operation)
        return infer_relation(operation, [self.table(s) for s in operation.sources])

    def _infer_model(self, operation: ModelOperation) -> Shape:  # noqa: PLR0911 - one a case
        match operation:
            case Matrix():
                return infer_matrix(operation, [self.table(s) for s in operation.sources])
            case Recall():
                return self._recall(operation)
            case Train(start=start):
                return infer_train(
                    operation,
                    self._at(operation.matrix, MatrixShape),
                    [self._at(e.matrix, MatrixShape) for e in operation.evaluations],
                    None if start is None else self._own_model(start),
                )
            case CrossValidate():
                return infer_cross_validate(operation, self._at(operation.matrix, MatrixShape))
            case Slice():
                return infer_slice(operation, self._own_model(operation.model))
            case Annotate():
                return infer_annotate(operation, self._own_model(operation.model))
            case Inspect():
                return infer_inspect(operation, self._own_model(operation.model))
            case Predict():
                return infer_predict(
                    operation,
                    self._at(operation.model, ModelShape),
                    self._at(operation.matrix, MatrixShape),
                )
            case History():
                return infer_history(self._own_model(operation.model))

    def _infer_linear(self, operation: LinearOperation) -> Shape:
        matrix = self._at(operation.matrix, MatrixShape)
        if isinstance(operation, Apply):
            return infer_apply(operation, self._at(operation.model, LinearShape), matrix)
        return infer_fit(operation, matrix)

    def table(self, index: int) -> TableShape:
        """The shape of an earlier relation. Raises: PlanError."""
        return self._at(index, TableShape)

    def _at(self, index: int, kind: type[S]) -> S:
        if not 0 <= index < len(self.shapes):
            raise PlanError(f"it reads node {index}, which does not come before it")
        found = self.shapes[index]
        if not isinstance(found, kind):
            raise PlanError(f"it reads node {index} as {_WHAT[kind]}: it is {_WHAT[type(found)]}")
        return found

    def _own_model(self, index: int) -> ModelShape:
        """A model that this plan trains: what is kept of earlier ones only predicts."""
        if index in self._recalled:
            raise PlanError(
                "a kept model predicts, and nothing else is done with it",
                hint="train one in this job, or release the model where it is trained",
            )
        return self._at(index, ModelShape)

    def _scan(self, operation: Scan) -> TableShape:
        source = self._input(operation.input)
        if source.model is not None:
            raise PlanError(f"{source.dataset} is a model, and no table")
        return TableShape(_pick(source.schema, operation.columns), source.row_bound)

    def _recall(self, operation: Recall) -> Shape:
        source = self._input(operation.input)
        if source.model is None:
            raise PlanError(f"{source.dataset} is a table, and no model")
        return source.model.shape

    def _input(self, place: int) -> PlanInput:
        if not 0 <= place < len(self._inputs):
            raise PlanError(f"there is no input {place}")
        return self._inputs[place]


_Relational = (
    Project
    | Filter
    | Join
    | Mark
    | Aggregate
    | Window
    | Sort
    | Limit
    | RowBound
    | Union
    | Distinct
    | Explode
    | Values
)


def infer_relation(operation: _Relational, sources: Sequence[TableShape]) -> TableShape:
    """The shape of a relational operation over its sources. Raises: PlanError, FormatError."""
    match operation:
        case Values():
            return _values(operation)
        case Union():
            return _union(sources)
        case Join():
            return _join(operation, sources[0], sources[1])
        case Mark():
            return _mark(operation, sources[0], sources[1])
        case Project() | Aggregate() | Window() | Explode():
            return _other_columns(operation, sources[0])
        case _:
            return _same_columns(operation, sources[0])


def _other_columns(
    operation: Project | Aggregate | Window | Explode, source: TableShape
) -> TableShape:
    match operation:
        case Project():
            return TableShape(_project(operation, source.schema), source.row_bound)
        case Aggregate():
            return _aggregate(operation, source)
        case Window():
            return _window(operation, source)
        case Explode():
            return _explode(operation, source)


def _same_columns(
    operation: Filter | Sort | Limit | RowBound | Distinct, source: TableShape
) -> TableShape:
    match operation:
        case RowBound():
            return TableShape(source.schema, min(source.row_bound, operation.rows))
        case Limit():
            return TableShape(source.schema, _limit(operation, source.row_bound))
        case Filter():
            _check_predicate(operation.predicate, source.schema)
        case Sort():
            _check_keys(operation.keys, source.schema)
    return source


def _pick(schema: Schema, names: tuple[str, ...]) -> Schema:
    columns = schema.by_name()
    for name in names:
        if name not in columns:
            raise PlanError(f"there is no column {name[:60]!r} here")
    return Schema(tuple(columns[name] for name in names))


def _project(operation: Project, schema: Schema) -> Schema:
    columns = schema.by_name()
    found = []
    for column in operation.columns:
        typed = type_of(column.expression, columns)
        found.append(Column(column.name, typed.type, typed.nullable))
    return _checked(tuple(found))


def _checked(columns: tuple[Column, ...]) -> Schema:
    for column in columns:
        Column.read(column.json())  # the rules for names are those of every schema
    return Schema(columns)


def _check_predicate(predicate: Expression, schema: Schema) -> None:
    if type_of(predicate, schema.by_name()).type != BOOLEAN:
        raise PlanError("a predicate is not boolean")


def _join(operation: Join, left: TableShape, right: TableShape) -> TableShape:
    both = Schema(left.schema.columns + right.schema.columns)  # refuses a name in both
    if operation.how != "single" and (operation.on is None) != (operation.how == "cross"):
        raise PlanError("a cross join has no condition, and every other join has one")
    if operation.on is not None:
        _check_predicate(operation.on, both)
    match operation.how:
        case "semi" | "anti":
            return left
        case "single":
            bound = left.row_bound
        case "left":
            bound = left.row_bound * max(right.row_bound, 1)
        case "right":
            bound = right.row_bound * max(left.row_bound, 1)
        case "full":
            # Either some pairs match, or each side stands alone.
            bound = max(left.row_bound * right.row_bound, left.row_bound + right.row_bound)
        case _:
            bound = left.row_bound * right.row_bound
    columns = _loosened(left.schema, loose=operation.how in {"right", "full"}) + _loosened(
        right.schema, loose=operation.how in {"left", "full", "single"}
    )
    return TableShape(Schema(columns), capped(bound))


def _mark(operation: Mark, left: TableShape, right: TableShape) -> TableShape:
    both = Schema(left.schema.columns + right.schema.columns)  # refuses a name in both
    _check_predicate(operation.on, both)
    mark = Column(operation.name, BOOLEAN, type_of(operation.on, both.by_name()).nullable)
    return TableShape(_checked((*left.schema.columns, mark)), left.row_bound)


def _window(operation: Window, source: TableShape) -> TableShape:
    if operation.keys:
        _pick(source.schema, operation.keys)
    if operation.order:
        _check_keys(operation.order, source.schema)
    added = infer_window(operation, source.schema)
    return TableShape(_checked((*source.schema.columns, *added)), source.row_bound)


def _explode(operation: Explode, source: TableShape) -> TableShape:
    kind = type_of(operation.expression, source.schema.by_name()).type
    if kind.element is None:
        raise PlanError(f"a {kind} has no elements, a list has")
    added = [Column(operation.name, kind.element, nullable=True)]
    if operation.position is not None:
        added.insert(0, Column(operation.position, INT32, operation.outer))
    bound = NO_USEFUL_BOUND if source.row_bound else 0  # nobody knows how long the lists are
    return TableShape(_checked((*source.schema.columns, *added)), bound)


def _values(operation: Values) -> TableShape:
    if not operation.rows:
        raise PlanError("it has no rows")
    first = operation.rows[0]
    for row in operation.rows:
        if [item.type for item in row] != [item.type for item in first]:
            raise PlanError("its rows differ in their types")
        for item in row:
            type_of(item, {})
    if len(first) != len(operation.columns):
        raise PlanError("its rows have not one value for each column")
    places = zip(operation.columns, *operation.rows, strict=True)
    columns = (
        Column(name, items[0].type, any(i.text is None for i in items)) for name, *items in places
    )
    return TableShape(_checked(tuple(columns)), len(operation.rows))


def _loosened(schema: Schema, *, loose: bool) -> tuple[Column, ...]:
    return tuple(Column(c.name, c.type, c.nullable or loose) for c in schema.columns)


def _aggregate(operation: Aggregate, source: TableShape) -> TableShape:
    if not operation.keys and not operation.aggregates:
        raise PlanError("it has neither keys nor aggregates")
    keys: tuple[Column, ...] = ()
    if operation.keys:
        keys = _pick(source.schema, operation.keys).columns
    columns = source.schema.by_name()
    found = tuple(_aggregate_column(a, columns, grouped=bool(keys)) for a in operation.aggregates)
    return TableShape(_checked(keys + found), source.row_bound if keys else 1)


def _aggregate_column(
    column: AggregateColumn, columns: Mapping[str, Column], *, grouped: bool
) -> Column:
    function = aggregate(column.function)
    arguments = tuple(type_of(a, columns) for a in column.arguments)
    if column.distinct and not function.may_be_distinct:
        raise PlanError(f"{column.function} cannot be DISTINCT")
    if column.where is not None and type_of(column.where, columns).type != BOOLEAN:
        raise PlanError(f"the condition of {column.name} is not boolean")
    may_be_empty = not grouped or column.where is not None
    kind, nullable = function.type(arguments, may_be_empty=may_be_empty)
    return Column(column.name, kind, nullable)


def _check_keys(keys: Sequence[SortKey], schema: Schema) -> None:
    if not keys:
        raise PlanError("it has no keys")
    columns = schema.by_name()
    for key in keys:
        type_of(key.expression, columns)
        if not columns_of(key.expression):
            raise PlanError("a sort key reads no column, so it orders nothing")


def _limit(operation: Limit, bound: int) -> int:
    left = max(bound - operation.offset, 0)
    return left if operation.count is None else min(left, operation.count)


def _union(sources: Sequence[TableShape]) -> TableShape:
    if len(sources) < 2:
        raise PlanError("a union has at least two sources")
    first = sources[0].schema
    nullable = [c.nullable for c in first.columns]
    for place, other in enumerate(sources[1:], 2):
        if [c.type for c in other.schema.columns] != [c.type for c in first.columns]:
            raise PlanError(f"the columns of source {place} have not the types of the first")
        nullable = [a or c.nullable for a, c in zip(nullable, other.schema.columns, strict=True)]
    columns = (Column(c.name, c.type, n) for c, n in zip(first.columns, nullable, strict=True))
    return TableShape(Schema(tuple(columns)), capped(sum(s.row_bound for s in sources)))
