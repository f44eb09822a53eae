"""No byte of a quote or of its collateral can change unnoticed: the unsigned set is empty.

A quote carries bytes that no signature covers (PEM line ends, padding, lengths, the root); they
are all pinned by the one spelling that the parser takes.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.intel_quotes import GENUINE, evidence, verify
from tests.support.vectors import needs_vectors, verify_at

from mc2.attestation.dcap.endorsements import ENDORSEMENTS, parse_collateral
from mc2.attestation.dcap.quote import parse_quote
from mc2.attestation.dcap.verify import verify_quote
from mc2.attestation.roots import INTEL_ROOTS
from mc2.errors import EvidenceError

pytestmark = needs_vectors


def flipped(raw: bytes, at: int) -> bytes:
    """One bit of one byte flipped; which bit depends on the place, so that all are tried."""
    return raw[:at] + bytes([raw[at] ^ (1 << (at * 5 + at // 8) % 8)]) + raw[at + 1 :]


@pytest.mark.parametrize("case", GENUINE)
def test_no_byte_of_a_quote_can_change(case: str) -> None:
    raw, at = evidence(case), verify_at(case)
    collateral = parse_collateral(raw.endorsements, parse_quote(raw.evidence).tee)
    accepted = []
    for place in range(len(raw.evidence)):
        try:
            quote = parse_quote(flipped(raw.evidence, place))
            verify_quote(quote, collateral, roots=INTEL_ROOTS, at=at)
        except EvidenceError:
            continue
        accepted.append(place)
    assert accepted == []


@pytest.mark.parametrize("name", ENDORSEMENTS)
@pytest.mark.parametrize("case", ["sgx-v3-phala", "tdx-v5-google-uptodate"])
def test_no_byte_of_collateral_can_change(case: str, name: str) -> None:
    raw, at = evidence(case), verify_at(case)
    whole = raw.endorsements[name]
    # Every byte of what is short; of the long ones every thirteenth, and both ends in full.
    step = 1 if len(whole) < 400 else 13
    places = {*range(0, len(whole), step), *range(60), *range(len(whole) - 90, len(whole))}
    accepted = []
    for place in sorted(places):
        changed = {**raw.endorsements, name: flipped(whole, place)}
        try:
            verify(replace(raw, endorsements=changed), at)
        except EvidenceError:
            continue
        accepted.append(place)
    assert accepted == []


@pytest.mark.parametrize("case", ["sgx-v3-automata", "tdx-v4-phala-uptodate"])
def test_other_spellings_of_the_chain_are_refused(case: str) -> None:
    raw = evidence(case).evidence
    start = raw.index(b"-----BEGIN")
    for old, new in (
        (b"\n", b"\r\n"),
        (b"-----END", b" -----END"),
        (b"-----BEGIN CERTIFICATE-----\n", b"comment\n-----BEGIN CERTIFICATE-----\n"),
    ):
        at = raw.index(old, start + 64 if old == b"\n" else start)
        longer = raw[:at] + new + raw[at + len(old) :]
        with pytest.raises(EvidenceError):
            parse_quote(longer)
