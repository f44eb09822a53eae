"""Kept models predict as stock XGBoost does with the file, and other files are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import xgboost
from pandas import CategoricalDtype

from mc2.crypto.digest import digest
from mc2.engine.limits import EngineLimits
from mc2.engine.run import execute
from mc2.errors import EngineError
from mc2.formats.arrow import arrow_schema, schema_of
from mc2.formats.linear_model import ClustersFile, RegressionFile
from mc2.formats.result import MODEL_COLUMNS
from mc2.formats.schema import Column, Schema, parse_type
from mc2.plan.build import PlanBuilder
from mc2.plan.check import check_plan
from mc2.plan.kept_models import ModelFacts
from mc2.plan.linear_models import Apply, FitClusters, FitLinear
from mc2.plan.models import Categories, Matrix, Predict, Recall, Train
from mc2.plan.parameters import parameters
from mc2.plan.plan import Plan, PlanInput, PlanOutput
from mc2.plan.relations import Scan

DRAWN = np.random.default_rng(7)
ROWS = pa.table({"a": DRAWN.normal(size=60), "b": pa.array(DRAWN.integers(0, 9, 60), pa.int32())})
SIGNS = (np.asarray(ROWS["a"]) + np.asarray(ROWS["b"]) > 4).astype(np.float32)
NAMES, KINDS = ["a", "b"], ["float", "int"]
FEATURES = Schema(
    (
        Column("a", parse_type("double"), nullable=False),
        Column("b", parse_type("int32"), nullable=False),
    )
)


class Rows:
    def __init__(self, table):
        self.schema, self._table = schema_of(table.schema), table

    def batches(self):
        return iter(self._table.to_batches())


class File:
    """A kept model as a job reads it."""

    schema = MODEL_COLUMNS

    def __init__(self, raw):
        self._raw = raw

    def batches(self):
        yield pa.record_batch([pa.array([self._raw], pa.binary())], arrow_schema(MODEL_COLUMNS))


def matrix(names=NAMES, kinds=KINDS, label=SIGNS):
    columns = [np.asarray(ROWS[n], dtype=np.float32) for n in NAMES]
    return xgboost.DMatrix(
        np.stack(columns, axis=1), label, feature_names=names, feature_types=kinds
    )


def stock(settings, rounds=4, **given):
    return xgboost.train({"nthread": 1, **settings}, matrix(**given), rounds)


def facts(operation, margins=1, values=1, rounds=4, *, has_best=False):
    return ModelFacts(
        operation=operation,
        matrix=Matrix((0,), ("a", "b")),
        features=FEATURES,
        margins=margins,
        values=values,
        rounds=rounds,
        has_best=has_best,
    )


def boosted(settings, **known):
    return facts(Train(0, parameters(settings), 4), **known)


def said(known, raw, table=ROWS, **asked):
    """The columns that a plan gets from a kept model over the rows."""
    schema = schema_of(table.schema)
    data = PlanInput(
        dataset="ada.rows", owner="ada", manifest=digest(b"d"), schema=schema, row_bound=100
    )
    model = PlanInput(
        dataset="kept.m",
        owner="kept",
        manifest=digest(b"m"),
        schema=MODEL_COLUMNS,
        row_bound=1,
        kept=("ada",),
        model=known,
    )
    builder = PlanBuilder((data, model))
    rows = builder.add(replace(known.matrix, sources=(builder.add(Scan(0, schema.names)),)))
    kind = Predict if isinstance(known.operation, Train) else Apply
    node = builder.add(kind(builder.add(Recall(1)), rows, **asked))
    output = PlanOutput(name="p", node=node, kind="table", recipients=("ada",))
    nodes, outputs = builder.finish([output])
    plan = Plan(
        title="T",
        mode="encrypted",
        contract=digest(b"c"),
        script_name="s.py",
        script="",
        packages={},
        inputs=(data, model),
        nodes=nodes,
        outputs=outputs,
    )
    sources = {"ada.rows": Rows(table), "kept.m": File(raw)}
    limits = EngineLimits(memory_bytes=1 << 29, threads=2)
    found = execute(check_plan(plan), sources, limits, lambda _: None)["p"]
    return np.stack([np.asarray(c) for c in found.table.columns], axis=1)


TREES = {"max_depth": 3, "min_child_weight": 0}


@pytest.mark.parametrize(
    ("settings", "known"),
    [
        ({"objective": "binary:logistic", **TREES}, {}),
        ({"booster": "dart", "rate_drop": 0.5, "objective": "binary:logistic"}, {}),
        ({"booster": "gblinear", "objective": "binary:logistic"}, {}),
        ({"objective": "multi:softprob", "num_class": 3, **TREES}, {"margins": 3, "values": 3}),
        ({"objective": "multi:softmax", "num_class": 3, **TREES}, {"margins": 3}),
        (
            {"objective": "reg:quantileerror", "quantile_alpha": [0.25, 0.75], **TREES},
            {"margins": 2, "values": 2},
        ),
    ],
)
def test_predictions_are_those_of_stock_xgboost(settings, known):
    booster = stock(settings)
    found = said(boosted(settings, **known), bytes(booster.save_raw("json")))
    expected = booster.predict(matrix(label=None))
    assert np.array_equal(found, expected.reshape(len(SIGNS), -1))


def test_the_best_round_is_that_of_the_training():
    watched = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 2, "nthread": 1, "eta": 3.0},
        matrix(),
        9,
        evals=[(matrix(label=1 - SIGNS), "other")],
        early_stopping_rounds=2,
        verbose_eval=False,
    )
    best = watched.best_iteration
    assert best + 1 < watched.num_boosted_rounds()
    settings = {"objective": "binary:logistic", "max_depth": 2}
    known = boosted(settings, rounds=9, has_best=True)
    found = said(known, bytes(watched.save_raw("json")), rounds="best")
    expected = watched.predict(matrix(label=None), iteration_range=(0, best + 1))
    assert np.array_equal(found[:, 0], expected)


PLAIN = {"objective": "binary:logistic", **TREES}
OTHERS = {
    "no model": b"{}",
    "no text": b"\xff\x00",
    "nothing": b"",
    "cut short": bytes(stock(PLAIN).save_raw("json"))[:-9],
    "other names": bytes(stock(PLAIN, names=["a", "c"]).save_raw("json")),
    "other order": bytes(stock(PLAIN, names=["b", "a"]).save_raw("json")),
    "other types": bytes(stock(PLAIN, kinds=["int", "int"]).save_raw("json")),
    "no names": bytes(stock(PLAIN, names=None, kinds=None).save_raw("json")),
    "more rounds": bytes(stock(PLAIN, rounds=5).save_raw("json")),
    "a linear model": RegressionFile("linear", ("a", "b"), (1.0, 2.0), 0.5, 1.0).raw(),
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_files_than_the_plan_describes_are_refused(what):
    with pytest.raises(EngineError) as caught:
        said(boosted(PLAIN), OTHERS[what])
    assert "kept model" in str(caught.value)


def test_a_model_without_the_best_round_that_the_plan_promises_is_refused():
    raw = bytes(stock(PLAIN).save_raw("json"))
    with pytest.raises(EngineError, match="not the one that the plan describes"):
        said(boosted(PLAIN, has_best=True), raw, rounds="best")


REGRESSION = FitLinear(0, "logistic", "1.0")


def test_regressions_and_clusters_say_what_their_files_do():
    raw = RegressionFile("logistic", ("a", "b"), (2.0, 0.5), -3.0, 1.0).raw()
    found = said(facts(REGRESSION, rounds=0), raw, what="margin")
    expected = 2.0 * np.asarray(ROWS["a"]) + 0.5 * np.asarray(ROWS["b"]) - 3.0
    assert np.allclose(found[:, 0], expected, rtol=1e-12)
    centres = ((0.0, 1.0), (0.0, 7.0))
    raw = ClustersFile(("a", "b"), centres, 1.0).raw()
    found = said(facts(FitClusters(0, 2), rounds=0), raw, what="cluster")
    assert np.array_equal(found[:, 0], np.asarray(ROWS["b"]) > 4)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        RegressionFile("linear", ("a", "b"), (2.0, 0.5), -3.0, 1.0).raw(),
        RegressionFile("logistic", ("b", "a"), (2.0, 0.5), -3.0, 1.0).raw(),
        ClustersFile(("a", "b"), ((0.0, 1.0),), 1.0).raw(),
        OTHERS["more rounds"],
    ],
)
def test_other_files_than_of_the_regression_are_refused(raw):
    with pytest.raises(EngineError, match="kept model"):
        said(facts(REGRESSION, rounds=0), raw, what="margin")


def test_another_number_of_centres_is_refused():
    raw = ClustersFile(("a", "b"), ((0.0, 1.0),), 1.0).raw()
    with pytest.raises(EngineError, match="not the one that the plan describes"):
        said(facts(FitClusters(0, 2), rounds=0), raw, what="cluster")


def test_kept_models_over_declared_categories_know_names():
    names = ("blue", "green", "red")
    rows = pa.table(
        {
            "s": pa.array(["red", "blue", "green", None] * 5),
            "k": pa.array([0, 1, 2, 3, 1] * 4, pa.int32()),
        }
    )
    own = Matrix(
        (0,), ("s", "k"), categorical=("s", "k"),
        categories=(Categories("k", count=4), Categories("s", names)),
    )  # fmt: skip
    table = rows.to_pandas().assign(s=lambda t: t["s"].astype(CategoricalDtype(list(names))))
    data = xgboost.DMatrix(
        table, np.arange(20.0), enable_categorical=True, feature_types=["c", "c"]
    )
    booster = xgboost.train({"nthread": 1}, data, 3)
    kinds = schema_of(rows.schema)
    known = ModelFacts(
        operation=Train(0, (), 3),
        matrix=own,
        features=Schema(tuple(Column(c.name, c.type, nullable=False) for c in kinds.columns)),
        margins=1,
        values=1,
        rounds=3,
        has_best=False,
    )
    raw = bytes(booster.save_raw("json"))
    assert np.array_equal(said(known, raw, rows)[:, 0], booster.predict(data))
    with pytest.raises(EngineError, match="declares"):
        said(known, raw, rows.set_column(0, "s", pa.array(["pink"] * 20)))
