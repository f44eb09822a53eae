"""The engine's models are those of stock XGBoost on the pooled rows, byte for byte."""

import json
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import xgboost
from tests.support.plans import LIMITS, Job, Source, schema, table_rows

from mc2.engine.limits import EngineLimits
from mc2.errors import EngineError, GrantError
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.models import Evaluation, History, Matrix, Predict, Stopping, Train
from mc2.plan.parameters import parameters
from mc2.plan.relations import Filter, Join, NamedExpression, Project, Union
from mc2.plan.types import INT64

ROWS = 600
KINDS = schema(
    id="int64!", x="double", n="int32", f="float", d="decimal(7,2)", b="boolean", site="string",
    code="int16", y="double", cls="int8", w="double!",
)  # fmt: skip
NUMBERS = ("x", "n", "f", "d", "b")
FEATURES = (*NUMBERS, "site", "code")
WORDS = ("site", "code")


def frame(seed, rows=ROWS):
    random = np.random.default_rng(seed)
    x = random.standard_normal(rows)
    site = random.choice(["ulm", "bern", "Zug", "aue"], rows)
    found = pd.DataFrame(
        {
            "id": np.arange(rows),
            "x": x,
            "n": random.integers(-5, 5, rows),
            "f": random.standard_normal(rows).astype(np.float32),
            "d": np.round(random.uniform(-99, 99, rows), 2),
            "b": random.random(rows) < 0.3,
            "site": site,
            "code": random.integers(0, 9, rows),
            "y": ((x > 0.2) ^ (site == "ulm")).astype(float),
            "cls": random.integers(0, 3, rows),
            "w": random.uniform(0.5, 2, rows),
        }
    )
    holes = {name: random.random(rows) < 0.15 for name in ("x", "n", "d", "b", "site", "code")}
    return found, holes


def table(seed, rows=ROWS):
    """The frame as an input of a plan: with NULLs, in small batches."""
    found, holes = frame(seed, rows)
    columns = []
    for column in KINDS.columns:
        values = found[column.name].tolist()
        if column.name == "d":
            values = [Decimal(f"{v:.2f}") for v in values]
        gone = holes.get(column.name, np.zeros(rows, dtype=bool))
        columns.append([None if g else v for v, g in zip(values, gone, strict=True)])
    return Source(KINDS, list(zip(*columns, strict=True)), batch=97)


def pooled(*seeds, rows=ROWS):
    """The same rows as a data scientist has them who may see them all: a pandas frame."""
    frames = []
    for seed in seeds:
        found, holes = frame(seed, rows)
        found["b"] = found["b"].astype(float)
        for name, gone in holes.items():
            found[name] = found[name].astype(object if name == "site" else float)
            found.loc[gone, name] = None if name == "site" else np.nan
        frames.append(found)
    return pd.concat(frames, ignore_index=True)


STOCK_TYPES = {"x": "float", "n": "int", "f": "float", "d": "float", "b": "i", "code": "c"}


def stock_matrix(data, features=NUMBERS, label="y", weight=None, **options):
    chosen = data[list(features)].copy()
    types = [STOCK_TYPES[f] for f in features] if "site" not in features else None
    if "site" in features:
        chosen["site"] = chosen["site"].astype("category")
    return xgboost.DMatrix(
        chosen,
        label=None if label is None else data[label],
        weight=None if weight is None else data[weight],
        feature_types=types,
        enable_categorical=True,
        **options,
    )


def stock(settings, matrix, rounds, **options):
    history = {}
    options.setdefault("evals_result", history)
    return xgboost.train(settings, matrix, rounds, verbose_eval=False, **options), history


def raw(booster):
    return bytes(booster.save_raw("json"))


class Training(Job):
    """Tables t and u, and a matrix over some rows."""

    def __init__(self):
        super().__init__(t=table(1), u=table(2))
        self.t, self.u = self.scan("t"), self.scan("u")

    def matrix(self, *sources, features=NUMBERS, label="y", **options):
        return self.add(Matrix(sources or (self.t,), features, label, **options))

    def train(self, settings, rounds, matrix, evaluations=(), stopping=None):
        found = tuple(Evaluation(n, m) for n, m in evaluations)
        return self.add(
            Train(
                matrix,
                parameters(settings),
                rounds,
                found,
                stopping if stopping is None else Stopping(stopping),
            )
        )


@pytest.fixture
def job():
    return Training()


