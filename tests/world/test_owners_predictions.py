"""One model over two owners' rows: each owner gets what it says of its own rows, and nobody else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import xgboost
from tests.support.world import ALONE_AND_SHARED, VISITS_A, VISITS_B

from mc2.errors import EngineError, PolicyError, UsageError
from mc2.formats.manifest import ModelPolicy, UsagePolicy

pytestmark = ALONE_AND_SHARED

SCRIPT = """
import mc2
from mc2 import xgboost

job = mc2.Job("Each owner its own risks")
rows = [job.table("ada.visits"), job.table("bo.visits")]
train = xgboost.DMatrix(rows, label="ill", features=["glucose"])
model = xgboost.train({"objective": "binary:logistic", "max_depth": 2}, train, 3)
job.release_to_owners("risk", model, rows, keep=["patient"], name="risk")
"""


def test_each_owner_gets_its_own_rows_alone(world):
    job_id = world.job(SCRIPT)
    pool = pa.concat_tables([VISITS_A, VISITS_B])
    matrix = xgboost.DMatrix(
        np.array(pool["glucose"].to_numpy(zero_copy_only=False), dtype=float).reshape(-1, 1),
        pool["ill"].to_numpy(),
        feature_names=["glucose"],
    )
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 2}, matrix, 3)
    said = booster.predict(matrix).tolist()
    for party, other, visits, expected in (
        (world.ada, "risk_bo", VISITS_A, said[:5]),
        (world.bo, "risk_ada", VISITS_B, said[5:]),
    ):
        results = party.results(job_id)
        (name,) = results
        table = results[name].table
        assert table["patient"].to_pylist() == visits["patient"].to_pylist()
        assert table["risk"].to_pylist() == expected
        with pytest.raises(UsageError, match=other):
            party.results(job_id, other)
    with pytest.raises(UsageError, match="nothing of job"):
        world.cy.results(job_id)


def test_an_owners_rules_for_models_hold_at_home_and_in_the_enclave(world):
    rules = UsagePolicy(models=ModelPolicy(leaf_rows=5))
    world.bo.upload(VISITS_B, "visits", policy=rules)
    with pytest.raises(PolicyError, match="min_leaf_rows=5"):
        world.propose(SCRIPT)
    strict = SCRIPT.replace("train, 3)", "train, 3, min_leaf_rows=5)")
    large = strict.replace('"max_depth": 2', '"max_depth": 2, "min_child_weight": 1.25')
    assert set(world.bo.results(world.job(large))) == {"risk_bo"}
    small = strict.replace('"max_depth": 2', '"max_depth": 6, "min_child_weight": 0')
    job_id = world.propose(small)
    world.approve(job_id)
    with pytest.raises(EngineError, match="fewer than 5 rows"):
        world.run(job_id)
