"""Windows over rows that several tasks sort together: the bits of one task, whatever the keys."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.differential import rows_of
from tests.support.oblivious import PaddedTable, facts_of, opened, padded, run_obliviously
from tests.support.oblivious_plans import both_ways
from tests.support.oblivious_stages import ObliviousStages
from tests.support.sorted_apart import KINDS
from tests.support.windows_apart import (
    COLUMNS,
    FRAMES,
    PLACES,
    checked_window,
    every,
    over,
    window_job,
)

from mc2.errors import EngineError
from mc2.operators import carried, ordering
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.types import INT32
from mc2.plan.windows import SO_FAR, WHOLE, WindowColumn

FEW, MANY = 3, 5
ROWS = {FEW: 40, MANY: 170}


def works(cut):
    return {s.work for stage in cut.stages.stages for s in stage.steps}


def agree(made, tasks):
    cut = ObliviousStages(*made, tasks)
    assert {"carry", "finish"} <= works(cut)
    wanted, _ = run_obliviously(*made)
    assert opened(cut.run()["found"]) == wanted["found"]


@pytest.mark.parametrize("kind", KINDS)
def test_tasks_give_what_one_gives(kind):
    agree(checked_window(kind, ROWS[FEW], every(*COLUMNS)), FEW)


@pytest.mark.parametrize("kind", ["few", "one"])
def test_more_tasks_than_compare_in_pairs_do_too(kind):
    agree(checked_window(kind, ROWS[MANY], every("so_far", "from_before", "near", "places")), MANY)


def test_partitions_may_be_one_or_of_equal_rows():
    for keys in ((), ("k", "t")):
        agree(checked_window("few", ROWS[FEW], (*PLACES, *over(SO_FAR)), keys), FEW)


def test_tasks_give_what_encrypted_mode_gives():
    job, plan = window_job("few", ROWS[FEW], every("so_far", "near", "places"))
    ((_, wanted, _),) = both_ways(plan, job)
    found = ObliviousStages(*checked_window("few", ROWS[FEW], plan_columns(plan)), FEW).run()
    assert rows_of(opened(found["found"])) == rows_of(wanted)


def plan_columns(plan):
    return plan.nodes[-1].operation.columns


def test_lists_go_through_tasks_too():
    both = call("list", ColumnRef("t"), ColumnRef("t"))
    ends = ("first_value", "last_value", "min", "max")
    columns = [WindowColumn(f, f, (both,), FRAMES["rows_so_far"]) for f in ends]
    columns.append(WindowColumn("before", "lag", (both, literal(1, INT32), both)))
    agree(checked_window("few", ROWS[FEW], tuple(columns)), FEW)


@settings(max_examples=8, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 99),
    names=st.sets(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=2),
    tasks=st.sampled_from([3, 4]),
)
def test_any_frames_over_any_rows(kind, seed, names, tasks):
    agree(checked_window(kind, 48, every(*sorted(names)), seed=seed), tasks)


def test_tasks_may_have_no_rows_at_all():
    checked, sources = checked_window("few", ROWS[FEW], every("so_far", "places"))
    for rows in (0, 1, 3):
        here = {n: PaddedTable(s.form, s.table.slice(0, rows)) for n, s in sources.items()}
        agree((checked, here), FEW)


# --- what is seen, and what is refused


@pytest.mark.parametrize("tasks", [FEW, MANY])
def test_other_keys_hand_on_blocks_of_the_same_sizes(tasks):
    seen = []
    for kind in ("one", "many", "nulls"):
        made = checked_window(kind, ROWS[tasks], every("so_far", "near", "places"))
        cut = ObliviousStages(*made, tasks, record=True)
        cut.run()
        seen.append(cut.seen)
    assert seen[0]
    assert seen[0] == seen[1] == seen[2]


def test_a_leak_that_is_planted_shows_in_the_record(monkeypatch):
    """Of what a task tells, only the places that stand for rows: partitions could be counted."""
    honest = carried._last_of_each

    def leaky(run, table, ends):
        return ordering.cut(honest(run, table, ends), 0, int(ends.sum()))

    monkeypatch.setattr(carried, "_last_of_each", leaky)
    seen = []
    for kind in ("one", "many"):
        made = checked_window(kind, ROWS[FEW], over(SO_FAR))
        cut = ObliviousStages(*made, FEW, record=True)
        with suppress(EngineError, ValueError, IndexError):
            cut.run()
        seen.append([s[3] for s in cut.seen if isinstance(s, tuple)])
    assert seen[0] != seen[1]


def test_rows_that_facts_say_are_unequal_are_looked_at_over_tasks():
    job, plan = window_job("sorted", ROWS[FEW], PLACES, ())
    table = job.sources["a.t"].table
    for twice in (False, True):
        rows = table.to_pylist()
        if twice:  # equal in all that the window orders by, then in the unique column
            rows = [{**r, "k": 5, "t": None} for r in rows]
        given_rows = table.from_pylist(rows, table.schema)
        facts = facts_of(table, unique=(("k",),))
        source = padded(given_rows, facts, table.num_rows, rows_per_chunk=3)
        (one,) = plan.inputs
        one = replace(one, sizes="padded", facts=facts, row_bound=table.num_rows)
        made = check_plan(replace(plan, mode="oblivious", inputs=(one,))), {"a.t": source}
        cut = ObliviousStages(*made, FEW)
        assert "carry" in works(cut)
        if twice:
            with pytest.raises(EngineError, match="unique occurs twice"):
                cut.run()
        else:
            cut.run()


@pytest.mark.parametrize(
    "column",
    [
        WindowColumn("w", "sum", (ColumnRef("d"),), WHOLE),
        WindowColumn("w", "var_pop", (ColumnRef("d"),), SO_FAR),
        WindowColumn("w", "nth_value", (ColumnRef("x"), literal(2, INT32)), SO_FAR),
        WindowColumn(
            "w",
            "lag",
            (ColumnRef("x"), literal(1, INT32), ColumnRef("x")),
            ignore_nulls=True,
        ),
    ],
)
def test_what_cannot_be_told_is_computed_by_one_task(column):
    made = checked_window("few", ROWS[FEW], (column,))
    cut = ObliviousStages(*made, FEW)
    assert "carry" not in works(cut)
    wanted, _ = run_obliviously(*made)
    assert opened(cut.run()["found"]) == wanted["found"]


def test_all_frames_are_compared():
    assert set(COLUMNS) == {*FRAMES, "places"}
