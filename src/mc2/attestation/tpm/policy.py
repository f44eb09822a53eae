"""What members accept of machines with a TPM. Spec: docs/spec/evidence-tpm.md §6."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mc2.attestation.allowed import Allowed, check_platform, one_of, read_names
from mc2.attestation.claims import VerifiedClaims
from mc2.attestation.section import PolicySection
from mc2.attestation.tpm import KIND
from mc2.attestation.tpm.pcr_rules import PcrRules
from mc2.attestation.tpm.verify import ACTIVATED, CERTIFIED
from mc2.crypto.digest import parse_digest
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields

ORIGINS: Final = frozenset({ACTIVATED, CERTIFIED})
"""A key of unproven origin is never acceptable: anybody can make one in software."""

_COUNTER: Final = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmSection(PolicySection):
    """Which TPMs the members accept, and which software on their machines.

    `roots` are digests of root certificates of TPM makers and providers. `max_resets` counts
    resets of the machine since the key was activated; keys with a provider's certificate have
    no such beginning, so the rule is for activated keys only and says so in review.
    """

    KIND: ClassVar[str] = KIND

    roots: tuple[str, ...]
    origins: tuple[str, ...]
    max_resets: int
    registers: PcrRules
    platforms: Allowed
    denied_platforms: tuple[str, ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the section's fields. Raises: FormatError."""
        return cls(
            roots=read_names(fields, "roots", parse_digest),
            origins=read_names(fields, "origins", one_of(ORIGINS)),
            max_resets=fields.integer("max_resets", 0, _COUNTER),
            registers=PcrRules.read(fields),
            platforms=Allowed.read_platforms(fields, "platforms"),
            denied_platforms=read_names(fields, "denied_platforms", check_platform, empty=True),
        )

    def json(self) -> Json:
        """The section as canonical JSON has it."""
        return {
            "roots": list(self.roots),
            "origins": list(self.origins),
            "max_resets": self.max_resets,
            **self.registers.json(),
            "platforms": self.platforms.json(),
            "denied_platforms": list(self.denied_platforms),
        }

    def check(self, claims: VerifiedClaims) -> list[str]:
        """Every rule that the TPM or the boot breaks."""
        found = claims.details
        failed = self._check_key(claims)
        if found["origin"] == ACTIVATED:
            resets = found["resets_since_activation"]
            # Negative: the TPM was cleared, or this quote is older than the activation.
            if not isinstance(resets, int) or not 0 <= resets <= self.max_resets:
                failed.append(f"resets: {resets} since the key was activated")
        return failed + self.registers.check(claims)

    def _check_key(self, claims: VerifiedClaims) -> list[str]:
        found = claims.details
        failed = []
        if found["origin"] not in self.origins:
            failed.append(
                f"origin: the attestation key is {found['origin']}, and the policy wants "
                f"{' or '.join(self.origins)}"
            )
        if found["root"] not in self.roots:
            failed.append(f"root: {found['root']} is not a root that the policy names")
        if found["hierarchy"] != "endorsement":
            failed.append("hierarchy: outside of the endorsement hierarchy the counts are hidden")
        if claims.platform_id in self.denied_platforms:
            failed.append("platform: the policy denies this machine")
        return failed + self.platforms.check("platform", claims.platform_id or None)

    def describe(self) -> tuple[str, ...]:
        """The rules in plain words."""
        return (
            "Measured boot: says which software started, not that the host cannot read it.",
            *(f"Accepted root of TPMs: {root}" for root in self.roots),
            f"The attestation key must be {' or '.join(self.origins)}.",
            f"A machine may be reset {self.max_resets} times after its key was activated.",
            "Resets are not counted for keys that have a certificate instead.",
            *self.registers.describe(),
            *self.platforms.describe("machine"),
            *(f"Denied machine: {platform}" for platform in self.denied_platforms),
        )

    @classmethod
    def binding(cls, report_data: bytes) -> bytes:
        """TPMs have room for a hash: SHA-256 of the 64 bytes."""
        return hashlib.sha256(report_data).digest()
