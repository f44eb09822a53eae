"""Which jobs a key agent looks at, and when: those that are not over, once each time they change.

All of this is the coordinator's word, and only ever a hint. One that says falsely that a job is
over, or that it did not change, keeps the agent from answering: it could do that before by not
handing the answer on. So nothing here is written down; another process of the party begins anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mc2.client.coordinator import Coordinator
from mc2.formats.status import JobStatus


class OpenJobs:
    """The jobs that are not over, as far as the coordinator tells of them."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._seen = 0
        self._open: set[str] = set()
        self._again: set[str] = set()
        self._approved: set[str] = set()
        self._news: Mapping[str, JobStatus] | None = None

    def wait(self, seconds: float) -> None:
        """Return when a job changed, or after some seconds. Raises: CoordinatorError."""
        changes = self._coordinator.changes(self._seen, seconds)
        if changes.event < self._seen:
            # It was set up anew or from a backup, so that its numbers began again.
            self._seen, self._news = 0, {}
            return
        self._news = {s.job_id: s for s in changes.jobs} if changes.event > self._seen else None
        self._seen = changes.event
        for status in changes.jobs:
            (self._open.discard if status.state.final else self._open.add)(status.job_id)

    def due(self, approved: Collection[str]) -> list[tuple[str, JobStatus | None]]:
        """The approved jobs to look at now, each with where it stands if that is news.

        Those that changed, were approved meanwhile, or failed when they were looked at before;
        after a wait that brought nothing, all that are not over.
        """
        wanted = [job_id for job_id in approved if job_id in self._open]
        if self._news is not None:
            changed = self._news.keys() | self._again | (set(approved) - self._approved)
            wanted = [job_id for job_id in wanted if job_id in changed]
        self._approved = set(approved)
        self._again.difference_update(wanted)
        news = self._news or {}
        return [(job_id, news.get(job_id)) for job_id in wanted]

    def look_again(self, job_id: str) -> None:
        """Have a job be due whenever anything changes, until a look at it succeeds."""
        self._again.add(job_id)
