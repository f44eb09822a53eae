"""Models that give a number for each of several labels, beside stock XGBoost."""

import numpy as np
import pytest
from tests.support.training import Training, pooled, raw, stock, stock_matrix

from mc2.errors import PlanError
from mc2.plan.models import History, Matrix, Predict, Stopping


@pytest.fixture
def job():
    return Training()


def with_labels(data, *labels, **named):
    found = stock_matrix(data, None, **named)
    found.set_label(np.stack([data[n] for n in labels], axis=1))
    return found


@pytest.mark.parametrize("strategy", ["one_output_per_tree", "multi_output_tree"])
@pytest.mark.parametrize(
    "objective", ["reg:squarederror", "reg:pseudohubererror", "count:poisson", "reg:tweedie"]
)
def test_one_number_for_each_label(job, objective, strategy):
    settings = {"objective": objective, "max_depth": 3, "multi_strategy": strategy}
    own = job.matrix(job.t, job.u, label="t", more_labels=("low", "grade"), weight="w")
    model = job.train(settings, 4, own, evals=[("own", own)], stopping=Stopping(3))
    rows = with_labels(pooled(1, 2), "t", "low", "grade", weight="w")
    metrics: dict[str, dict[str, list[float]]] = {}
    theirs = stock(
        settings, rows, 4, evals=[(rows, "own")], evals_result=metrics, early_stopping_rounds=3
    )
    found = job.run(p=job.add(Predict(model, own)), m=job.add(History(model)), model=model)
    assert found["model"].raw == raw(theirs)
    table = found["p"].table
    assert table.column_names == ["prediction_0", "prediction_1", "prediction_2"]
    mine = np.stack([c.to_numpy() for c in table.columns], axis=1)
    assert np.array_equal(mine, theirs.predict(rows))
    (values,) = metrics["own"].values()
    assert found["m"].table.column("value").to_pylist() == values


def test_base_margins_for_each_label(job):
    own = job.matrix(label="t", more_labels=("low",), base_margin=("m", "m2"))
    model = job.train({"max_depth": 2}, 3, own)
    data = pooled(1)
    rows = with_labels(data, "t", "low")
    rows.set_base_margin(np.stack([data["m"], data["m2"]], axis=1))
    assert job.model(model) == raw(stock({"max_depth": 2}, rows, 3))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"objective": "multi:softprob", "num_class": 3}, "has one label"),
        ({"objective": "rank:ndcg"}, "has one label"),
        ({"objective": "reg:quantileerror", "quantile_alpha": [0.5]}, "has one label"),
        ({"objective": "survival:cox"}, "has one label"),
    ],
)
def test_other_objectives_have_one_label(job, settings, says):
    own = job.matrix(label="t", more_labels=("low",), group="q")
    with pytest.raises(PlanError, match=says):
        job.train(settings, 1, own)


def test_what_several_labels_are_not_for(job):
    own = job.matrix(label="cls", more_labels=("grade",))
    model = job.train({"objective": "binary:logistic"}, 1, own)
    with pytest.raises(PlanError, match="no classes"):
        job.add(Predict(model, own, what="class"))
    with pytest.raises(PlanError, match="as many labels"):
        job.train({}, 1, own, evals=[("one", job.matrix(label="cls"))])
    with pytest.raises(PlanError, match="first one"):
        job.add(Matrix((job.t,), ("x",), more_labels=("t",)))
    with pytest.raises(PlanError, match="stands twice"):
        job.add(Matrix((job.t,), ("x",), "t", more_labels=("t",)))
