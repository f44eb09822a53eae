"""A party's home: the folder where everything of its own lives. It does no cryptography.

::

    identity.json      private keys, 0600           (mc2.client.identity)
    ledger.jsonl       what was released to whom    (mc2.client.ledger)
    coordinator.json   which coordinator to talk to, and the one certificate to accept
    versions.json      the newest version seen of each dataset: older ones are refused
    kept.json          the newest result of each name that is kept sealed
    contracts/         contracts that this party signed, by digest
    jobs/              the signed objects of jobs that this party decided on, by job id
    approvals/         this party's signed approvals, by job id
    rejections/        and its rejections
    challenges/        challenges under way, by job id and attempt
    grants/            grants as they were recorded, to be sent again if one was lost
    proofs/            proofs of finished jobs, by job id
    outbox/            sealed tables on their way               (mc2.client.outbox)
    at_home/           sealed chunks that are never uploaded    (mc2.client.home_worker)
    endorsements/      vendors' certificates, lists, statements (mc2.client.endorsements)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from mc2.client.durable import (
    locked,
    make_private_folder,
    read_file,
    replace_file,
    sync_folder,
)
from mc2.crypto.digest import Digest
from mc2.errors import DatasetError, UsageError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.coordinator_file import FILE_BYTES, CoordinatorFile
from mc2.formats.fields import Fields, check_dataset_name
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import Manifest
from mc2.formats.statement import Verified

HOME_VARIABLE: Final = "MC2_HOME"
_VERSIONS_TYPE: Final = "mc2/versions/v1"
_VERSIONS_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SeenVersion:
    """The newest version of a dataset that this party has seen, and its manifest."""

    version: int
    manifest: Digest


class Shelf:
    """A folder of whole files with plain names."""

    __slots__ = ("_folder", "_limit")

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit

    def put(self, name: str, raw: bytes) -> None:
        """Write durably, over what was there."""
        make_private_folder(self._folder)
        replace_file(self._path(name), raw)

    def get(self, name: str) -> bytes | None:
        """Read, or None where there is nothing. Raises: FormatError if it is too large."""
        try:
            return read_file(self._path(name), self._limit)
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        """All names, in order."""
        if not self._folder.is_dir():
            return []
        files = self._folder.glob("[!.]*.json")
        return sorted(f.name.removesuffix(".json").replace("sha256-", "sha256:") for f in files)

    def remove(self, name: str) -> None:
        """Remove durably; nothing there is no error."""
        path = self._path(name)
        if path.exists():
            path.unlink()
            sync_folder(self._folder)

    def _path(self, name: str) -> Path:
        plain = name.replace("sha256:", "sha256-")
        if not plain.replace("-", "").isalnum():
            raise ValueError(name)  # our own mistake: names here are digests and hex
        return self._folder / f"{plain}.json"


class Home:
    """The folder of one party."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.identity_file = path / "identity.json"
        self.ledger_file = path / "ledger.jsonl"
        self._coordinator_file = path / "coordinator.json"
        self.outbox = path / "outbox"
        self.contracts = Shelf(path / "contracts", 2 * LIMITS.contract_bytes)
        self.jobs = Shelf(path / "jobs", LIMITS.bundle_bytes)
        self.approvals = Shelf(path / "approvals", 2 * LIMITS.message_bytes)
        self.rejections = Shelf(path / "rejections", 2 * LIMITS.message_bytes)
        self.challenges = Shelf(path / "challenges", 2 * LIMITS.message_bytes)
        self.grants = Shelf(path / "grants", 2 * LIMITS.grant_bytes)
        self.proofs = Shelf(path / "proofs", LIMITS.bundle_bytes)

    @classmethod
    def create(cls, path: Path) -> Self:
        """A home that may be new. Raises: UsageError if others can look into it."""
        make_private_folder(path)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """A home that exists. Raises: UsageError if not, or if others can look into it."""
        if not path.is_dir():
            raise UsageError(f"there is no home at {path}", hint="make one: mc2 init NAME")
        return cls.create(path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes of this party from changing the home meanwhile."""
        with locked(self.path / "lock"):
            yield

    def coordinator_file(self) -> CoordinatorFile:
        """Which coordinator to talk to. Raises: UsageError where none was named yet."""
        try:
            raw = read_file(self._coordinator_file, FILE_BYTES)
        except FileNotFoundError:
            raise UsageError(
                "no coordinator is known here",
                hint="its operator hands out coordinator.json: mc2 join --coordinator FILE",
            ) from None
        return CoordinatorFile.parse(raw)

    def write_coordinator_file(self, file: CoordinatorFile) -> None:
        """Remember which coordinator to talk to."""
        replace_file(self._coordinator_file, file.encode())

    # --- rollback of datasets

    def versions(self) -> dict[str, SeenVersion]:
        """The newest version seen of each dataset."""
        try:
            raw = read_file(self.path / "versions.json", _VERSIONS_BYTES)
        except FileNotFoundError:
            return {}
        fields = Fields(decode(raw, _VERSIONS_BYTES, "versions"), "versions")
        fields.type(_VERSIONS_TYPE)
        found = fields.value("datasets")
        fields.done()
        if not isinstance(found, Mapping):
            raise UsageError("versions.json in the home is damaged", hint="restore the home")
        named = Fields(found, "versions")
        return {check_dataset_name(n, "a dataset"): _seen(named.fields(n)) for n in found}

    def see_manifests(self, manifests: Mapping[str, Verified[Manifest]]) -> None:
        """Remember these versions. Raises: DatasetError if one is older than what was seen."""
        with self.lock():
            known = self.versions()
            for manifest in manifests.values():
                check_not_older(known, manifest)
                name = manifest.value.dataset
                known[name] = SeenVersion(manifest.value.version, manifest.digest)
            datasets: dict[str, Json] = {
                name: {"version": seen.version, "manifest": seen.manifest}
                for name, seen in known.items()
            }
            raw = encode({"type": _VERSIONS_TYPE, "datasets": datasets})
            replace_file(self.path / "versions.json", raw)


def _seen(fields: Fields) -> SeenVersion:
    seen = SeenVersion(fields.integer("version", 1, 1 << 31), fields.digest("manifest"))
    fields.done()
    return seen


def check_not_older(known: Mapping[str, SeenVersion], manifest: Verified[Manifest]) -> None:
    """Refuse a version below one that was seen, and a second manifest of the same version.

    A coordinator could otherwise roll a dataset back, or show two owners two tables.

    Raises: DatasetError.
    """
    name, version = manifest.value.dataset, manifest.value.version
    seen = known.get(name)
    if seen is None or version > seen.version:
        return
    if version < seen.version:
        raise DatasetError(
            f"version {version} of {name} is older than version {seen.version}, seen before",
            hint="propose the job again over the newest version",
        )
    if manifest.digest != seen.manifest:
        raise DatasetError(
            f"version {version} of {name} has two manifests",
            hint="its owner must publish a new version; ask how the second came about",
        )


def find_home(
    given: Path | None, environment: Mapping[str, str], fallback: Callable[[], Path] | None = None
) -> Path:
    """Where the home is: the path that was given, else MC2_HOME, else the user's own folder."""
    if given is not None:
        return given
    if environment.get(HOME_VARIABLE):
        return Path(environment[HOME_VARIABLE])
    return (fallback or _user_folder)()


def _user_folder() -> Path:
    import platformdirs

    return platformdirs.user_config_path("mc2", appauthor=False)
