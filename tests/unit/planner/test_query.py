"""Queries and the plans that they become, in plain text: tests/golden/sql."""

from __future__ import annotations

import pytest
from tests.support.golden import SQL, answer_to, plan_of, read_pairs

from mc2.errors import PlanError

PAIRS = [(path.stem, pair) for path in SQL for pair in read_pairs(path)]


@pytest.mark.parametrize(
    ("file", "pair"), PAIRS, ids=[f"{file}-{number}" for number, (file, _) in enumerate(PAIRS)]
)
def test_the_plan_is_the_one_on_file(file, pair):
    answer = answer_to(pair.query)
    assert answer == pair.answer.strip("\n")
    assert answer.startswith("error") == (file == "errors")


def test_every_error_has_its_place():
    for file, pair in PAIRS:
        if file == "errors":
            line, column = (
                pair.answer.split(": ")[0].removeprefix("error at line ").split(", column ")
            )
            assert int(line) >= 1, pair.query
            assert int(column) >= 1, pair.query


@pytest.mark.parametrize(
    "query",
    [
        "SELECT " + "(" * 3000 + "1" + ")" * 3000 + " AS x FROM clinic_a.visits",
        "SELECT " + " + ".join(["age"] * 3000) + " AS x FROM clinic_a.visits",
        "SELECT age FROM (" * 500 + "clinic_a.visits" + ")" * 500,
        "SELECT " + "-" * 2000 + "1 AS x FROM clinic_a.visits",
        "SELECT age FROM clinic_a.visits WHERE " + "NOT " * 1000 + "smoker",
        "SELECT '" + "x" * 70_000 + "' AS x FROM clinic_a.visits",
        "SELECT \x00 FROM clinic_a.visits",
        "SELECT 'abc",
        "SELECT `abc",
        "/* abc",
        ";",
        "",
    ],
    ids=[
        "brackets",
        "sum",
        "subqueries",
        "signs",
        "nots",
        "large",
        "nul",
        "text",
        "name",
        "comment",
        "semicolon",
        "empty",
    ],
)
def test_queries_made_to_hurt_are_errors(query):
    with pytest.raises(PlanError):
        plan_of(query)


def test_many_conditions_stay_flat():
    conditions = " AND ".join(f"age <> {i}" for i in range(500))
    assert plan_of(f"SELECT age FROM clinic_a.visits WHERE {conditions}").nodes


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT age FROM clinic_a.visits", "select  AGE\nfrom Clinic_A.Visits -- all"),
        ("SELECT v.age FROM clinic_a.visits v", "SELECT age FROM clinic_a.visits"),
        ("SELECT age FROM clinic_a.visits WHERE age > 3 AND smoker",
         "SELECT age FROM clinic_a.visits WHERE ((age > 3)) AND (smoker)"),
        ("SELECT a.age FROM clinic_a.visits a, clinic_b.labs b WHERE a.patient = b.patient",
         "SELECT a.age FROM clinic_a.visits a JOIN clinic_b.labs b ON a.patient = b.patient"),
    ],
)  # fmt: skip
def test_the_same_meaning_is_the_same_plan(one, other):
    assert plan_of(one).nodes == plan_of(other).nodes


@pytest.mark.parametrize("dialect", ["postgresql", "mysql", "", "SPARK"])
def test_other_dialects_are_refused(dialect):
    from mc2.planner.sql_text import parse_query

    with pytest.raises(PlanError, match="no dialect"):
        parse_query("SELECT 1", (), dialect)
