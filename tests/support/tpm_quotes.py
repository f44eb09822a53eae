"""A TPM's keys and quotes in software: right in every part, with one part made wrong at will."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from mc2.attestation.claims import RawEvidence
from mc2.attestation.pem import join_pem
from mc2.attestation.roots import PinnedRoot
from mc2.attestation.tpm import KIND
from mc2.attestation.tpm.commands import sized, u16, u32
from mc2.attestation.tpm.credential import Credential, kdfa
from mc2.attestation.tpm.evidence import TpmEvidence
from mc2.attestation.tpm.structures import parse_public

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
AK_ATTRIBUTES = 0x00050472
ENDORSEMENT = 0x4000000B


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """An RSA key by name, one for the whole test process."""
    return rsa.generate_private_key(65537, 2048)


def ec_key(name: str, curve: str = "P-256") -> ec.EllipticCurvePrivateKey:
    """An ECC key by name."""
    return _ec_key(name, curve)


@cache
def _ec_key(name: str, curve: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1() if curve == "P-256" else ec.SECP384R1())


def spki(key: Any) -> bytes:
    """A key's DER SubjectPublicKeyInfo."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def ecc_public(
    name: str = "ak",
    *,
    attributes: int = AK_ATTRIBUTES,
    scheme: bytes | None = None,
    curve: str = "P-256",
) -> bytes:
    """TPMT_PUBLIC of an ECC key."""
    numbers = ec_key(name, curve).public_key().public_numbers()
    size, identifier, hash_alg = (32, 3, 0x0B) if curve == "P-256" else (48, 4, 0x0C)
    return b"".join(
        (
            u16(0x23), u16(0x0B), u32(attributes), sized(b""), u16(0x10),
            u16(0x18) + u16(hash_alg) if scheme is None else scheme,
            u16(identifier), u16(0x10),
            sized(numbers.x.to_bytes(size, "big")), sized(numbers.y.to_bytes(size, "big")),
        )
    )  # fmt: skip


def rsa_public(name: str = "ak", *, attributes: int = AK_ATTRIBUTES, hash_alg: int = 0x0B) -> bytes:
    """TPMT_PUBLIC of an RSA key that signs by RSASSA."""
    numbers = rsa_key(name).public_key().public_numbers()
    return b"".join(
        (
            u16(1), u16(0x0B), u32(attributes), sized(b""), u16(0x10), u16(0x14), u16(hash_alg),
            u16(2048), u32(0), sized(numbers.n.to_bytes(256, "big")),
        )
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Tpm:
    """Everything that a quote says; `but` changes one thing of it."""

    key: str = "ak"
    kind: str = "ecc"
    attributes: int = AK_ATTRIBUTES
    signed_by: str | None = None
    parent: int = ENDORSEMENT
    extra_data: bytes = b"n" * 32
    clock: int = 1234
    reset_count: int = 7
    restart_count: int = 0
    safe: int = 1
    firmware: int = 0x2019102300163636
    bank: int = 0x0B
    pcrs: Mapping[int, bytes] = field(
        default_factory=lambda: {n: bytes([n]) * 32 for n in (0, 4, 11)}
    )
    selected: tuple[int, ...] | None = None
    digest: bytes | None = None
    magic: bytes = b"\xffTCG"
    attest_type: int = 0x8018

    def but(self, **changes: Any) -> Tpm:
        """The same with something else."""
        return replace(self, **changes)

    @property
    def public(self) -> bytes:
        """TPMT_PUBLIC of the attestation key."""
        make = ecc_public if self.kind == "ecc" else rsa_public
        return make(self.key, attributes=self.attributes)

    def attest(self) -> bytes:
        """TPMS_ATTEST."""
        qualified = (
            u16(0x0B) + hashlib.sha256(u32(self.parent) + parse_public(self.public).name).digest()
        )
        selected = tuple(sorted(self.pcrs)) if self.selected is None else self.selected
        bitmap = sum(1 << n for n in selected).to_bytes(3, "little")
        joined = b"".join(self.pcrs[n] for n in sorted(self.pcrs))
        digest = hashlib.sha256(joined).digest() if self.digest is None else self.digest
        return b"".join(
            (
                self.magic, u16(self.attest_type), sized(qualified), sized(self.extra_data),
                self.clock.to_bytes(8, "big"), u32(self.reset_count), u32(self.restart_count),
                bytes([self.safe]), self.firmware.to_bytes(8, "big"),
                u32(1), u16(self.bank), b"\x03", bitmap, sized(digest),
            )
        )  # fmt: skip

    def signature(self, message: bytes) -> bytes:
        """TPMT_SIGNATURE."""
        signer = self.signed_by or self.key
        if self.kind == "rsa":
            raw = rsa_key(signer).sign(message, padding.PKCS1v15(), hashes.SHA256())
            return u16(0x14) + u16(0x0B) + sized(raw)
        r, s = decode_dss_signature(ec_key(signer).sign(message, ec.ECDSA(hashes.SHA256())))
        return u16(0x18) + u16(0x0B) + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))

    def evidence(self, endorsements: Mapping[str, bytes] | None = None) -> RawEvidence:
        """As our verifier takes it."""
        attest = self.attest()
        found = TpmEvidence(
            quote=attest, signature=self.signature(attest), ak_public=self.public, pcrs=self.pcrs
        )
        return RawEvidence(KIND, found.encode(), dict(endorsements or {}))


