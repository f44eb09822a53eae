"""Results at home: fetch a job's proof, verify it, open what is for this party, write files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mc2.client.contracts import accepted_contract
from mc2.client.desk import Desk, Trust
from mc2.client.durable import replace_file
from mc2.client.kept_seen import see_kept
from mc2.client.ledger_events import JobClosed
from mc2.client.proof import VerifiedJob, verify_proof
from mc2.client.results import OpenedModel, OpenedTable, open_result
from mc2.crypto.digest import Digest, digest, same_digest
from mc2.errors import CoordinatorError, DatasetError, ReceiptError, UsageError
from mc2.formats.bundle import JobBundle, Proof
from mc2.formats.contract import Contract
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.limits import LIMITS
from mc2.storage import ResultStorage

TABLE_ENDINGS: Final = (".parquet", ".csv", ".arrow", ".jsonl")
PROOF_FILE: Final = "proof.json"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where results go, and with which ending tables are written: it says their format."""

    folder: Path
    ending: str = ".parquet"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.ending not in TABLE_ENDINGS:
            raise UsageError(f"tables are written as {', '.join(TABLE_ENDINGS)}")

    def place(self, outputs: Mapping[str, OpenedTable | OpenedModel]) -> dict[str, Path]:
        """The file of each output. Raises: UsageError if one exists and may not be replaced."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = {name: self.folder / self._file_name(name, o) for name, o in outputs.items()}
        there = [path for path in files.values() if path.exists()]
        if there and not self.overwrite:
            raise UsageError(
                f"{there[0]} exists", hint="choose another folder, or ask to overwrite it"
            )
        return files

    def place_proof(self, raw: bytes) -> Path:
        """The proof's file. Raises: UsageError if another proof is there and may not be replaced.

        The same proof may be there: parts of one job can be fetched one after the other.
        """
        path = self.folder / PROOF_FILE
        if path.exists() and not self.overwrite and path.read_bytes() != raw:
            raise UsageError(
                f"{path} is the proof of another job",
                hint="choose another folder, or ask to overwrite it",
            )
        return path

    def _file_name(self, name: str, output: OpenedTable | OpenedModel) -> str:
        if isinstance(output, OpenedTable):
            return name + self.ending
        # No output's name has a dot, so no other output can have this file.
        return f"{name}.model.json" if f"{name}.json" == PROOF_FILE else f"{name}.json"


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A verified job, the files that were written, by output, and the proof beside them."""

    job: VerifiedJob
    files: dict[str, Path]
    proof: Path


def fetch_proof(desk: Desk, job_id: str) -> VerifiedJob:
    """Fetch and verify the proof of a job, and keep it at home.

    If this party proposed or approved the job, it must be of that very plan.

    Raises: ReceiptError naming the step, ContractError, CoordinatorError.
    """
    name = desk.coordinator.job(job_id).contract
    contract = accepted_contract(desk, name)
    raw = desk.coordinator.proof(job_id)
    verifiers = desk.trust.verifiers_for(contract)
    job = verify_proof(raw, contract=name, job_id=job_id, verifiers=verifiers)
    _check_plan_known(desk, job)
    desk.home.proofs.put(job_id, raw)
    see_kept(desk.home, job)
    with desk.ledger.open() as book:
        known = book.state.jobs.get(job_id)
        if known is not None and known.approved is not None and not known.ended:
            book.record(JobClosed(job_id=job_id, outcome="succeeded"), desk.clock())
    return job


def _check_plan_known(desk: Desk, job: VerifiedJob) -> None:
    kept = desk.home.jobs.get(job.context.job_id)
    if kept is None:
        return
    if not same_digest(digest(JobBundle.parse(kept).plan), job.context.plan):
        raise ReceiptError(
            "the proof is of another plan than the one that this party signed",
            hint="do not use these results; ask whoever proposed the job",
        )


def verify_file(raw: bytes, contract: Digest, trust: Trust) -> VerifiedJob:
    """Verify a proof in a file, offline, under a contract that the caller trusts.

    Raises: ReceiptError naming the step.
    """
    return verify_proof(
        raw, contract=contract, job_id=None, verifiers=trust.verifiers_for(_contract_in(raw))
    )


def contract_of_proof(raw: bytes) -> Digest:
    """Which contract a proof says that it is under. Nothing is verified. Raises: FormatError."""
    return _contract_in(raw).digest


def _contract_in(raw: bytes) -> Contract:
    envelope = Proof.parse(raw).job.contract
    payload = Envelope.parse(envelope, PayloadType.CONTRACT, LIMITS.contract_bytes).payload
    return Contract.parse(payload)


def open_outputs(
    desk: Desk, job: VerifiedJob, only: tuple[str, ...] = (), *, storage: str = ""
) -> dict[str, OpenedTable | OpenedModel]:
    """Open the results that are for this party: all, or those named.

    `storage`: the path or URL where the coordinator has results stand, to fetch them from there.
    It is for this party to name: nobody else says what a client opens.

    Raises: UsageError if there is nothing to open, ReceiptError, CoordinatorError; DatasetError if
    the storage does not have what the proof names.
    """
    mine = [n for n, r in job.results.items() if r.kept is None and desk.name in r.keys]
    names = list(only) or mine
    if not names:
        raise UsageError(
            f"nothing of job {job.context.job_id} is for {desk.name}",
            hint="its recipients stand in: mc2 review",
        )
    past = ResultStorage(storage).get if storage else None
    return {
        name: open_result(
            job,
            name,
            recipient=desk.name,
            key=desk.identity.receiving,
            read_blob=past or _through_coordinator(desk, job, name),
        )
        for name in sorted(names)
    }


def _through_coordinator(desk: Desk, job: VerifiedJob, output: str) -> Callable[[Digest], bytes]:
    """Fetches chunks of a result. One that does not come may come to others: it says to whom."""

    def read_blob(name: Digest) -> bytes:
        try:
            return desk.coordinator.get_blob(name)
        except (CoordinatorError, DatasetError) as error:
            others = sorted(set(job.results[output].keys) - {desk.name})
            raise type(error)(
                f"the coordinator does not give {output}, which the receipt says the job wrote: "
                f"{error}",
                hint=f"{error.hint}; or ask {', '.join(others) or 'its operator'} for it, or for "
                "where results stand: --storage fetches them past the coordinator",
            ) from None

    return read_blob


def download(
    desk: Desk,
    job_id: str,
    to: Destination,
    *,
    only: tuple[str, ...] = (),
    storage: str = "",
    told: Callable[[VerifiedJob], None] | None = None,
) -> Downloaded:
    """Fetch, verify, open and write the results for this party, and the proof beside them.

    `told` hears of the verified job before anything of it is opened. Files are for this user
    alone. `storage` is as for `open_outputs`.

    Raises: UsageError, ReceiptError, ContractError, CoordinatorError, DatasetError.
    """
    job = fetch_proof(desk, job_id)
    if told is not None:
        told(job)
    opened = open_outputs(desk, job, only, storage=storage)
    files = to.place(opened)
    raw = desk.home.proofs.get(job_id) or b""
    proof = to.place_proof(raw)
    # Everything has its place: from here on only a full disk can leave a part of it.
    replace_file(proof, raw)
    for name, output in opened.items():
        _write(output, files[name])
    return Downloaded(job, files, proof)


def _write(output: OpenedTable | OpenedModel, path: Path) -> None:
    if isinstance(output, OpenedModel):
        replace_file(path, output.raw)
        return
    from mc2.client.export import export_table

    export_table(output.schema, output.table.to_batches(), path, overwrite=True)
