"""Certificates and revocation lists of attestation vendors: strict reading, no trust.

`mc2.attestation.certificate_path` verifies what is read here. `cryptography` does the signatures
only: its certificate reader warns of the serial number 0 that every AMD VCEK has, and announces
that it will refuse it. RFC 5280 §4.1 and §5.1 name the fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final, TypeVar

from mc2.attestation.der import DerError, DerReader, Tag
from mc2.attestation.keys import Scheme
from mc2.errors import EvidenceError

CERTIFICATE_BYTES: Final = 16 * 1024  # the largest seen has 2.2 KiB
CRL_BYTES: Final = 1024 * 1024

BASIC_CONSTRAINTS: Final = "2.5.29.19"
KEY_USAGE: Final = "2.5.29.15"
_CRL_NUMBER: Final = "2.5.29.20"

T = TypeVar("T")

_VERSION_3: Final = 2
_VERSION_2: Final = 1  # of a list
_COMMON_NAME: Final = "2.5.4.3"
_TEXT_TAGS: Final = (Tag.UTF8_STRING, Tag.PRINTABLE_STRING, Tag.IA5_STRING)
_UNIQUE_IDS: Final = (0x81, 0x82)
_KEY_USAGES: Final = (
    "digital_signature", "non_repudiation", "key_encipherment", "data_encipherment",
    "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip

# RFC 4055 §3.1: SHA-384, MGF1 with SHA-384, salt of 48 bytes; AMD writes it with and without the
# default trailer.
_PSS: Final = (
    "06092a864886f70d01010a30{}a00f300d06096086480165030402020500"
    "a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130"
)
SCHEMES: Final[Mapping[bytes, Scheme]] = {
    bytes.fromhex(algorithm): scheme
    for algorithm, scheme in (
        ("300a06082a8648ce3d040302", Scheme.ECDSA_P256_SHA256),
        ("300a06082a8648ce3d040303", Scheme.ECDSA_P384_SHA384),
        ("3041" + _PSS.format("34"), Scheme.RSA_PSS_SHA384),
        ("3046" + _PSS.format("39") + "a303020101", Scheme.RSA_PSS_SHA384),
        ("300d06092a864886f70d01010b0500", Scheme.RSA_PKCS1_SHA256),
        ("300d06092a864886f70d01010c0500", Scheme.RSA_PKCS1_SHA384),
        ("300d06092a864886f70d01010d0500", Scheme.RSA_PKCS1_SHA512),
    )
}
"""The signature algorithms in use, by their identifier as it stands in certificates."""


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension: whether a reader must understand it, and its bytes (DER)."""

    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate as it was read; nothing about it is verified.

    `what` is how messages call it. `issuer` and `subject` are the names in DER, `spki` the key.
    `key_usage` has the words of RFC 5280 in snake case; None where the extension is absent.
    """

    what: str
    der: bytes = field(repr=False)
    tbs: bytes = field(repr=False)
    scheme: Scheme
    signature: bytes = field(repr=False)
    serial: int
    issuer: bytes = field(repr=False)
    subject: bytes = field(repr=False)
    common_name: str
    not_before: datetime
    not_after: datetime
    spki: bytes = field(repr=False)
    ca: bool
    path_length: int | None
    key_usage: frozenset[str] | None
    extensions: Mapping[str, Extension] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crl:
    """A certificate revocation list as it was read; nothing about it is verified.

    `number` counts the lists of one issuer (RFC 5280 §5.2.3); None where a list has none.
    """

    what: str
    tbs: bytes = field(repr=False)
    scheme: Scheme
    signature: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    this_update: datetime
    next_update: datetime
    number: int | None
    revoked: frozenset[int] = field(repr=False)


def parse_certificate(der: bytes, what: str) -> Certificate:
    """Read one certificate in DER, with nothing before or after it. Raises: EvidenceError."""
    return _strictly(_read_certificate, der, CERTIFICATE_BYTES, what)


def parse_crl(der: bytes, what: str) -> Crl:
    """Read one revocation list in DER. Raises: EvidenceError."""
    return _strictly(_read_crl, der, CRL_BYTES, what)


def _strictly(read: Callable[[bytes, str], T], der: bytes, limit: int, what: str) -> T:
    if len(der) > limit:
        raise EvidenceError(f"{what} is larger than {limit} bytes")
    try:
        return read(der, what)
    except DerError:
        raise EvidenceError(f"{what} does not decode") from None


def _read_signed(der: bytes) -> tuple[bytes, bytes, bytes]:
    """The signed part, the algorithm and the signature of a certificate or list."""
    outer = DerReader(der)
    inner = outer.inside()
    outer.done()
    tbs, algorithm, signature = inner.whole(), inner.whole(), inner.bits()
    inner.done()
    return tbs, algorithm, signature


def _read_certificate(der: bytes, what: str) -> Certificate:
    tbs, algorithm, signature = _read_signed(der)
    body = DerReader(tbs).inside()
    if body.inside(0xA0).integer() != _VERSION_3:
        raise DerError
    serial = body.integer()
    scheme = _scheme(algorithm, body.whole())
    issuer = body.whole()
    validity = body.inside()
    not_before, not_after = validity.time(), validity.time()
    validity.done()
    subject, spki = body.whole(), body.whole()
    for tag in _UNIQUE_IDS:
        if body.next_is(tag):
            body.contents(tag)
    extensions = _read_extensions(body)
    body.done()
    ca, path_length = _constraints(extensions.get(BASIC_CONSTRAINTS))
    return Certificate(
        what=what,
        der=der,
        tbs=tbs,
        scheme=scheme,
        signature=signature,
        serial=serial,
        issuer=issuer,
        subject=subject,
        common_name=_common_name(subject),
        not_before=not_before,
        not_after=not_after,
        spki=spki,
        ca=ca,
        path_length=path_length,
        key_usage=_usage(extensions.get(KEY_USAGE)),
        extensions=extensions,
    )


def _read_crl(der: bytes, what: str) -> Crl:
    tbs, algorithm, signature = _read_signed(der)
    body = DerReader(tbs).inside()
    if body.integer() != _VERSION_2:
        raise DerError
    scheme = _scheme(algorithm, body.whole())
    issuer = body.whole()
    # A list without an end would be current for ever: its second time is required here.
    this_update, next_update = body.time(), body.time()
    revoked = set()
    # A list that covers only part of what its issuer issued says so in a critical extension
    # (issuing distribution point, delta indicator); an entry of another issuer, in its own.
    critical = False
    entries = body.inside() if body.next_is(Tag.SEQUENCE) else DerReader(b"")
    while entries.more():
        entry = entries.inside()
        revoked.add(entry.integer())
        entry.time()
        critical |= entry.more() and _marks_critical(entry.whole())
        entry.done()
    extensions = _read_extensions(body, 0xA0)
    critical |= _any_critical(extensions)
    body.done()
    if critical:
        raise EvidenceError(f"{what} has a critical extension: such lists are not supported")
    return Crl(
        what=what,
        tbs=tbs,
        scheme=scheme,
        signature=signature,
        issuer=issuer,
        this_update=this_update,
        next_update=next_update,
        number=_list_number(extensions.get(_CRL_NUMBER)),
        revoked=frozenset(revoked),
    )


def _scheme(outer: bytes, signed: bytes) -> Scheme:
    # RFC 5280 §4.1.1.2: the outer identifier, which is not signed, repeats the signed one.
    if outer != signed or signed not in SCHEMES:
        raise DerError
    return SCHEMES[signed]


def _read_extensions(body: DerReader, tag: int = 0xA3) -> dict[str, Extension]:
    if not body.next_is(tag):
        return {}
    shell = body.inside(tag)
    found = _extension_list(shell)
    shell.done()
    return found


def _extension_list(reader: DerReader) -> dict[str, Extension]:
    found: dict[str, Extension] = {}
    items = reader.inside()
    while items.more():
        item = items.inside()
        number = item.oid()
        critical = item.next_is(Tag.BOOLEAN) and item.boolean()
        if number in found:
            raise DerError
        found[number] = Extension(critical, item.octets())
        item.done()
    return found


@lru_cache(maxsize=256)  # the reason of a revocation: ten spellings in lists of any length
def _marks_critical(raw: bytes) -> bool:
    """Whether an extension of a list's entry is critical; all of them are read either way."""
    return _any_critical(_extension_list(DerReader(raw)))


