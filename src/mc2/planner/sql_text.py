"""SQL text to a syntax tree in which every name and call is still as its author wrote it.

The parsers are sqlglot's, with two changes. They know no function by name: sqlglot rewrites many
calls while it parses (some lose arguments on the way), and what a call means is for
`mc2.planner.calls` and `mc2.planner.dialects` alone. And CAST is strict, as in Spark's ANSI mode.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.dialects.postgres import Postgres
from sqlglot.dialects.spark import Spark
from sqlglot.errors import ParseError, SqlglotError, TokenError
from sqlglot.parsers.duckdb import DuckDBParser
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.parsers.spark import SparkParser
from sqlglot.tokenizer_core import Token, TokenType

from mc2.errors import PlanError

if TYPE_CHECKING:  # which needs the types of values, and those this
    from mc2.planner.python_functions import PythonFunction
    from mc2.planner.typed import Typed

_QUERY_BYTES: Final = 64 * 1024
_PYTHON: Final = re.compile(r"(?: but got)? <(?:Token|class).*>|(?: missing)? for <class.*>")
"""What sqlglot's messages say about its own classes."""
_LEAVES: Final = (exp.Literal, exp.Null, exp.Boolean, exp.Star)
COMMA: Final = "mc2_comma"
"""Marks a join that was written as a comma."""
_PARTS: Final = {
    "method": "NATURAL",
    "laterals": "LATERAL VIEW",
    "sample": "TABLESAMPLE",
    "sort": "SORT BY",
    "cluster": "CLUSTER BY",
    "distribute": "DISTRIBUTE BY",
    "windows": "WINDOW",
    "pivots": "PIVOT",
    "hint": "a hint",
    "by_name": "BY NAME",
    "grouping_sets": "GROUPING SETS",
    "except_": "EXCEPT",
}
_SYNTAX_FUNCTIONS: Final = ("CAST", "EXTRACT", "TRIM", "TRY_CAST")
"""Calls with a syntax of their own inside the brackets."""


class _Plain:
    """What is changed in each parser. sqlglot's own classes override these variables likewise."""

    FUNCTIONS: Final[Mapping[str, Any]] = {}
    STRICT_CAST: Final = True
    ADD_JOIN_ON_TRUE: Final = False  # a forgotten ON is an error

    def _parse_join(self, *args: Any, **kwargs: Any) -> Any:
        """Mark a comma, which is a CROSS JOIN otherwise."""
        parser: Any = super()
        comma = self._curr.token_type == TokenType.COMMA  # type: ignore[attr-defined]  # sqlglot's
        join = parser._parse_join(*args, **kwargs)  # noqa: SLF001 - a hook of sqlglot's parsers
        if join is not None and comma:
            join.meta[COMMA] = True
            join.set("kind", "CROSS")  # which sqlglot leaves out in some dialects
        return join

    def expression(self, instance: Any, token: Any = None, comments: Any = None) -> Any:
        """Give literals the place of their token, which sqlglot leaves out."""
        parser: Any = super()
        made = parser.expression(instance, token, comments)
        before = self._prev  # type: ignore[attr-defined]  # sqlglot's
        if isinstance(made, _LEAVES) and "start" not in made.meta and before:
            made.update_positions(before)
        return made


def _with_syntax(parser: Any) -> dict[str, Any]:
    known = parser.FUNCTION_PARSERS
    return {name: known[name] for name in _SYNTAX_FUNCTIONS if name in known}


class _SparkParser(_Plain, SparkParser):  # type: ignore[misc]  # two bases define class variables
    FUNCTION_PARSERS = _with_syntax(SparkParser)


class _DuckDBParser(_Plain, DuckDBParser):  # type: ignore[misc]  # as above
    FUNCTION_PARSERS = _with_syntax(DuckDBParser)


class _PostgresParser(_Plain, PostgresParser):  # type: ignore[misc]  # as above
    FUNCTION_PARSERS = _with_syntax(PostgresParser)


class Mc2Spark(Spark):
    """Spark's SQL with the parser above. The class itself registers it with sqlglot."""

    Parser = _SparkParser


class Mc2DuckDB(DuckDB):
    """DuckDB's SQL, likewise."""

    Parser = _DuckDBParser


class Mc2Postgres(Postgres):
    """PostgreSQL's SQL, likewise."""

    Parser = _PostgresParser


DIALECTS: Final[Mapping[str, type[Dialect]]] = {
    "spark": Mc2Spark,
    "duckdb": Mc2DuckDB,
    "postgres": Mc2Postgres,
}
"""The dialects that a query may be written in."""


