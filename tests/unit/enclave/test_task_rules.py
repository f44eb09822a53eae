"""What a member of the epoch signs of a task that there is not, or not as the plan has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.plans import Job, Source, schema
from tests.support.task_cluster import TaskCluster, cluster_of

from mc2.enclave.task_rules import verify_receipt
from mc2.errors import JobError
from mc2.formats.task import TaskReceipt
from mc2.plan.expressions import ColumnRef
from mc2.plan.relations import Aggregate, AggregateColumn


@pytest.fixture(scope="module")
def run() -> TaskCluster:
    """A group over four chunks in two partitions, of which all tasks but the last have run."""
    job = Job(t=Source(schema(k="int64", x="int64"), [(i % 3, i) for i in range(40)], bound=0))
    total = (AggregateColumn("s", "sum", (ColumnRef("x"),)),)
    outputs = {"o": job.add(Aggregate(job.scan("t"), ("k",), total))}
    found = cluster_of(job, outputs, chunk=10, partitions=2)
    found.tasks()
    return found


def receipt(run: TaskCluster, stage: int = 0, **changes: Any) -> bytes:
    """The receipt of a task of a stage, signed anew by its member after it was changed."""
    found = run.receipt(stage, 0)
    task = replace(found.task, **changes.pop("task", {}))
    return replace(found, task=task, **changes).sign(run.keys[found.member])


def accepted(run: TaskCluster, raw: bytes) -> TaskReceipt:
    return verify_receipt(run.runners[0].work, raw).value


def test_a_true_receipt_is_taken(run):
    assert accepted(run, receipt(run)) == run.receipt(0, 0)


@pytest.mark.parametrize(
    "task",
    [
        {"partition": 99},
        {"stage": 99},
        {"piece": 1, "pieces": 2},
        {"stage": "last"},
    ],
)
def test_a_receipt_is_of_a_task_that_the_plan_has(run, task):
    task = {**task, **({"stage": run.stages.last} if task.get("stage") == "last" else {})}
    with pytest.raises(JobError, match="of a task that the plan does not have"):
        accepted(run, receipt(run, task=task))


def test_a_receipt_tells_of_every_part(run):
    written = run.receipt(0, 0).written
    for wrong in ((), written + written, (written[0][:-1],), ((*written[0], ()),)):
        with pytest.raises(JobError, match="every part that its task wrote"):
            accepted(run, receipt(run, written=wrong))


def test_a_receipt_tells_of_every_dataset(run):
    for wrong in ((), (10, 10)):
        with pytest.raises(JobError, match="every dataset that its task read"):
            accepted(run, receipt(run, scanned=wrong))


def test_a_receipt_reads_no_tasks_where_its_stage_reads_none(run):
    with pytest.raises(JobError, match="exactly the tasks that it must"):
        accepted(run, receipt(run, inputs=((run.name(0, 0),),)))
