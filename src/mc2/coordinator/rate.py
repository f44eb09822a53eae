"""Rate limits: a token bucket for each party or address, in memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from mc2.coordinator.refusals import BusyError


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests per second in the long run, and so many at once."""

    per_second: float
    burst: int


class Buckets:
    """Buckets that fill at one rate. Not thread-safe: the event loop alone uses them."""

    def __init__(self, rate: Rate, most: int = 10_000) -> None:
        self._rate = rate
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, now: float) -> None:
        """Take one token at a moment of a monotonic clock. Raises: BusyError if there is none."""
        tokens, since = self._buckets.pop(key, (float(self._rate.burst), now))
        tokens = min(self._rate.burst, tokens + (now - since) * self._rate.per_second)
        left = tokens - 1 if tokens >= 1 else tokens
        self._buckets[key] = (left, now)
        if len(self._buckets) > self._most:
            # The one unused for longest is the fullest: forgetting it gives away the least.
            self._buckets.popitem(last=False)
        if tokens < 1:
            raise BusyError(
                "too many requests at once",
                seconds=(1 - tokens) / self._rate.per_second,
                hint="mc2 tries again by itself",
            )
