"""Sockets without a network: they behave as TCP does, and reach nobody but their owner."""

from __future__ import annotations

import errno
import threading

import pytest

from mc2.engine.collective.network import FIRST, INVALID, READABLE, WRITABLE, Network
from mc2.engine.collective.packets import Kind, Packet, Stream, packets
from mc2.errors import FormatError


class Pair:
    """Two members whose packets are carried by hand."""

    def __init__(self) -> None:
        self.sent: list[list[Packet]] = [[], []]
        self.idle: list[list[int]] = [[], []]
        self.ends = [
            Network(i, lambda raw, i=i: self.sent[i].extend(packets(raw)), self.idle[i].append)
            for i in (0, 1)
        ]
        self.turns = [0, 0]

    def carry(self) -> None:
        for i, end in enumerate(self.ends):
            self.turns[i] += 1
            found, self.sent[1 - i] = self.sent[1 - i], []
            end.deliver(self.turns[i], found)

    def connected(self) -> tuple[int, int]:
        """A socket of each, of one stream from the first to the second."""
        a, b = self.ends
        listener = b.socket()
        b.bind(listener, 80)
        b.listen(listener)
        here = a.socket()
        a.connect(here, 1, 80)
        self.carry()
        there, member, _ = b.accept(listener)
        assert member == 0
        return here, there


def test_bytes_arrive_in_order_and_end():
    pair = Pair()
    a, b = pair.ends
    here, there = pair.connected()
    a.send(here, b"hello ")
    a.send(here, b"you")
    a.close(here)
    pair.carry()
    assert b.receive(there, 8) == b"hello yo"
    assert b.receive(there, 8) == b"u"
    assert b.receive(there, 8) == b""
    assert not a.owns(here)


def test_a_stream_may_come_before_its_listener():
    pair = Pair()
    a, b = pair.ends
    here = a.socket()
    a.connect(here, 1, 80)
    a.send(here, b"early")
    pair.carry()
    listener = b.socket()
    b.bind(listener, 80)
    b.listen(listener)
    there, _, _ = b.accept(listener)
    assert b.receive(there, 5, all_of_it=True) == b"early"


def test_a_member_speaks_to_itself_without_packets():
    pair = Pair()
    a = pair.ends[0]
    listener = a.socket()
    a.bind(listener, 0)
    a.listen(listener)
    here = a.socket()
    a.connect(here, 0, a.port(listener))
    there, _, _ = a.accept(listener)
    a.send(here, b"x")
    assert a.receive(there, 1) == b"x"
    a.shutdown(here)
    assert a.receive(there, 1) == b""
    assert pair.sent == [[], []]


def test_poll_says_what_can_be_done():
    pair = Pair()
    b = pair.ends[1]
    here, there = pair.connected()
    both = READABLE | WRITABLE
    assert b.poll({there: both, FIRST + 99: both}, wait=False) == {
        there: WRITABLE,
        FIRST + 99: INVALID,
    }
    pair.ends[0].send(here, b"x")
    pair.carry()
    assert b.poll({there: READABLE}, wait=True) == {there: READABLE}


def test_who_waits_for_others_says_so_once_for_each_delivery():
    pair = Pair()
    a, b = pair.ends
    here, there = pair.connected()
    got: list[bytes] = []
    told = threading.Event()
    b._idle = lambda turn: (pair.idle[1].append(turn), told.set())
    reader = threading.Thread(target=lambda: got.append(b.receive(there, 1)))
    reader.start()
    assert told.wait(60)
    assert pair.idle[1] == [1]
    a.send(here, b"x")
    pair.carry()
    reader.join(60)
    assert got == [b"x"]
    assert pair.idle[1] == [1]


def failing(call, *arguments, **named):
    with pytest.raises(OSError, match=r".") as caught:
        call(*arguments, **named)
    return caught.value.errno


def test_wrong_calls_fail_as_those_of_the_system_do():
    pair = Pair()
    a, b = pair.ends
    here, there = pair.connected()
    assert failing(a.send, FIRST + 99, b"x") == errno.EBADF
    assert failing(a.send, a.socket(), b"x") == errno.ENOTCONN
    assert failing(a.connect, here, 1, 80) == errno.EISCONN
    assert failing(a.accept, here) == errno.EINVAL
    b.set_blocking(there, blocking=False)
    assert failing(b.receive, there, 1) == errno.EAGAIN
    a.shutdown(here)
    assert failing(a.send, here, b"x") == errno.EPIPE


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (Packet(Kind.DATA, Stream(1, 7), b"x"), "nobody opened"),
        (Packet.connect(Stream(1, 7), 1, 80), "not for this member"),
        (Packet.connect(Stream(0, 7), 0, 80), "not for this member"),
    ],
)
def test_packets_of_nobody_are_refused(packet, said):
    with pytest.raises(FormatError, match=said):
        Pair().ends[0].deliver(1, [packet])


def test_a_stream_that_goes_on_after_its_end_is_refused():
    pair = Pair()
    here, _ = pair.connected()
    stream = pair.ends[0]._sockets[here].stream
    assert stream is not None
    pair.ends[1].deliver(5, [Packet(Kind.END, stream)])
    with pytest.raises(FormatError, match="after its end"):
        pair.ends[1].deliver(6, [Packet(Kind.DATA, stream, b"x")])
