"""Nobody misses a ring that comes after looking."""

import threading
import time

from mc2.coordinator.bell import Bell


def test_a_ring_between_looking_and_waiting_is_not_lost():
    bell = Bell()
    rung = bell.rung
    bell.ring()
    begun = time.monotonic()
    bell.wait(rung, 5)
    assert time.monotonic() - begun < 1


def test_waiting_ends_by_itself_and_by_a_ring():
    bell = Bell()
    begun = time.monotonic()
    bell.wait(bell.rung, 0.05)
    assert 0.04 < time.monotonic() - begun < 2
    threading.Timer(0.05, bell.ring).start()
    bell.wait(bell.rung, 10)
    assert time.monotonic() - begun < 5


def test_listeners_hear_until_they_are_forgotten():
    bell = Bell()
    heard = []
    listener = lambda: heard.append(1)  # noqa: E731
    bell.listen(listener)
    bell.ring()
    bell.forget(listener)
    bell.forget(listener)
    bell.ring()
    assert heard == [1]
