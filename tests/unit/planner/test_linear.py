"""Scripts with linear models and k-means from their text to their results, beside scikit-learn."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn import cluster, linear_model
from tests.support.catalogs import PACKAGES, catalog_of_one_kind
from tests.support.plans import LIMITS, Source, schema, table_rows

import mc2
from mc2.client.linear_words import linear_holds
from mc2.client.plan_words import step_words
from mc2.engine.run import execute
from mc2.errors import EngineError, PlanError, PolicyError, UsageError
from mc2.formats.manifest import ModelPolicy
from mc2.plan import rules
from mc2.plan.check import check_plan
from mc2.plan.lineage import MODEL
from mc2.plan.plan import Plan
from mc2.planner.script import compile_here

KINDS = schema(
    id="int64!", a="double", b="double!", c="int32!", w="double!", y="double", cls="boolean!",
    name="string",
)  # fmt: skip
FEATURES = ("a", "b", "c")
START = """
import mc2
from mc2 import linear, clusters
job = mc2.Job("t")
F = ["a", "b", "c"]
"""


def columns(seed, rows=200):
    random = np.random.default_rng(seed)
    found = {
        "id": np.arange(rows) + 1000 * seed,
        "a": random.standard_normal(rows) * 3 + 20,
        "b": random.standard_normal(rows) / 50,
        "c": random.integers(-3, 9, rows),
        "w": random.uniform(0.5, 2, rows),
    }
    y = found["a"] * 2 - found["b"] * 30 + found["c"] + random.standard_normal(rows)
    return {**found, "y": y, "cls": y + 3 * random.standard_normal(rows) > 42, "name": [""] * rows}


def source(seed, rows=200, **changed):
    found = {**columns(seed, rows), **changed}
    listed = [list(map(plain, found[c.name])) for c in KINDS.columns]
    return Source(KINDS, list(zip(*listed, strict=True)), batch=64)


def plain(value):
    return value.item() if isinstance(value, np.generic) else value


def pooled():
    one, two = columns(1), columns(2)
    both = {n: np.concatenate([one[n], two[n]]) for n in one}
    return np.stack([both[f] for f in FEATURES], axis=1).astype(float), both


def tables_of(body):
    """A script may not read a table in vain."""
    named = {"t": "ada.t", "u": "bob.u"}
    return "".join(
        f'{n} = job.table("{d}")\n' for n, d in named.items() if re.search(rf"\b{n}\b", body)
    )


def compiled(body, *, release=True):
    catalog = catalog_of_one_kind(KINDS, "ada.t", "bob.u")
    end = '\njob.release("r", r, to=["ada"])\n' if release else "\n"
    return compile_here(
        START + tables_of(body) + body + end, name="s.py", catalog=catalog, packages=PACKAGES
    )


def run(body, tables=None, *, release=True):
    plan = compiled(body, release=release)
    tables = tables or {"ada.t": source(1), "bob.u": source(2)}
    read = {i.dataset: tables[i.dataset] for i in plan.inputs}
    return execute(check_plan(plan), read, LIMITS, lambda _: None)


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)


LINEAR = [
    ("LinearRegression()", linear_model.LinearRegression()),
    ("LinearRegression(fit_intercept=False)", linear_model.LinearRegression(fit_intercept=False)),
    ("Ridge(alpha=3.5)", linear_model.Ridge(3.5, solver="svd")),
    ("Ridge(2, fit_intercept=False, copy_X=True)", linear_model.Ridge(2, fit_intercept=False)),
    ("Lasso(alpha=0.3)", linear_model.Lasso(0.3, tol=1e-14, max_iter=100_000)),
    (
        "ElasticNet(0.4, l1_ratio=0.25, fit_intercept=False)",
        linear_model.ElasticNet(
            0.4, l1_ratio=0.25, fit_intercept=False, tol=1e-14, max_iter=100_000
        ),
    ),
]


@pytest.mark.parametrize(("text", "stock"), LINEAR, ids=[t for t, _ in LINEAR])
def test_regressions_over_two_owners(text, stock):
    raw = run(f'r = linear.{text}.fit([t, u], "y", sample_weight="w", features=F)')["r"].raw
    x, data = pooled()
    stock.fit(x, data["y"], data["w"])
    found = mc2.linear.load_model(raw)
    close(found.coef_, stock.coef_)
    close(found.intercept_, stock.intercept_)
    close(found.predict(x), stock.predict(x))
    close(found.to_sklearn().predict(x), stock.predict(x))
    assert found.feature_names_in_.tolist() == list(FEATURES)


@pytest.mark.parametrize("strength", [0.1, 10])
def test_logistic_regression_over_two_owners(strength):
    raw = run(f'r = linear.LogisticRegression(C={strength}).fit([t, u], "cls", features=F)')[
        "r"
    ].raw
    x, data = pooled()
    stock = linear_model.LogisticRegression(
        C=strength, solver="newton-cholesky", tol=1e-12, max_iter=1000
    ).fit(x, data["cls"].astype(int))
    found = mc2.linear.load_model(raw)
    close(found.coef_, stock.coef_[0])
    close(found.intercept_, stock.intercept_[0])
    close(found.predict_proba(x), stock.predict_proba(x))
    assert found.predict(x).tolist() == stock.predict(x).tolist()
    close(found.to_sklearn().predict_proba(x), stock.predict_proba(x))


def test_regression_over_three_classes():
    outputs = run(
        """
