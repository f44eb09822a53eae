"""Verifies TPM quotes: what was measured, by which TPM (docs/spec/evidence-tpm.md §4).

A quote says which software started. It does not say that the host cannot look into its memory:
the tier is measured-boot, whatever else the policy demands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mc2.attestation.claims import RawEvidence, Tier, VerifiedClaims
from mc2.attestation.roots import PinnedRoot
from mc2.attestation.tpm import KIND
from mc2.attestation.tpm.endorsement import (
    CertifiedKey,
    verify_attestation_key,
    verify_endorsement_key,
)
from mc2.attestation.tpm.enrolment import ActivatedKey
from mc2.attestation.tpm.eventlog import parse_event_log
from mc2.attestation.tpm.evidence import (
    AK_CERTIFICATE,
    AK_CHAIN,
    EK_CERTIFICATE,
    EK_CHAIN,
    ENDORSEMENTS,
    EVENT_LOG,
    TpmEvidence,
)
from mc2.attestation.tpm.quote import hierarchy_of, match_log, match_registers, verify_signed
from mc2.attestation.tpm.structures import (
    Attest,
    Public,
    check_attestation_key,
    parse_attest,
    parse_public,
    parse_signature,
)
from mc2.crypto.digest import digest
from mc2.errors import EvidenceError
from mc2.formats.canonical import Json
from mc2.formats.fields import to_time

ACTIVATED: Final = "activated"
CERTIFIED: Final = "certified"
UNPROVEN: Final = "unproven"
"""How it is known that the key is in a genuine TPM: by a credential that only that TPM could
open, by a certificate of the TPM's provider, or not at all."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a key comes from, as far as it is known."""

    how: str
    platform: str
    certified: CertifiedKey | None
    activated: ActivatedKey | None


class TpmVerifier:
    """Verifies quotes of TPMs. Never fetches anything and never reads the clock.

    `roots` are the TPM makers' and providers' that count here; `activated` are the owner's own
    records of credential activations, by `ak_name`.
    """

    kind = KIND
    tier = Tier.MEASURED_BOOT

    def __init__(self, roots: Iterable[PinnedRoot], activated: Mapping[str, ActivatedKey]) -> None:
        self._roots = tuple(roots)
        self._activated = dict(activated)

    def verify(self, raw: RawEvidence, *, at: datetime) -> VerifiedClaims:
        """Check a quote as of `at`. Raises: EvidenceError."""
        if raw.kind != self.kind:
            raise EvidenceError(f"this verifies {self.kind}, and the evidence is {raw.kind}")
        unknown = sorted(set(raw.endorsements) - set(ENDORSEMENTS))
        if unknown:
            raise EvidenceError(f"the TPM quote comes with {unknown[0]!r}: it has no use for that")
        evidence = TpmEvidence.parse(raw.evidence)
        attest, key = parse_attest(evidence.quote), parse_public(evidence.ak_public)
        signature = parse_signature(evidence.signature)
        # Step 1. The key signs what its TPM made, and nothing else.
        check_attestation_key(key)
        # Step 2. It signed this quote.  Step 3. The registers are the quoted ones.
        verify_signed(attest, signature, spki=key.spki, scheme=key.scheme)
        match_registers(attest, signature, evidence.pcrs)
        # Step 4. How it is known that the key is in a TPM.
        origin = self._origin(key, raw.endorsements, at)
        # Step 5. The log, if there is one, explains the registers.
        events: Json = None
        if EVENT_LOG in raw.endorsements:
            log = parse_event_log(raw.endorsements[EVENT_LOG])
            events = match_log(log, evidence.pcrs, attest.bank)
        return _claims(attest, key, evidence.pcrs, origin, events, at)

    def _origin(self, key: Public, given: Mapping[str, bytes], at: datetime) -> _Origin:
        if AK_CERTIFICATE in given or AK_CHAIN in given:
            return self._certified(key, given, at)
        record = self._activated.get(key.name.hex())
        if record is None:
            return _Origin(UNPROVEN, "", None, None)
        certified = verify_endorsement_key(
            _needed(given, EK_CERTIFICATE), _needed(given, EK_CHAIN), roots=self._roots, at=at
        )
        if certified.name != record.endorsement_key:
            raise EvidenceError("the attestation key was activated in another TPM than this one")
        return _Origin(ACTIVATED, _platform("ek", certified.spki), certified, record)

    def _certified(self, key: Public, given: Mapping[str, bytes], at: datetime) -> _Origin:
        certified = verify_attestation_key(
            _needed(given, AK_CERTIFICATE), _needed(given, AK_CHAIN), roots=self._roots, at=at
        )
        if certified.spki != key.spki:
            raise EvidenceError("the certificate is for another key than the one that signed")
        return _Origin(CERTIFIED, _platform("ak", certified.spki), certified, None)


def _claims(
    attest: Attest,
    key: Public,
    pcrs: Mapping[int, bytes],
    origin: _Origin,
    events: Json,
    at: datetime,
) -> VerifiedClaims:
    # Step 6. What all this says, without an opinion.
    record = origin.activated
    details: dict[str, Json] = {
        **boot_claims(attest),
        "ak_name": key.name.hex(),
        "origin": origin.how,
        "root": origin.certified.root if origin.certified else None,
        "hierarchy": hierarchy_of(attest, key),
        "resets_since_activation": attest.reset_count - record.reset_count if record else None,
        "events": events,
        "verified_at": to_time(at),
    }
    return VerifiedClaims(
        kind=KIND,
        tier=Tier.MEASURED_BOOT,
        measurements={f"PCR{number}": value.hex() for number, value in pcrs.items()},
        report_data=attest.extra_data,
        debug=False,
        platform_id=origin.platform,
        evidence_digest=digest(attest.raw),
        valid_until=origin.certified.ends if origin.certified else None,
        details=details,
    )


def boot_claims(attest: Attest) -> dict[str, Json]:
    """What a quote says of its TPM and boot. Numbers of 64 bits are text."""
    return {
        "bank": attest.bank,
        "clock": str(attest.clock),
        "reset_count": attest.reset_count,
        "restart_count": attest.restart_count,
        "safe": attest.safe,
        "firmware": f"{attest.firmware_version:016x}",
    }


def _needed(given: Mapping[str, bytes], name: str) -> bytes:
    if name not in given:
        raise EvidenceError(
            f"the TPM's evidence comes without {name}",
            hint="certificates come with their whole chain, up to the root",
        )
    return given[name]


def _platform(what: str, spki: bytes) -> str:
    return f"{what}:{digest(spki).removeprefix('sha256:')}"
