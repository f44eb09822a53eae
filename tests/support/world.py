"""A whole collaboration in one process, over the real interfaces, that can misbehave.

Parties (`mc2.client.party`), the coordinator's service and scheduler, and enclave sessions are the
real ones; only HTTP and the worker's process are left out. A `Lie` alters what the coordinator
hands to the enclave; `Mailbox` lets it lie to a party; `hub.store` is what it holds.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mc2.attestation.simulated.collector import WARNING, SimulatedCollector
from mc2.attestation.simulated.report import KIND, measure
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.attestation.simulated.verifier import SimulatedVerifier
from mc2.cli.demo.hostile import Lie, LiedToWorker
from mc2.cli.demo.stage import answering
from mc2.client.desk import Trust
from mc2.client.party import Party
from mc2.client.seal import SealOptions
from mc2.coordinator.scheduler import Scheduler, Timeouts
from mc2.coordinator.service import PartyAccess, Service
from mc2.coordinator.store import Store
from mc2.enclave.code_identity import code_identity
from mc2.enclave.peers import PeerTrust
from mc2.enclave.session import JobSession
from mc2.enclave.task_runner import Host
from mc2.errors import WorkerError
from mc2.formats.contract import Contract, Member
from mc2.formats.status import JobStatus
from mc2.formats.worker import JobOutcome, OpenedJob
from mc2.storage import ResultStorage

CODE = code_identity()
TOKEN = "an invitation"
ROLES = ("analyst", "owner", "recipient")
ALONE_AND_SHARED = pytest.mark.parametrize(
    "workers", [1, pytest.param(3, marks=pytest.mark.slow)], indirect=True
)
"""Runs the tests of a module by one worker; and, as slow tests, by three that share each job."""

VISITS_A = pa.table(
    {
        "patient": pa.array([101, 102, 103, 104, None], pa.int64()),
        "site": ["north", "north", "south", None, "south"],
        "glucose": [5.25, 7.5, None, 6.125, 9.0],
        "ill": pa.array([0, 1, 0, 0, 1], pa.int32()),
    }
)
VISITS_B = pa.table(
    {
        "patient": pa.array([201, 202, 203], pa.int64()),
        "site": ["south", "west", "west"],
        "glucose": [4.75, 11.5, 8.0],
        "ill": pa.array([0, 1, 1], pa.int32()),
    }
)

SCRIPT = """\
import mc2

job = mc2.Job("Visits")
visits = job.sql('''
    SELECT site, count(*) AS n, avg(glucose) AS glucose
    FROM (SELECT site, glucose FROM ada.visits UNION ALL SELECT site, glucose FROM bo.visits) AS v
    GROUP BY site ORDER BY site
''')
rows = mc2.xgboost.DMatrix(
    job.table("ada.visits"), job.table("bo.visits"), label="ill", features=["glucose"]
)
model = mc2.xgboost.train({"objective": "binary:logistic", "max_depth": 2}, rows, num_boost_round=3)
job.release("visits", visits, to=["ada", "cy"])
job.release("model", model, to=["bo"])
"""


class SessionWorker:
    """An enclave session behind the worker's interface."""

    def __init__(self, world: World) -> None:
        code = world.worker_code.get(len(world.lent) + 1, world.measurement)
        collector = SimulatedCollector(world.root, code, "test")
        peers = PeerTrust(simulation=SimulatedVerifier)
        self.session = JobSession(collector, CODE, (WARNING,), secrets.token_hex(16), peers=peers)
        self.name = f"worker_{len(world.lent) + 1}"
        self.usable = True
        self.on_enter = world.on_enter

    def open(self, bundle: bytes, *, timeout_seconds: float) -> OpenedJob:
        return self.session.open(bundle)

    def attest(self, challenges: Mapping[str, bytes], *, timeout_seconds: float) -> bytes:
        return self.session.attest(challenges)

    def run(
        self,
        grants: Any,
        read: Any,
        write: Any,
        progress: Any,
        others: Any = None,
        *,
        timeout_seconds: float,
    ) -> JobOutcome:
        return self.session.run(grants, read, write, progress, others)

    def join(
        self, challenges: Any, evidence: bytes, invitation: bytes, *, timeout_seconds: float
    ) -> bytes:
        return self.session.join(challenges, evidence, invitation)

    def prove(self, probe: bytes, *, timeout_seconds: float) -> bytes:
        return self.session.prove(probe)

    def enter(self, admission: bytes, *, timeout_seconds: float) -> None:
        self.on_enter(self)
        self.session.enter(admission)

    def task(self, task: Any, read: Any, keep: Any, *, timeout_seconds: float) -> bytes:
        return self.session.task(task, Host(read, keep, lambda _: None))

    def kill(self) -> None:
        self.session.close()


class SessionPool:
    """A fresh session for each borrower, with what the world says on the way."""

    def __init__(self, world: World) -> None:
        self.world = world

    def acquire(self, *, timeout_seconds: float) -> Any:
        if self.world.no_workers:
            raise WorkerError("no worker is free")
        worker = SessionWorker(self.world)
        self.world.lent.append(worker)
        return LiedToWorker(worker, self.world.lie)  # type: ignore[arg-type]  # the same methods

    def release(self, worker: Any) -> None:
        worker.kill()


