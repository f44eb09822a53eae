"""Verifies TPM quotes: what was measured, by which TPM (docs/spec/evidence-tpm.md §4).

A quote says which software started. It does not say that the host cannot look into its memory:
the tier is measured-boot, whatever else the policy demands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mc2.attestation.claims import ClaimsToActivate, RawEvidence, Tier, VerifiedClaims
from mc2.attestation.roots import PinnedRoot
from mc2.attestation.tpm import KIND
from mc2.attestation.tpm.code_log import CODE_REGISTER, CodeLog
from mc2.attestation.tpm.credential import make_credential
from mc2.attestation.tpm.endorsement import (
    CertifiedKey,
    verify_attestation_key,
    verify_endorsement_key,
)
from mc2.attestation.tpm.eventlog import parse_event_log
from mc2.attestation.tpm.evidence import (
    AK_CERTIFICATE,
    AK_CHAIN,
    CODE_LOG,
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
from mc2.attestation.x509 import parse_certificate
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
class TpmKey:
    """An attestation key by its name, and the endorsement key of the TPM that it says it is in."""

    endorsement_spki: bytes
    ak_name: bytes

    def credential(self, secret: bytes, seed: bytes) -> tuple[bytes, bytes]:
        """What TPM2_ActivateCredential opens, there and with that key alone: blob and seed."""
        made = make_credential(self.endorsement_spki, self.ak_name, secret, seed)
        return made.blob, made.encrypted_seed


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a key comes from, as far as it is known."""

    how: str
    platform: str
    certified: CertifiedKey | None


class TpmVerifier:
    """Verifies quotes of TPMs. Never fetches anything and never reads the clock.

    `roots` are the TPM makers' and providers' that count here. A key that a provider certified is
    proven by that; one that comes with its TPM's endorsement certificate is not, until a grant
    activates it; one that comes with nothing never is.
    """

    kind = KIND
    tier = Tier.MEASURED_BOOT

    def __init__(self, roots: Iterable[PinnedRoot]) -> None:
        self._roots = tuple(roots)

    def verify(self, raw: RawEvidence, *, at: datetime) -> VerifiedClaims | ClaimsToActivate:
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
        # Step 5. The logs, if there are any, explain the registers.
        logs = _match_logs(raw.endorsements, evidence.pcrs, attest.bank)
        claims = _claims(attest, key, evidence.pcrs, origin, logs, at)
        if origin.how != ACTIVATED or origin.certified is None:
            return claims
        # Step 6. Nothing shows yet that this key is in that TPM.
        return ClaimsToActivate(claims, TpmKey(origin.certified.spki, key.name))

    def _origin(self, key: Public, given: Mapping[str, bytes], at: datetime) -> _Origin:
        if AK_CERTIFICATE in given or AK_CHAIN in given:
            certified = verify_attestation_key(
                _needed(given, AK_CERTIFICATE), _needed(given, AK_CHAIN), roots=self._roots, at=at
            )
            if certified.spki != key.spki:
                raise EvidenceError("the certificate is for another key than the one that signed")
            return _Origin(CERTIFIED, platform_id("ak", certified.spki), certified)
        if EK_CERTIFICATE not in given and EK_CHAIN not in given:
            return _Origin(UNPROVEN, "", None)
        endorsed = verify_endorsement_key(
            _needed(given, EK_CERTIFICATE), _needed(given, EK_CHAIN), roots=self._roots, at=at
        )
        return _Origin(ACTIVATED, platform_id("ek", endorsed.spki), endorsed)


def own_key(raw: RawEvidence) -> TpmKey:
    """The keys that evidence names, unverified: for the enclave that has just made it.

    Raises: EvidenceError.
    """
    certificate = parse_certificate(_needed(raw.endorsements, EK_CERTIFICATE), "the TPM's own")
    key = parse_public(TpmEvidence.parse(raw.evidence).ak_public)
    return TpmKey(certificate.spki, key.name)


def _match_logs(given: Mapping[str, bytes], pcrs: Mapping[int, bytes], bank: str) -> _Logs:
    starts: list[Json] | None = None
    if CODE_LOG in given:
        log = CodeLog.parse(given[CODE_LOG])
        log.match(pcrs, bank)
        starts = [
            {"digest": event.digest.hex(), "parts": dict(event.parts)} for event in log.events
        ]
        # The firmware's log knows nothing of what was measured after the boot.
        pcrs = {number: value for number, value in pcrs.items() if number != CODE_REGISTER}
    events: Json = None
    if EVENT_LOG in given:
        events = match_log(parse_event_log(given[EVENT_LOG]), pcrs, bank)
    return _Logs(events, starts)


@dataclass(frozen=True, slots=True)
class _Logs:
    """What logs say; None where there is no such log."""

    events: Json
    starts: Json


def _claims(
    attest: Attest,
    key: Public,
    pcrs: Mapping[int, bytes],
    origin: _Origin,
    logs: _Logs,
    at: datetime,
) -> VerifiedClaims:
    # What all this says, without an opinion.
    details: dict[str, Json] = {
        **boot_claims(attest),
        "ak_name": key.name.hex(),
        "origin": origin.how,
        "root": origin.certified.root if origin.certified else None,
        "hierarchy": hierarchy_of(attest, key),
        "events": logs.events,
        "code": logs.starts,
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


def platform_id(what: str, spki: bytes) -> str:
    """A machine's name: `ek:` or `ak:`, and the SHA-256 of that key."""
    return f"{what}:{digest(spki).removeprefix('sha256:')}"
