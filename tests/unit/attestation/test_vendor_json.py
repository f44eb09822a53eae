"""JSON of vendors: one meaning for every reader, or none."""

from __future__ import annotations

import pytest

from mc2.attestation.vendor_json import read_json
from mc2.errors import EvidenceError


def test_any_spelling_is_read() -> None:
    assert read_json(b' {"b": [1, true, null],\n "a": "\\u00e9"} ', "it") == {
        "b": [1, True, None],
        "a": "é",
    }


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": 1, "a": 1}',
        b'{"x": {"a": 1, "a": 2}}',
        b"1.5",
        b"1e3",
        b"NaN",
        b"-Infinity",
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b"9" * 5_000,
    ],
)
def test_what_could_mean_two_things_is_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError, match="it: not JSON"):
        read_json(raw, "it")
