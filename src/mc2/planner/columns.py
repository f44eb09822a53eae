"""Columns that a script names, for matrices and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mc2.errors import PlanError
from mc2.planner.drafted import draft_of, node_of
from mc2.planner.tables import Table

if TYPE_CHECKING:
    from mc2.formats.schema import DataType


def columns_of_all(tables: Sequence[Table]) -> dict[str, DataType]:
    """The columns of the tables, which must be the same in each. Raises: PlanError."""
    from mc2.plan.shapes import TableShape

    found: list[dict[str, DataType]] = []
    for table in tables:
        shape = draft_of(table).shape(node_of(table))
        columns = shape.schema.columns if isinstance(shape, TableShape) else ()
        found.append({c.name: c.type for c in columns})
    for place, other in enumerate(found[1:], 2):
        for name in dict.fromkeys((*found[0], *other)):
            if found[0].get(name) != other.get(name):
                raise PlanError(
                    f"tables 1 and {place} of the DMatrix differ in the column {name!r}",
                    hint="choose the same columns of each with job.sql",
                )
    return found[0]


def check_column(name: object, what: str, columns: Mapping[str, object]) -> None:
    """Refuse a column that is not there. Raises: PlanError."""
    if name is not None and name not in columns:
        raise PlanError(f"there is no column {name!r} for {what}=", hint=_listed(columns))


def names_of(values: object, what: str, columns: Mapping[str, object]) -> tuple[str, ...]:
    """Names of columns that are there. Raises: PlanError."""
    if isinstance(values, str) or not isinstance(values, (list, tuple)):
        raise PlanError(f"{what}= is a list of column names", hint=f'{what}=["column"]')
    for value in values:
        check_column(text_of(value, f"a name in {what}="), what, columns)
    return tuple(values)


def _listed(columns: Mapping[str, object]) -> str:
    return f"there are: {', '.join(columns)}"


def text_of(value: object, what: str) -> str:
    """A text. Raises: PlanError."""
    if not isinstance(value, str):
        raise PlanError(f"{what} is a text, not a {type(value).__name__}")
    return value
