"""What oblivious jobs keep and read, over a whole collaboration, and in both modes."""

from __future__ import annotations

import pytest
from tests.support.world import VISITS_A, VISITS_B
from tests.support.world import world as make_world

from mc2.client.review_text import review_text
from mc2.client.seal import SealOptions
from mc2.errors import PlanError

KEEP = """\
import mc2

job = mc2.Job("Keep", mode="oblivious")
visits = job.sql('''
    SELECT patient, site, glucose FROM ada.visits WHERE glucose > 5
    UNION ALL SELECT patient, site, glucose FROM bo.visits WHERE glucose > 5
''')
sites = job.sql("SELECT site, count(*) AS n FROM ada.visits GROUP BY site")
rows = mc2.xgboost.DMatrix(
    job.table("ada.visits"), job.table("bo.visits"), label="ill", features=["glucose"]
)
trees = mc2.xgboost.train(
    {"objective": "binary:logistic", "max_depth": 2, "min_child_weight": 0},
    rows, num_boost_round=3, evals=[(rows, "seen")], early_stopping_rounds=2,
)
known = job.sql('''
    SELECT coalesce(glucose, 5.0) AS glucose, ill FROM ada.visits
    UNION ALL SELECT glucose, ill FROM bo.visits
''')
line = mc2.linear.Ridge().fit(known, "ill")
job.keep(visits, name="visits")
job.keep(sites, name="sites")
job.keep(trees, name="trees")
job.keep(line, name="line")
"""

READ = """\
import mc2

job = mc2.Job("Read", mode="MODE")
joined = job.sql('''
    SELECT v.patient, s.n FROM kept.visits AS v JOIN kept.sites AS s ON v.site = s.site
    ORDER BY v.patient
''')
job.release("joined", joined, to=["cy"])
trees = job.kept("trees")
rows = mc2.xgboost.DMatrix(job.table("bo.visits"), features=trees.feature_names)
job.release("trees", trees.predict(rows, keep=["patient"], rounds="best"), to=["cy"])
line = job.kept("line").predict(job.table("bo.visits"), keep=["patient"], name="line")
job.release("line", line, to=["cy"])
"""

DIRECT = (
    KEEP.replace("job.keep(visits, name=", "#")
    .replace("job.keep(sites, name=", "#")
    .replace("job.keep(trees, name=", "#")
    .replace("job.keep(line, name=", "#")
    + """\
bo = job.table("bo.visits")
seen = mc2.xgboost.DMatrix(bo, features=["glucose"])
job.release("trees", trees.predict(seen, keep=["patient"], rounds="best"), to=["cy"])
job.release("line", line.predict(bo, keep=["patient"], name="line"), to=["cy"])
"""
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with make_world(tmp_path_factory.mktemp("kept")) as found:
        found.agree()
        padded = SealOptions(sizes="padded", row_bound=8, widths={"site": 6})
        found.ada.upload(VISITS_A, "visits", options=padded)
        found.bo.upload(VISITS_B, "visits", options=padded)
        found.keep = found.job(KEEP)
        yield found


@pytest.fixture(scope="module")
def direct(world):
    """What the models say in the very job that trains them."""
    return world.cy.results(world.job(DIRECT))


@pytest.mark.parametrize("mode", ["oblivious", "encrypted"])
def test_later_jobs_of_both_modes_read_what_an_oblivious_job_kept(world, direct, mode):
    found = world.cy.results(world.job(READ.replace("MODE", mode)))
    assert found["joined"].table.to_pylist() == [
        {"patient": None, "n": 2},
        {"patient": 101, "n": 2},
        {"patient": 102, "n": 2},
    ]
    assert found["line"].table.equals(direct["line"].table)
    said, wanted = (t["trees"].table.to_pydict() for t in (found, direct))
    assert said["patient"] == wanted["patient"]
    assert said["prediction"] == pytest.approx(wanted["prediction"], rel=2e-6)


def test_the_proof_names_bounds_sizes_and_keys_of_what_is_kept(world):
    results = world.cy.verify_job(world.keep).results
    visits, sites = results["visits"], results["sites"]
    assert (visits.sizes, visits.row_bound, visits.facts.widths) == ("padded", 16, {"site": 6})
    assert (sites.row_bound, sites.kept.unique) == (8, (("site",),))
    assert (sites.sizes, sites.facts.widths) == ("padded", {"site": 6})
    assert results["trees"].kept.model["mode"] == "oblivious"
    text = " ".join(review_text(world.ada.review(world.propose(KEEP)).review).split())
    assert "THE MODEL of" not in text


def test_what_an_encrypted_job_kept_is_refused_by_oblivious_ones(world):
    other = KEEP.replace(', mode="oblivious"', "").replace('name="', 'name="open_')
    world.job(other)
    for script, said in (
        ('job.sql("SELECT site FROM kept.open_sites")', "reads padded tables only"),
        (
            'job.kept("open_line").predict(job.table("bo.visits"), name="x")',
            "comes from a job in mode encrypted",
        ),
    ):
        text = 'import mc2\njob = mc2.Job("x", mode="oblivious")\n'
        with pytest.raises(PlanError, match=said) as caught:
            world.propose(f'{text}job.release("x", {script}, to=["cy"])\n')
        assert 'mode="oblivious"' in caught.value.hint
