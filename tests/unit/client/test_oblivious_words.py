"""What people are told that an oblivious training shows."""

import pytest
from tests.support.oblivious_plans import obliviously
from tests.support.plans import Job, Source, schema

from mc2.client.oblivious_words import shown_of_models
from mc2.plan.models import Evaluation, History, Matrix, Predict, Train
from mc2.plan.training import Stopping


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
