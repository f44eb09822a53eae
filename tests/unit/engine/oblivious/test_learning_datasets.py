"""Oblivious training is as good as stock on real data: rows that were not learnt from are judged."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from tests.support.oblivious import opened
from tests.support.oblivious_plans import obliviously
from tests.support.plans import LIMITS, Job, Source, schema

from mc2.engine.oblivious.run import execute
from mc2.engine.run import execute as execute_encrypted
from mc2.operators.run import Run
from mc2.plan.check import check_plan
from mc2.plan.models import Evaluation, History, Matrix, Train
from mc2.plan.parameters import parameters

ROUNDS = 6


def higgs_like():
    """Made up: products and sizes of amounts tell two classes apart, beside noise."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=(700, 8)) * np.exp(rng.normal(size=8))
    score = x[:, 0] * x[:, 1] / 2 + np.abs(x[:, 2]) - x[:, 3] + rng.normal(size=700)
    return x, (score > np.median(score)).astype(float)


def few_digits():
    x, y = load_digits(n_class=4, return_X_y=True)
    return x[:300, 18:38:2], y[:300]


def steps():
    x, y = load_diabetes(return_X_y=True)
    return x, np.round(y / 40)


LOADED = {
    "breast cancer": (lambda: load_breast_cancer(return_X_y=True), "binary:logistic", {}),
    "higgs": (higgs_like, "binary:logistic", {}),
    "diabetes": (lambda: load_diabetes(return_X_y=True), "reg:squarederror", {}),
    "steps": (steps, "count:poisson", {}),
    "wine": (lambda: load_wine(return_X_y=True), "multi:softprob", {"num_class": 3}),
    "digits": (few_digits, "multi:softprob", {"num_class": 4}),
}


def halves(load):
    """Rows to learn from, and as many to judge by."""
    x, y = load()
    order = np.random.default_rng(3).permutation(len(x))
    x, y = x[order], y[order].astype(float)
    names = [f"f{i}" for i in range(x.shape[1])]
    kinds = schema(**dict.fromkeys(names, "double!"), y="double!")
    cells = [(*row, label) for row, label in zip(x.tolist(), y.tolist(), strict=True)]
    middle = len(cells) // 2
    return names, Job(t=Source(kinds, cells[:middle]), u=Source(kinds, cells[middle:]))


def judged(load, settings):
    """The last metrics of both modes, on rows that neither learnt from."""
    names, made = halves(load)
    own, new = (made.add(Matrix((made.scan(n),), tuple(names), label="y")) for n in "tu")
    training = Train(own, parameters(settings), ROUNDS, (Evaluation("new", new),))
    plan = made.plan(h=made.add(History(made.add(training))))
    fast = execute_encrypted(check_plan(plan), made.sources, LIMITS, lambda _: None)
    checked, sources = obliviously(plan, made)
    slow = execute(checked, sources, lambda _: None, Run(), key=bytes(32))
    return fast["h"].table.to_pylist()[-1]["value"], opened(slow["h"]).to_pylist()[-1]["value"]


TRIED = [
    ("breast cancer", 1, 16), ("breast cancer", 6, 256), ("higgs", 3, 64), ("higgs", 8, 32),
    ("diabetes", 3, 16), ("diabetes", 6, 64), ("steps", 3, 64), ("wine", 1, 256), ("wine", 4, 16),
    ("digits", 3, 64),
]  # fmt: skip


@pytest.mark.parametrize(("name", "depth", "bins"), TRIED)
def test_models_judge_new_rows_as_well_as_stock_ones(name, depth, bins):
    load, objective, more = LOADED[name]
    settings = {"objective": objective, "max_depth": depth, "max_bin": bins, "eta": 0.3, **more}
    stock, found = judged(load, {**settings, "gamma": 0.1 if depth == 3 else 0.0})
    assert found <= stock * 1.1 + 0.01
