"""The vectors of job bundles, results, frames, turns at home and statuses, through their parsers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mc2.errors import FormatError
from mc2.formats.bundle import JobBundle
from mc2.formats.canonical import decode, encode
from mc2.formats.frames import FrameReader
from mc2.formats.home_line import HomeTurn
from mc2.formats.result import Result
from mc2.formats.status import JobStatus
from mc2.formats.worker import parse_from_enclave, parse_from_host

FOLDER = Path(__file__).resolve().parents[2] / "vectors"


def read_turn(raw: bytes) -> bytes:
    turn = HomeTurn.parse(raw)
    if turn.frame:
        assert b"".join(HomeTurn.frame_of(turn.frame).encode()) == turn.frame
    return turn.encode()


def read_message(raw: bytes) -> bytes:
    frame = HomeTurn.frame_of(raw)
    parse = parse_from_host if frame.header["type"] in TO_ENCLAVES else parse_from_enclave
    return b"".join(parse(frame).frame().encode())


def read_frame(raw: bytes) -> bytes:
    reader, at, written = FrameReader(), 0, b""
    while at < len(raw):
        step = reader.wanted
        frame = reader.feed(raw[at : at + step])
        at += step
        if frame is not None:
            written += b"".join(parse_from_host(frame).frame().encode())
    if not reader.between_frames:
        raise FormatError("the stream ends inside a frame")
    return written


TO_ENCLAVES = ("prove", "told")
READERS: dict[str, Callable[[bytes], bytes]] = {
    "job-bundle": lambda raw: JobBundle.parse(raw).encode(),
    "result": lambda raw: Result.parse(raw).encode(),
    "frame": read_frame,
    "home-turn": read_turn,
    "worker-message": read_message,
    "job-status": lambda raw: encode(JobStatus.read(decode(raw, 1 << 20, "vector")).json()),
}
CASES = [
    pytest.param(case, id=f"{name}-{case['name']}")
    for name in READERS
    for case in json.loads((FOLDER / f"{name}.json").read_text())
]


@pytest.mark.parametrize("case", CASES)
def test_vector(case: dict[str, str]) -> None:
    raw = bytes.fromhex(case["hex"]) if "hex" in case else case["text"].encode()
    read = READERS[case["format"]]
    if case["expect"] == "accept":
        assert read(raw) == raw
        return
    with pytest.raises(FormatError) as caught:
        read(raw)
    assert type(caught.value).__name__ == case["error"]


@pytest.mark.parametrize("kind", ["prove", "told", "proved", "ask", "stages", "stage", "round"])
def test_messages_go_one_way_alone(kind: str) -> None:
    cases = json.loads((FOLDER / "worker-message.json").read_text())
    (raw,) = (bytes.fromhex(c["hex"]) for c in cases if c["name"] == kind)
    wrong = parse_from_enclave if kind in TO_ENCLAVES else parse_from_host
    with pytest.raises(FormatError):
        wrong(HomeTurn.frame_of(raw))
