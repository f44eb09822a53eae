from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.errors import FormatError
from mc2.formats.frames import Frame, FrameReader
from mc2.formats.limits import LIMITS

HEADERS = st.dictionaries(
    st.text(max_size=8),
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), st.text(max_size=20)),
    max_size=4,
)
FRAMES = st.builds(Frame, HEADERS, st.binary(max_size=300))


def read_all(raw: bytes, piece: int = 1 << 20) -> list[Frame]:
    """Every frame of a whole stream, fed in pieces."""
    reader, found, at = FrameReader(), [], 0
    while at < len(raw):
        step = min(piece, reader.wanted)
        if (frame := reader.feed(raw[at : at + step])) is not None:
            found.append(frame)
        at += step
    if not reader.between_frames:
        raise FormatError("the stream ends inside a frame")
    return found


@given(frames=st.lists(FRAMES, max_size=4), piece=st.integers(1, 50))
def test_frames_come_back_whatever_the_pieces(frames: list[Frame], piece: int) -> None:
    raw = b"".join(b"".join(f.encode()) for f in frames)
    assert read_all(raw, piece) == frames


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_frames_or_a_format_error(raw: bytes) -> None:
    try:
        frames = read_all(raw)
    except FormatError:
        return
    assert b"".join(b"".join(f.encode()) for f in frames) == raw


@given(frame=FRAMES, at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_an_altered_byte_is_another_frame_or_an_error(frame: Frame, at: int, flip: int) -> None:
    raw = bytearray(b"".join(frame.encode()))
    raw[at % len(raw)] ^= flip
    with suppress(FormatError):
        assert read_all(bytes(raw)) != [frame]


def lengths(header: int, body: int) -> bytes:
    return struct.pack(">II", header, body)


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (0, 0),
        (1, 0),
        (LIMITS.frame_header_bytes + 1, 0),
        (0xFFFFFFFF, 0),
        (2, LIMITS.frame_body_bytes + 1),
        (2, 0xFFFFFFFF),
    ],
)
def test_refuses_lengths_before_taking_what_they_announce(header: int, body: int) -> None:
    with pytest.raises(FormatError, match="a frame's"):
        FrameReader().feed(lengths(header, body))


def test_takes_no_memory_for_what_is_only_announced() -> None:
    reader = FrameReader()
    reader.feed(lengths(2, LIMITS.frame_body_bytes))
    assert reader.wanted == LIMITS.frame_body_bytes + 2
    assert len(reader._buffer) == 0


@pytest.mark.parametrize(
    "header",
    [b"[]", b'"x"', b"17", b"{} ", b'{"a": 1}', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b"{'a':1}"],
)
def test_refuses_a_header_that_is_no_canonical_object(header: bytes) -> None:
    with pytest.raises(FormatError):
        read_all(lengths(len(header), 0) + header)


def test_reads_nothing_after_a_broken_frame() -> None:
    reader = FrameReader()
    with pytest.raises(FormatError):
        reader.feed(lengths(0, 0))
    assert not reader.between_frames
    with pytest.raises(FormatError, match="after a broken frame"):
        reader.feed(b"")


def test_a_caller_may_not_feed_more_than_wanted() -> None:
    with pytest.raises(ValueError, match="more bytes"):
        FrameReader().feed(b"123456789")


def test_knows_whether_a_stream_may_end() -> None:
    reader = FrameReader()
    assert reader.between_frames
    for byte in b"".join(Frame({"type": "x"}, b"body").encode())[:-1]:
        assert reader.feed(bytes([byte])) is None
        assert not reader.between_frames
    assert reader.feed(b"y") == Frame({"type": "x"}, b"body"[:-1] + b"y")
    assert reader.between_frames


def test_refuses_to_write_more_than_the_ceilings() -> None:
    with pytest.raises(FormatError, match="header"):
        Frame({"text": "x" * LIMITS.frame_header_bytes}).encode()

    class Huge(bytes):
        def __len__(self) -> int:
            return LIMITS.frame_body_bytes + 1

    with pytest.raises(FormatError, match="body"):
        Frame({}, Huge()).encode()
