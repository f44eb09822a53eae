"""What members accept of SGX enclaves and of TDX trust domains.

Spec: docs/spec/evidence-dcap.md §8. Debug is refused by `mc2.attestation.appraisal` for every
kind, and no section can allow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mc2.attestation.allowed import Allowed, one_of, read_names
from mc2.attestation.claims import VerifiedClaims
from mc2.attestation.dcap.claims import SGX_KIND, TDX_KIND
from mc2.attestation.dcap.platform_rules import PlatformRules
from mc2.attestation.section import PolicySection, check_measurement, read_hex_set
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields

_NO_SERVICE_TD: Final = "00" * 48
_SEPT_VE_DISABLE: Final = "SEPT_VE_DISABLE"
TD_ATTRIBUTES: Final = {
    27: "LASS",
    28: _SEPT_VE_DISABLE,
    29: "MIGRATABLE",
    30: "PKS",
    31: "KL",
    62: "TPA",
    63: "PERFMON",
}
"""The attributes of a TD that have a name here, by bit. Bits 0 to 7 are debug; the rest must be
zero whatever the policy says, because nobody here knows what they would allow the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxSection(PolicySection):
    """Which SGX enclaves the members accept, on which platforms."""

    KIND: ClassVar[str] = SGX_KIND

    mrenclave: tuple[str, ...]
    mrsigner: Allowed
    isvprodid: int
    min_isvsvn: int
    configid: Allowed
    platform: PlatformRules

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the section's fields. Raises: FormatError."""
        return cls(
            mrenclave=read_hex_set(fields, "mrenclave", 32),
            mrsigner=Allowed.read_hex(fields, "mrsigner", 32),
            isvprodid=fields.integer("isvprodid", 0, 0xFFFF),
            min_isvsvn=fields.integer("min_isvsvn", 0, 0xFFFF),
            configid=Allowed.read_hex(fields, "configid", 64),
            platform=PlatformRules.read(fields),
        )

    def json(self) -> Json:
        """The section as canonical JSON has it."""
        return {
            "mrenclave": list(self.mrenclave),
            "mrsigner": self.mrsigner.json(),
            "isvprodid": self.isvprodid,
            "min_isvsvn": self.min_isvsvn,
            "configid": self.configid.json(),
            **self.platform.json(),
        }

    def check(self, claims: VerifiedClaims) -> list[str]:
        """Every rule that the enclave or its platform breaks."""
        found = claims.details
        failed = check_measurement(claims, "MRENCLAVE", self.mrenclave)
        failed += self.mrsigner.check("mrsigner", _text(found["mrsigner"]))
        if found["isvprodid"] != self.isvprodid:
            failed.append(f"isvprodid: {found['isvprodid']} is not {self.isvprodid}")
        svn = found["isvsvn"]
        if not isinstance(svn, int) or svn < self.min_isvsvn:
            failed.append(f"isvsvn: {svn} is less than {self.min_isvsvn}")
        failed += self.configid.check("configid", _text(found["configid"]))
        return failed + self.platform.check(claims)

    def describe(self) -> tuple[str, ...]:
        """The rules in plain words."""
        return (
            *(f"Accepted enclave (MRENCLAVE): {m}" for m in self.mrenclave),
            *self.mrsigner.describe("signer (MRSIGNER)"),
            f"Its product is {self.isvprodid}, its security version {self.min_isvsvn} or later.",
            *self.configid.describe("CONFIGID"),
            *self.platform.describe(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxSection(PolicySection):
    """Which trust domains the members accept, on which platforms.

    `mrseam` as `any` means: any TDX module that Intel's signed TCB info knows, which
    verification has checked in any case. SEPT_VE_DISABLE is always demanded: without it the
    host can unmap a page under running code unnoticed.
    """

    KIND: ClassVar[str] = TDX_KIND

    mrtd: tuple[str, ...]
    rtmr0: Allowed
    rtmr1: Allowed
    rtmr2: Allowed
    rtmr3: Allowed
    mrseam: Allowed
    mrconfigid: Allowed
    mrowner: Allowed
    mrownerconfig: Allowed
    mrservicetd: tuple[str, ...]
    allowed_attributes: tuple[str, ...]
    platform: PlatformRules

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the section's fields. Raises: FormatError."""
        return cls(
            mrtd=read_hex_set(fields, "mrtd", 48),
            rtmr0=Allowed.read_hex(fields, "rtmr0", 48),
            rtmr1=Allowed.read_hex(fields, "rtmr1", 48),
            rtmr2=Allowed.read_hex(fields, "rtmr2", 48),
            rtmr3=Allowed.read_hex(fields, "rtmr3", 48),
            mrseam=Allowed.read_hex(fields, "mrseam", 48),
            mrconfigid=Allowed.read_hex(fields, "mrconfigid", 48),
            mrowner=Allowed.read_hex(fields, "mrowner", 48),
            mrownerconfig=Allowed.read_hex(fields, "mrownerconfig", 48),
            mrservicetd=read_hex_set(fields, "mrservicetd", 48),
            allowed_attributes=read_names(
                fields, "allowed_attributes", one_of(frozenset(TD_ATTRIBUTES.values()))
            ),
            platform=PlatformRules.read(fields),
        )

    def json(self) -> Json:
        """The section as canonical JSON has it."""
        return {
            "mrtd": list(self.mrtd),
            **{name: rule.json() for name, rule in self._registers().items()},
            "mrservicetd": list(self.mrservicetd),
            "allowed_attributes": list(self.allowed_attributes),
            **self.platform.json(),
        }

    def check(self, claims: VerifiedClaims) -> list[str]:
        """Every rule that the trust domain or its platform breaks."""
        return self.check_domain(claims, require_sept_ve_disable=True)

    def check_domain(self, claims: VerifiedClaims, *, require_sept_ve_disable: bool) -> list[str]:
        """The rules, also for a paravisor's TD that works without SEPT_VE_DISABLE."""
        failed = check_measurement(claims, "MRTD", self.mrtd)
        for name, rule in self._registers().items():
            found = claims.measurements.get(name.upper(), _text(claims.details.get(name)))
            failed += rule.check(name, found)
        service = _text(claims.details["mrservicetd"]) or _NO_SERVICE_TD
        if service not in self.mrservicetd:
            failed.append("mrservicetd: a service TD that the policy does not name is bound")
        failed += check_td_attributes(
            _text(claims.details["td_attributes"]) or "",
            allowed=self.allowed_attributes,
            required=(_SEPT_VE_DISABLE,) if require_sept_ve_disable else (),
        )
        return failed + self.platform.check(claims)

    def describe(self) -> tuple[str, ...]:
        """The rules in plain words."""
        services = [service for service in self.mrservicetd if service != _NO_SERVICE_TD]
        return (
            *(f"Accepted initial image (MRTD): {m}" for m in self.mrtd),
            *(
                line
                for name, rule in self._registers().items()
                for line in rule.describe(name.upper())
            ),
            *(f"A TD bound to the service TD {service} is accepted." for service in services),
            f"Attributes that a TD may have: {', '.join(self.allowed_attributes)}.",
            *self.platform.describe(),
        )

    def _registers(self) -> dict[str, Allowed]:
        return {
            "rtmr0": self.rtmr0,
            "rtmr1": self.rtmr1,
            "rtmr2": self.rtmr2,
            "rtmr3": self.rtmr3,
            "mrseam": self.mrseam,
            "mrconfigid": self.mrconfigid,
            "mrowner": self.mrowner,
            "mrownerconfig": self.mrownerconfig,
        }


def check_td_attributes(
    attributes: str, *, allowed: tuple[str, ...], required: tuple[str, ...]
) -> list[str]:
    """The rules on TD attributes, 8 bytes in hex as reports have them (little-endian)."""
    bits = int.from_bytes(bytes.fromhex(attributes), "little")
    failed = []
    for bit in range(8, 64):
        name = TD_ATTRIBUTES.get(bit, f"bit {bit}")
        if bits >> bit & 1 and name not in allowed:
            failed.append(f"td_attributes: {name} is set")
    set_names = {name for bit, name in TD_ATTRIBUTES.items() if bits >> bit & 1}
    failed += [f"td_attributes: {name} is not set" for name in required if name not in set_names]
    return failed


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
