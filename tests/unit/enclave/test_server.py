from __future__ import annotations

import os
import random
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from tests.support.scripted_session import (
    CHUNK,
    INVITATION,
    PROBE,
    READY,
    RECEIPT,
    SECRET,
    TOKEN,
    scripted_server,
)

from mc2.crypto.digest import digest
from mc2.enclave.channel import Channel
from mc2.enclave.cluster_server import TURN_SECONDS
from mc2.formats.canonical import encode
from mc2.formats.frames import Frame, FrameReader
from mc2.formats.worker import (
    Attest,
    Attested,
    Chunk,
    Close,
    Closed,
    FromEnclave,
    FromHost,
    Hello,
    JobOutcome,
    Missing,
    Open,
    OpenedJob,
    Progress,
    Read,
    Refused,
    Run,
    Stored,
    Write,
    parse_from_enclave,
)
from mc2.formats.worker_cluster import (
    Admit,
    Admitted,
    Ask,
    Enter,
    Entered,
    Gather,
    Gathered,
    Join,
    Joined,
    Prove,
    Proved,
    Told,
)

SOME = encode({})
STRANGERS = random.Random(7)


class Host:
    """The other end of a worker that runs in a thread of this process."""

    def __init__(self, turn_seconds: int = TURN_SECONDS) -> None:
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(20)
        self.log: list[str] = []
        server = scripted_server(self.log.append, turn_seconds)
        self.thread = threading.Thread(target=server.serve, args=(Channel(theirs),))
        self.thread.start()

    def send(self, *messages: FromHost | Frame | bytes) -> None:
        for message in messages:
            if isinstance(message, bytes):
                self.ours.sendall(message)
            else:
                frame = message if isinstance(message, Frame) else message.frame()
                self.ours.sendall(b"".join(frame.encode()))

    def receive(self) -> FromEnclave | None:
        reader = FrameReader()
        while True:
            data = self.ours.recv(reader.wanted)
            if not data:
                assert reader.between_frames
                return None
            if (frame := reader.feed(data)) is not None:
                return parse_from_enclave(frame)

    def ask(self, message: FromHost | Frame | bytes) -> FromEnclave | None:
        self.send(message)
        return self.receive()

    def hung_up_on(self) -> bool:
        """Whether the worker ended the connection; its thread then ends as well."""
        try:
            ended = self.receive() is None
        except ConnectionResetError:
            ended = True
        self.thread.join(20)
        return ended and not self.thread.is_alive()

    def close(self) -> None:
        self.ours.close()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.close()


@pytest.fixture
def greeted(host: Host) -> Host:
    assert host.ask(Hello()) == READY
    return host


def finish(host: Host) -> None:
    """One whole good job."""
    assert host.ask(Open(b"good")) == OpenedJob(("ada", "bo"))
    assert host.ask(Attest({"ada": SOME})) == Attested(b"evidence for ada")
    assert host.ask(Run({"ada": SOME})) == Progress("reading")
    assert host.receive() == Read(digest(CHUNK))
    assert host.ask(Chunk(CHUNK)) == Write(digest(CHUNK[::-1]), CHUNK[::-1])
    assert host.ask(Stored()) == JobOutcome(RECEIPT, {"ada": RECEIPT})


def refusal(message: FromEnclave | None, code: str) -> Refused:
    assert isinstance(message, Refused)
    assert message.code == code
    return message


def test_serves_jobs_one_after_the_other(greeted: Host) -> None:
    finish(greeted)
    finish(greeted)


def test_hello_answers_at_any_time_and_disturbs_nothing(greeted: Host) -> None:
    greeted.ask(Open(b"good"))
    assert greeted.ask(Hello()) == READY
    assert greeted.ask(Attest({"ada": SOME})) == Attested(b"evidence for ada")


@pytest.mark.parametrize(
    ("script", "code"), [("bad plan", "plan"), ("defect", "error"), ("other chunk", "engine")]
)
def test_a_refusal_is_typed_and_the_worker_lives_on(greeted: Host, script: str, code: str) -> None:
    answer = greeted.ask(Open(script.encode()))
    if script != "bad plan":
        greeted.ask(Attest({"ada": SOME}))
        answer = greeted.ask(Run({"ada": SOME}))
    if script == "other chunk":
        greeted.receive()
        answer = greeted.ask(Chunk(b"something else"))
    refused = refusal(answer, code)
    assert SECRET not in refused.message + refused.hint + "".join(greeted.log)
    finish(greeted)


@pytest.mark.parametrize(
    "message",
    [Attest({}), Run({}), Join({}, SOME, SOME), Enter(SOME)],
    ids=["attest", "run", "join", "enter"],
)
def test_a_call_out_of_order_ends_the_job(greeted: Host, message: FromHost) -> None:
    refusal(greeted.ask(message), "job")
    finish(greeted)


