"""Terms of SQL that remember what they are: text, type, and what may safely be done with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

from mc2.engine.routines import Routine
from mc2.engine.sql_types import sql_type
from mc2.formats.schema import DataType


@dataclass(frozen=True, slots=True)
class Term:
    """An expression in SQL. `simple`: may stand twice. `fails`: may raise on some row.

    `literal` is the text of a literal that is not NULL; `constant`: no column stands in it.
    """

    sql: str
    type: DataType
    nullable: bool
    simple: bool = False
    fails: bool = False
    literal: str | None = None
    constant: bool = False


@dataclass(slots=True)
class Scribe:
    """Makes fresh names, and collects the routines that the SQL written so far calls."""

    routines: dict[str, Routine] = field(default_factory=dict)
    _names: count[int] = field(default_factory=count)

    def call(self, routine: Routine, *arguments: str) -> str:
        """A call of a routine."""
        self.routines.setdefault(routine.name, routine)
        return f"{routine.name}({', '.join(arguments)})"

    def name(self) -> str:
        """A name that is not used yet."""
        return f"v{next(self._names)}"

    def let(self, term: Term, body: Callable[[str], str]) -> str:
        """`body` over a term that it names more than once.

        Written out twice at every level, an expression would grow without bounds; a lambda over
        a list of one element names the value instead.
        """
        if term.simple:
            return body(term.sql)
        name = self.name()
        return f"list_transform([{term.sql}], lambda {name}: {body(name)})[1]"


def unfolded(term: Term) -> Term:
    """A constant that DuckDB does not take for one, since `random` is never constant.

    It may compute constants before it has a row, and where that fails the query does, even if the
    constant stands in a branch of CASE that no row takes, or over a table without rows.
    """
    return replace(term, sql=f"(CASE WHEN random() < 2 THEN {term.sql} END)", literal=None)


def raising(message: str, kind: DataType) -> str:
    """A term of a type that fails whenever it is evaluated."""
    return f"CAST(error('{message}') AS {sql_type(kind)})"


def cast_to(sql: str, kind: DataType, *, strict: bool = True) -> str:
    """A cast that fails, or gives NULL, where the value does not fit."""
    return f"{'CAST' if strict else 'TRY_CAST'}({sql} AS {sql_type(kind)})"
