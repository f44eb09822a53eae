"""Conditions of WHERE and ON, taken apart at AND."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from mc2.plan.expressions import Call, Expression
from mc2.planner.scalar import Scalars


def conjuncts(clause: exp.Expr | None) -> list[exp.Expr]:
    """The conditions of a clause, as written; none if there is no clause."""
    if clause is None:
        return []
    return list(clause.this.flatten()) if isinstance(clause.this, exp.And) else [clause.this]


def bound_conditions(scalars: Scalars, parts: Sequence[exp.Expr]) -> list[Expression]:
    """The conditions, bound. Raises: PlanError."""
    found: list[Expression] = []
    for part in parts:
        condition = scalars.condition(part, "a condition of WHERE").expression
        if isinstance(condition, Call) and condition.function == "and":
            found.extend(condition.arguments)
        else:
            found.append(condition)
    return found
