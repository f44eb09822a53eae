"""Orders for enclaves that nobody can call: taken once, answered once, lost by name."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mc2.coordinator.homes import Homes
from mc2.errors import FormatError, GrantError, JobError, WorkerError
from mc2.formats.frames import Frame
from mc2.formats.home_line import HomeTurn
from mc2.formats.worker import Closed, OpenedJob, Refused, parse_from_host

SESSION, OTHER = "11" * 16, "22" * 16


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def raw(message):
    return b"".join(message.frame().encode())


def kind(turn):
    return type(parse_from_host(HomeTurn.frame_of(turn.frame))).__name__


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def homes(clock):
    return Homes(clock=clock)


class Opening:
    """A thread of the scheduler that opens a job at a home."""

    def __init__(self, homes):
        homes.hear("ada", HomeTurn(SESSION, 0, b""))
        self.worker = homes.borrow("ada", timeout_seconds=0)
        self.found = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            self.found = self.worker.open(b"{}", timeout_seconds=1e9)
        except Exception as error:  # noqa: BLE001 - what it ends with is looked at
            self.found = error

    def result(self):
        self.thread.join()
        return self.found


def take(homes, turn, answer=b""):
    """Ask until there is an order: the other thread may not have given it yet."""
    while True:
        found = homes.hear("ada", HomeTurn(SESSION, turn, answer))
        if found.frame:
            return found


def answer(homes, turn, message):
    homes.hear("ada", HomeTurn(SESSION, turn, raw(message)))


def test_orders_are_answered_one_after_the_other(homes):
    opening = Opening(homes)
    first = take(homes, 0)
    assert kind(first) == "Close"
    assert take(homes, 0) == first  # it was lost on the way, and comes again
    second = take(homes, first.turn, raw(Closed()))
    assert kind(second) == "Open"
    assert homes.hear("ada", HomeTurn(SESSION, second.turn, b"")).frame == b""
    answer(homes, first.turn, Closed())  # late, and to another order
    answer(homes, second.turn, OpenedJob(("ada",)))
    assert opening.result() == OpenedJob(("ada",))


def test_a_refusal_keeps_its_type(homes):
    opening = Opening(homes)
    answer(homes, take(homes, 0).turn, Refused("grant", "no key", "ask again"))
    assert isinstance(opening.result(), GrantError)


@pytest.mark.parametrize(
    "end",
    [
        lambda homes, clock: setattr(clock, "now", 61.0),
        lambda homes, clock: homes.leave("ada", SESSION),
        lambda homes, clock: homes.hear("ada", HomeTurn(OTHER, 0, b"")),
    ],
    ids=["silent", "left", "began anew"],
)
def test_who_is_gone_is_lost_by_name(homes, clock, end):
    opening = Opening(homes)
    take(homes, 0)
    end(homes, clock)
    found = opening.result()
    assert isinstance(found, WorkerError)
    assert "ada" in str(found)


def test_an_answer_that_is_no_frame_costs_the_enclave(homes):
    opening = Opening(homes)
    turn = take(homes, 0).turn
    homes.hear("ada", HomeTurn(SESSION, turn, b"nothing of that kind"))
    assert isinstance(opening.result(), WorkerError)


def test_a_coordinator_that_stops_waits_for_no_home(homes):
    opening = Opening(homes)
    take(homes, 0)
    homes.stop()
    assert isinstance(opening.result(), WorkerError)
    homes.hear("ada", HomeTurn(SESSION, 1, b""))
    with pytest.raises(WorkerError, match="home of ada"):
        homes.borrow("ada", timeout_seconds=1e9)


def test_a_coordinator_that_stops_ends_the_wait_for_a_home(homes):
    found = []

    def wait():
        with pytest.raises(WorkerError, match="home of bo"):
            homes.borrow("bo", timeout_seconds=1e9)
        found.append("waited")

    waiting = threading.Thread(target=wait)
    waiting.start()
    homes.stop()
    waiting.join()
    assert found == ["waited"]


def test_another_session_of_a_stranger_ends_nothing(homes):
    homes.hear("ada", HomeTurn(SESSION, 0, b""))
    homes.leave("ada", OTHER)
    homes.leave("bo", SESSION)
    assert homes.borrow("ada", timeout_seconds=0).party == "ada"


@pytest.mark.parametrize("seconds", [0.01, 60.0], ids=["in time", "woken"])
def test_a_call_that_a_dead_process_left_waiting_ends_no_newer_session(homes, clock, seconds):
    async def restarted():
        left = asyncio.create_task(homes.exchange("ada", HomeTurn(SESSION, 0, b""), seconds))
        await asyncio.sleep(0)  # now it waits
        homes.hear("ada", HomeTurn(OTHER, 0, b""))
        worker = homes.borrow("ada", timeout_seconds=0)
        return worker, await left

    worker, left = asyncio.run(restarted())
    assert left == HomeTurn(SESSION, 0, b"")
    assert worker.line.session == OTHER
    assert not worker.line.gone


def test_a_late_call_of_a_process_ends_no_newer_session(homes, clock):
    homes.hear("ada", HomeTurn(SESSION, 0, b""))
    homes.hear("ada", HomeTurn(OTHER, 0, b""))
    worker = homes.borrow("ada", timeout_seconds=0)
    with pytest.raises(JobError, match="another process of ada"):
        homes.hear("ada", HomeTurn(SESSION, 3, raw(Closed())))
    assert not worker.line.gone
    clock.now = 61.0  # the newer one is silent: whoever is there counts
    homes.hear("ada", HomeTurn(SESSION, 3, b""))
    assert homes.borrow("ada", timeout_seconds=0).line.session == SESSION


def test_a_call_that_waits_is_no_sign_of_life_and_gets_what_comes(homes, clock):
    async def waiting():
        left = asyncio.create_task(homes.exchange("ada", HomeTurn(SESSION, 0, b""), 60.0))
        await asyncio.sleep(0)
        clock.now = 30.0
        homes.release(homes.borrow("ada", timeout_seconds=0))
        return await left

    assert kind(asyncio.run(waiting())) == "Close"
    clock.now = 61.0
    with pytest.raises(WorkerError, match="home of ada"):
        homes.borrow("ada", timeout_seconds=0)


def test_an_enclave_is_lent_to_one_job_at_a_time(homes):
    homes.hear("ada", HomeTurn(SESSION, 0, b""))
    worker = homes.borrow("ada", timeout_seconds=0)
    with pytest.raises(WorkerError, match="home of ada"):
        homes.borrow("ada", timeout_seconds=-1)
    homes.release(worker)
    assert homes.borrow("ada", timeout_seconds=0)


def test_turns_have_one_form():
    turn = HomeTurn(SESSION, 7, b"frame")
    assert HomeTurn.parse(turn.encode()) == turn
    for wrong in (b"", turn.encode()[:20], bytes(16) + b"\xff" * 8):
        with pytest.raises(FormatError):
            HomeTurn.parse(wrong)
    two = raw(Closed()) * 2
    with pytest.raises(FormatError, match="more than one frame"):
        HomeTurn.frame_of(two)
    with pytest.raises(FormatError, match="ends inside"):
        HomeTurn.frame_of(raw(Closed())[:-1])
    assert HomeTurn.frame_of(raw(Closed())) == Frame({"type": "closed"})
