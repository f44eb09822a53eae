"""Which owner each row of a table comes from, so that predictions go to that owner alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mc2.errors import PlanError
from mc2.plan.expressions import ColumnRef
from mc2.plan.relations import Filter, NamedExpression, Project, Union
from mc2.planner.boosters import Booster
from mc2.planner.draft import Draft
from mc2.planner.estimators import XGBModel
from mc2.planner.linear import Estimator
from mc2.planner.tables import Table


def predict_by_owner(
    draft: Draft,
    model: Booster | XGBModel | Estimator,
    nodes: Sequence[int],
    options: Mapping[str, Any],
) -> dict[str, Table]:
    """The predictions for each owner's rows. Raises: PlanError if a row has several owners."""
    parts: dict[str, list[Table]] = {}
    for node in nodes:
        for owner, part in split_by_owner(draft, node):
            parts.setdefault(owner, []).append(Table(draft, part))
    found = {}
    for owner in sorted(parts):
        if isinstance(model, (Estimator, XGBModel)):
            found[owner] = model.predict(parts[owner], **options)
        elif isinstance(model, Booster):
            found[owner] = model.predict(model.rows(parts[owner]), **options)
        else:
            raise PlanError(f"a {type(model).__name__} is no model")
    return found


def split_by_owner(draft: Draft, node: int) -> list[tuple[str, int]]:
    """Parts of a table, each of one owner's rows. Raises: PlanError.

    Only what treats each row alone is taken apart: a join or a group mixes owners, and what
    comes of it belongs to nobody alone.
    """
    owners = draft.owners(node)
    if len(owners) == 1:
        return [(owners[0], node)]
    operation = draft.operation(node)
    match operation:
        case Union(sources):
            found = []
            for source in sources:
                named = _named(draft, source, draft.column_names(node))
                found += split_by_owner(draft, named)
            return found
        case Project(source) | Filter(source):
            return [
                (owner, draft.add(replace(operation, source=part)))
                for owner, part in split_by_owner(draft, source)
            ]
        case _:
            listed = ", ".join(owners) or "nobody"
            raise PlanError(
                f"a table has rows that derive from {listed} together",
                hint="give a table for each owner, or one that puts theirs below each other",
            )


def _named(draft: Draft, node: int, names: Sequence[str]) -> int:
    """The same rows under other names of columns."""
    old = draft.column_names(node)
    if tuple(old) == tuple(names):
        return node
    pairs = zip(names, old, strict=True)
    return draft.add(Project(node, tuple(NamedExpression(n, ColumnRef(o)) for n, o in pairs)))
