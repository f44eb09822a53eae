"""Joins in another order give the same rows, in as much room."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support.differential import rows_of
from tests.support.oblivious import run_obliviously
from tests.support.oblivious_plans import obliviously
from tests.support.plans import LIMITS
from tests.support.random_joins import random_joins

from mc2.engine.oblivious import run
from mc2.engine.run import execute
from mc2.errors import PlanError
from mc2.plan import oblivious_order, oblivious_search
from mc2.plan.check import check_plan
from mc2.plan.oblivious_order import in_cheap_order

SEEDS = st.integers(0, 2**32)


def reordered(seed, most_searched=9, tables=4):
    """A job with its joins in whatever order is cheapest, however little that saves."""
    job, node, declared = random_joins(seed, tables)
    plan = job.plan(out=node)
    declared = {name: facts for name, facts in declared.items() if name in _datasets(plan)}
    try:
        checked, sources = obliviously(plan, job, declared)
    except PlanError:  # more pairs than there is room for
        return None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oblivious_order, "_WORTH", 1 << 60)
        patch.setattr(oblivious_order, "_LEAST", 0)
        patch.setattr(oblivious_search, "MOST_SEARCHED", most_searched)
        found = in_cheap_order(checked)
    return None if found is None else (job, plan, check_plan(found), sources)


def _datasets(plan):
    return {source.dataset for source in plan.inputs}


def agrees(made):
    job, plan, after, sources = made
    wanted = execute(check_plan(plan), job.sources, LIMITS, lambda _: None)["out"].table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "as_run", lambda checked: checked)
        found, _ = run_obliviously(after, sources)
    assert rows_of(found["out"]) == rows_of(wanted)
    assert found["out"].schema == wanted.schema


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_any_order_gives_the_same_rows(seed):
    made = reordered(seed)
    assume(made is not None)
    agrees(made)


@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_a_large_region_is_joined_step_by_step(seed):
    made = reordered(seed, most_searched=0, tables=6)
    assume(made is not None)
    agrees(made)


def test_most_jobs_are_joined_in_another_order():
    """Else the comparisons above would say little."""
    found = [reordered(seed) for seed in range(20)]
    assert sum(made is not None for made in found) > 12
