"""What verification extracts from evidence, and the two interfaces around it.

RFC 9334: a collector (in the enclave) produces evidence; a verifier checks who signed it and
extracts claims, without an opinion about them; `mc2.attestation.appraisal` holds the opinion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Protocol, runtime_checkable

from mc2.crypto.digest import Digest
from mc2.formats.canonical import Json


class Tier(IntEnum):
    """How much the evidence can mean at best. A larger number is a stronger claim."""

    SIMULATED = 0
    MEASURED_BOOT = 1
    PROVIDER_ATTESTED = 2
    HARDWARE_CVM = 3
    HARDWARE_ENCLAVE = 4

    @property
    def word(self) -> str:
        """The tier as contracts and receipts write it: `hardware-cvm`."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def of(cls, word: str) -> Tier:
        """The tier of a word that `mc2.formats.contract.TIERS` allows."""
        return cls[word.upper().replace("-", "_")]


@dataclass(frozen=True, slots=True)
class RawEvidence:
    """Evidence as a collector gives it: nothing checked.

    `endorsements` are certificates, lists and logs by name, as the host had them at hand.
    """

    kind: str
    evidence: bytes
    endorsements: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedClaims:
    """What genuine evidence says. Only a verifier makes one; it is not yet accepted by anybody.

    `kind` is the evidence kind, `tier` the most that this kind can mean. `measurements` maps the
    vendor's name of each code measurement (`MEASUREMENT`, `MRTD`, `RTMR0`, `MRENCLAVE`, `PCR4`)
    to lower-case hex. `report_data` is what the enclave committed to. `debug`: the host can look
    inside. `platform_id` names the machine. `evidence_digest` names the evidence by its signed
    part alone, so that an altered unsigned byte is not a new name. `details` holds everything
    else that a policy of this kind looks at, as canonical JSON values.
    """

    kind: str
    tier: Tier
    measurements: Mapping[str, str]
    report_data: bytes
    debug: bool
    platform_id: str
    evidence_digest: Digest
    valid_until: datetime | None
    details: Mapping[str, Json] = field(default_factory=dict)


class KeyToActivate(Protocol):
    """A key that signed evidence, and the machine in which it says it is."""

    def credential(self, secret: bytes, seed: bytes) -> tuple[bytes, bytes]:
        """Seal 32 bytes so that only that machine opens them, and only with that key in it.

        `seed` is 32 fresh random bytes. The blob and the encrypted seed.
        """
        ...


@dataclass(frozen=True, slots=True)
class ClaimsToActivate:
    """What evidence says *if* the key that signed it is where it says it is.

    Nobody can tell from the evidence: anybody can make such a key in software. So these are not
    claims yet, and their type is another. They come true when the machine opens what was sealed
    to `key`. Only a verifier makes one.
    """

    claims: VerifiedClaims
    key: KeyToActivate


class Collector(Protocol):
    """Produces evidence, inside the enclave."""

    kind: str
    tier: Tier

    def available(self) -> bool:
        """Whether this machine has what it takes."""
        ...

    def collect(self, report_data: bytes) -> RawEvidence:
        """Evidence over 64 bytes. Raises: AttestationError."""
        ...


@runtime_checkable
class ActivatingCollector(Collector, Protocol):
    """A collector whose evidence is not complete before it opens what owners sealed to it."""

    def activate(self, blob: bytes, encrypted_seed: bytes) -> bytes:
        """Open an owner's secret. Raises: AttestationError if it is not for this machine."""
        ...


class Verifier(Protocol):
    """Checks evidence of one kind. Never fetches anything and never reads the clock."""

    kind: str
    tier: Tier

    def verify(self, raw: RawEvidence, *, at: datetime) -> VerifiedClaims | ClaimsToActivate:
        """Check signatures and certificates as of `at`. Raises: EvidenceError."""
        ...
