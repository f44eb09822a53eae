"""Why a coordinator refuses, beyond what the objects themselves say.

They share the code of `CoordinatorError`, as which all of them reach a client; the HTTP status
differs.
"""

from __future__ import annotations

from mc2.errors import CoordinatorError


class NotFoundError(CoordinatorError):
    """There is no such object, or not for this party: the answer does not tell the two apart."""


class StrangerError(CoordinatorError):
    """The caller is not enrolled, or the invitation token is wrong."""


class QuotaError(CoordinatorError):
    """A ceiling on what is stored is reached."""


class TooLargeError(CoordinatorError):
    """A body is larger than its kind may be."""


class BusyError(CoordinatorError):
    """Too many requests; `seconds` says when to come again."""

    def __init__(self, message: str, *, seconds: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.seconds = seconds


class ClockError(CoordinatorError):
    """A signed request is too old, or from the future: one of the two clocks is wrong."""


class ReplayError(CoordinatorError):
    """A signed request came a second time."""
