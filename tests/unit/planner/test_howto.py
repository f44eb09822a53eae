"""The pages on scripts are true: their examples compile, and they list what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.catalogs import AT, catalog_of, contract, manifests
from tests.support.golden import answer_to

from mc2.client.review import review_plan, review_text
from mc2.plan.check import check_plan
from mc2.planner.language import BUILTINS
from mc2.planner.script import compile_here

HOWTO = Path(__file__).resolve().parents[3] / "docs" / "howto"
PAGE = (HOWTO / "write-a-script.md").read_text()
SCRIPTS = re.findall(r"```python\n(.*?)```", PAGE + (HOWTO / "xgboost.md").read_text(), re.DOTALL)
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


def test_there_are_examples():
    assert len(SCRIPTS) >= 6
    assert len(QUERIES) >= 2


@pytest.mark.parametrize("source", SCRIPTS, ids=range(len(SCRIPTS)))
def test_scripts_compile_and_can_be_reviewed(source):
    rules, known = contract(), manifests()
    plan = compile_here(source, name="example.py", catalog=catalog_of(rules, known))
    read = {i.dataset: known[i.dataset] for i in plan.inputs}
    assert "WHAT LEAVES" in review_text(review_plan(check_plan(plan), rules, read, at=AT))


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_queries_are_planned(query):
    assert not answer_to(query).startswith("error"), answer_to(query)


def test_lists_every_builtin():
    assert ", ".join(BUILTINS) in " ".join(PAGE.split())


REFUSED = [
    (
        "SELECT age FROM clinic_a.visits v LEFT JOIN clinic_b.labs l ON v.age IN "
        "(SELECT value FROM clinic_b.labs)"
    ),
    (
        "SELECT age FROM clinic_a.visits v WHERE EXISTS (SELECT 1 FROM clinic_b.labs l "
        "FULL JOIN clinic_b.visits w ON w.patient = l.patient AND l.value = v.glucose)"
    ),
    "SELECT age FROM clinic_a.visits WHERE age > ALL (SELECT age FROM clinic_b.visits)",
    "SELECT (SELECT sum(v.age) FROM clinic_b.labs) AS x FROM clinic_a.visits v",
    "SELECT count(DISTINCT age) OVER () AS n FROM clinic_a.visits",
    "WITH RECURSIVE t AS (SELECT age FROM clinic_a.visits) SELECT age FROM t",
    "SELECT * FROM clinic_a.visits PIVOT (count(*) FOR site IN (SELECT 'a'))",
    "SELECT age FROM clinic_a.visits TABLESAMPLE (10 ROWS)",
    "SELECT now() AS n FROM clinic_a.visits",
    "SELECT 'it''s' AS x FROM clinic_a.visits",
]


@pytest.mark.parametrize("query", REFUSED)
def test_refuses_what_it_says_it_refuses(query):
    answer = answer_to(query)
    assert answer.startswith("error at line 1")
    assert not answer.endswith("hint: "), answer
