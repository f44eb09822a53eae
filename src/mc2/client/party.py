"""A party, as the command line and notebooks use it: one object, one method for each act.

It holds no rule of its own; each method hands over to the module that does. Objects of this class
never call the coordinator unless a method that says so is called.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from mc2.client import contracts, datasets, downloads, kept, proposals
from mc2.client.agent import AgentNews
from mc2.client.blobs import FolderBlobs
from mc2.client.contracts import ContractStatus
from mc2.client.coordinator import Coordinator
from mc2.client.desk import Desk, Trust
from mc2.client.downloads import Destination, Downloaded
from mc2.client.home import Home
from mc2.client.home_worker import Enclave, HomeWorker, Line
from mc2.client.identity import Identity, load_identity, store_identity
from mc2.client.ledger import Ledger
from mc2.client.ledger_events import Entry
from mc2.client.outbox import AT_HOME
from mc2.client.progress import Progress, no_progress
from mc2.client.proof import VerifiedJob
from mc2.client.proposals import Proposed, Reviewed
from mc2.client.results import OpenedModel, OpenedTable
from mc2.client.running import Watch, run, watch_nothing
from mc2.client.seal import Sealed
from mc2.crypto.digest import Digest
from mc2.errors import CoordinatorError, UsageError
from mc2.formats.card import VerifiedCard, verify_card
from mc2.formats.contract import Contract
from mc2.formats.coordinator_file import CoordinatorFile
from mc2.formats.job import Approval, Rejection
from mc2.formats.manifest import Manifest
from mc2.formats.result import Result
from mc2.formats.statement import Verified
from mc2.formats.status import JobStatus
from mc2.plan.plan import Plan


def utc_now() -> datetime:
    """The party's own clock: the only one that its decisions go by."""
    return datetime.now(UTC)


