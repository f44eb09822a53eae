"""Tasks give what one enclave gives; and whatever a host does to them has a name and no answer."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.support.expressions import shown
from tests.support.plans import Job, Source, schema, table_rows
from tests.support.random_plans import failures, random_job
from tests.support.segments import seal_segments
from tests.support.task_cluster import SealedTable, TaskCluster, cluster_of, sealed

from mc2.crypto.secret import DataKey, SigningKey
from mc2.enclave.task_inputs import ChunkRange
from mc2.enclave.task_runner import TaskRunner
from mc2.errors import (
    CryptoError,
    DatasetError,
    EngineError,
    FormatError,
    JobError,
    SignatureError,
)
from mc2.formats.task import TaskOrder
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, call, literal
from mc2.plan.relations import (
    Aggregate,
    AggregateColumn,
    Filter,
    Join,
    Limit,
    Sort,
    SortKey,
    Values,
)
from mc2.plan.stages import PIECE_ROWS
from mc2.plan.types import INT64

K, X, J, Y = (ColumnRef(n) for n in "kxjy")


def bits(rows):
    return [[shown(v) for v in row] for row in rows]


def joined_job() -> tuple[Job, dict[str, int]]:
    """Two tables, joined by key, grouped by another: five stages of three tasks each, and more."""
    left = [(i % 7 if i % 5 else None, i / 3) for i in range(40)]
    right = [(i % 9, i) for i in range(30)]
    job = Job(
        t=Source(schema(k="int64", x="double"), left, bound=0),
        u=Source(schema(j="int64", y="int64"), right, bound=0),
    )
    kept = job.add(Filter(job.scan("u"), call("gt", Y, literal(2, INT64))))
    both = job.add(Join(job.scan("t"), kept, "left", call("eq", K, J)))
    grouped = job.add(
        Aggregate(
            both,
            ("y",),
            (
                AggregateColumn("n", "count_star", ()),
                AggregateColumn("s", "sum", (X,)),
                AggregateColumn("m", "avg", (X,)),
            ),
        )
    )
    top = job.add(Sort(grouped, (SortKey(ColumnRef("n"), descending=True, nulls_first=False),)))
    return job, {"top": top}


def cluster(**more):
    job, outputs = joined_job()
    return cluster_of(job, outputs, chunk=6, **more)


def test_tasks_give_what_one_enclave_gives():
    job, outputs = joined_job()
    found = cluster_of(job, outputs, chunk=6).run()
    alone = job.run(**outputs)
    assert bits(table_rows(found.outputs["top"].table)) == bits(table_rows(alone["top"].table))


def test_tasks_take_rows_that_stand_in_the_script():
    job = Job(t=Source(schema(k="int64", x="double"), [(i, i / 3) for i in range(20)], bound=0))
    listed = job.add(Values(("j",), tuple((literal(n, INT64),) for n in (1, 2, 2, 99))))
    both = job.add(Join(job.scan("t"), listed, "full", call("eq", K, J)))
    cluster = cluster_of(job, {"o": both})
    assert any(not stage.sources for stage in cluster.stages.stages)
    found = cluster.run()
    wanted = job.rows(both)
    rows = table_rows(found.outputs["o"].table)
    assert sorted(map(repr, rows)) == sorted(map(repr, wanted))


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    seed=st.integers(0, 2**32),
    partitions=st.integers(1, 5),
    members=st.integers(1, 3),
    least=st.sampled_from((0, PIECE_ROWS)),
)
def test_random_plans_over_sealed_tables(seed, partitions, members, least):
    job, nodes = random_job(Random(seed))
    outputs = {f"o{i}": node for i, node in enumerate(nodes)}
    try:
        expected = job.run(**outputs)
    except EngineError:
        return
    more = {"partitions": partitions, "members": members, "piece_rows": least}
    cut = cluster_of(job, outputs, chunk=2, **more)
    try:
        found, failed = cut.run().outputs, ""
    except EngineError as error:
        found, failed = {}, str(error)
    if failed:
        assert failed in failures(job, nodes)  # one enclave may have left it unnoticed
        return
    for name, output in expected.items():
        assert bits(table_rows(found[name].table)) == bits(table_rows(output.table))


def test_one_partition_is_one_task():
    whole = cluster(partitions=1)
    assert whole.stages.tasks() == []
    assert len(whole.stages.stages) == 1
    assert whole.run().outputs["top"].table.num_rows > 0


def test_every_enclave_derives_the_same_stages():
    one, other = cluster(members=2).runners
    assert one.work.digest == other.work.digest


def test_a_retried_task_gives_the_same_answer():
    tried = cluster()
    tried.tasks()
    expected = tried.finish().outputs["top"].table
    again = cluster()
    for stage, partition in again.stages.tasks():
        again.task(stage, partition, attempt=1, member=0)
        again.task(stage, partition, attempt=2, member=1)  # the second one counts
    assert again.finish().outputs["top"].table.equals(expected)


def blocks_of(run, stage):
    """All blocks that tasks of a stage wrote: (partition, exchange, part, number, reference)."""
    return [
        (p, e, part, number, block)
        for p in range(run.stages.stages[stage].tasks)
        for e, parts in enumerate(run.receipt(stage, p).written)
        for part, blocks in enumerate(parts)
        for number, block in enumerate(blocks)
    ]


def first_stage(run):
    """Run the first stage's tasks; the reader of its blocks, as (stage, partition)."""
    for stage, partition in run.stages.tasks():
        reads = [s for s in run.stages.stages[stage].sources if hasattr(s, "stage")]
        if reads:
            return stage, partition
        run.task(stage, partition)
    raise AssertionError


