"""Oblivious plans over several enclaves: the answer of one, blocks that tell nothing of rows."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from tests.support.oblivious import opened
from tests.support.oblivious_cluster import oblivious_cluster
from tests.support.plans import Job, Source, schema

from mc2.errors import CryptoError, DatasetError, EngineError, FormatError, JobError
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.relations import Aggregate, AggregateColumn, Filter, Join, Limit, Sort, SortKey
from mc2.plan.types import INT64

K, X, J, Y = (ColumnRef(n) for n in "kxjy")
FACTS = {"a.t": {"ranges": {"k": (0, 8)}}, "a.u": {"unique": (("j",),), "ranges": {"y": (0, 3)}}}


def rows_of_two(seed: int = 1, many: int = 40, same: int = 0):
    """Rows of one shape: so many on the left side, nine on the right."""
    random = Random(seed)
    left = [(random.randrange(9) if not same else 4, random.randrange(100)) for _ in range(many)]
    return left, [(i, i % 4) for i in range(9)]


def job_of(left, right) -> tuple[Job, dict[str, int]]:
    """A filter, a join with a unique side, groups of it, and the first of them in order."""
    job = Job(
        t=Source(schema(k="int64!", x="int64"), left, bound=0),
        u=Source(schema(j="int64!", y="int64!"), right, bound=0),
    )
    kept = job.add(Filter(job.scan("t"), call("gt", X, literal(20, INT64))))
    both = job.add(Join(kept, job.scan("u"), "inner", call("eq", K, J)))
    grouped = job.add(
        Aggregate(
            both,
            ("y",),
            (
                AggregateColumn("n", "count_star", ()),
                AggregateColumn("s", "sum", (X,)),
                AggregateColumn("m", "avg", (X,)),
                AggregateColumn("g", "max", (X,)),
            ),
        )
    )
    order = (SortKey(Y, descending=False, nulls_first=False),)
    return job, {
        "groups": job.add(Sort(grouped, order)),
        "first": job.add(Limit(job.add(Sort(kept, (SortKey(X, True, False),))), 5)),
    }


def cluster(seed: int = 1, same: int = 0, **more):
    job, outputs = job_of(*rows_of_two(seed, same=same))
    more = {"broadcast_rows": 11, **more}
    return oblivious_cluster(job, outputs, facts=FACTS, **more)


def answers(run):
    return {name: opened(output).to_pylist() for name, output in run.run().outputs.items()}


def test_tasks_give_what_one_enclave_gives():
    one, several = cluster(partitions=1), cluster(partitions=3)
    assert len(one.stages.stages) == 1
    assert max(s.tasks for s in several.stages.stages) == 3
    found = answers(several)
    assert found == answers(one)
    assert found["groups"]
    assert len(found["first"]) == 5


def test_the_answer_is_that_of_the_encrypted_engine():
    job, outputs = job_of(*rows_of_two())
    wanted = {n: o.table.to_pylist() for n, o in job.run(**outputs).items()}
    assert answers(cluster()) == wanted


def test_more_tasks_than_chunks():
    assert answers(cluster(partitions=11)) == answers(cluster(partitions=1))


def seen(run):
    """What a host sees of a run: who wrote what, how large, how many places; what was scanned."""
    run.run()
    found = []
    for place in run.stages.tasks():
        receipt = run.receipt(*place)
        sizes = [[[(b.size, b.rows) for b in p] for p in e] for e in receipt.written]
        found.append((place, sizes, receipt.scanned))
    return found


def test_receipts_tell_nothing_of_rows():
    """Rows that all have one key, rows that have many, and hardly any: the same blocks."""
    job, outputs = job_of([(0, 0)] * 40, rows_of_two()[1])
    empty = oblivious_cluster(job, outputs, facts=FACTS, broadcast_rows=11)
    assert seen(cluster(1)) == seen(cluster(2)) == seen(cluster(3, same=1)) == seen(empty)


def test_a_failure_in_a_task_is_told_at_the_end_alone():
    left, _ = rows_of_two()
    twice = [(i // 2, i % 4) for i in range(9)]  # declared unique
    job, outputs = job_of(left, twice)
    run = oblivious_cluster(job, outputs, facts=FACTS, broadcast_rows=11)
    run.tasks()
    with pytest.raises(EngineError, match="unique occurs twice"):
        run.finish()


def reader_of_blocks(run):
    """Run all tasks that read no blocks; the first one that does."""
    for stage, partition in run.stages.tasks():
        if any(hasattr(s, "stage") for s in run.stages.stages[stage].sources):
            return stage, partition
        run.task(stage, partition)
    raise AssertionError


def written(run):
    return [
        (place, block.digest)
        for place in run.receipts
        for parts in run.receipt(*place).written
        for blocks in parts
        for block in blocks
    ]


@pytest.mark.parametrize(
    "change",
    [lambda raw: raw[:-1], lambda raw: raw + b"\0", lambda raw: raw[:-1] + bytes([raw[-1] ^ 1])],
    ids=["truncated", "longer", "flipped"],
)
def test_a_changed_block_is_refused(change):
    run = cluster()
    stage, partition = reader_of_blocks(run)
    victims = {name for _, name in written(run)}
    run.lie = lambda name, raw: change(raw) if name in victims else raw
    with pytest.raises(DatasetError, match="not the one that its task's receipt names"):
        run.task(stage, partition)


def test_a_dropped_block_is_missed():
    run = cluster()
    stage, partition = reader_of_blocks(run)
    for _, name in written(run):
        del run.blobs[name]
    with pytest.raises(DatasetError, match="did not give"):
        run.task(stage, partition)


def test_a_block_of_another_task_does_not_open():
    """Even if the receipt of a member gone mad names it."""
    run = cluster()
    run.tasks()
    stage = next(s for s, p in run.receipts if p == 1)
    first, second = run.receipt(stage, 0), run.receipt(stage, 1)
    raw = replace(second, written=first.written).sign(run.keys[second.member])
    for place in [p for p in run.receipts if p[0] > stage]:
        del run.receipts[place]
    run.keep(stage, 1, raw)
    with pytest.raises(CryptoError, match="does not open"):
        rest(run)


def rest(run):
    for place in run.stages.tasks():
        if place not in run.receipts:
            run.task(*place)
    return run.finish()


def test_a_skipped_task_is_missed():
    run = cluster()
    run.tasks()
    run.receipts.popitem()
    with pytest.raises(JobError, match="not the tasks of the plan"):
        run.finish()


def test_a_retried_task_gives_the_same_answer():
    run = cluster()
    for stage, partition in run.stages.tasks():
        run.task(stage, partition, attempt=1, member=0)
        run.task(stage, partition, attempt=2, member=1)
    found = {n: opened(o).to_pylist() for n, o in run.finish().outputs.items()}
    assert found == answers(cluster(partitions=1))


# --- rows that all tasks sort together


def apart(seed: int = 1, same: int = 0, **more):
    """Groups of any number: every task's rows go round until all are in order."""
    job, _ = job_of(*rows_of_two(seed, same=same))
    count = AggregateColumn("n", "count_star", ())
    groups = job.add(Aggregate(job.scan("t"), ("x",), (count, AggregateColumn("s", "sum", (K,)))))
    more = {"broadcast_rows": 0, "partitions": 3, **more}
    return oblivious_cluster(job, {"groups": groups}, facts=FACTS, **more)