SETTINGS = [
    {},
    {"objective": "binary:logistic", "max_depth": 3, "eta": 0.3},
    {"objective": "binary:logistic", "tree_method": "exact"},
    {"objective": "binary:logistic", "tree_method": "approx", "max_bin": 16},
    {"objective": "binary:logistic", "subsample": 0.5, "colsample_bytree": 0.5, "seed": 7},
    {
        "objective": "reg:squarederror",
        "lambda": 3,
        "alpha": 0.5,
        "gamma": 0.1,
        "min_child_weight": 5,
    },
    {"objective": "binary:logistic", "grow_policy": "lossguide", "max_leaves": 5, "max_depth": 0},
    {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.3, "seed": 1},
    {"objective": "binary:logistic", "num_parallel_tree": 3, "subsample": 0.7, "seed": 3},
    {"objective": "reg:absoluteerror"},
    {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.9]},
    {"monotone_constraints": [1, 0, 0, -1, 0]},
    {"objective": "binary:logistic", "scale_pos_weight": 3, "base_score": 0.2},
]


@pytest.mark.parametrize(
    "settings", SETTINGS, ids=lambda s: " ".join(f"{k}={v}" for k, v in s.items()) or "default"
)
def test_models_are_those_of_stock_xgboost(job, settings):
    model = job.model(job.train(settings, 6, job.matrix()))
    if "monotone_constraints" in settings:  # xgboost's Python takes them as text or by name
        settings = {"monotone_constraints": "(1,0,0,-1,0)"}
    expected, _ = stock(settings, stock_matrix(pooled(1)), 6)
    assert model == raw(expected)


def test_two_parties_rows_are_one_matrix(job):
    model = job.model(job.train({"objective": "binary:logistic"}, 6, job.matrix(job.t, job.u)))
    assert model == raw(stock({"objective": "binary:logistic"}, stock_matrix(pooled(1, 2)), 6)[0])
    by_union = job.matrix(job.add(Union((job.t, job.u))))
    assert model == job.model(job.train({"objective": "binary:logistic"}, 6, by_union))


def test_classes(job):
    settings = {"objective": "multi:softprob", "num_class": 3}
    model = job.model(job.train(settings, 4, job.matrix(label="cls")))
    assert model == raw(stock(settings, stock_matrix(pooled(1), label="cls"), 4)[0])


def test_weights(job):
    model = job.model(job.train({}, 4, job.matrix(weight="w")))
    assert model == raw(stock({}, stock_matrix(pooled(1), weight="w"), 4)[0])
    assert model != job.model(job.train({}, 4, job.matrix()))


def test_a_number_may_stand_for_absent():
    kinds = schema(x="double", y="double")
    rows = [(float(i % 7) if i % 3 else -999.0, float(i % 2)) for i in range(300)]
    job = Job(t=Source(kinds, rows))
    model = job.add(Train(job.add(Matrix((job.scan("t"),), ("x",), "y", missing="-999.0")), (), 4))
    x = np.array(rows)[:, :1]
    matrix = xgboost.DMatrix(
        x, label=[r[1] for r in rows], missing=-999.0, feature_names=["x"], feature_types=["float"]
    )
    assert job.model(model) == raw(stock({}, matrix, 4)[0])


@pytest.mark.parametrize("method", ["hist", "approx"])
def test_categories_by_name(job, method):
    settings = {"objective": "binary:logistic", "tree_method": method, "max_cat_to_onehot": 2}
    features = ("x", "f", "site")
    matrix = job.matrix(job.t, job.u, features=features, categorical=("site",))
    model = job.model(job.train(settings, 6, matrix))
    expected, _ = stock(settings, stock_matrix(pooled(1, 2), features), 6)
    assert model == raw(expected)
    assert b"Zug" not in model  # categories stand in the model as numbers of characters
    codes = json.loads(model)["learner"]["gradient_booster"]["model"]["cats"]["enc"][2]["values"]
    assert bytes(codes) == b"Zugauebernulm"


def test_categories_by_number(job):
    settings = {"objective": "binary:logistic", "max_cat_to_onehot": 1}
    matrix = job.matrix(features=("x", "code"), categorical=("code",))
    assert job.model(job.train(settings, 6, matrix)) == raw(
        stock(settings, stock_matrix(pooled(1), ("x", "code")), 6)[0]
    )


@pytest.mark.parametrize("bad", [-1, 2**24])
def test_category_numbers_have_bounds(bad):
    job = Job(t=Source(schema(c="int64", y="double"), [(bad, 1.0), (1, 0.0)]))
    matrix = job.add(Matrix((job.scan("t"),), ("c",), "y", categorical=("c",)))
    with pytest.raises(EngineError, match="categories in 'c'"):
        job.model(job.add(Train(matrix, (), 1)))


