"""Certificate paths of any shape on small curves, for what is common to all vendors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mc2.attestation.roots import PinnedRoot

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOW = (NOW - 100 * DAY, NOW + 100 * DAY)


@cache
def p384_key(name: str) -> ec.EllipticCurvePrivateKey:
    """A P-384 key by name, one for the whole test process."""
    return ec.generate_private_key(ec.SECP384R1())


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True, kw_only=True)
class Link:
    """One certificate of a path; `signer` is the name of the key above unless given."""

    name: str
    ca: bool = True
    length: int | None = None
    usage: frozenset[str] | None = None
    window: tuple[datetime, datetime] = WINDOW
    issuer: str | None = None
    signer: str | None = None
    key: Any = None
    digest: Any = field(default_factory=hashes.SHA384)
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    constraints: bool = True

    def but(self, **changes: Any) -> Link:
        return replace(self, **changes)


def key_usage(*words: str) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in words for name in names})


def build(link: Link, above: Link | None) -> bytes:
    """The certificate in DER; without one above it is self-signed."""
    above = above or link
    key = link.key or p384_key(link.name)
    usage = link.usage
    if usage is None:
        usage = frozenset({"key_cert_sign", "crl_sign"} if link.ca else {"digital_signature"})
    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name(link.name))
        .issuer_name(common_name(link.issuer or above.name))
        .public_key(key.public_key())
        .serial_number(int.from_bytes(hashlib.sha256(link.name.encode()).digest()[:8], "big"))
        .not_valid_before(link.window[0])
        .not_valid_after(link.window[1])
    )
    if link.constraints:
        builder = builder.add_extension(x509.BasicConstraints(link.ca, link.length), critical=True)
    if usage:
        builder = builder.add_extension(key_usage(*usage), critical=True)
    for extension, critical in link.extensions:
        builder = builder.add_extension(extension, critical=critical)
    signer = p384_key(link.signer) if link.signer else above.key or p384_key(above.name)
    return builder.sign(signer, link.digest).public_bytes(Encoding.DER)


def build_path(links: tuple[Link, ...]) -> tuple[bytes, ...]:
    """A path in DER, from the leaf (first) to the root."""
    return tuple(build(link, above) for link, above in zip(links, (*links[1:], None), strict=True))


def pin(der: bytes, meaning: str = "a test's root") -> tuple[PinnedRoot, ...]:
    """The root as verifiers want it."""
    return (
        PinnedRoot(
            vendor="a test",
            meaning=meaning,
            of="certificate",
            sha256=hashlib.sha256(der).hexdigest(),
            not_after=WINDOW[1],
        ),
    )