@pytest.mark.parametrize(("given", "asked"), [((), Read), ((Chunk(CHUNK),), Write)])
def test_what_the_host_withholds_is_waited_for_so_long(
    given: tuple[FromHost, ...], asked: type[Read | Write]
) -> None:
    host = Host(turn_seconds=0)
    script = (Hello(), Open(b"good"), Attest({"ada": SOME}), Run({"ada": SOME}), *given)
    # At once, so that what is given is there when it is asked for.
    host.send(b"".join(part for message in script for part in message.frame().encode()))
    said = [host.receive() for _ in range(5 + len(given))]
    assert isinstance(said[-1], asked)
    refused = refusal(host.receive(), "worker")
    assert "over a chunk" in refused.message
    assert "--turn-seconds" in refused.hint
    assert host.hung_up_on()
    host.close()


def test_a_second_job_beside_the_first_ends_the_first(greeted: Host) -> None:
    greeted.ask(Open(b"good"))
    refusal(greeted.ask(Open(b"good")), "job")
    refusal(greeted.ask(Attest({"ada": SOME})), "job")
    finish(greeted)


def test_a_second_attest_ends_the_job(greeted: Host) -> None:
    greeted.ask(Open(b"good"))
    greeted.ask(Attest({"ada": SOME}))
    refusal(greeted.ask(Attest({"ada": SOME})), "job")
    refusal(greeted.ask(Run({"ada": SOME})), "job")
    finish(greeted)


def test_close_drops_a_job_in_any_state(greeted: Host) -> None:
    assert greeted.ask(Close()) == Closed()
    greeted.ask(Open(b"good"))
    assert greeted.ask(Close()) == Closed()
    refusal(greeted.ask(Attest({"ada": SOME})), "job")
    greeted.ask(Open(b"good"))
    greeted.ask(Attest({"ada": SOME}))
    assert greeted.ask(Close()) == Closed()
    finish(greeted)


def test_a_worker_joins_and_enters_until_it_is_closed(greeted: Host) -> None:
    greeted.ask(Open(b"good"))
    joined = greeted.ask(Join({"ada": SOME}, SOME, INVITATION))
    assert joined == Joined(encode({"challenges": ["ada"], "invited": True}))
    assert greeted.ask(Enter(SOME)) == Entered()
    refusal(greeted.ask(Enter(SOME)), "job")
    finish(greeted)


def test_a_leader_asks_its_host_for_others(greeted: Host) -> None:
    greeted.ask(Open(b"cluster"))
    greeted.ask(Attest({"ada": SOME}))
    assert greeted.ask(Run({"ada": SOME})) == Gather(INVITATION)
    assert greeted.ask(Gathered({"b": SOME, "a": SOME})) == Admit({"a": SOME, "b": SOME})
    assert greeted.ask(Admitted(("a",))) == Progress("a")


def test_a_leader_has_its_host_ask_machines_for_proof(greeted: Host) -> None:
    greeted.ask(Open(b"cluster of machines"))
    greeted.ask(Attest({"ada": SOME}))
    greeted.ask(Run({"ada": SOME}))
    asked = greeted.ask(Gathered({"b": SOME, "a": SOME}))
    assert asked == Ask({"a": PROBE, "b": PROBE})
    assert greeted.ask(Told({"a": TOKEN})) == Admit({"a": SOME})


@pytest.mark.parametrize(("answer", "code"), [(Missing(), "job"), (Gathered({}), "format")])
def test_a_host_that_does_not_pass_on_probes_ends_the_job(
    greeted: Host, answer: FromHost, code: str
) -> None:
    greeted.ask(Open(b"cluster of machines"))
    greeted.ask(Attest({"ada": SOME}))
    greeted.ask(Run({"ada": SOME}))
    greeted.ask(Gathered({"a": SOME}))
    refusal(greeted.ask(answer), code)


def test_a_worker_that_joined_answers_a_probe(greeted: Host) -> None:
    greeted.ask(Open(b"good"))
    greeted.ask(Join({"ada": SOME}, SOME, INVITATION))
    assert greeted.ask(Prove(PROBE)) == Proved(TOKEN)
    assert greeted.ask(Enter(SOME)) == Entered()


@pytest.mark.parametrize("gathered", [False, True])
def test_a_host_that_cannot_introduce_others_ends_the_job(greeted: Host, gathered: bool) -> None:
    greeted.ask(Open(b"cluster"))
    greeted.ask(Attest({"ada": SOME}))
    greeted.ask(Run({"ada": SOME}))
    if gathered:
        greeted.ask(Gathered({}))
    refusal(greeted.ask(Missing()), "job")
    finish(greeted)


