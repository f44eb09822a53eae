"""Runs a party's own enclave beside rows that stay at home, and fetches its orders.

The enclave checks whom it works for and proves itself; this process hands on frames, reads sealed
chunks from the party's folder, and signs that the enclave is the party's. It signs for jobs alone
that the party approved. Spec: docs/spec/home.md.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from mc2.client.blobs import FolderBlobs
from mc2.crypto.digest import Digest
from mc2.crypto.signatures import Signer
from mc2.errors import ApprovalError, JobError, Mc2Error, WorkerError
from mc2.formats.bundle import JobBundle
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.home import HomeEvidence
from mc2.formats.home_line import SESSION_BYTES, HomeTurn
from mc2.formats.job import Proposal
from mc2.formats.limits import LIMITS
from mc2.formats.worker import (
    Close,
    Closed,
    FromEnclave,
    FromHost,
    Open,
    OpenedJob,
    Refused,
    parse_from_host,
)
from mc2.formats.worker_cluster import Enter, Entered, Join, Joined, Prove, Proved
from mc2.formats.worker_tasks import TrainDone, TrainStep

_WAIT_SECONDS: Final = 20.0
_ALIVE_SECONDS: Final = 5.0
_STEP_SECONDS: Final = 24 * 3600.0
_SHORT_SECONDS: Final = 300.0


class Enclave(Protocol):
    """The party's enclave worker, as `mc2.coordinator.workers` reaches one."""

    def open(self, bundle: bytes, *, timeout_seconds: float) -> OpenedJob:
        """Hand over a job."""
        ...

    def join(
        self,
        challenges: Mapping[str, bytes],
        evidence: bytes,
        invitation: bytes,
        *,
        timeout_seconds: float,
    ) -> bytes:
        """Hand on a leader's invitation; the member evidence."""
        ...

    def prove(self, probe: bytes, *, timeout_seconds: float) -> bytes:
        """Hand on a leader's probe; the token."""
        ...

    def enter(self, admission: bytes, *, timeout_seconds: float) -> None:
        """Hand on a leader's admission."""
        ...

    def train(
        self, step: TrainStep, read: Callable[[Digest], bytes], *, timeout_seconds: float
    ) -> bytes:
        """Hand on a message of a training; the answer."""
        ...

    def close(self, *, timeout_seconds: float) -> None:
        """Drop the job."""
        ...


class Line(Protocol):
    """The coordinator, as a home speaks to it."""

    def exchange(self, said: HomeTurn, seconds: float) -> HomeTurn:
        """Hand in an answer, wait for the next order."""
        ...

    def leave_home(self, session: str) -> None:
        """Say that nobody asks for orders any more."""
        ...


class HomeWorker:
    """One party's enclave at work. `approved` gives the jobs that the party approved."""

    def __init__(  # noqa: PLR0913  # what there is at a home
        self,
        *,
        party: str,
        signer: Signer,
        line: Line,
        chunks: FolderBlobs,
        enclave: Enclave,
        approved: Callable[[], list[str]],
        tell: Callable[[str], None],
    ) -> None:
        self._party, self._signer, self._line = party, signer, line
        self._chunks, self._enclave = chunks, enclave
        self._approved, self._tell = approved, tell
        self._session = secrets.token_hex(SESSION_BYTES)
        self._turn = 0

    def serve(self, stopped: Callable[[], bool], pause: Callable[[float], object]) -> None:
        """Fetch orders and take them, until told to stop, or the enclave is gone.

        Raises: WorkerError when the enclave has ended.
        """
        answer = b""
        try:
            while not stopped():
                try:
                    said = HomeTurn(self._session, self._turn, answer)
                    order = self._line.exchange(said, _WAIT_SECONDS)
                except Mc2Error as error:  # its answer may name any, or be none at all
                    self._tell(str(error))
                    pause(_ALIVE_SECONDS)
                    continue
                answer = b""
                if order.frame and order.turn > self._turn:
                    self._turn = order.turn
                    answer = b"".join(self._take(order.frame).frame().encode())
        finally:
            with suppress(Mc2Error):
                self._line.leave_home(self._session)

    def _take(self, raw: bytes) -> FromEnclave:
        done = threading.Event()
        alive = threading.Thread(target=self._stay, args=(done,), name="alive", daemon=True)
        alive.start()
        try:
            return self.answer(parse_from_host(HomeTurn.frame_of(raw)))
        except WorkerError:
            raise
        except Mc2Error as error:
            self._tell(f"refused: {error}")
            return Refused(error.code, str(error), error.hint)
        finally:
            done.set()
            alive.join()

    def _stay(self, done: threading.Event) -> None:
        """Say that somebody is there while the enclave works."""
        while not done.wait(_ALIVE_SECONDS):
            with suppress(Mc2Error):
                self._line.exchange(HomeTurn(self._session, self._turn, b""), 0)

    def answer(self, order: FromHost) -> FromEnclave:
        """Take one order.

        Raises: what the enclave refuses with; ApprovalError, JobError, DatasetError.
        """
        enclave = self._enclave
        match order:
            case Open():
                self._check_approved(order.bundle)
                return enclave.open(order.bundle, timeout_seconds=_SHORT_SECONDS)
            case Join():
                return Joined(self._joined(order))
            case Prove():
                return Proved(enclave.prove(order.probe, timeout_seconds=_SHORT_SECONDS))
            case Enter():
                enclave.enter(order.admission, timeout_seconds=_SHORT_SECONDS)
                self._tell("the leader admitted the enclave here")
                return Entered()
            case TrainStep():
                answer = enclave.train(order, self._chunks.get, timeout_seconds=_STEP_SECONDS)
                return TrainDone(answer)
            case Close():
                enclave.close(timeout_seconds=_SHORT_SECONDS)
                return Closed()
            case _:
                raise JobError("a home takes the steps of trainings and no other order")

    def _check_approved(self, bundle: bytes) -> None:
        raw = JobBundle.parse(bundle).proposal
        envelope = Envelope.parse(raw, PayloadType.PROPOSAL, LIMITS.message_bytes)
        job_id = Proposal.parse(envelope.payload).job_id
        if job_id not in self._approved():
            raise ApprovalError(
                f"job {job_id} was not approved here", hint=f"look at it: mc2 review {job_id}"
            )
        self._tell(f"job {job_id[:8]} asks for the enclave here")

    def _joined(self, order: Join) -> bytes:
        """The enclave's evidence, signed for by the party: rows of its home may be opened here."""
        evidence = self._enclave.join(
            order.challenges, order.evidence, order.invitation, timeout_seconds=_SHORT_SECONDS
        )
        return HomeEvidence(party=self._party, evidence=evidence).sign(self._signer)
