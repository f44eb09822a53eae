"""A synthetic Intel: root, PCK authorities, platforms, signed TCB info and QE identity.

Makes quotes and collateral that are right in every part, and lets a test make exactly one part
wrong. Both our verifier (its root pinned) and the oracle (its root given) take them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from mc2.attestation.claims import RawEvidence
from mc2.attestation.dcap.claims import SGX_KIND, TDX_KIND
from mc2.attestation.roots import PinnedRoot

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
ISSUED = NOW - timedelta(days=3)
NEXT_UPDATE = NOW + timedelta(days=27)
PCK_SERIAL = 0x5D0F_4E1A_77C3_0001
FMSPC = "00806f050000"
QE_VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
SEPT_VE_DISABLE = (1 << 28).to_bytes(8, "little")
_OID = "1.2.840.113741.1.13.1"


def der(tag: int, contents: bytes) -> bytes:
    """One DER value."""
    if len(contents) < 0x80:
        return bytes([tag, len(contents)]) + contents
    size = len(contents).to_bytes(2, "big").lstrip(b"\0")
    return bytes([tag, 0x80 + len(size)]) + size + contents


def _pair(*path: int, value: bytes) -> bytes:
    oid = bytes.fromhex("2a864886f84d010d01") + bytes(path)
    return der(0x30, der(0x06, oid) + value)


def _integer(value: int) -> bytes:
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a PCK certificate says of a platform."""

    components: tuple[int, ...] = (5,) * 8 + (0,) * 8
    pcesvn: int = 13
    fmspc: str = FMSPC
    pceid: str = "0000"
    ppid: bytes = b"p" * 16
    piid: bytes | None = b"i" * 16
    sgx_type: int = 1
    dynamic: bool = True
    cached: bool = True
    smt: bool = False

    def extension(self) -> bytes:
        """The SGX extension's value."""
        tcb = b"".join(
            _pair(2, n + 1, value=_integer(svn)) for n, svn in enumerate(self.components)
        )
        tcb += _pair(2, 17, value=_integer(self.pcesvn))
        tcb += _pair(
            2, 18, value=der(0x04, bytes(n & 0xFF for n in self.components)[:16].ljust(16, b"\0"))
        )
        fields = [
            _pair(1, value=der(0x04, self.ppid)),
            _pair(2, value=der(0x30, tcb)),
            _pair(3, value=der(0x04, bytes.fromhex(self.pceid))),
            _pair(4, value=der(0x04, bytes.fromhex(self.fmspc))),
            _pair(5, value=der(0x0A, bytes([self.sgx_type]))),
        ]
        if self.piid is not None:
            switches = (self.dynamic, self.cached, self.smt)
            values = b"".join(
                _pair(7, n + 1, value=der(0x01, b"\xff" if on else b"\x00"))
                for n, on in enumerate(switches)
            )
            fields += [_pair(6, value=der(0x04, self.piid)), _pair(7, value=der(0x30, values))]
        return der(0x30, b"".join(fields))


def level(
    sgx: Sequence[int] = (5,) * 8 + (0,) * 8,
    pcesvn: int = 13,
    *,
    tdx: Sequence[int] | None = None,
    status: str = "UpToDate",
    advisories: Sequence[str] = (),
    date: str = "2026-03-01T00:00:00Z",
) -> dict[str, Any]:
    """One platform level of TCB info."""
    tcb: dict[str, Any] = {"sgxtcbcomponents": [{"svn": n} for n in sgx], "pcesvn": pcesvn}
    if tdx is not None:
        tcb["tdxtcbcomponents"] = [{"svn": n} for n in tdx]
    found: dict[str, Any] = {"tcb": tcb, "tcbDate": date, "tcbStatus": status}
    if advisories:
        found["advisoryIDs"] = list(advisories)
    return found


def svn_level(svn: int, status: str = "UpToDate", advisories: Sequence[str] = ()) -> dict[str, Any]:
    """One level of a QE identity or TDX module identity."""
    found: dict[str, Any] = {
        "tcb": {"isvsvn": svn}, "tcbDate": "2026-03-01T00:00:00Z", "tcbStatus": status,
    }  # fmt: skip
    if advisories:
        found["advisoryIDs"] = list(advisories)
    return found


