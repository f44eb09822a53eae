"""Rows that several tasks sort together: the answer of one task, whatever the keys are like."""

from __future__ import annotations

from contextlib import suppress
from itertools import product

import numpy as np
import pytest
from tests.support.differential import rows_of
from tests.support.oblivious import opened, run_obliviously
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.oblivious_stages import ObliviousStages
from tests.support.plans import Job, Source, schema
from tests.support.sorted_apart import KINDS, WHAT, job_of, only_rows, plan_of

from mc2.engine.oblivious.sheets import dealt
from mc2.errors import EngineError, FormatError
from mc2.operators.planes import Key
from mc2.operators.run import Run
from mc2.operators.sheets import Sheet, sorted_sheet, write_sheet
from mc2.plan.expressions import ColumnRef
from mc2.plan.oblivious_deals import Deal
from mc2.plan.relations import Sort, SortKey
from mc2.plan.windows import Window, WindowColumn

FEW, MANY = 4, 6
ROWS = {FEW: 130, MANY: 210}
FULL = [("full-rest", "finish"), ("turned-full", "finish"), ("many-full", "compute")]


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


@pytest.mark.parametrize(("what", "first"), FULL)
def test_full_joins_are_one_sides_pairs_and_the_others_rows_alone(what, first):
    made, cut = cut_of("many", what, FEW)
    steps = {(s.work, s.part) for stage in cut.stages.stages for s in stage.steps}
    assert {(first, 0), ("finish", 1), ("together", None)} <= steps
    wanted, _ = run_obliviously(*made)
    assert opened(cut.run()["found"]) == wanted["found"]
    rows = wanted["found"].to_pylist()
    assert any(r["k"] is None for r in rows)
    assert any(r["j"] is None for r in rows)
    assert any(r["j"] is not None and r["k"] is not None for r in rows)


@pytest.mark.parametrize("what", ["full", "right", *(what for what, _ in FULL)])
def test_outer_joins_over_tasks_are_those_of_encrypted_mode(what):
    job, plan = plan_of("nulls", 60, what)
    ((_, wanted, _),) = both_ways(plan, job)
    found = ObliviousStages(*job_of("nulls", 60, what), 3).run()["found"]
    assert rows_of(opened(found)) == rows_of(wanted)


def test_a_right_join_is_sorted_as_the_left_one_that_it_is():
    made, cut = cut_of("nulls", "right", FEW)
    assert "carry" in works(cut)
    wanted, _ = run_obliviously(*made)
    assert opened(cut.run()["found"]) == wanted["found"]
    assert {r["j"] is None for r in wanted["found"].to_pylist()} == {False, True}


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


def by_key(run, sheet, parts):
    """A planted leak: rows go where a hash of their keys says, as in encrypted mode."""
    flips, planes = Sheet._open(sheet)
    for number in range(len(parts)):
        there = planes[min(1, len(flips) - 1)] % len(parts) == number
        kept = Sheet(flips, [p[there].copy() for p in planes])
        yield from write_sheet(run, kept, [slice(None)])


@pytest.mark.parametrize("leak", [only_rows, by_key])
@pytest.mark.parametrize("tasks", [FEW, MANY])
def test_a_leak_that_is_planted_shows_in_the_record(leak, tasks, monkeypatch):
    monkeypatch.setattr("mc2.engine.oblivious.part.write_sheet", leak)
    seen = []
    for kind in ("one", "many"):
        _, cut = cut_of(kind, "groups", tasks, record=True)
        with suppress(EngineError, FormatError):
            cut.run()
        seen.append(cut.seen)
    assert seen[0] != seen[1]


def test_a_round_takes_the_parts_that_it_has_alone():
    run = Run()
    keys = [Key(np.arange(5, dtype=np.uint64), 0)]
    sheet = sorted_sheet(run, keys, [np.ones(5, dtype=np.uint64)], 5)
    with pytest.raises(FormatError, match="other parts than a round"):
        dealt(run, Deal("pairs", 4), 2, 0, sheet)


ZEROS = [(1, list(pair)) for pair in product((0.0, -0.0), repeat=2)] * 2 + [(2, [0.0]), (2, [-0.0])]


def numbered(made, scan):
    by = (SortKey(ColumnRef("k"), descending=False, nulls_first=True),)
    return made.add(Window(scan, ("k",), by, (WindowColumn("w", "row_number", ()),)))


def in_order(made, scan):
    return made.add(Sort(scan, (SortKey(ColumnRef("k"), descending=True, nulls_first=True),)))


@pytest.mark.parametrize("node", [numbered, in_order])
def test_equal_rows_go_by_the_signs_of_zeros_in_lists_too(node):
    """-0 comes before +0, from left to right: in encrypted mode, in one enclave and in tasks."""
    made = Job(t=Source(schema(k="int64", l="list<double>"), ZEROS, bound=0))
    plan = made.plan(out=node(made, made.scan("t")))
    ((_, fast, slow),) = both_ways(plan, made)
    apart = ObliviousStages(*obliviously(plan, made), 3, whole=0).run()
    assert shown(fast) == shown(slow) == shown(opened(apart["out"]))


def shown(table):
    return [repr(row) for row in table.to_pylist()]  # -0.0 is equal to 0.0, and not the same
