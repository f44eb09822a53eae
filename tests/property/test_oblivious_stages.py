"""Random plans in oblivious mode: several tasks give the table that one gives, or fail as it does.

And what tasks hand on and compute follows from public sizes, whatever the rows are.
"""

from collections import Counter
from contextlib import suppress
from random import Random

import pyarrow as pa
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support.expressions import shown
from tests.support.oblivious import opened, run_obliviously
from tests.support.oblivious_plans import obliviously, other_rows
from tests.support.oblivious_stages import ObliviousStages
from tests.support.random_plans import random_job
from tests.support.random_splits import FACTS, random_split

from mc2.errors import EngineError, PlanError

SEEDS = st.integers(0, 2**32)
TASKS = st.integers(2, 4)
WHOLE = st.sampled_from((0, 6))


def job_of(seed, split=False):
    """A random plan in oblivious mode, and its inputs; None if it is refused.

    `split`: one of operations that tasks compute of their own rows.
    """
    random = Random(seed)
    job, nodes = random_split(random) if split else random_job(random, values=True)
    plan = job.plan(**{f"o{i}": n for i, n in enumerate(nodes)})
    try:
        return obliviously(plan, job, FACTS if split else None)
    except PlanError:
        return None


def bits(table):
    """The rows in their order, -0 apart from +0; dates by their days: Python has not all of them."""
    columns = [c.cast(pa.int32()) if pa.types.is_date32(c.type) else c for c in table.columns]
    return list(zip(*([shown(v) for v in c.to_pylist()] for c in columns), strict=True))


def in_one(checked, sources):
    try:
        return run_obliviously(checked, sources)[0]
    except EngineError as error:
        return str(error)


def in_several(cut):
    try:
        return {name: opened(output) for name, output in cut.run().items()}
    except EngineError as error:
        return str(error)


def outcome(seed, tasks, whole, split=False):
    """How a plan went; asserts that cutting it changed nothing."""
    made = job_of(seed, split)
    if made is None:
        return "refused"
    cut = ObliviousStages(*made, tasks, whole=whole)
    wanted, found = in_one(*made), in_several(cut)
    if isinstance(wanted, str) or isinstance(found, str):
        assert found == wanted
        return "failed"
    assert found.keys() == wanted.keys()
    for name, table in wanted.items():
        assert found[name].schema == table.schema
        assert bits(found[name]) == bits(table)
    return "cut" if len(cut.stages.stages) > 1 else "in one"


@settings(max_examples=60, deadline=None)
@given(SEEDS, TASKS, WHOLE)
def test_tasks_give_what_one_gives(seed, tasks, whole):
    assume(outcome(seed, tasks, whole) != "refused")


@settings(max_examples=60, deadline=None)
@given(SEEDS, TASKS, st.sampled_from((0, 12)))
def test_what_tasks_compute_of_their_own_rows_adds_up(seed, tasks, whole):
    assume(outcome(seed, tasks, whole, split=True) != "refused")


def test_tasks_make_groups_of_their_own_rows_first():
    found = Counter()
    for seed in range(60):
        if (made := job_of(seed, split=True)) is not None:
            nodes = made[0].plan.nodes
            for stage in ObliviousStages(*made, 3).stages.stages:
                readers = [e.reader for e in stage.exchanges]
                found.update(nodes[r].operation.OP for r in readers if r is not None)
    assert {"aggregate", "distinct", "sort", "limit", "bound"} <= set(found), found


def test_most_plans_are_cut():
    """Else the comparison above would say little."""
    for split in (False, True):
        found = Counter(outcome(seed, 3, 0, split) for seed in range(60))
        assert found["cut"] > 20


@settings(max_examples=40, deadline=None)
@given(SEEDS, TASKS, WHOLE, st.booleans())
def test_blocks_and_calls_of_kernels_depend_on_shapes_alone(seed, tasks, whole, split):
    made = job_of(seed, split)
    assume(made is not None)
    checked, sources = made
    random = Random(seed)
    seen = []
    for tables in (sources, {n: other_rows(s, random) for n, s in sources.items()}):
        cut = ObliviousStages(checked, tables, tasks, whole=whole, record=True)
        with suppress(EngineError):  # told when all calls have been made
            cut.run()
        seen.append(cut.seen)
    assert seen[0]
    assert seen[0] == seen[1]
