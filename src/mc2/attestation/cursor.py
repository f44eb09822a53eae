"""A strict reader of binary structures: every byte is taken once, and none may be left over.

Lengths in evidence are chosen by whoever made it, so each read is checked against what is there
before anything is sliced; a short structure is an error and never a shorter value.
"""

from __future__ import annotations

from typing import Literal

from mc2.errors import EvidenceError


class Cursor:
    """Takes fields from bytes, front to back. `what` names the structure in errors."""

    __slots__ = ("_at", "_order", "_raw", "what")

    def __init__(self, raw: bytes, what: str, order: Literal["little", "big"]) -> None:
        self._raw = raw
        self._at = 0
        self._order: Literal["little", "big"] = order
        self.what = what

    @property
    def position(self) -> int:
        """How many bytes were taken."""
        return self._at

    @property
    def left(self) -> int:
        """How many bytes are still there."""
        return len(self._raw) - self._at

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Raises: EvidenceError."""
        if size > self.left:
            raise EvidenceError(f"{self.what} ends too early")
        start, self._at = self._at, self._at + size
        return self._raw[start : self._at]

    def number(self, size: int) -> int:
        """The next `size` bytes as an unsigned integer. Raises: EvidenceError."""
        return int.from_bytes(self.take(size), self._order)

    def sized(self, width: int, most: int) -> bytes:
        """A length of `width` bytes and then that many bytes, at most `most`.

        Raises: EvidenceError.
        """
        size = self.number(width)
        if size > most:
            raise EvidenceError(f"a field of {self.what} is longer than {most} bytes")
        return self.take(size)

    def rest(self) -> bytes:
        """Everything that is still there."""
        return self.take(self.left)

    def done(self) -> None:
        """Refuse leftovers: bytes that no field explains could mean something to somebody else.

        Raises: EvidenceError.
        """
        if self.left:
            raise EvidenceError(f"{self.what} has {self.left} bytes too many")
