"""What went wrong between a client and its coordinator, in words that say what to do."""

from __future__ import annotations

import ssl
from typing import Final

from mc2.errors import CoordinatorError, FormatError, Mc2Error, error_types
from mc2.formats.canonical import decode
from mc2.formats.fields import Fields

_BODY_BYTES: Final = 1 << 20
_TEXT_LENGTH: Final = 4096

# What a coordinator can know. All else in its mouth would pretend that this client had checked.
_BELIEVED: Final = frozenset(
    {
        "approval",
        "contract",
        "coordinator",
        "dataset",
        "format",
        "grant",
        "job",
        "plan",
        "signature",
        "usage",
    }
)


def refusal(status: int, raw: bytes) -> Mc2Error:
    """The error that an answer stands for."""
    try:
        fields = Fields(decode(raw, _BODY_BYTES, "a refusal"), "a refusal")
        code, message = fields.text("code", 64), fields.text("message", _TEXT_LENGTH)
        hint = fields.text("hint", _TEXT_LENGTH)
        fields.done()
    except FormatError:
        return CoordinatorError(
            f"the coordinator answered with status {status} and no reason",
            hint="is this URL really that of an mc2 coordinator?",
        )
    kind = error_types()[code] if code in _BELIEVED else CoordinatorError
    return kind(_plain(message), hint=_plain(hint))


def unreachable(url: str, error: Exception) -> CoordinatorError:
    """The error for a coordinator that does not answer, or not as itself."""
    if certificate_refused(error):
        return CoordinatorError(
            f"whoever answers at {url} does not show the coordinator's certificate",
            hint="somebody stands between, or it was set up anew: ask for its coordinator.json",
        )
    return CoordinatorError(
        f"the coordinator at {url} does not answer: {type(error).__name__}",
        hint="check that it runs (`mc2 start`) and that the network lets you through",
    )


def certificate_refused(error: BaseException | None) -> bool:
    """Whether the reason, or the reason's reason, is a certificate that was not accepted."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _plain(text: str) -> str:
    """The coordinator's words without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text)
