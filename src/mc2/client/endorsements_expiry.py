"""Says in time what of the endorsement cache ends: evidence that needs it will be refused then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from mc2.client.endorsements import SOON, EndorsementCache
from mc2.client.endorsements_index import Index
from mc2.errors import Mc2Error
from mc2.formats.fields import to_time

LOOK_EVERY: Final = timedelta(hours=1)


def expiring(index: Index, at: datetime, within: timedelta = SOON) -> dict[str, str]:
    """What ends within some time from `at`, or has ended: subject → a sentence about it.

    Only the newest entry of a subject counts; older ones were replaced.
    """
    found = {}
    for subject, entries in sorted(index.subjects.items()):
        ends = entries[-1].ends
        if ends <= at + within:
            when = "ended" if ends <= at else "ends"
            found[subject] = f"{subject} {when} on {to_time(ends)}"
    return found


class ExpiryWatch:
    """Looks into a cache now and then, and tells each ending once.

    `tell` gets a sentence and what to do. A cache that cannot be read is told of, too.
    """

    def __init__(
        self, cache: EndorsementCache, clock: Callable[[], datetime], tell: Callable[[str], None]
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._tell = tell
        self._next: datetime | None = None
        self._told: set[str] = set()

    def look(self) -> None:
        """Look, unless it was done within the last hour."""
        now = self._clock()
        if self._next is not None and now < self._next:
            return
        self._next = now + LOOK_EVERY
        try:
            said = set(expiring(self._cache.index(), now).values())
        except Mc2Error as error:
            said = {f"the endorsement cache cannot be read: {error}"}
        for line in sorted(said - self._told):
            self._tell(f"warning: {line}: mc2 endorsements fetch")
        self._told = said
