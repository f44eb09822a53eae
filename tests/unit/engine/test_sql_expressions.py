"""How predicates are written, where it decides on speed or on safety."""

import pytest
from tests.support.plans import Job, Source, schema

from mc2.engine.sql_expressions import ExpressionWriter
from mc2.engine.sql_terms import Scribe
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.relations import Join
from mc2.plan.types import BOOLEAN, INT64

COLUMNS = schema(a="int64", b="int64", c="boolean", d="boolean").by_name()
A, B, C, D = (ColumnRef(n) for n in COLUMNS)
EQUAL = call("eq", A, B)
IS_1, IS_2 = (call("eq", A, literal(n, INT64)) for n in (1, 2))
SQL_1, SQL_2 = (f"(a = CAST('{n}' AS BIGINT))" for n in (1, 2))
FAILS = call("eq", call("integer_divide", A, B), literal(1, INT64))


def condition(expression, guard=""):
    writer = ExpressionWriter(Scribe(), COLUMNS, {n: n for n in COLUMNS})
    return writer.condition(expression, guard).sql


@pytest.mark.parametrize(
    ("expression", "sql"),
    [
        (call("or", call("and", EQUAL, C), call("and", D, EQUAL)), "(a = b) AND (c OR d)"),
        (call("or", call("and", EQUAL, C), EQUAL), "(a = b)"),
        (call("or", C, D), "(c OR d)"),
        (call("or", call("and", C, D), D), "d"),
        (call("and", C, call("and", D, EQUAL)), "c AND d AND (a = b)"),
        (
            call("or", call("and", EQUAL, C, D), call("and", EQUAL, D, call("not", C))),
            "(a = b) AND d AND (c OR (NOT c))",
        ),
    ],
)
def test_what_all_branches_share_stands_first(expression, sql):
    assert condition(expression) == sql


@pytest.mark.parametrize(
    ("expression", "sql"),
    [
        (  # a condition on each table alone, besides that on both
            call("or", call("and", C, IS_1), call("and", D, call("not", C), IS_2)),
            f"((c AND {SQL_1}) OR (d AND (NOT c) AND {SQL_2})) AND ({SQL_1} OR {SQL_2}) AND (c OR (NOT c))",
        ),
        (call("or", call("and", C, D), EQUAL), "((c AND d) OR (a = b))"),
    ],
)
def test_what_follows_for_one_column_is_asked_too(expression, sql):
    assert condition(expression) == sql


def test_what_may_fail_is_not_asked_twice():
    fails = call("eq", call("integer_divide", A, literal(2, INT64)), literal(1, INT64))
    expression = call("or", call("and", C, fails), call("and", D, IS_1))
    assert condition(expression).count("CAST('2' AS BIGINT)") == 1


@pytest.mark.parametrize(
    ("function", "a", "b", "fails"),
    [
        ("multiply", "decimal(12,2)", "decimal(13,2)", False),
        ("add", "decimal(37,2)", "decimal(12,2)", False),
        ("add", "decimal(38,2)", "decimal(12,2)", True),
        ("subtract", "decimal(18,0)", "decimal(18,18)", False),
        ("multiply", "decimal(20,2)", "decimal(20,2)", True),
    ],
)
def test_decimals_fail_only_where_their_type_has_too_few_digits(function, a, b, fails):
    columns = schema(a=a, b=b).by_name()
    writer = ExpressionWriter(Scribe(), columns, {n: n for n in columns})
    assert writer.term(call(function, A, B)).fails is fails


def test_what_may_fail_is_not_moved():
    shared = call("or", call("and", C, FAILS), call("and", D, FAILS))
    assert condition(shared).startswith("CASE WHEN") or condition(shared).startswith("((")
    assert " AND (c OR d)" not in condition(shared)


def test_what_may_fail_comes_last_behind_the_rest_and_the_guard():
    found = condition(call("and", FAILS, C), "guard")
    assert found.startswith("c AND (CASE WHEN c AND guard THEN ")
    assert found.endswith(" ELSE FALSE END)")


@pytest.mark.parametrize("c", [True, False, None])
@pytest.mark.parametrize("d", [True, False, None])
def test_factoring_keeps_three_valued_logic(c, d):
    rows = [(a, b, c, d) for a in (1, None) for b in (1, 2, None)]
    job = Job(t=Source(schema(a="int64", c="boolean", d="boolean"), [(r[0], c, d) for r in rows]),
              u=Source(schema(b="int64"), [(1,), (2,), (None,)]))  # fmt: skip
    on = call("or", call("and", EQUAL, C), call("and", EQUAL, D))
    plain = call("and", EQUAL, call("or", C, D))
    t, u = job.scan("t"), job.scan("u")
    for how in ("inner", "left", "anti"):
        assert job.rows(job.add(Join(t, u, how, on))) == job.rows(job.add(Join(t, u, how, plain)))


def test_a_join_on_shared_equalities_is_fast():
    """As pairs of rows, these would be 400 million."""
    many = [(i, i % 2 == 0, i % 3 == 0) for i in range(20_000)]
    job = Job(
        t=Source(schema(a="int64", c="boolean", d="boolean"), many),
        u=Source(schema(b="int64"), [(r[0],) for r in many]),
    )
    on = call("or", call("and", EQUAL, C), call("and", EQUAL, D, literal(True, BOOLEAN)))
    assert len(job.rows(job.add(Join(job.scan("t"), job.scan("u"), "inner", on)))) == 13_333
