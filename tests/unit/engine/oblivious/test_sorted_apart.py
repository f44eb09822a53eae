"""Rows that several tasks sort together: the answer of one task, whatever the keys are like."""

from __future__ import annotations

from contextlib import suppress

import pytest
from tests.support.oblivious import opened, run_obliviously
from tests.support.oblivious_stages import ObliviousStages
from tests.support.sorted_apart import KINDS, WHAT, job_of

from mc2.errors import EngineError

FEW, MANY = 4, 6
ROWS = {FEW: 130, MANY: 210}


def cut_of(kind: str, what: str, tasks: int, seed: int = 1, *, record: bool = False):
    made = job_of(kind, ROWS[tasks], what, seed)
    return made, ObliviousStages(*made, tasks, record=record)


def works(cut) -> set[str]:
    return {s.work for stage in cut.stages.stages for s in stage.steps}


def ways(cut) -> set[str]:
    found = [e.deal for stage in cut.stages.stages for e in stage.exchanges]
    return {d.way for d in found if d is not None}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("tasks", [FEW, MANY])
def test_tasks_give_what_one_gives(kind, what, tasks):
    made, cut = cut_of(kind, what, tasks)
    assert "finish" in works(cut)
    assert ("pairs" if tasks == FEW else "halves") in ways(cut)
    wanted, _ = run_obliviously(*made)
    found = {name: opened(output) for name, output in cut.run().items()}
    assert found == wanted
    assert what == "anti" or wanted["found"].num_rows or kind == "one"


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("tasks", [FEW, MANY])
def test_other_keys_hand_on_blocks_of_the_same_sizes(what, tasks):
    seen = []
    for kind in KINDS:
        _, cut = cut_of(kind, what, tasks, seed=KINDS.index(kind), record=True)
        with suppress(EngineError):
            cut.run()
        seen.append(cut.seen)
    assert seen[0]
    assert all(s == seen[0] for s in seen)
