"""Which tables a query in SQL names, so that a session's views can be handed to it."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from mc2.planner.sql_text import parse_query


def table_names(text: str, views: Iterable[str]) -> list[str]:
    """The names without a dot that stand in FROM, once each; `{view}` is one. Raises: PlanError.

    A name that WITH defines may be among them: a view of that name would be refused, loudly.
    """
    tree, _ = parse_query(text, views, "spark")
    defined = {cte.alias.casefold() for cte in tree.find_all(exp.CTE)}
    found: dict[str, str] = {}
    for table in tree.find_all(exp.Table):
        if len(table.parts) == 1 and table.name.casefold() not in defined:
            found.setdefault(table.name.casefold(), table.name)
    return list(found.values())