@dataclass(frozen=True, slots=True)
class QueryText:
    """A query's text, which turns parts of its tree into lines and columns of it.

    `functions` are the Python functions that the query may call, by name in lower case. `rules`
    bind what another dialect than Spark's means; None for Spark's.
    """

    text: str
    functions: Mapping[str, PythonFunction] = field(default_factory=dict)
    rules: Callable[..., Typed] | None = None
    dialect: str = "spark"

    def error(self, node: exp.Expr | None, message: str, hint: str = "") -> PlanError:
        """An error at a part of the query."""
        start = _start(node)
        line, column = self.place(start) if start is not None else (1, 1)
        return PlanError(message, line=line, column=column, hint=hint)

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1, of a character."""
        before = self.text[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _start(node: exp.Expr | None) -> int | None:
    """Where a part of the query starts: the leftmost place that anything inside it has."""
    if node is None:
        return None
    own = node.meta.get("start")
    if isinstance(own, int) and not isinstance(node, exp.Query):
        return own
    found = [s for n in node.walk() if isinstance(s := n.meta.get("start"), int)]
    return min(found) if found else _start(node.parent)


def parse_query(
    text: str,
    names: Iterable[str],
    dialect: str,
    functions: Mapping[str, PythonFunction] | None = None,
) -> tuple[exp.Query, QueryText]:
    """Read one query. `{name}` stands for a relation, for each of `names`.

    Raises: PlanError with line and column in the text.
    """
    if dialect not in DIALECTS:
        raise PlanError(
            f"there is no dialect {dialect!r} here", hint=f"use {' or '.join(DIALECTS)}"
        )
    if len(text.encode("utf-8", "surrogatepass")) > _QUERY_BYTES:
        raise PlanError(f"the query is larger than {_QUERY_BYTES} bytes")
    where = QueryText(text, functions or {}, dialect=dialect)
    engine = DIALECTS[dialect]()
    quote = "`" if dialect == "spark" else '"'
    try:
        tokens = engine.tokenize(_fill(where, engine.tokenize(text), set(names), quote))
        trees = engine.parser().parse(tokens, text)
    except RecursionError:
        raise PlanError("the query nests too deeply", hint="name inner parts with WITH") from None
    except (ParseError, TokenError) as error:
        raise _not_sql(error) from None
    except SqlglotError as error:
        raise PlanError(f"this is not SQL: {error}") from None
    queries = [tree for tree in trees if tree is not None]
    if len(queries) != 1:
        raise where.error(queries[1] if len(queries) > 1 else None, "there must be one query here")
    if isinstance(queries[0], exp.Values):  # rows alone are a query, too
        queries[0] = exp.Select(expressions=[exp.Star()], from_=exp.From(this=queries[0]))
    if not isinstance(queries[0], exp.Query):
        raise where.error(
            queries[0],
            f"{queries[0].key.upper()} is not a query",
            "a script reads tables with SELECT and releases results with job.release",
        )
    return queries[0], where


def _fill(where: QueryText, tokens: list[Token], names: set[str], quote: str) -> str:
    """Put a quoted name of the same length in the place of each `{name}`: places stay true.

    Found among tokens, so that a text literal such as '{x}' is never touched.
    """
    text = where.text
    for before, name, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if before.token_type != TokenType.L_BRACE or after.token_type != TokenType.R_BRACE:
            continue
        whole = text[before.start : after.end + 1]
        inner = whole[1:-1]
        if inner not in names or quote in inner:
            known = ", ".join(sorted(names)) or "none"
            line, column = where.place(before.start)
            raise PlanError(
                f"{whole} names nothing that was given to this query (given: {known})",
                line=line,
                column=column,
                hint=f"write job.sql(..., {name.text}=table)",
            )
        text = f"{text[: before.start]}{quote}{inner}{quote}{text[after.end + 1 :]}"
    return text


def _not_sql(error: SqlglotError) -> PlanError:
    found: Mapping[str, Any] = next(iter(getattr(error, "errors", [])), {})
    line, column = found.get("line"), found.get("col")
    description = _PYTHON.sub("", str(found.get("description") or "it cannot be read")).rstrip(".")
    if not isinstance(line, int) or not isinstance(column, int):
        return PlanError(f"this is not SQL: {str(error).splitlines()[0]}", line=1, column=1)
    # sqlglot's column is that of the token's last character.
    width = len(str(found.get("highlight") or " "))
    return PlanError(
        f"this is not SQL: {description}", line=line, column=max(1, column - width + 1)
    )


def refuse_others(where: QueryText, node: exp.Expr, known: Iterable[str], what: str) -> None:
    """Refuse any part of a node that is not known here: what is not read must not be ignored.

    Raises: PlanError.
    """
    for name, value in node.args.items():
        if value is not None and value is not False and value != [] and name not in known:
            part = value[0] if isinstance(value, list) else value
            raise where.error(
                part if isinstance(part, exp.Expr) else node,
                f"{_PARTS.get(name, name.upper())} may not stand in {what}",
                "docs/howto/write-a-script.md lists what may",
            )


def refuse(where: QueryText, node: exp.Expr, message: str, hint: str = "") -> NoReturn:
    """Raise an error at a part of the query. Raises: PlanError."""
    raise where.error(node, message, hint)
