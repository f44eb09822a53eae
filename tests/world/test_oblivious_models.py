"""A whole job that trains obliviously: two owners' padded rows, a model, and what it predicts."""

import numpy as np
import pyarrow as pa
import pytest
import xgboost
from tests.support.world import VISITS_A, VISITS_B, world

from mc2.client.review_text import review_text
from mc2.client.seal import SealOptions
from mc2.errors import PlanError

SCRIPT = """\
import mc2
from mc2 import xgboost

job = mc2.Job("Each owner its own risks", mode="oblivious")
rows = [job.table("ada.visits"), job.table("bo.visits")]
train = xgboost.DMatrix(rows, label="ill", features=["glucose"])
settings = {"objective": "binary:logistic", "max_depth": 2, "min_child_weight": 0.1}
model = xgboost.train(settings, train, 3)
job.release_to_owners("risk", model, rows, keep=["patient"], name="risk")
"""
RELEASE = 'job.release("model", model, to=["cy"])\n'


@pytest.fixture
def padded(tmp_path):
    with world(tmp_path) as found:
        found.agree()
        options = SealOptions(sizes="padded", row_bound=8, widths={"site": 6})
        found.ada.upload(VISITS_A, "visits", options=options)
        found.bo.upload(VISITS_B, "visits", options=options)
        yield found


def test_predictions_are_those_of_the_model_that_is_released(padded):
    job_id = padded.job(SCRIPT + RELEASE)
    raw = padded.cy.results(job_id)["model"].raw
    booster = xgboost.Booster(model_file=bytearray(raw))
    for party, name, visits in (
        (padded.ada, "risk_ada", VISITS_A),
        (padded.bo, "risk_bo", VISITS_B),
    ):
        table = party.results(job_id)[name].table
        assert table["patient"].to_pylist() == visits["patient"].to_pylist()
        x = np.array(visits["glucose"].to_numpy(zero_copy_only=False), dtype=float).reshape(-1, 1)
        said = booster.predict(xgboost.DMatrix(x, feature_names=["glucose"]))
        assert table["risk"].to_pylist() == pytest.approx(said.tolist(), rel=2e-6)
    assert pa.types.is_float32(table["risk"].type)


def test_the_review_says_whether_the_model_shows(padded):
    for script, shows in ((SCRIPT, False), (SCRIPT + RELEASE, True)):
        review = padded.ada.review(padded.propose(script))
        text = " ".join(review_text(review.review).split())
        assert ("by close watching of memory: it is released" in text) == shows


def test_what_oblivious_training_lacks_is_refused_when_the_script_is_compiled(padded):
    for setting in ('"max_depth": 9', '"max_depth": 2, "tree_method": "exact"'):
        with pytest.raises(PlanError, match="oblivious training has no"):
            padded.propose(SCRIPT.replace('"max_depth": 2', setting))
