"""A dataset that grew is one table to a job, and the coordinator can offer no older one for it."""

import pyarrow as pa
import pytest
from tests.support.world import ALONE_AND_SHARED, VISITS_A, VISITS_B

from mc2.client.seal import SealOptions
from mc2.errors import DatasetError, UsageError
from mc2.formats.manifest import UsagePolicy

pytestmark = ALONE_AND_SHARED

COUNT = """\
import mc2
job = mc2.Job("Count")
n = job.sql("SELECT count(*) AS n, sum(patient) AS s FROM ada.visits")
job.release("n", n, to=["cy"])
"""
APPEND = SealOptions(append=True)


def count(world):
    job_id = world.propose(COUNT)
    world.approve(job_id, "ada")
    world.run(job_id)
    return world.cy.results(job_id)["n"].table.to_pylist()


def test_a_job_reads_all_segments_as_one_table(world):
    first = world.ada.datasets()["ada.visits"].value.chunks
    put = []
    world.mailboxes["ada"].lies["put_blob"] = lambda real, *a: (put.append(a[0]), real(*a))[1]
    sealed = world.ada.upload(VISITS_A, "visits", options=APPEND)
    assert sealed.manifest.version == 2
    chunks = sealed.manifest.chunks
    assert chunks[: len(first)] == first
    # Nothing of the first version went up again.
    assert put == [c.digest for c in chunks[len(first) :]]
    pool = pa.concat_tables([VISITS_A, VISITS_A])
    expected = {"n": pool.num_rows, "s": sum(filter(None, pool["patient"].to_pylist()))}
    assert count(world) == [expected]


def test_appended_rows_have_the_columns_and_policy_of_the_table(world):
    allowed = UsagePolicy(recipients=("cy",))
    world.ada.upload(VISITS_A, "visits", policy=allowed)
    grown = world.ada.upload(VISITS_B, "visits", options=APPEND)
    assert grown.manifest.policy == allowed
    more = VISITS_A.append_column("more", VISITS_A["ill"])
    with pytest.raises(DatasetError, match="other columns"):
        world.ada.upload(more, "visits", options=APPEND)
    with pytest.raises(UsageError, match="no column"):
        world.ada.upload(VISITS_A.select(["patient"]), "visits", options=APPEND)


def test_rows_are_not_appended_to_an_older_version(world):
    world.ada.upload(VISITS_A, "visits", options=APPEND)
    lies = world.mailboxes["ada"].lies
    lies["datasets"] = lambda real, *a: [e for e in real(*a) if e.version == 1]
    with pytest.raises(DatasetError, match="does not have the newest version"):
        world.ada.upload(VISITS_B, "visits", options=APPEND)


def test_an_older_version_in_the_place_of_a_grown_one_is_refused(world):
    world.ada.upload(VISITS_B, "visits", options=APPEND)
    world.cy.datasets()
    count(world)
    lies = world.mailboxes["cy"].lies
    lies["datasets"] = lambda real, *a: [e for e in real(*a) if e.version == 1]
    with pytest.raises(DatasetError, match="older than version 2"):
        world.propose(COUNT)
