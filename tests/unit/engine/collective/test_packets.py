"""Packets between processes that train together: one form, read strictly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.engine.collective.packets import PAYLOAD, Kind, Packet, Stream, packets
from mc2.errors import FormatError

STREAMS = st.builds(Stream, st.integers(0, 65535), st.integers(0, 2**32 - 1))
PACKETS = st.one_of(
    st.builds(Packet.connect, STREAMS, st.integers(0, 65535), st.integers(0, 65535)),
    st.builds(Packet, st.just(Kind.DATA), STREAMS, st.binary(min_size=1, max_size=50)),
    st.builds(Packet, st.just(Kind.END), STREAMS),
)


@given(st.lists(PACKETS, max_size=5))
def test_packets_survive_their_encoding(some):
    assert list(packets(b"".join(p.encode() for p in some))) == some


@given(PACKETS, st.data())
def test_what_is_cut_off_is_refused(packet, data):
    raw = packet.encode()
    with pytest.raises(FormatError, match="cut off"):
        list(packets(raw[: data.draw(st.integers(1, len(raw) - 1))]))


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (Packet(Kind.DATA, Stream(0, 0)), "another length"),
        (Packet(Kind.END, Stream(0, 0), b"x"), "another length"),
        (Packet(Kind.CONNECT, Stream(0, 0), b"xxx"), "another length"),
        (Packet(Kind.DATA, Stream(0, 0), bytes(PAYLOAD + 1)), "too long"),
    ],
)
def test_packets_of_wrong_lengths_are_refused(packet, said):
    with pytest.raises(FormatError, match=said):
        list(packets(packet.encode()))


def test_a_packet_of_no_kind_is_refused():
    raw = bytearray(Packet(Kind.END, Stream(0, 0)).encode())
    raw[0] = 9
    with pytest.raises(FormatError, match="no kind"):
        list(packets(bytes(raw)))
