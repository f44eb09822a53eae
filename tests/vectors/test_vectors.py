"""Every vector, through the parser and verifier of its format."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tools.vectors import world

from mc2.errors import FormatError, Mc2Error
from mc2.formats.canonical import decode, encode
from mc2.formats.card import verify_card
from mc2.formats.cluster import Admission, Invitation, MemberEvidence, Probe
from mc2.formats.contract import verify_contract
from mc2.formats.home import verify_joined
from mc2.formats.job import Approval, Proposal, Rejection
from mc2.formats.receipt import Receipt
from mc2.formats.release import Challenge, Evidence, Grant

FOLDER = Path(__file__).resolve().parents[2] / "vectors"
AT = datetime(2026, 6, 1, tzinfo=UTC)


def _key_of(name):
    return world.signing_key(name).public


def _canonical(raw: bytes) -> None:
    assert encode(decode(raw, 1 << 20, "vector")) == raw


READERS: dict[str, Callable[[bytes], object]] = {
    "canonical-json": _canonical,
    "card": verify_card,
    "contract": lambda raw: verify_contract(raw, at=AT),
    "receipt": lambda raw: Receipt.verify(raw, _key_of),
    "proposal": lambda raw: Proposal.verify(raw, _key_of),
    "approval": lambda raw: Approval.verify(raw, _key_of),
    "rejection": lambda raw: Rejection.verify(raw, _key_of),
    "challenge": lambda raw: Challenge.verify(raw, _key_of),
    "evidence": lambda raw: Evidence.verify(raw, _key_of),
    "grant": lambda raw: Grant.verify(raw, _key_of),
    "invitation": lambda raw: Invitation.verify(raw, _key_of),
    "member-evidence": lambda raw: MemberEvidence.verify(raw, _key_of),
    "home-evidence": lambda raw: verify_joined(raw, _key_of),
    "probe": lambda raw: Probe.verify(raw, _key_of),
    "admission": lambda raw: Admission.verify(raw, _key_of),
}

CASES = [
    pytest.param(case, id=f"{case['format']}-{case['name']}")
    for path in sorted(FOLDER.glob("*.json"))
    for case in json.loads(path.read_text())
    if case["format"] in READERS
]


def raw_bytes(case: dict[str, str]) -> bytes:
    return bytes.fromhex(case["hex"]) if "hex" in case else case["text"].encode()


@pytest.mark.parametrize("case", CASES)
def test_vector(case):
    read = READERS[case["format"]]
    if case["expect"] == "accept":
        read(raw_bytes(case))
        return
    with pytest.raises(Mc2Error) as caught:
        read(raw_bytes(case))
    assert type(caught.value).__name__ == case["error"], caught.value


def test_both_outcomes_are_covered():
    for name in READERS:
        expectations = {p.values[0]["expect"] for p in CASES if p.values[0]["format"] == name}
        assert expectations == {"accept", "reject"}, name


@pytest.mark.parametrize("name", sorted(set(READERS) - {"canonical-json"}))
def test_every_flipped_byte_is_refused(name):
    """One byte changed anywhere: never accepted, never anything but a typed error."""
    case = next(p.values[0] for p in CASES if p.values[0]["format"] == name)
    raw = bytearray(raw_bytes(case))
    step = max(1, len(raw) // 400)
    for at in range(0, len(raw), step):
        raw[at] ^= 0x01
        with pytest.raises(Mc2Error):
            READERS[name](bytes(raw))
        raw[at] ^= 0x01


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_truncation_is_refused(name):
    case = next(p.values[0] for p in CASES if p.values[0]["format"] == name)
    raw = raw_bytes(case)
    for end in range(0, len(raw), max(1, len(raw) // 100)):
        with pytest.raises(FormatError):
            READERS[name](raw[:end])
