"""The coordinator over HTTPS: signed requests, one pinned certificate, retries, resumption.

Every call may be sent again: objects are named by their digests, and the same one twice is no
error. So whatever goes wrong on the way is tried again for a while, also across a restart of the
coordinator. What comes back is bounded in size and checked against the name it was asked for by;
everything beyond that is for the callers, who verify signatures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode

from mc2.client.http_transport import READ_SECONDS, Call, Transport
from mc2.crypto.digest import Digest, digest, parse_digest
from mc2.crypto.signatures import Signer
from mc2.errors import CoordinatorError, UsageError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.fields import Fields, check_name, text_item
from mc2.formats.home_line import TURN_BYTES, HomeTurn
from mc2.formats.job import Proposal
from mc2.formats.limits import LIMITS
from mc2.formats.status import STATUSES_AT_ONCE, DatasetEntry, JobChanges, JobNews, JobStatus

_LIST_BYTES: Final = 64 << 20  # of jobs, cards, datasets
_MOST_ITEMS: Final = 1 << 20
_NAMES_AT_ONCE: Final = 10_000
_LONGEST_WAIT_SECONDS: Final = 30.0
_PATIENCE_SECONDS: Final = 20.0  # a restart of the coordinator takes less


class HttpCoordinator:
    """A coordinator at a URL, for the party that `signer` signs for.

    `certificate` is the PEM text of the only certificate to accept, or empty for those that the
    system trusts. `patience_seconds` is how long a call that fails is tried again. Thread-safe.
    Implements `mc2.client.coordinator.Coordinator`. Raises: CoordinatorError, and the typed error
    that the coordinator refused with.
    """

    def __init__(
        self,
        url: str,
        signer: Signer,
        *,
        certificate: str = "",
        patience_seconds: float = _PATIENCE_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._transport = Transport(
            url,
            signer,
            certificate=certificate,
            patience_seconds=patience_seconds,
            clock=clock,
        )

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- parties and contracts ---

    def health(self) -> str:
        """The coordinator's version; that it answers. It proves nothing."""
        fields = self._fields(Call("GET", "/v1/health"))
        fields.text("status"), fields.text("time")
        return fields.text("version")

    def register(self, card: bytes, token: str) -> None:
        """Enrol a signed card with the operator's invitation token; again is no error."""
        if not token or not token.isascii() or not token.isprintable():
            raise UsageError("the invitation token is not one line of plain text")
        self._send(Call("POST", "/v1/parties", card, token=token))

    def cards(self) -> list[bytes]:
        """The signed cards of all enrolled parties."""
        return self._objects(Call("GET", "/v1/parties", most=_LIST_BYTES), "cards")

    def put_contract(self, envelope: bytes) -> Digest:
        """Add a contract, or signatures to one that is there."""
        name = _payload(envelope, PayloadType.CONTRACT, LIMITS.contract_bytes)
        return self._put_named("/v1/contracts", envelope, name)

    def contract(self, name: Digest) -> bytes:
        """A contract with all signatures that have come in."""
        call = Call("GET", f"/v1/contracts/{name}", most=_envelope(LIMITS.contract_bytes))
        return self._named(call, name, PayloadType.CONTRACT, LIMITS.contract_bytes)

    def contracts(self) -> list[Digest]:
        """All contracts of this party."""
        fields = self._fields(Call("GET", "/v1/contracts", most=_LIST_BYTES))
        return list(fields.items("contracts", _MOST_ITEMS, text_item("a name", parse_digest)))

    # --- blobs and datasets ---

    def missing(self, names: Sequence[Digest]) -> list[Digest]:
        """Those of some blobs that the coordinator does not hold."""
        found: list[Digest] = []
        for start in range(0, len(names), _NAMES_AT_ONCE):
            part = list(names[start : start + _NAMES_AT_ONCE])
            call = Call("POST", "/v1/blobs/missing", encode({"names": list(part)}))
            fields = self._fields(call)
            absent = fields.items("missing", len(part), text_item("a name", parse_digest))
            if not set(absent) <= set(part):
                raise CoordinatorError("the coordinator misses blobs that nobody asked about")
            found += absent
        return found

    def put_blob(self, name: Digest, raw: bytes) -> None:
        """Store a sealed chunk under its digest."""
        if digest(raw) != name:
            raise UsageError("these bytes do not have this digest")
        self._send(Call("PUT", f"/v1/blobs/{name}", raw))

    def get_blob(self, name: Digest) -> bytes:
        """Fetch a sealed chunk, continuing where a broken connection left off."""
        raw = self._send(Call("GET", f"/v1/blobs/{name}", most=LIMITS.chunk_bytes, resume=True))
        if digest(raw) != name:
            raise CoordinatorError(
                f"the coordinator sent other bytes than those of the blob {name}",
                hint="its disk is damaged, or it lies; its owner can upload the chunk again",
            )
        return raw

    def put_manifest(self, envelope: bytes) -> Digest:
        """Publish a dataset version whose chunks have all been stored."""
        name = _payload(envelope, PayloadType.MANIFEST, LIMITS.manifest_bytes)
        return self._put_named("/v1/manifests", envelope, name)

    def manifest(self, name: Digest) -> bytes:
        """A signed manifest."""
        call = Call("GET", f"/v1/manifests/{name}", most=_envelope(LIMITS.manifest_bytes))
        return self._named(call, name, PayloadType.MANIFEST, LIMITS.manifest_bytes)

    def datasets(self) -> list[DatasetEntry]:
        """All dataset versions that this party may know of."""
        fields = self._fields(Call("GET", "/v1/datasets", most=_LIST_BYTES))
        return list(fields.items("datasets", _MOST_ITEMS, DatasetEntry.read))

    # --- jobs ---

    def propose(self, plan: bytes, proposal: bytes) -> str:
        """Hand in a plan and its signed proposal; the job's id."""
        envelope = Envelope.parse(proposal, PayloadType.PROPOSAL, LIMITS.message_bytes)
        job_id = Proposal.parse(envelope.payload).job_id
        body = encode(
            {
                "plan": decode(plan, LIMITS.plan_bytes, "a plan"),
                "proposal": decode(proposal, _envelope(LIMITS.message_bytes), "a proposal"),
            }
        )
        if self._fields(Call("POST", "/v1/jobs", body)).text("job_id") != job_id:
            raise CoordinatorError("the coordinator gave the job another id than was signed")
        return job_id

    def jobs(self) -> list[JobStatus]:
        """All jobs of this party's contracts."""
        fields = self._fields(Call("GET", "/v1/jobs", most=_LIST_BYTES))
        return list(fields.items("jobs", _MOST_ITEMS, JobStatus.read))

    def job(self, job_id: str) -> JobStatus:
        """One job."""
        status = JobStatus.read(self._json(Call("GET", f"/v1/jobs/{job_id}")))
        if status.job_id != job_id:
            raise CoordinatorError("the coordinator told of another job than was asked about")
        return status

    def job_bundle(self, job_id: str) -> bytes:
        """The job's signed objects as far as they are there, as a `JobBundle`."""
        return self._send(Call("GET", f"/v1/jobs/{job_id}/bundle", most=LIMITS.bundle_bytes))

    def approve(self, job_id: str, approval: bytes) -> None:
        """Hand in a signed approval."""
        self._send(Call("POST", f"/v1/jobs/{job_id}/approvals", approval))

    def reject(self, job_id: str, rejection: bytes) -> None:
        """Hand in a signed rejection, which ends the job."""
        self._send(Call("POST", f"/v1/jobs/{job_id}/rejections", rejection))

    def rejections(self, job_id: str) -> list[bytes]:
        """The signed rejections, with their reasons."""
        call = Call("GET", f"/v1/jobs/{job_id}/rejections", most=_LIST_BYTES)
        return self._objects(call, "rejections")

    def cancel(self, job_id: str) -> None:
        """The proposer takes the job back."""
        self._send(Call("POST", f"/v1/jobs/{job_id}/cancel"))

    def start(self, job_id: str) -> int:
        """Start the job, or give the number of the attempt under way."""
        fields = self._fields(Call("POST", f"/v1/jobs/{job_id}/attempts"))
        return fields.integer("attempt", 1, LIMITS.attempts)

    def put_challenge(self, job_id: str, attempt: int, challenge: bytes) -> None:
        """Hand in an owner's challenge."""
        self._send(Call("PUT", f"/v1/jobs/{job_id}/attempts/{attempt}/challenge", challenge))

    def evidence(self, job_id: str, attempt: int) -> bytes | None:
        """The enclave's signed evidence, once it is there."""
        path = f"/v1/jobs/{job_id}/attempts/{attempt}/evidence"
        fields = self._fields(Call("GET", path, most=2 * _envelope(LIMITS.evidence_bytes)))
        found = fields.value("evidence")
        return None if found is None else encode(found)

    def challenges(self, job_id: str, attempt: int) -> dict[str, bytes]:
        """The challenges handed in so far, by owner."""
        path = f"/v1/jobs/{job_id}/attempts/{attempt}/challenges"
        found = self._fields(Call("GET", path, most=_LIST_BYTES)).value("challenges")
        if not isinstance(found, Mapping):
            raise CoordinatorError("the coordinator's challenges are not an object")
        return {check_name(name, "an owner"): encode(raw) for name, raw in found.items()}

    def put_grant(self, job_id: str, attempt: int, grant: bytes) -> None:
        """Hand in an owner's grant."""
        self._send(Call("PUT", f"/v1/jobs/{job_id}/attempts/{attempt}/grant", grant))

    def refuse(self, job_id: str, attempt: int, code: str) -> None:
        """Say that no grant will come on this evidence; `code` is the error's."""
        path = f"/v1/jobs/{job_id}/attempts/{attempt}/refusal"
        self._send(Call("PUT", path, query=urlencode({"code": code})))

    def proof(self, job_id: str) -> bytes:
        """The proof of a job that has succeeded."""
        return self._send(Call("GET", f"/v1/jobs/{job_id}/proof", most=LIMITS.bundle_bytes))

    def news(self, job_id: str, seen: int, seconds: float) -> JobNews:
        """Where a job stands, when it changed since event `seen` or after some seconds."""
        newest, fields = self._news(job_id, seen, seconds)
        status = JobStatus.read(fields.value("status"))
        if status.job_id != job_id:
            raise CoordinatorError("the coordinator told of another job than was asked about")
        return JobNews(newest, status)

    def changes(self, seen: int, seconds: float) -> JobChanges:
        """Where those jobs stand that changed since event `seen`, or after some seconds."""
        newest, fields = self._news("", seen, seconds)
        return JobChanges(newest, fields.items("jobs", STATUSES_AT_ONCE, JobStatus.read))

    def _news(self, job_id: str, seen: int, seconds: float) -> tuple[int, Fields]:
        deadline = time.monotonic() + seconds
        while True:
            left = max(0.0, deadline - time.monotonic())
            part = min(left, _LONGEST_WAIT_SECONDS)
            query = {"seen": seen, "seconds": f"{part:.3f}", "job_id": job_id}
            call = Call(
                "GET",
                "/v1/events",
                query=urlencode(query),
                read_seconds=part + READ_SECONDS,
            )
            fields = self._fields(call)
            newest = fields.integer("event", 0, 2**53 - 1)
            if newest > seen or part >= left:
                return newest, fields

    # --- a worker at home ---

    def exchange(self, said: HomeTurn, seconds: float) -> HomeTurn:
        """Hand in the answer to an order, if there is one, and wait for the next."""
        query = urlencode({"seconds": f"{seconds:.3f}"})
        found = HomeTurn.parse(
            self._send(
                Call(
                    "POST",
                    "/v1/home",
                    said.encode(),
                    most=TURN_BYTES,
                    query=query,
                    read_seconds=seconds + READ_SECONDS,
                )
            )
        )
        if found.session != said.session:
            raise CoordinatorError("the coordinator gave an order to another process")
        return found

    def leave_home(self, session: str) -> None:
        """Say that the process at home ends."""
        self._send(Call("DELETE", f"/v1/home/{session}"))

    # --- answers ---

    def _send(self, call: Call) -> bytes:
        return self._transport.send(call)

    def _json(self, call: Call) -> Json:
        return decode(self._send(call), call.most, "the coordinator's answer")

    def _fields(self, call: Call) -> Fields:
        return Fields(self._json(call), "the coordinator's answer")

    def _objects(self, call: Call, name: str) -> list[bytes]:
        return list(self._fields(call).items(name, _MOST_ITEMS, encode))

    def _named(self, call: Call, name: Digest, kind: str, limit: int) -> bytes:
        raw = self._send(call)
        if _payload(raw, kind, limit) != name:
            raise CoordinatorError(f"the coordinator sent another object than {name}")
        return raw

    def _put_named(self, path: str, envelope: bytes, name: Digest) -> Digest:
        if self._fields(Call("POST", path, envelope)).digest("digest") != name:
            raise CoordinatorError(f"the coordinator took {name} for another object")
        return name


def _payload(envelope: bytes, kind: str, limit: int) -> Digest:
    return Envelope.parse(envelope, kind, limit).payload_digest


def _envelope(payload: int) -> int:
    """How large the envelope around a payload of some bytes may be."""
    return payload * 4 // 3 + 256 * LIMITS.members + 1024
