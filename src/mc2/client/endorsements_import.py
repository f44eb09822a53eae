"""Endorsements that somebody brings in files: for machines without a network.

A folder is evidence laid out as `mc2 evidence verify` reads it, or just certificates and lists;
a file is one of these or a `collateral.json`. All is verified like an answer from the vendor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from mc2.attestation.azure import SNP_KIND as AZURE_SNP_KIND
from mc2.attestation.claims import RawEvidence
from mc2.attestation.dcap.endorsements import ENDORSEMENTS, TCB_INFO
from mc2.attestation.dcap.folder import COLLATERAL_FILE, read_collateral
from mc2.attestation.dcap.quote import Tee
from mc2.attestation.folder import READERS, load_case
from mc2.attestation.pem import split_pem
from mc2.attestation.snp import KIND as SNP_KIND
from mc2.client.endorsements_amd import check_amd_files
from mc2.client.endorsements_fetch import Vendors
from mc2.client.endorsements_index import Endorsement
from mc2.client.endorsements_intel import check_collateral
from mc2.errors import EvidenceError, UsageError

_FILES: Final = 256
_FILE_BYTES: Final = 4 * 1024 * 1024
_BUNDLE: Final = 16  # certificates in one file, at most
_PEM: Final = b"-----BEGIN CERTIFICATE"
_CERTIFICATES: Final = (".der", ".cer", ".crt", ".pem")
_LISTS: Final = (".crl",)
_LIST_FILE: Final = "crl.der"


def read_endorsements(path: Path, vendors: Vendors, *, at: datetime) -> tuple[Endorsement, ...]:
    """Read and verify what is in a file or folder, as of `at`.

    Raises: UsageError if there is nothing of use, EvidenceError for what is not the vendor's.
    """
    files = _read(path)
    if any(all(name in files for name in reader.files) for reader in READERS):
        return check_evidence(load_case(path)[0], vendors, at=at)
    if COLLATERAL_FILE in files or path.suffix == ".json":
        raw = files.get(COLLATERAL_FILE) or files[path.name]
        return _check_intel(read_collateral(raw), vendors, at)
    found = _check_amd(files, vendors, at)
    if not found:
        raise UsageError(
            f"{path} has no endorsements in it",
            hint=f"bring {COLLATERAL_FILE}, or certificates (.pem, .der) and lists (.crl)",
        )
    return found


def check_evidence(raw: RawEvidence, vendors: Vendors, *, at: datetime) -> tuple[Endorsement, ...]:
    """Verify the endorsements that came with evidence. Raises: EvidenceError, UsageError."""
    given = raw.endorsements
    if raw.kind in {SNP_KIND, AZURE_SNP_KIND}:
        names = ("vcek", "vlek", "ask", "asvk", "ark")
        lists = [given["crl"]] if "crl" in given else []
        certificates = [given[name] for name in names if name in given]
        return check_amd_files(certificates, lists, roots=vendors.amd_roots, at=at)
    if all(name in given for name in ENDORSEMENTS):
        return _check_intel({name: given[name] for name in ENDORSEMENTS}, vendors, at)
    raise UsageError(f"this evidence of kind {raw.kind} comes with no endorsements to keep")


def _check_intel(
    parts: Mapping[str, bytes], vendors: Vendors, at: datetime
) -> tuple[Endorsement, ...]:
    return check_collateral(parts, _tee(parts[TCB_INFO]), roots=vendors.intel_roots, at=at)


def _tee(tcb_info: bytes) -> Tee:
    """What the statement says it is for; reading it as such comes next and is strict."""
    try:
        found = json.loads(tcb_info)["tcbInfo"]["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = None
    if found not in {"SGX", "TDX"}:
        raise EvidenceError("the TCB info is neither for SGX nor for TDX")
    return "SGX" if found == "SGX" else "TDX"


def _check_amd(
    files: Mapping[str, bytes], vendors: Vendors, at: datetime
) -> tuple[Endorsement, ...]:
    certificates: dict[bytes, None] = {}
    lists = []
    for name, raw in files.items():
        if name.endswith(_LISTS) or name == _LIST_FILE:
            lists.append(raw)
        elif name.endswith(_CERTIFICATES):
            found = split_pem(raw, name, most=_BUNDLE) if raw.startswith(_PEM) else (raw,)
            certificates |= dict.fromkeys(found)
    return check_amd_files(certificates, lists, roots=vendors.amd_roots, at=at)


def _read(path: Path) -> dict[str, bytes]:
    try:
        paths = sorted(path.iterdir()) if path.is_dir() else [path]
        if len(paths) > _FILES:
            raise UsageError(f"{path} has more than {_FILES} files")
        return {found.name: _read_file(found) for found in paths if not found.is_dir()}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        raw = file.read(_FILE_BYTES + 1)
    if len(raw) > _FILE_BYTES:
        raise UsageError(f"{path} is larger than {_FILE_BYTES} bytes")
    return raw
