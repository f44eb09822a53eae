"""Results that stay sealed and are read by later jobs, over the whole of a collaboration."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.world import world as make_world

from mc2.errors import (
    ContractError,
    CoordinatorError,
    DatasetError,
    GrantError,
    Mc2Error,
    PlanError,
    PolicyError,
    ReceiptError,
    UsageError,
)

KEEP = """\
import mc2

job = mc2.Job("Keep the visits of both")
both = job.sql('''
    SELECT patient, site, glucose FROM ada.visits
    UNION ALL SELECT patient, site, glucose FROM bo.visits
''')
job.keep(both, name="both")
"""

USE = """\
import mc2

job = mc2.Job("Mean glucose of what was kept")
means = job.sql('''
    SELECT b.site, count(*) AS n, max(v.ill) AS ill
    FROM kept.both AS b JOIN ada.visits AS v ON v.patient = b.patient
    GROUP BY b.site ORDER BY b.site
''')
job.release("means", means, to=["cy"])
"""

ALONE = """\
import mc2

job = mc2.Job("Count what was kept")
job.release("n", job.sql("SELECT count(*) AS n FROM {b}", b=job.kept("both")), to=["cy"])
"""


@pytest.fixture
def world(tmp_path):
    with make_world(tmp_path) as found:
        found.agree()
        found.bring()
        yield found


def test_a_kept_table_is_joined_in_a_later_job(world):
    world.job(KEEP)
    job_id = world.job(USE)
    table = world.cy.results(job_id)["means"].table
    assert table.to_pylist() == [
        {"site": None, "n": 1, "ill": 0},
        {"site": "north", "n": 2, "ill": 1},
        {"site": "south", "n": 1, "ill": 0},
    ]
    proof = world.cy.verify_job(job_id)
    assert sorted(proof.receipt.value.inputs) == ["ada.visits", "kept.both"]
