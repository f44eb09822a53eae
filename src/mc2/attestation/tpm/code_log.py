"""What enclave workers measured into their register: a log that the quoted value confirms.

Each worker, as it starts, extends one register with the digest of its own code. So the register
tells of every start since the machine's reset, and the log says which these were. Spec:
docs/spec/evidence-tpm.md §9. The list of files behind a digest: `mc2.enclave.measured_code`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from mc2.attestation.tpm.eventlog import replay
from mc2.crypto.labels import Label
from mc2.errors import EvidenceError, FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields

CODE_REGISTER: Final = 13
"""Not resettable without a reset of the machine, and empty on machines that have no system
extensions: firmware uses 0 to 7, GRUB 8 and 9, Linux 10, systemd 11, 12 and 15, shim 14."""

CODE_BANK: Final = "sha256"

_TYPE: Final = "mc2/tpm-code-log/v1"
_LIMIT: Final = 256 * 1024
_STARTS: Final = 256
_PARTS: Final = 64
_PART_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class CodeEvent:
    """One start of a worker: the digest, in hex, of each part of what it ran, by name."""

    parts: Mapping[str, str]

    @property
    def digest(self) -> bytes:
        """What the register is extended with: SHA-256 over the label and the parts."""
        return hashlib.sha256(Label.MEASURED_CODE.prefix() + encode(dict(self.parts))).digest()

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one start. Raises: FormatError."""
        if not isinstance(value, Mapping) or not 0 < len(value) <= _PARTS:
            raise FormatError("a start in a code log is not an object with parts")
        fields = Fields(value, "a start in a code log")
        if not all(_PART_NAME.match(name) for name in value):
            raise FormatError("a part in a code log has no part's name")
        found = cls({name: fields.hex(name, 32) for name in value})
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class CodeLog:
    """All starts since the reset of the machine, in order."""

    events: tuple[CodeEvent, ...]

    def encode(self) -> bytes:
        """The bytes that travel."""
        starts: list[Json] = [dict(event.parts) for event in self.events]
        return encode({"type": _TYPE, "register": CODE_REGISTER, "starts": starts})

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a log. Raises: EvidenceError."""
        try:
            fields = Fields(decode(raw, _LIMIT, "a code log"), "a code log")
            fields.type(_TYPE)
            fields.integer("register", CODE_REGISTER, CODE_REGISTER)
            found = cls(fields.items("starts", _STARTS, CodeEvent.read))
            fields.done()
        except FormatError as error:
            raise EvidenceError(str(error), hint=error.hint) from None
        return found

    @property
    def full(self) -> bool:
        """Whether no further start has room."""
        return len(self.events) >= _STARTS

    def value(self) -> bytes:
        """What the register must be after these starts."""
        return replay((event.digest for event in self.events), CODE_BANK)

    def match(self, pcrs: Mapping[int, bytes], bank: str) -> None:
        """Check that the quoted register is explained by this log. Raises: EvidenceError."""
        if bank != CODE_BANK or CODE_REGISTER not in pcrs:
            raise EvidenceError(
                f"there is a code log, and the quote is not over register {CODE_REGISTER}"
            )
        if pcrs[CODE_REGISTER] != self.value():
            raise EvidenceError(
                f"the code log does not explain register {CODE_REGISTER}",
                hint="something else was measured into it; reset the machine to begin anew",
            )


def predicted_value(*starts: CodeEvent) -> str:
    """The register's value, in hex, after these starts and no others since the reset."""
    return CodeLog(starts).value().hex()
