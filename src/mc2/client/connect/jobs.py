"""A DataFrame's script as a job: found again or proposed, approved if nobody else is asked, opened.

A script, a contract and versions of datasets give one plan, and one plan gives one answer. So a job
of the same plan that this party proposed before is gone on with, and one that succeeded is opened
again, instead of asking everybody twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from mc2.client import contracts, datasets
from mc2.client.plan_words import step_words
from mc2.errors import ContractError, JobError, ReceiptError
from mc2.formats.bundle import JobBundle
from mc2.formats.status import JobState, JobStatus

if TYPE_CHECKING:
    import pyarrow as pa

    from mc2.client.party import Party
    from mc2.plan.plan import Plan
    from mc2.planner.catalog import Catalog

SCRIPT_NAME: Final = "dataframe.py"
_OUTPUT: Final = "result"

Tell = Callable[[str], None]
"""Hears a line for the person at the terminal. It holds names and numbers, never data."""


class Stopped(JobError):  # noqa: N818 - it says what happened; nothing went wrong
    """Somebody stopped waiting. The job itself goes on where it is."""


class Runner(Protocol):
    """Gives the answers to scripts."""

    @property
    def recipient(self) -> str:
        """The party that results are for."""
        ...

    @property
    def public_rows(self) -> bool:
        """Whether rows of the client's own process may stand in plans, for everybody to read."""
        ...

    def catalog(self, *, fresh: bool) -> Catalog:
        """What DataFrames may read; `fresh` asks the coordinator again. Raises: Mc2Error."""
        ...

    def words(self, script: str) -> str:
        """The plan of a script, for people. Asks nobody. Raises: PlanError."""
        ...

    def run(self, script: str, tell: Tell, stopped: Callable[[], bool]) -> pa.Table:
        """The answer. Raises: Stopped, PlanError, JobError, whatever the job may raise."""
        ...


@dataclass(frozen=True, slots=True)
class _Again:
    """A job of the same plan that this party proposed earlier."""

    job_id: str
    state: JobState