def rounds_of(run):
    """The stages whose tasks hand each other parts of a sort."""
    return [
        number
        for number, stage in enumerate(run.stages.stages)
        if any(e.partitions > 1 for e in stage.exchanges)
    ]


def test_groups_of_all_tasks_are_those_of_one():
    several = apart()
    assert len(rounds_of(several)) > 1
    assert answers(several) == answers(apart(partitions=1))
    assert seen(apart(1)) == seen(apart(2)) == seen(apart(3, same=1))


def gone_mad(run, stage, change):
    """Run all; then the member of task 1 of a stage says of its parts what `change` makes."""
    run.tasks()
    receipt = run.receipt(stage, 1)
    raw = replace(receipt, written=change(receipt.written)).sign(run.keys[receipt.member])
    for place in [p for p in run.receipts if p[0] > stage]:
        del run.receipts[place]
    run.keep(stage, 1, raw)
    return run


def turned(written):
    """The blocks for task 1 in place of those for task 0: as many."""
    return tuple((parts[1], *parts[1:]) for parts in written)


def emptied(written):
    """No block for any task but the first, which one reads of many: others are missing."""
    return tuple((parts[0], *(() for _ in parts[1:])) for parts in written)


def test_parts_of_a_round_that_are_swapped_do_not_open():
    run = apart()
    run = gone_mad(run, rounds_of(run)[0], turned)
    with pytest.raises(CryptoError, match="does not open"):
        rest(run)


def test_parts_of_a_round_that_are_left_out_are_missed():
    run = apart()
    run = gone_mad(run, rounds_of(run)[0], emptied)
    with pytest.raises(FormatError, match="other parts than a round"):
        rest(run)


def test_a_block_of_an_earlier_round_does_not_open():
    run = apart()
    first, second = rounds_of(run)[:2]
    run.tasks()
    earlier = run.receipt(first, 1).written
    run = gone_mad(run, second, lambda _: earlier)
    with pytest.raises(CryptoError, match="does not open"):
        rest(run)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_skipped_round_is_missed(number):
    run = apart()
    run.tasks()
    stage = rounds_of(run)[number]
    del run.receipts[stage, 2]
    with pytest.raises(JobError, match="not the tasks of the plan"):
        run.finish()
