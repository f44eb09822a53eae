"""Which questions to ask AMD and Intel for a machine's endorsements, and what to make of answers.

Questions are made before anything is asked, so that people see what each vendor will learn.
Interfaces: AMD 57230 §4 (Key Distribution Service), Intel PCS version 4. Nothing is kept here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from urllib.parse import unquote_to_bytes, urlencode

from mc2.attestation.azure import SNP_KIND as AZURE_SNP_KIND
from mc2.attestation.azure import TDX_KIND as AZURE_TDX_KIND
from mc2.attestation.azure.evidence import AzureEvidence
from mc2.attestation.claims import RawEvidence
from mc2.attestation.dcap.claims import SGX_KIND, TDX_KIND
from mc2.attestation.dcap.endorsements import (
    PCK_CRL,
    PCK_CRL_CHAIN,
    QE_IDENTITY,
    QE_IDENTITY_CHAIN,
    ROOT_CRL,
    TCB_INFO,
    TCB_INFO_CHAIN,
)
from mc2.attestation.dcap.quote import Tee, parse_quote
from mc2.attestation.pem import split_pem
from mc2.attestation.roots import AMD_ROOTS, INTEL_ROOTS, PinnedRoot
from mc2.attestation.snp import KIND as SNP_KIND
from mc2.attestation.snp.report import SnpReport, parse_report
from mc2.attestation.snp.tcb import PRODUCT_LINES, TCB_BYTES
from mc2.attestation.x509 import parse_certificate
from mc2.client.endorsements_amd import check_authorities, check_crl, check_key, vcek_subject
from mc2.client.endorsements_complete import platform_of
from mc2.client.endorsements_http import JSON_TYPES, SIGNED_TYPES, Answer, Question
from mc2.client.endorsements_index import Endorsement
from mc2.client.endorsements_intel import Ca, check_collateral, subjects
from mc2.errors import EvidenceError, UsageError

AMD_KDS: Final = "https://kdsintf.amd.com"
INTEL_PCS: Final = "https://api.trustedservices.intel.com"
INTEL_CERTIFICATES: Final = "https://certificates.trustedservices.intel.com"

_EVERYBODY: Final = "nothing but your address: the answer is the same for everybody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendors:
    """Where the vendors' services are and which roots count. The roots are pinned; tests differ."""

    amd_kds: str = AMD_KDS
    intel_pcs: str = INTEL_PCS
    intel_certificates: str = INTEL_CERTIFICATES
    amd_roots: tuple[PinnedRoot, ...] = AMD_ROOTS
    intel_roots: tuple[PinnedRoot, ...] = INTEL_ROOTS


class Line(Protocol):
    """Whoever asks; `mc2.client.endorsements_http.VendorLine` in earnest."""

    def ask(self, question: Question) -> Answer:
        """Ask, and wait for the answer. Raises: AttestationError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpWants:
    """A chip at a firmware version, or a product line alone: its chain and revocation list.

    `tcb` has the 8 bytes of a report. `chip_id` is as long as the line's certificates have it;
    None for the line alone, and for a VLEK, which no chip is named in.
    """

    line: str
    key: str = "VCEK"
    chip_id: bytes | None = None
    tcb: bytes | None = None

    def questions(self, vendors: Vendors) -> tuple[Question, ...]:
        """Chain, list and then the certificate of the key, if one is wanted."""
        base = f"{vendors.amd_kds}/{self.key.lower()}/v1/{self.line}"
        common = [
            Question("AMD", f"{base}/{name}", _EVERYBODY, SIGNED_TYPES)
            for name in ("cert_chain", "crl")
        ]
        if self.tcb is None:
            return tuple(common)
        versions = PRODUCT_LINES[self.line].tcb.decode(self.tcb)
        query = urlencode({f"{name}SPL": version for name, version in versions.items()})
        if self.key == "VLEK":
            tells = "which firmware your provider runs"
            return (*common, Question("AMD", f"{base}/cert?{query}", tells, SIGNED_TYPES))
        chip = (self.chip_id or b"").hex()
        tells = f"that your address takes an interest in the chip {chip[:16]}… and its firmware"
        return (*common, Question("AMD", f"{base}/{chip}?{query}", tells, SIGNED_TYPES))

    def check(
        self, answers: tuple[Answer, ...], vendors: Vendors, at: datetime
    ) -> tuple[Endorsement, ...]:
        """Verify the answers: AMD's, current, and for this very chip. Raises: EvidenceError."""
        pem = split_pem(answers[0].body, "AMD's certificate chain", most=2)
        chain = check_authorities(pem, roots=vendors.amd_roots, at=at)
        if (chain.line, chain.key) != (self.line, self.key):
            raise EvidenceError(f"AMD's service answered for another line or key than {self.line}")
        found = [chain.endorsement(), check_crl(answers[1].body, chain, at=at)]
        if self.tcb is not None:
            key = check_key(answers[2].body, chain, at=at)
            wanted = vcek_subject(self.line, self.chip_id or b"", self.tcb)
            if self.key == "VCEK" and key.subject != wanted:
                raise EvidenceError("AMD's service answered for another chip or firmware version")
            found.append(key)
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntelWants:
    """The collateral of a kind of platform (FMSPC), for SGX or TDX."""

    tee: Tee
    fmspc: str
    ca: Ca

    def questions(self, vendors: Vendors) -> tuple[Question, ...]:
        """TCB info, QE identity, root list, PCK list: all for a kind of machine, not for one."""
        sgx = f"{vendors.intel_pcs}/sgx/certification/v4"
        own = f"{vendors.intel_pcs}/{self.tee.lower()}/certification/v4"
        tells = f"that your address takes an interest in machines of the kind {self.fmspc}"
        return (
            Question(
                "Intel", f"{own}/tcb?fmspc={self.fmspc}", tells, JSON_TYPES, "TCB-Info-Issuer-Chain"
            ),
            Question(
                "Intel", f"{own}/qe/identity", _EVERYBODY, JSON_TYPES,
                "SGX-Enclave-Identity-Issuer-Chain",
            ),
            Question(
                "Intel", f"{vendors.intel_certificates}/IntelSGXRootCA.der", _EVERYBODY,
                SIGNED_TYPES,
            ),
            Question(
                "Intel", f"{sgx}/pckcrl?ca={self.ca}&encoding=der", _EVERYBODY, SIGNED_TYPES,
                "SGX-PCK-CRL-Issuer-Chain",
            ),
        )  # fmt: skip

    def check(
        self, answers: tuple[Answer, ...], vendors: Vendors, at: datetime
    ) -> tuple[Endorsement, ...]:
        """Verify the answers: current, for this kind of platform. Raises: EvidenceError."""
        info, identity, root_crl, pck_crl = answers
        parts = {
            TCB_INFO: info.body,
            TCB_INFO_CHAIN: unquote_to_bytes(info.chain),
            QE_IDENTITY: identity.body,
            QE_IDENTITY_CHAIN: unquote_to_bytes(identity.chain),
            ROOT_CRL: root_crl.body,
            PCK_CRL: pck_crl.body,
            PCK_CRL_CHAIN: unquote_to_bytes(pck_crl.chain),
        }
        found = check_collateral(parts, self.tee, roots=vendors.intel_roots, at=at)
        if tuple(e.subject for e in found) != subjects(self.tee, self.fmspc, self.ca):
            raise EvidenceError("Intel's service answered for another kind of platform")
        return found


