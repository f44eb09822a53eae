"""The suite of XGBoost on a real Spark: the same scripts as in one enclave, over tables that are cut.

Of fewer rows than are worth sharing the leader trains on what tasks handed on, and models have the bits
of one enclave. `tests.spark.test_standalone` has shared trainings of both modes.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pytest
from tests.support.catalogs import PACKAGES
from tests.support.differential import catalog_of_tables, in_one_piece
from tests.support.spark_plans import SparkPlans
from tests.support.training import columns

from mc2.engine.outputs import ModelOutput, Output, TableOutput
from mc2.plan.plan import Plan
from mc2.planner.script import compile_here

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NAMES = ("id", "x", "y", "z", "cls", "t", "low", "high", "grade", "q", "w", "m", "fold")
START = """
import mc2
from mc2 import xgboost
job = mc2.Job("t")
t, u = job.table("ada.t"), job.table("ada.u")
F = ["x", "y", "z"]
d, e = (xgboost.DMatrix(s, label="t", features=F, weight="w") for s in (t, u))
c = xgboost.DMatrix(t, u, label="cls", features=F)
def give(name, what):
    job.release(name, what, to="institute")
"""
OBJECTIVES = ("reg:squarederror", "reg:absoluteerror", "reg:tweedie", "reg:gamma", "count:poisson")
BOOSTERS = (
    {"booster": "dart", "rate_drop": 0.3, "seed": 1},
    {"booster": "gblinear"},
    {"tree_method": "exact"},
    {"tree_method": "approx", "max_bin": 16},
    {"grow_policy": "lossguide", "max_leaves": 5, "max_depth": 0},
    {"subsample": 0.5, "colsample_bytree": 0.5, "seed": 7},
    {"monotone_constraints": {"y": 1}},
    {"interaction_constraints": [["x", "y"]]},
)
FEW = """
m = xgboost.train({"max_depth": 3}, d, 3, evals=[(e, "u")], verbose_eval=False)
give("weighted", m)
give("classes", xgboost.train({"objective": "multi:softprob", "num_class": 3}, c, 2))
give("predicted", m.predict(e, keep=["id"]))
"""
MORE = """
ranked = xgboost.XGBRanker(n_estimators=3, max_depth=3)
ranked.fit(t, "grade", qid="q", features=F)
give("ranked", ranked.predict(t, keep=["id"]))
give("left", m.predict(e, keep=["id"], pred_leaf=True))
give("first", m[0:2].predict(e, keep=["id"]))
give("score", m.get_score(importance_type="gain"))
give("folds", xgboost.cv({"max_depth": 3}, c, 3, nfold=4, metrics="mae", seed=5))
give("named", xgboost.cv({}, d, 2, folds="fold", metrics="mae"))
far = xgboost.DMatrix(t, label="t", features=F, missing=-999.0)
give("missing", xgboost.train({"max_depth": 2}, far, 2))
long = xgboost.train({"max_depth": 3}, d, 3, evals=[(e, "u")], early_stopping_rounds=1, xgb_model=m)
give("longer", long)
"""
SUITE = {
    "few": FEW,
    "more": FEW + MORE,
    "objectives": "".join(
        f'give("o{i}", xgboost.train({{"objective": "{o}", "max_depth": 3}}, d, 2, evals=[(e, "u")]))\n'
        for i, o in enumerate(OBJECTIVES)
    ),
    "boosters": "".join(
        f'give("b{i}", xgboost.train({s!r}, d, 2, evals=[(e, "u")]))\n'
        for i, s in enumerate(BOOSTERS)
    ),
}


def table(seed: int, rows: int) -> pa.Table:
    """Made-up rows; what is not a number is NULL."""
    found = columns(seed, rows)
    arrays = {n: pa.array(found[n], from_pandas=True) for n in NAMES}
    return pa.table(arrays)


def compiled(body: str, tables: Mapping[str, pa.Table]) -> Plan:
    catalog = catalog_of_tables(tables)
    return compile_here(START + body, name="t.py", catalog=catalog, packages=PACKAGES)


def alike(found: Mapping[str, Output], expected: Mapping[str, Output]) -> None:
    """The bits of models, and rows in their order."""
    assert found.keys() == expected.keys()
    for name, output in expected.items():
        other = found[name]
        if isinstance(output, ModelOutput):
            assert isinstance(other, ModelOutput)
            assert other.raw == output.raw, name
        else:
            assert isinstance(output, TableOutput)
            assert isinstance(other, TableOutput)
            assert other.table.to_pylist() == output.table.to_pylist(), name


@pytest.mark.parametrize("body", SUITE.values(), ids=SUITE)
def test_models_and_predictions_are_those_of_one_enclave(
    spark_plans: SparkPlans, body: str
) -> None:
    tables = {"ada.t": table(1, 400), "ada.u": table(2, 300)}
    plan = compiled(body, tables)
    found = spark_plans.run(plan, tables)
    assert found.tasks
    alike(found.outputs, in_one_piece(plan, tables))
