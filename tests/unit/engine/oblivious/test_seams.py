"""Rows after a chunk with room left fail the job, whichever tasks read the two chunks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
import pytest
from tests.support.oblivious import PaddedTable, opened, padded
from tests.support.oblivious_plans import obliviously
from tests.support.oblivious_stages import ObliviousStages
from tests.support.plans import Job, Source, schema

from mc2.errors import EngineError
from mc2.formats.facts import TableFacts
from mc2.formats.fixed import pack_fixed
from mc2.plan.relations import Aggregate, AggregateColumn

ROWS, PER_CHUNK, TASKS = 24, 4, 3
SUM = AggregateColumn("n", "count_star", ())


@dataclass(frozen=True)
class Filled(PaddedTable):
    """A table whose owner filled its chunks as `counts` says."""

    counts: tuple[int, ...] = ()

    def plains(self):
        start = 0
        for count in self.counts:
            rows = self.table.slice(start, count).combine_chunks().to_batches()
            chunk = bytearray(self.form.places.size)
            nothing = pa.RecordBatch.from_pylist([], schema=self.table.schema)
            pack_fixed(rows[0] if rows else nothing, self.form.places, chunk)
            start += count
            yield bytes(chunk)


def outcome(counts, segments=(ROWS,), *, tasks=TASKS, record=False):
    """The answer of several tasks over chunks that are filled so, and what a host would see."""
    rows = [(i,) for i in range(sum(counts))]
    job = Job(t=Source(schema(k="int64!"), [(i,) for i in range(ROWS)], bound=0))
    plan = job.plan(found=job.add(Aggregate(job.scan("t"), (), (SUM,))))
    checked, _ = obliviously(plan, job, {"a.t": {}})
    fields = pa.schema([pa.field("k", pa.int64(), nullable=False)])
    table = pa.table([pa.array([k for (k,) in rows], pa.int64())], schema=fields)
    form = padded(table, TableFacts({}), bound=ROWS, rows_per_chunk=PER_CHUNK).form
    filled = Filled(replace(form, segments=segments), table, counts)
    cut = ObliviousStages(checked, {"a.t": filled}, tasks, record=record)
    try:
        return opened(cut.run()["found"]).to_pylist(), cut.seen
    except EngineError as error:
        return str(error), cut.seen


@pytest.mark.parametrize(
    "counts",
    [(4, 4, 4, 4, 4, 4), (4, 4, 4, 4, 2, 0), (4, 4, 4, 1, 0, 0), (3, 0, 0, 0, 0, 0), (0,) * 6],
)
def test_rows_fill_the_chunks_in_order(counts):
    assert outcome(counts)[0] == [{"n": sum(counts)}]


@pytest.mark.parametrize(
    "counts",
    [
        (4, 3, 4, 4, 4, 4),  # the next task's rows follow
        (4, 4, 4, 3, 1, 0),
        (4, 3, 0, 0, 1, 0),  # a task without rows stands between
        (0, 0, 0, 0, 4, 4),
        (3, 4, 0, 0, 0, 0),  # both chunks are one task's
    ],
)
def test_rows_after_a_chunk_with_room_are_refused(counts):
    assert "outside of its declared domain" in outcome(counts)[0]


@pytest.mark.parametrize(
    ("counts", "sound"),
    [
        ((4, 2, 0, 4, 4, 4), True),  # what was appended starts anew
        ((4, 2, 0, 4, 2, 0), True),
        ((0, 0, 0, 0, 0, 0), True),
        ((0, 0, 0, 4, 4, 4), True),
        ((4, 2, 1, 4, 4, 4), False),
        ((4, 4, 4, 4, 2, 1), False),
        ((0, 0, 1, 4, 4, 4), False),
    ],
)
def test_what_was_sealed_at_once_is_looked_at_by_itself(counts, sound):
    for tasks in (2, 3, 6):
        found, _ = outcome(counts, (12, 12), tasks=tasks)
        assert (found == [{"n": sum(counts)}]) is sound


def test_the_host_sees_the_same_of_both():
    sound, _ = (4, 4, 4, 4, 4, 4), None
    assert outcome(sound, record=True)[1] == outcome((4, 3, 4, 4, 4, 4), record=True)[1]
