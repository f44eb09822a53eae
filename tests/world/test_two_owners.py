"""The story of docs/tour.md, whole: two owners, an analyst, one report and one model."""

import json

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import xgboost
from tests.support.world import ALONE_AND_SHARED, SCRIPT, VISITS_A, VISITS_B

from mc2.errors import ContractError, DatasetError, PolicyError, UsageError
from mc2.formats.manifest import UsagePolicy

pytestmark = ALONE_AND_SHARED


def pooled() -> pa.Table:
    return pa.concat_tables([VISITS_A, VISITS_B])


def test_recipients_get_what_the_pooled_plaintext_gives(world):
    job_id = world.job()

    table = world.cy.results(job_id)["visits"].table
    pool = pooled()
    with duckdb.connect() as connection:
        connection.register("pool", pool)
        expected = connection.sql(
            "SELECT site, count(*) AS n, avg(glucose) AS glucose FROM pool GROUP BY site "
            "ORDER BY site NULLS FIRST"
        ).to_arrow_table()
    assert table.to_pylist() == expected.to_pylist()

    raw = world.bo.results(job_id)["model"].raw
    rows = xgboost.DMatrix(
        np.array(pool["glucose"].to_numpy(), dtype=float).reshape(-1, 1),
        pool["ill"].to_numpy(),
        feature_names=["glucose"],
    )
    stock = xgboost.train({"objective": "binary:logistic", "max_depth": 2}, rows, 3)
    ours = json.loads(raw)["learner"]["gradient_booster"]
    assert ours == json.loads(bytes(stock.save_raw("json")))["learner"]["gradient_booster"]
    assert np.array_equal(
        xgboost.Booster(model_file=bytearray(raw)).predict(rows), stock.predict(rows)
    )


def test_each_result_opens_for_its_recipients_alone(world):
    job_id = world.job()
    assert set(world.ada.results(job_id)) == {"visits"}
    assert set(world.bo.results(job_id)) == {"model"}
    assert set(world.cy.results(job_id)) == {"visits"}
    with pytest.raises(UsageError, match="model"):
        world.cy.results(job_id, "model")


def test_the_proof_says_who_allowed_what_over_which_data(world):
    job_id = world.job()
    job = world.cy.verify_job(job_id)
    receipt = job.receipt.value
    assert set(receipt.inputs) == {"ada.visits", "bo.visits"}
    assert set(receipt.approvals) == set(receipt.grants) == {"ada", "bo"}
    assert job.tier.word == receipt.tier == "simulated"
    assert any("SIMULATED" in warning for warning in job.warnings)
    raw = world.cy.home.proofs.get(job_id)
    assert world.bo.verify(raw).context == job.context


def test_a_new_version_needs_a_new_job(world):
    job_id = world.propose()
    world.ada.upload(VISITS_A.slice(0, 2), "visits")
    with pytest.raises(DatasetError, match="older than version 2"):
        world.approve(job_id, "ada")
    table = world.cy.results(world.job())["visits"].table
    assert sum(table["n"].to_pylist()) == 5


def test_usage_policies_bind_the_analyst(world):
    policy = UsagePolicy(recipients=("ada", "bo"))
    world.ada.upload(VISITS_A, "visits", policy=policy)
    with pytest.raises(PolicyError, match="ada"):
        world.propose()
    world.ada.upload(VISITS_A, "visits", policy=UsagePolicy(columns=("site",)))
    with pytest.raises(PolicyError, match="glucose"):
        world.propose()


def test_an_unknown_table_is_named_before_anybody_is_asked(world):
    with pytest.raises(Exception, match=r"line \d+"):
        world.propose(SCRIPT.replace("bo.visits", "bo.visit"))
    assert world.cy.status() == []


def test_who_is_no_member_takes_no_part(world):
    stranger = world.add("eve")
    with pytest.raises(ContractError):
        stranger.propose(SCRIPT, script_name="visits.py")
    with pytest.raises(ContractError):
        stranger.join(world.contract)


def test_an_older_version_is_refused_once_a_newer_was_seen(world):
    old = world.cy.datasets()["ada.visits"]
    world.ada.upload(VISITS_A.slice(0, 1), "visits")
    world.propose()  # Cy sees version 2
    box = world.mailboxes["cy"]
    box.lies["datasets"] = lambda real: [e for e in real() if e.version == 1]
    with pytest.raises(DatasetError, match="older"):
        world.propose()
    assert old.value.version == 1


def test_who_has_left_releases_nothing_more(world):
    job_id = world.propose()
    world.approve(job_id, "ada")
    assert world.ada.leave(world.contract.name) == world.contract.digest
    with pytest.raises(ContractError, match="left"):
        world.ada.approve(job_id, plan=world.ada.review(job_id).job.plan.digest)
    with pytest.raises(ContractError, match="no contract"):
        world.ada.leave(world.contract.name)