q = job.sql("SELECT *, CASE WHEN y < 39 THEN 0 WHEN y < 44 THEN 1 ELSE 2 END AS kind FROM bob.u")
m = linear.LogisticRegression(C=2.0, classes=3).fit(q, "kind", sample_weight="w", features=F)
job.release("p", m.predict_proba(q, keep=["id"]), to=["bob"])
job.release("k", m.predict(q, keep=["kind"], name="k"), to=["bob"])
job.release("d", m.decision_function(q, name="d"), to=["bob"])
job.release("m", m, to=["bob"])
""",
        release=False,
    )
    x, data = pooled()
    x, said = x[200:], {n: o.table for n, o in outputs.items() if n != "m"}
    stock = linear_model.LogisticRegression(
        C=2.0, solver="newton-cholesky", tol=1e-12, max_iter=1000
    ).fit(x, said["k"].to_pydict()["kind"], data["w"][200:])
    model = mc2.linear.load_model(outputs["m"])
    close(model.coef_, stock.coef_)
    close(model.intercept_, stock.intercept_)
    close(model.predict_proba(x), stock.predict_proba(x))
    close(model.to_sklearn().predict_proba(x), stock.predict_proba(x))
    assert said["p"].column_names == ["id", "probability_0", "probability_1", "probability_2"]
    for name, wanted in (("p", stock.predict_proba(x)), ("d", stock.decision_function(x))):
        columns = [c.to_numpy() for c in said[name].columns[-3:]]
        close(np.stack(columns, axis=1), wanted)
    assert said["k"].to_pydict()["k"] == stock.predict(x).tolist() == model.predict(x).tolist()
    assert set(stock.predict(x)) == {0, 1, 2}


def test_predictions():
    outputs = run(
        """
m = linear.LogisticRegression().fit([t, u], "cls", features=F)
job.release("p", m.predict_proba(u, keep=["id"]), to=["bob"])
job.release("k", m.predict(u, name="k"), to=["bob"])
job.release("d", m.decision_function(u), to=["bob"])
job.release("m", m, to=["bob"])
""",
        release=False,
    )
    x, data = pooled()
    model = mc2.linear.load_model(outputs["m"])
    said = outputs["p"].table.to_pydict()
    assert list(said) == ["id", "probability"]
    assert said["id"] == data["id"][200:].tolist()
    close(said["probability"], model.predict_proba(x[200:])[:, 1])
    close(outputs["d"].table.to_pydict()["margin"], model.decision_function(x[200:]))
    assert outputs["k"].table.to_pydict()["k"] == model.predict(x[200:]).tolist()


def test_k_means_over_two_owners():
    outputs = run(
        """
m = clusters.KMeans(3, init=[[15.0, 0, 0], [20, 0.01, 3.5], [25, 0, 6]]).fit([t, u], features=F)
job.release("m", m, to=["ada"])
job.release("c", m.predict([t, u], keep=["id"], name="c"), to=["ada"])
""",
        release=False,
    )
    x, data = pooled()
    start = np.array([[15.0, 0, 0], [20, 0.01, 3.5], [25, 0, 6]])
    stock = cluster.KMeans(3, init=start, n_init=1, tol=0).fit(x)
    found = mc2.clusters.load_model(outputs["m"])
    close(found.cluster_centers_, stock.cluster_centers_)
    close(found.inertia_, stock.inertia_)
    said = outputs["c"].table.to_pydict()
    assert said == {"id": data["id"].tolist(), "c": stock.labels_.tolist()}
    assert found.predict(x).tolist() == said["c"]


def test_drawn_centres():
    raw = run("r = clusters.KMeans(4, n_init=8, random_state=7).fit([t, u], features=F)")["r"].raw
    stock = cluster.KMeans(4, n_init=10, random_state=0, tol=0).fit(pooled()[0])
    assert mc2.clusters.load_model(raw).inertia_ < stock.inertia_ * 1.02


def test_each_owner_gets_its_own_predictions():
    outputs = run(
        """
