"""Comparisons of two values in their common type; structs written out are taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mc2.plan.expressions import Call, Expression
from mc2.planner.call_rules import Columns, apply
from mc2.planner.typed import Typed, all_true, typed, unify

_EQUATIONS: Final = frozenset({"eq", "ne", "same"})


def compare(function: str, values: Sequence[Typed], columns: Columns) -> Typed:
    """A comparison of two values. Raises: PlanError if they have no common type.

    `(a, b) = (c, d)` is `a <=> c AND b <=> d`, for NULL equals NULL inside of structs: so a join
    finds its keys, and an engine without structs computes it, too.
    """
    parts = _parts(values) if function in _EQUATIONS else None
    if parts is None:
        return apply(function, unify(values, columns), columns)
    same = [compare("same", [typed(p, columns) for p in pair], columns) for pair in parts]
    whole = typed(all_true([s.expression for s in same]), columns)
    return apply("not", [whole], columns) if function == "ne" else whole


def _parts(values: Sequence[Typed]) -> list[tuple[Expression, ...]] | None:
    """The fields of both in pairs; None unless both are structs written out, of as many fields."""
    fields = []
    for value in values:
        inner = value.expression
        if not isinstance(inner, Call) or inner.function != "struct":
            return None
        fields.append(inner.arguments[1::2])
    return list(zip(*fields, strict=True)) if len(set(map(len, fields))) == 1 else None
