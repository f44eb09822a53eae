"""What members accept of Azure's confidential VMs. Spec: docs/spec/evidence-azure-vtpm.md §4.

A section joins three things: the rules on the hardware, as its own kind has them; the rules on
the vTPM's registers; and the switches of the VM.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from mc2.attestation.azure import SNP_KIND, TDX_KIND
from mc2.attestation.claims import VerifiedClaims
from mc2.attestation.dcap.policy import TdxSection
from mc2.attestation.section import PolicySection
from mc2.attestation.snp.policy import SnpSection
from mc2.attestation.tpm.pcr_rules import PcrRules
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRules:
    """The registers and switches of a VM. A console is a way in for the host."""

    registers: PcrRules
    require_secure_boot: bool
    allow_console: bool

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the rules' fields out of a section. Raises: FormatError."""
        return cls(
            registers=PcrRules.read(fields),
            require_secure_boot=fields.boolean("require_secure_boot"),
            allow_console=fields.boolean("allow_console"),
        )

    def json(self) -> dict[str, Json]:
        """The rules' fields as canonical JSON has them."""
        return {
            **self.registers.json(),
            "require_secure_boot": self.require_secure_boot,
            "allow_console": self.allow_console,
        }

    def check(self, claims: VerifiedClaims) -> list[str]:
        """Every rule that the VM breaks."""
        failed = self.registers.check(claims)
        if self.require_secure_boot and claims.details["secure_boot"] is not True:
            failed.append("secure_boot: the VM's firmware starts whatever it is given")
        if not self.allow_console and claims.details["console"] is not False:
            failed.append("console: the host has a serial console into the VM")
        return failed

    def describe(self) -> tuple[str, ...]:
        """The rules in plain words."""
        secure = "needed" if self.require_secure_boot else "NOT needed"
        console = "may" if self.allow_console else "may not"
        return (
            *self.registers.describe(),
            f"Secure boot is {secure}.",
            f"The host {console} have a serial console into the VM.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureSnpSection(PolicySection):
    """Which Azure VMs on SEV-SNP the members accept.

    `hardware.measurements` name paravisors, which belong to the provider and not to the members.
    """

    KIND: ClassVar[str] = SNP_KIND

    hardware: SnpSection
    machine: MachineRules

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the section's fields. Raises: FormatError."""
        inner = fields.fields("hardware")
        hardware = SnpSection.read(inner)
        inner.done()
        return cls(hardware=hardware, machine=MachineRules.read(fields))

    def json(self) -> Json:
        """The section as canonical JSON has it."""
        return {"hardware": self.hardware.json(), **self.machine.json()}

    def check(self, claims: VerifiedClaims) -> list[str]:
        """Every rule that the hardware, the paravisor or the VM breaks."""
        return self.hardware.check(_hardware(claims)) + self.machine.check(claims)

    def describe(self) -> tuple[str, ...]:
        """The rules in plain words."""
        return (_PARAVISOR, *self.hardware.describe(), *self.machine.describe())

    @classmethod
    def binding(cls, report_data: bytes) -> bytes:
        """TPMs have room for a hash: SHA-256 of the 64 bytes."""
        return hashlib.sha256(report_data).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureTdxSection(PolicySection):
    """Which Azure VMs on TDX the members accept.

    Azure's paravisor runs without SEPT_VE_DISABLE and handles the exceptions itself; whether
    that is as good is a question of its code. So it is a waiver of its own, off by default.
    """

    KIND: ClassVar[str] = TDX_KIND

    hardware: TdxSection
    waive_sept_ve_disable: bool
    machine: MachineRules

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the section's fields. Raises: FormatError."""
        inner = fields.fields("hardware")
        hardware = TdxSection.read(inner)
        inner.done()
        return cls(
            hardware=hardware,
            waive_sept_ve_disable=fields.boolean("waive_sept_ve_disable"),
            machine=MachineRules.read(fields),
        )

    def json(self) -> Json:
        """The section as canonical JSON has it."""
        return {
            "hardware": self.hardware.json(),
            "waive_sept_ve_disable": self.waive_sept_ve_disable,
            **self.machine.json(),
        }

    def check(self, claims: VerifiedClaims) -> list[str]:
        """Every rule that the hardware, the paravisor or the VM breaks."""
        hardware = self.hardware.check_domain(
            _hardware(claims), require_sept_ve_disable=not self.waive_sept_ve_disable
        )
        return hardware + self.machine.check(claims)

    def describe(self) -> tuple[str, ...]:
        """The rules in plain words."""
        waived = (
            ("WAIVED: SEPT_VE_DISABLE. The paravisor must itself notice unmapped pages.",)
            if self.waive_sept_ve_disable
            else ()
        )
        return (_PARAVISOR, *waived, *self.hardware.describe(), *self.machine.describe())

    @classmethod
    def binding(cls, report_data: bytes) -> bytes:
        """TPMs have room for a hash: SHA-256 of the 64 bytes."""
        return hashlib.sha256(report_data).digest()


_PARAVISOR = "The provider's paravisor is trusted: it sees the VM's memory and is its TPM."


def _hardware(claims: VerifiedClaims) -> VerifiedClaims:
    """The claims of the hardware alone, as its own section looks at them."""
    details = claims.details["hardware"]
    if not isinstance(details, Mapping):
        raise TypeError("the claims of Azure evidence carry those of its hardware")
    return replace(claims, details=details)
