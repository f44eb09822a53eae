"""Who sends a request: parties sign each one with the key on their card.

This keeps strangers from writing and from reading along. It protects no secret: those who broke
it would see sealed objects, and could put in objects whose own signatures fail everywhere.
Spec: docs/spec/coordinator-api.md, section "Signed requests".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mc2.coordinator.mailbox import card_of
from mc2.coordinator.refusals import BusyError, ClockError, ReplayError, StrangerError
from mc2.coordinator.store import Party, Store
from mc2.crypto.digest import Digest
from mc2.crypto.signatures import VerifyKey
from mc2.errors import SignatureError
from mc2.formats.fields import to_time
from mc2.formats.signed_request import verify_request

WINDOW: Final = timedelta(seconds=60)
"""How far a request's time may be from the coordinator's, both ways."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Who signed a request, and the digest that its body must have."""

    party: str
    body: Digest


class Authenticator:
    """Checks signed requests. Thread-safe.

    `authorities` are the names under which this coordinator is reached, `host:port`, or `host`
    for port 443: a request that was signed for another server does not count here.
    """

    def __init__(
        self, store: Store, authorities: Collection[str], clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._authorities = frozenset(a.lower() for a in authorities)
        self._clock = clock
        # The nonces seen before this moment are forgotten, so nothing older may come in.
        self._born = clock().replace(microsecond=0)
        self._lock = threading.Lock()
        self._nonces: dict[tuple[Digest, str], datetime] = {}
        self._next_sweep = self._born + WINDOW
        self._known: dict[Digest, tuple[Party, VerifyKey]] = {}

    def authenticate(
        self, method: str, url: str, headers: Iterable[tuple[str, str]]
    ) -> Authenticated:
        """Find out who signed a request; each signature counts once.

        Raises: SignatureError, StrangerError, ClockError, ReplayError, BusyError, FormatError.
        """
        signed = verify_request(method, url, headers, self._key)
        authority = url.partition("://")[2].partition("/")[0].lower()
        if authority not in self._authorities:
            raise SignatureError(
                f"the request was signed for {authority}, which is not this coordinator",
                hint="the operator lists all names of the coordinator with --name",
            )
        self._check_time(signed.created)
        self._use_nonce(signed.key_id, signed.nonce, signed.created)
        return Authenticated(self._find(signed.key_id)[0].name, signed.body)

    def _key(self, key_id: Digest) -> VerifyKey:
        return self._find(key_id)[1]

    def _find(self, key_id: Digest) -> tuple[Party, VerifyKey]:
        found = self._known.get(key_id)
        if found is None:
            party = self._store.party_by_key(key_id)
            if party is None:
                raise StrangerError(
                    "the key that signed the request is not enrolled here",
                    hint="enrol with `mc2 join` and the operator's invitation token",
                )
            found = self._known[key_id] = (party, card_of(party).signing_key)
        return found

    def _check_time(self, created: datetime) -> None:
        now = self._clock()
        if abs(now - created) > WINDOW:
            way = "behind" if created < now else "ahead"
            raise ClockError(
                f"the request was signed at {to_time(created)}, and it is {to_time(now)} here",
                hint=f"your clock is {way}, or the coordinator's is wrong: set the clock (NTP)",
            )
        if created < self._born:
            raise BusyError("the coordinator has just started", seconds=1.0)

    def _use_nonce(self, key_id: Digest, nonce: str, created: datetime) -> None:
        with self._lock:
            if (key_id, nonce) in self._nonces:
                raise ReplayError("this very request came before", hint="sign each request anew")
            now = self._clock()
            if now > self._next_sweep:
                # Too old by now to pass the check of the time, with or without a nonce.
                kept = {k: t for k, t in self._nonces.items() if now - t <= WINDOW}
                self._nonces, self._next_sweep = kept, now + WINDOW
            self._nonces[key_id, nonce] = created
