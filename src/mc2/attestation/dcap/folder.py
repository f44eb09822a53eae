"""Reads a quote and its collateral from files: `quote.bin` and `collateral.json`.

`collateral.json` has the fields that quote verification libraries pass around: PEM chains and
JSON bodies as text, lists and signatures in hex. Here they become the endorsements by name. A
quote may come without it: the collateral may be in a cache.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from mc2.attestation.claims import RawEvidence
from mc2.attestation.dcap.claims import SGX_KIND, TDX_KIND
from mc2.attestation.dcap.endorsements import (
    PCK_CRL,
    PCK_CRL_CHAIN,
    QE_IDENTITY,
    QE_IDENTITY_CHAIN,
    ROOT_CRL,
    TCB_INFO,
    TCB_INFO_CHAIN,
)
from mc2.attestation.dcap.quote import parse_quote
from mc2.errors import EvidenceError

QUOTE_FILE: Final = "quote.bin"
COLLATERAL_FILE: Final = "collateral.json"
_LARGEST: Final = 4 * 1024 * 1024


def read_case(files: Mapping[str, bytes]) -> RawEvidence:
    """Evidence from a folder's files by name. Nothing is verified. Raises: EvidenceError."""
    if QUOTE_FILE not in files:
        raise EvidenceError(f"the folder has no {QUOTE_FILE}")
    quote = parse_quote(files[QUOTE_FILE])
    kind = SGX_KIND if quote.tee == "SGX" else TDX_KIND
    raw = files.get(COLLATERAL_FILE)
    collateral = {} if raw is None else read_collateral(raw)
    return RawEvidence(kind, files[QUOTE_FILE], collateral)


def read_collateral(raw: bytes) -> dict[str, bytes]:
    """The endorsements in a `collateral.json`, by name. Raises: EvidenceError."""
    try:
        found = json.loads(raw) if len(raw) <= _LARGEST else None
        if not isinstance(found, Mapping):
            raise EvidenceError(f"{COLLATERAL_FILE} is not a JSON object of a usual size")
        return _endorsements({str(name): str(value) for name, value in found.items()})
    except KeyError as error:
        raise EvidenceError(f"{COLLATERAL_FILE} has no field {error}") from None
    except (ValueError, RecursionError):
        raise EvidenceError(f"{COLLATERAL_FILE} is not JSON with hex and PEM in it") from None


def _endorsements(found: Mapping[str, str]) -> dict[str, bytes]:
    return {
        TCB_INFO: _signed("tcbInfo", found["tcb_info"], found["tcb_info_signature"]),
        QE_IDENTITY: _signed(
            "enclaveIdentity", found["qe_identity"], found["qe_identity_signature"]
        ),
        TCB_INFO_CHAIN: found["tcb_info_issuer_chain"].encode(),
        QE_IDENTITY_CHAIN: found["qe_identity_issuer_chain"].encode(),
        PCK_CRL_CHAIN: found["pck_crl_issuer_chain"].encode(),
        ROOT_CRL: bytes.fromhex(found["root_ca_crl"]),
        PCK_CRL: bytes.fromhex(found["pck_crl"]),
    }


def _signed(name: str, body: str, signature: str) -> bytes:
    """The answer of Intel's service that body and signature were cut from."""
    return f'{{"{name}":{body},"signature":"{signature}"}}'.encode()
