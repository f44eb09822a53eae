"""Which kept results a party knows, from proofs that it verified: the newest of each name.

An older one is refused, so that a coordinator cannot roll a kept table back. Newer is what a later
job kept, by the time that its owners stated; that is signed and proved, and the same for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from mc2.client.durable import read_file, replace_file
from mc2.client.home import Home
from mc2.client.proof import VerifiedJob
from mc2.crypto.digest import Digest, parse_digest, same_digest
from mc2.errors import DatasetError, UsageError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields, check_dataset_name, to_time
from mc2.formats.job import JOB_ID_BYTES
from mc2.plan.signed_job import SignedJob

_TYPE: Final = "mc2/kept/v1"
_BYTES: Final = 16 * 1024 * 1024

_Key = tuple[Digest, str]


@dataclass(frozen=True, slots=True)
class SeenKept:
    """The newest kept result of a name: when and by which job it was kept, and its digest."""

    at: datetime
    job_id: str
    result: Digest

    def json(self) -> Json:
        """As the file has it."""
        return {"at": to_time(self.at), "job_id": self.job_id, "result": self.result}

    def newer_than(self, other: SeenKept) -> bool:
        """By time; of two at one time the greater id, which is as good as any for everybody."""
        return (self.at, self.job_id) > (other.at, other.job_id)


def seen_kept(home: Home) -> dict[_Key, SeenKept]:
    """The newest kept results that this party has seen proved, by contract and name."""
    try:
        raw = read_file(_file(home), _BYTES)
    except FileNotFoundError:
        return {}
    fields = Fields(decode(raw, _BYTES, "kept.json"), "kept.json")
    fields.type(_TYPE)
    contracts = fields.value("contracts")
    fields.done()
    if not isinstance(contracts, Mapping):
        raise UsageError("kept.json in the home is damaged", hint="restore the home")
    found = {}
    for contract, names in contracts.items():
        named = Fields(names, "kept results")
        for name in names if isinstance(names, Mapping) else ():
            key = (parse_digest(contract, "a contract"), check_dataset_name(name, "a name"))
            found[key] = _read(named.fields(name))
    return found


def see_kept(home: Home, job: VerifiedJob) -> None:
    """Remember what a verified job keeps, where it is newer than what was seen."""
    if not any(result.kept is not None for result in job.results.values()):
        return
    with home.lock():
        known = seen_kept(home)
        for result in job.results.values():
            key = (job.context.contract, result.dataset)
            seen = SeenKept(job.at, job.context.job_id, result.digest)
            if result.kept is not None and (key not in known or seen.newer_than(known[key])):
                known[key] = seen
        contracts: dict[str, dict[str, Json]] = {}
        for (contract, name), seen in known.items():
            contracts.setdefault(contract, {})[name] = seen.json()
        replace_file(_file(home), encode({"type": _TYPE, "contracts": dict(contracts)}))


def check_newest(home: Home, job: SignedJob) -> None:
    """What a job reads of kept results is the newest that this party has seen proved.

    Raises: DatasetError for one that is older, or of which no proof was seen.
    """
    if not job.kept:
        return
    known = seen_kept(home)
    for name, result in job.kept.items():
        seen = known.get((job.context.contract, name))
        if seen is None:
            raise DatasetError(
                f"{name} was not proved here",
                hint=f"verify the job that kept it: mc2 verify {result.context.job_id[:8]}",
            )
        if not same_digest(seen.result, result.digest):
            raise DatasetError(
                f"{name} is not the one that job {seen.job_id} kept, the newest seen here",
                hint="propose the job again over the newest",
            )


def _file(home: Home) -> Path:
    return home.path / "kept.json"


def _read(fields: Fields) -> SeenKept:
    found = SeenKept(fields.time("at"), fields.hex("job_id", JOB_ID_BYTES), fields.digest("result"))
    fields.done()
    return found