def test_both_kinds_of_categories_together(job):
    matrix = job.matrix(features=FEATURES, categorical=WORDS)
    model = job.train({"objective": "binary:logistic"}, 6, matrix)
    learner = json.loads(job.model(model))["learner"]
    assert learner["feature_names"] == list(FEATURES)
    assert learner["feature_types"] == ["float", "int", "float", "float", "i", "c", "c"]
    rows = job.rows(job.add(Predict(model, matrix, ("id",))))
    assert [r[0] for r in rows] == list(range(ROWS))


def test_evaluation_and_early_stopping(job):
    settings = {"objective": "binary:logistic", "eval_metric": ["error", "logloss"], "eta": 0.9}
    train, other = job.matrix(job.t), job.matrix(job.u)
    model = job.train(settings, 60, train, (("train", train), ("other", other)), 3)
    a, b = stock_matrix(pooled(1)), stock_matrix(pooled(2))
    expected, history = stock(
        settings, a, 60, evals=[(a, "train"), (b, "other")], early_stopping_rounds=3
    )
    assert expected.num_boosted_rounds() < 60
    found = job.run(model=model, history=job.add(History(model)))
    assert found["model"].raw == raw(expected)
    rows = table_rows(found["history"].table)
    series = [(e, m, v) for e, metrics in history.items() for m, v in metrics.items()]
    assert rows == [(i, e, m, v[i]) for i in range(len(series[0][2])) for e, m, v in series]


def test_predictions(job):
    settings = {"objective": "binary:logistic", "eta": 0.9}
    train, other = job.matrix(job.t), job.matrix(job.u)
    model = job.train(settings, 60, train, (("other", other),), 3)
    rows = job.matrix(job.u, job.t, label=None)
    nodes = {
        "value": job.add(Predict(model, rows, ("id", "site"), "risk")),
        "margin": job.add(Predict(model, rows, (), "risk", "margin")),
        "leaf": job.add(Predict(model, rows, (), "risk", "leaf")),
        "best": job.add(Predict(model, rows, (), "risk", "value", "best")),
    }
    found = {n: table_rows(o.table) for n, o in job.run(**nodes).items()}
    a, b = stock_matrix(pooled(1)), stock_matrix(pooled(2))
    booster, _ = stock(settings, a, 60, evals=[(b, "other")], early_stopping_rounds=3)
    both = pooled(2, 1)
    matrix = stock_matrix(both, label=None)
    sites = [None if isinstance(s, float) else s for s in both["site"]]
    assert found["value"] == [
        (i, s, float(p)) for i, s, p in zip(both["id"], sites, booster.predict(matrix), strict=True)
    ]
    assert [p for (p,) in found["margin"]] == booster.predict(matrix, output_margin=True).tolist()
    assert [p for (p,) in found["leaf"]] == booster.predict(matrix, pred_leaf=True).astype(
        int
    ).tolist()
    best = booster.predict(matrix, iteration_range=(0, booster.best_iteration + 1))
    assert [p for (p,) in found["best"]] == best.tolist()


def test_predictions_of_classes(job):
    data = stock_matrix(pooled(1), label="cls")
    for objective in ("multi:softprob", "multi:softmax"):
        settings = {"objective": objective, "num_class": 3}
        matrix = job.matrix(label="cls")
        model = job.train(settings, 3, matrix)
        booster, _ = stock(settings, data, 3)
        for what in ("value", "margin", "leaf"):
            found = job.rows(job.add(Predict(model, matrix, what=what)))
            options = {"output_margin": what == "margin", "pred_leaf": what == "leaf"}
            expected = np.asarray(booster.predict(data, **options))
            shaped = np.array(found).reshape(expected.shape)
            assert np.array_equal(shaped, expected)


