"""What members accept of SEV-SNP guests. Spec: docs/spec/evidence-sev-snp.md.

It looks at claims and does no cryptography. Debug is refused by `mc2.attestation.appraisal` for
every kind, and no section can allow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mc2.attestation.allowed import Allowed, check_platform, one_of, read_names
from mc2.attestation.claims import VerifiedClaims
from mc2.attestation.section import PolicySection, check_measurement, read_hex_set
from mc2.attestation.snp import KIND
from mc2.attestation.snp.advisories import ADVISORIES
from mc2.attestation.snp.tcb import PRODUCT_LINES
from mc2.crypto.digest import parse_digest
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields

SIGNING_KEYS: Final = frozenset({"VCEK", "VLEK"})
_MAX_VMPL: Final = 3
_MAX_SVN: Final = 2**32 - 1
_CLAIMS: Final = "the claims of an SNP report"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpSection(PolicySection):
    """Which guests the members accept, on which machines and firmware.

    `min_tcb` has the least version of each firmware for each accepted product line; committed and
    launch TCB must reach it (the current one may be newer than what the guest was launched with,
    and be rolled back later). `waived` names advisories that the members know of and accept.
    """

    KIND: ClassVar[str] = KIND

    measurements: tuple[str, ...]
    host_data: Allowed
    id_key_digests: Allowed
    author_key_digests: Allowed
    min_guest_svn: int
    max_vmpl: int
    allow_smt: bool
    allow_migration: bool
    allow_masked_chip: bool
    require_alias_check: bool
    require_crl: bool
    signing_keys: tuple[str, ...]
    product_lines: tuple[str, ...]
    min_tcb: Mapping[str, Mapping[str, int]]
    waived: tuple[str, ...]
    platforms: Allowed
    denied_platforms: tuple[str, ...]
    denied_keys: tuple[str, ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the section's fields. Raises: FormatError."""
        lines = read_names(fields, "product_lines", one_of(frozenset(PRODUCT_LINES)))
        return cls(
            measurements=read_hex_set(fields, "measurements", 48),
            host_data=Allowed.read_hex(fields, "host_data", 32),
            id_key_digests=Allowed.read_hex(fields, "id_key_digests", 48),
            author_key_digests=Allowed.read_hex(fields, "author_key_digests", 48),
            min_guest_svn=fields.integer("min_guest_svn", 0, _MAX_SVN),
            max_vmpl=fields.integer("max_vmpl", 0, _MAX_VMPL),
            allow_smt=fields.boolean("allow_smt"),
            allow_migration=fields.boolean("allow_migration"),
            allow_masked_chip=fields.boolean("allow_masked_chip"),
            require_alias_check=fields.boolean("require_alias_check"),
            require_crl=fields.boolean("require_crl"),
            signing_keys=read_names(fields, "signing_keys", one_of(SIGNING_KEYS)),
            product_lines=lines,
            min_tcb=_read_min_tcb(fields.fields("min_tcb"), lines),
            waived=read_names(fields, "waived", one_of(frozenset(ADVISORIES)), empty=True),
            platforms=Allowed.read_platforms(fields, "platforms"),
            denied_platforms=read_names(fields, "denied_platforms", check_platform, empty=True),
            denied_keys=read_names(fields, "denied_keys", parse_digest, empty=True),
        )

    def json(self) -> Json:
        """The section as canonical JSON has it."""
        return {
            "measurements": list(self.measurements),
            "host_data": self.host_data.json(),
            "id_key_digests": self.id_key_digests.json(),
            "author_key_digests": self.author_key_digests.json(),
            "min_guest_svn": self.min_guest_svn,
            "max_vmpl": self.max_vmpl,
            "allow_smt": self.allow_smt,
            "allow_migration": self.allow_migration,
            "allow_masked_chip": self.allow_masked_chip,
            "require_alias_check": self.require_alias_check,
            "require_crl": self.require_crl,
            "signing_keys": list(self.signing_keys),
            "product_lines": list(self.product_lines),
            "min_tcb": {line: dict(least) for line, least in self.min_tcb.items()},
            "waived": list(self.waived),
            "platforms": self.platforms.json(),
            "denied_platforms": list(self.denied_platforms),
            "denied_keys": list(self.denied_keys),
        }

    def check(self, claims: VerifiedClaims) -> list[str]:
        """Every rule that the guest, its machine or its firmware breaks."""
        return [
            *check_measurement(claims, "MEASUREMENT", self.measurements),
            *self._check_guest(Fields(claims.details, _CLAIMS)),
            *self._check_guest_policy(Fields(claims.details, _CLAIMS).fields("policy")),
            *self._check_machine(claims, Fields(claims.details, _CLAIMS)),
            *self._check_line(Fields(claims.details, _CLAIMS)),
        ]

    def _check_guest(self, found: Fields) -> list[str]:
        failed = self.host_data.check("host_data", found.text("host_data"))
        failed += self.id_key_digests.check("id_key_digest", found.text("id_key_digest"))
        failed += self.author_key_digests.check(
            "author_key_digest", found.text("author_key_digest")
        )
        svn, vmpl = found.integer("guest_svn", 0, _MAX_SVN), found.integer("vmpl", 0, _MAX_VMPL)
        if svn < self.min_guest_svn:
            failed.append(f"guest_svn: {svn} is less than {self.min_guest_svn}")
        if vmpl > self.max_vmpl:
            failed.append(f"vmpl: the report is from privilege level {vmpl}, not {self.max_vmpl}")
        return failed

    def _check_guest_policy(self, found: Fields) -> list[str]:
        failed = []
        if found.boolean("migrate_ma") and not self.allow_migration:
            failed.append("migration: a migration agent may copy the guest elsewhere")
        if found.boolean("smt") and not self.allow_smt:
            failed.append("smt: the guest may share a core with another")
        # What a bit allows the host that has no name here, nobody can have agreed to.
        if found.boolean("unknown"):
            failed.append("policy: the guest policy sets bits that have no name here")
        return failed

    def _check_machine(self, claims: VerifiedClaims, found: Fields) -> list[str]:
        failed = self.platforms.check("platform", claims.platform_id or None)
        if claims.platform_id in self.denied_platforms:
            failed.append("platform: the policy denies this machine")
        if found.text("endorsement_key") in self.denied_keys:
            failed.append("endorsement_key: the policy denies this key")
        key = found.text("signing_key")
        if key not in self.signing_keys:
            failed.append(f"signing_key: {key} is not among {', '.join(self.signing_keys)}")
        if found.boolean("mask_chip_key") and not self.allow_masked_chip:
            failed.append("mask_chip_key: the machine hides which chip it is")
        if self.require_alias_check and not found.fields("platform_info").boolean("alias_check"):
            failed.append("alias_check: the firmware did not check memory for aliases (BadRAM)")
        if self.require_crl and found.value("crl") is None:
            failed.append("crl: there is no revocation list with the evidence")
        return failed

    def _check_line(self, found: Fields) -> list[str]:
        line = found.text("product_line")
        failed = [
            f"product_line: {line} is denied by the advisory {advisory.name} ({advisory.dated})"
            for advisory in ADVISORIES.values()
            if advisory.product_line == line and advisory.name not in self.waived
        ]
        if line not in self.product_lines:
            failed.append(f"product_line: {line} is not among {', '.join(self.product_lines)}")
        tcb = found.fields("tcb")
        versions = {
            state: _versions(tcb.fields(state), line)
            for state in ("reported", "committed", "launch")
        }
        for state in ("committed", "launch"):
            failed += _below(f"{state}_tcb", versions[state], self.min_tcb.get(line, {}))
        # The host chooses what is reported, up to what it committed to; more is impossible.
        failed += _below("committed_tcb", versions["committed"], versions["reported"])
        return failed

    def describe(self) -> tuple[str, ...]:
        """The rules in plain words."""
        minimums = (
            f"Least firmware on {line}: "
            + ", ".join(f"{name} {version}" for name, version in least.items())
            + "."
            for line, least in self.min_tcb.items()
        )
        return (
            *(f"Accepted guest (MEASUREMENT): {m}" for m in self.measurements),
            *self.host_data.describe("HOST_DATA"),
            *self.id_key_digests.describe("ID key"),
            *self.author_key_digests.describe("author key"),
            f"Its security version is {self.min_guest_svn} or later.",
            f"Reports come from privilege level (VMPL) {self.max_vmpl} or stronger.",
            f"Accepted processors: {', '.join(self.product_lines)}.",
            *minimums,
            *(f"WAIVED: {name}. {ADVISORIES[name].text}" for name in self.waived),
            f"Accepted signing keys: {', '.join(self.signing_keys)}.",
            *self._describe_switches(),
            *self.platforms.describe("machine"),
            *(f"Denied machine: {platform}" for platform in self.denied_platforms),
            *(f"Denied endorsement key: {key}" for key in self.denied_keys),
        )

    def _describe_switches(self) -> tuple[str, ...]:
        return (
            f"Simultaneous multithreading {_may(allowed=self.allow_smt)} be on.",
            f"A migration agent {_may(allowed=self.allow_migration)} be bound to the guest.",
            f"The machine {_may(allowed=self.allow_masked_chip)} hide which chip it is.",
            f"A check of memory for aliases is {_needed(required=self.require_alias_check)}.",
            f"A current revocation list of AMD is {_needed(required=self.require_crl)}.",
        )


def _read_min_tcb(fields: Fields, lines: tuple[str, ...]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for line in lines:
        versions = fields.fields(line)
        found[line] = _versions(versions, line)
        versions.done()
    fields.done()
    return found


def _versions(fields: Fields, line: str) -> dict[str, int]:
    return {name: fields.integer(name, 0, 0xFF) for name, _ in PRODUCT_LINES[line].tcb.names}


def _below(what: str, found: Mapping[str, int], least: Mapping[str, int]) -> list[str]:
    return [
        f"{what}: {name} {found[name]} is less than {version}"
        for name, version in least.items()
        if found[name] < version
    ]


def _may(*, allowed: bool) -> str:
    return "may" if allowed else "may not"


def _needed(*, required: bool) -> str:
    return "needed" if required else "NOT needed"