class PartyRunner:
    """Runs scripts as jobs of a party under one contract."""

    def __init__(
        self, party: Party, *, contract: str = "", timeout: timedelta, public_rows: bool = False
    ) -> None:
        self._party = party
        self._public_rows = public_rows
        self._contract = contract
        self._timeout = timeout
        self._catalog: Catalog | None = None

    @property
    def recipient(self) -> str:
        """The party itself: what DataFrame code shows, it shows to whoever wrote it."""
        return self._party.name

    @property
    def public_rows(self) -> bool:
        """Whoever starts the endpoint says so: what it lets into plans, others read."""
        return self._public_rows

    def catalog(self, *, fresh: bool) -> Catalog:
        """See `Runner`. Raises: ContractError, DatasetError, CoordinatorError."""
        if fresh or self._catalog is None:
            from mc2.planner.catalog import Catalog

            desk = self._party.desk
            agreed = contracts.verified_contract(
                desk, contracts.find_contract(desk, self._contract)
            )
            available = datasets.newest_datasets(desk, agreed.contract)
            self._catalog = Catalog.of(
                agreed.contract, {m.digest: m.value for m in available.values()}
            )
        return self._catalog

    def words(self, script: str) -> str:
        """See `Runner`. Raises: PlanError."""
        plan = self._plan(script, fresh=False)
        steps = (f"{n}. {step_words(plan, n - 1)}" for n in range(1, len(plan.nodes) + 1))
        return "\n".join(["== Script ==", script, "== Plan ==", *steps, f"digest {plan.digest}"])

    def run(self, script: str, tell: Tell, stopped: Callable[[], bool]) -> pa.Table:
        """See `Runner`."""
        plan = self._plan(script, fresh=True)
        roles = self.catalog(fresh=False).members.get(self.recipient, ())
        if "recipient" not in roles:
            raise ContractError(
                f"{self.recipient} is no recipient of {self.catalog(fresh=False).name}",
                hint="DataFrame code shows results to its own party; a script can name others",
            )
        again = self._earlier(plan)
        if again is None:
            proposed = self._party.propose(script, script_name=SCRIPT_NAME, contract=self._contract)
            if proposed.plan.digest != plan.digest:  # a dataset has a new version since
                plan = proposed.plan
            job_id = proposed.job_id
            tell(f"job {job_id}: proposed")
        else:
            job_id = again.job_id
            tell(f"job {job_id}: {again.state.word}; the same plan was proposed before")
        if again is None or again.state is not JobState.SUCCEEDED:
            self._approve_alone(job_id, plan, script, tell)
            self._see_through(job_id, tell, stopped)
        return self._open(job_id, plan)

    def _plan(self, script: str, *, fresh: bool) -> Plan:
        from mc2.planner.script import compile_here

        return compile_here(script, name=SCRIPT_NAME, catalog=self.catalog(fresh=fresh))

    def _earlier(self, plan: Plan) -> _Again | None:
        """The newest job of this plan that is under way or done.

        The coordinator says which jobs there are; what their plan is, our own records say.
        """
        found = None
        for status in self._party.coordinator.jobs():
            usable = not status.state.final or status.state is JobState.SUCCEEDED
            if usable and status.plan == plan.digest and self._is_ours(status, plan):
                found = _Again(status.job_id, status.state)
        return found

    def _is_ours(self, status: JobStatus, plan: Plan) -> bool:
        kept = self._party.home.jobs.get(status.job_id)
        return (
            status.proposer == self._party.name
            and kept is not None
            and JobBundle.parse(kept).plan == plan.encode()
        )

    def _approve_alone(self, job_id: str, plan: Plan, script: str, tell: Tell) -> None:
        """Approve where this party is the only one that has a say, and the data is all its own."""
        reviewed = self._party.review(job_id)
        mine = (self._party.name,)
        owners = set(plan.owners)
        if self._party.name in reviewed.job.approvals:
            return
        if reviewed.job.approvers == mine and owners == {self._party.name}:
            self._party.approve(job_id, plan=plan.digest, script=script)
            tell(f"job {job_id}: approved, all its data is yours")
            return
        others = ", ".join(n for n in reviewed.job.approvers if n != self._party.name)
        if others:
            tell(f"job {job_id}: waits for the approval of {others}")
        if self._party.name in reviewed.job.approvers:
            tell(f"job {job_id}: waits for your own approval: mc2 approve {job_id[:8]}")

    def _see_through(self, job_id: str, tell: Tell, stopped: Callable[[], bool]) -> None:
        last = ""

        def watch(status: JobStatus) -> None:
            nonlocal last
            text = _words(status)
            if text != last:
                last = text
                tell(f"job {job_id}: {text}")

        deadline = self._party.desk.clock() + self._timeout
        for until in _pieces(self._timeout):
            if stopped():
                raise Stopped(
                    f"waiting for job {job_id} was stopped; the job goes on",
                    hint="run the same DataFrame again to go on waiting, or: mc2 cancel "
                    f"{job_id[:8]}",
                )
            try:
                self._party.run(job_id, timeout=until, watch=watch)
            except JobError:
                status = self._party.status(job_id)[0]
                if status.state.final or self._party.desk.clock() >= deadline:
                    raise
                continue
            return

    def _open(self, job_id: str, plan: Plan) -> pa.Table:
        from mc2.client.downloads import open_outputs
        from mc2.client.results import OpenedTable

        verified = self._party.verify_job(job_id)
        if verified.context.plan != plan.digest:
            raise ReceiptError(f"the proof of job {job_id} is of another plan")
        opened = open_outputs(self._party.desk, verified, (_OUTPUT,))[_OUTPUT]
        if not isinstance(opened, OpenedTable):
            raise ReceiptError(f"the result of job {job_id} is no table")
        return opened.table


_PIECE: Final = timedelta(seconds=5)


def _pieces(timeout: timedelta) -> Iterator[timedelta]:
    """The time to wait in short pieces, so that whoever stops waiting is heard."""
    left = timeout
    while left > timedelta(0):
        yield min(left, _PIECE)
        left -= _PIECE
    yield timedelta(0)


def _words(status: JobStatus) -> str:
    text = status.state.word
    if status.state is JobState.RUNNING:
        text = f"attempt {status.attempt}, {status.phase}"
        text += f" ({status.progress})" if status.progress else ""
    return f"{text}; missing: {', '.join(status.missing)}" if status.missing else text