@pytest.mark.parametrize("gathered", [False, True])
def test_another_answer_than_who_joined_ends_job_and_connection(
    greeted: Host, gathered: bool
) -> None:
    greeted.ask(Open(b"cluster"))
    greeted.ask(Attest({"ada": SOME}))
    greeted.ask(Run({"ada": SOME}))
    if gathered:
        greeted.ask(Gathered({}))
    refusal(greeted.ask(Gathered({}) if gathered else Admitted(())), "format")
    assert greeted.hung_up_on()


@pytest.mark.parametrize("message", [Gathered({}), Told({}), Admitted(())])
def test_an_answer_about_others_that_nobody_asked_for_ends_the_connection(
    greeted: Host, message: FromHost
) -> None:
    refusal(greeted.ask(message), "format")
    assert greeted.hung_up_on()


def test_a_chunk_that_the_host_has_not_ends_the_job(greeted: Host) -> None:
    greeted.ask(Open(b"good"))
    greeted.ask(Attest({"ada": SOME}))
    greeted.ask(Run({"ada": SOME}))
    greeted.receive()
    refusal(greeted.ask(Missing()), "dataset")
    finish(greeted)


def test_a_result_that_the_host_cannot_keep_ends_the_job(greeted: Host) -> None:
    greeted.ask(Open(b"good"))
    greeted.ask(Attest({"ada": SOME}))
    greeted.ask(Run({"ada": SOME}))
    greeted.receive()
    greeted.ask(Chunk(CHUNK))
    refusal(greeted.ask(Missing()), "dataset")
    finish(greeted)


@pytest.mark.parametrize(
    "message",
    [Open(b"good"), Close(), Chunk(b""), Frame({"type": "hello", "protocol": "mc2/worker/v0"})],
    ids=["open", "close", "chunk", "another version"],
)
def test_hello_comes_first(host: Host, message: FromHost | Frame) -> None:
    refusal(host.ask(message), "format")
    assert host.hung_up_on()


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack(">II", 0, 0),
        struct.pack(">II", 0xFFFFFFFF, 0xFFFFFFFF),
        struct.pack(">II", 3, 0) + b"[1]",
        struct.pack(">II", 2, 0) + b"{}",
        b"".join(Frame({"type": "stored"}).encode()),
        b"".join(Frame({"type": "open", "x": 1}).encode()),
        b"".join(Frame({"type": "close"}, b"x").encode()),
        b"GET / HTTP/1.1\r\nHost: worker\r\n\r\n",
    ],
    ids=["empty", "huge", "list", "no type", "not asked", "field", "body", "http"],
)
def test_a_malformed_frame_ends_the_connection(greeted: Host, raw: bytes) -> None:
    refusal(greeted.ask(raw), "format")
    assert greeted.hung_up_on()


def test_a_frame_that_breaks_off_ends_the_connection(greeted: Host) -> None:
    greeted.send(struct.pack(">II", 10, 10) + b"{")
    greeted.ours.shutdown(socket.SHUT_WR)
    refusal(greeted.receive(), "format")
    assert greeted.hung_up_on()


@pytest.mark.parametrize("answer", [Stored(), Hello(), Close(), Open(b"good")])
def test_another_answer_than_a_chunk_ends_job_and_connection(
    greeted: Host, answer: FromHost
) -> None:
    greeted.ask(Open(b"good"))
    greeted.ask(Attest({"ada": SOME}))
    greeted.ask(Run({"ada": SOME}))
    greeted.receive()
    refusal(greeted.ask(answer), "format")
    assert greeted.hung_up_on()


def test_a_host_that_hangs_up_in_mid_job_leaves_nothing(greeted: Host) -> None:
    greeted.ask(Open(b"good"))
    greeted.ask(Attest({"ada": SOME}))
    greeted.ask(Run({"ada": SOME}))
    greeted.ours.close()
    greeted.thread.join(20)
    assert not greeted.thread.is_alive()
    assert greeted.log[-1] == "the host hung up"


def test_no_noise_of_a_stranger_ends_the_server() -> None:
    for _ in range(60):
        host = Host()
        noise = STRANGERS.randbytes(STRANGERS.randrange(40))
        host.send(b"".join(Hello().frame().encode()) if STRANGERS.random() < 0.5 else b"")
        try:
            host.send(noise)
            host.ours.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the worker was faster
        host.close()


def test_notices_that_its_host_is_gone() -> None:
    ours, theirs = socket.socketpair()
    gone = threading.Event()
    channel = Channel(theirs)
    channel.when_host_is_gone(gone.set)
    assert not gone.wait(0.05)
    ours.send(b"talking is not leaving")
    assert not gone.wait(0.05)
    os.close(ours.detach())
    assert gone.wait(20)
    channel.close()
