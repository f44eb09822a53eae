"""What members accept of Nitro enclaves. Spec: docs/spec/evidence-nitro.md.

Debug is refused by `mc2.attestation.appraisal` for every kind, and no section can allow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mc2.attestation.allowed import Allowed
from mc2.attestation.claims import VerifiedClaims
from mc2.attestation.nitro import KIND
from mc2.attestation.nitro.document import PCR_BYTES
from mc2.attestation.section import PolicySection, check_measurement, read_hex_set
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields

_DAY: Final = 24 * 60 * 60
_MEANINGS: Final = {
    "pcr1": "kernel and boot ramdisk (PCR1)",
    "pcr2": "application (PCR2)",
    "pcr3": "role of the parent instance (PCR3)",
    "pcr4": "id of the parent instance (PCR4)",
    "pcr8": "signer of the image (PCR8)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NitroSection(PolicySection):
    """Which enclaves the members accept, on which instances.

    `pcr0` measures the whole image. A document may be `max_age_seconds` old and, because clocks
    differ, `max_ahead_seconds` from the future.
    """

    KIND: ClassVar[str] = KIND

    pcr0: tuple[str, ...]
    pcr1: Allowed
    pcr2: Allowed
    pcr3: Allowed
    pcr4: Allowed
    pcr8: Allowed
    max_age_seconds: int
    max_ahead_seconds: int
    platforms: Allowed

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the section's fields. Raises: FormatError."""
        return cls(
            pcr0=read_hex_set(fields, "pcr0", PCR_BYTES),
            pcr1=Allowed.read_hex(fields, "pcr1", PCR_BYTES),
            pcr2=Allowed.read_hex(fields, "pcr2", PCR_BYTES),
            pcr3=Allowed.read_hex(fields, "pcr3", PCR_BYTES),
            pcr4=Allowed.read_hex(fields, "pcr4", PCR_BYTES),
            pcr8=Allowed.read_hex(fields, "pcr8", PCR_BYTES),
            max_age_seconds=fields.integer("max_age_seconds", 1, _DAY),
            max_ahead_seconds=fields.integer("max_ahead_seconds", 0, _DAY),
            platforms=Allowed.read_platforms(fields, "platforms"),
        )

    def json(self) -> Json:
        """The section as canonical JSON has it."""
        return {
            "pcr0": list(self.pcr0),
            **{name: rule.json() for name, rule in self._registers().items()},
            "max_age_seconds": self.max_age_seconds,
            "max_ahead_seconds": self.max_ahead_seconds,
            "platforms": self.platforms.json(),
        }

    def check(self, claims: VerifiedClaims) -> list[str]:
        """Every rule that the enclave or its document breaks."""
        failed = check_measurement(claims, "PCR0", self.pcr0)
        for name, rule in self._registers().items():
            failed += rule.check(name, claims.measurements.get(name.upper()))
        found = Fields(claims.details, "the claims of a Nitro document")
        age = found.integer("age_seconds", -(2**53), 2**53)
        if age > self.max_age_seconds:
            failed.append(f"age: {age} s are more than {self.max_age_seconds} s")
        if -age > self.max_ahead_seconds:
            failed.append(f"age: the document is dated {-age} s from now")
        return failed + self.platforms.check("platform", claims.platform_id or None)

    def describe(self) -> tuple[str, ...]:
        """The rules in plain words."""
        return (
            "The word of AWS is accepted for what its hypervisor runs.",
            *(f"Accepted image (PCR0): {pcr}" for pcr in self.pcr0),
            *(
                line
                for name, rule in self._registers().items()
                for line in rule.describe(_MEANINGS[name])
            ),
            f"A document is at most {self.max_age_seconds} s old.",
            f"It is at most {self.max_ahead_seconds} s ahead of the owner's clock.",
            *self.platforms.describe("parent instance"),
        )

    def _registers(self) -> dict[str, Allowed]:
        return {
            "pcr1": self.pcr1,
            "pcr2": self.pcr2,
            "pcr3": self.pcr3,
            "pcr4": self.pcr4,
            "pcr8": self.pcr8,
        }
