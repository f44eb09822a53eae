"""What a review says of a model: what it holds, what is enforced, what remembers rows."""

import pytest
from tests.support.training import Training

from mc2.client.model_review import memorising, model_holds, model_rules
from mc2.client.plan_words import step_words
from mc2.formats.manifest import ModelPolicy
from mc2.plan.models import Annotate, CrossValidate, Edges, Inspect, Predict, Slice, Stopping
from mc2.plan.noisy_edges import NoisyEdges
from mc2.plan.training import Controls


def shape(settings, rounds=10, **options):
    job = Training()
    node = job.train(settings, rounds, job.matrix(), **options)
    return job.builder.shape(node)


@pytest.mark.parametrize(
    ("settings", "rounds", "words"),
    [
        ({"min_child_weight": 0}, 10, "lets a leaf hold a single row"),
        ({"max_depth": 12}, 10, "12 levels can part all rows"),
        ({"max_depth": 0}, 10, "any number of levels"),
        ({}, 5001, "rows by heart"),
        ({"lambda": 0}, 10, "as they are"),
    ],
)
def test_warns_of_settings_that_remember_rows(settings, rounds, words):
    (warning,) = memorising(shape(settings, rounds))
    assert words in warning
    assert "WARNING" in warning
    assert warning in model_holds(shape(settings, rounds))
    assert not memorising(shape(settings, rounds, controls=Controls(leaf_rows=10)))


def test_says_nothing_of_usual_settings():
    assert not memorising(shape({"max_depth": 6, "min_child_weight": 1}))


def test_says_what_is_enforced():
    held = " ".join(model_holds(shape({}, controls=Controls(10, 2, True))))
    assert "no leaf of fewer than 10 rows" in held
    assert "fewer than 2 owners" in held
    assert "how much data reaches it is taken out" in held
    assert "coefficient" in " ".join(model_holds(shape({"booster": "gblinear"})))


def test_rules_of_owners_in_words():
    rules = ModelPolicy(20, 2, True, True)
    assert model_rules(rules) == (
        "leaves of at least 20 rows, leaves of rows of at least 2 owners, "
        "thresholds that the plan names, no statistics of nodes"
    )
    assert model_rules(ModelPolicy()) == "nothing"


def test_every_operation_has_words():
    job = Training()
    matrix = job.matrix(
        base_margin=("m",), feature_weights=("1.0", "2.0", "3.0"), edges=(Edges("x", ("0.5",)),)
    )
    drawn = job.matrix(noisy=tuple(NoisyEdges(f, "0.0", "9.0", 9, 3, "0.5") for f in "xyz"))
    stopping = Stopping(3, "rmse", "seen", maximize=False, save_best=True, min_delta="0.1")
    first = job.train(
        {"eval_metric": ["rmse"]}, 4, matrix, evals=(("seen", matrix),), stopping=stopping,
        learning_rates=("0.4", "0.3", "0.2", "0.1"),
    )  # fmt: skip
    second = job.train({}, 2, matrix, start=first)
    strict = job.train({}, 2, matrix, controls=Controls(5, 2, True))
    part = job.add(Annotate(job.add(Slice(second, 0, 4, 2)), (("why", "trial"),)))
    survival = job.matrix(label=None, lower_bound="low", upper_bound="high", group="q")
    said = job.add(Predict(first, matrix, what="contribs", first=0, last=2))
    tables = [
        said,
        job.add(Inspect(part, "trees")),
        job.add(Inspect(part, "dump", form="text", stats=True)),
        job.add(CrossValidate(matrix, (), 2, 3, stratified=True)),
        job.add(CrossValidate(matrix, (), 2, 0, folds="fold")),
        job.add(Predict(strict, matrix)),
        job.add(Predict(job.train({}, 1, drawn, controls=Controls(public_thresholds=True)), drawn)),
        job.add(Predict(job.train({"objective": "survival:aft"}, 1, survival), survival)),
    ]
    plan = job.plan(**{f"o{i}": node for i, node in enumerate(tables)})
    text = "\n".join(step_words(plan, i) for i in range(len(plan.nodes)))
    for words in (
        "starts from m", "features drawn with weights 1.0, 2.0, 3.0", "x cut to 0.5",
        "stop after 3 rounds without progress of more than 0.1 in rmse on seen, less being better",
        "and keep the best rounds only", "learning rates 0.4, 0.3, 0.2, 0.1", "go on from the model of step",
        "fail if a leaf has fewer than 5 rows", "rows of fewer than 2 owners", "what splits gain",
        "each 2nd", "why = 'trial'", "label between low and high", "ranked within the same q",
        "what each feature contributes as prediction, by its rounds 0 to 1", "all nodes of the trees",
        "each tree as text, with gains and covers", "3 parts drawn with seed 0, each with the same share",
        "for each fold, trained without it and judged on it",
        "y cut, in trainings, to at most 3 quantiles drawn with noise (epsilon = 0.5) from counts in",
        "9 cells from 0.0 to 9.0",
    ):  # fmt: skip
        assert words in text, words
