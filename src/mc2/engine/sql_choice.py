"""Comparison, truth and choice in DuckDB's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mc2.engine.sql_nested import chosen, order_key, positive_zero
from mc2.engine.sql_print import Print, listed, template
from mc2.engine.sql_terms import Scribe, Term
from mc2.formats.schema import DataType
from mc2.plan.types import has_parts


def _extreme(name: str) -> Print:
    def write(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
        if has_parts(result):
            return chosen(name, [a.sql for a in arguments], result)
        return positive_zero(listed(name)(scribe, arguments, result), result)

    return write


def _equality(operator: str) -> Print:
    """An equation. A join may show the other side's equal value, so -0.0 inside is 0.0 in it."""

    def write(_scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
        a, b = (positive_zero(t.sql, t.type) if has_parts(t.type) else t.sql for t in arguments)
        return f"({a} {operator} {b})"

    return write


def _before(operator: str) -> Print:
    def write(_scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
        a, b = (order_key(t.sql, t.type) for t in arguments)
        return f"({a} {operator} {b})"

    return write


def _lazy(word: str) -> Print:
    """AND and OR: an argument that may fail is evaluated only if the earlier ones leave it open."""
    decided = {"AND": "FALSE", "OR": "TRUE"}[word]

    def pair(scribe: Scribe, first: Term, rest: str) -> str:
        def body(v: str) -> str:
            open_ = v if word == "AND" else f"NOT {v}"
            both = f"({rest} {word} {v})"
            return f"CASE WHEN coalesce({open_}, TRUE) THEN {both} ELSE {decided} END"

        if not first.nullable:
            then = (rest, decided) if word == "AND" else (decided, rest)
            return f"CASE WHEN {first.sql} THEN {then[0]} ELSE {then[1]} END"
        return scribe.let(first, body)

    def write(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
        last = max((i for i, a in enumerate(arguments) if a.fails), default=0)
        if last == 0:
            return "(" + f" {word} ".join(a.sql for a in arguments) + ")"
        rest = f" {word} ".join(a.sql for a in arguments[last:])
        rest = f"({rest})"
        for term in reversed(arguments[:last]):
            rest = f"({pair(scribe, term, rest)})"
        return rest

    return write


def _coalesce(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    """As CASE where a later argument may fail: DuckDB computes parts of COALESCE ahead of it."""
    if not any(a.fails for a in arguments[1:]):
        return listed("coalesce")(scribe, arguments, result)
    rest = arguments[-1].sql
    for term in reversed(arguments[:-1]):
        rest = _first_of(scribe, term, rest)
    return rest


def _first_of(scribe: Scribe, term: Term, rest: str) -> str:
    return scribe.let(term, lambda v: f"(CASE WHEN {v} IS NOT NULL THEN {v} ELSE {rest} END)")


def _nullif(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    a, b = arguments
    return scribe.let(a, lambda x: f"CASE WHEN {x} = {b.sql} THEN NULL ELSE {x} END")


CHOICE: Final[Mapping[str, Print]] = {
    "eq": _equality("="),
    "ne": _equality("<>"),
    "lt": _before("<"),
    "le": _before("<="),
    "gt": _before(">"),
    "ge": _before(">="),
    "same": _equality("IS NOT DISTINCT FROM"),
    "is_null": template("({0} IS NULL)"),
    "is_not_null": template("({0} IS NOT NULL)"),
    "is_nan": template("coalesce(isnan({0}), FALSE)"),
    "and": _lazy("AND"),
    "or": _lazy("OR"),
    "not": template("(NOT {0})"),
    "coalesce": _coalesce,
    "nullif": _nullif,
    "greatest": _extreme("greatest"),
    "least": _extreme("least"),
}
"""Printers by function."""
