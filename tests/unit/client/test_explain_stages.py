"""What `mc2 explain --workers` says of a plan."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.catalogs import PACKAGES, catalog
from tools.vectors.plan import kept_plan

from mc2.client.explain_stages import explain_stages
from mc2.formats.canonical import decode, encode
from mc2.formats.facts import TableFacts
from mc2.plan.check import CheckedPlan, check_plan
from mc2.planner.script import compile_here

SCRIPT = '''
import mc2

job = mc2.Job("Labs by site")
sites = job.sql("""
    SELECT site, count(*) AS n, sum(glucose) AS s
    FROM clinic_a.visits AS v JOIN clinic_b.labs AS l ON l.patient = v.patient
    GROUP BY site
""")
job.release("sites", sites, to=["clinic_a", "institute"])
'''


def checked(row_bound: int) -> CheckedPlan:
    plan = compile_here(SCRIPT, name="labs.py", catalog=catalog(), packages=PACKAGES)
    inputs = tuple(replace(i, row_bound=row_bound) for i in plan.inputs)
    return check_plan(replace(plan, inputs=inputs))


def test_one_worker_has_one_stage():
    text = explain_stages(checked(5_000_000), 1).text()
    assert "  one, in one worker\n" in text
    assert "blocks" not in text
    assert "  the size of each sealed result\n" in text


def test_a_join_is_spread_by_key_and_sums_are_put_together():
    text = explain_stages(checked(5_000_000), 4).text()
    assert "  1. 4 tasks: " in text
    assert "    reads clinic_a.visits, at most 5,000,000 rows, each task its chunks\n" in text
    assert ", spread over the tasks by key\n" in text
    assert ", in 4 parts\n" in text
    assert "    hands on partial sums for " in text
    assert ", all in one task\n" in text
    assert "  how many blocks go from which task to which, and their sizes\n" in text


def test_small_tables_are_read_whole():
    text = explain_stages(checked(1000), 4).text()
    assert "tasks:" not in text
    assert "    reads clinic_a.visits, at most 1,000 rows, whole\n" in text


def obliviously(row_bound: int) -> CheckedPlan:
    """The same over padded tables: a patient has one row at most in each."""
    plan = checked(row_bound).plan
    inputs = []
    for source in plan.inputs:
        texts = [c.name for c in source.schema.columns if c.type.has_width]
        facts = TableFacts(dict.fromkeys(texts, 8), (("patient",),))
        inputs.append(replace(source, sizes="padded", facts=facts))
    return check_plan(replace(plan, mode="oblivious", inputs=tuple(inputs)))


def test_of_an_oblivious_join_one_side_is_sent_whole():
    found = explain_stages(obliviously(5_000_000), 4)
    text = found.text()
    assert "  1. 4 tasks: " in text
    assert ", all in every task\n" in text
    assert "spread over the tasks by key" not in text
    assert "  how many blocks go from which task to which, and their sizes\n" in text
    assert "  of an oblivious plan, all of this follows from public sizes alone\n" in text
    assert any("join" in stage["operations"] for stage in found.json()["stages"])


def test_an_oblivious_plan_in_one_worker():
    found = explain_stages(obliviously(1000), 1)
    assert found.stages is None
    assert "  of an oblivious plan, all of this follows from public sizes alone\n" in found.text()


@pytest.mark.parametrize("workers", [1, 4])
def test_as_data(workers):
    found = explain_stages(checked(5_000_000), workers).json()
    raw = encode(found)
    assert decode(raw, len(raw), "the stages") == found
    assert bool(found["stages"]) == (workers > 1)
    for stage in found["stages"]:
        for source in stage["sources"]:
            assert ("dataset" in source) != ("stage" in source)
            assert source.get("stage", 0) < stage["stage"]
    assert found["host_sees"]


def test_a_plan_that_reads_what_is_kept_stays_in_one_worker():
    found = explain_stages(check_plan(kept_plan()), 8)
    assert found.stages is None
    assert "one, in one worker" in found.text()
