"""Wakes those who wait for a change. It carries nothing: whoever wakes looks for himself."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Bell:
    """Rung after each change that somebody may wait for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rung = 0
        self._listeners: list[Callable[[], None]] = []

    @property
    def rung(self) -> int:
        """How often it rang: to be read before looking, and handed to `wait` after."""
        return self._rung

    def ring(self) -> None:
        """Wake everybody."""
        with self._changed:
            self._rung += 1
            self._changed.notify_all()
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()

    def wait(self, rung: int, seconds: float) -> None:
        """Return when it has rung since it had rung `rung` times, or after some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._rung != rung, timeout=seconds)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call this at each ring, from the thread that rings."""
        with self._changed:
            self._listeners.append(listener)

    def forget(self, listener: Callable[[], None]) -> None:
        """Call this no more."""
        with self._changed:
            if listener in self._listeners:
                self._listeners.remove(listener)
