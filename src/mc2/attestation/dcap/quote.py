"""Intel's attestation quotes, SGX version 3, TDX versions 4 and 5: layout only.

Offsets and sizes follow docs/spec/evidence-dcap.md §2. Nothing here is believed: `verify` says
what is signed. All integers are little-endian; keys and signatures are big-endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from mc2.attestation.cursor import Cursor
from mc2.attestation.pem import split_pem
from mc2.errors import EvidenceError

Tee = Literal["SGX", "TDX"]

SGX_BODY_BYTES: Final = 384
TD10_BODY_BYTES: Final = 584
TD15_BODY_BYTES: Final = 648
_LARGEST_QUOTE: Final = 32 * 1024  # genuine quotes have about 5 KiB, padded ones 8000 bytes
_HEADER_BYTES: Final = 48
_INTEL_QE: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
_ECDSA_P256: Final = 2
_TEES: Final[dict[int, Tee]] = {0x00: "SGX", 0x81: "TDX"}
_VERSIONS: Final[dict[Tee, tuple[int, ...]]] = {"SGX": (3,), "TDX": (4, 5)}
_QE_REPORT_DATA: Final = 6  # certification data: the QE's report and what certifies it
_PCK_CHAIN: Final = 5  # certification data: PEM of PCK certificate, intermediate and root
_PAIR: Final = 64  # an ECDSA signature r ‖ s, or a point x ‖ y
_V5_BODIES: Final = {2: TD10_BODY_BYTES, 3: TD15_BODY_BYTES}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveReport:
    """The report of an SGX enclave: the body of an SGX quote, and of the quoting enclave."""

    cpusvn: bytes
    miscselect: int
    isvextprodid: bytes
    attributes: bytes
    mrenclave: bytes
    mrsigner: bytes
    configid: bytes
    isvprodid: int
    isvsvn: int
    configsvn: int
    isvfamilyid: bytes
    report_data: bytes

    @property
    def debug(self) -> bool:
        """ATTRIBUTES.DEBUG: the host can read and write the enclave's memory."""
        return bool(self.attributes[0] & 0x02)

    @classmethod
    def parse(cls, raw: bytes) -> EnclaveReport:
        """Read 384 bytes. Raises: EvidenceError."""
        cursor = Cursor(raw, "an SGX report", "little")
        cpusvn, miscselect = cursor.take(16), cursor.number(4)
        cursor.take(12)
        isvextprodid, attributes = cursor.take(16), cursor.take(16)
        mrenclave, _, mrsigner, _ = (cursor.take(32) for _ in range(4))
        configid = cursor.take(64)
        isvprodid, isvsvn, configsvn = (cursor.number(2) for _ in range(3))
        cursor.take(42)
        isvfamilyid, report_data = cursor.take(16), cursor.take(64)
        cursor.done()
        return cls(
            cpusvn=cpusvn,
            miscselect=miscselect,
            isvextprodid=isvextprodid,
            attributes=attributes,
            mrenclave=mrenclave,
            mrsigner=mrsigner,
            configid=configid,
            isvprodid=isvprodid,
            isvsvn=isvsvn,
            configsvn=configsvn,
            isvfamilyid=isvfamilyid,
            report_data=report_data,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TdReport:
    """The report of a trust domain. The last two fields exist from TDX 1.5 on."""

    tee_tcb_svn: bytes
    mrseam: bytes
    mrsignerseam: bytes
    seam_attributes: bytes
    td_attributes: bytes
    xfam: bytes
    mrtd: bytes
    mrconfigid: bytes
    mrowner: bytes
    mrownerconfig: bytes
    rtmr: tuple[bytes, bytes, bytes, bytes]
    report_data: bytes
    tee_tcb_svn2: bytes | None
    mrservicetd: bytes | None

    @property
    def debug(self) -> bool:
        """Any of the bits 0 to 7: the TD is under debug, or under the host's profiling."""
        return self.td_attributes[0] != 0

    @classmethod
    def parse(cls, raw: bytes) -> TdReport:
        """Read 584 or 648 bytes. Raises: EvidenceError."""
        cursor = Cursor(raw, "a TD report", "little")
        tee_tcb_svn, mrseam, mrsignerseam = cursor.take(16), cursor.take(48), cursor.take(48)
        seam_attributes, td_attributes, xfam = (cursor.take(8) for _ in range(3))
        mrtd, mrconfigid, mrowner, mrownerconfig = (cursor.take(48) for _ in range(4))
        rtmr = (cursor.take(48), cursor.take(48), cursor.take(48), cursor.take(48))
        report_data = cursor.take(64)
        newer = bool(cursor.left)
        tee_tcb_svn2 = cursor.take(16) if newer else None
        mrservicetd = cursor.take(48) if newer else None
        cursor.done()
        return cls(
            tee_tcb_svn=tee_tcb_svn,
            mrseam=mrseam,
            mrsignerseam=mrsignerseam,
            seam_attributes=seam_attributes,
            td_attributes=td_attributes,
            xfam=xfam,
            mrtd=mrtd,
            mrconfigid=mrconfigid,
            mrowner=mrowner,
            mrownerconfig=mrownerconfig,
            rtmr=rtmr,
            report_data=report_data,
            tee_tcb_svn2=tee_tcb_svn2,
            mrservicetd=mrservicetd,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A quote taken apart. `signed` is header and body, exactly as they were received.

    `attestation_key` is a P-256 point x ‖ y; both signatures are r ‖ s. `pck_chain` holds the
    platform's certificate, the intermediate's and the root's, in DER.
    """

    version: int
    tee: Tee
    body: EnclaveReport | TdReport
    signed: bytes
    signature: bytes
    attestation_key: bytes
    qe_report: EnclaveReport
    qe_report_raw: bytes
    qe_report_signature: bytes
    qe_auth: bytes
    pck_chain: tuple[bytes, bytes, bytes]


def parse_quote(raw: bytes) -> Quote:
    """Take a quote apart; what follows it must be zeros. Raises: EvidenceError."""
    if len(raw) > _LARGEST_QUOTE:
        raise EvidenceError(f"a quote is no larger than {_LARGEST_QUOTE} bytes")
    cursor = Cursor(raw, "the quote", "little")
    version, tee = _read_header(Cursor(cursor.take(_HEADER_BYTES), "a quote's header", "little"))
    body = _read_body(cursor, version, tee)
    signed = raw[: cursor.position]
    auth = Cursor(cursor.sized(4, _LARGEST_QUOTE), "the quote's signature data", "little")
    if any(cursor.rest()):  # hosts pad quotes with zeros; anything else is not from the TEE
        raise EvidenceError("bytes that are not zero follow the quote")
    signature, attestation_key = auth.take(_PAIR), auth.take(_PAIR)
    if version > 3:
        auth = _certification(auth, _QE_REPORT_DATA)
    qe_report_raw, qe_report_signature = auth.take(SGX_BODY_BYTES), auth.take(_PAIR)
    qe_auth = auth.sized(2, _LARGEST_QUOTE)
    return Quote(
        version=version,
        tee=tee,
        body=body,
        signed=signed,
        signature=signature,
        attestation_key=attestation_key,
        qe_report=EnclaveReport.parse(qe_report_raw),
        qe_report_raw=qe_report_raw,
        qe_report_signature=qe_report_signature,
        qe_auth=qe_auth,
        pck_chain=_read_chain(_certification(auth, _PCK_CHAIN).rest()),
    )


def _read_header(cursor: Cursor) -> tuple[int, Tee]:
    version, key_type, tee_type = cursor.number(2), cursor.number(2), cursor.number(4)
    cursor.take(4)  # version 3: SVNs of QE and PCE, which the certificate states better
    vendor = cursor.take(16)
    tee = _TEES.get(tee_type)
    if tee is None or version not in _VERSIONS[tee]:
        raise EvidenceError(
            f"a quote of version {version} for TEE type {tee_type:#x} is not known",
            hint="known are SGX quotes of version 3, and TDX quotes of versions 4 and 5",
        )
    if key_type != _ECDSA_P256 or vendor != _INTEL_QE:
        raise EvidenceError("the quote is not one of Intel's quoting enclave with an ECDSA key")
    return version, tee


def _read_body(cursor: Cursor, version: int, tee: Tee) -> EnclaveReport | TdReport:
    if tee == "SGX":
        return EnclaveReport.parse(cursor.take(SGX_BODY_BYTES))
    size = TD10_BODY_BYTES
    if version == 5:
        body_type, size = cursor.number(2), cursor.number(4)
        if _V5_BODIES.get(body_type) != size:
            raise EvidenceError(f"a quote body of type {body_type} and {size} bytes is not known")
    return TdReport.parse(cursor.take(size))


def _certification(cursor: Cursor, expected: int) -> Cursor:
    """Open the certification data that ends a structure; it must fill it to the last byte."""
    kind = cursor.number(2)
    if kind != expected:
        raise EvidenceError(
            f"certification data of type {kind} stand where type {expected} is needed",
            hint="the quote must carry its PCK certificate chain; configure the quote provider so",
        )
    data = cursor.sized(4, _LARGEST_QUOTE)
    cursor.done()
    return Cursor(data, f"certification data of type {kind}", "little")


def _read_chain(pem: bytes) -> tuple[bytes, bytes, bytes]:
    chain = split_pem(pem.removesuffix(b"\0"), "the quote's certificate chain", most=3)
    if len(chain) != 3:
        raise EvidenceError("the quote's certificate chain is not PCK, intermediate, root")
    return chain[0], chain[1], chain[2]
