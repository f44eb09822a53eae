"""The columns that a SELECT names: their values and what they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from mc2.planner.names import Scope, same
from mc2.planner.results import Item
from mc2.planner.scalar import Scalars
from mc2.planner.sql_text import QueryText, refuse_others
from mc2.planner.typed import typed

_LONGEST_NAME: Final = 255
UNTYPED: Final = "mc2_untyped"
"""Marks a NULL in SELECT that another query of a set operation gives a type."""


@dataclass(frozen=True, slots=True)
class SelectList:
    """Binds what stands between SELECT and FROM, over the names of a FROM clause."""

    where: QueryText
    scope: Scope

    def bind(self, select: exp.Select, values: Scalars) -> list[Item]:
        """Its columns, over what `values` binds. Raises: PlanError."""
        items: list[Item] = []
        for node in select.expressions:
            star = node.this if isinstance(node, exp.Column) else node
            if isinstance(star, exp.Star):
                items += self._starred(node, star)
                continue
            inner = node.this if isinstance(node, exp.Alias) else node
            value = values.bind(inner)
            if value.untyped and not inner.meta.get(UNTYPED):
                raise self.where.error(node, "NULL has no type here", "write CAST(NULL AS STRING)")
            items.append(Item(self._item_name(node, inner), value, node))
        if not items:
            raise self.where.error(select, "SELECT has no columns", "name a column")
        return items

    def _starred(self, node: exp.Expr, star: exp.Star) -> list[Item]:
        """The columns that `*` or `a.*` stands for, without those after EXCEPT."""
        refuse_others(self.where, star, ("except_",), "SELECT *")
        qualifier = [p.name for p in node.parts[:-1]] if isinstance(node, exp.Column) else []
        columns = self.scope.star(node, qualifier)
        for left_out in star.args.get("except_") or []:
            kept = [c for c in columns if not same(c.name, left_out.name)]
            if len(kept) == len(columns) or (
                isinstance(left_out, exp.Column) and len(left_out.parts) > 1
            ):
                hint = f"there are: {', '.join(c.name for c in columns)}"
                text = left_out.sql(dialect="spark")
                raise self.where.error(left_out, f"EXCEPT finds no column {text!r}", hint)
            columns = kept
        return [Item(c.name, typed(c.expression, self.scope.columns), node) for c in columns]

    def _item_name(self, node: exp.Expr, inner: exp.Expr) -> str:
        if isinstance(node, exp.Alias):
            return str(node.alias)
        if isinstance(inner, exp.Column):
            found = self.scope.find(inner)
            return found[0][1].name if found else inner.name
        # As Spark does, the text itself names the column.
        text = inner.sql(dialect="spark", normalize_functions=False)
        return " ".join(text.split())[:_LONGEST_NAME]


def is_star(node: exp.Expr) -> bool:
    """Whether a column of SELECT is `*` or `a.*`."""
    return isinstance(node.this if isinstance(node, exp.Column) else node, exp.Star)
