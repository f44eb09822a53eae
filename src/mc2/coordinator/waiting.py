"""Long polls: many parties wait at once, and none of them holds a thread."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

from mc2.coordinator.refusals import BusyError
from mc2.coordinator.service import LONGEST_WAIT_SECONDS, Service

_MOST_OF_A_PARTY: Final = 32


class Waiting:
    """Those who wait for an event. Lives in one event loop, between `open` and `close`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung = asyncio.Event()
        self._closed = False
        self._waiters: Counter[str] = Counter()

    def open(self) -> None:
        """Begin to listen. Called in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._service.bell.listen(self._ring)

    def close(self) -> None:
        """Stop listening."""
        self._service.bell.forget(self._ring)
        self.release()

    def release(self) -> None:
        """Let everybody go, and nobody wait any more. From any thread or signal handler."""
        self._closed = True
        self._ring()

    def _ring(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self, party: str, job_id: str | None, seen: int, seconds: float) -> int:
        """As `PartyAccess.wait`. Raises: BusyError if a party waits too often at once."""
        if self._waiters[party] >= _MOST_OF_A_PARTY:
            raise BusyError("this party waits too often at once", seconds=1.0)
        self._waiters[party] += 1
        try:
            return await self._wait(party, job_id, seen, min(seconds, LONGEST_WAIT_SECONDS))
        finally:
            self._waiters[party] -= 1

    async def _wait(self, party: str, job_id: str | None, seen: int, seconds: float) -> int:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            rung = self._rung  # taken before looking: a change after that wakes us
            newest = await asyncio.to_thread(self._service.newest_event, party, job_id)
            left = deadline - loop.time()
            if newest > seen or left <= 0 or self._closed:
                return newest
            try:
                await asyncio.wait_for(rung.wait(), left)
            except TimeoutError:
                continue
