"""Rows that stand in several workers from the start give the model of one worker."""

import json

import numpy as np
import pytest

from mc2.errors import EngineError
from mc2.formats.schema import parse_type
from mc2.ml.boosted_trees import release
from mc2.ml.boosting import Training
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.boosting_rounds import Kind, packed, unpacked
from mc2.ml.boosting_tables import Roles
from mc2.ml.boosting_together import GatheredPartition, GatheringLeader, Recipe, Shares
from mc2.operators.constants import column_of_values
from mc2.operators.handles import Layout, SecretMarks, SecretTable
from mc2.operators.run import Run

KEY = bytes(range(32))
NAMES = ("blue", "green", "red")
KINDS = {"x": "double", "s": "string", "k": "int32", "y": "double", "w": "double"}


def made(count, classes):
    rng = np.random.default_rng(count)
    return [
        (
            float(rng.normal()) if rng.random() < 0.9 else None,
            NAMES[rng.integers(3)].encode() if rng.random() < 0.9 else None,
            int(rng.integers(4)),
            float(rng.integers(classes)),
            float(rng.integers(1, 4)),
        )
        for _ in range(count)
    ]


def table(rows):
    columns = {
        name: column_of_values(Layout(parse_type(kind), 8 if kind == "string" else 0), values)
        for (name, kind), values in zip(KINDS.items(), zip(*rows, strict=True), strict=True)
    }
    return SecretTable(columns, SecretMarks(np.ones(len(rows), dtype=np.uint8)))


def recipe_of(settings, weight, features=("x", "s", "k")):
    categories = {n: c for n, c in {"s": NAMES, "k": 4}.items() if n in features}
    roles = Roles(features, "y", weight, categories=categories)
    return Recipe(roles, BoostingParameters.read(settings, features), Training(3), ("own",))


def trained(recipe, parts):
    """Train over partitions; every message has the length that its step says."""
    run = Run()
    counts = tuple(len(p) for p in parts)
    shares = Shares(counts, 1, sum(counts))
    leader = GatheringLeader(run, recipe, shares, KEY)
    workers = [
        GatheredPartition(run, recipe, shares, place, {0: table(p)}, {"own": [table(p)]})
        for place, p in enumerate(parts)
    ]
    steps = []
    while leader.step is not None:
        step, form = leader.step, leader.form
        told = packed(form.told(step), leader.told)
        answers = []
        for place, worker in enumerate(workers):
            shape = form.answered(step, place)
            raw = packed(shape, worker.answer(step, unpacked(form.told(step), told)))
            answers.append(unpacked(shape, raw))
        steps.append(step)
        leader.take(answers)
    run.finish()
    found = leader.trained()
    return json.dumps(release(run, found.model)), found.history, steps


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "binary:logistic", "max_depth": 3, "subsample": 0.7, "max_bin": 16},
        {"objective": "multi:softprob", "num_class": 3, "max_depth": 2},
    ],
)
def test_several_workers_train_the_model_of_one(settings, weight):
    rows = made(150, settings.get("num_class", 2))
    recipe = recipe_of(settings, weight)
    model, history, _ = trained(recipe, [rows])
    for cut in ((40,), (10, 90)):
        parts = [rows[a:b] for a, b in zip((0, *cut), (*cut, len(rows)), strict=True)]
        found, metrics, steps = trained(recipe, parts)
        assert found == model
        assert metrics == history
        assert [s.turn for s in steps if s.kind is Kind.VALUES] == [0]  # categories need no cuts


def test_categories_alone_need_no_values():
    recipe = recipe_of({"objective": "binary:logistic", "max_depth": 2}, None, ("s",))
    rows = made(60, 2)
    model, _, steps = trained(recipe, [rows[:20], rows[20:]])
    assert all(s.kind is not Kind.VALUES for s in steps)
    assert model == trained(recipe, [rows])[0]


def test_a_partition_has_the_rows_that_the_training_says():
    recipe = recipe_of({}, None)
    with pytest.raises(EngineError, match="other rows"):
        GatheredPartition(Run(), recipe, Shares((3,), 1, 3), 0, {0: table(made(4, 2))}, {})