def module(major: int, *levels: dict[str, Any], **changes: str) -> dict[str, Any]:
    """The identity of a TDX module; without levels, as the TCB info states it at its top."""
    found: dict[str, Any] = {
        "id": f"TDX_{major:02X}",
        "mrsigner": "00" * 48,
        "attributes": "00" * 8,
        "attributesMask": "FF" * 8,
        "tcbLevels": list(levels),
        **changes,
    }
    return found


@dataclass(frozen=True, kw_only=True)
class Qe:
    """A quoting enclave, and whether its report says what it should."""

    mrsigner: bytes = b"\x8c" * 32
    isvprodid: int = 1
    isvsvn: int = 8
    miscselect: int = 0
    attributes: bytes = bytes.fromhex("1100000000000000e700000000000000")
    auth: bytes = bytes(range(32))
    report_data: bytes | None = None  # None: the right one


@dataclass(frozen=True, kw_only=True)
class Sgx:
    """The body of an SGX quote."""

    mrenclave: bytes = b"\xe1" * 32
    mrsigner: bytes = b"\x51" * 32
    attributes: bytes = bytes.fromhex("0500000000000000e700000000000000")
    isvprodid: int = 7
    isvsvn: int = 3
    configid: bytes = bytes(64)
    miscselect: int = 0
    report_data: bytes = b"R" * 64

    def raw(self) -> bytes:
        """384 bytes."""
        return b"".join(
            (
                bytes(16), self.miscselect.to_bytes(4, "little"), bytes(28), self.attributes,
                self.mrenclave, bytes(32), self.mrsigner, bytes(32), self.configid,
                self.isvprodid.to_bytes(2, "little"), self.isvsvn.to_bytes(2, "little"),
                bytes(60), self.report_data,
            )
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Td:
    """The body of a TDX quote; `svn2` makes it one of TDX 1.5."""

    svn: bytes = bytes([6, 1, 4]) + bytes(13)
    mrseam: bytes = b"\x5e" * 48
    mrsignerseam: bytes = bytes(48)
    seam_attributes: bytes = bytes(8)
    attributes: bytes = SEPT_VE_DISABLE
    xfam: bytes = bytes.fromhex("e702060000000000")
    mrtd: bytes = b"\x7d" * 48
    mrconfigid: bytes = bytes(48)
    mrowner: bytes = bytes(48)
    mrownerconfig: bytes = bytes(48)
    rtmr: tuple[bytes, ...] = tuple(bytes([0xA0 + n]) * 48 for n in range(4))
    report_data: bytes = b"R" * 64
    svn2: bytes | None = None
    mrservicetd: bytes = bytes(48)

    def raw(self) -> bytes:
        """584 bytes, or 648."""
        newer = b"" if self.svn2 is None else self.svn2 + self.mrservicetd
        return b"".join(
            (
                self.svn, self.mrseam, self.mrsignerseam, self.seam_attributes, self.attributes,
                self.xfam, self.mrtd, self.mrconfigid, self.mrowner, self.mrownerconfig,
                *self.rtmr, self.report_data, newer,
            )
        )  # fmt: skip


@cache
def key(name: str) -> ec.EllipticCurvePrivateKey:
    """A P-256 key by name, one for the whole test process."""
    return ec.generate_private_key(ec.SECP256R1())


def sign(name: str, message: bytes) -> bytes:
    """A signature r ‖ s."""
    r, s = decode_dss_signature(key(name).sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def point(name: str) -> bytes:
    """The public key x ‖ y."""
    return key(name).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Intel Corporation"),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
        ]
    )


ROOT, PLATFORM_CA, PROCESSOR_CA = (
    "Intel SGX Root CA", "Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA",
)  # fmt: skip
PCK, SIGNER = "Intel SGX PCK Certificate", "Intel SGX TCB Signing"
SERIALS = {ROOT: 11, PLATFORM_CA: 22, PROCESSOR_CA: 23, SIGNER: 44, PCK: PCK_SERIAL}


