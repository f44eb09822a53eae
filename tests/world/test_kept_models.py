"""Models that stay sealed, and predict in later jobs, over the whole of a collaboration."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from tests.support.world import VISITS_A, World, restarted
from tests.support.world import world as make_world

from mc2.cli.demo.hostile import Lie
from mc2.client.results import open_result
from mc2.enclave.kept import Shared
from mc2.errors import (
    DatasetError,
    JobError,
    Mc2Error,
    PlanError,
    PolicyError,
    ReceiptError,
    UsageError,
)
from mc2.formats.canonical import decode, encode
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import ModelPolicy, UsagePolicy

TRAIN = """\
import mc2

job = mc2.Job("Keep a risk model of both")
features = ["patient", "glucose"]
rows = mc2.xgboost.DMatrix(
    job.table("ada.visits"), job.table("bo.visits"), label="ill", features=features
)
model = mc2.xgboost.train(
    {"objective": "binary:logistic", "max_depth": 2, "min_child_weight": 0},
    rows,
    num_boost_round=4,
    evals=[(rows, "seen")],
    early_stopping_rounds=2,
)
known = job.sql("SELECT coalesce(glucose, 5.0) AS glucose FROM ada.visits")
centres = mc2.clusters.KMeans(2, init=[[4.0], [9.0]]).fit(known)
job.keep(model, name="risk")
job.keep(centres, name="centres")
job.release("model", model, to=["cy"])
seen = mc2.xgboost.DMatrix(job.table("bo.visits"), features=features)
job.release("likewise", model.predict(seen, keep=["patient"]), to=["cy"])
"""

USE = """\
import mc2

job = mc2.Job("Predict with what was kept")
model = job.kept("risk")
visits = job.table("bo.visits")
rows = mc2.xgboost.DMatrix(visits, features=model.feature_names)
job.release("said", model.predict(rows, keep=["patient"]), to=["cy"])
job.release("best", model.predict(rows, rounds="best"), to=["cy"])
job.release_to_owners("own", model, visits, keep=["patient"])
near = job.kept("centres").predict(visits, keep=["patient"], name="near")
job.release("near", near, to=["cy"])
"""

ONE = """\
import mc2

job = mc2.Job("One line")
rows = mc2.xgboost.DMatrix(job.table("ada.visits"), label="ill", features=["glucose"])
model = mc2.xgboost.train({{"max_depth": 1}}, rows, num_boost_round=1)
job.keep(model, name="{name}")
"""

PREDICT = """\
import mc2

job = mc2.Job("One prediction")
model = job.kept("{name}")
rows = mc2.xgboost.DMatrix(job.table("bo.visits"), features=model.feature_names)
job.release("said", model.predict(rows), to=["{to}"])
"""


@dataclass
class Trained:
    """A collaboration whose coordinator and enclaves started anew after the job that keeps."""

    world: World
    job_id: str


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with make_world(tmp_path_factory.mktemp("kept")) as found:
        found.agree()
        found.bring()
        job_id = found.job(TRAIN)
    with restarted(found):
        yield Trained(found, job_id)


@pytest.fixture
def world(trained):
    yield trained.world
    trained.world.lie = Lie()
    for mailbox in trained.world.mailboxes.values():
        mailbox.lies.clear()


def alone(world, script):
    """A job over data of Ada's alone."""
    job_id = world.propose(script)
    world.approve(job_id, "ada")
    world.run(job_id)
    return job_id


def fails(world, job_id):
    with pytest.raises(Mc2Error) as caught:
        world.run(job_id)
    with pytest.raises(Mc2Error):
        world.cy.results(job_id)
    return caught.value


def test_it_predicts_after_a_restart_as_it_did_where_it_was_trained(trained, world):
    kept = {n: r for n, r in world.cy.verify_job(trained.job_id).results.items() if r.kept}
    assert {n: sorted(r.keys) for n, r in kept.items()} == {
        "centres": ["ada"],
        "risk": ["ada", "bo"],
    }
    job_id = world.propose(USE)
    review = world.bo.review(job_id).review
    (reading,) = [r for r in review.readings if r.dataset == "kept.risk"]
    assert (reading.owner, reading.columns) == ("ada, bo", ("model",))
    steps = "\n".join(review.steps)
    assert "Take the model kept.risk, to predict with: an XGBoost model of at most 4" in steps
    assert "the centres of 2 clusters" in steps
    (outgoing,) = [o for o in review.outputs if o.name == "said"]
    assert "SINGLE ROWS" in outgoing.each_row
    assert "kept.risk" in outgoing.derived_from
    world.approve(job_id)
    world.run(job_id)
    results = world.cy.results(job_id)
    likewise = world.cy.results(trained.job_id)["likewise"].table
    assert len(set(likewise.column("prediction").to_pylist())) > 1
    assert results["said"].table.equals(likewise)
    assert results["best"].table.num_rows == 3
    assert results["near"].table.to_pydict() == {"patient": [201, 202, 203], "near": [0, 1, 1]}
    assert world.bo.results(job_id)["own_bo"].table.equals(likewise)
    inputs = world.cy.verify_job(job_id).receipt.value.inputs
    assert sorted(inputs) == ["bo.visits", "kept.centres", "kept.risk"]


def test_nobody_opens_a_kept_model_or_runs_it_without_all_who_keep_it(trained, world):
    job = world.cy.verify_job(trained.job_id)
    for party in world.parties.values():
        with pytest.raises(UsageError, match="nobody can open it"):
            open_result(
                job,
                "risk",
                recipient=party.name,
                key=party.identity.receiving,
                read_blob=party.coordinator.get_blob,
            )
    job_id = world.propose(PREDICT.format(name="risk", to="cy"))
    assert world.cy.review(job_id).review.approvers == ("ada", "bo")
    world.approve(job_id, "bo")  # whose rows alone are predicted
    with pytest.raises(JobError):
        world.cy.coordinator.start(job_id)
    world.ada.reject(job_id, "not for this")
    with pytest.raises(JobError):
        world.run(job_id)


