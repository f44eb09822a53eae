"""A plan over tables in memory, run by several enclaves: sealed inputs, tasks, sealed blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pyarrow as pa

from mc2.engine.limits import EngineLimits
from mc2.engine.outputs import Output
from mc2.formats.arrow import schema_of
from mc2.plan.check import check_plan
from mc2.plan.plan import Plan
from tests.support.task_cluster import TaskCluster, sealed

CHUNK = 2
"""Rows of a chunk: even the smallest tables are read by several tasks."""


def execute_spread(
    plan: Plan,
    tables: Mapping[str, pa.Table],
    limits: EngineLimits,
    *,
    enclaves: int,
    run: Callable[[TaskCluster], object] = TaskCluster.tasks,
) -> Mapping[str, Output]:
    """The outputs of a plan, cut into as many partitions as enclaves; pieces where parts differ.

    `run` has all tasks but the last one run.
    """
    used = {i.dataset: tables[i.dataset] for i in plan.inputs}
    found = {n: sealed(n, schema_of(t.schema), t, CHUNK) for n, t in used.items()}
    inputs = tuple(
        replace(
            i,
            manifest=found[i.dataset].manifest.digest,
            row_bound=found[i.dataset].manifest.row_bound,
        )
        for i in plan.inputs
    )
    cluster = TaskCluster(
        check_plan(replace(plan, inputs=inputs)),
        found,
        partitions=enclaves,
        members=enclaves,
        piece_rows=0,
        limits=limits,
    )
    run(cluster)
    return cluster.finish().outputs