@dataclass(frozen=True, kw_only=True)
class Intel:
    """Everything there is to say; `replace` changes one thing of it."""

    machine: Machine = field(default_factory=Machine)
    body: Sgx | Td = field(default_factory=Sgx)
    version: int = 3
    qe: Qe = field(default_factory=Qe)
    ca: str = PLATFORM_CA
    root_revokes: tuple[int, ...] = ()
    ca_revokes: tuple[int, ...] = ()
    root_crl_window: tuple[datetime, datetime] = (ISSUED, NEXT_UPDATE)
    pck_crl_window: tuple[datetime, datetime] = (ISSUED, NEXT_UPDATE)
    tcb_window: tuple[datetime, datetime] = (ISSUED, NEXT_UPDATE)
    qe_window: tuple[datetime, datetime] = (ISSUED, NEXT_UPDATE)
    windows: Mapping[str, tuple[datetime, datetime]] = field(default_factory=dict)
    tcb_levels: tuple[dict[str, Any], ...] | None = None
    modules: tuple[dict[str, Any], ...] = (module(1, svn_level(5), svn_level(2, "OutOfDate")),)
    qe_levels: tuple[dict[str, Any], ...] = (svn_level(8),)
    tcb_changes: Mapping[str, Any] = field(default_factory=dict)
    qe_changes: Mapping[str, Any] = field(default_factory=dict)
    signer_name: str = SIGNER
    signed_by: Mapping[str, str] = field(default_factory=dict)  # a wrong key for a signature

    @property
    def tdx(self) -> bool:
        """Whether this is about a trust domain."""
        return isinstance(self.body, Td)

    def but(self, **changes: Any) -> Intel:
        """The same with something else."""
        return replace(self, **changes)

    def certificate(
        self, subject: str, issuer: str, *, ca: bool, length: int | None = None
    ) -> bytes:
        """A certificate in DER."""
        start, end = self.windows.get(
            subject, (NOW - timedelta(days=400), NOW + timedelta(days=900))
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(self.signer_name if subject == SIGNER else subject))
            .issuer_name(_name(issuer))
            .public_key(key(subject).public_key())
            .serial_number(SERIALS[subject])
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=length), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not ca, content_commitment=not ca, key_encipherment=False,
                    data_encipherment=False, key_agreement=False, key_cert_sign=ca, crl_sign=ca,
                    encipher_only=False, decipher_only=False,
                ),
                critical=True,
            )
        )  # fmt: skip
        if subject == PCK:
            extension = x509.UnrecognizedExtension(
                x509.ObjectIdentifier(_OID), self.machine.extension()
            )
            builder = builder.add_extension(extension, critical=False)
        signer = key(self.signed_by.get(subject, issuer))
        return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)

    def root(self) -> bytes:
        """The root in DER."""
        return _root(self.windows.get(ROOT))

    def pins(self) -> tuple[PinnedRoot, ...]:
        """The root as our verifier wants it."""
        return (
            PinnedRoot(
                vendor="Intel",
                meaning="a test's root",
                of="certificate",
                sha256=hashlib.sha256(self.root()).hexdigest(),
                not_after=NOW,
            ),
        )

    def crl(self, issuer: str, revoked: Iterable[int], window: tuple[datetime, datetime]) -> bytes:
        """A revocation list in DER."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(_name(issuer))
            .last_update(window[0])
            .next_update(window[1])
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key(issuer).public_key()),
                critical=False,
            )
        )
        for serial in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(ISSUED)
            builder = builder.add_revoked_certificate(entry.build())
        signer = key(self.signed_by.get("crl " + issuer, issuer))
        return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)

    def tcb_info(self) -> str:
        """The body of the TCB info."""
        tdx = bytes([5, 0, 4]) + bytes(13) if self.tdx else None
        levels = self.tcb_levels or (level(tdx=tdx),)
        found: dict[str, Any] = {
            "id": "TDX" if self.tdx else "SGX",
            "version": 3,
            "issueDate": _text(self.tcb_window[0]),
            "nextUpdate": _text(self.tcb_window[1]),
            "fmspc": self.machine.fmspc,
            "pceId": self.machine.pceid,
            "tcbType": 0,
            "tcbEvaluationDataNumber": 19,
        }
        if self.tdx:
            top = module(0)
            found["tdxModule"] = {k: v for k, v in top.items() if k not in ("id", "tcbLevels")}
            found["tdxModuleIdentities"] = list(self.modules)
        return json.dumps({**found, "tcbLevels": list(levels), **self.tcb_changes})

    def qe_identity(self) -> str:
        """The body of the QE identity."""
        found = {
            "id": "TD_QE" if self.tdx else "QE",
            "version": 2,
            "issueDate": _text(self.qe_window[0]),
            "nextUpdate": _text(self.qe_window[1]),
            "tcbEvaluationDataNumber": 19,
            "miscselect": "00000000",
            "miscselectMask": "FFFFFFFF",
            "attributes": "11000000000000000000000000000000",
            "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
            "mrsigner": (b"\x8c" * 32).hex().upper(),
            "isvprodid": 1,
            "tcbLevels": list(self.qe_levels),
        }
        return json.dumps({**found, **self.qe_changes})

    def collateral(self) -> dict[str, str]:
        """As quote verification libraries pass it around."""
        root = _pem(self.root())
        signer = _pem(self.certificate(SIGNER, ROOT, ca=False)) + root
        info, identity = self.tcb_info(), self.qe_identity()
        return {
            "pck_crl_issuer_chain": _pem(self._authority()) + root,
            "root_ca_crl": self.crl(ROOT, self.root_revokes, self.root_crl_window).hex(),
            "pck_crl": self.crl(self.ca, self.ca_revokes, self.pck_crl_window).hex(),
            "tcb_info_issuer_chain": signer,
            "tcb_info": info,
            "tcb_info_signature": self._sign("tcb_info", SIGNER, info.encode()).hex(),
            "qe_identity_issuer_chain": signer,
            "qe_identity": identity,
            "qe_identity_signature": self._sign("qe_identity", SIGNER, identity.encode()).hex(),
        }

    def quote(self) -> bytes:
        """The quote."""
        signed = self._header() + self._body()
        bound = hashlib.sha256(point("attestation") + self.qe.auth).digest() + bytes(32)
        report = Sgx(
            mrenclave=b"\x9e" * 32,
            mrsigner=self.qe.mrsigner,
            attributes=self.qe.attributes,
            isvprodid=self.qe.isvprodid,
            isvsvn=self.qe.isvsvn,
            miscselect=self.qe.miscselect,
            report_data=bound if self.qe.report_data is None else self.qe.report_data,
        ).raw()
        pck = self.certificate(PCK, self.ca, ca=False)
        pem = "".join(_pem(c) for c in (pck, self._authority(), self.root())).encode()
        rest = report + self._sign("qe_report", PCK, report)
        rest += len(self.qe.auth).to_bytes(2, "little") + self.qe.auth
        rest += (5).to_bytes(2, "little") + len(pem).to_bytes(4, "little") + pem
        if self.version > 3:
            rest = (6).to_bytes(2, "little") + len(rest).to_bytes(4, "little") + rest
        auth = self._sign("quote", "attestation", signed) + point("attestation") + rest
        return signed + len(auth).to_bytes(4, "little") + auth

    def evidence(self) -> RawEvidence:
        """Quote and collateral as our verifier wants them."""
        from mc2.attestation.dcap.folder import read_collateral

        kind = TDX_KIND if self.tdx else SGX_KIND
        return RawEvidence(
            kind, self.quote(), read_collateral(json.dumps(self.collateral()).encode())
        )

    def _authority(self) -> bytes:
        return self.certificate(self.ca, ROOT, ca=True, length=0)

    def _sign(self, what: str, usual: str, message: bytes) -> bytes:
        return sign(self.signed_by.get(what, usual), message)

    def _header(self) -> bytes:
        tee = 0x81 if self.tdx else 0
        return b"".join(
            (
                self.version.to_bytes(2, "little"), (2).to_bytes(2, "little"),
                tee.to_bytes(4, "little"), bytes(4), QE_VENDOR, bytes(20),
            )
        )  # fmt: skip

    def _body(self) -> bytes:
        raw = self.body.raw()
        if self.version < 5:
            return raw
        kind = {384: 1, 584: 2, 648: 3}[len(raw)]
        return kind.to_bytes(2, "little") + len(raw).to_bytes(4, "little") + raw


@cache
def _root(window: tuple[datetime, datetime] | None) -> bytes:
    """Made once: ECDSA signatures are random, and a root is compared byte by byte."""
    return Intel(windows={} if window is None else {ROOT: window}).certificate(
        ROOT, ROOT, ca=True, length=1
    )


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _pem(raw: bytes) -> str:
    return x509.load_der_x509_certificate(raw).public_bytes(Encoding.PEM).decode()
