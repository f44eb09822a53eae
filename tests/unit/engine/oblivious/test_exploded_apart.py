"""Rows for elements of lists over several tasks: each task makes those of its own rows."""

from __future__ import annotations

import pytest
from tests.support.oblivious import opened, run_obliviously
from tests.support.oblivious_plans import obliviously
from tests.support.oblivious_stages import ObliviousStages
from tests.support.plans import Job, Source, schema

from mc2.plan.expressions import ColumnRef
from mc2.plan.relations import Aggregate, AggregateColumn, Explode, Sort, SortKey

LISTS = (None, [], [1, None, 3], [2], [3, 3], [None])
OTHER = ([5, 5, 5], None)


def made_of(lists, reader: str, *, outer: bool):
    rows = [(i, lists[i % len(lists)]) for i in range(40)]
    rows[-1] = (39, [7, 8, 9])  # so that lists have one width, whatever the rows are
    job = Job(t=Source(schema(k="int64", l="list<int64>"), rows, bound=0))
    node = job.add(Explode(job.scan("t"), ColumnRef("l"), "e", "p", outer))
    match reader:
        case "sort":
            keys = (SortKey(ColumnRef("e"), True, False), SortKey(ColumnRef("k"), False, True))
            node = job.add(Sort(node, keys))
        case "groups":
            count = AggregateColumn("n", "count_star", ())
            node = job.add(Aggregate(node, ("e",), (count,)))
    return obliviously(job.plan(found=node), job)


@pytest.mark.parametrize("reader", ["nobody", "sort", "groups"])
@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_tasks_give_what_one_gives(reader, tasks):
    made = made_of(LISTS, reader, outer=tasks > 2)
    cut = ObliviousStages(*made, tasks)
    (first,) = [n for n, o in enumerate(made[0].plan.nodes) if isinstance(o.operation, Explode)]
    spread = [s.tasks for s in cut.stages.stages if any(t.node == first for t in s.steps)]
    assert tasks in spread
    wanted, _ = run_obliviously(*made)
    assert opened(cut.run()["found"]) == wanted["found"]


def test_how_many_elements_there_are_does_not_show():
    seen = []
    for lists in (LISTS, OTHER):
        cut = ObliviousStages(*made_of(lists, "groups", outer=False), 3, record=True)
        cut.run()
        seen.append(cut.seen)
    assert seen[0]
    assert seen[0] == seen[1]
