"""Sealed lines between the leader of a shared training and each of its members.

One line for each member: a message of the leader, the member's answer, and so on. The host carries
both and is believed nothing: what is missing, there twice, out of order, of another line, member,
training or epoch, or altered, is refused by name. Spec: docs/spec/collective.md, section "Lines".
"""

from __future__ import annotations

from typing import Final

from mc2.crypto.digest import Digest
from mc2.enclave.epoch import Epoch
from mc2.errors import CryptoError, JobError
from mc2.formats import training_message as messages
from mc2.formats.training_message import LEADER, Header, TrainingName

CARRIED: Final = "carried"
DONE: Final = "done"
_HINT: Final = "the host mixed up a training's messages: run the job again"


class _Line:
    def __init__(self, epoch: Epoch, name: TrainingName, member: int) -> None:
        if (name.context, name.epoch) != (epoch.context, epoch.number):
            raise JobError("the training is of another job or epoch", hint=_HINT)
        if not 1 <= member < len(name.places):
            raise JobError("the training has no such member", hint=_HINT)
        self._epoch, self.name, self._member = epoch, name, member
        self._salt = messages.fresh_salt()  # one for each line: no two messages share a nonce
        self._number = 0
        self.log: Digest = messages.first_log(name)
        """Names every message of the leader on this line so far, in order."""

    def _key(self) -> bytearray:
        key = self._epoch.block_key.raw
        if not key:
            raise JobError("this epoch is over")
        return key

    def _seal(self, sender: int, kind: str, plain: bytes) -> bytes:
        header = Header(
            salt=self._salt,
            sender=sender,
            number=self._number,
            kind=kind,
            turn=self._member,
            of_class=0,
            level=0,
            shown=None,
        )
        return messages.seal(self._key(), self.name, self.log, header, plain)

    def _open(self, header: Header, sealed: bytes, what: str) -> bytes:
        if header.turn != self._member:
            raise JobError(f"{what} is of another member's line", hint=_HINT)
        if header.number != self._number:
            raise JobError(f"{what} is out of order", hint=_HINT)
        try:
            return messages.open_message(self._key(), self.name, self.log, header, sealed)
        except CryptoError:
            raise JobError(
                f"{what} was altered, or is of another training or run of it", hint=_HINT
            ) from None


class LeadersLine(_Line):
    """The leader's end."""

    def say(self, plain: bytes, kind: str = CARRIED) -> bytes:
        """Seal the next message."""
        raw = self._seal(LEADER, kind, plain)
        self.log = messages.next_log(self.log, raw)
        return raw

    def take(self, raw: bytes) -> bytes:
        """Open the answer to the message that was said last. Raises: JobError, FormatError."""
        header, sealed = messages.parse(raw)
        what = f"the answer of member {self._member}"
        if header.sender != self._member + 1:
            raise JobError(f"{what} is of somebody else", hint=_HINT)
        if header.kind != CARRIED:
            raise JobError(f"{what} is of another kind", hint=_HINT)
        plain = self._open(header, sealed, what)
        self._number += 1
        return plain


class MembersLine(_Line):
    """A member's end."""

    def __init__(self, epoch: Epoch, name: TrainingName, member: int) -> None:
        super().__init__(epoch, name, member)
        self._leading: bytes | None = None
        self.over = False

    def take(self, raw: bytes) -> bytes:
        """Open the leader's next message; `over` says whether it is the last one.

        Raises: JobError, FormatError.
        """
        header, sealed = messages.parse(raw)
        what = "a message of the leader"
        if header.sender != LEADER:
            raise JobError("a message to a member is not of the leader", hint=_HINT)
        if self._leading not in {None, header.salt}:
            raise JobError(f"{what} is of another run of it", hint=_HINT)
        if self.over or header.kind not in {CARRIED, DONE}:
            raise JobError(f"{what} is of another kind, or came after the last", hint=_HINT)
        plain = self._open(header, sealed, what)
        self._leading, self.over = header.salt, header.kind == DONE
        self.log = messages.next_log(self.log, raw)
        return plain

    def answer(self, plain: bytes) -> bytes:
        """Seal the answer to the message that was taken last."""
        raw = self._seal(self._member + 1, CARRIED, plain)
        self._number += 1
        return raw
