"""What people are told that an oblivious training shows."""

import pytest
from tests.support.oblivious_plans import obliviously
from tests.support.plans import Job, Source, schema

from mc2.client.oblivious_words import shown_of_models
from mc2.plan.models import CrossValidate, Evaluation, History, Matrix, Predict, Slice, Train
from mc2.plan.noisy_edges import NoisyEdges
from mc2.plan.training import Controls, Stopping


@pytest.mark.parametrize("released", [True, False])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("stops", [True, False])
def test_each_training_says_what_it_shows(released, listed, stops):
    made = Job(t=Source(schema(x="double", y="double!"), [(1.0, 0.0), (2.0, 1.0)]))
    own = made.add(Matrix((made.scan("t"),), ("x",), label="y"))
    stopping = Stopping(2) if stops else None
    model = made.add(Train(own, (), 3, (Evaluation("own", own),), stopping))
    outputs = {"said": made.add(Predict(model, own))}
    outputs |= {"model": model} if released else {}
    outputs |= {"history": made.add(History(model))} if listed else {}
    checked, _ = obliviously(made.plan(**outputs), made)
    text = "\n".join(shown_of_models(checked.plan))
    assert ("THE MODEL of step 3" in text) == released
    assert ("THE METRICS of step 3" in text) == (listed or stops)
    assert ("when its training stops" in text) == stops


def test_parts_of_models_noisy_edges_and_validations_say_what_they_show():
    made = Job(t=Source(schema(x="double", y="double!"), [(1.0, 0.0), (2.0, 1.0)]))
    noisy = (NoisyEdges("x", "0.0", "4.0", 8, 2, "1.0"),)
    rows = made.scan("t")
    edged = made.add(Matrix((rows,), ("x",), label="y", noisy=noisy))
    plain = made.add(Matrix((rows,), ("x",), label="y"))
    model = made.add(Train(edged, (), 3, controls=Controls(public_thresholds=True)))
    part, folds = made.add(Slice(model, 0, 2)), made.add(CrossValidate(plain, (), 2, 2))
    checked, _ = obliviously(made.plan(part=part, folds=folds), made)
    text = "\n".join(shown_of_models(checked.plan))
    assert "HOW MANY ROWS of step 2 are in each cell of noisy edges, with noise" in text
    assert "THE MODEL of step 4" not in text
    assert "THE MODEL of step 5, by close watching of memory: it is released" in text
    assert "THE METRICS of each part of step 6" in text
