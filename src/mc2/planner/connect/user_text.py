"""SQL expressions that stand as text in DataFrame code: `expr("a + 1")`, `filter("age > 3")`.

The text stays as its author wrote it; only the names of columns in it become those of the step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from sqlglot import exp

from mc2.errors import PlanError
from mc2.planner.connect.frame import split_name
from mc2.planner.connect.scope import Found
from mc2.planner.sql_text import parse_query

_START: Final = "SELECT "
UNFINISHED: Final = {("aggregate", 3), ("reduce", 3)}
"""Functions and numbers of arguments to which Spark puts a last step that changes nothing."""
UNCHANGED: Final = ", lambdafunction(namedlambdavariable(), namedlambdavariable())"
"""How Spark shows that step."""
_AS: Final = re.compile(r"(?i)(?<![A-Za-z0-9_])AS$")
_SYMBOLS: Final = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.EQ: "=",
    exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=", exp.And: "AND", exp.Or: "OR",
    exp.NullSafeEQ: "<=>",
}  # fmt: skip


def star(text: str) -> list[str] | None:
    """The qualifier if the text is `*` or `x.*`; None if it is anything else."""
    plain = text.strip()
    if plain == "*":
        return []
    if plain.endswith(".*") and plain[:-2].replace("_", "a").isalnum():
        return [plain[:-2]]
    return None


def bind(text: str, find: Callable[[Sequence[str]], Found]) -> tuple[str, str, bool]:
    """The text with the step's names, the name of its column, and whether its author gave that.

    Raises: PlanError.
    """
    node = _parse(text)
    named = isinstance(node, exp.Alias)
    inner = node.this if isinstance(node, exp.Alias) else node
    end = _end_of(inner, node, text)
    changes = []
    for column in inner.find_all(exp.Column):
        parts = column.parts
        if any("start" not in p.meta for p in parts):
            raise PlanError(f"the name {column.sql()!r} in {text!r} cannot be read here")
        found = find([p.name for p in parts])
        _check_hidden(column, split_name(found.sql)[0], text)
        changes.append((parts[0].meta["start"], parts[-1].meta["end"] + 1, found.sql))
    whole = _START + text
    for start, stop, sql in sorted(changes, reverse=True):
        whole = whole[:start] + sql + whole[stop:]
        end += len(sql) - (stop - start)
    sql = whole[len(_START) : end].strip()
    return sql, (node.alias if named else shown(inner, text)), named


def _check_hidden(column: exp.Expr, word: str, text: str) -> None:
    """Refuse a lambda with a parameter that the step calls the column."""
    around = column.find_ancestor(exp.Lambda)
    while around is not None:
        if any(p.name.casefold() == word.casefold() for p in around.expressions):
            raise PlanError(
                f"a parameter in {text!r} has the name of a column that is meant",
                hint="call the parameter otherwise",
            )
        around = around.find_ancestor(exp.Lambda)


def _parse(text: str) -> exp.Expr:
    if "--" in text or "/*" in text:
        raise PlanError(f"{text!r} holds a comment", hint="leave it out")
    try:
        tree, _ = parse_query(_START + text, (), "spark")
    except PlanError as error:
        words = str(error).removeprefix(f"line {error.line}, column {error.column}: ")
        raise PlanError(f"{text!r}: {words}", hint=error.hint) from None
    others = [name for name, value in tree.args.items() if value and name != "expressions"]
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or others:
        raise PlanError(f"{text!r} is not one expression")
    if tree.find(exp.Query, bfs=False) is not tree or len(list(tree.find_all(exp.Query))) > 1:
        raise PlanError(f"{text!r} holds a query", hint="use spark.sql for it")
    found: exp.Expr = tree.expressions[0]
    return found


def _end_of(inner: exp.Expr, node: exp.Expr, text: str) -> int:
    """Where the expression ends in the text that was parsed: before `AS name`, if that is there."""
    if inner is node:
        return len(_START + text)
    alias = node.args["alias"]
    if "start" not in alias.meta:
        raise PlanError(f"the name in {text!r} cannot be read here", hint="use .alias(...)")
    before = (_START + text)[: alias.meta["start"]].rstrip().rstrip("`").rstrip()
    before = _AS.sub("", before)
    return len(before)


def shown(node: exp.Expr, text: str) -> str:
    """The name that Spark gives a value without one; the text itself where that is not simple."""
    found = _shown(node)
    return " ".join(text.split()) if found is None else found


def _shown(node: exp.Expr) -> str | None:  # noqa: PLR0911, PLR0912, C901 - one answer for each kind
    match node:
        case exp.Column():
            return node.name
        case exp.Literal() | exp.Boolean() | exp.Null():
            return node.name if isinstance(node, exp.Literal) else node.sql(dialect="spark").lower()
        case exp.Paren():
            return _shown(node.this)
        case exp.Anonymous() if isinstance(node.this, str):
            return _shown_call(node.this.lower(), node.expressions)
        case exp.Star():
            return "1"
        case exp.Identifier():
            return "namedlambdavariable()"
        case exp.Lambda():
            return _shown_call("lambdafunction", [node.this, *node.expressions])
        case exp.Transform():
            return _shown_call("transform", [node.this, node.expression])
        case exp.Neg():
            inner = _shown(node.this)
            return None if inner is None else f"(- {inner})"
        case exp.Cast() if isinstance(node.this, exp.Column):
            return node.this.name
        case exp.Is() if isinstance(node.expression, exp.Null):
            inner = _shown(node.this)
            return None if inner is None else f"({inner} IS NULL)"
        case exp.Between():
            parts = [_shown(p) for p in (node.this, node.args["low"], node.args["high"])]
            return None if None in parts else f"between({', '.join(p or '' for p in parts)})"
        case exp.Case() if node.this is None:
            return _shown_case(node)
        case exp.Binary() if type(node) in _SYMBOLS:
            left, right = _shown(node.left), _shown(node.right)
            return (
                None
                if left is None or right is None
                else f"({left} {_SYMBOLS[type(node)]} {right})"
            )
        case _:
            return None


def _shown_call(name: str, arguments: Sequence[exp.Expr]) -> str | None:
    parts = [_shown(a) for a in arguments]
    known = [p for p in parts if p is not None]
    more = UNCHANGED if (name, len(parts)) in UNFINISHED else ""
    return f"{name}({', '.join(known)}{more})" if len(known) == len(parts) else None


def _shown_case(node: exp.Case) -> str | None:
    parts: list[str | None] = ["CASE"]
    for branch in node.args["ifs"]:
        parts += ["WHEN", _shown(branch.this), "THEN", _shown(branch.args["true"])]
    if node.args.get("default") is not None:
        parts += ["ELSE", _shown(node.args["default"])]
    known = [p for p in parts if p is not None]
    return f"{' '.join(known)} END" if len(known) == len(parts) else None
