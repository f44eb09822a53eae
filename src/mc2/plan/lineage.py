"""Where each result comes from: which columns of which datasets.

Two kinds are told apart. The *values* of a column are what it is computed from. The *influences*
are all that could change it: its values, and whatever decides which rows there are and how they
group or sort (predicates, join conditions, keys). A model is influenced by every feature, label
and weight it was trained on. `datasets` names every dataset of which even one row more or less
could change the result, so a bare count of rows has lineage too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from mc2.plan.expressions import Expression, columns_of
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
from mc2.plan.plan import Node, PlanInput
from mc2.plan.relations import (
    Aggregate,
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
    Union,
    Values,
)
from mc2.plan.windows import Window

Origin: TypeAlias = tuple[str, str]
"""A dataset and one of its columns."""

Origins: TypeAlias = frozenset[Origin]
MODEL: Final = ""
"""The key under which the values of a model stand."""

_OfOne: TypeAlias = (
    Project | Filter | Window | Explode | Aggregate | Sort | Limit | RowBound | Distinct
)
_OverModels: TypeAlias = (
    Matrix | Train | CrossValidate | Predict | History | Slice | Annotate | Inspect
)
_Relation: TypeAlias = Values | Mark | Join | Union | _OfOne
_NONE: Final[Origins] = frozenset()
_NO_DATASETS: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Lineage:
    """Of one node: the values of each column (or of `MODEL`), and what decides on rows."""

    values: Mapping[str, Origins]
    rows: Origins
    datasets: frozenset[str]

    @property
    def influences(self) -> Origins:
        """Every column that could change any part of the result."""
        return self.rows.union(*self.values.values())

    def of(self, name: str) -> Origins:
        """Every column that could change one column of the result."""
        return self.values[name] | self.rows


def trace(inputs: Sequence[PlanInput], nodes: Sequence[Node]) -> tuple[Lineage, ...]:
    """The lineage of each node of a well-typed plan."""
    found: list[Lineage] = []
    for node in nodes:
        operation = node.operation
        if isinstance(operation, Scan):
            found.append(_scan(inputs[operation.input], operation))
        elif isinstance(operation, Recall):
            found.append(_recall(inputs[operation.input], operation))
        elif isinstance(operation, ModelOperation):
            found.append(_model(operation, node, nodes, found))
        elif isinstance(operation, LinearOperation):
            found.append(_linear(operation, node, nodes, found))
        else:
            found.append(_relation(operation, [found[s] for s in operation.sources], node))
    return tuple(found)


def _scan(source: PlanInput, operation: Scan) -> Lineage:
    values = {name: frozenset({(source.dataset, name)}) for name in operation.columns}
    return Lineage(values, _NONE, frozenset({source.dataset}))


def _recall(source: PlanInput, operation: Recall) -> Lineage:
    """A kept model derives from all of its input, which carries the rules of what made it."""
    values = frozenset((source.dataset, name) for name in operation.columns)
    return Lineage({MODEL: values}, _NONE, frozenset({source.dataset}))


def _values(source: Lineage, expressions: Iterable[Expression]) -> Origins:
    return _NONE.union(*(source.values[c] for e in expressions for c in columns_of(e)))


def _relation(operation: _Relation, sources: Sequence[Lineage], node: Node) -> Lineage:
    rows = _NONE.union(*(s.rows for s in sources))
    datasets = frozenset[str]().union(*(s.datasets for s in sources))
    match operation:
        case Values():
            return Lineage(dict.fromkeys(operation.columns, _NONE), _NONE, _NO_DATASETS)
        case Mark() | Join(how="single"):
            # Every row of the left side stays, so what matches decides on values alone.
            return _looked_up(operation, sources[0], sources[1], datasets)
        case Union():
            names = node.schema.names if node.schema is not None else ()
            columns = zip(*(s.values.values() for s in sources), strict=True)
            values = {n: _NONE.union(*c) for n, c in zip(names, columns, strict=True)}
            return Lineage(values, rows, datasets)
        case Join():
            both = {**sources[0].values, **sources[1].values}
            if operation.on is not None:
                rows |= _values(Lineage(both, rows, datasets), (operation.on,))
            half = operation.how in {"semi", "anti"}
            return Lineage(sources[0].values if half else both, rows, datasets)
        case _:
            found, deciding = _of_one(operation, sources[0])
            return Lineage(found, rows | deciding, datasets)


def _of_one(operation: _OfOne, source: Lineage) -> tuple[Mapping[str, Origins], Origins]:
    """The values of an operation over one source, and what else decides on its rows."""
    everything = _NONE.union(*source.values.values())
    match operation:
        case Project():
            return {c.name: _values(source, (c.expression,)) for c in operation.columns}, _NONE
        case Filter():
            return source.values, _values(source, (operation.predicate,))
        case Window():
            return _windowed(operation, source), _NONE
        case Explode():
            read = _values(source, (operation.expression,))
            added = filter(None, (operation.position, operation.name))
            return {**source.values, **dict.fromkeys(added, read)}, read
        case Aggregate():
            keys = _NONE.union(*(source.values[k] for k in operation.keys))
            return _aggregated(operation, source), keys
        case Sort() | Limit() | RowBound() | Distinct():
            # Which rows come first says something of the keys, and ties of all other columns;
            # rows without an order of their own are cut in order of all columns.
            return source.values, _NONE if isinstance(operation, RowBound) else everything


def _looked_up(
    operation: Join | Mark, left: Lineage, right: Lineage, datasets: frozenset[str]
) -> Lineage:
    both = Lineage({**left.values, **right.values}, _NONE, datasets)
    found = right.rows if operation.on is None else right.rows | _values(both, (operation.on,))
    if isinstance(operation, Mark):
        added = {operation.name: found}
    else:
        added = {name: origins | found for name, origins in right.values.items()}
    return Lineage({**left.values, **added}, left.rows, datasets)


def _windowed(operation: Window, source: Lineage) -> Mapping[str, Origins]:
    decide = _values(source, (k.expression for k in operation.order))
    decide = decide.union(*(source.values[k] for k in operation.keys))
    ties = _NONE.union(*source.values.values())  # rows with equal keys go by all columns
    added = {
        c.name: decide | (ties if c.by_place else _values(source, c.expressions))
        for c in operation.columns
    }
    return {**source.values, **added}


def _aggregated(operation: Aggregate, source: Lineage) -> Mapping[str, Origins]:
    values = {key: source.values[key] for key in operation.keys}
    for column in operation.aggregates:
        read = column.arguments if column.where is None else (*column.arguments, column.where)
        values[column.name] = _values(source, read)
    return values


def _model(
    operation: _OverModels, node: Node, nodes: Sequence[Node], found: Sequence[Lineage]
) -> Lineage:
    sources = [found[s] for s in operation.sources]
    rows = _NONE.union(*(s.rows for s in sources))
    datasets = frozenset[str]().union(*(s.datasets for s in sources))
    names = () if node.schema is None else node.schema.names
    values: Mapping[str, Origins]
    match operation:
        case Matrix():
            names = tuple(n for n in sources[0].values if all(n in s.values for s in sources))
            values = {n: _NONE.union(*(s.values[n] for s in sources)) for n in names}
        case Train():
            # Evaluation sets decide when to stop, so they are part of the model as well.
            read = _NONE.union(*(_read(nodes, found, s) for s in operation.matrices))
            if operation.start is not None:
                read |= found[operation.start].values[MODEL]
            values = {MODEL: read}
        case Slice() | Annotate():
            values = {MODEL: found[operation.model].values[MODEL]}
        case CrossValidate():
            read = _read(nodes, found, operation.matrix)
            if operation.folds is not None:
                read |= found[operation.matrix].values[operation.folds]
            values = dict.fromkeys(names, read)
        case Predict():
            matrix = found[operation.matrix]
            said = found[operation.model].values[MODEL] | _read(nodes, found, operation.matrix)
            values = {n: matrix.values[n] if n in operation.keep else said for n in names}
        case History() | Inspect():
            values = dict.fromkeys(names, found[operation.model].values[MODEL])
    return Lineage(values, rows, datasets)


def _linear(
    operation: LinearOperation, node: Node, nodes: Sequence[Node], found: Sequence[Lineage]
) -> Lineage:
    sources = [found[s] for s in operation.sources]
    rows = _NONE.union(*(s.rows for s in sources))
    datasets = frozenset[str]().union(*(s.datasets for s in sources))
    read = _read(nodes, found, operation.matrix)
    if not isinstance(operation, Apply):
        return Lineage({MODEL: read}, rows, datasets)
    matrix, said = sources[1], sources[0].values[MODEL] | read
    names = () if node.schema is None else node.schema.names
    values = {n: matrix.values[n] if n in operation.keep else said for n in names}
    return Lineage(values, rows, datasets)


def _read(nodes: Sequence[Node], found: Sequence[Lineage], matrix: int) -> Origins:
    """What XGBoost reads of a matrix: features, labels, weights, groups."""
    operation = nodes[matrix].operation
    if not isinstance(operation, Matrix):  # typing has made sure of it
        return _NONE
    return _NONE.union(*(found[matrix].values[n] for n in operation.columns))
