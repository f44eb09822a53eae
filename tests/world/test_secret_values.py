"""Values that only their owner knows: nobody else sees them, and no other value takes their place."""

import json
from datetime import timedelta

import pyarrow as pa
import pytest
from tests.support.world import ALONE_AND_SHARED, VISITS_A

from mc2.cli.demo.stage import answering
from mc2.client.review_text import review_text
from mc2.errors import DatasetError, PlanError, UsageError

pytestmark = ALONE_AND_SHARED

SCRIPT = """\
import mc2
job = mc2.Job("High glucose")
high = job.sql('''
    SELECT count(*) AS n FROM ada.visits AS v WHERE v.glucose > (SELECT secret_value FROM {limit})
''', limit=job.secret("cy.limit"))
job.release("n", high, to=["ada"])
"""
VALUE = "6.0625"


def run(world, job_id):
    with answering(world.ada, world.cy):
        return world.cy.run(job_id, timeout=timedelta(seconds=30))


@pytest.fixture
def sealed(world):
    return world.cy.secret(VALUE, "limit", "double")


def test_a_job_computes_with_a_value_that_others_never_see(world, sealed):
    job_id = world.propose(SCRIPT)
    said = world.ada.review(job_id)
    assert "<secret of cy>, of type double" in review_text(said.review)
    assert "ONLY cy KNOWS THE VALUE" in json.dumps(said.review.json())
    assert said.job.approvers == ("ada", "cy")  # its owner, too, approves and grants
    world.approve(job_id, "ada", "cy")
    run(world, job_id)
    assert world.ada.results(job_id)["n"].table.to_pylist() == [{"n": 3}]
    proof = world.ada.home.proofs.get(job_id)
    everything = proof + b"".join(
        p.read_bytes() for p in (world.folder / "coordinator").rglob("*") if p.is_file()
    )
    assert VALUE.encode() not in everything
    # Neither as Arrow holds it.
    assert pa.array([float(VALUE)]).buffers()[1].to_pybytes()[:8] not in everything


def test_without_the_grant_of_its_owner_nothing_runs(world, sealed):
    job_id = world.propose(SCRIPT)
    world.approve(job_id, "ada")
    status = world.ada.coordinator.job(job_id)
    assert status.missing == ("cy",)


def test_ciphertext_has_one_size_whatever_the_value(world):
    sizes = {
        len(world.cy.coordinator.get_blob(s.manifest.chunks[0].digest))
        for s in (world.cy.secret(text, "name", "string") for text in ("a", "a" * 200))
    }
    assert len(sizes) == 1


def test_another_value_in_its_place_is_refused(world, sealed):
    job_id = world.propose(SCRIPT)
    world.approve(job_id, "ada", "cy")
    other = world.cy.secret("1.5", "other", "double")
    honest, swapped = (m.manifest.chunks[0].digest for m in (sealed, other))
    real = world.store.read_blob
    world.store.read_blob = lambda name: real(swapped if name == honest else name)
    with pytest.raises(DatasetError, match=r"chunk 0 of cy\.limit version 1 is not the one"):
        run(world, job_id)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("secret-text", "int64", "cy.limit|limit"),
        (None, "int64", "has a value"),
        ("x" * 300, "string", "limit"),
        ("[77]", "list<int8>", "one value"),
        ("77", "integer", "has a type"),
    ],
)
def test_what_cannot_be_sealed_is_refused_without_being_quoted(world, value, kind, message):
    with pytest.raises((UsageError, DatasetError), match=message) as refused:
        world.cy.secret(value, "limit", kind)
    assert str(value) not in str(refused.value) + refused.value.hint


def test_an_older_value_is_refused(world, sealed):
    job_id = world.propose(SCRIPT)
    world.approve(job_id, "ada", "cy")
    world.cy.secret("1.5", "limit", "double")
    with pytest.raises(DatasetError, match="older than version 2"):
        run(world, job_id)


def test_a_table_is_no_secret(world):
    world.cy.upload(VISITS_A, "limit")
    with pytest.raises(PlanError, match="no secret value"):
        world.propose(SCRIPT)
