"""The vectors of job bundles, results and frames, through their parsers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mc2.errors import FormatError
from mc2.formats.bundle import JobBundle
from mc2.formats.frames import FrameReader
from mc2.formats.result import Result
from mc2.formats.worker import parse_from_host

FOLDER = Path(__file__).resolve().parents[2] / "vectors"


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


READERS: dict[str, Callable[[bytes], bytes]] = {
    "job-bundle": lambda raw: JobBundle.parse(raw).encode(),
    "result": lambda raw: Result.parse(raw).encode(),
    "frame": read_frame,
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
