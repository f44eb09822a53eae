"""How a party reaches a coordinator: the file that an operator hands out with the invitation.

It is not secret, but it must come over a channel that people trust: the certificate in it is the
only one that a client will accept. Spec: docs/spec/coordinator-api.md, section "Reaching it".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mc2.crypto.digest import Digest
from mc2.formats.canonical import decode, encode
from mc2.formats.fields import Fields

FILE_BYTES: Final = 64 * 1024
_URL_LENGTH: Final = 2048
_PATH_LENGTH: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorFile:
    """`url` without a path; the PEM text of its certificate; the SHA-256 of that in DER form.

    `invitation_file` is where the token lies on the coordinator's own machine.
    """

    TYPE: ClassVar[str] = "mc2/coordinator/v1"

    url: str
    certificate: str
    fingerprint: Digest
    invitation_file: str

    def encode(self) -> bytes:
        """The file's bytes."""
        return encode(
            {
                "type": self.TYPE,
                "url": self.url,
                "certificate": self.certificate,
                "fingerprint": self.fingerprint,
                "invitation_file": self.invitation_file,
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read the file. Raises: FormatError."""
        what = "a coordinator's file"
        fields = Fields(decode(raw, FILE_BYTES, what), what)
        fields.type(cls.TYPE)
        found = cls(
            url=fields.text("url", _URL_LENGTH),
            certificate=fields.text("certificate", FILE_BYTES),
            fingerprint=fields.digest("fingerprint"),
            invitation_file=fields.text("invitation_file", _PATH_LENGTH),
        )
        fields.done()
        return found