m = linear.Ridge().fit([t, u], "y", features=F)
job.release_to_owners("risk", m, [t, u], keep=["id"])
""",
        release=False,
    )
    assert {n: table_rows(o.table)[0][0] for n, o in outputs.items()} == {
        "risk_ada": 1000,
        "risk_bob": 2000,
    }


def test_the_same_matrix_serves_trees_and_lines():
    outputs = run(
        """
d = mc2.xgboost.DMatrix(t, u, label="y", features=F)
job.release("a", mc2.xgboost.train({}, d, 2), to=["ada"])
job.release("b", linear.LinearRegression().fit(d), to=["ada"])
""",
        release=False,
    )
    assert set(outputs) == {"a", "b"}


def test_the_order_of_rows_changes_no_bit():
    body = 'r = linear.LogisticRegression().fit([t, u], "cls", features=F)'
    turned = {
        "ada.t": Source(KINDS, source(1).rows[::-1]),
        "bob.u": Source(KINDS, source(2).rows[::-1]),
    }
    assert run(body)["r"].raw == run(body, turned)["r"].raw


WRONG_DATA = [
    ({"a": [None, *columns(1)["a"][1:]]}, "'a' is NULL"),
    ({"b": [float("nan"), *columns(1)["b"][1:]]}, "'b' is NaN"),
    ({"y": [None, *columns(1)["y"][1:]]}, "'y' is NULL"),
    ({"w": [-1.0, *columns(1)["w"][1:]]}, "weights are negative"),
    ({"w": [0.0] * 200}, "sum up to nothing"),
    (
        {"c": columns(1)["cls"].astype(int), "b": columns(1)["cls"].astype(float)},
        "depend on others",
    ),
]


@pytest.mark.parametrize(("changed", "message"), WRONG_DATA, ids=[m for _, m in WRONG_DATA])
def test_rows_that_give_no_model(changed, message):
    body = 'r = linear.LinearRegression().fit(t, "y", sample_weight="w", features=F)'
    with pytest.raises(EngineError, match=message):
        run(body, {"ada.t": source(1, **changed)})


def test_no_rows():
    with pytest.raises(EngineError, match="no rows"):
        run('r = linear.Ridge().fit(t, "y", features=F)', {"ada.t": Source(KINDS, [])})


def test_labels_that_are_no_classes():
    with pytest.raises(EngineError, match="a label is none of 0 to 1"):
        run('r = linear.LogisticRegression().fit(t, "y", features=F)')
    with pytest.raises(EngineError, match="a label is none of 0 to 3"):
        run('r = linear.LogisticRegression(classes=4).fit(t, "c", features=["a", "b"])')


def test_classes_that_features_part():
    parted = {"cls": columns(1)["b"] > 0}
    body = 'r = linear.LogisticRegression(penalty=None).fit(t, "cls", features=F)'
    with pytest.raises(EngineError, match="did not come to an end"):
        run(body, {"ada.t": source(1, **parted)})


REFUSED = [
    ("linear.Ridge(alpha=-1)", "alpha is a number from 0"),
    ("linear.Ridge(positive=True)", "takes no positive="),
    ('linear.LogisticRegression("l3")', "penalty= is 'l2', 'l1', 'elasticnet' or None"),
    ('linear.LogisticRegression("elasticnet")', "l1_ratio= and penalty='elasticnet' come together"),
    ("linear.LogisticRegression(l1_ratio=0.5)", "l1_ratio= and penalty='elasticnet' come together"),
    ('linear.LogisticRegression("elasticnet", l1_ratio=2)', "l1_ratio is a number from 0 to 1"),
    ("linear.LogisticRegression(classes=1)", "classes= is a whole number from 2"),
    (
        'linear.LogisticRegression("l1", classes=3).fit(t, "c", features=["a"])',
        "more than two classes has no L1 penalty",
    ),
    (
        'linear.LogisticRegression(classes=256).fit(WIDE, "c", exclude=["name"])',
        "more than 2,048 factors",
    ),
    ("linear.Lasso(alpha=0)", "alpha is a number above 0"),
    ("linear.Lasso(l1_ratio=0.5)", "takes no l1_ratio="),
    ("linear.Lasso(positive=True)", "takes no positive="),
    ("linear.ElasticNet(l1_ratio=1.5)", "l1_ratio is a number from 0 to 1"),
    ("linear.LogisticRegression(C=0)", "C= is a number above 0"),
    ("linear.LogisticRegression(max_iter=0)", "max_iter= is a whole number"),
    ("linear.LinearRegression(fit_intercept=1)", "True or False"),
    ("clusters.KMeans(0)", "n_clusters= is a whole number"),
    ("clusters.KMeans(tol=0.1)", "tol= is 0"),
    ('clusters.KMeans(init="random")', "init= is 'k-means"),
    ("clusters.KMeans(2, init=[[1.0]]).fit(t, features=F)", "init= has not n_clusters centres"),
    ('clusters.KMeans(2).fit(t, "y", features=F)', "takes no label"),
    ("linear.Ridge().predict(t)", "not fitted yet"),
    ("linear.Ridge().fit(t, features=F)", "needs a label"),
    ('linear.Ridge().fit(t, "y")', "a feature is a number or a category"),
    (
        'linear.Ridge().fit(t, "y", features=["a", "name"], categorical=["name"])',
        "is a category: features of these models are numbers",
    ),
    ('linear.Ridge().fit(mc2.xgboost.DMatrix(t, label="y", features=F, missing=0))', "no missing"),
    ('linear.Ridge().fit(mc2.xgboost.DMatrix(t, label="y", features=F, qid="id"))', "take no qid"),
    ('linear.Ridge().fit(t, "y", features=F).predict_proba(t)', "predict_proba"),
    ('linear.Ridge().fit(t, "y", features=F).coef_', "coef_"),
]


@pytest.mark.parametrize(("body", "message"), REFUSED, ids=[b for b, _ in REFUSED])
def test_refused_with_a_place(body, message):
    with pytest.raises((PlanError, AttributeError), match=message.replace("(", r"\(")):
        compiled(f"r = {body}".replace("WIDE", 'job.sql("SELECT *, a AS d, b AS e FROM ada.t")'))


def test_plans_survive_their_encoding_and_are_put_in_words():
    plan = compiled(
        """