def activate(ek: str, ak_name: bytes, credential: Credential) -> bytes:
    """What TPM2_ActivateCredential does, with the private endorsement key in hand."""
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label=b"IDENTITY\0")
    seed = rsa_key(ek).decrypt(credential.encrypted_seed, oaep)
    size = int.from_bytes(credential.blob[:2], "big")
    mac, identity = credential.blob[2 : 2 + size], credential.blob[2 + size :]
    expected = hmac.digest(kdfa(seed, b"INTEGRITY", b"", 256), identity + ak_name, "sha256")
    if mac != expected:
        raise ValueError("integrity")
    cipher = Cipher(algorithms.AES(kdfa(seed, b"STORAGE", ak_name, 128)), CFB(bytes(16)))
    plain = cipher.decryptor().update(identity)
    return plain[2 : 2 + int.from_bytes(plain[:2], "big")]


@dataclass(frozen=True, kw_only=True)
class Maker:
    """A maker of TPMs: root, issuer, certificates of keys."""

    name: str = "maker"
    window: tuple[datetime, datetime] = (NOW - timedelta(days=10), NOW + timedelta(days=10))
    signed_by: str | None = None

    def certificate(self, key: Any, *, usage: str = "key_encipherment") -> bytes:
        """The certificate of an endorsement or attestation key, in DER."""
        usages = dict.fromkeys(
            (
                "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
            ),
            False,
        ) | {usage: True}  # fmt: skip
        builder = (
            _builder("a TPM", self.name + " issuer", key, self.window)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**usages), critical=True)
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "id")]))]
                ),
                critical=True,
            )
        )
        signer = ec_key(self.signed_by or self.name + " issuer")
        return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)

    def chain(self) -> bytes:
        """Issuer and root, in PEM."""
        return join_pem(
            (_authority(self.name + " issuer", self.name), _authority(self.name, self.name))
        )

    def pins(self) -> tuple[PinnedRoot, ...]:
        """The root as a verifier wants it."""
        return (
            PinnedRoot(
                vendor="test", meaning=self.name, of="certificate",
                sha256=hashlib.sha256(_authority(self.name, self.name)).hexdigest(), not_after=NOW,
            ),
        )  # fmt: skip


def _builder(
    subject: str, issuer: str, key: Any, window: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(window[0])
        .not_valid_after(window[1])
    )


@cache
def _authority(subject: str, issuer: str) -> bytes:
    window = (NOW - timedelta(days=100), NOW + timedelta(days=100))
    builder = (
        _builder(subject, issuer, ec_key(subject), window)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False, content_commitment=False, key_encipherment=False,
                data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
                encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
    )  # fmt: skip
    return builder.sign(ec_key(issuer), hashes.SHA256()).public_bytes(Encoding.DER)
