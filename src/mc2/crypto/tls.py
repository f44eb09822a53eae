"""The certificate of a coordinator: self-signed and pinned by its clients.

No authority vouches for it. A client gets the certificate with its invitation and trusts that one
certificate alone, for the names written in it. Losing this channel loses no secret: everything
that matters is signed or sealed inside it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mc2.crypto.digest import Digest, digest
from mc2.errors import FormatError, UsageError

_BACKDATED: Final = timedelta(days=1)  # clocks of clients that are a little behind


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """A certificate and its private key, both PEM. Printing it shows no key."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"<TlsIdentity {fingerprint(self.certificate)}>"


def self_signed(names: Sequence[str], *, at: datetime, days: int) -> TlsIdentity:
    """Make a fresh P-256 key and a certificate for some host names and addresses.

    Raises: UsageError if a name is neither.
    """
    if not names:
        raise UsageError("a certificate needs at least one host name or address")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mc2 coordinator")])
    alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _BACKDATED)
        .not_valid_after(at + timedelta(days=days))
        .add_extension(alternatives, critical=False)
        # It signs nothing but itself: pinned as a root, it still vouches for no other server.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_signing_only(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(key_id, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), critical=False
        )
    )
    certificate = builder.sign(key, hashes.SHA256())
    return TlsIdentity(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def fingerprint(certificate: bytes) -> Digest:
    """The SHA-256 digest of a PEM certificate's DER form. Raises: FormatError."""
    return digest(_load(certificate).public_bytes(serialization.Encoding.DER))


def certificate_names(certificate: bytes) -> tuple[str, ...]:
    """The host names and addresses that a PEM certificate is for, sorted. Raises: FormatError."""
    try:
        found = _load(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    names = found.value.get_values_for_type(x509.DNSName)
    addresses = found.value.get_values_for_type(x509.IPAddress)
    return tuple(sorted([*names, *(str(address) for address in addresses)]))


def _load(certificate: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError:
        raise FormatError("this is not a certificate in PEM form") from None


def _signing_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError:
        raise UsageError(f"{name!r} is neither a host name nor an address") from None
