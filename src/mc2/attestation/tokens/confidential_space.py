"""What a Confidential Space token says, taken out of its claims by name and type.

Claims that no rule of ours looks at are left alone: Google adds some from time to time, and the
signature covers them in any case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from mc2.attestation.tokens.jwt import Token
from mc2.errors import EvidenceError, FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import from_base64

ISSUER: Final = "https://confidentialcomputing.googleapis.com"
SOFTWARE: Final = "CONFIDENTIAL_SPACE"

_HEADER: Final = {"alg", "typ", "kid", "x5c"}
_CERTIFICATES: Final = range(2, 9)
_END_OF_TIME: Final = 253402300800  # year 10000: no date beyond it can be written
_IMAGE_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})\Z")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceToken:
    """A token as it was read; nothing is verified. Times are seconds since 1970.

    `certificates` are in DER, the leaf first. `tcb_status` is the service's word on the TDX
    platform; None on others. `environment` and `arguments` are what the container was started
    with.
    """

    certificates: tuple[bytes, ...] = field(repr=False)
    audience: str
    issued_at: int
    not_before: int
    expires: int
    nonces: tuple[str, ...]
    hardware: str
    debug_status: str
    secure_boot: bool
    support: tuple[str, ...]
    software_version: tuple[str, ...]
    image_digest: str
    image_reference: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    restart_policy: str
    project: str
    zone: str
    instance: str
    service_accounts: tuple[str, ...]
    tcb_status: str | None
    tcb_date: str | None


def read_space_token(token: Token) -> SpaceToken:
    """Take the claims that mc2 knows out of a token. Raises: EvidenceError."""
    claims = _Claims(token.claims, "the token")
    if claims.text("iss") != ISSUER:
        raise EvidenceError("the token is not issued by Google's attestation service")
    if claims.text("swname") != SOFTWARE:
        raise EvidenceError("the token is not for a Confidential Space")
    submods = claims.object("submods")
    container, machine = submods.object("container"), submods.object("gce")
    space = submods.object("confidential_space")
    platform = claims.optional("tdx") or _Claims({}, "the token")
    return SpaceToken(
        certificates=_certificates(token.header),
        audience=claims.text("aud"),
        issued_at=claims.time("iat"),
        not_before=claims.time("nbf"),
        expires=claims.time("exp"),
        nonces=claims.texts("eat_nonce", single=True),
        hardware=claims.text("hwmodel"),
        debug_status=claims.text("dbgstat"),
        secure_boot=claims.boolean("secboot"),
        support=space.texts("support_attributes"),
        software_version=claims.texts("swversion"),
        image_digest=_image_digest(container.text("image_digest")),
        image_reference=container.text("image_reference"),
        arguments=container.texts("args"),
        environment=container.mapping("env"),
        restart_policy=container.text("restart_policy"),
        project=machine.text("project_id"),
        zone=machine.text("zone"),
        instance=machine.text("instance_id"),
        service_accounts=claims.texts("google_service_accounts"),
        tcb_status=platform.text("gcp_attester_tcb_status") if platform else None,
        tcb_date=platform.text("gcp_attester_tcb_date") if platform else None,
    )


def _certificates(header: Mapping[str, Json]) -> tuple[bytes, ...]:
    if header.keys() - _HEADER:
        raise EvidenceError("the header of the token has a field that is not known")
    chain = _Claims(header, "the header of the token").texts("x5c")
    if len(chain) not in _CERTIFICATES:
        raise EvidenceError("the token does not carry its certificates")
    try:
        return tuple(from_base64(text, "a certificate of the token") for text in chain)
    except FormatError as error:
        raise EvidenceError(str(error)) from None


def _image_digest(text: str) -> str:
    match = _IMAGE_DIGEST.match(text)
    if match is None:
        raise EvidenceError("the container of the token is not named by a SHA-256 digest")
    return match[1]


class _Claims:
    """A JSON object of a token, read by name and type; absent lists and maps are empty."""

    def __init__(self, values: Mapping[str, Json], what: str) -> None:
        self._values = values
        self._what = what

    def __bool__(self) -> bool:
        return bool(self._values)

    def text(self, name: str) -> str:
        return self._typed(name, str)

    def time(self, name: str) -> int:
        value = self._typed(name, int)
        if isinstance(value, bool) or not 0 <= value < _END_OF_TIME:
            raise EvidenceError(f"{name} of {self._what} is not a time")
        return value

    def boolean(self, name: str) -> bool:
        return self._typed(name, bool)

    def object(self, name: str) -> _Claims:
        return _Claims(self._typed(name, dict), f"{name} of {self._what}")

    def optional(self, name: str) -> _Claims | None:
        return self.object(name) if name in self._values else None

    def texts(self, name: str, *, single: bool = False) -> tuple[str, ...]:
        value = self._values.get(name, [])
        if single and isinstance(value, str):
            return (value,)
        if not isinstance(value, list):
            raise EvidenceError(f"{name} of {self._what} is not a list")
        return tuple(item for item in value if self._is_text(name, item))

    def mapping(self, name: str) -> dict[str, str]:
        value = self._values.get(name, {})
        if not isinstance(value, dict):
            raise EvidenceError(f"{name} of {self._what} is not an object")
        return {key: item for key, item in value.items() if self._is_text(name, item)}

    def _is_text(self, name: str, item: Json) -> bool:
        if not isinstance(item, str):
            raise EvidenceError(f"an item of {name} of {self._what} is not text")
        return True

    def _typed(self, name: str, kind: type[T]) -> T:
        value = self._values.get(name)
        if not isinstance(value, kind):
            raise EvidenceError(f"{name} of {self._what} is absent or of an odd type")
        return value
