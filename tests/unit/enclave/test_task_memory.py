"""A join larger than a worker's memory works by being cut, without a byte on any disk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from tests.support.plans import Job, schema
from tests.support.task_cluster import cluster_of

from mc2.engine.limits import EngineLimits
from mc2.errors import EngineError
from mc2.formats.arrow import arrow_schema
from mc2.formats.schema import Schema
from mc2.plan.expressions import ColumnRef, call
from mc2.plan.relations import Aggregate, AggregateColumn, Join

pytestmark = pytest.mark.slow
ROWS = 2_000_000
LIMITS = EngineLimits(memory_bytes=96 * 1024 * 1024, threads=2)


@dataclass
class Large:
    schema: Schema
    table: pa.Table
    bound: int = 0

    @property
    def rows(self) -> range:
        return range(self.table.num_rows)


def large(columns: Schema, seed: int) -> Large:
    """About 100 MB: shuffled keys, texts that belong to them."""
    keys = np.random.default_rng(seed).permutation(ROWS).astype(np.int64)
    texts = pa.array([f"the text of row number {k}" for k in keys])
    return Large(columns, pa.table([pa.array(keys), texts], schema=arrow_schema(columns)))


@cache
def job() -> tuple[Job, dict[str, int]]:
    made = Job(a=large(schema(k="int64", s="string"), 1), b=large(schema(j="int64", t="string"), 2))
    on = call("eq", ColumnRef("k"), ColumnRef("j"))
    joined = made.add(Join(made.scan("a"), made.scan("b"), "inner", on))
    columns = (
        AggregateColumn("n", "count_star", ()),
        AggregateColumn("s", "max", (ColumnRef("s"),)),
        AggregateColumn("t", "max", (ColumnRef("t"),)),
    )
    return made, {"o": made.add(Aggregate(joined, (), columns))}


def test_one_task_does_not_fit():
    with pytest.raises(EngineError, match="more memory"):
        cluster_of(*job(), chunk=1 << 17, partitions=1, members=1, limits=LIMITS).run()


def test_eight_partitions_fit_one_worker_after_the_other():
    run = cluster_of(*job(), chunk=1 << 17, partitions=8, members=1, limits=LIMITS)
    largest = "the text of row number 999999"  # as text it stands after 1999999
    (row,) = run.run().outputs["o"].table.to_pylist()
    assert row == {"n": ROWS, "s": largest, "t": largest}
