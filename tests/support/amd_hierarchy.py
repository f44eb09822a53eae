"""A synthetic AMD: roots, authorities, chips with their keys, revocation lists, and reports.

All is right unless a test says what is wrong. Leaf certificates have serial number 0, as AMD's
do; `cryptography` refuses to build those, so they are re-signed after a change by asn1crypto.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from mc2.attestation.claims import RawEvidence
from mc2.attestation.roots import PinnedRoot
from mc2.attestation.snp import KIND

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
WINDOW = (NOW - YEAR, NOW + YEAR)
CRL_WINDOW = (NOW - timedelta(days=10), NOW + timedelta(days=20))
PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
SERIALS = {"ARK": 0x40000, "ASK": 0x40001, "ASVK": 0x40101}
CHIP = hashlib.sha512(b"a chip").digest()

_ARC = "1.3.6.1.4.1.3704.1"
_ORDER = {
    "Milan": ("bl", "tee", "spl4", "spl5", "spl6", "spl7", "snp", "ucode"),
    "Genoa": ("bl", "tee", "spl4", "spl5", "spl6", "spl7", "snp", "ucode"),
    "Turin": ("fmc", "bl", "tee", "snp", "spl5", "spl6", "spl7", "ucode"),
}
_EXTENSIONS = {
    "bl": "3.1", "tee": "3.2", "snp": "3.3", "spl4": "3.4", "spl5": "3.5", "spl6": "3.6",
    "spl7": "3.7", "ucode": "3.8", "fmc": "3.9",
}  # fmt: skip


@cache
def rsa_key(name: str, bits: int = 4096) -> rsa.RSAPrivateKey:
    """A key by name, one for the whole test process: they take up to two seconds."""
    return rsa.generate_private_key(65537, bits)


@cache
def chip_key(name: str) -> ec.EllipticCurvePrivateKey:
    """The endorsement key of a chip by name."""
    return ec.generate_private_key(ec.SECP384R1())


def der(tag: int, content: bytes) -> bytes:
    """A short DER value."""
    assert len(content) < 0x80
    return bytes((tag, len(content))) + content


def der_integer(value: int) -> bytes:
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def tcb_bytes(line: str, versions: Mapping[str, int]) -> bytes:
    """A TCB version as reports have it."""
    return bytes(versions.get(name, 0) for name in _ORDER[line])


@dataclass(frozen=True, kw_only=True)
class Guest:
    """What a report says. The four TCB versions are those of `tcb` unless `tcbs` has others."""

    version: int = 5
    guest_svn: int = 3
    policy: int = 0x30000
    vmpl: int = 0
    algorithm: int = 1
    platform_info: int = 0x25
    key_info: int | None = None
    report_data: bytes = b"r" * 64
    measurement: bytes = b"m" * 48
    host_data: bytes = b"h" * 32
    id_key_digest: bytes = b"i" * 48
    author_key_digest: bytes = b"a" * 48
    chip_id: bytes | None = None
    tcb: Mapping[str, int] = field(default_factory=lambda: {"bl": 4, "snp": 30, "ucode": 80})
    tcbs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    tail: bytes = bytes(368)

    def signed(self, line: str, signing_key: str, chip_id: bytes) -> bytes:
        raw = bytearray(0x2A0)

        def put(at: int, value: int | bytes, size: int) -> None:
            content = value if isinstance(value, bytes) else value.to_bytes(size, "little")
            assert len(content) == size
            raw[at : at + size] = content

        key_info = {"VCEK": 0, "VLEK": 1}[signing_key] << 2
        put(0x000, self.version, 4)
        put(0x004, self.guest_svn, 4)
        put(0x008, self.policy, 8)
        put(0x030, self.vmpl, 4)
        put(0x034, self.algorithm, 4)
        put(0x040, self.platform_info, 8)
        put(0x048, key_info if self.key_info is None else self.key_info, 4)
        put(0x050, self.report_data, 64)
        put(0x090, self.measurement, 48)
        put(0x0C0, self.host_data, 32)
        put(0x0E0, self.id_key_digest, 48)
        put(0x110, self.author_key_digest, 48)
        put(0x160, b"\xff" * 32, 32)
        put(0x188, bytes((26, 2, 1)), 3)
        put(0x1A0, chip_id if self.chip_id is None else self.chip_id, 64)
        put(0x1E8, bytes((41, 55, 1, 0, 40, 55, 1, 0)), 8)
        for state, at in (
            ("current", 0x38),
            ("reported", 0x180),
            ("committed", 0x1E0),
            ("launch", 0x1F0),
        ):
            put(at, tcb_bytes(line, self.tcbs.get(state, self.tcb)), 8)
        return bytes(raw)


@dataclass(frozen=True, kw_only=True)
class Amd:
    """A product line with one chip and one guest on it; each field can be made wrong."""

    line: str = "Genoa"
    signing_key: str = "VCEK"
    guest: Guest = field(default_factory=Guest)
    certified_tcb: Mapping[str, int] | None = None
    certified_chip: bytes | None = None
    wrapped_chip: bool = False
    product: str | None = None
    structure: int | None = None
    leaf_name: str | None = None
    leaf_ca: bool = False
    authority_name: str | None = None
    authority_length: int | None = 0
    authority_ca: bool = True
    key_usage: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    serials: Mapping[str, int] = field(default_factory=lambda: dict(SERIALS))
    windows: Mapping[str, tuple[datetime, datetime]] = field(default_factory=dict)
    signed_by: Mapping[str, str] = field(default_factory=dict)
    bits: int = 4096
    critical: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    extra: Mapping[str, bytes] = field(default_factory=dict)
    revoked: tuple[int, ...] | None = None
    crl_window: tuple[datetime, datetime] = CRL_WINDOW
    crl_issuer: str = "ARK"

    def but(self, **changes: Any) -> Amd:
        return replace(self, **changes)

    def guest_but(self, **changes: Any) -> Amd:
        return replace(self, guest=replace(self.guest, **changes))

    @property
    def chip(self) -> bytes:
        return CHIP[:8] if self.line == "Turin" else CHIP

    @property
    def authority(self) -> str:
        return "ASK" if self.signing_key == "VCEK" else "ASVK"

    def evidence(self) -> RawEvidence:
        found = {
            self.signing_key.lower(): self.leaf(),
            self.authority.lower(): self.authority_certificate(),
            "ark": self.root(),
        }
        if self.revoked is not None:
            found["crl"] = self.crl()
        return RawEvidence(KIND, self.report(), found)

    def pins(self) -> tuple[PinnedRoot, ...]:
        key = rsa_key(self._signer("ARK", "ARK"), self.bits).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return (
            PinnedRoot(
                vendor="AMD",
                meaning=self.line,
                of="key",
                sha256=hashlib.sha256(spki).hexdigest(),
                not_after=WINDOW[1],
            ),
        )

    def report(self) -> bytes:
        signed = self.guest.signed(self.line, self.signing_key, self.chip.ljust(64, b"\0"))
        key = chip_key(self._signer("report", "chip"))
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA384())))
        return signed + r.to_bytes(72, "little") + s.to_bytes(72, "little") + self.guest.tail

    def root(self) -> bytes:
        return self._certificate("ARK", "ARK", _name(f"ARK-{self.line}"), rsa_key("ARK", self.bits))

    def authority_certificate(self) -> bytes:
        return self._certificate(
            self.authority, "ARK", self._authority_name(), rsa_key(self.authority, self.bits)
        )

    def leaf(self) -> bytes:
        name = self.leaf_name or f"SEV-{self.signing_key}"
        builder = self._builder("leaf", _name(name), self._authority_name(), chip_key("chip"), 1)
        if self.leaf_ca:
            builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
        for number, value in self._extensions().items():
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(number), value)
            builder = builder.add_extension(extension, critical=number in self.critical)
        signer = rsa_key(self._signer("leaf", self.authority), self.bits)
        raw = builder.sign(signer, hashes.SHA384(), rsa_padding=PSS).public_bytes(Encoding.DER)
        return with_serial(raw, self.serials.get("leaf", 0), signer)

    def crl(self) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(
                self._authority_name() if self.crl_issuer != "ARK" else _name(f"ARK-{self.line}")
            )
            .last_update(self.crl_window[0])
            .next_update(self.crl_window[1])
            .add_extension(x509.CRLNumber(7), critical=False)
        )
        for serial in self.revoked or ():
            entry = x509.RevokedCertificateBuilder().serial_number(serial)
            builder = builder.add_revoked_certificate(
                entry.revocation_date(self.crl_window[0]).build()
            )
        signer = rsa_key(self._signer("crl", self.crl_issuer), self.bits)
        return builder.sign(signer, hashes.SHA384(), rsa_padding=PSS).public_bytes(Encoding.DER)

    def _extensions(self) -> dict[str, bytes]:
        line, vcek = self.line, self.signing_key == "VCEK"
        structure = (1 if line == "Turin" else 0) if self.structure is None else self.structure
        reported = self.guest.tcbs.get("reported", self.guest.tcb)
        versions = reported if self.certified_tcb is None else self.certified_tcb
        chip = self.chip if self.certified_chip is None else self.certified_chip
        found = {
            "1": der_integer(structure),
            "2": der(0x16, (line if self.product is None else self.product).encode()),
            **{_EXTENSIONS[name]: der_integer(versions.get(name, 0)) for name in _ORDER[line]},
        }
        if vcek:
            found["4"] = der(4, chip) if self.wrapped_chip else chip
        else:
            found["5"] = der(0x16, b"CN=cc-test.example")
        named = {f"{_ARC}.{number}": value for number, value in found.items()}
        named |= self.extra
        return {number: value for number, value in named.items() if number not in self.dropped}

    def _authority_name(self) -> x509.Name:
        usual = f"SEV-{self.line}" if self.signing_key == "VCEK" else f"SEV-VLEK-{self.line}"
        return _name(self.authority_name or usual)

    def _certificate(
        self, who: str, issuer: str, subject: x509.Name, key: rsa.RSAPrivateKey
    ) -> bytes:
        root = who == "ARK"
        builder = self._builder(who, subject, _name(f"ARK-{self.line}"), key, self.serials[who])
        ca = root or self.authority_ca
        sign, crl = self.key_usage.get(who, (True, root))
        builder = builder.add_extension(
            x509.BasicConstraints(ca, None if root or not ca else self.authority_length),
            critical=True,
        ).add_extension(
            x509.KeyUsage(
                digital_signature=False, content_commitment=False, key_encipherment=False,
                data_encipherment=False, key_agreement=False, key_cert_sign=sign, crl_sign=crl,
                encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )  # fmt: skip
        signer = rsa_key(self._signer(who, issuer), self.bits)
        return builder.sign(signer, hashes.SHA384(), rsa_padding=PSS).public_bytes(Encoding.DER)

    def _builder(
        self, who: str, subject: x509.Name, issuer: x509.Name, key: Any, serial: int
    ) -> x509.CertificateBuilder:
        start, end = self.windows.get(who, WINDOW)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(start)
            .not_valid_after(end)
        )

    def _signer(self, what: str, usual: str) -> str:
        return self.signed_by.get(what, usual)


def with_serial(raw: bytes, serial: int, signer: rsa.RSAPrivateKey) -> bytes:
    """The certificate with another serial number, signed again."""
    certificate = asn1_x509.Certificate.load(raw)
    certificate["tbs_certificate"]["serial_number"] = serial
    tbs = certificate["tbs_certificate"].dump(force=True)
    certificate["signature_value"] = signer.sign(tbs, PSS, hashes.SHA384())
    return certificate.dump(force=True)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Engineering"),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "A synthetic AMD"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )
