"""GROUPING SETS, CUBE and ROLLUP: which sets of keys a GROUP BY names."""

from __future__ import annotations

from itertools import combinations, product
from typing import Final

from sqlglot import exp

from mc2.planner.sql_text import QueryText, refuse_others

_MOST_SETS: Final = 256
_MOST_KEYS: Final = 10  # of one CUBE: 1,024 sets

Keys = tuple[exp.Expr, ...]


def key_sets(where: QueryText, group: exp.Group) -> tuple[list[exp.Expr], list[Keys]]:
    """All keys in order, and the sets to group by; one set if there are no grouping sets.

    Raises: PlanError.
    """
    refuse_others(where, group, ("expressions", "rollup", "cube"), "GROUP BY")
    parts = [_sets(where, part) for part in group.expressions]
    for name, kind in (("rollup", exp.Rollup), ("cube", exp.Cube)):
        if group.args.get(name):  # GROUP BY a, b WITH ROLLUP
            parts = [_sets(where, kind(expressions=list(group.expressions)))]
    total = 1
    for part in parts:
        total *= len(part)
    if total > _MOST_SETS:
        raise where.error(group, f"{total} grouping sets are more than {_MOST_SETS}")
    sets = [tuple(k for keys in chosen for k in keys) for chosen in product(*parts)]
    keys = [k for part in parts for chosen in part for k in chosen]
    if all(len(part) == 1 for part in parts) and not any(map(_is_sets, group.expressions)):
        return keys, []
    return keys, sets


def _is_sets(node: exp.Expr) -> bool:
    return isinstance(node, (exp.GroupingSets, exp.Cube, exp.Rollup))


def _sets(where: QueryText, node: exp.Expr) -> list[Keys]:
    """The sets of one part of GROUP BY."""
    match node:
        case exp.GroupingSets():
            return [keys for part in node.expressions for keys in _sets(where, part)]
        case exp.Rollup():
            parts = [_keys(p) for p in node.expressions]
            return [_flat(parts[:n]) for n in range(len(parts), -1, -1)]
        case exp.Cube():
            parts = [_keys(p) for p in node.expressions]
            if len(parts) > _MOST_KEYS:
                raise where.error(node, f"CUBE takes at most {_MOST_KEYS} keys")
            sizes = range(len(parts), -1, -1)
            return [_flat(list(c)) for n in sizes for c in combinations(parts, n)]
        case _:
            return [_keys(node)]


def _keys(node: exp.Expr) -> Keys:
    """The keys in brackets, or the one key."""
    if isinstance(node, exp.Tuple):
        return tuple(node.expressions)
    while isinstance(node, exp.Paren):
        node = node.this
    return (node,)


def _flat(parts: list[Keys]) -> Keys:
    return tuple(k for keys in parts for k in keys)
