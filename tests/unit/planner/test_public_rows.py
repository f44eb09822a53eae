"""Public tables: rows in the script, typed exactly, and labelled for who reviews."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from tests.support.catalogs import PACKAGES, catalog

from mc2.client.plan_words import step_words
from mc2.errors import PlanError
from mc2.plan.relations import Values
from mc2.planner.public_rows import public_rows
from mc2.planner.script import compile_here

SCRIPT = """\
import mc2
job = mc2.Job("Rates")
job.public_table("rates", [{"site": "north", "rate": 1}, {"site": None, "rate": 2.5}])
v = job.sql("SELECT count(*) AS n FROM clinic_a.visits v JOIN rates r ON r.rate > v.age")
job.release("n", v, to="institute")
"""


def test_a_public_table_is_joined_with_a_sealed_one_and_labelled():
    plan = compile_here(SCRIPT, name="s.py", catalog=catalog(), packages=PACKAGES)
    (place,) = (i for i, n in enumerate(plan.nodes) if isinstance(n.operation, Values))
    assert "PUBLIC rows" in str(step_words(plan, place))
    assert [i.dataset for i in plan.inputs] == ["clinic_a.visits"]


@pytest.mark.parametrize(
    ("values", "kind", "texts"),
    [
        ([1, None], "int64", ["1", None]),
        ([True], "boolean", ["true"]),
        ([1, 2.5], "double", ["1.0", "2.5"]),
        ([Decimal("1.5"), Decimal("-0.25")], "decimal(38,2)", ["1.50", "-0.25"]),
        (["é", ""], "string", ["é", ""]),
        ([b"\x00"], "binary", ["AA=="]),
        ([date(2024, 2, 29)], "date", ["2024-02-29"]),
        ([datetime(2024, 2, 29, tzinfo=UTC)], "timestamp_utc", ["2024-02-29T00:00:00Z"]),
    ],
)
def test_types_follow_from_the_values(values, kind, texts):
    found = public_rows({"v": values})
    assert [row[0].text for row in found.rows] == texts
    assert {str(row[0].type) for row in found.rows} == {kind}


def test_a_type_can_be_given():
    found = public_rows({"v": [1, None], "w": [None, None]}, {"v": "decimal(9,2)", "w": "date"})
    assert [str(i.type) for i in found.rows[0]] == ["decimal(9,2)", "date"]
    assert found.rows[0][0].text == "1.00"


@pytest.mark.parametrize(
    ("data", "types", "message"),
    [
        ({}, None, "has columns"),
        ([], None, "as its rows or columns"),
        ("a,b", None, "as its rows or columns"),
        ({"a": "xyz"}, None, "has columns"),
        ({"a": []}, None, "1 to 10000 rows"),
        ({"a": [1] * 10001}, None, "1 to 10000 rows"),
        ({"a": [1], "b": [1, 2]}, None, "different lengths"),
        ([{"a": 1}, {"b": 1}], None, "other names"),
        ({"a": [None]}, None, "of no type, or of several"),
        ({"a": [1, "x"]}, None, "of no type, or of several"),
        ({"a": [True, 2]}, None, "of no type, or of several"),
        ({"a": [[1]]}, None, "Python's type list"),
        ({"a": [2**63]}, None, "column 'a'"),
        ({"a": [2**53 + 1, 0.5]}, None, "no double"),
        ({"a": [1.5]}, {"a": "int8"}, "column 'a'"),
        ({"a": [True]}, {"a": "int8"}, "column 'a'"),
        ({"a": ["x"]}, {"b": "string"}, "no column 'b'"),
        ({"a": ["x"]}, {"a": "text"}, "column 'a'"),
    ],
)
def test_other_data_are_refused(data, types, message):
    with pytest.raises(PlanError, match=message):
        public_rows(data, types)
