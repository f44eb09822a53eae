"""Verifies Azure's vTPM evidence: hardware → runtime data → vTPM key → quote.

The steps are those of docs/spec/evidence-azure-vtpm.md §3. The vTPM is software in the VM's most
privileged part, the paravisor, which the hardware measures: whoever accepts such evidence trusts
the paravisor that the measurement names.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from mc2.attestation.azure import SNP_KIND, TDX_KIND
from mc2.attestation.azure.evidence import AzureEvidence
from mc2.attestation.azure.runtime_data import RuntimeData, parse_runtime_data
from mc2.attestation.claims import RawEvidence, Tier, VerifiedClaims
from mc2.attestation.dcap.verify import TdxVerifier
from mc2.attestation.keys import Scheme
from mc2.attestation.roots import PinnedRoot
from mc2.attestation.snp.verify import SnpVerifier
from mc2.attestation.tpm.eventlog import parse_event_log
from mc2.attestation.tpm.evidence import EVENT_LOG
from mc2.attestation.tpm.quote import match_log, match_registers, verify_signed
from mc2.attestation.tpm.structures import Attest, parse_attest, parse_signature
from mc2.attestation.tpm.verify import boot_claims
from mc2.crypto.digest import digest
from mc2.errors import EvidenceError
from mc2.formats.canonical import Json, encode
from mc2.formats.fields import to_time


@dataclass(frozen=True, slots=True)
class _Measured:
    """A verified quote with its registers and, if there is a log, what it says of them."""

    attest: Attest
    pcrs: Mapping[int, bytes]
    events: Json


class _AzureVerifier(ABC):
    """Verifies one kind, with the verifier of its hardware."""

    kind: str
    tier = Tier.HARDWARE_CVM
    _hardware: SnpVerifier | TdxVerifier

    def verify(self, raw: RawEvidence, *, at: datetime) -> VerifiedClaims:
        """Check the whole chain as of `at`. Raises: EvidenceError."""
        if raw.kind != self.kind:
            raise EvidenceError(f"this verifies {self.kind}, and the evidence is {raw.kind}")
        evidence = AzureEvidence.parse(raw.evidence)
        attest, signature = parse_attest(evidence.quote), parse_signature(evidence.signature)
        runtime = parse_runtime_data(evidence.runtime_data)
        # Step 1. The hardware made its report, by the rules of its own kind.
        endorsements = dict(raw.endorsements)
        event_log = endorsements.pop(EVENT_LOG, None)
        report = RawEvidence(self._hardware.kind, evidence.report, endorsements)
        hardware = self._hardware.verify(report, at=at)
        self._check_speaker(hardware)
        # Step 2. The report commits to the runtime data, and to nothing else.
        bound = hashlib.sha256(evidence.runtime_data).digest() + bytes(32)
        if hardware.report_data != bound:
            raise EvidenceError("the hardware report is not for these runtime data")
        # Step 3. The vTPM's key is in them, and signed the quote.  Step 4. Over these registers.
        verify_signed(attest, signature, spki=runtime.ak_spki, scheme=Scheme.RSA_PKCS1_SHA256)
        match_registers(attest, signature, evidence.pcrs)
        # Step 5. The log, if there is one, explains the registers.
        events: Json = None
        if event_log is not None:
            events = match_log(parse_event_log(event_log), evidence.pcrs, attest.bank)
        measured = _Measured(attest, evidence.pcrs, events)
        return _claims(self.kind, hardware, runtime, measured, at)

    @abstractmethod
    def _check_speaker(self, hardware: VerifiedClaims) -> None:
        """Check that the paravisor, and not the system in the VM, asked for the report."""


class AzureSnpVerifier(_AzureVerifier):
    """Verifies Azure VMs on SEV-SNP."""

    kind = SNP_KIND

    def __init__(self, roots: Iterable[PinnedRoot]) -> None:
        self._hardware = SnpVerifier(tuple(roots))

    def _check_speaker(self, hardware: VerifiedClaims) -> None:
        # The system in the VM can ask for reports too, over any data, and so could name a key
        # of its own; such a report says that it comes from a less privileged level.
        if hardware.details["vmpl"] != 0:
            raise EvidenceError("the hardware report is not by the paravisor (VMPL 0)")


class AzureTdxVerifier(_AzureVerifier):
    """Verifies Azure VMs on TDX."""

    kind = TDX_KIND

    def __init__(self, roots: Iterable[PinnedRoot]) -> None:
        self._hardware = TdxVerifier(roots)

    def _check_speaker(self, hardware: VerifiedClaims) -> None:
        """Only the paravisor can: for the system in the VM it answers such requests itself."""


def _claims(
    kind: str, hardware: VerifiedClaims, runtime: RuntimeData, measured: _Measured, at: datetime
) -> VerifiedClaims:
    # Step 6. What all this says, without an opinion.
    attest = measured.attest
    details: dict[str, Json] = {
        **boot_claims(attest),
        "hardware": dict(hardware.details),
        "vtpm_key": digest(runtime.ak_spki),
        "secure_boot": runtime.secure_boot,
        "console": runtime.console,
        "vm_id": runtime.vm_id,
        "events": measured.events,
        "verified_at": to_time(at),
    }
    registers = {f"PCR{number}": value.hex() for number, value in measured.pcrs.items()}
    name: Json = {"hardware": hardware.evidence_digest, "quote": digest(attest.raw)}
    return VerifiedClaims(
        kind=kind,
        tier=min(Tier.HARDWARE_CVM, hardware.tier),
        measurements={**hardware.measurements, **registers},
        report_data=attest.extra_data,
        debug=hardware.debug,
        platform_id=hardware.platform_id,
        evidence_digest=digest(encode(name)),
        valid_until=hardware.valid_until,
        details=details,
    )
