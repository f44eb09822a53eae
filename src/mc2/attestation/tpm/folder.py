"""Reads a TPM quote from files: `quote.attest`, `quote.sig`, and what belongs to them.

The key is `ak_pub.tpmt` or `ak_pub.tpm2b`. Register values are in `pcrs.json` (number → hex);
where it is missing they come from replaying `eventlog.bin`, and the quote confirms either. The
certificate is `ek_cert.der` with `issuer.pem` and `root.pem`. Nothing is verified here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from mc2.attestation.claims import RawEvidence
from mc2.attestation.cursor import Cursor
from mc2.attestation.pem import join_pem, split_pem
from mc2.attestation.tpm import KIND
from mc2.attestation.tpm.algorithms import BANKS, DIGEST_BYTES
from mc2.attestation.tpm.eventlog import parse_event_log
from mc2.attestation.tpm.evidence import (
    EK_CERTIFICATE,
    EK_CHAIN,
    EVENT_LOG,
    TpmEvidence,
    register_number,
)
from mc2.attestation.tpm.structures import Attest, parse_attest
from mc2.errors import EvidenceError, FormatError

QUOTE_FILE: Final = "quote.attest"
SIGNATURE_FILE: Final = "quote.sig"
_KEY_FILE: Final = "ak_pub.tpmt"
_SIZED_KEY_FILE: Final = "ak_pub.tpm2b"
_PCRS_FILE: Final = "pcrs.json"
_LOG_FILE: Final = "eventlog.bin"
_CERTIFICATE_FILE: Final = "ek_cert.der"
_CHAIN_FILES: Final = ("issuer.pem", "root.pem")


def read_tpm_case(files: Mapping[str, bytes]) -> RawEvidence:
    """Evidence from a folder's files by name. Raises: EvidenceError."""
    attest = parse_attest(files[QUOTE_FILE])
    evidence = TpmEvidence(
        quote=files[QUOTE_FILE],
        signature=files[SIGNATURE_FILE],
        ak_public=_key(files),
        pcrs=_registers(files, attest),
    )
    endorsements: dict[str, bytes] = {}
    if _LOG_FILE in files:
        endorsements[EVENT_LOG] = files[_LOG_FILE]
    if _CERTIFICATE_FILE in files and all(name in files for name in _CHAIN_FILES):
        endorsements[EK_CERTIFICATE] = files[_CERTIFICATE_FILE]
        endorsements[EK_CHAIN] = join_pem(
            split_pem(files[name], name, most=1)[0] for name in _CHAIN_FILES
        )
    return RawEvidence(KIND, evidence.encode(), endorsements)


def _key(files: Mapping[str, bytes]) -> bytes:
    if _KEY_FILE in files:
        return files[_KEY_FILE]
    if _SIZED_KEY_FILE not in files:
        raise EvidenceError(f"the folder has no {_KEY_FILE} and no {_SIZED_KEY_FILE}")
    cursor = Cursor(files[_SIZED_KEY_FILE], _SIZED_KEY_FILE, "big")
    raw = cursor.sized(2, cursor.left)
    cursor.done()
    return raw


def _registers(files: Mapping[str, bytes], attest: Attest) -> dict[int, bytes]:
    if _PCRS_FILE in files:
        return _read_registers(files[_PCRS_FILE])
    if _LOG_FILE not in files:
        raise EvidenceError(f"the folder has no {_PCRS_FILE} and no {_LOG_FILE}")
    replayed = parse_event_log(files[_LOG_FILE]).replay(attest.bank)
    zeros = bytes(DIGEST_BYTES[BANKS[attest.bank]])
    return {number: replayed.get(number, zeros) for number in attest.selected}


def _read_registers(raw: bytes) -> dict[int, bytes]:
    try:
        found = json.loads(raw)
        if not isinstance(found, dict):
            raise EvidenceError(f"{_PCRS_FILE} is not a JSON object")
        return {register_number(name): bytes.fromhex(value) for name, value in found.items()}
    except (ValueError, TypeError, RecursionError, FormatError):
        raise EvidenceError(f"{_PCRS_FILE} does not map registers to hex") from None
