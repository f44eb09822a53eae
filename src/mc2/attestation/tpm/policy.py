"""What members accept of machines with a TPM. Spec: docs/spec/evidence-tpm.md §6."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mc2.attestation.allowed import ANY, Allowed, check_platform, one_of, read_names
from mc2.attestation.claims import VerifiedClaims
from mc2.attestation.roots import contract_root
from mc2.attestation.section import MEASUREMENTS, PolicySection
from mc2.attestation.tpm import KIND
from mc2.attestation.tpm.code_log import CODE_REGISTER
from mc2.attestation.tpm.pcr_rules import PcrRules
from mc2.attestation.tpm.verify import ACTIVATED, CERTIFIED, TpmVerifier
from mc2.crypto.digest import parse_digest
from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields

ORIGINS: Final = frozenset({ACTIVATED, CERTIFIED})
"""A key of unproven origin is never acceptable: anybody can make one in software."""

_COUNTER: Final = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmSection(PolicySection):
    """Which TPMs the members accept, and which software on their machines.

    `roots` are digests of root certificates of TPM makers and providers. `code` are the digests
    that workers may have measured into their register, one for each environment; `any` leaves the
    code to the registers of the boot. `resets` maps machines to the lowest and the highest reset
    count that the members accept of them, so that nothing was booted since they looked.
    """

    KIND: ClassVar[str] = KIND

    roots: tuple[str, ...]
    origins: tuple[str, ...]
    code: Allowed
    resets: Mapping[str, tuple[int, int]] | None
    registers: PcrRules
    platforms: Allowed
    denied_platforms: tuple[str, ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the section's fields. Raises: FormatError."""
        return cls(
            roots=read_names(fields, "roots", parse_digest),
            origins=read_names(fields, "origins", one_of(ORIGINS)),
            code=Allowed.read_hex(fields, "code", 32),
            resets=_read_resets(fields),
            registers=PcrRules.read(fields),
            platforms=Allowed.read_platforms(fields, "platforms"),
            denied_platforms=read_names(fields, "denied_platforms", check_platform, empty=True),
        )

    def json(self) -> Json:
        """The section as canonical JSON has it."""
        return {
            "roots": list(self.roots),
            "origins": list(self.origins),
            "code": self.code.json(),
            "resets": _write_resets(self.resets),
            **self.registers.json(),
            "platforms": self.platforms.json(),
            "denied_platforms": list(self.denied_platforms),
        }

    def check(self, claims: VerifiedClaims) -> list[str]:
        """Every rule that the TPM or the boot breaks."""
        failed = self._check_key(claims) + self._check_code(claims.details["code"])
        if self.resets is not None:
            lowest, highest = self.resets.get(claims.platform_id, (1, 0))
            count = claims.details["reset_count"]
            if not isinstance(count, int) or not lowest <= count <= highest:
                failed.append(f"resets: this machine's reset count {count} is not accepted")
        return failed + self.registers.check(claims)

    def _check_code(self, starts: Json) -> list[str]:
        """Every worker that was started since the reset was one of those accepted."""
        if self.code.values is None:
            return []
        if not isinstance(starts, list) or not starts:
            return [f"code: nothing says what was measured into register {CODE_REGISTER}"]
        found = [str(start["digest"]) for start in starts if isinstance(start, Mapping)]
        return [
            f"code: {value} was started on this machine, and is not known"
            for value in dict.fromkeys(found)
            if value not in self.code.values
        ]

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
            *self.code.describe(f"code of a worker (register {CODE_REGISTER})"),
            *_describe_resets(self.resets),
            *self.registers.describe(),
            *self.platforms.describe("machine"),
            *(f"Denied machine: {platform}" for platform in self.denied_platforms),
        )

    @classmethod
    def binding(cls, report_data: bytes) -> bytes:
        """TPMs have room for a hash: SHA-256 of the 64 bytes."""
        return hashlib.sha256(report_data).digest()


def _read_resets(fields: Fields) -> dict[str, tuple[int, int]] | None:
    value = fields.value("resets")
    if value == ANY:
        return None
    if not isinstance(value, Mapping) or not 0 < len(value) <= MEASUREMENTS:
        raise FormatError(f"resets of {fields.what} is not `any`, nor an object of machines")
    return {check_platform(name, "a machine"): _read_range(found) for name, found in value.items()}


def _read_range(value: Json) -> tuple[int, int]:
    match value:
        case [int(low), int(high)] if 0 <= low <= high <= _COUNTER:
            if not isinstance(low, bool) and not isinstance(high, bool):
                return low, high
    raise FormatError("accepted reset counts are a pair: the lowest, the highest")


def _write_resets(resets: Mapping[str, tuple[int, int]] | None) -> Json:
    return ANY if resets is None else {name: list(pair) for name, pair in resets.items()}


def _describe_resets(resets: Mapping[str, tuple[int, int]] | None) -> tuple[str, ...]:
    if resets is None:
        return ("A machine may have been reset any number of times.",)
    return tuple(
        f"Accepted reset count of {name}: {low}" + ("" if low == high else f" to {high}")
        for name, (low, high) in resets.items()
    )


def section_verifier(section: TpmSection) -> TpmVerifier:
    """The verifier for a policy: TPM makers are many, and whose count is for the members to say."""
    return TpmVerifier(map(contract_root, section.roots))