# What a host may do to blocks.


def test_a_dropped_block_is_missed():
    run = cluster()
    stage, partition = first_stage(run)
    victim = {b.digest for *_, b in blocks_of(run, 0)}
    run.blobs = {n: raw for n, raw in run.blobs.items() if n not in victim}
    with pytest.raises(DatasetError, match="the host did not give"):
        run.task(stage, partition)


@pytest.mark.parametrize(
    "change",
    [lambda raw: raw[:-1], lambda raw: raw + b"\0", lambda raw: raw[:-1] + bytes([raw[-1] ^ 1])],
    ids=["truncated", "longer", "flipped"],
)
def test_a_changed_block_is_refused(change):
    run = cluster()
    stage, partition = first_stage(run)
    victims = {b.digest for *_, b in blocks_of(run, 0)}
    run.lie = lambda name, raw: change(raw) if name in victims else raw
    with pytest.raises(DatasetError, match="not the one that its task's receipt names"):
        run.task(stage, partition)


def test_swapped_blocks_are_refused():
    run = cluster()
    stage, partition = first_stage(run)
    found = [b.digest for *_, b in blocks_of(run, 0)]
    swapped = dict(zip(found, found[1:] + found[:1], strict=True))
    run.lie = lambda name, raw: run.blobs[swapped[name]] if name in swapped else raw
    with pytest.raises(DatasetError, match="not the one"):
        run.task(stage, partition)


def forged(run, stage, partition, change):
    """A receipt that says something else, signed by the true member: a member gone mad."""
    receipt = run.receipt(stage, partition)
    raw = change(receipt).sign(run.keys[receipt.member])
    run.keep(stage, partition, raw)


def rewritten(receipt, change):
    return replace(receipt, written=tuple(tuple(change(parts)) for parts in receipt.written))


def crowded(run, stage):
    """A task of a stage that wrote blocks to two parts at least."""
    for partition in range(run.stages.stages[stage].tasks):
        for parts in run.receipt(stage, partition).written:
            if sum(1 for p in parts if p) > 1:
                return partition
    raise AssertionError


def test_a_block_opens_only_in_its_part():
    """Even if a receipt says otherwise: the associated data does not agree."""
    run = cluster()
    first_stage(run)
    partition = crowded(run, 0)
    forged(run, 0, partition, lambda r: rewritten(r, lambda parts: parts[1:] + parts[:1]))
    with pytest.raises(CryptoError, match="does not open"):
        rest(run)


def rest(run):
    for stage, partition in run.stages.tasks():
        if (stage, partition) not in run.receipts:
            run.task(stage, partition)
    return run.finish()


def test_a_repeated_block_does_not_open():
    job = Job(t=Source(schema(k="int64", x="double"), [(1, i / 3) for i in range(40)], bound=0))
    grouped = job.add(
        Aggregate(job.scan("t"), ("k",), (AggregateColumn("s", "sum", (X,), distinct=True),))
    )
    run = cluster_of(job, {"o": grouped}, chunk=6)
    run.task(0, 0)
    run.task(0, 1)
    run.task(0, 2)
    receipt = run.receipt(0, 0)
    (part,) = [p for p in receipt.written[0] if p]
    doubled = rewritten(receipt, lambda parts: [p and (p[0], p[0]) for p in parts])
    assert len(part) == 1
    run.keep(0, 0, doubled.sign(run.keys[receipt.member]))
    with pytest.raises(CryptoError, match="does not open"):
        rest(run)


def cluster_like(old, **changes):
    made = replace(old, blobs=dict(old.blobs), receipts={}, lie=lambda _, raw: raw, **changes)
    made.keys = old.keys
    made.runners = [made.runner(i) for i in range(made.members)]
    return made


