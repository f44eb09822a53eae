"""Queries in SQL that a session names tables and values in: which views, and where values stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from sqlglot import Token, TokenType, exp
from sqlglot.dialects.spark import Spark
from sqlglot.errors import SqlglotError

from mc2.errors import PlanError
from mc2.planner.connect.literals import literal
from mc2.planner.connect.message import Message, unsupported
from mc2.planner.sql_text import parse_query

_NAMES: Final = (TokenType.VAR, TokenType.IDENTIFIER)
"""Before a colon they make it a part of a type: `struct<a:x>`."""
_CONSTANTS: Final = "write constants: numbers, texts, dates, times, NULL"


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


def with_arguments(text: str, named: Mapping[str, Any], placed: Sequence[Any]) -> str:
    """A query in which constants stand for `:name` or `?`, the rest as its author wrote it.

    Raises: PlanError for values that are no constants, and for too few or too many of them.
    """
    if not named and not placed:
        return text
    try:
        tokens = Spark.Tokenizer().tokenize(text)
    except SqlglotError:
        raise PlanError("the query is not SQL") from None
    if named and placed:
        raise PlanError("a query takes arguments by name or by place, not both")
    places = _named(tokens, named) if named else _placed(tokens, placed)
    for start, stop, sql in sorted(places, reverse=True):
        text = text[:start] + sql + text[stop:]
    return text


def _named(tokens: Sequence[Token], values: Mapping[str, Any]) -> list[tuple[int, int, str]]:
    """Where `:name` stands: a colon with nothing but a name right behind it, and no name before."""
    known = {name: _constant(value) for name, value in values.items()}
    found = []
    for number, (colon, name) in enumerate(pairwise(tokens)):
        before = tokens[number - 1].end + 1 if number else -1
        alone = colon.start != before or tokens[number - 1].token_type not in _NAMES
        whole = colon.token_type is TokenType.COLON and name.start == colon.end + 1
        if whole and alone and name.text in known:
            found.append((colon.start, name.end + 1, known[name.text]))
    return found


def _placed(tokens: Sequence[Token], values: Sequence[Any]) -> list[tuple[int, int, str]]:
    marks = [t for t in tokens if t.token_type is TokenType.PLACEHOLDER]
    if len(marks) != len(values):
        raise PlanError(f"the query has {len(marks)} marks ? for {len(values)} arguments")
    return [(t.start, t.end + 1, _constant(v)) for t, v in zip(marks, values, strict=True)]


def _constant(value: Any) -> str:
    message = Message(value, "an argument of spark.sql")
    message.take("common")
    kind, inner = message.one()
    # Arguments of older clients are literals as they stand; newer ones send expressions.
    if kind == "literal":
        sql = literal(inner)[0]
    elif kind.startswith("unresolved_") or kind in {"expression_string", "alias", "cast"}:
        raise unsupported("an argument of spark.sql that is computed", _CONSTANTS)
    else:
        sql = literal(value)[0]
    return f"({sql})" if sql.startswith("-") else sql