def _any_critical(extensions: Mapping[str, Extension]) -> bool:
    return any(extension.critical for extension in extensions.values())


def _constraints(extension: Extension | None) -> tuple[bool, int | None]:
    if extension is None:
        return False, None
    outer = DerReader(extension.value)
    inner = outer.inside()
    outer.done()
    ca = inner.next_is(Tag.BOOLEAN) and inner.boolean()
    length = inner.integer() if inner.more() else None
    inner.done()
    return ca, length


def _usage(extension: Extension | None) -> frozenset[str] | None:
    if extension is None:
        return None
    outer = DerReader(extension.value)
    raw = outer.contents(Tag.BIT_STRING)
    outer.done()
    if not raw or raw[0] > 7:
        raise DerError
    bits = (raw[1 + place // 8] >> 7 - place % 8 & 1 for place in range(8 * (len(raw) - 1)))
    return frozenset(name for name, bit in zip(_KEY_USAGES, bits, strict=False) if bit)


def _list_number(extension: Extension | None) -> int | None:
    if extension is None:
        return None
    outer = DerReader(extension.value)
    number = outer.integer()
    outer.done()
    if not 0 <= number < 1 << 159:  # RFC 5280 §5.2.3: at most 20 octets
        raise DerError
    return number


def _common_name(name: bytes) -> str:
    """The one common name in a name, or nothing."""
    found: list[str] = []
    parts = DerReader(name).inside()
    while parts.more():
        part = parts.inside(Tag.SET)
        while part.more():
            pair = part.inside()
            if pair.oid() == _COMMON_NAME:
                found.append(_text(pair))
    return found[0] if len(found) == 1 else ""


def _text(reader: DerReader) -> str:
    for tag in _TEXT_TAGS:
        if reader.next_is(tag):
            return reader.contents(tag).decode("utf-8", "replace")
    return ""