def test_a_receipt_of_another_epoch_is_refused_by_name():
    old = cluster()
    stage, partition = first_stage(old)
    new = cluster_like(old, epoch=2)
    new.receipts = dict(old.receipts)
    with pytest.raises(JobError, match="another job, epoch or cut"):
        new.task(stage, partition)


def test_a_receipt_of_another_attempt_of_the_job_is_refused():
    old = cluster()
    stage, partition = first_stage(old)
    new = cluster_like(old, context=replace(old.context, attempt=2))
    new.receipts = dict(old.receipts)
    with pytest.raises(JobError, match="another job, epoch or cut"):
        new.task(stage, partition)


def test_a_receipt_by_a_stranger_is_refused():
    run = cluster()
    stage, partition = first_stage(run)
    raw = run.receipt(0, 0).sign(SigningKey.generate())
    name = run.name(0, 0)
    run.lie = lambda wanted, there: raw if wanted == name else there
    with pytest.raises(JobError, match="not the one that was named"):
        run.task(stage, partition)
    run.lie = lambda _, there: there
    run.keep(0, 0, raw)
    with pytest.raises(SignatureError):
        run.task(stage, partition)


# What a host may do to tasks.


def test_receipts_in_each_others_place_are_refused():
    run = cluster()
    stage, partition = first_stage(run)
    order = TaskOrder.parse(run.order(stage, partition))
    turned = replace(order, inputs=tuple(i[1:] + i[:1] for i in order.inputs))
    with pytest.raises(JobError, match="in the place of another task's"):
        run.runners[0].run(turned.encode(), run.host())


def test_one_producer_twice_is_refused():
    run = cluster()
    stage, partition = first_stage(run)
    order = TaskOrder.parse(run.order(stage, partition))
    twice = replace(order, inputs=tuple((i[0],) * len(i) for i in order.inputs))
    with pytest.raises(JobError, match="in the place of another task's"):
        run.runners[0].run(twice.encode(), run.host())


@pytest.mark.parametrize("change", [lambda i: i[:-1], lambda i: (*i, i[0])], ids=["less", "more"])
def test_a_producer_too_few_or_too_many_is_refused(change):
    run = cluster()
    stage, partition = first_stage(run)
    order = TaskOrder.parse(run.order(stage, partition))
    other = replace(order, inputs=(change(order.inputs[0]), *order.inputs[1:]))
    with pytest.raises(JobError, match="exactly the tasks"):
        run.runners[0].run(other.encode(), run.host())


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("stage", 99, "a task that the plan does not have"),
        ("partition", 99, "a task that the plan does not have"),
        ("epoch", 2, "another job, epoch or cut"),
        ("stages", "sha256:" + "1" * 64, "another job, epoch or cut"),
    ],
)
def test_altered_parameters_are_refused(field, value, match):
    run = cluster()
    order = TaskOrder.parse(run.order(0, 0))
    other = replace(order, task=replace(order.task, **{field: value}))
    with pytest.raises(JobError, match=match):
        run.runners[0].run(other.encode(), run.host())


def test_the_last_task_cannot_be_ordered():
    run = cluster()
    run.tasks()
    with pytest.raises(JobError, match="does not have"):
        run.runners[0].run(run.order(run.stages.last, 0), run.host())


def test_only_the_leader_finishes():
    run = cluster()
    run.tasks()
    with pytest.raises(JobError, match="only the leader"):
        run.runners[1].finish(list(run.receipts.values()), run.host())


def test_a_skipped_task_is_missed():
    run = cluster()
    run.tasks()
    run.receipts.popitem()
    with pytest.raises(JobError, match="not the tasks of the plan"):
        run.finish()


def test_a_task_twice_is_refused():
    run = cluster()
    run.tasks()
    first = run.receipts[0, 0]
    run.task(0, 0, attempt=2)
    with pytest.raises(JobError, match="is there twice"):
        run.runners[0].finish([*run.receipts.values(), first], run.host())


def test_mixed_attempts_are_refused_at_the_end():
    """One reader saw the first attempt of a task, another one the second."""
    run = cluster()
    stage, partition = first_stage(run)
    run.task(stage, partition)
    run.task(0, 0, attempt=2)
    with pytest.raises(JobError, match="read another attempt"):
        rest(run)


def test_the_same_attempt_run_twice_is_two_attempts():
    """The salt makes their keys and their receipts differ, so they cannot be mixed either."""
    run = cluster()
    stage, partition = first_stage(run)
    run.task(stage, partition)
    run.task(0, 0, attempt=1)
    with pytest.raises(JobError, match="read another attempt"):
        rest(run)


