"""A job of several tasks, on both sides of an epoch: the leader's, and a member's.

Whether there are several tasks at all follows from public sizes: a job that fits one enclave's
memory, and is not worth sharing, runs in one piece.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest
from mc2.enclave.admission import AdmittedJob
from mc2.enclave.cluster_member import Membership
from mc2.enclave.collective import LedCollectives, Process
from mc2.enclave.epoch import Epoch
from mc2.enclave.release import Lease
from mc2.enclave.task_leader import TaskLeader
from mc2.enclave.task_runner import Finished, Host, Sharing, TaskRunner
from mc2.enclave.trainings import LedTrainings
from mc2.engine.collective.apart import Trainer
from mc2.engine.inputs import read_inputs
from mc2.engine.limits import EngineLimits
from mc2.errors import JobError
from mc2.formats.manifest import Manifest
from mc2.formats.other_workers import OtherWorkers
from mc2.formats.worker_tasks import Task
from mc2.plan.check import CheckedPlan, uses
from mc2.plan.linear_models import LinearOperation
from mc2.plan.models import ModelOperation
from mc2.plan.oblivious_models import sizes_show
from mc2.plan.oblivious_stages import OBLIVIOUS_BROADCAST_ROWS
from mc2.plan.relations import Aggregate, Distinct, Explode, Join, Mark, Sort
from mc2.plan.stages import BROADCAST_ROWS, InputSize, Layout, choose_layout, layout_of
from mc2.plan.trained_together import shared_trainings
from mc2.plan.windows import Window

_OBLIVIOUS_BYTES: Final = 4 * 1024 * 1024
"""Sealed inputs in oblivious mode below which one enclave is as fast as several."""


def input_sizes(job: AdmittedJob) -> list[InputSize]:
    """What is public of the inputs, in the plan's order: in bytes, of what the plan reads."""
    manifests = [job.manifests[i.dataset].value for i in job.plan.inputs]
    if job.plan.mode == "oblivious":  # it opens whole chunks
        sizes = [sum(c.size for c in m.chunks) for m in manifests]
    else:
        reads = read_inputs(job.plan, uses(job.plan.nodes, job.plan.outputs))
        sizes = [_size(m, r.names) for m, r in zip(manifests, reads, strict=True)]
    return [
        InputSize(m.row_bound, m.whole_chunks, s, m.rows_per_chunk)
        for m, s in zip(manifests, sizes, strict=True)
    ]


def _size(manifest: Manifest, names: Collection[str]) -> int:
    """The sealed bytes of the parts of chunks that hold some columns."""
    parts, every = manifest.parts_with(names), len(manifest.parts)
    return sum(
        manifest.chunks[i + p].size for i in range(0, len(manifest.chunks), every) for p in parts
    )


def layout_for(job: AdmittedJob, members: int, limits: EngineLimits) -> Layout | None:
    """How a job is spread over so many enclaves with this much memory each.

    None if it reads what is kept: then it runs in one piece.
    """
    if job.kept:
        return None
    if job.plan.mode == "oblivious":
        return _oblivious_layout(job, members)
    return choose_layout(input_sizes(job), members, limits.memory_bytes)


def _oblivious_layout(job: AdmittedJob, members: int) -> Layout:
    """As many partitions as enclaves, where computing takes longer than moving blocks.

    What learns in its own way, or by sizes that are made public on the way, is computed in one.
    """
    sizes = input_sizes(job)
    if _learns_alone(job.checked) or sum(i.size for i in sizes) < _OBLIVIOUS_BYTES:
        members = 1
    return layout_of(sizes, members, OBLIVIOUS_BROADCAST_ROWS)


def _learns_alone(checked: CheckedPlan) -> bool:
    """Whether a plan has models, and nothing before them that is worth tasks of its own."""
    operations = [n.operation for n in checked.plan.nodes]
    if not any(isinstance(o, ModelOperation | LinearOperation) for o in operations):
        return False
    if not any(isinstance(o, _WORK) for o in operations):
        return True
    if any(isinstance(o, LinearOperation) for o in operations) or shared_trainings(checked):
        return True
    return sizes_show(checked.plan.nodes)


_WORK: Final = (Aggregate, Distinct, Explode, Join, Mark, Sort, Window)


class Spread:
    """A job whose plan is cut into several tasks, in its leader."""

    def __init__(
        self,
        job: AdmittedJob,
        layout: Layout,
        epoch: Epoch,
        ciphers: Mapping[str, ChunkCipher],
        limits: EngineLimits,
    ) -> None:
        self._runner = _runner(job, layout, epoch, ciphers, limits)
        self._job, self._limits = job, limits

    def run(
        self,
        host: Host,
        member: Membership,
        workers: OtherWorkers,
        names: Collection[str],
        trainer: Trainer | None = None,
    ) -> Finished:
        """Have all tasks run by the leader and its members, by the host's names of them.

        With a `trainer`, trainings of stock XGBoost too.

        Raises: as `TaskLeader.run`; GrantError after the lease.
        """
        leased = _leased(host, member.lease)
        process = None if trainer is None else Process(trainer)

        def sharing(left: Collection[str]) -> Sharing | None:
            if self._job.plan.mode == "oblivious":
                return LedTrainings(self._job, member, self._limits, leased, workers, left)
            if process is None:
                return None
            return LedCollectives(member, self._limits, leased, workers, left, process)

        return TaskLeader(self._runner, leased, workers, names, sharing).run()


class MemberTasks:
    """The tasks that one member of an epoch runs."""

    def __init__(self, job: AdmittedJob, membership: Membership, limits: EngineLimits) -> None:
        self._job = job
        self._membership = membership
        self._limits = limits
        self._runners: dict[int, TaskRunner] = {}

    def run(self, task: Task, host: Host) -> bytes:
        """Run one task; the signed receipt. Raises: as `TaskRunner.run`; GrantError."""
        member = self._membership
        member.lease.check()
        if member.home is not None:
            raise JobError("an enclave at a party's home runs no tasks of others")
        return self.runner(task.partitions).run(task.order, _leased(host, member.lease))

    def runner(self, partitions: int) -> TaskRunner:
        """The tasks of the plan, cut into so many partitions."""
        member = self._membership
        if partitions not in self._runners:
            # How many partitions there are is the leader's to say: the order names the digest of
            # the stages that follow, so a host that says otherwise gets a refusal.
            whole = {"oblivious": OBLIVIOUS_BROADCAST_ROWS}.get(self._job.plan.mode, BROADCAST_ROWS)
            layout = layout_of(input_sizes(self._job), partitions, whole)
            self._runners = {
                partitions: _runner(self._job, layout, member.epoch, member.ciphers, self._limits)
            }
        return self._runners[partitions]


def _runner(
    job: AdmittedJob,
    layout: Layout,
    epoch: Epoch,
    ciphers: Mapping[str, ChunkCipher],
    limits: EngineLimits,
) -> TaskRunner:
    manifests = {name: m.value for name, m in job.manifests.items()}
    return TaskRunner(job.checked, layout, epoch, manifests, ciphers, limits)


def _leased(host: Host, lease: Lease) -> Host:
    """A host of which nothing is read after the owners' keys have lapsed. E16."""

    def read(name: Digest) -> bytes:
        lease.check()
        return host.read(name)

    def progress(text: str) -> None:
        lease.check()
        host.progress(text)

    return Host(read, host.write, progress)