class Mailbox:
    """A party's way to the coordinator, with some answers replaced."""

    def __init__(self, honest: PartyAccess) -> None:
        self.honest = honest
        self.lies: dict[str, Callable[..., Any]] = {}

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.honest, name)
        lie = self.lies.get(name)
        return (lambda *args: lie(real, *args)) if lie else real


@dataclass
class World:
    """Ada and Bo bring visits; Cy analyses. Built by `world()`."""

    folder: Path
    service: Service
    root: SimulatedRoot
    measurement: str
    min_tier: str = "simulated"
    lie: Lie = field(default_factory=Lie)
    no_workers: bool = False
    worker_code: dict[int, str] = field(default_factory=dict)
    lent: list[SessionWorker] = field(default_factory=list)
    on_enter: Callable[[SessionWorker], None] = lambda _: None
    parties: dict[str, Party] = field(default_factory=dict)
    mailboxes: dict[str, Mailbox] = field(default_factory=dict)
    contract: Contract | None = None

    @property
    def ada(self) -> Party:
        return self.parties["ada"]

    @property
    def bo(self) -> Party:
        return self.parties["bo"]

    @property
    def cy(self) -> Party:
        return self.parties["cy"]

    @property
    def store(self) -> Store:
        return self.service.store

    def add(self, name: str, *, trust: Trust | None = None) -> Party:
        mailbox = Mailbox(self.service.for_party(name))
        self.mailboxes[name] = mailbox
        self.parties[name] = Party.create(
            self.folder / name,
            name,
            name.title(),
            trust=trust or Trust(simulation=SimulatedVerifier),
            coordinator=mailbox,
        )
        self.parties[name].enrol(None, TOKEN)
        return self.parties[name]

    def agree(self, **changes: Any) -> None:
        """All members sign one contract."""
        terms: dict[str, Any] = {
            "name": "visits",
            "epoch": 1,
            "supersedes": None,
            "not_after": datetime.now(UTC).replace(microsecond=0) + timedelta(days=30),
            "min_tier": self.min_tier,
            "approvers": "owners",
            "max_attempts": 3,
            "members": tuple(
                Member(p.identity.card, ROLES) for _, p in sorted(self.parties.items())
            ),
            "attestation": {
                KIND: {"root": self.root.digest, "measurements": [self.measurement]},
            },
        }
        self.contract = Contract(**terms | changes)
        for party in self.parties.values():
            party.join(self.contract)

    def bring(self, options: SealOptions | None = None) -> None:
        """Ada and Bo seal and upload."""
        self.ada.upload(VISITS_A, "visits", options=options or SealOptions())
        self.bo.upload(VISITS_B, "visits", options=options or SealOptions())

    def propose(self, script: str = SCRIPT) -> str:
        return self.cy.propose(script, script_name="visits.py").job_id

    def approve(self, job_id: str, *names: str) -> None:
        for name in names or ("ada", "bo"):
            plan = self.parties[name].review(job_id).job.plan.digest
            self.parties[name].approve(job_id, plan=plan)

    def run(self, job_id: str, *, seconds: float = 30) -> JobStatus:
        """Cy runs the job while the owners' agents answer."""
        with answering(self.ada, self.bo):
            return self.cy.run(job_id, timeout=timedelta(seconds=seconds))

    def job(self, script: str = SCRIPT) -> str:
        """A job from proposal to success."""
        job_id = self.propose(script)
        self.approve(job_id)
        self.run(job_id)
        return job_id


@contextmanager
def world(
    folder: Path,
    *,
    timeouts: Timeouts | None = None,
    workers: Callable[[World], Any] | None = None,
    workers_per_job: int = 1,
    trust: Trust | None = None,
    results: str = "",
    **changes: Any,
) -> Iterator[World]:
    """A world with its scheduler running; nobody has agreed on anything yet."""
    store = Store(folder / "coordinator", results=ResultStorage(results) if results else None)
    service = Service(store, clock=lambda: datetime.now(UTC), invitation=lambda: TOKEN)
    found = World(folder, service, SimulatedRoot.make(), measurement=measure(CODE), **changes)
    scheduler: Scheduler[Any] = Scheduler(
        service,
        (workers or SessionPool)(found),
        timeouts,
        workers_per_job=workers_per_job,
    )
    for name in ("ada", "bo", "cy"):
        found.add(name, trust=trust)
    scheduler.start()
    try:
        yield found
    finally:
        scheduler.stop()
        store.close()


@contextmanager
def restarted(found: World) -> Iterator[World]:
    """The same parties and folder, under a coordinator and enclaves that have started anew."""
    store = Store(found.folder / "coordinator")
    found.service = Service(store, clock=lambda: datetime.now(UTC), invitation=lambda: TOKEN)
    for name, mailbox in found.mailboxes.items():
        mailbox.honest = found.service.for_party(name)
    scheduler: Scheduler[Any] = Scheduler(found.service, SessionPool(found))
    scheduler.start()
    try:
        yield found
    finally:
        scheduler.stop()
        store.close()
