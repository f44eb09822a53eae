"""Frames between an enclave and its process for trainings: whole, in order, of known kinds."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from mc2.engine.collective import link as module
from mc2.engine.collective.link import MESSAGE, Frame, GoneError, Link, Tag
from mc2.engine.collective.training import Head
from mc2.errors import FormatError


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("size", [0, 1, MESSAGE, MESSAGE + 1, 2 * MESSAGE])
def test_frames_of_any_length_arrive_whole(pair, size):
    ours, theirs = pair
    frame = Frame(Tag.ROWS, bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    Link(ours).send(frame)
    other = Link(theirs)
    assert other.waits(0)
    assert other.receive() == frame
    assert not other.waits(0)


@pytest.mark.parametrize(
    "raw", [b"\x01", bytes((0, 0)), bytes((99, 0)), bytes((Tag.GO, 2)), bytes((7, 0, 1))]
)
def test_what_is_no_frame_is_refused(pair, raw):
    ours, theirs = pair
    ours.send(raw)
    with pytest.raises(FormatError, match="no frame"):
        Link(theirs).receive()


def test_a_frame_does_not_begin_within_another(pair):
    ours, theirs = pair
    ours.send(bytes((Tag.PACKET, 1)) + b"first")
    ours.send(bytes((Tag.MODEL, 0)) + b"second")
    with pytest.raises(FormatError, match="into one another"):
        Link(theirs).receive()


def test_a_frame_has_an_end(pair, monkeypatch):
    monkeypatch.setattr(module, "FRAME", 100)
    ours, theirs = pair
    for _ in range(2):
        ours.send(bytes((Tag.PACKET, 1)) + b"x" * 60)
    with pytest.raises(FormatError, match="without an end"):
        Link(theirs).receive()


def test_the_end_of_a_process_ends_what_it_was_saying(pair):
    ours, theirs = pair
    ours.send(bytes((Tag.PACKET, 1)) + b"cut off")
    ours.send(bytes((Tag.ENDED, 0)) + b"-9")
    assert Link(theirs).receive() == Frame(Tag.ENDED, b"-9")


def test_nobody_is_heard_who_has_gone(pair):
    ours, theirs = pair
    ours.close()
    with pytest.raises(GoneError):
        Link(theirs).receive()
    with pytest.raises(GoneError):
        Link(theirs).send(Frame(Tag.GO))


HEAD = Head(member=1, members=2, node=3, threads=4, plan=b"plan")


def test_the_head_of_a_training_survives_its_encoding():
    assert Head.parse(HEAD.encode()) == HEAD


@pytest.mark.parametrize("length", [0, 1 << 20])
def test_a_head_that_is_cut_off_is_refused(length):
    with pytest.raises(FormatError, match="cut off"):
        Head.parse(length.to_bytes(4, "big") + HEAD.encode()[4:])


@pytest.mark.parametrize(
    "wrong",
    [
        Head(member=2, members=2, node=3, threads=4, plan=b""),
        Head(member=0, members=0, node=3, threads=4, plan=b""),
        Head(member=0, members=1, node=-1, threads=4, plan=b""),
        Head(member=0, members=1, node=0, threads=0, plan=b""),
    ],
)
def test_a_head_with_numbers_that_cannot_be_is_refused(wrong):
    with pytest.raises(FormatError):
        Head.parse(wrong.encode())
