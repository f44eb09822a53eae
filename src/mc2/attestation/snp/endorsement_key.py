"""What the certificate of a VCEK or VLEK says of the chip and firmware that may use the key.

Specification: AMD 57230, "Versioned Chip Endorsement Key (VCEK) Certificate and KDS Interface".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mc2.attestation.der import DerError, DerReader, Tag
from mc2.attestation.snp.tcb import ProductLine
from mc2.attestation.x509 import Certificate
from mc2.errors import EvidenceError

_ARC: Final = "1.3.6.1.4.1.3704.1"
_COMMON_NAMES: Final = {"SEV-VCEK": "VCEK", "SEV-VLEK": "VLEK"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EndorsementKey:
    """A key that a chip derives for one TCB version, as its certificate describes it.

    `hardware_id` is a VCEK's chip, `provider` the cloud that a VLEK was issued to.
    """

    kind: str
    product: str
    tcb: bytes
    hardware_id: bytes | None
    provider: str | None


def read_endorsement_key(certificate: Certificate, line: ProductLine) -> EndorsementKey:
    """Take AMD's extensions out of a certificate whose path ends in the root of `line`.

    Raises: EvidenceError for a missing or odd one, and for the certificate of another line.
    """
    kind = _COMMON_NAMES.get(certificate.common_name)
    if kind is None:
        raise EvidenceError(f"{certificate.what} is not the certificate of a VCEK or VLEK")
    if _integer(certificate, "1") != line.tcb.structure:
        raise EvidenceError(f"{certificate.what} has the TCB layout of another product line")
    product = _text(certificate, "2")
    # The name may carry a stepping: "Milan-B0".
    if product.partition("-")[0] != line.name:
        raise EvidenceError(f"{certificate.what} is for another product line than {line.name}")
    versions = [_integer(certificate, f"3.{number}") for number in line.tcb.extensions]
    if not all(0 <= version <= 0xFF for version in versions):
        raise EvidenceError(f"{certificate.what} has a firmware version beyond one byte")
    return EndorsementKey(
        kind=kind,
        product=product,
        tcb=bytes(versions),
        hardware_id=_hardware_id(certificate, line) if kind == "VCEK" else None,
        provider=_text(certificate, "5") if kind == "VLEK" else None,
    )


def _extension(certificate: Certificate, number: str) -> bytes:
    extension = certificate.extensions.get(f"{_ARC}.{number}")
    if extension is None:
        raise EvidenceError(f"{certificate.what} lacks the extension {_ARC}.{number}")
    return extension.value


def _integer(certificate: Certificate, number: str) -> int:
    reader = DerReader(_extension(certificate, number))
    try:
        value = reader.integer()
        reader.done()
    except DerError:
        raise EvidenceError(f"an extension of {certificate.what} is not a number") from None
    return value


def _text(certificate: Certificate, number: str) -> str:
    reader = DerReader(_extension(certificate, number))
    try:
        value = reader.contents(Tag.IA5_STRING).decode("ascii")
        reader.done()
    except (DerError, UnicodeDecodeError):
        raise EvidenceError(f"an extension of {certificate.what} is not text") from None
    return value


def _hardware_id(certificate: Certificate, line: ProductLine) -> bytes:
    # Bare bytes in all certificates seen; the specification wraps them in an OCTET STRING.
    value = _extension(certificate, "4")
    header = bytes((0x04, line.hardware_id_bytes))
    if len(value) == line.hardware_id_bytes + len(header) and value.startswith(header):
        value = value[len(header) :]
    if len(value) != line.hardware_id_bytes:
        raise EvidenceError(f"the chip's id in {certificate.what} has an odd length")
    return value
