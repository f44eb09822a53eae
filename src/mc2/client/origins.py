"""How the values of each column come about: as stored, or by which computation.

One pass over the plan, from its inputs on, whatever its shape: a plan is a stranger's, and paths
through it can be more than anybody could follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mc2.client.plan_words import aggregate_words, expanded_words, expression_words, window_words
from mc2.plan.expressions import ColumnRef, Expression, columns_of
from mc2.plan.linear_models import Apply, LinearOperation
from mc2.plan.models import Inspect, Matrix, ModelOperation, Predict
from mc2.plan.plan import Node, Plan
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Explode,
    Join,
    Mark,
    Project,
    RelationalOperation,
    Scan,
    Union,
    Values,
)
from mc2.plan.windows import Window

_MOST: Final = 8  # different computations of one column that are spelled out


@dataclass(frozen=True, slots=True)
class Origin:
    """How a column's values come about; `aggregate` if by an aggregate alone."""

    words: tuple[str, ...]
    aggregate: bool = False

    @property
    def text(self) -> str:
        """In words."""
        listed = " or ".join(self.words[:_MOST])
        return listed + (" or more" if len(self.words) > _MOST else "")


Origins = Mapping[str, Origin]
_STORED: Final = Origin(("as stored",))
_SAID: Final = Origin(("what the model says",))
_WRITTEN: Final = Origin(("as the script writes it",))
_PART: Final = Origin(("as it stands in the model",))
_METRIC: Final = Origin(("metrics of the training",))


def trace_origins(plan: Plan) -> tuple[Origins, ...]:
    """The origins of the columns of each node; none for a model."""
    found: list[Origins] = []
    for node in plan.nodes:
        operation = node.operation
        sources = [found[s] for s in operation.sources]
        if isinstance(operation, ModelOperation | LinearOperation):
            found.append(_model(operation, node, sources))
        else:
            found.append(_relation(operation, node, sources))
    return tuple(found)


def _relation(
    operation: RelationalOperation | Window, node: Node, sources: Sequence[Origins]
) -> Origins:
    names = () if node.schema is None else node.schema.names
    match operation:
        case Scan():
            return dict.fromkeys(names, _STORED)
        case Project(columns=columns):
            return {c.name: _computed(c.expression, sources[0]) for c in columns}
        case Aggregate(keys=keys, aggregates=aggregates):
            made = {a.name: Origin((_aggregated(a),), aggregate=True) for a in aggregates}
            return {**{k: sources[0][k] for k in keys}, **made}
        case Union():
            places = zip(*(s.values() for s in sources), strict=True)
            return {n: _either(p) for n, p in zip(names, places, strict=True)}
        case Join():
            both = {**sources[0], **sources[1]}
            return {n: both[n] for n in names}
        case _:
            return _added(operation, sources)


def _added(operation: RelationalOperation | Window, sources: Sequence[Origins]) -> Origins:
    """The columns of the first source, and those that an operation adds to them."""
    found = {} if isinstance(operation, Values) else dict(sources[0])
    match operation:
        case Values(columns=written):
            found |= dict.fromkeys(written, _WRITTEN)
        case Window(columns=columns):
            found |= {c.name: Origin((window_words(operation, c),)) for c in columns}
        case Mark(name=name, on=on):
            found[name] = Origin((f"whether there is a row where {expression_words(on)}",))
        case Explode(expression=expression, name=name, position=position):
            element = _computed(expression, sources[0]).text
            if position is not None:
                found[position] = Origin((f"the place of an element in {element}",))
            found[name] = Origin((f"an element of {element}",))
    return found


def _aggregated(column: AggregateColumn) -> str:
    words = aggregate_words(column)
    return f"{words}, the value of a single row" if column.function in {"max", "min"} else words


def _computed(expression: Expression, source: Origins) -> Origin:
    if isinstance(expression, ColumnRef):
        return source[expression.name]
    meanings = {n: source[n].text for n in columns_of(expression) if source[n].aggregate}
    return Origin((expanded_words(expression, meanings),))


def _either(origins: Sequence[Origin]) -> Origin:
    words = dict.fromkeys(w for o in origins for w in o.words)
    return Origin(tuple(words)[: _MOST + 1], aggregate=all(o.aggregate for o in origins))


def _model(
    operation: ModelOperation | LinearOperation, node: Node, sources: Sequence[Origins]
) -> Origins:
    names = () if node.schema is None else node.schema.names
    if isinstance(operation, Matrix):
        common = [n for n in sources[0] if all(n in s for s in sources)]
        return {n: _either([s[n] for s in sources]) for n in common}
    if isinstance(operation, Predict | Apply):
        matrix = sources[1]
        return {n: matrix[n] if n in operation.keep else _SAID for n in names}
    return dict.fromkeys(names, _PART if isinstance(operation, Inspect) else _METRIC)
