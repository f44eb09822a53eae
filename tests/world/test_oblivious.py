"""A whole job in oblivious mode: padded tables in, padded results out, and what people are told."""

import pyarrow as pa
import pytest
from tests.support.world import ALONE_AND_SHARED, VISITS_A, VISITS_B, world

from mc2.client.downloads import fetch_proof
from mc2.client.review_text import review_text
from mc2.client.seal import SealOptions
from mc2.errors import DatasetError, EngineError, PlanError

SITES = pa.table({"site": ["north", "south", "west"], "beds": pa.array([10, 20, 30], pa.int32())})
SCRIPT = """\
import mc2

job = mc2.Job("Visits", mode="oblivious")
visits = job.sql('''
    SELECT v.site, s.beds, count(*) AS n, sum(v.ill) AS ill, avg(v.glucose) AS glucose
    FROM (SELECT site, glucose, ill FROM ada.visits
          UNION ALL SELECT site, glucose, ill FROM bo.visits) AS v
    JOIN ada.sites AS s ON v.site = s.site
    WHERE v.glucose > 5 OR v.glucose IS NULL
    GROUP BY v.site, s.beds ORDER BY v.site
''')
few = job.table("bo.visits").bound(BOUND, leak="sizes")
job.release("visits", visits, to=["ada", "cy"])
job.release("few", few, to=["bo"])
"""


def options(**changes):
    return SealOptions(sizes="padded", row_bound=8, widths={"site": 6}, **changes)


@pytest.fixture
def padded(tmp_path, workers):
    rows = options(rows_per_chunk=4) if workers > 1 else options()
    with world(tmp_path, workers_per_job=workers) as found:
        found.agree()
        found.ada.upload(VISITS_A, "visits", options=rows)
        found.bo.upload(VISITS_B, "visits", options=rows)
        found.ada.upload(SITES, "sites", options=options(unique=(("site",),)))
        yield found


@ALONE_AND_SHARED
def test_a_job_from_upload_to_result(padded):
    job_id = padded.job(SCRIPT.replace("BOUND", "5"))
    table = padded.cy.results(job_id)["visits"].table
    assert table.to_pydict() == {
        "site": ["north", "south", "west"],
        "beds": [10, 20, 30],
        "n": [2, 2, 2],
        "ill": [1, 1, 2],
        "glucose": [6.375, 9.0, 9.75],
    }
    assert padded.bo.results(job_id)["few"].table.equals(VISITS_B)


def test_the_review_says_what_the_host_learns(padded):
    job_id = padded.propose(SCRIPT.replace("BOUND", "5"))
    review = padded.ada.review(job_id)
    text = " ".join(review_text(review.review).split())
    assert "OBLIVIOUS" in text
    assert "HOW MANY ROWS step" in text
    assert "the host learns how many there are" in text
    assert "of ada.sites, as declared: no two rows agree in site" in text
    assert "has room for 8 rows" in text
    assert "memory the enclave uses when" not in text


@ALONE_AND_SHARED
def test_more_rows_than_a_declared_bound_fail_the_job_at_its_end(padded):
    job_id = padded.propose(SCRIPT.replace("BOUND", "2"))
    padded.approve(job_id)
    with pytest.raises(EngineError, match="more rows"):
        padded.run(job_id)


def test_tables_that_are_not_padded_are_refused_when_the_script_is_compiled(padded):
    padded.bo.upload(VISITS_B, "visits")
    with pytest.raises(PlanError, match=r"bo\.visits is not"):
        padded.propose(SCRIPT.replace("BOUND", "5"))


def test_what_oblivious_mode_lacks_is_refused_when_the_script_is_compiled(padded):
    counted = "avg(regexp_count(CAST(v.glucose AS STRING), '1+'))"
    lacking = SCRIPT.replace("BOUND", "5").replace("avg(v.glucose)", counted)
    with pytest.raises(PlanError, match="oblivious mode has no function regex_count"):
        padded.propose(lacking)


def test_owners_declare_only_what_is_true(padded):
    twice = pa.concat_tables([SITES, SITES])
    with pytest.raises(DatasetError, match="declared unique"):
        padded.ada.upload(twice, "sites", options=options(unique=(("site",),)))


SPREAD = """\
import mc2

job = mc2.Job("Groups", mode="oblivious")
groups = job.sql('''
    SELECT s.beds, count(*) AS n, sum(v.ill) AS ill
    FROM bo.many AS v JOIN ada.sites AS s ON v.site = s.site
    WHERE v.ill < 7
    GROUP BY s.beds ORDER BY s.beds
''')
job.release("groups", groups, to=["cy"])
"""


def test_several_enclaves_share_an_oblivious_job(tmp_path):
    """Padded to 5 MB, which is worth it: the receipt names the tasks, the answer is the same."""
    rows = 12_000
    many = pa.table(
        {
            "site": [("north", "south", "west")[i % 3] for i in range(rows)],
            "ill": pa.array([i % 10 for i in range(rows)], pa.int32()),
        }
    )
    wide = SealOptions(sizes="padded", row_bound=rows, rows_per_chunk=3000, widths={"site": 400})
    with world(tmp_path, workers_per_job=2) as found:
        found.agree()
        found.bo.upload(many, "many", options=wide)
        beds = options(unique=(("site",),), ranges={"beds": (0, 40)})
        found.ada.upload(SITES, "sites", options=beds)
        job_id = found.job(SPREAD)
        assert found.cy.results(job_id)["groups"].table.to_pydict() == {
            "beds": [10, 20, 30],
            "n": [2800, 2800, 2800],
            "ill": [8400, 8400, 8400],
        }
        receipt = fetch_proof(found.cy.desk, job_id).receipt.value
        assert len(receipt.epochs[0]) == 2
        assert receipt.tasks is not None
        (status,) = found.cy.status(job_id)
        assert len(status.metrics.workers) == 2
        assert len(status.metrics.stages) > 1
        for stage in status.metrics.stages:
            assert (stage.done, stage.lost) == (stage.head.tasks, 0)
            assert stage.bytes_in > 0
            assert stage.bytes_out > 0
