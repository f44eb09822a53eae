"""What members accept of Google's Confidential Space. Spec: docs/spec/evidence-tokens.md.

Debug images are refused by `mc2.attestation.appraisal`, as for every kind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mc2.attestation.allowed import ANY, Allowed, read_names
from mc2.attestation.claims import VerifiedClaims
from mc2.attestation.section import PolicySection, check_measurement, read_hex_set
from mc2.attestation.tokens import CONFIDENTIAL_SPACE_KIND
from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields

SUPPORT: Final = ("LATEST", "STABLE", "USABLE")
_HOUR: Final = 60 * 60
_TEXT: Final = 1024
_VARIABLES: Final = 256
_SET_BY_RUNTIME: Final = "HOSTNAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidentialSpaceSection(PolicySection):
    """Which containers the members accept, on which machines of Google's.

    `environment` is None where the members wrote `any`; otherwise it has all variables but the
    host's name, each with its value. `support` is the attribute that the image must carry.
    """

    KIND: ClassVar[str] = CONFIDENTIAL_SPACE_KIND

    image_digests: tuple[str, ...]
    arguments: tuple[str, ...] | None
    environment: Mapping[str, str] | None
    audiences: tuple[str, ...]
    hardware: tuple[str, ...]
    tcb_statuses: Allowed
    support: str
    require_secure_boot: bool
    max_age_seconds: int
    projects: Allowed
    platforms: Allowed

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the section's fields. Raises: FormatError."""
        return cls(
            image_digests=read_hex_set(fields, "image_digests", 32),
            arguments=_read_arguments(fields),
            environment=_read_environment(fields),
            audiences=read_names(fields, "audiences", _check_text),
            hardware=read_names(fields, "hardware", _check_text),
            tcb_statuses=Allowed.read_words(fields, "tcb_statuses", _check_text),
            support=fields.choice("support", SUPPORT),
            require_secure_boot=fields.boolean("require_secure_boot"),
            max_age_seconds=fields.integer("max_age_seconds", 1, _HOUR),
            projects=Allowed.read_words(fields, "projects", _check_text),
            platforms=Allowed.read_platforms(fields, "platforms"),
        )

    def json(self) -> Json:
        """The section as canonical JSON has it."""
        return {
            "image_digests": list(self.image_digests),
            "arguments": ANY if self.arguments is None else list(self.arguments),
            "environment": ANY if self.environment is None else dict(self.environment),
            "audiences": list(self.audiences),
            "hardware": list(self.hardware),
            "tcb_statuses": self.tcb_statuses.json(),
            "support": self.support,
            "require_secure_boot": self.require_secure_boot,
            "max_age_seconds": self.max_age_seconds,
            "projects": self.projects.json(),
            "platforms": self.platforms.json(),
        }

    @classmethod
    def binding(cls, report_data: bytes) -> bytes:
        """The SHA-256 of the report data: a nonce has room for 74 characters at most."""
        return hashlib.sha256(report_data).digest()

    def check(self, claims: VerifiedClaims) -> list[str]:
        """Every rule that the container, its machine or its token breaks."""
        found = claims.details
        return [
            *check_measurement(claims, "IMAGE_DIGEST", self.image_digests),
            *self._check_start(found),
            *self._check_machine(found),
            *self._check_token(found),
            *self.platforms.check("platform", claims.platform_id or None),
        ]

    def _check_start(self, found: Mapping[str, Json]) -> list[str]:
        failed = []
        if self.arguments is not None and found["arguments"] != list(self.arguments):
            failed.append("arguments: the container was started with others")
        environment = found["environment"]
        if self.environment is not None and isinstance(environment, Mapping):
            given = {k: v for k, v in environment.items() if k != _SET_BY_RUNTIME}
            names = sorted(given.items() ^ self.environment.items())
            failed += [f"environment: {name} differs" for name in dict(names)]
        return failed

    def _check_machine(self, found: Mapping[str, Json]) -> list[str]:
        failed = []
        if found["hardware"] not in self.hardware:
            failed.append(f"hardware: {found['hardware']} is not among {', '.join(self.hardware)}")
        failed += self.tcb_statuses.check("tcb_status", _text(found["tcb_status"]))
        if self.require_secure_boot and found["secure_boot"] is not True:
            failed.append("secure_boot: the machine did not boot securely")
        support = found["support"]
        if not isinstance(support, list) or self.support not in support:
            failed.append(f"support: the image does not have the attribute {self.support}")
        return failed + self.projects.check("project", _text(found["project"]))

    def _check_token(self, found: Mapping[str, Json]) -> list[str]:
        failed = []
        if found["audience"] not in self.audiences:
            failed.append("audience: the token is meant for somebody else")
        age = found["age_seconds"]
        if not isinstance(age, int) or age > self.max_age_seconds:
            failed.append(f"age: {age} s are more than {self.max_age_seconds} s")
        return failed

    def describe(self) -> tuple[str, ...]:
        """The rules in plain words."""
        start = (
            "The container may be started with any arguments."
            if self.arguments is None
            else f"The container is started with: {' '.join(self.arguments) or 'no arguments'}."
        )
        environment = (
            ("The container may have any environment.",)
            if self.environment is None
            else tuple(f"Its environment has {k}={v}" for k, v in self.environment.items())
        )
        return (
            "The word of Google's service is accepted for what it verified.",
            *(f"Accepted container: sha256:{found}" for found in self.image_digests),
            start,
            *environment,
            f"The token is for: {', '.join(self.audiences)}.",
            f"Accepted hardware: {', '.join(self.hardware)}.",
            *self.tcb_statuses.describe("platform status"),
            f"The image is marked {self.support}.",
            f"Secure boot is {'needed' if self.require_secure_boot else 'NOT needed'}.",
            f"A token is at most {self.max_age_seconds} s old.",
            *self.projects.describe("project"),
            *self.platforms.describe("instance"),
        )


def _read_arguments(fields: Fields) -> tuple[str, ...] | None:
    value = fields.value("arguments")
    if value == ANY:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise FormatError(f"arguments of {fields.what} are neither {ANY!r} nor a list of text")
    return tuple(str(item) for item in value)


def _read_environment(fields: Fields) -> dict[str, str] | None:
    value = fields.value("environment")
    if value == ANY:
        return None
    if not isinstance(value, Mapping) or len(value) > _VARIABLES or _SET_BY_RUNTIME in value:
        raise FormatError(
            f"environment of {fields.what} is neither {ANY!r} nor an object of variables",
            hint=f"{_SET_BY_RUNTIME} is set by the machine: leave it out",
        )
    inner = Fields(value, f"environment of {fields.what}")
    return {name: inner.text(name) for name in value}


def _check_text(text: str, what: str) -> str:
    if not 0 < len(text) <= _TEXT or not text.isprintable():
        raise FormatError(f"{what} is not a printable text of at most {_TEXT} characters")
    return text


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