def test_a_prediction_is_a_relation_like_any_other(job):
    matrix = job.matrix()
    model = job.train({"objective": "binary:logistic"}, 3, matrix)
    said = job.add(Predict(model, matrix, ("id",)))
    more = job.add(
        Project(
            job.u,
            (NamedExpression("other", ColumnRef("id")), NamedExpression("cls", ColumnRef("cls"))),
        )
    )
    joined = job.add(Join(said, more, "inner", call("eq", ColumnRef("id"), ColumnRef("other"))))
    few = job.add(Filter(joined, call("lt", ColumnRef("id"), literal(5, INT64))))
    assert [r[0] for r in job.rows(few)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("unknown", ["bb", "z", "A", ""])
def test_an_unknown_category_is_refused(unknown):
    """Stock XGBoost refuses some, and takes others for the next known name, in silence."""
    kinds = schema(c="string", y="double!")
    train = Source(kinds, [("abc"[i % 3], float(i % 2)) for i in range(40)])
    job = Job(t=train, u=Source(kinds, [("a", 0.0), (unknown, 0.0), (None, 0.0)]))
    matrix = job.add(Matrix((job.scan("t"),), ("c",), "y", categorical=("c",)))
    other = job.add(Matrix((job.scan("u"),), ("c",), "y", categorical=("c",)))
    said = job.add(Predict(job.add(Train(matrix, (), 3)), other))
    evaluated = job.add(Train(matrix, (), 3, (Evaluation("e", other),)))
    for node in (said, evaluated):
        with pytest.raises(EngineError, match="a category in 'c' does not occur") as caught:
            job.run(out=node)
        assert f"'{unknown}'" not in str(caught.value)


def test_categories_need_not_all_occur():
    kinds = schema(c="string", y="double!")
    train = Source(kinds, [("abc"[i % 3], float(i % 3)) for i in range(40)])
    job = Job(t=train, u=Source(kinds, [("c", 0.0), (None, 0.0), ("a", 0.0)]))
    matrix = job.add(Matrix((job.scan("t"),), ("c",), "y", categorical=("c",)))
    other = job.add(Matrix((job.scan("u"),), ("c",), categorical=("c",)))
    found = [p for (p,) in job.rows(job.add(Predict(job.add(Train(matrix, (), 3)), other)))]

    def data(source, **options):
        frame = pd.DataFrame({"c": pd.Categorical([r[0] for r in source.rows])})
        return xgboost.DMatrix(frame, enable_categorical=True, **options)

    booster, _ = stock({}, data(train, label=[r[1] for r in train.rows]), 3)
    assert found == booster.predict(data(job.sources["a.u"])).tolist()


def test_the_model_loads_into_stock_xgboost(job):
    matrix = job.matrix(job.t, job.u)
    model = job.train({"objective": "binary:logistic"}, 5, matrix)
    booster = xgboost.Booster(model_file=bytearray(job.model(model)))
    assert booster.feature_names == list(NUMBERS)
    at_home = booster.predict(stock_matrix(pooled(1, 2), label=None))
    assert [p for (p,) in job.rows(job.add(Predict(model, matrix)))] == at_home.tolist()


@pytest.mark.parametrize("method", ["hist", "approx", "exact"])
def test_threads_change_nothing(job, method):
    settings = {"objective": "binary:logistic", "tree_method": method, "subsample": 0.6, "seed": 5}
    model = job.train(settings, 8, job.matrix(job.t, job.u))
    one, two = (
        job.run(out=model, limits=EngineLimits(memory_bytes=LIMITS.memory_bytes, threads=n))[
            "out"
        ].raw
        for n in (1, 2)
    )
    assert one == two


def test_the_rows_of_a_join_have_one_order(job):
    """A join has no order of its own, so a model over it needs one that threads cannot change."""
    right = job.add(
        Project(
            job.u, (NamedExpression("other", ColumnRef("id")), NamedExpression("z", ColumnRef("x")))
        )
    )
    joined = job.add(Join(job.t, right, "inner", call("eq", ColumnRef("id"), ColumnRef("other"))))
    model = job.train({"subsample": 0.5, "seed": 1}, 5, job.matrix(joined, features=("x", "z")))
    models = {
        job.run(out=model, limits=EngineLimits(memory_bytes=LIMITS.memory_bytes, threads=n))[
            "out"
        ].raw
        for n in (1, 2, 2)
    }
    assert len(models) == 1
    t, u = pooled(1), pooled(2).rename(columns={"id": "other", "x": "z"})[["other", "z"]]
    data = t.merge(u, left_on="id", right_on="other").sort_values("id", kind="stable")
    matrix = xgboost.DMatrix(data[["x", "z"]], label=data["y"])
    assert models == {raw(stock({"subsample": 0.5, "seed": 1}, matrix, 5)[0])}


def test_progress_tells_each_round(job):
    told = []
    job.run(out=job.train({}, 3, job.matrix()), progress=told.append)
    assert told == [*(f"node 2: trained round {i} of 3" for i in (1, 2, 3)), "computing out"]


def test_what_progress_raises_ends_a_training(job):
    def stop(text):
        if "round 2" in text:
            raise GrantError("the lease of the keys is over")

    with pytest.raises(GrantError, match="lease"):
        job.run(out=job.train({}, 50, job.matrix()), progress=stop)


def small(rows, label="y", objective="reg:squarederror", weight=None):
    kinds = schema(x="double", y="double", w="double")
    job = Job(t=Source(kinds, rows))
    matrix = job.add(Matrix((job.scan("t"),), ("x",), label, weight))
    return job, job.add(Train(matrix, parameters({"objective": objective}), 1))


@pytest.mark.parametrize(
    ("rows", "objective", "words"),
    [
        ([], "reg:squarederror", "has no rows"),
        ([(1.0, None, 1.0)], "reg:squarederror", "the label 'y' is NULL"),
        ([(1.0, 1.0, None)], "reg:squarederror", "the weight 'w' is NULL"),
        ([(1.0, 1.0, -1.0)], "reg:squarederror", "a weight is negative"),
        ([(1.0, 1.0, 0.0)], "reg:squarederror", "weights sum up to nothing"),
        ([(math.inf, 1.0, 1.0)], "reg:squarederror", "a feature is infinite"),
        ([(1e300, 1.0, 1.0)], "reg:squarederror", "a feature is infinite"),
        ([(1.0, 4711.0, 1.0)], "binary:logistic", "labels are not from 0 to 1"),
        ([(1.0, -4711.0, 1.0)], "count:poisson", "labels are negative"),
        ([(1.0, -4711.0, 1.0)], "reg:gamma", "labels are not positive"),
        ([(1.0, -4711.0, 1.0)], "reg:squaredlogerror", "labels are not above -1"),
        ([(1.0, math.nan, 1.0)], "reg:squarederror", "a label is NaN"),
    ],
)
def test_rows_that_cannot_be_learned_from(rows, objective, words, capfd):
    job, model = small(rows, objective=objective, weight="w")
    with pytest.raises(EngineError, match=words) as caught:
        job.model(model)
    texts = [str(caught.value), caught.value.hint, *capfd.readouterr()]
    assert not any("4711" in t for t in texts)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_metric_that_is_not_defined_is_nan_and_nothing_is_printed(capfd):
    kinds = schema(x="double", y="double!")
    job = Job(t=Source(kinds, [(1.0, 1.0), (2.0, 1.0)]))
    matrix = job.add(Matrix((job.scan("t"),), ("x",), "y"))
    settings = parameters({"eval_metric": ["auc", "rmse"]})
    model = job.add(Train(matrix, settings, 1, (Evaluation("e", matrix),)))
    (auc, _) = job.rows(job.add(History(model)))
    assert auc[2] == "auc"
    assert math.isnan(auc[3])
    assert capfd.readouterr() == ("", "")


def test_classes_out_of_range():
    kinds = schema(x="double", y="double")
    job = Job(t=Source(kinds, [(1.0, 4711.0), (2.0, 0.0)]))
    settings = parameters({"objective": "multi:softmax", "num_class": 3})
    model = job.add(Train(job.add(Matrix((job.scan("t"),), ("x",), "y")), settings, 1))
    with pytest.raises(EngineError, match="class number") as caught:
        job.model(model)
    assert "4711" not in str(caught.value)


def test_a_prediction_of_no_rows():
    job, model = small([(1.0, 1.0, 1.0), (2.0, 0.0, 1.0)])
    none = job.add(Filter(job.scan("t"), call("is_null", ColumnRef("x"))))
    for what, count in (("value", 1), ("leaf", 1)):
        matrix = job.add(Matrix((none,), ("x",)))
        output = job.run(out=job.add(Predict(model, matrix, ("y",), what=what)))["out"]
        assert (output.table.num_rows, output.table.num_columns) == (0, 1 + count)


def test_all_values_absent():
    kinds = schema(x="double", c="string", y="double!")
    job = Job(t=Source(kinds, [(None, None, float(i % 2)) for i in range(10)]))
    matrix = job.add(Matrix((job.scan("t"),), ("x", "c"), "y", categorical=("c",)))
    model = job.add(Train(matrix, (), 2))
    assert job.rows(job.add(Predict(model, matrix))) == [(0.5,)] * 10


def test_sources_may_differ_in_what_may_be_null():
    job = Job(
        t=Source(schema(x="double!", y="double!"), [(1.0, 0.0), (2.0, 1.0)]),
        u=Source(schema(z="string", y="double", x="double"), [("a", 1.0, None)]),
    )
    matrix = job.add(Matrix((job.scan("t"), job.scan("u")), ("x",), "y"))
    said = job.add(Predict(job.add(Train(matrix, (), 1)), matrix, ("y",)))
    assert [r[0] for r in job.rows(said)] == [0.0, 1.0, 1.0]
