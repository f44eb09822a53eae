"""A script's own objectives and metrics over several numbers a row, beside stock XGBoost."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.catalogs import PACKAGES, catalog_of_one_kind
from tests.support.plans import LIMITS, table_rows
from tests.support.training import KINDS, pooled, raw, source, stock, stock_matrix

from mc2.client.plan_words import step_words
from mc2.engine.run import execute
from mc2.errors import PlanError
from mc2.plan.check import check_plan
from mc2.plan.models import Train
from mc2.planner.script import compile_here

START = """
import mc2
import numpy as np
from mc2 import xgboost
job = mc2.Job("t")
t = job.table("ada.t")
F = ["x", "y", "z"]
c = xgboost.DMatrix(t, label="cls", features=F)
several = xgboost.DMatrix(t, label=["t", "low"], features=F)
P = {"objective": "multi:softprob", "num_class": 3, "max_depth": 3}
"""

# As data scientists write them: the same text runs here and there.
OWN = """
def softmax(preds, dtrain):
    e = np.exp(preds - preds.max(axis=1, keepdims=True))
    p = e / np.sum(e, axis=1)[:, None]
    y = np.where(dtrain.get_label()[:, None] == np.arange(3), 1.0, 0.0)
    return p - y, np.maximum(2.0 * p * (1.0 - p), 1e-6)

def by_column(preds, dtrain):
    label = dtrain.get_label()
    gaps = [preds[:, i] - np.where(label == i, 1.0, -1.0) for i in range(3)]
    return np.column_stack(gaps), np.ones_like(preds)

def levels(preds, dtrain):
    y = dtrain.get_label().reshape(-1, 1)
    return preds - 0.5 * y * np.arange(3), 1.0 + 0.1 * np.square(preds)

def hits(preds, dtrain):
    best = np.max(preds, axis=1)
    found = np.where(best <= preds[:, 0], 0.0, np.where(best <= preds[:, 1], 1.0, 2.0))
    return "hits", np.mean(np.where(found == dtrain.get_label(), 1.0, 0.0))

def spread(preds, dtrain):
    return "spread", (preds.max(axis=-1) - preds.min(axis=1) + preds.mean(axis=1)).mean()

def huber(preds, dtrain):
    gap = preds - dtrain.get_label().reshape(preds.shape)
    root = np.sqrt(1 + gap * gap)
    return gap / root, 1 / (root * root * root)

def far(preds, dtrain):
    gap = np.abs(preds - dtrain.get_label().reshape(preds.shape))
    return "far", gap.sum(axis=1).mean()
