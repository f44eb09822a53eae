"""A request counts once, from an enrolled key, for this server, at about this time."""

import secrets
from datetime import timedelta

import pytest
from tests.support.coordinator_world import Clock, World, make_service

from mc2.coordinator.auth import WINDOW, Authenticator
from mc2.coordinator.refusals import BusyError, ClockError, ReplayError, StrangerError
from mc2.crypto.digest import digest
from mc2.errors import SignatureError
from mc2.formats.signed_request import sign_request

URL = "https://here.example:8765/v1/jobs?x=1"
SECOND = timedelta(seconds=1)


class Gate:
    def __init__(self, folder):
        self.world = World()
        self.clock = Clock()
        self.service = make_service(folder, self.clock)
        self.world.enrol(self.service.for_party, "ada", "bo")
        self.restart()

    def restart(self):
        self.authenticator = Authenticator(
            self.service.store, ["Here.example:8765", "[::1]:8765"], self.clock
        )

    def sign(self, name="ada", url=URL, created=None):
        return sign_request(
            "GET",
            url,
            digest(b""),
            self.world[name].signing,
            created=created or self.clock(),
            nonce=secrets.token_hex(16),
        )

    def pass_(self, headers, url=URL):
        return self.authenticator.authenticate("GET", url, headers.items())


@pytest.fixture
def gate(tmp_path):
    found = Gate(tmp_path)
    yield found
    found.service.store.close()


def test_an_enrolled_party_passes(gate):
    for name in ("ada", "bo", "ada"):
        found = gate.pass_(gate.sign(name))
        assert (found.party, found.body) == (name, digest(b""))


def test_a_stranger_does_not(gate):
    with pytest.raises(StrangerError, match="not enrolled"):
        gate.pass_(gate.sign("mallory"))
    gate.world.enrol(gate.service.for_party, "mallory")
    assert gate.pass_(gate.sign("mallory")).party == "mallory"


def test_a_replay_does_not(gate):
    headers = gate.sign()
    gate.pass_(headers)
    with pytest.raises(ReplayError):
        gate.pass_(headers)
    gate.clock.ahead = WINDOW - SECOND
    with pytest.raises(ReplayError):
        gate.pass_(headers)


def test_nonces_are_forgotten_only_when_time_refuses_them(gate):
    ahead = gate.sign(created=gate.clock() + WINDOW - SECOND)
    gate.pass_(ahead)
    for seconds in (61, 100, 110):
        gate.clock.ahead = seconds * SECOND
        gate.pass_(gate.sign())
        with pytest.raises((ReplayError, ClockError)):
            gate.pass_(ahead)
    gate.clock.ahead = 200 * SECOND
    gate.pass_(gate.sign())
    gate.clock.ahead = 300 * SECOND
    gate.pass_(gate.sign())
    assert len(gate.authenticator._nonces) == 1
    with pytest.raises(ClockError):
        gate.pass_(ahead)


@pytest.mark.parametrize(("seconds", "word"), [(-62, "behind"), (62, "ahead"), (10**9, "ahead")])
def test_a_wrong_clock_is_told_so(gate, seconds, word):
    with pytest.raises(ClockError) as caught:
        gate.pass_(gate.sign(created=gate.clock() + seconds * SECOND))
    assert word in caught.value.hint


def test_after_a_restart_old_requests_do_not_come_back(gate):
    headers = gate.sign()
    gate.pass_(headers)
    gate.clock.ahead = 2 * SECOND
    gate.restart()
    with pytest.raises(BusyError, match="just started"):
        gate.pass_(headers)
    assert gate.pass_(gate.sign()).party == "ada"


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example:8765/v1/jobs?x=1",
        "https://here.example/v1/jobs?x=1",
        "https://here.example:8766/v1/jobs?x=1",
        "https://here.example:8765@elsewhere.example/v1/jobs",
        "https://[::2]:8765/v1/jobs",
    ],
)
def test_a_request_to_another_server_is_not_for_us(gate, url):
    """Another coordinator could pass on what it was sent, name and signature and all."""
    with pytest.raises(SignatureError):
        gate.pass_(gate.sign(url=url), url)


@pytest.mark.parametrize("url", ["https://HERE.example:8765/v1", "https://[::1]:8765/v1"])
def test_all_our_names_are_ours(gate, url):
    assert gate.pass_(gate.sign(url=url), url).party == "ada"


def test_a_false_signature_uses_up_no_nonce(gate):
    headers = gate.sign()
    with pytest.raises(SignatureError):
        gate.pass_(headers, URL + "2")
    gate.pass_(headers)
