"""The rules that SGX and TDX policies share: how good Intel says the platform is.

They look at claims alone. All fields are required; docs/spec/evidence-dcap.md §8 explains each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from mc2.attestation.allowed import Allowed, check_platform, one_of, read_names
from mc2.attestation.claims import VerifiedClaims
from mc2.attestation.dcap.pck import SGX_TYPES
from mc2.attestation.dcap.status import TcbStatus
from mc2.crypto.digest import parse_digest
from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields, from_time, to_time

ACCEPTABLE_STATUSES: Final = frozenset(TcbStatus) - {TcbStatus.REVOKED}
"""What a policy may accept. Nobody can waive that Intel revoked a platform."""

_MOST_DAYS: Final = 366
_ADVISORY: Final = re.compile(r"INTEL-SA-[0-9]{5}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformRules:
    """What an Intel platform must be like.

    `max_collateral_days` bounds the age of the oldest of TCB info, QE identity and PCK
    revocation list, in days. `allow_smt` also covers platforms that do not say (processor CA).
    `denied_keys` are digests of keys of PCK certificates (DER SubjectPublicKeyInfo).
    """

    statuses: tuple[str, ...]
    denied_advisories: tuple[str, ...]
    min_tcb_evaluation_number: int
    min_tcb_date: datetime
    max_collateral_days: int
    sgx_types: tuple[str, ...]
    allow_smt: bool
    platforms: Allowed
    denied_platforms: tuple[str, ...]
    denied_keys: tuple[str, ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the rules' fields out of a section. Raises: FormatError."""
        return cls(
            statuses=read_names(fields, "statuses", one_of(frozenset(ACCEPTABLE_STATUSES))),
            denied_advisories=read_names(fields, "denied_advisories", _check_advisory, empty=True),
            min_tcb_evaluation_number=fields.integer("min_tcb_evaluation_number", 0, 2**31),
            min_tcb_date=fields.time("min_tcb_date"),
            max_collateral_days=fields.integer("max_collateral_days", 1, _MOST_DAYS),
            sgx_types=read_names(fields, "sgx_types", one_of(frozenset(SGX_TYPES))),
            allow_smt=fields.boolean("allow_smt"),
            platforms=Allowed.read_platforms(fields, "platforms"),
            denied_platforms=read_names(fields, "denied_platforms", check_platform, empty=True),
            denied_keys=read_names(fields, "denied_keys", parse_digest, empty=True),
        )

    def json(self) -> dict[str, Json]:
        """The rules' fields as canonical JSON has them."""
        return {
            "statuses": list(self.statuses),
            "denied_advisories": list(self.denied_advisories),
            "min_tcb_evaluation_number": self.min_tcb_evaluation_number,
            "min_tcb_date": to_time(self.min_tcb_date),
            "max_collateral_days": self.max_collateral_days,
            "sgx_types": list(self.sgx_types),
            "allow_smt": self.allow_smt,
            "platforms": self.platforms.json(),
            "denied_platforms": list(self.denied_platforms),
            "denied_keys": list(self.denied_keys),
        }

    def check(self, claims: VerifiedClaims) -> list[str]:
        """Every rule that the platform breaks, in words."""
        found = claims.details
        failed = [*self._check_rating(found), *self.platforms.check("platform", claims.platform_id)]
        if claims.platform_id in self.denied_platforms:
            failed.append("platform: the policy denies this machine")
        if found["pck_key"] in self.denied_keys:
            failed.append("pck_key: the policy denies this machine's key")
        if found["sgx_type"] not in self.sgx_types:
            failed.append(f"sgx_type: memory protection {found['sgx_type']} is not accepted")
        if not self.allow_smt and found["smt"] is not False:
            failed.append("smt: hyperthreading is on, or the platform does not say")
        age = _time(found, "verified_at") - _time(found, "collateral_issued")
        if age > timedelta(days=self.max_collateral_days):
            failed.append(
                f"collateral: the oldest is {age.days} days old, and the policy allows "
                f"{self.max_collateral_days}"
            )
        return failed

    def _check_rating(self, found: Mapping[str, Json]) -> list[str]:
        failed = []
        status, advisories = found["tcb_status"], _texts(found["advisories"])
        if status not in self.statuses:
            failed.append(f"tcb_status: {status} is not among {', '.join(self.statuses)}")
        failed += [
            f"advisory: {advisory} applies to the platform, and the policy denies it"
            for advisory in advisories
            if advisory in self.denied_advisories
        ]
        number = found["tcb_evaluation_number"]
        if not isinstance(number, int) or number < self.min_tcb_evaluation_number:
            failed.append(
                f"tcb_evaluation_number: the collateral is number {number}, and the policy "
                f"wants {self.min_tcb_evaluation_number}: this host shows old lists"
            )
        date = _time(found, "tcb_date")
        if date < self.min_tcb_date:
            failed.append(
                f"tcb_date: the firmware is of {to_time(date)}, and the policy wants "
                f"{to_time(self.min_tcb_date)}"
            )
        return failed

    def describe(self) -> tuple[str, ...]:
        """The rules in plain words."""
        scalable = "Scalable" in self.sgx_types
        return (
            f"Intel must rate the platform {' or '.join(self.statuses)}.",
            f"Its firmware must not be older than {to_time(self.min_tcb_date)}.",
            f"Intel's lists must have number {self.min_tcb_evaluation_number} or a later one.",
            f"The oldest of them may have {self.max_collateral_days} days.",
            *(f"A platform that {a} applies to is refused." for a in self.denied_advisories),
            f"Accepted memory protection: {', '.join(self.sgx_types)}.",
            *(
                ["Scalable means without integrity: who touches the memory bus can break it."]
                if scalable
                else []
            ),
            f"Hyperthreading is {'accepted' if self.allow_smt else 'refused'}.",
            *self.platforms.describe("platform"),
            *(f"Denied platform: {platform}" for platform in self.denied_platforms),
            *(f"Denied platform key: {key}" for key in self.denied_keys),
        )


def _check_advisory(text: str, what: str) -> str:
    if not _ADVISORY.match(text):
        raise FormatError(f"{what} is not an advisory such as INTEL-SA-00837")
    return text


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _time(found: Mapping[str, Json], name: str) -> datetime:
    return from_time(str(found[name]), f"the claim {name}")
