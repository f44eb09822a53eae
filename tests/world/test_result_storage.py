"""Results in a storage of their own: written past the folder, fetched past the coordinator."""

from __future__ import annotations

import pytest
from tests.support.world import SCRIPT, world

from mc2.client.downloads import Destination
from mc2.errors import CoordinatorError, DatasetError

KEEPING = """\
import mc2

job = mc2.Job("Base")
job.keep(job.sql("SELECT site, glucose FROM ada.visits"), name="base")
"""
READING = """\
import mc2

job = mc2.Job("Sites")
job.release("sites", job.sql("SELECT site, count(*) AS n FROM kept.base GROUP BY site"), to=["cy"])
"""


@pytest.fixture
def place(tmp_path):
    return tmp_path / "bucket"


@pytest.fixture
def elsewhere(tmp_path, place):
    """A world whose results stand at a URL."""
    with world(tmp_path, results=f"file://{place}") as found:
        found.agree()
        found.bring()
        yield found


def objects(place):
    return sorted(p for p in place.rglob("*") if p.is_file())


def test_recipients_fetch_results_past_the_coordinator(elsewhere, place, tmp_path):
    local = set(elsewhere.store.blobs.walk())
    job_id = elsewhere.job(SCRIPT)
    assert set(elsewhere.store.blobs.walk()) == local
    assert len(objects(place)) == 2
    through = elsewhere.cy.results(job_id)["visits"].table
    elsewhere.mailboxes["cy"].lies["get_blob"] = lambda *_: pytest.fail("asked the coordinator")
    past = elsewhere.cy.results(job_id, storage=str(place))["visits"].table
    assert past.equals(through)
    done = elsewhere.cy.download(job_id, Destination(tmp_path / "found"), storage=f"file://{place}")
    assert done.files["visits"].exists()


def test_a_storage_that_loses_or_alters_results_is_named(elsewhere, place):
    """Both ways: a recipient that goes there, and one that asks the coordinator."""
    job_id = elsewhere.job(SCRIPT)
    one, other = objects(place)
    whole = {path: path.read_bytes() for path in (one, other)}
    swapped = {one: whole[other], other: whole[one]}
    short = {path: raw[:-1] for path, raw in whole.items()}
    for change in (swapped, short):
        for path, raw in change.items():
            path.write_bytes(raw)
        for storage in (str(place), ""):
            for party in (elsewhere.cy, elsewhere.bo):
                with pytest.raises(DatasetError, match="other bytes"):
                    party.results(job_id, storage=storage)
    for path in whole:
        path.unlink()
    for storage in (str(place), ""):
        with pytest.raises(DatasetError, match="has lost"):
            elsewhere.cy.results(job_id, storage=storage)
    with pytest.raises(DatasetError, match="has lost"):  # another storage than the coordinator's
        elsewhere.cy.results(job_id, storage=str(place.parent / "nowhere"))


def test_one_recipient_is_served_and_the_other_is_told_where_to_turn(elsewhere, place):
    """Both may have the same result; the coordinator says to one that there is none."""
    job_id = elsewhere.job(SCRIPT)

    def starve(_real, name):
        raise CoordinatorError(f"there is no blob {name}", hint="its owner uploads it")

    elsewhere.mailboxes["cy"].lies["get_blob"] = starve
    served = elsewhere.ada.results(job_id)["visits"].table
    with pytest.raises(CoordinatorError, match="does not give visits, which the receipt") as told:
        elsewhere.cy.results(job_id)
    assert "its owner uploads it; or ask ada for it" in told.value.hint
    assert "--storage" in told.value.hint
    elsewhere.cy.verify_job(job_id)
    assert elsewhere.cy.results(job_id, storage=str(place))["visits"].table.equals(served)


def test_kept_results_are_read_from_there(elsewhere, place):
    first = elsewhere.propose(KEEPING)
    elsewhere.approve(first, "ada")
    elsewhere.run(first)
    assert len(objects(place)) == 1
    elsewhere.ada.verify_job(first)
    elsewhere.cy.verify_job(first)
    second = elsewhere.propose(READING)
    elsewhere.approve(second, "ada")
    elsewhere.run(second)
    table = elsewhere.cy.results(second, storage=str(place))["sites"].table
    assert sum(table["n"].to_pylist()) == 5
