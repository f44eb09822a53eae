"""Scripts with XGBoost from their text to their results, beside stock XGBoost on pooled rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sklearn.base
import xgboost
from tests.support.catalogs import PACKAGES, catalog_of_one_kind
from tests.support.plans import LIMITS, table_rows
from tests.support.training import KINDS, columns, pooled, raw, source, stock, stock_matrix

import mc2
from mc2.engine.run import execute
from mc2.errors import EngineError, PlanError
from mc2.plan.check import check_plan
from mc2.plan.models import Train
from mc2.planner.script import compile_here

START = """
import mc2
import numpy as np
from mc2 import xgboost
job = mc2.Job("t")
t, u = job.table("ada.t"), job.table("bob.u")
F = ["x", "y", "z"]
d = xgboost.DMatrix(t, u, label="t", features=F)
"""

CATALOG = catalog_of_one_kind(KINDS, "ada.t", "bob.u")
ALONE = START.replace(
    't, u = job.table("ada.t"), job.table("bob.u")', 't = job.table("ada.t")'
).replace("(t, u, ", "(t, ")


def compiled(body, release=True, start=START):
    end = '\njob.release("r", r, to=["ada"])\n' if release else "\n"
    return compile_here(start + body + end, name="s.py", catalog=CATALOG, packages=PACKAGES)


def run(body, release=True, start=START):
    plan = compiled(body, release, start)
    tables = {"ada.t": source(1), "bob.u": source(2)}
    return execute(
        check_plan(plan),
        {n: tables[n] for n in [i.dataset for i in plan.inputs]},
        LIMITS,
        lambda _: None,
    )


def model(body):
    return run(body)["r"].raw


def rows(body):
    return table_rows(run(body)["r"].table)


def refused(body):
    with pytest.raises(PlanError) as error:
        compiled(body)
    return str(error.value)


def both(label="t"):
    return stock_matrix(pooled(1, 2), label)


# An objective and a metric, as data scientists write them: the same text runs here and there.
OWN = """
def huber(preds, dtrain):
    gap = preds - dtrain.get_label()
    scale = 1 + (gap / 0.7) * (gap / 0.7)
    root = np.sqrt(scale)
    return gap / root, 1 / (scale * root)

def logistic(preds, dtrain):
    y = np.where(dtrain.get_label() > 2, 1.0, 0.0)
    p = 1.0 / (1.0 + np.exp(-preds))
    return p - y, np.maximum(p * (1.0 - p), 1e-6)

def far(preds, dtrain):
    return "far", np.mean(np.abs(preds - dtrain.get_label()))

def near(preds, dtrain):
    gap = (preds - dtrain.get_label()) * (preds - dtrain.get_label())
    return "near", (gap * dtrain.get_label()).sum() / dtrain.get_label().sum()