"""


def compiled(body):
    catalog = catalog_of_one_kind(KINDS, "ada.t")
    end = '\njob.release("r", r, to=["ada"])\n'
    return compile_here(START + body + end, name="s.py", catalog=catalog, packages=PACKAGES)


def run(body):
    plan = check_plan(compiled(body))
    return execute(plan, {"ada.t": source(1)}, LIMITS, lambda _: None)


def own():
    found = {"np": np}
    exec(OWN, found)  # noqa: S102 - the text above
    return found


def told(found):
    return [r[3] for r in table_rows(found["h"].table)]


@pytest.mark.parametrize("name", ["softmax", "by_column", "levels"])
@pytest.mark.parametrize("metric", ["hits", "spread"])
def test_the_same_function_trains_the_same_model_of_classes(name, metric):
    found = run(
        OWN + f"r = xgboost.train({{**P, 'disable_default_eval_metric': 1}}, c, 4, obj={name}, "
        f"custom_metric={metric}, evals=[(c, 'seen')])\n"
        "job.release('h', r.history(), to='ada')"
    )
    history, matrix = {}, stock_matrix(pooled(1), "cls")
    wanted = stock(
        {"objective": "multi:softprob", "num_class": 3, "max_depth": 3,
         "disable_default_eval_metric": 1},
        matrix, 4, obj=own()[name], custom_metric=own()[metric], evals=[(matrix, "seen")],
        evals_result=history,
    )  # fmt: skip
    assert found["r"].raw == raw(wanted)
    assert told(found) == pytest.approx(history["seen"][metric], rel=1e-5)


def test_the_same_function_trains_the_same_model_of_several_labels():
    found = run(
        OWN + "r = xgboost.train({'max_depth': 3, 'disable_default_eval_metric': 1}, several, 4, "
        "obj=huber, custom_metric=far, evals=[(several, 'seen')])\n"
        "job.release('h', r.history(), to='ada')"
    )
    data = pooled(1)
    matrix = stock_matrix(data)
    matrix.set_label(np.stack([data["t"], data["low"]], axis=1))
    history = {}
    wanted = stock(
        {"max_depth": 3, "disable_default_eval_metric": 1}, matrix, 4, obj=own()["huber"],
        custom_metric=own()["far"], evals=[(matrix, "seen")], evals_result=history,
    )  # fmt: skip
    assert found["r"].raw == raw(wanted)
    assert told(found) == pytest.approx(history["seen"]["far"], rel=1e-5)


def test_metrics_alone_read_probabilities_and_of_softmax_the_class():
    found = run(
        OWN + "r = xgboost.train(P, c, 3, custom_metric=hits, evals=[(c, 'seen')])\n"
        "job.release('h', r.history(), to='ada')"
    )
    history, matrix = {}, stock_matrix(pooled(1), "cls")
    stock(
        {"objective": "multi:softprob", "num_class": 3, "max_depth": 3}, matrix, 3,
        custom_metric=own()["hits"], evals=[(matrix, "seen")], evals_result=history,
    )  # fmt: skip
    rows = [r[3] for r in table_rows(found["h"].table) if r[2] == "hits"]
    assert rows == pytest.approx(history["seen"]["hits"], rel=1e-5)
    softmax = "def right(preds, d):\n    return 'right', (preds - d.get_label()).mean()\n"
    plan = softmax + "r = xgboost.train({**P, 'objective': 'multi:softmax'}, c, 1, "
    compiled(plan + "custom_metric=right, evals=[(c, 'a')])")
    with pytest.raises(PlanError, match="several numbers a row"):
        compiled(OWN + plan + "custom_metric=hits, evals=[(c, 'a')])")


def test_reviewers_see_what_is_computed():
    plan = compiled(OWN + "r = xgboost.train(P, c, 1, obj=softmax)")
    place = next(i for i, n in enumerate(plan.nodes) if isinstance(n.operation, Train))
    words = step_words(plan, place)
    assert "t1 = exp(prediction - row_max(prediction))" in words
    assert "gradient = t2 - where(label = classes, 1.0, 0.0)" in words
    plan = compiled(OWN + "r = xgboost.train(P, c, 1, obj=by_column)")
    assert "prediction[2] - where(label = 2.0, 1.0, -1.0)" in step_words(plan, place)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return preds - dtrain.get_label(), preds", "one number a row beside several"),
        ("return preds.max(axis=1), preds", "gradient and hessian are not 3 numbers a row"),
        ("return preds - np.arange(4), preds", "do not fit"),
        ("return preds - np.arange(1), preds", "from 2"),
        ("return preds[:, 3][:, None] + preds, preds", "none has the number"),
        ("return preds[:, None], preds", "has one number a row"),
        ("return preds[0], preds", "in the enclave only"),
        ("return preds[:, -1][:, None] + preds, preds", "in the enclave only"),
        ("return preds.sum(axis=0), preds", "of each row"),
        ("return preds.sum(keepdims=True), preds", "of each row"),
        ("return preds.reshape(3, -1), preds", "reshape"),
        ("return preds * preds.shape[1], preds", "num_class"),
        ("return np.stack([preds[:, 0]]), preds", "two or more"),
        ("return (preds > 0).sum(axis=1)[:, None] + preds, preds", "takes numbers"),
        ("return preds > 0, preds", "are numbers"),
    ],
)
def test_objectives_that_are_none(body, words):
    script = f"def f(preds, dtrain):\n    {body}\nr = xgboost.train(P, c, 1, obj=f)"
    with pytest.raises(PlanError) as error:
        compiled(script)
    assert words in f"{error.value} {error.value.hint}"
