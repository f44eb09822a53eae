"""Plans over rows at home: what they may do with them, and what is refused before anybody signs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.home_trainings import EDGES, HOMES, home_job, home_plan

from mc2.client.plan_words import step_words
from mc2.errors import FormatError, PlanError
from mc2.plan.check import check_plan
from mc2.plan.home import home_inputs, home_parties, trained_parties, trains_at_home
from mc2.plan.matrices import Edges
from mc2.plan.plan import Plan, PlanOutput
from mc2.plan.training import Dropout, Train


@pytest.fixture(scope="module")
def job():
    return home_job()


def made(job, **changes):
    return home_plan(job.contract.digest, job.datasets, **changes)


def training(plan):
    return next(i for i, n in enumerate(plan.nodes) if isinstance(n.operation, Train))


def test_who_is_at_home_follows_from_the_plan(job):
    plan = check_plan(job.plan).plan
    assert home_parties(plan) == HOMES
    assert home_inputs(plan, None) == {"dee.visits"}
    assert home_inputs(plan, "ada") == {"ada.visits"}
    assert home_inputs(plan, "dee") == frozenset()
    assert trained_parties(plan, training(plan)) == {"ada", "bo", "dee"}
    assert trains_at_home(plan, training(plan)) == {"ada", "bo"}


def test_a_plan_with_dropout_survives_its_encoding(job):
    plan = made(job, dropout=Dropout(2))
    assert Plan.parse(check_plan(plan).plan.encode()) == plan
    assert "GO ON WITHOUT ITS ROWS" in step_words(plan, training(plan))


def test_edges_have_to_be_public(job):
    with pytest.raises(PlanError, match="cuts between bins") as caught:
        check_plan(made(job, edges=()))
    assert "bin_edges" in caught.value.hint


def test_a_home_without_rows_takes_part_in_no_training(job):
    inputs = tuple(replace(i, row_bound=0) if i.owner == "ada" else i for i in job.plan.inputs)
    with pytest.raises(PlanError, match=r"ada\.visits stays at home, and has no rows"):
        check_plan(replace(job.plan, inputs=inputs))


def test_encrypted_mode_brings_rows_together(job):
    with pytest.raises(PlanError, match="encrypted mode"):
        check_plan(made(job, mode="encrypted"))


def test_more_parties_than_there_are_cannot_be_left(job):
    with pytest.raises(PlanError, match="of 3 parties, and wants 4"):
        check_plan(made(job, dropout=Dropout(4)))


def test_dropout_is_for_rows_at_home():
    hosted = home_job(homes=())
    with pytest.raises(PlanError, match="nobody can drop out"):
        check_plan(made(hosted, dropout=Dropout(2)))


def test_rows_at_home_are_no_output(job):
    shown = PlanOutput(name="rows", node=0, kind="table", recipients=("cy",))
    outputs = tuple(sorted((*job.plan.outputs, shown), key=lambda o: o.name))
    with pytest.raises(PlanError, match="stay at home"):
        check_plan(replace(job.plan, outputs=outputs))


def test_an_input_is_at_one_of_two_places(job):
    raw = job.plan.encode().replace(b'"placement":"home"', b'"placement":"moon"')
    with pytest.raises(FormatError, match="placement"):
        Plan.parse(raw)


def test_edges_of_one_feature_are_not_enough(job):
    one = (Edges("age", EDGES[0].edges),)
    with pytest.raises(PlanError, match="edges"):
        check_plan(made(job, edges=one))