class Party:
    """One organisation, at its own machine.

    `trust` says which evidence is believed; by default none, so that nothing is ever released.
    `coordinator` is for tests; usually it is the one in the home's coordinator.json.
    """

    def __init__(
        self,
        home: Home,
        identity: Identity,
        *,
        trust: Trust | None = None,
        coordinator: Coordinator | None = None,
        clock: Callable[[], datetime] = utc_now,
        unconfined: bool = False,
    ) -> None:
        self.home = home
        self.identity = identity
        self.ledger = Ledger(home.ledger_file, identity.signing.public.key_id)
        self._trust = trust or Trust()
        self._given = coordinator
        self._clock = clock
        self._unconfined = unconfined

    # --- the party itself

    @classmethod
    def create(
        cls,
        path: Path,
        name: str,
        organisation: str,
        *,
        passphrase: str | None = None,
        **others: Any,
    ) -> Self:
        """Make a party: its home, its keys, an empty ledger.

        Raises: UsageError if there is an identity already, FormatError for a bad name.
        """
        home = Home.create(path)
        identity = Identity.generate(name, organisation)
        store_identity(identity, home.identity_file, passphrase)
        party = cls(home, identity, **others)
        party.ledger.begin(name, party._clock())
        return party

    @classmethod
    def open(
        cls, path: Path, *, ask_passphrase: Callable[[], str] | None = None, **others: Any
    ) -> Self:
        """Open the party in a home. Raises: UsageError, FormatError, CryptoError."""
        home = Home.open(path)
        return cls(home, load_identity(home.identity_file, ask_passphrase), **others)

    def new_ledger(self) -> None:
        """Begin a new ledger in place of a lost or damaged one, which is kept aside.

        What the old one knew is forgotten, so nothing that was proposed before can be approved.
        """
        self.ledger.begin(self.name, self._clock(), replaces_lost=True)

    @property
    def name(self) -> str:
        """The party's name."""
        return self.identity.name

    def card(self) -> bytes:
        """The signed card, to be handed out."""
        return self.identity.signed_card()

    def log(self) -> tuple[Entry, ...]:
        """The ledger, the oldest entry first. Raises: LedgerError if it is lost or damaged."""
        with self.ledger.open() as book:
            return book.entries

    def close(self) -> None:
        """Hang up on the coordinator, and overwrite the master secret."""
        connection = vars(self).pop("coordinator", None)
        vars(self).pop("desk", None)
        if connection is not None and connection is not self._given:
            connection.close()
        self.identity.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Party {self.name} at {self.home.path}>"

    # --- the coordinator

    @cached_property
    def coordinator(self) -> Coordinator:
        """The coordinator that this party talks to. Raises: UsageError if none is known."""
        if self._given is not None:
            return self._given
        from mc2.client.http import HttpCoordinator

        file = self.home.coordinator_file()
        return HttpCoordinator(
            file.url, self.identity.signing, certificate=file.certificate, clock=self._clock
        )

    @cached_property
    def desk(self) -> Desk:
        """What the party's work needs, in one piece. Raises: UsageError without a coordinator."""
        return Desk(
            home=self.home,
            identity=self.identity,
            ledger=self.ledger,
            coordinator=self.coordinator,
            trust=self._trust,
            clock=self._clock,
            unconfined=self._unconfined,
        )

    def enrol(self, file: CoordinatorFile | None, token: str) -> None:
        """Enrol with a coordinator by the operator's invitation; again is no error.

        Raises: CoordinatorError.
        """
        if file is not None:
            self.home.write_coordinator_file(file)
            vars(self).pop("coordinator", None)
            vars(self).pop("desk", None)
        self.coordinator.register(self.card(), token)

    def cards(self) -> list[VerifiedCard]:
        """The cards of all who are enrolled. Whose they are, people must compare."""
        return [verify_card(raw) for raw in self.coordinator.cards()]

    # --- contracts

    def join(self, contract: Contract) -> ContractStatus:
        """Sign a contract, which somebody has read, and hand it in. Raises: ContractError."""
        return contracts.join(self.desk, contract)

    def contracts(self) -> list[ContractStatus]:
        """All contracts with this party in them, and who has signed."""
        return contracts.contract_statuses(self.desk)

    def leave(self, contract: str) -> Digest:
        """Release nothing more under a contract, by digest or name; which one it was.

        Raises: ContractError.
        """
        found = contracts.find_contract(self.desk, contract)
        contracts.leave(self.desk, found)
        return found

    # --- data

    def upload(
        self, table: Any, name: str, *, progress: Progress = no_progress, **options: Any
    ) -> Sealed:
        """Seal a table here and publish it: see `mc2.client.datasets.upload` for the options."""
        return datasets.upload(self.desk, table, name, progress=progress, **options)

    def secret(self, value: Any, name: str, kind: str, **options: Any) -> Sealed:
        """Seal a value that scripts may use and nobody else may know, as a dataset of its own."""
        from mc2.client.secret_values import upload_secret

        return upload_secret(self.desk, value, name, kind, **options)

    def resume_uploads(self, progress: Progress = no_progress) -> list[Manifest]:
        """End uploads that broke off, without sealing again."""
        return datasets.resume_uploads(self.desk, progress)

    def datasets(self, contract: str = "") -> dict[str, Verified[Manifest]]:
        """The newest sealed tables of a collaboration, by name, verified."""
        return datasets.datasets_under(self.desk, contracts.find_contract(self.desk, contract))

    def kept(self, contract: str = "") -> dict[str, Result]:
        """The newest results that stay sealed for later jobs, by the name it takes to read them.

        Each is in a proof that was verified here.
        """
        return kept.kept_results(self.desk, contracts.find_contract(self.desk, contract))

    # --- jobs

    def compile(self, script: str, *, script_name: str, contract: str = "") -> Plan:
        """The plan that a script's text becomes over the newest sealed tables; asks nobody."""
        return proposals.compile_plan(self.desk, script, script_name=script_name, contract=contract)

    def propose(
        self, script: str, *, script_name: str, contract: str = "", note: str = ""
    ) -> Proposed:
        """Compile a script's text and ask the owners for one run of it."""
        return proposals.propose(
            self.desk, script, script_name=script_name, contract=contract, note=note
        )

    def review(self, job_id: str) -> Reviewed:
        """What a job reads, computes and releases; what differs from the last one approved."""
        return proposals.review(self.desk, job_id)

    def approve(self, job_id: str, *, plan: Digest, **terms: Any) -> Verified[Approval]:
        """Sign that a reviewed job may run: see `mc2.client.proposals.approve` for the terms."""
        return proposals.approve(self.desk, job_id, plan=plan, **terms)

    def reject(self, job_id: str, reason: str) -> Verified[Rejection]:
        """Refuse a job, with a reason."""
        return proposals.reject(self.desk, job_id, reason)

    def revoke(self, job_id: str) -> None:
        """Take an approval back, here and at once."""
        proposals.revoke(self.desk, job_id)

    def rejections(self, job_id: str) -> list[Rejection]:
        """Who refused a job, and why; verified."""
        return proposals.rejections(self.desk, job_id)

    def status(self, job_id: str = "") -> list[JobStatus]:
        """All jobs, or one, as the coordinator tells it: for people, never for trust."""
        if not job_id:
            return self.coordinator.jobs()
        status = self.coordinator.job(job_id)
        if status.job_id != job_id:
            raise CoordinatorError(f"asked for job {job_id}, the coordinator told of another")
        return [status]

    def cancel(self, job_id: str) -> None:
        """Take back a job that this party proposed."""
        self.coordinator.cancel(job_id)

    def run(
        self, job_id: str, *, timeout: timedelta = timedelta(hours=1), watch: Watch = watch_nothing
    ) -> JobStatus:
        """Start a job and see it through, answering for this party. Raises: JobError, and more."""
        return run(self.desk, job_id, timeout=timeout, watch=watch)

    def serve(self, tell: Callable[[AgentNews], None], stopped: Callable[[], bool]) -> None:
        """Answer for all approved jobs until told to stop: the key agent."""
        self.desk.agent().serve(tell, stopped, pause=time.sleep)

    def work_at_home(
        self,
        enclave: Enclave,
        tell: Callable[[str], None],
        stopped: Callable[[], bool],
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Let an enclave on this party's premises open what it keeps at home, until told to stop.

        Raises: WorkerError when the enclave has ended.
        """
        HomeWorker(
            party=self.name,
            signer=self.identity.signing,
            line=self._line(),
            chunks=FolderBlobs(self.home.path / AT_HOME),
            enclave=enclave,
            approved=self.desk.agent().approved_jobs,
            tell=tell,
        ).serve(stopped, pause)

    def _line(self) -> Line:
        """The coordinator over the network: no other gives orders to homes. Raises: UsageError."""
        from mc2.client.http import HttpCoordinator

        found = self.coordinator
        if not isinstance(found, HttpCoordinator):
            raise UsageError("an enclave at home fetches its orders over the network")
        return found

    # --- results

    def verify_job(self, job_id: str) -> VerifiedJob:
        """Fetch and verify the proof of a job. Raises: ReceiptError."""
        return downloads.fetch_proof(self.desk, job_id)

    def results(
        self, job_id: str, *only: str, storage: str = ""
    ) -> dict[str, OpenedTable | OpenedModel]:
        """Fetch, verify and open the results for this party, in memory.

        `storage`: where the coordinator has results stand, to fetch them past it.

        Raises: ReceiptError; DatasetError if the storage does not have what the proof names.
        """
        job = self.verify_job(job_id)
        return downloads.open_outputs(self.desk, job, only, storage=storage)

    def download(self, job_id: str, to: Destination, **options: Any) -> Downloaded:
        """Fetch, verify, open and write the results for this party. Raises: ReceiptError."""
        return downloads.download(self.desk, job_id, to, **options)

    def verify(self, proof: bytes, contract: Digest | None = None) -> VerifiedJob:
        """Verify a proof offline, under a contract that this party signed or the one given.

        Raises: ReceiptError naming the step; ContractError if the contract is a stranger's.
        """
        if contract is None:
            contract = downloads.contract_of_proof(proof)
            with self.ledger.open() as book:
                book.state.check_known(contract)
        return downloads.verify_file(proof, contract, self._trust)
