"""What `mc2 explain` says of a plan."""

from __future__ import annotations

import json

from tests.support.catalogs import PACKAGES, catalog
from tests.support.oblivious_shop import Shop

from mc2.client.explain import Explanation
from mc2.formats.canonical import decode, encode
from mc2.plan import oblivious_order
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here

SCRIPT = '''
import mc2

job = mc2.Job("Labs by site")
sites = job.sql("""
    SELECT site, count(*) AS n, max(glucose) AS worst
    FROM clinic_a.visits AS v
    WHERE EXISTS (SELECT 1 FROM clinic_b.labs AS l WHERE l.patient = v.patient AND l.value > 3)
    GROUP BY site
""")
job.release("sites", sites, to=["clinic_a", "institute"])
job.release("few", job.sql("SELECT site FROM {s} WHERE n < 5", s=sites), to="clinic_a")
'''


def explained() -> Explanation:
    plan = compile_here(SCRIPT, name="labs.py", catalog=catalog(), packages=PACKAGES)
    return Explanation(check_plan(plan))


def test_a_plan_that_runs_as_it_is_written_has_one_list_of_steps():
    assert "AS THEY RUN" not in explained().text()
    assert explained().json()["run_steps"] is None


def test_joins_in_another_order_are_listed_in_the_order_in_which_they_run(monkeypatch):
    monkeypatch.setattr(oblivious_order, "_LEAST", 0)
    found = Explanation(Shop(0.01).checked(9))
    written, run = found.text().split("STEPS AS THEY RUN, which cost less by public sizes\n")
    assert written.count("Read ") == run.count("Read ") > 0
    assert run.index("l_orderkey") < run.index("ps_partkey")
    steps = found.json()["run_steps"]
    assert [s["step"] for s in steps] == list(range(1, len(steps) + 1))
    assert steps != found.json()["steps"]


def test_inputs_and_columns_read():
    text = explained().text()
    assert "  clinic_a.visits of clinic_a, at most 1,000 rows: patient, site, glucose\n" in text
    assert "  clinic_b.labs of clinic_b, at most 1,000 rows: patient, value\n" in text


def test_where_each_column_comes_from():
    text = explained().text()
    assert (
        "  worst double\n"
        "    from clinic_a.visits.glucose\n"
        "    also decided by clinic_a.visits.patient, clinic_a.visits.site, "
        "clinic_b.labs.patient, clinic_b.labs.value\n"
    ) in text
    assert "  n int64 not null\n    from no stored value\n    also decided by" in text


def test_steps_are_a_tree_in_which_shared_ones_stand_once():
    text = explained().text()
    assert "\n  sites\n    " in text
    assert text.count("Group step") == 1
    assert "as above" in text
    lines = text.split("\n")
    (scan,) = (line for line in lines if "Read patient, site, glucose" in line)
    (join,) = (line for line in lines if "that match a row of" in line)
    assert len(scan) - len(scan.lstrip()) == len(join) - len(join.lstrip()) + 2


def test_as_data_it_says_the_same():
    found = explained().json()
    assert json.loads(json.dumps(found)) == decode(encode(found), 1 << 20, "an explanation")
    steps = found["steps"]
    assert [s["step"] for s in steps] == list(range(1, len(steps) + 1))
    assert all(r < s["step"] for s in steps for r in s["reads"])
    outputs = {o["name"]: o for o in found["outputs"]}
    assert outputs["sites"]["datasets"] == ["clinic_a.visits", "clinic_b.labs"]
    worst = next(c for c in outputs["sites"]["columns"] if c["name"] == "worst")
    assert worst["values"] == ["clinic_a.visits.glucose"]
    assert "clinic_b.labs.value" in worst["influences"]


def test_a_shared_step_is_explained_once_however_many_ways_lead_to_it():
    source = "import mc2\njob = mc2.Job('t')\nt = job.sql('SELECT age FROM clinic_a.visits')\n"
    source += "for i in range(30):\n    t = job.sql('SELECT a.age FROM {t} a JOIN {t} b USING (age)', t=t)\n"
    source += "job.release('r', t, to='institute')\n"
    plan = compile_here(source, name="t.py", catalog=catalog(), packages=PACKAGES)
    text = Explanation(check_plan(plan)).text()
    assert len(text.split("\n")) < 4 * len(plan.nodes) + 20
    assert max(map(len, text.split("\n"))) < 400
