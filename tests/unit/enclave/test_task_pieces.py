"""A partition that is too large is joined in pieces, as receipts tell; no host makes one up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.plans import Job, Source, schema, table_rows
from tests.support.task_cluster import TaskCluster, cluster_of

from mc2.enclave.task_pieces import Place, fits
from mc2.errors import DatasetError, JobError
from mc2.formats.task import TaskOrder
from mc2.plan.expressions import ColumnRef, call
from mc2.plan.relations import Aggregate, AggregateColumn, Filter, Join, Project
from mc2.plan.relations import NamedExpression as Named

K, X, J, Y = (ColumnRef(n) for n in "kxjy")
COUNTED = (AggregateColumn("n", "count_star", ()), AggregateColumn("s", "sum", (X,)))


def skewed(how: str = "inner") -> tuple[Job, dict[str, int]]:
    """Nine of ten rows have one key. They are joined, and grouped by a column of the other side."""
    left = [(7 if i % 10 else i, i / 3) for i in range(120)]
    job = Job(
        t=Source(schema(k="int64", x="double"), left, bound=0),
        u=Source(schema(j="int64", y="int64"), [(i, i % 4) for i in range(40)], bound=0),
    )
    both = job.add(Join(job.scan("t"), job.scan("u"), how, call("eq", K, J)))
    if how in {"semi", "anti"}:
        return job, {"o": job.add(Aggregate(both, (), COUNTED))}
    return job, {"o": job.add(Aggregate(both, ("y",), COUNTED))}


def cluster(how: str = "inner", **more: int) -> TaskCluster:
    return cluster_of(*skewed(how), chunk=8, **({"piece_rows": 0, "partitions": 4} | more))


def answer(finished) -> list:
    return sorted(table_rows(finished.outputs["o"].table), key=repr)


def joining(run: TaskCluster) -> list[Place]:
    """Run what a join reads; its tasks."""
    for stage in range(run.stages.last):
        if run.runners[0].work.sides[stage]:
            return run.stage_tasks(stage)
        for place in run.stage_tasks(stage):
            run.task(*place[:2])
    raise AssertionError


def piece_of(run: TaskCluster) -> Place:
    """The first piece of the only partition that is shared."""
    return next(p for p in joining(run) if p.pieces)


def ordered(run: TaskCluster, place: Place) -> bytes:
    """An order for such a task, whether there is one or not."""
    inputs = run.known().inputs(place)
    assert inputs is not None
    return run.runners[0].order(place, 1, inputs).encode()


@pytest.mark.parametrize("how", ["inner", "left", "semi", "anti", "right", "full"])
def test_pieces_give_what_one_enclave_gives(how):
    job, outputs = skewed(how)
    run = cluster(how)
    alone = sorted(table_rows(job.run(**outputs)["o"].table), key=repr)
    assert answer(run.run()) == alone
    assert any(len(p) == 4 for p in run.receipts) is (how not in {"right", "full"})


def test_a_right_join_is_cut_on_its_right():
    job, _ = skewed()
    both = job.add(Join(job.scan("u"), job.scan("t"), "right", call("eq", K, J)))
    grouped = job.add(Aggregate(both, ("y",), COUNTED))
    run = cluster_of(job, {"o": grouped}, chunk=8, piece_rows=0, partitions=4)
    assert answer(run.run()) == sorted(map(tuple, job.rows(grouped)), key=repr)
    assert any(len(p) == 4 for p in run.receipts)


def test_only_the_large_partition_is_shared_and_no_task_has_most_of_the_rows():
    run = cluster()
    tasks = joining(run)
    shared = {p.partition for p in tasks if p.pieces}
    assert len(shared) == 1
    assert sorted(p.piece for p in tasks if p.pieces) == [1, 2, 3, 4]
    read = []
    for place in tasks:
        run.task(place.stage, place.partition, piece=place.piece, pieces=place.pieces)
        receipt = run.known().read(place)
        assert len(receipt[0]) == 4
        order = TaskOrder.parse(ordered(run, place))
        sources = run.runners[0]._sources(place, order.inputs, run.host().read)
        for source in sources:
            source.read_rest()
        read.append(sources[0].rows)
    assert sum(read) == 120
    assert max(read) <= 120 // 3


def test_a_small_part_is_left_whole_whatever_its_share():
    run = cluster(piece_rows=1000)
    assert not any(p.pieces for p in joining(run))


@pytest.mark.parametrize("limit", ["grouped", "first"])
def test_what_takes_all_rows_of_a_part_is_never_cut(limit):
    job, _ = skewed()
    both = job.add(Join(job.scan("t"), job.scan("u"), "inner", call("eq", K, J)))
    by_key = job.add(Aggregate(both, ("k",), (AggregateColumn("s", "sum", (X,), distinct=True),)))
    if limit == "first":
        by_key = job.add(Filter(by_key, call("gt", K, K)))
    run = cluster_of(job, {"o": by_key}, chunk=8, piece_rows=0, partitions=4)
    assert not any(run.runners[0].work.sides)
    assert answer(run.run()) == sorted(map(tuple, job.rows(by_key)), key=repr)


def test_what_projects_and_joins_on_is_cut_all_the_same():
    job, _ = skewed()
    both = job.add(Join(job.scan("t"), job.scan("u"), "inner", call("eq", K, J)))
    named = job.add(Project(both, (Named("x", call("add", X, X)), Named("y", Y))))
    grouped = job.add(Aggregate(named, ("y",), COUNTED))
    run = cluster_of(job, {"o": grouped}, chunk=8, piece_rows=0, partitions=4)
    assert answer(run.run()) == sorted(map(tuple, job.rows(grouped)), key=repr)
    assert any(len(p) == 4 for p in run.receipts)


# What a host may do to pieces.


@pytest.mark.parametrize(
    ("piece", "pieces"),
    [(0, 0), (1, 2), (1, 3), (3, 3)],
    ids=["whole", "fewer", "less", "the last of fewer"],
)
def test_a_piece_that_is_none_is_refused(piece, pieces):
    run = cluster()
    place = piece_of(run)
    with pytest.raises(JobError, match="a piece that there is none of"):
        run.runners[0].run(ordered(run, place._replace(piece=piece, pieces=pieces)), run.host())


@pytest.mark.parametrize(("piece", "pieces"), [(0, 4), (5, 4), (1, 1), (1, 5), (1, 0), (2, 0)])
def test_pieces_that_no_plan_has_are_refused(piece, pieces):
    run = cluster()
    place = piece_of(run)._replace(piece=piece, pieces=pieces)
    with pytest.raises(JobError, match="a task that the plan does not have"):
        run.runners[0].run(ordered(run, place), run.host())


def test_a_piece_of_a_partition_that_is_whole_is_refused():
    run = cluster()
    whole = next(p for p in joining(run) if not p.pieces)
    with pytest.raises(JobError, match="a piece that there is none of"):
        run.runners[0].run(ordered(run, whole._replace(piece=1, pieces=2)), run.host())


def test_a_piece_of_a_stage_that_has_none_is_refused():
    run = cluster()
    with pytest.raises(JobError, match="a task that the plan does not have"):
        run.runners[0].run(ordered(run, Place(0, 0, 1, 2)), run.host())
    assert not fits(run.stages, (), Place(0, 0, 1, 2))


def all_but_the_last(run: TaskCluster) -> None:
    for stage in range(run.stages.last):
        for place in run.stage_tasks(stage):
            run.task(place.stage, place.partition, piece=place.piece, pieces=place.pieces)


def reader(run: TaskCluster) -> Place:
    """A task that reads pieces, once all of them have run."""
    stage = piece_of(run).stage
    for place in run.stage_tasks(stage):
        run.task(place.stage, place.partition, piece=place.piece, pieces=place.pieces)
    return Place(stage + 1, 0)


def altered(run: TaskCluster, place: Place, change) -> bytes:
    order = TaskOrder.parse(ordered(run, place))
    return replace(order, inputs=tuple(change(list(i)) for i in order.inputs)).encode()


@pytest.mark.parametrize("which", ["missing", "twice", "in another order", "at the end"])
def test_a_reader_takes_all_pieces_once_and_in_order(which):
    run = cluster()
    place = reader(run)
    (tasks,) = run.known().reads(place)
    at = next(i for i, t in enumerate(tasks) if t.pieces)
    change = {
        "missing": lambda names: (*names[:at], *names[at + 1 :]),
        "twice": lambda names: (*names[: at + 1], names[at], *names[at + 2 :]),
        "in another order": lambda names: (
            *(*names[:at], names[at + 1], names[at]),
            *names[at + 2 :],
        ),
        "at the end": lambda names: (*names, names[at]),
    }[which]
    match = "exactly the tasks" if which == "at the end" else "in the place of another task's"
    with pytest.raises(JobError, match=match):
        run.runners[0].run(altered(run, place, change), run.host())


def test_pieces_of_different_attempts_do_not_go_together():
    run = cluster()
    tasks = joining(run)
    first, *others = [p for p in tasks if p.pieces]
    run.task(first.stage, first.partition, piece=first.piece, pieces=first.pieces)
    run.task(0, 0, attempt=2)
    for place in [*others, *(p for p in tasks if not p.pieces)]:
        run.task(place.stage, place.partition, piece=place.piece, pieces=place.pieces)
    with pytest.raises(JobError, match="pieces of one partition read different attempts"):
        run.runners[0].run(ordered(run, Place(first.stage + 1, 0)), run.host())


@pytest.mark.parametrize("what", ["skipped", "whole as well", "twice"])
def test_the_end_takes_exactly_the_pieces(what):
    run = cluster()
    all_but_the_last(run)
    shared = [p for p in run.receipts if len(p) == 4]
    receipts = list(run.receipts.values())
    if what == "skipped":
        receipts.remove(run.receipts[shared[0]])
    elif what == "twice":
        receipts.append(run.receipts[shared[0]])
    else:  # by a member gone mad
        place = Place(*shared[0])
        name = run.runners[0].work.name(Place(place.stage, place.partition), 1)
        receipt = run.known().read(Place(place.stage + 1, 0))[0][place.partition]
        receipts.append(replace(receipt, task=name).sign(run.keys[receipt.member]))
    match = "is there twice" if what == "twice" else "not the tasks of the plan"
    with pytest.raises(JobError, match=match):
        run.runners[0].finish(receipts, run.host())


def test_a_block_of_another_piece_does_not_open():
    run = cluster()
    place = reader(run)
    (tasks,) = run.known().reads(place)
    receipts = {t: r for t, r in zip(tasks, run.known().read(place)[0], strict=True) if t.pieces}
    one, other = list(receipts)[:2]
    here, there = (receipts[t].written[0] for t in (one, other))
    part = next(n for n, blocks in enumerate(here) if blocks and there[n])
    swapped = {here[part][0].digest: there[part][0].digest}
    run.lie = lambda name, raw: run.blobs[swapped[name]] if name in swapped else raw
    with pytest.raises(DatasetError, match="not the one"):
        run.task(place.stage, part)
