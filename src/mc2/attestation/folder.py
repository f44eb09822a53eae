"""Evidence from a folder: what `mc2 evidence verify DIR` and the tests over real evidence read.

Each kind has a pure reader from files by name to evidence; to support another kind, add a line
to the table. A folder's opinion of itself is never read: of `expected.json`, only the time counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from mc2.attestation.azure.folder import EVIDENCE_FILE, read_azure_case
from mc2.attestation.claims import RawEvidence
from mc2.attestation.dcap.folder import QUOTE_FILE
from mc2.attestation.dcap.folder import read_case as read_quote_case
from mc2.attestation.nitro.folder import DOCUMENT_FILE, read_nitro_case
from mc2.attestation.snp.folder import REPORT_FILE, read_snp_case
from mc2.attestation.tokens.folder import CASE_FILE, read_token_case
from mc2.attestation.tpm.folder import QUOTE_FILE as ATTEST_FILE
from mc2.attestation.tpm.folder import SIGNATURE_FILE, read_tpm_case
from mc2.errors import UsageError
from mc2.formats.fields import from_time

_FILES: Final = 64
_FILE_BYTES: Final = 4 * 1024 * 1024
_TIME_FILE: Final = "expected.json"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHARED: Final = ("amd-roots",)
"""Folders beside the case with certificates that many cases share; their files count as
`amd-roots/NAME`."""


@dataclass(frozen=True, slots=True)
class CaseReader:
    """Reads the cases of one sort, which have all of `files`."""

    files: tuple[str, ...]
    read: Callable[[Mapping[str, bytes]], RawEvidence]


READERS: Final = (
    CaseReader((REPORT_FILE,), read_snp_case),
    CaseReader((QUOTE_FILE,), read_quote_case),
    CaseReader((DOCUMENT_FILE,), read_nitro_case),
    CaseReader((CASE_FILE,), read_token_case),
    CaseReader((EVIDENCE_FILE,), read_azure_case),
    CaseReader((ATTEST_FILE, SIGNATURE_FILE), read_tpm_case),
)
"""All sorts of cases; the first that fits is taken."""


def load_case(folder: Path) -> tuple[RawEvidence, datetime | None]:
    """Read a case: the evidence with its endorsements, and the time to verify it at, if given.

    Raises: UsageError for a folder of no known sort, EvidenceError or FormatError for files that
    do not decode.
    """
    files = _read_files(folder)
    for reader in READERS:
        if all(name in files for name in reader.files):
            return reader.read(files), _time(files.get(_TIME_FILE))
    known = "; ".join(" + ".join(reader.files) for reader in READERS)
    raise UsageError(f"{folder} holds no evidence of a known sort", hint=f"known files: {known}")


def _read_files(folder: Path) -> dict[str, bytes]:
    try:
        paths = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
        for name in _SHARED:
            shared = sorted((folder.resolve().parent / name).glob("*.pem"))
            paths |= {f"{name}/{path.name}": path for path in shared}
        if len(paths) > _FILES:
            raise UsageError(f"{folder} has more than {_FILES} files")
        return {name: _read_file(path) for name, path in paths.items()}
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from None


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        raw = file.read(_FILE_BYTES + 1)
    if len(raw) > _FILE_BYTES:
        raise UsageError(f"{path} is larger than {_FILE_BYTES} bytes")
    return raw


def _time(raw: bytes | None) -> datetime | None:
    """The field `verify_at`: a UTC time in text, or seconds since 1970."""
    try:
        value = json.loads(raw) if raw is not None else None
        moment = value.get("verify_at") if isinstance(value, dict) else None
        if isinstance(moment, int):
            return _EPOCH + timedelta(seconds=moment)
    except (ValueError, RecursionError, OverflowError):
        raise UsageError(f"{_TIME_FILE} is not JSON with a time") from None
    return from_time(moment, f"verify_at of {_TIME_FILE}") if isinstance(moment, str) else None
