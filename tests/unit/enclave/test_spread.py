"""How large a job is: what decides whether several enclaves share it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.enclave_jobs import make_job, make_table, seal

from mc2.crypto.digest import digest
from mc2.enclave.spread import input_sizes
from mc2.formats.manifest import ChunkRef
from mc2.plan.build import PlanBuilder
from mc2.plan.plan import PlanOutput
from mc2.plan.relations import Scan

ROWS = 10


def job_that_reads(*names: str, mode: str = "encrypted") -> Any:
    """A job over one table, each column of which is a part that is twice as large as the last."""
    sealed = seal("ada.visits", make_table(1, ROWS))
    width = len(sealed.manifest.schema)
    chunks = [
        ChunkRef(digest(b"%d %d" % (chunk, column)), 1 << column)
        for chunk in range(sealed.manifest.whole_chunks)
        for column in range(width)
    ]
    manifest = replace(sealed.manifest, cuts=tuple(range(1, width)), chunks=tuple(chunks))
    source = replace(make_job().plan.inputs[0], dataset="ada.visits")
    builder = PlanBuilder((source,))
    node = builder.add(Scan(0, names))
    nodes, outputs = builder.finish(
        [PlanOutput(name="rows", node=node, kind="table", recipients=("cy",))]
    )
    plan = replace(make_job().plan, mode=mode, inputs=(source,), nodes=nodes, outputs=outputs)
    return SimpleNamespace(plan=plan, manifests={"ada.visits": SimpleNamespace(value=manifest)})


@pytest.mark.parametrize("places", [[0], [1], [0, 2], [3]])
def test_columns_that_a_plan_does_not_read_do_not_count(places: list[int]) -> None:
    names = make_table(1, ROWS).schema.names
    job = job_that_reads(*(names[p] for p in places))
    (found,) = input_sizes(job)
    assert found.size == found.chunks * sum(1 << p for p in places)
    assert found.rows == ROWS


def test_oblivious_plans_read_whole_chunks() -> None:
    names = make_table(1, ROWS).schema.names
    (found,) = input_sizes(job_that_reads(names[0], mode="oblivious"))
    assert found.size == found.chunks * ((1 << len(names)) - 1)
