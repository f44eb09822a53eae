"""The leader's switch: a member speaks for itself alone."""

from __future__ import annotations

import pytest

from mc2.engine.collective.packets import Kind, Packet, Stream
from mc2.engine.collective.switch import Switch
from mc2.errors import FormatError, JobError

STREAM = Stream(1, 0)


def switch() -> Switch:
    """Three members; member 1 has opened a stream to member 2."""
    found = Switch(3)
    found.take(1, Packet.connect(STREAM, 2, 80).encode())
    return found


def data(text: bytes = b"x", stream: Stream = STREAM) -> bytes:
    return Packet(Kind.DATA, stream, text).encode()


def test_packets_reach_the_other_end_in_order():
    found = switch()
    found.packets(2, 1000)
    found.take(1, data(b"a") + data(b"b"))
    found.take(2, data(b"c"))
    assert not found.waits(0)
    assert found.packets(2, 1000) == data(b"a") + data(b"b")
    assert found.packets(1, 1000) == data(b"c")
    assert not found.waits(1)


def test_a_long_queue_comes_in_several_pieces():
    found = switch()
    found.take(1, data(b"a" * 10) + data(b"b" * 10))
    sizes = []
    while found.waits(2):
        sizes.append(len(found.packets(2, 30)))
    assert len(sizes) == 3


@pytest.mark.parametrize(
    ("sender", "raw", "said"),
    [
        (0, data(), "not its own"),
        (1, data(stream=Stream(1, 1)), "not its own"),
        (2, Packet.connect(Stream(1, 1), 0, 80).encode(), "not its to open"),
        (1, Packet.connect(Stream(1, 1), 1, 80).encode(), "not its to open"),
        (1, Packet.connect(Stream(1, 1), 3, 80).encode(), "not its to open"),
        (1, Packet.connect(STREAM, 0, 80).encode(), "twice"),
    ],
)
def test_who_speaks_for_another_is_refused(sender, raw, said):
    with pytest.raises(JobError, match=said):
        switch().take(sender, raw)


def test_a_stream_that_ended_stays_so():
    found = switch()
    found.take(1, Packet(Kind.END, STREAM).encode())
    with pytest.raises(JobError, match="after the end"):
        found.take(1, data())
    found.take(2, data())  # the other direction goes on


def test_what_is_no_packet_is_refused():
    with pytest.raises(FormatError):
        switch().take(1, b"\xff" * 20)
