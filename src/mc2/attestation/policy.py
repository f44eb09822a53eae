"""The attestation policy of a contract: for each evidence kind a section of rules.

Spec: docs/spec/attestation-policy.md. A kind without a section is not accepted; a section has
no optional field. `mc2.attestation.appraisal` applies it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mc2.attestation.azure.policy import AzureSnpSection, AzureTdxSection
from mc2.attestation.claims import VerifiedClaims
from mc2.attestation.dcap.policy import SgxSection, TdxSection
from mc2.attestation.nitro.policy import NitroSection
from mc2.attestation.section import PolicySection, check_measurement, read_hex_set
from mc2.attestation.snp.policy import SnpSection
from mc2.attestation.tokens.policy import ConfidentialSpaceSection
from mc2.attestation.tpm.policy import TpmSection
from mc2.crypto.digest import Digest, digest
from mc2.errors import FormatError
from mc2.formats.canonical import Json, encode
from mc2.formats.fields import Fields

MEASUREMENT_BYTES: Final = 48
"""SHA-384, as the hardware kinds have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedSection(PolicySection):
    """Which simulation the members accept: one test root, and these measurements.

    It stands here and not in `mc2.attestation.simulated`, because everybody must be able to
    read a contract that names a simulation, also those who could not verify one.
    """

    KIND: ClassVar[str] = "mc2-simulated/v1"

    root: Digest
    measurements: tuple[str, ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the section's fields. Raises: FormatError."""
        return cls(
            root=fields.digest("root"),
            measurements=read_hex_set(fields, "measurements", MEASUREMENT_BYTES),
        )

    def json(self) -> Json:
        """The section as canonical JSON has it."""
        return {"root": self.root, "measurements": list(self.measurements)}

    def check(self, claims: VerifiedClaims) -> list[str]:
        """The root is this deployment's, and the code is one that the members named."""
        failed = check_measurement(claims, "MEASUREMENT", self.measurements)
        if claims.details.get("root") != self.root:
            failed.append("root: the evidence is signed by another simulation's root")
        return failed

    def describe(self) -> tuple[str, ...]:
        """The rules in plain words."""
        return (
            "SIMULATED evidence is accepted: it proves nothing about the machine.",
            f"The simulation's root is {self.root}.",
            *(f"Accepted code: {m}" for m in self.measurements),
        )


SECTION_TYPES: Final[Mapping[str, type[PolicySection]]] = {
    section.KIND: section
    for section in (
        SgxSection,
        SnpSection,
        TdxSection,
        AzureSnpSection,
        AzureTdxSection,
        NitroSection,
        ConfidentialSpaceSection,
        TpmSection,
        SimulatedSection,
    )
}
"""All evidence kinds that a policy can speak of, the stronger tiers first."""


@dataclass(frozen=True, slots=True)
class AttestationPolicy:
    """What enclaves must prove, by evidence kind, as all members signed it."""

    sections: Mapping[str, PolicySection]

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read the policy of a contract. Raises: FormatError."""
        fields = Fields(value, "the attestation policy")
        if not isinstance(value, Mapping) or not value:
            raise FormatError(
                "the attestation policy is empty, so no enclave could ever run a job",
                hint=f"add a section for one of {', '.join(SECTION_TYPES)}",
            )
        sections = {kind: _read_section(kind, fields.fields(kind)) for kind in value}
        fields.done()
        return cls(sections)

    def json(self) -> Json:
        """The policy as canonical JSON has it."""
        return {kind: section.json() for kind, section in self.sections.items()}

    @property
    def digest(self) -> Digest:
        """The policy's name; equal to `Contract.policy_digest`."""
        return digest(encode(self.json()))

    def describe(self) -> tuple[str, ...]:
        """All rules in plain words."""
        return tuple(
            f"{kind}: {line}"
            for kind in sorted(self.sections)
            for line in self.sections[kind].describe()
        )


def _read_section(kind: str, fields: Fields) -> PolicySection:
    if kind not in SECTION_TYPES:
        raise FormatError(
            f"the attestation policy speaks of {kind!r}, a kind of evidence unknown here",
            hint=f"known are {', '.join(SECTION_TYPES)}; a newer mc2 may know more",
        )
    section = SECTION_TYPES[kind].read(fields)
    fields.done()
    return section