m = linear.LogisticRegression(C=4.0).fit(t, "cls", features=F)
k = clusters.KMeans(2, init=[[1, 2, 3], [4, 5, 6]]).fit(u, features=F)
job.release("m", m, to=["ada"])
job.release("k", k, to=["ada"])
r = m.predict(t, keep=["id"])
""",
    )
    assert Plan.parse(plan.encode()) == plan
    said = [step_words(plan, i) for i in range(len(plan.nodes))]
    text = "\n".join(said)
    assert "Fit a logistic regression to step" in text
    assert "with a constant, with an L2 penalty of 0.25; fail if 100 steps do not end it" in text
    assert "Find 2 clusters in step" in text
    assert "from the centres 1.0, 2.0, 3.0, 4.0, 5.0, 6.0; at most 300 rounds" in text
    assert "the likeliest class as prediction, keeping id" in text
    checked = check_plan(plan)
    held = {o.name: linear_holds(checked.shapes[o.node]) for o in plan.outputs if o.kind == "model"}
    assert "factor for each" in held["m"][0]
    assert "WARNING" in held["k"][-1]


def test_lineage():
    checked = check_plan(compiled('r = linear.Ridge().fit([t, u], "y", features=["a"])'))
    (output,) = checked.plan.outputs
    found = checked.lineage(output)
    assert found.values[MODEL] == {(d, c) for d in ("ada.t", "bob.u") for c in ("a", "y")}
    assert found.datasets == {"ada.t", "bob.u"}


def test_an_owners_rules_on_leaves_rule_them_out():
    class Manifest:
        owners, dataset = "ada", "ada.t"

        class policy:  # noqa: N801
            models = ModelPolicy(leaf_rows=5)

    checked = check_plan(compiled('r = linear.Ridge().fit([t, u], "y", features=F)'))
    with pytest.raises(PolicyError, match="cannot hold to"):
        rules._check_models(checked, Manifest)


WRONG_FILES = [
    b"", b"[]", b"{}", b'{"type":"mc2/linear-model/v1","features":[1]}',
    b'{"type":"mc2/linear-model/v1","family":"linear","features":["a"],"factors":[],"constant":0,"penalty":0}',
    b'{"type":"mc2/linear-model/v1","family":"linear","features":["a"],"factors":[NaN],"constant":0,"penalty":0}',
    b'{"type":"mc2/linear-model/v1","family":"k-means","features":["a"],"centres":[],"inertia":0}',
    b'{"type":"mc2/linear-model/v1","family":"trees","features":["a"]}',
]  # fmt: skip


@pytest.mark.parametrize("raw", WRONG_FILES)
def test_files_that_are_no_models(raw):
    with pytest.raises(UsageError):
        mc2.linear.load_model(raw)
    with pytest.raises(UsageError):
        mc2.clusters.load_model(raw)
