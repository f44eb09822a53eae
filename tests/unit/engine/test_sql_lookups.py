"""The SQL of marks: DuckDB can look up by a hash only what is an equation as it stands."""

from __future__ import annotations

import duckdb
import pytest

from mc2.engine.sql_expressions import ExpressionWriter
from mc2.engine.sql_lookups import mark_sql
from mc2.engine.sql_terms import Scribe
from mc2.formats.schema import Column, Schema
from mc2.plan.expressions import Call, ColumnRef, literal
from mc2.plan.relations import Mark
from mc2.plan.types import BOOLEAN, INT32

LEFT = Schema((Column("a", INT32, nullable=True), Column("b", INT32, nullable=True)))
RIGHT = Schema((Column("c", INT32, nullable=True), Column("d", INT32, nullable=True)))
FALSE = literal(value=False, kind=BOOLEAN)


def pair(left, right):
    return Call("eq", (ColumnRef(left), ColumnRef(right)))


def surely(condition):
    return Call("coalesce", (condition, FALSE))


MARKS = {
    "exists": (surely(pair("a", "c")), [True, True, False, False]),
    "exists, two columns": (
        Call("and", (surely(pair("a", "c")), surely(pair("b", "d")))),
        [True, False, False, False],
    ),
    "in": (Call("and", (pair("a", "c"), surely(pair("b", "d")))), [True, None, False, None]),
}


@pytest.mark.parametrize("name", MARKS)
def test_equations_stand_as_they_are(name):
    on, wanted = MARKS[name]
    names = {"a": "l.c0", "b": "l.c1", "c": "r.c0", "d": "r.c1"}
    writer = ExpressionWriter(Scribe(), {**LEFT.by_name(), **RIGHT.by_name()}, names)
    text = mark_sql(Mark(0, 1, "m", on), ("x", LEFT), ("y", RIGHT), writer)
    assert "coalesce" not in text.lower()
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE x AS FROM (VALUES (1, 1), (1, 3), (2, 1), (NULL, 3)) t(c0, c1)"
        )
        connection.execute("CREATE TABLE y AS FROM (VALUES (1, 1), (NULL, 3), (5, NULL)) t(c0, c1)")
        found = connection.sql(text).fetchall()
        plan = connection.sql(f"EXPLAIN {text}").fetchall()[0][1]
    assert {(a, b): m for a, b, m in found} == dict(
        zip([(1, 1), (1, 3), (2, 1), (None, 3)], wanted, strict=True)
    )
    assert "NESTED_LOOP" not in plan
    assert "BLOCKWISE" not in plan