def test_receipts_of_all_tasks_have_one_digest():
    run = cluster()
    run.tasks()
    raw = list(run.receipts.values())
    one = run.runners[0].finish(raw, run.host())
    other = run.runners[0].finish(raw[::-1], run.host())
    assert one.tasks == other.tasks


# What a host may do to inputs.


def test_another_version_of_an_input_is_refused():
    job, outputs = joined_job()
    run = cluster_of(job, outputs, chunk=6)
    table = run.tables["a.t"]
    newer = sealed("a.t", table.manifest.schema, job.sources["a.t"].table, 6, version=2)
    instead = dict(zip(table.chunks, newer.chunks, strict=True))
    run.lie = lambda name, raw: newer.chunks[instead[name]] if name in instead else raw
    with pytest.raises(DatasetError, match="not the one that its manifest names"):
        run.run()


def test_a_lost_chunk_is_missed_though_no_row_is_needed():
    job, _ = joined_job()
    none = job.add(Limit(job.scan("t"), 0))
    run = cluster_of(job, {"o": none}, chunk=6)
    lost = run.tables["a.t"].manifest.chunks[-1].digest
    del run.blobs[lost]
    with pytest.raises(DatasetError, match="the host did not give"):
        run.run()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_chunks_opened_ahead_are_the_same_chunks(threads):
    run = cluster()
    table, whole = run.tables["a.t"], joined_job()[0].sources["a.t"].table
    source = ChunkRange(
        table.manifest, table.cipher, range(1, 5), run.blobs.__getitem__, threads=threads
    )
    found = pa.Table.from_batches(source.columns(["k"]))
    assert found.to_pydict() == whole.select(["k"]).slice(6, 24).to_pydict()
    source.read_rest()
    assert source.rows == 24
    del run.blobs[table.manifest.chunks[3].digest]
    with pytest.raises(DatasetError, match="the host did not give") as caught:
        list(source.columns(["k"]))
    assert source.failure is caught.value


def test_a_layout_for_other_chunks_is_refused():
    run = cluster()
    source = joined_job()[0].sources["a.t"]
    other = sealed("a.t", source.schema, source.table, 5)
    manifests = {n: t.manifest for n, t in run.tables.items()} | {"a.t": other.manifest}
    ciphers = {n: t.cipher for n, t in run.tables.items()}
    epoch = run.runners[0].work.epoch
    with pytest.raises(JobError, match="other versions of the inputs"):
        TaskRunner(run.checked, run.layout, epoch, manifests, ciphers, run.limits)


def test_parts_of_a_dataset_must_fit_together():
    """A padded table is full up to its last row; here a member says that its part was not."""
    run = cluster()
    first_stage(run)
    forged(run, 0, 0, lambda r: replace(r, scanned=tuple(n - 1 for n in r.scanned)))
    with pytest.raises(FormatError, match="rows after its last chunk"):
        rest(run)


@pytest.fixture
def grown(tmp_path):
    """Makes a cluster over a table of three segments, each with room left in its second chunk."""
    job = Job(t=Source(schema(k="int64", x="double"), [(i, i / 3) for i in range(9)], bound=0))
    table = job.sources["a.t"].table
    found = seal_segments("a.t", table, tmp_path, bound=5, chunk=2)
    plan = job.plan(o=job.scan("t"))
    given = replace(
        plan.inputs[0],
        manifest=found.manifest.digest,
        row_bound=found.manifest.row_bound,
        sizes="padded",
        facts=found.manifest.facts,
    )
    tables = {"a.t": SealedTable(found.manifest, DataKey(found.key), dict(found.chunks))}
    checked = check_plan(replace(plan, inputs=(given,)))
    return lambda partitions: TaskCluster(checked, tables, partitions=partitions)


@pytest.mark.parametrize("partitions", [2, 3, 4, 5, 9])
def test_rows_may_follow_a_segment_that_was_not_full(grown, partitions):
    found = grown(partitions).run().outputs["o"].table
    assert sorted(table_rows(found)) == [(i, i / 3) for i in range(9)]


def test_rows_may_not_follow_a_chunk_of_their_segment_that_was_not_full(grown):
    run = grown(9)
    run.tasks()
    forged(run, 0, 5, lambda r: replace(r, scanned=(1,)))  # the last chunk of the second segment
    with pytest.raises(FormatError, match="rows after its last chunk"):
        run.finish()


def test_an_epoch_that_is_over_opens_nothing():
    run = cluster()
    run.runners[0].work.epoch.wipe()
    with pytest.raises(JobError, match="over"):
        run.runners[0].run(run.order(0, 0), run.host())
