"""Checks a quote: by a key, over its registers, with its log (docs/spec/evidence-tpm.md §4).

Whether the key belongs to a TPM is another question, see `verify`; Azure's evidence
answers it in its own way and uses this as it is.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from mc2.attestation.keys import Scheme, verify_signature
from mc2.attestation.tpm.algorithms import BANKS, DIGEST_BYTES, HASH_NAMES, Alg
from mc2.attestation.tpm.eventlog import EventLog
from mc2.attestation.tpm.structures import Attest, Public, Signature
from mc2.errors import EvidenceError
from mc2.formats.canonical import Json

_HASH_OF: Final[Mapping[Scheme, Alg]] = {
    Scheme.ECDSA_P256_SHA256: Alg.SHA256,
    Scheme.ECDSA_P384_SHA384: Alg.SHA384,
    Scheme.RSA_PKCS1_SHA256: Alg.SHA256,
    Scheme.RSA_PKCS1_SHA384: Alg.SHA384,
    Scheme.RSA_PKCS1_SHA512: Alg.SHA512,
}
_HIERARCHIES: Final = {0x40000001: "owner", 0x4000000B: "endorsement", 0x4000000C: "platform"}
_DYNAMIC: Final = range(17, 23)
"""Registers that only a dynamic launch resets to zero; after a power cycle they are all ones."""


def verify_signed(
    attest: Attest, signature: Signature, *, spki: bytes, scheme: Scheme | None
) -> None:
    """Check that a key signed a quote, in the one way that this key signs.

    Raises: EvidenceError.
    """
    if signature.scheme is not scheme:
        raise EvidenceError("the TPM quote is signed in another way than its key signs")
    verify_signature(spki, signature.scheme, signature.value, attest.raw, what="the TPM quote")


def match_registers(attest: Attest, signature: Signature, pcrs: Mapping[int, bytes]) -> None:
    """Check that registers are exactly those that a quote selects, with the quoted values.

    Raises: EvidenceError.
    """
    if tuple(sorted(pcrs)) != attest.selected or not pcrs:
        raise EvidenceError("the registers that came with the quote are not those it is over")
    if any(len(value) != DIGEST_BYTES[BANKS[attest.bank]] for value in pcrs.values()):
        raise EvidenceError("a register that came with the quote has another size than its bank")
    # Part 2 §10.12.1: the digest has the hash of the signing scheme, whatever the bank has.
    hasher = hashlib.new(HASH_NAMES[_HASH_OF[signature.scheme]])
    hasher.update(b"".join(pcrs[n] for n in attest.selected))
    if not hmac.compare_digest(hasher.digest(), attest.pcr_digest):
        raise EvidenceError("the registers that came with the quote are not the quoted ones")


def match_log(log: EventLog, pcrs: Mapping[int, bytes], bank: str) -> dict[str, Json]:
    """Check that a log explains every quoted register; its digests by register, in hex.

    A quoted register that the log never extends must still have its value from the reset.

    Raises: EvidenceError.
    """
    replayed, size = log.replay(bank), DIGEST_BYTES[BANKS[bank]]
    for number, value in pcrs.items():
        untouched = (b"\xff" if number in _DYNAMIC else b"\0") * size
        if value != replayed.get(number, untouched):
            raise EvidenceError(
                f"the event log does not explain register {number}",
                hint="log and quote must be of one boot; something else was measured since",
            )
    return {
        str(number): [digest.hex() for digest in digests]
        for number, digests in sorted(log.digests(bank).items())
        if number in pcrs
    }


def hierarchy_of(attest: Attest, key: Public) -> str | None:
    """The hierarchy whose primary key signed, by the qualified name; None if it is none of them.

    Only in the endorsement hierarchy are reset and restart counts what they seem: elsewhere the
    TPM adds a secret offset to them (Part 1 §36.7).
    """
    name_alg = Alg(key.name_alg)
    for handle, name in _HIERARCHIES.items():
        hasher = hashlib.new(HASH_NAMES[name_alg], handle.to_bytes(4, "big") + key.name)
        if attest.qualified_signer == name_alg.to_bytes(2, "big") + hasher.digest():
            return name
    return None
