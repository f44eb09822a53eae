"""Models that oblivious jobs keep: they come back as they were, and show their shapes alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xgboost
from tests.support.oblivious_plans import obliviously
from tests.support.plans import Job, Source, schema

from mc2.engine.linear import numbers_shape
from mc2.engine.oblivious.learning import recalled
from mc2.engine.oblivious.run import execute
from mc2.engine.opened_models import opened_numbers, opened_trees
from mc2.errors import EngineError, FormatError
from mc2.formats.secret_model import SecretModelFile
from mc2.ml.kept_models import load_numbers
from mc2.operators.run import Run
from mc2.plan.check import check_plan
from mc2.plan.kept_models import facts_of
from mc2.plan.linear_models import FitClusters, FitLinear
from mc2.plan.models import Evaluation, Matrix, Train
from mc2.plan.parameters import parameters
from mc2.plan.training import Stopping

KEY = bytes(range(32))
COLUMNS = {"x": "double!", "n": "int32!", "y": "double!", "k": "int32!"}
TREES = {"objective": "binary:logistic", "max_depth": 3, "eta": 0.5, "max_bin": 16}


def job(seed=0):
    rng = np.random.default_rng(seed)
    x, n = rng.normal(size=90), rng.integers(-5, 6, 90)
    y = (x + n / 3 + rng.normal(size=90) / 2 > 0).astype(float)
    k = np.digitize(x - n / 3 + rng.normal(size=90), [-1.0, 1.0])
    cells = zip(x.tolist(), n.tolist(), y.tolist(), k.tolist(), strict=True)
    return Job(t=Source(schema(**COLUMNS), list(cells)))


def trees(own, rounds=3, **more):
    return Train(own, parameters(TREES), rounds, (Evaluation("seen", own),), **more)


def stopped(own):
    return trees(own, stopping=Stopping(2))


def logistic(own):
    return FitLinear(own, "logistic", "1.0", rounds=12)


def several(own):
    return FitLinear(own, "logistic", "1.0", rounds=12, classes=3)


def centres(own):
    return FitClusters(own, 2, 5, seed=3)


ALL = [trees, stopped, logistic, several, centres]


def computed(operation, seed=0, *, keep=True):
    """The file of a model as a job keeps or releases it, its facts, and the record of the run."""
    made = job(seed)
    label = {centres: None, several: "k"}.get(operation, "y")
    own = made.add(Matrix((made.scan("t"),), ("x", "n"), label=label))
    checked, sources = obliviously(made.plan(m=made.add(operation(own))), made)
    (output,) = checked.plan.outputs
    if keep:
        output = replace(output, recipients=(), keep=True)
        checked = check_plan(replace(checked.plan, outputs=(output,)))
    trace = Run(record=True)
    found = execute(checked, sources, lambda _: None, trace, key=KEY)
    shape = checked.shapes[output.node]
    matrix = checked.plan.nodes[shape.operation.matrix].operation
    return found["m"].raw, facts_of(shape, matrix, "oblivious"), trace


@pytest.mark.parametrize("operation", ALL)
def test_what_is_kept_opens_as_what_is_released(operation):
    raw, facts, _ = computed(operation)
    released, _, _ = computed(operation, keep=False)
    if operation in {logistic, several, centres}:
        assert opened_numbers(facts.shape, raw).raw() == released
        return
    opened = json.loads(opened_trees(facts.shape, facts.matrix, raw))
    assert opened["learner"].pop("feature_types") == ["float", "int"]
    wanted = json.loads(released)
    wanted["learner"].pop("feature_types")
    assert opened == wanted
    booster = xgboost.Booster(model_file=bytearray(opened_trees(facts.shape, facts.matrix, raw)))
    assert (booster.attr("best_iteration") is not None) == (operation is stopped)


@pytest.mark.parametrize("operation", [trees, logistic, several, centres])
def test_keeping_shows_nothing_but_shapes(operation):
    one, other = computed(operation, 1), computed(operation, 2)
    assert len(one[0]) == len(other[0])
    assert one[0] != other[0]
    start = one[0].index(b"MC2S") + 8
    described = start + int.from_bytes(one[0][4:8], "little")
    assert one[0][:described] == other[0][:described]  # what is public of them is the same
    assert one[2].calls == other[2].calls
    assert one[2].declassified == other[2].declassified
    assert "the model is an output" not in one[2].declassified


def altered(raw, **changes):
    file = SecretModelFile.read(raw)
    arrays = {n: changes.get(n, a) for n, a in file.arrays.items()}
    public = {n: changes.get(n, v) for n, v in file.public.items()}
    return SecretModelFile(changes.get("family", file.family), public, arrays).raw()


def test_other_trees_than_the_plans_are_refused():
    raw, facts, _ = computed(stopped)
    file = SecretModelFile.read(raw)
    count = len(file.public["rates"])
    for wrong in (
        b"",
        raw[:-8],
        altered(raw, family="numbers"),
        altered(raw, rates=file.public["rates"] * 2),
        altered(raw, rates=[]),
        altered(raw, best_round=None),
        altered(raw, leaves=np.zeros((count, 4), np.float32)),
        altered(raw, cuts=np.zeros((3, 15), np.float32)),
        altered(raw, cuts=np.zeros((2, 999), np.float32)),
        altered(raw, cuts=np.zeros(2, np.float32)),
        computed(logistic)[0],
    ):
        with pytest.raises(FormatError):
            recalled(facts.shape, facts.matrix, wrong)
        with pytest.raises(EngineError, match="a kept model does not load"):
            opened_trees(facts.shape, facts.matrix, wrong)
    fewer = replace(facts, rounds=count - 1)
    with pytest.raises(FormatError, match="other rounds than the plan says"):
        recalled(fewer.shape, facts.matrix, raw)


def test_other_numbers_than_the_plans_are_refused():
    raw, facts, _ = computed(centres)
    shape = numbers_shape(facts.shape)
    assert load_numbers(raw, *shape) is not None
    for wrong in (altered(raw, numbers=np.zeros(3)), computed(trees)[0], computed(logistic)[0]):
        with pytest.raises(FormatError):
            load_numbers(wrong, *shape)
        with pytest.raises(EngineError, match="a kept model does not load"):
            opened_numbers(facts.shape, wrong)
