"""Carries packets between the members of a shared training: in its leader, and by nobody else.

A member cannot speak for another one: a stream is between the member that opened it and the one
that it named, and the switch knows from whom each packet came.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from mc2.engine.collective.packets import Kind, Packet, Stream, packets
from mc2.errors import JobError

_STREAMS: Final = 1 << 16
_HINT: Final = "run the job again; if it happens again, report this"


class Switch:
    """The packets that wait for each of so many members."""

    def __init__(self, members: int) -> None:
        self._waiting: list[deque[bytes]] = [deque() for _ in range(members)]
        self._ends: dict[Stream, int] = {}
        self._over: set[tuple[Stream, int]] = set()

    def take(self, sender: int, raw: bytes) -> None:
        """Take packets that a member sent. Raises: FormatError, JobError."""
        for packet in packets(raw):
            self._waiting[self._target(sender, packet)].append(packet.encode())

    def waits(self, member: int) -> bool:
        """Whether there are packets for a member."""
        return bool(self._waiting[member])

    def packets(self, member: int, most: int) -> bytes:
        """The next packets for a member, at most so many bytes of them, and one at least."""
        waiting, size = self._waiting[member], 0
        found: list[bytes] = []
        while waiting and (not found or size + len(waiting[0]) <= most):
            found.append(waiting.popleft())
            size += len(found[-1])
        return b"".join(found)

    def _target(self, sender: int, packet: Packet) -> int:
        stream = packet.stream
        if packet.kind is Kind.CONNECT:
            member, _ = packet.target
            if stream.origin != sender or member == sender or member >= len(self._waiting):
                raise JobError("a member opened a stream that is not its to open", hint=_HINT)
            if stream in self._ends or len(self._ends) >= _STREAMS:
                raise JobError("a member opened a stream twice, or too many", hint=_HINT)
            self._ends[stream] = member
            return member
        other = self._ends.get(stream)
        if other is None or sender not in {stream.origin, other}:
            raise JobError("a member spoke on a stream that is not its own", hint=_HINT)
        if (stream, sender) in self._over:
            raise JobError("a member went on after the end of a stream", hint=_HINT)
        if packet.kind is Kind.END:
            self._over.add((stream, sender))
        return other if sender == stream.origin else stream.origin


MOST: Final = 64 * 1024 * 1024
"""Bytes of packets in one message at most; the rest waits for the next."""
