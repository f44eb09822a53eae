"""An input is read whole, even by a plan that needs no row of it."""

from unittest import mock

import pytest
from tests.support.world import VISITS_A
from tests.support.world import world as make_world

from mc2.cli.demo.hostile import Lie
from mc2.client import rows
from mc2.client.seal import SealOptions
from mc2.errors import Mc2Error

NEEDS_NO_ROW = """\
import mc2

job = mc2.Job("No row")
none = job.sql("SELECT site FROM ada.visits WHERE 1 = 0")
job.release("none", none, to=["cy"])
"""


@pytest.fixture
def world(tmp_path):
    with make_world(tmp_path) as found:
        found.agree()
        found.ada.upload(VISITS_A, "visits", options=SealOptions(rows_per_chunk=2))
        yield found


def test_chunks_that_no_row_is_needed_of_are_checked(world):
    last = world.cy.datasets()["ada.visits"].value.chunks[-1].digest
    world.lie = Lie(chunk=lambda name, read: b"lost" if name == last else read(name))
    job_id = world.propose(NEEDS_NO_ROW)
    world.approve(job_id, "ada")
    with pytest.raises(Mc2Error, match="not the one that its manifest names"):
        world.run(job_id)


def test_an_honest_coordinator_gets_its_receipt(world):
    job_id = world.propose(NEEDS_NO_ROW)
    world.approve(job_id, "ada")
    world.run(job_id)
    assert world.cy.results(job_id)["none"].table.num_rows == 0


@pytest.mark.parametrize("column", ["site", "glucose"])
def test_of_a_cut_table_the_columns_that_the_plan_reads_are_checked(world, column):
    with mock.patch.object(rows, "_PART_BYTES", 1):
        world.ada.upload(VISITS_A, "visits", options=SealOptions(rows_per_chunk=2))
    manifest = world.cy.datasets()["ada.visits"].value
    place = manifest.schema.names.index(column)
    assert manifest.parts[place] == range(place, place + 1)
    last = manifest.part(manifest.whole_chunks - 1, place).digest
    world.lie = Lie(chunk=lambda name, read: b"lost" if name == last else read(name))
    job_id = world.propose(NEEDS_NO_ROW.replace("1 = 0", "site = 'nowhere'"))
    world.approve(job_id, "ada")
    if column == "site":
        with pytest.raises(Mc2Error, match="not the one that its manifest names"):
            world.run(job_id)
    else:
        world.run(job_id)
        assert world.cy.results(job_id)["none"].table.num_rows == 0
