"""What a review says of kept models, and of a change of one."""

from __future__ import annotations

from dataclasses import replace

from tools.vectors.plan import whole_plan

from mc2.client.changes import list_changes
from mc2.client.plan_words import step_words
from mc2.plan.check import check_plan
from mc2.plan.linear_models import FitClusters, FitLinear
from mc2.plan.plan import Plan


def plan_with(operation, **facts) -> Plan:
    """The plan of the vectors, whose kept model was made in another way."""
    plan = whole_plan()
    *others, source = plan.inputs
    model = replace(source.model, operation=operation, **facts)
    return replace(plan, inputs=(*others, replace(source, model=model)))


def recalled(plan: Plan) -> str:
    (place,) = (i for i, n in enumerate(plan.nodes) if n.operation.OP == "recall")
    return step_words(plan, place)


LINEAR = {"margins": 1, "values": 1, "rounds": 0, "has_best": False}


def test_what_is_taken_and_how_it_was_made():
    assert recalled(whole_plan()) == (
        "Take the model kept.risk, to predict with: an XGBoost model of at most 8 rounds, "
        "objective = binary:logistic; features age."
    )
    line = recalled(plan_with(FitLinear(0, "logistic", "0.5"), **LINEAR))
    assert "to predict with: a logistic regression; features age." in line
    assert "the centres of 3 clusters" in recalled(plan_with(FitClusters(0, 3), **LINEAR))


def test_another_model_of_the_same_name_is_a_change():
    plan = whole_plan()
    made = plan.inputs[-1].model.operation
    other = plan_with(replace(made, num_boost_round=9), rounds=9)
    assert check_plan(other)
    found = list_changes(plan, other)
    assert "kept.risk is another model, trained in another way" in found