"""


@pytest.mark.parametrize("name", ["huber", "logistic"])
@pytest.mark.parametrize("metric", ["far", "near"])
def test_the_same_function_trains_the_same_model(name, metric):
    own = {"np": np}
    exec(OWN, own)  # noqa: S102 - the text above
    found = run(
        OWN + f"m = xgboost.train({{'max_depth': 3, 'disable_default_eval_metric': 1}}, d, 4, "
        f"obj={name}, custom_metric={metric}, evals=[(d, 'seen')])\n"
        "r = m.history()\njob.release('m', m, to='ada')"
    )
    history = {}
    expected = stock(
        {"max_depth": 3, "disable_default_eval_metric": 1}, both(), 4, obj=own[name],
        custom_metric=own[metric], evals=[(both(), "seen")], evals_result=history,
    )  # fmt: skip
    assert found["m"].raw == raw(expected)
    told = [r[3] for r in table_rows(found["r"].table)]
    assert told == pytest.approx(history["seen"][metric], rel=1e-7)  # XGBoost's text has 17 digits


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return preds", "obj= gives a pair"),
        ("return preds, 1, 2", "obj= gives a pair"),
        ("return preds, 'x'", "no number of a formula"),
        ("return preds > 0, preds", "gradient and hessian are numbers"),
        ("return 1.0, 2.0", "no number of a formula"),
        ("y = dtrain.get_label()\n    return y, y", "does not read the prediction"),
        ("if preds > 0:\n        return preds, preds\n    return preds, preds", "np.where"),
        ("for p in preds:\n        pass\n    return preds, preds", "in the enclave only"),
        ("return preds[0], preds", "in the enclave only"),
        ("return preds * len(preds), preds", "in the enclave only"),
        ("w = dtrain.get_weight()\n    return preds * w, w", "reads weights"),
        ("return np.nothing(preds), preds", "'nothing' may not stand after a dot"),
        ("return np.exp(preds, preds), preds", "takes 1 arguments"),
        ("return preds * True, preds", "a bool is no number"),
    ],
)
def test_objectives_that_are_none(body, words):
    script = f"def f(preds, dtrain):\n    {body}\nr = xgboost.train({{}}, d, 1, obj=f)"
    with pytest.raises(PlanError) as error:
        compiled(script)
    assert words in f"{error.value} {error.value.hint}"


def test_gradients_that_are_no_numbers_fail():
    script = "def f(preds, dtrain):\n    return np.log(preds - preds), preds * 0 + 1\n"
    with pytest.raises(EngineError, match="gradient or hessian is not a number"):
        run(script + "r = xgboost.train({}, d, 1, obj=f)")


def test_functions_are_shown_to_reviewers():
    from mc2.client.plan_words import step_words

    plan = compiled(OWN + "r = xgboost.train({}, d, 1, obj=logistic)")
    place = next(i for i, n in enumerate(plan.nodes) if isinstance(n.operation, Train))
    words = step_words(plan, place)
    assert "t1 = 1.0 / (1.0 + exp(-prediction))" in words
    assert "gradient = t1 - where(label > 2.0, 1.0, 0.0)" in words
    assert "hessian = maximum(t1 * (1.0 - t1), 1e-06)" in words


def test_an_altered_formula_is_another_plan():
    plan = compiled(OWN + "r = xgboost.train({}, d, 1, obj=logistic)")
    node = next(n for n in plan.nodes if isinstance(n.operation, Train))
    formula = node.operation.objective
    steps = tuple(
        replace(s, text="1.5") if (s.function, s.text) == ("number", "1.0") else s
        for s in formula.steps
    )
    changed = replace(
        node, operation=replace(node.operation, objective=replace(formula, steps=steps))
    )
    other = replace(plan, nodes=tuple(changed if n is node else n for n in plan.nodes))
    assert other.digest != plan.digest


def test_a_script_of_stock_xgboost():
    found = run(
        "params = {'max_depth': 3, 'learning_rate': 0.5, 'monotone_constraints': {'y': 1},\n"
        "          'interaction_constraints': [['x', 'y']], 'eval_metric': ['rmse', 'mae']}\n"
        "cb = [xgboost.callback.EarlyStopping(rounds=2, save_best=True),\n"
        "      xgboost.callback.LearningRateScheduler(lambda i: 0.5 - 0.02 * i)]\n"
        "m = xgboost.train(params, d, 20, evals=[(d, 'a')], verbose_eval=False, callbacks=cb)\n"
        "m.set_attr(purpose='trial')\n"
        "r = m\n"
        "job.release('score', m.get_score(importance_type='gain'), to='ada')\n"
        "job.release('first', m[0:2].predict(d, keep=['id']), to='ada')"
    )
    callbacks = [
        xgboost.callback.EarlyStopping(rounds=2, save_best=True),
        xgboost.callback.LearningRateScheduler([0.5 - 0.02 * i for i in range(20)]),
    ]
    expected = stock(
        {"max_depth": 3, "learning_rate": 0.5, "monotone_constraints": "(0,1,0)",
         "interaction_constraints": "[[0,1]]", "eval_metric": ["rmse", "mae"]},
        both(), 20, evals=[(both(), "a")], callbacks=callbacks,
    )  # fmt: skip
    expected.set_attr(purpose="trial")
    assert found["r"].raw == raw(expected)
    score = {r[1]: r[3] for r in table_rows(found["score"].table)}
    assert score == expected.get_score(importance_type="gain")
    first = [r[1] for r in table_rows(found["first"].table)]
    assert first == expected[0:2].predict(both()).tolist()


def test_cross_validation():
    found = rows("r = xgboost.cv({'max_depth': 3}, d, 3, nfold=4, metrics='mae', seed=5)")
    expected = xgboost.cv(
        {"max_depth": 3}, both(), 3, nfold=4, metrics="mae", seed=5, as_pandas=False
    )
    assert [r[3] for r in found if r[1] == "test"] == [float(v) for v in expected["test-mae-mean"]]
    found = rows("r = xgboost.cv({}, d, 2, folds='fold', metrics='mae')")
    assert len(found) == 4


# The wrappers of scikit-learn.


def stock_data(label):
    data = pooled(1, 2)
    return np.stack([data[f] for f in "xyz"], axis=1).astype(np.float32), data[label]


@pytest.mark.parametrize("early", [None, 2])
def test_regressors(early):
    settings = f"n_estimators=12, learning_rate=0.9, max_depth=3, early_stopping_rounds={early}"
    found = run(
        f"m = xgboost.XGBRegressor({settings})\n"
        "m.fit([t, u], 't', features=F, sample_weight='w', eval_set=[(t, 't')], verbose=False)\n"
        "r = m.predict([t, u])\njob.release('m', m, to='ada')\n"
        "job.release('h', m.evals_result(), to='ada')"
    )
    x, y = stock_data("t")
    expected = xgboost.XGBRegressor(
        n_estimators=12, learning_rate=0.9, max_depth=3, early_stopping_rounds=early, objective="reg:squarederror"
    )  # fmt: skip
    weight, first = pooled(1, 2)["w"], slice(0, 300)
    expected.fit(
        x, y, sample_weight=weight, eval_set=[(x[first], y[first])], verbose=False,
        sample_weight_eval_set=[weight[first]],
    )  # fmt: skip
    assert [r[0] for r in table_rows(found["r"].table)] == expected.predict(x).tolist()
    history = expected.evals_result()["validation_0"]["rmse"]
    assert [r[3] for r in table_rows(found["h"].table)] == history


def test_classifiers():
    found = run(
        "m = xgboost.XGBClassifier(n_estimators=5, max_depth=3)\n"
        "m.fit([t, u], 'cls', features=F, n_classes=3)\n"
        "r = m.predict([t, u])\njob.release('p', m.predict_proba([t, u]), to='ada')"
    )
    x, y = stock_data("cls")
    expected = xgboost.XGBClassifier(n_estimators=5, max_depth=3).fit(x, y)
    assert [r[0] for r in table_rows(found["r"].table)] == expected.predict(x).tolist()
    assert [list(r) for r in table_rows(found["p"].table)] == expected.predict_proba(x).tolist()


def test_rankers_and_forests():
    ranked = run(
        "m = xgboost.XGBRanker(n_estimators=3, max_depth=3)\n"
        "m.fit(t, 'grade', qid='q', features=F)\nr = m.predict(t, keep=['id'])",
        start=ALONE,
    )
    data = columns(1)
    x = np.stack([data[f] for f in "xyz"], axis=1).astype(np.float32)
    stock_ranker = xgboost.XGBRanker(n_estimators=3, max_depth=3)
    stock_ranker.fit(x, data["grade"], qid=data["q"])
    said = dict(table_rows(ranked["r"].table))
    assert [said[i] for i in range(300)] == stock_ranker.predict(x).tolist()
    forest = rows(
        "m = xgboost.XGBRFRegressor(n_estimators=7, random_state=3)\n"
        "m.fit([t, u], 't', features=F)\nr = m.predict([t, u])"
    )
    x, y = stock_data("t")
    stock_forest = xgboost.XGBRFRegressor(n_estimators=7, random_state=3).fit(x, y)
    assert [r[0] for r in forest] == stock_forest.predict(x).tolist()


def test_wrappers_can_be_cloned_and_asked():
    estimator = mc2.xgboost.XGBClassifier(max_depth=3, learning_rate=0.1)
    twin = sklearn.base.clone(estimator)
    assert twin.get_params() == estimator.get_params()
    assert twin.get_params()["max_depth"] == 3
    assert twin.set_params(max_depth=5).get_params()["max_depth"] == 5
    assert estimator.get_params()["max_depth"] == 3
    other = mc2.xgboost.clone(estimator)
    assert other.get_params() == estimator.get_params()
    with pytest.raises(PlanError, match="not fitted"):
        twin.get_booster()
    with pytest.raises(PlanError, match="only the enclave knows how good"):
        twin.score(None, None)


# Each owner's predictions.


def test_each_owner_gets_its_own_rows_and_nobody_elses():
    body = (
        "m = xgboost.train({'max_depth': 3}, d, 3)\n"
        "everything = job.sql('SELECT id AS who, x, y, z FROM {a} UNION ALL "
        "SELECT id, x, y, z FROM {b}', a=t, b=u)\n"
        "some = job.sql('SELECT * FROM {e} WHERE who < 100', e=everything)\n"
        "job.release_to_owners('risk', m, some, keep=['who'], name='risk')"
    )
    plan = compiled(body, release=False)
    assert {o.name: o.recipients for o in plan.outputs} == {
        "risk_ada": ("ada",),
        "risk_bob": ("bob",),
    }
    checked = check_plan(plan)
    predictions = {
        o.name: checked.lineages[plan.nodes[o.node].operation.matrix] for o in plan.outputs
    }
    assert predictions["risk_ada"].datasets == {"ada.t"}
    assert predictions["risk_bob"].datasets == {"bob.u"}
    found = run(body, release=False)
    booster = stock({"max_depth": 3}, both(), 3)
    for name, seed in (("risk_ada", 1), ("risk_bob", 2)):
        said = booster.predict(stock_matrix(pooled(seed)))[:100]
        assert table_rows(found[name].table) == list(enumerate(said.tolist()))


def test_joined_rows_belong_to_nobody_alone():
    words = refused(
        "m = xgboost.train({}, d, 1)\n"
        "j = job.sql('SELECT a.x, b.y, a.z FROM {a} AS a JOIN {b} AS b ON a.id = b.id', a=t, b=u)\n"
        "job.release_to_owners('risk', m, j)\nr = m"
    )
    assert "derive from ada, bob together" in words


def test_rows_of_both_owners_in_each_leaf():
    body = "r = xgboost.train({'min_child_weight': 20}, d, 2, min_leaf_owners=2, min_leaf_rows=20)"
    assert model(body) == raw(stock({"min_child_weight": 20}, both(), 2))
    with pytest.raises(EngineError, match="fewer than 2 owners"):
        run("r = xgboost.train({}, d, 1, min_leaf_owners=2)", start=ALONE)


# Released models at home.


def test_released_models_are_opened_by_stock_xgboost(tmp_path):
    found = model("r = xgboost.train({'max_depth': 3}, d, 2)")
    booster = mc2.xgboost.load_model(found)
    assert isinstance(booster, xgboost.Booster)
    for name in ("m.json", "m.ubj"):
        mc2.xgboost.save_model(found, tmp_path / name)
        again = mc2.xgboost.load_model(tmp_path / name)
        assert again.predict(both()).tolist() == booster.predict(both()).tolist()
    with pytest.raises(mc2.errors.UsageError, match=r"\.json or \.ubj"):
        mc2.xgboost.save_model(found, tmp_path / "m.pkl")
    with pytest.raises(mc2.errors.UsageError, match="no XGBoost model"):
        mc2.xgboost.load_model(b"{}")