USES = {
    'job.release("m", model, to=["cy"])': "is a kept model, which never leaves",
    'job.keep(model, name="again")': "is a kept model, which never leaves",
    'job.release("m", model.get_score(), to=["cy"])': "a kept model predicts, and nothing else",
    'job.release("m", model.get_dump(), to=["cy"])': "a kept model predicts, and nothing else",
    'job.release("m", model.history(), to=["cy"])': "a kept model predicts, and nothing else",
    'job.release("m", model[0:1], to=["cy"])': "a kept model predicts, and nothing else",
    'model.set_attr(a="b")': "a kept model predicts, and nothing else",
    "mc2.xgboost.train({}, labelled, 1, xgb_model=model)": "a kept model predicts, and nothing",
    'job.release("m", job.kept("centres"), to=["cy"])': "is a kept model, which never leaves",
    'job.sql("SELECT * FROM kept.risk")': "kept.risk is a model, and no table",
    'job.table("kept.risk")': "kept.risk is a model, and no table",
    'job.kept("centre")': "there is no dataset 'kept.centre'",
    "model.predict(labelled)": "has not the features that the model was trained on",
}


@pytest.mark.parametrize("line", USES)
def test_whatever_would_show_more_of_it_than_predictions_is_refused(world, line):
    script = PREDICT.format(name="risk", to="cy") + (
        'labelled = mc2.xgboost.DMatrix(job.table("bo.visits"), label="ill", features=["glucose"])'
        f"\n{line}\n"
    )
    with pytest.raises(PlanError, match=USES[line]):
        world.propose(script)


def test_models_that_cannot_be_kept_are_refused(world):
    categories = ONE.replace("label", 'categorical=["site"], label').replace(
        '["glucose"]', '["glucose", "site"]'
    )
    with pytest.raises(PlanError, match="the categories of 'site', so the model cannot be kept"):
        world.propose(categories.format(name="kinds"))
    for script in (ONE.format(name="dark"), PREDICT.format(name="risk", to="cy")):
        with pytest.raises(PlanError, match="oblivious"):
            world.propose(script.replace('("One', '(mode="oblivious", title="One'))


def test_an_older_model_is_refused_once_a_newer_one_is_proved(world):
    alone(world, ONE.format(name="twice"))
    old = world.propose(PREDICT.format(name="twice", to="cy"))
    alone(world, ONE.format(name="twice").replace('"max_depth": 1', '"max_depth": 2'))
    with pytest.raises(DatasetError, match="the newest seen here"):
        world.ada.review(old)


def test_another_model_in_its_place_is_refused_by_the_enclave(trained, world):
    job_id = world.propose(PREDICT.format(name="risk", to="cy"))
    world.approve(job_id)
    other = world.cy.verify_job(trained.job_id).results["centres"]

    def lie(raw):
        value = decode(raw, LIMITS.bundle_bytes, "test")
        value["kept"]["kept.risk"] = replace(other, output="risk").json()
        return encode(value)

    world.lie = Lie(bundle=lie)
    error = fails(world, job_id)
    assert isinstance(error, DatasetError)
    assert "kept.risk is not the one in the plan" in str(error)
    assert "model" in str(error)


def test_altered_chunks_of_a_kept_model_are_refused(trained, world):
    names = {c.digest for c in world.cy.verify_job(trained.job_id).results["risk"].chunks}

    def lie(name, read):
        raw = read(name)
        return raw[:-1] + bytes([raw[-1] ^ 1]) if name in names else raw

    world.lie = Lie(chunk=lie)
    job_id = world.propose(PREDICT.format(name="risk", to="cy"))
    world.approve(job_id)
    assert isinstance(fails(world, job_id), DatasetError)


def test_the_rules_of_the_rows_that_it_learnt_from_follow_into_predictions(world):
    policy = UsagePolicy(recipients=("bo",), models=ModelPolicy(bare=True))
    world.ada.upload(VISITS_A, "private", policy=policy)
    script = ONE.format(name="private").replace("ada.visits", "ada.private")
    with pytest.raises(PolicyError, match="strip_statistics=True"):
        world.propose(script)
    job_id = alone(world, script.replace("num_boost_round=1", "1, strip_statistics=True"))
    result = world.cy.verify_job(job_id).results["private"]
    assert result.kept.policy == UsagePolicy(
        recipients=("ada", "bo"), models=ModelPolicy(bare=True)
    )
    use = PREDICT.format(name="private", to="cy")
    with pytest.raises(PolicyError, match="ada does not allow cy to receive said"):
        world.propose(use)
    use = PREDICT.format(name="private", to="bo")
    with pytest.raises(PlanError, match="without statistics tells no contributions"):
        world.propose(use.replace("predict(rows)", "predict(rows, pred_contribs=True)"))
    assert world.ada.review(world.propose(use)).review.approvers == ("ada", "bo")


def test_an_enclave_that_writes_other_facts_of_a_model_is_not_believed(tmp_path, monkeypatch):
    honest = Shared.split

    def lying(self, key, context, output):
        sealed, kept = honest(self, key, context, output)
        return sealed, replace(kept, model={**kept.model, "rounds": 9})

    monkeypatch.setattr(Shared, "split", lying)
    with make_world(tmp_path) as world:
        world.agree()
        world.ada.upload(VISITS_A, "visits")
        job_id = alone(world, ONE.format(name="lied"))
        with pytest.raises(ReceiptError, match="the kept result lied has another model than"):
            world.cy.verify_job(job_id)
