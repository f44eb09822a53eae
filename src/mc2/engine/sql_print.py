"""Printers: how a call of a function of a plan becomes SQL, and the simple ways to make one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from mc2.engine.routines import Routine
from mc2.engine.sql_terms import Scribe, Term
from mc2.engine.sql_types import sql_type
from mc2.formats.schema import DataType

Print: TypeAlias = Callable[[Scribe, Sequence[Term], DataType], str]
"""Writes a call of one function on terms, for a result of a type."""


def template(text: str) -> Print:
    """A printer from a template in which `{0}`, `{1}` stand for arguments, each at most once."""

    def write(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
        return text.format(*(a.sql for a in arguments), type=sql_type(result))

    return write


def infix(operator: str) -> Print:
    """The arguments with an operator between them."""

    def write(_scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
        return "(" + f" {operator} ".join(a.sql for a in arguments) + ")"

    return write


def listed(name: str) -> Print:
    """A function of DuckDB with the same arguments."""

    def write(_scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
        return f"{name}({', '.join(a.sql for a in arguments)})"

    return write


def called(routine: Routine) -> Print:
    """A routine with the same arguments."""

    def write(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
        return scribe.call(routine, *(a.sql for a in arguments))

    return write


def named(body: Callable[..., str]) -> Print:
    """`body` over the arguments' SQL, each of which may stand there more than once."""

    def write(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
        return let_all(scribe, arguments, body)

    return write


def let_all(scribe: Scribe, arguments: Sequence[Term], body: Callable[..., str]) -> str:
    """`body` over all arguments by name."""

    def bind(rest: Sequence[Term], known: tuple[str, ...]) -> str:
        if not rest:
            return f"({body(*known)})"
        return scribe.let(rest[0], lambda v: bind(rest[1:], (*known, v)))

    return bind(arguments, ())
