"""Groups, a join and an order over 1, 2, 4 and 8 oblivious tasks: time, memory, what they hand on.

Run from the root of the repository: `python -m bench.oblivious.sorts --rows 2097152`. Tasks run one
after the other in this process, without seals; memory is that of arrays, kernels' own aside.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from tests.support.oblivious import PaddedTable, facts_of, padded
from tests.support.oblivious_stages import ObliviousStages
from tests.support.plans import Job, Source, schema

from mc2.plan.check import CheckedPlan, check_plan
from mc2.plan.expressions import ColumnRef, call
from mc2.plan.relations import Aggregate, AggregateColumn, Join, Limit, Sort, SortKey

CHUNKS = 32
K, X, J = (ColumnRef(n) for n in "kxj")
COUNT = AggregateColumn("n", "count_star", ())
WHAT = ("groups", "join", "order")


def tables(rows: int) -> dict[str, PaddedTable]:
    """Keys that are nearly unique on the left side, and unique on the right one."""
    draw = np.random.default_rng(1)

    def table(key: str, value: str, keys: object) -> pa.Table:
        fields = [pa.field(key, pa.int64(), key == "k"), pa.field(value, pa.int64(), key == "k")]
        columns = [pa.array(keys), pa.array(draw.integers(0, 100, rows))]
        return pa.table(columns, schema=pa.schema(fields))

    left = table("k", "x", draw.integers(0, rows, rows))
    right = table("j", "y", draw.permutation(rows))
    size = -(-rows // CHUNKS)
    return {
        "a.t": padded(left, facts_of(left), rows_per_chunk=size),
        "a.u": padded(right, facts_of(right, unique=(("j",),)), rows_per_chunk=size),
    }


def plan_of(what: str, found: dict[str, PaddedTable], rows: int) -> CheckedPlan:
    """One of `WHAT` over the tables, and a count of it, or of the order the first half."""
    job = Job(
        t=Source(schema(k="int64", x="int64"), [(1, 1)], bound=rows),
        u=Source(schema(j="int64!", y="int64!"), [(1, 1)], bound=rows),
    )
    t, u = job.scan("t"), job.scan("u")
    match what:
        case "groups":
            sums = (AggregateColumn("s", "sum", (X,)), COUNT)
            node = job.add(Aggregate(job.add(Aggregate(t, ("k",), sums)), (), (COUNT,)))
        case "join":
            both = job.add(Join(t, u, "inner", call("eq", K, J)))
            node = job.add(Aggregate(both, (), (COUNT,)))
        case _:
            node = job.add(Limit(job.add(Sort(t, (SortKey(X, True, False),))), rows // 2))
    plan = job.plan(found=node)
    inputs = tuple(
        replace(i, sizes="padded", facts=found[i.dataset].form.facts, row_bound=rows)
        for i in plan.inputs
    )
    return check_plan(replace(plan, mode="oblivious", inputs=inputs))


@dataclass
class Measured:
    """Of one task: seconds of CPU, bytes of arrays at most."""

    seconds: float
    peak: int


def measured(cut: ObliviousStages, stage: int, partition: int) -> Measured:
    """Run one task, and keep what it hands on."""
    tracemalloc.start()
    start = time.process_time()
    part, _ = cut.part(stage, partition)
    if stage == cut.stages.last:
        part.outputs()
    else:
        for place, parts in enumerate(part.blocks()):
            cut.blocks[stage, place, partition] = parts
    seconds, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return Measured(seconds, peak)


def run(what: str, tasks: int, rows: int) -> str:
    """One line of the table."""
    found = tables(rows)
    checked = plan_of(what, found, rows)
    cut = ObliviousStages(
        checked, {i.dataset: found[i.dataset] for i in checked.plan.inputs}, tasks
    )
    done = {place: measured(cut, *place) for place in (*cut.stages.tasks(), (cut.stages.last, 0))}
    stages = range(cut.stages.last + 1)
    longest = sum(max(m.seconds for (s, _), m in done.items() if s == stage) for stage in stages)
    every = sum(m.seconds for m in done.values())
    peak = max(m.peak for m in done.values()) / 1e6
    moved = sum(len(b) for e in cut.blocks.values() for p in e for b, _ in p) / 1e6
    return (
        f"{what:8} {tasks:5} {len(stages):6} {longest:8.2f} {every:8.2f} {peak:8.0f} {moved:8.0f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1 << 21)
    rows = parser.parse_args().rows
    print("what     tasks stages  longest    all s  peak MB moved MB")
    for what in WHAT:
        for tasks in (1, 2, 4, 8):
            print(run(what, tasks, rows), flush=True)


if __name__ == "__main__":
    main()
