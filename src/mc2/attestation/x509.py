"""Certificates and revocation lists of attestation vendors: strict reading, no trust.

`mc2.attestation.certificate_path` verifies what is read here. `cryptography` does the signatures
only: its certificate reader warns of the serial number 0 that every AMD VCEK has, and announces
that it will refuse it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from asn1crypto import crl as asn1_crl
from asn1crypto import parser as asn1
from asn1crypto import x509 as asn1_x509

from mc2.attestation.keys import Scheme
from mc2.errors import EvidenceError

CERTIFICATE_BYTES: Final = 16 * 1024  # the largest seen has 2.2 KiB
CRL_BYTES: Final = 1024 * 1024

BASIC_CONSTRAINTS: Final = "2.5.29.19"
KEY_USAGE: Final = "2.5.29.15"

T = TypeVar("T")

NOT_ASN1: Final = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip
"""What the lazy reader of asn1crypto raises on bytes that are not what they should be."""

_RSA_PSS: Final = {
    "hash_algorithm": {"algorithm": "sha384", "parameters": None},
    "mask_gen_algorithm": {
        "algorithm": "mgf1",
        "parameters": {"algorithm": "sha384", "parameters": None},
    },
    "salt_length": 48,
    "trailer_field": "trailer_field_bc",
}
_SCHEMES: Final[Mapping[str, tuple[Scheme, object]]] = {
    "sha256_ecdsa": (Scheme.ECDSA_P256_SHA256, None),
    "sha384_ecdsa": (Scheme.ECDSA_P384_SHA384, None),
    "rsassa_pss": (Scheme.RSA_PSS_SHA384, _RSA_PSS),
    "sha256_rsa": (Scheme.RSA_PKCS1_SHA256, None),
    "sha384_rsa": (Scheme.RSA_PKCS1_SHA384, None),
    "sha512_rsa": (Scheme.RSA_PKCS1_SHA512, None),
}


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
    """A certificate revocation list as it was read; nothing about it is verified."""

    what: str
    tbs: bytes = field(repr=False)
    scheme: Scheme
    signature: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    this_update: datetime
    next_update: datetime
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
    except NOT_ASN1:
        raise EvidenceError(f"{what} does not decode") from None


def _read_signed(value: Any, der: bytes) -> tuple[bytes, Scheme, bytes]:
    """The signed bytes, scheme and signature of a certificate or list.

    Refuses every other spelling of the three: the outer shell is not signed.
    """
    body, algorithm, signature = value[0], value[1], value[2].native
    tbs: bytes = body.dump()
    shell = asn1.emit(0, 1, 16, tbs + algorithm.dump() + asn1.emit(0, 0, 3, b"\x00" + signature))
    if shell != der or algorithm.dump() != body["signature"].dump():
        raise ValueError
    name, parameters = algorithm.native["algorithm"], algorithm.native["parameters"]
    scheme, expected = _SCHEMES[name]
    if parameters != expected:
        raise ValueError
    return tbs, scheme, signature


def _read_certificate(der: bytes, what: str) -> Certificate:
    value = asn1_x509.Certificate.load(der, strict=True)
    body = value["tbs_certificate"]
    tbs, scheme, signature = _read_signed(value, der)
    if body["version"].native != "v3":
        raise ValueError
    extensions = _read_extensions(body["extensions"])
    constraints = _decode(extensions, BASIC_CONSTRAINTS, asn1_x509.BasicConstraints)
    names = body["subject"].native
    common_name = names.get("common_name", "")
    return Certificate(
        what=what,
        der=der,
        tbs=tbs,
        scheme=scheme,
        signature=signature,
        serial=body["serial_number"].native,
        issuer=body["issuer"].dump(),
        subject=body["subject"].dump(),
        common_name=common_name if isinstance(common_name, str) else "",
        not_before=body["validity"]["not_before"].native,
        not_after=body["validity"]["not_after"].native,
        spki=body["subject_public_key_info"].dump(),
        ca=bool(constraints and constraints["ca"]),
        path_length=constraints["path_len_constraint"] if constraints else None,
        key_usage=_usage(_decode(extensions, KEY_USAGE, asn1_x509.KeyUsage)),
        extensions=extensions,
    )


def _read_crl(der: bytes, what: str) -> Crl:
    value = asn1_crl.CertificateList.load(der, strict=True)
    body = value["tbs_cert_list"]
    tbs, scheme, signature = _read_signed(value, der)
    # A list that covers only part of what its issuer issued says so in a critical extension
    # (issuing distribution point, delta indicator); an entry of another issuer, in its own.
    entries = body["revoked_certificates"]
    extended = [body["crl_extensions"], *(entry["crl_entry_extensions"] for entry in entries)]
    for extensions in extended:
        if any(e.critical for e in _read_extensions(extensions).values()):
            raise EvidenceError(f"{what} has a critical extension: such lists are not supported")
    return Crl(
        what=what,
        tbs=tbs,
        scheme=scheme,
        signature=signature,
        issuer=body["issuer"].dump(),
        this_update=body["this_update"].native,
        next_update=_moment(body["next_update"].native),
        revoked=frozenset(entry["user_certificate"].native for entry in entries),
    )


def _read_extensions(value: Any) -> dict[str, Extension]:
    found: dict[str, Extension] = {}
    for item in value:
        number = item["extn_id"].dotted
        if number in found:
            raise ValueError
        found[number] = Extension(item["critical"].native, bytes(item["extn_value"]))
    return found


def _decode(extensions: Mapping[str, Extension], number: str, kind: Any) -> Any:
    extension = extensions.get(number)
    return None if extension is None else kind.load(extension.value, strict=True).native


def _usage(value: Any) -> frozenset[str] | None:
    return None if value is None else frozenset(value)


def _moment(value: Any) -> datetime:
    if not isinstance(value, datetime):  # a list without an end would be current for ever
        raise TypeError
    return value