Wants = SnpWants | IntelWants


def fetch(
    wanted: Iterable[Wants], line: Line, vendors: Vendors, *, at: datetime
) -> tuple[Endorsement, ...]:
    """Ask for all that is wanted and verify every answer. Nothing is kept yet.

    Raises: AttestationError if a service does not answer, EvidenceError if it answers falsely.
    """
    found: list[Endorsement] = []
    answered: dict[str, Answer] = {}
    for wants in wanted:
        questions = wants.questions(vendors)
        for question in questions:
            if question.url not in answered:
                answered[question.url] = line.ask(question)
        answers = tuple(answered[question.url] for question in questions)
        found += wants.check(answers, vendors, at)
    return tuple({e.subject: e for e in found}.values())


def wants_of(raw: RawEvidence, line: str | None = None) -> Wants:
    """What evidence needs from its vendor. `line` is AMD's product line, where people know it.

    Raises: EvidenceError, UsageError for evidence that needs no endorsements.
    """
    hardware = raw.evidence
    if raw.kind in {AZURE_SNP_KIND, AZURE_TDX_KIND}:
        hardware = AzureEvidence.parse(raw.evidence).report
    if raw.kind in {SNP_KIND, AZURE_SNP_KIND}:
        report = parse_report(hardware)
        return _snp_wants(report, raw, line or _line_of(report, raw))
    if raw.kind in {SGX_KIND, TDX_KIND, AZURE_TDX_KIND}:
        quote = parse_quote(hardware)
        fmspc, ca = platform_of(quote)
        return IntelWants(tee=quote.tee, fmspc=fmspc, ca=ca)
    raise UsageError(f"evidence of kind {raw.kind} carries all that its verification needs")


def chip_wants(line: str, chip_id: str, tcb: str) -> SnpWants:
    """A chip by its ids, as people copy them from a report. Raises: UsageError."""
    try:
        chip, version = bytes.fromhex(chip_id), bytes.fromhex(tcb)
    except ValueError:
        raise UsageError("a chip's id and its TCB version are written in hex") from None
    length = PRODUCT_LINES[line].hardware_id_bytes
    if any(chip[length:]) or len(chip) < length or len(version) != TCB_BYTES:
        raise UsageError(f"a chip's id has {length} bytes on {line}, a TCB version {TCB_BYTES}")
    return SnpWants(line=line, chip_id=chip[:length], tcb=version)


def _snp_wants(report: SnpReport, raw: RawEvidence, line: str) -> SnpWants:
    if report.signing_key == "VLEK":
        # AMD gives VLEKs to the providers they are for; asked only where the host kept it back.
        lacking = "vlek" not in raw.endorsements
        return SnpWants(line=line, key="VLEK", tcb=report.reported_tcb if lacking else None)
    chip = report.chip_id[: PRODUCT_LINES[line].hardware_id_bytes]
    if not any(chip):
        raise EvidenceError(
            "the SNP report does not say which chip made it",
            hint="the host must send the chip's certificate along, or not mask its id",
        )
    return SnpWants(line=line, chip_id=chip, tcb=report.reported_tcb)


# Family and model of processors (report versions 3 and later). This only chooses whom to ask:
# the certificate that comes back names its line, and the report's signature fits or not.
_MODELS: Final = (
    (25, range(0x10), "Milan"),
    (25, range(0x10, 0x20), "Genoa"),
    (25, range(0xA0, 0xB0), "Genoa"),
    (26, range(0x20), "Turin"),
)


def _line_of(report: SnpReport, raw: RawEvidence) -> str:
    for name in ("ark", "ask", "asvk"):
        if name in raw.endorsements:
            common = parse_certificate(raw.endorsements[name], name).common_name
            named = common.rpartition("-")[2]
            if named in PRODUCT_LINES:
                return named
    for family, models, line in _MODELS:
        if report.cpuid and report.cpuid[0] == family and report.cpuid[1] in models:
            return line
    raise UsageError(
        "the SNP report does not say which product line its processor is of",
        hint=f"say it: --line {' or '.join(PRODUCT_LINES)}",
    )
