"""A folder with a quote and its collateral."""

from __future__ import annotations

import json

import pytest
from tests.support.intel_hierarchy import NOW, Intel, Td
from tests.support.intel_quotes import verify

from mc2.attestation.dcap.endorsements import ENDORSEMENTS
from mc2.attestation.dcap.folder import read_case, read_collateral
from mc2.errors import EvidenceError


@pytest.mark.parametrize("intel", [Intel(), Intel(body=Td(), version=4)], ids=["sgx", "tdx"])
def test_a_folder_becomes_evidence(intel: Intel) -> None:
    files = {"quote.bin": intel.quote(), "collateral.json": json.dumps(intel.collateral()).encode()}
    raw = read_case(files)
    assert set(raw.endorsements) == set(ENDORSEMENTS)
    assert verify(raw, NOW, intel.pins()).details["tcb_status"] == "UpToDate"


def test_collateral_may_be_elsewhere() -> None:
    raw = read_case({"quote.bin": Intel().quote()})
    assert raw.endorsements == {}
    with pytest.raises(EvidenceError, match="comes without tcb_info"):
        verify(raw, NOW, Intel().pins())
    with pytest.raises(EvidenceError, match=r"quote\.bin"):
        read_case({"collateral.json": b"{}"})


@pytest.mark.parametrize("name", Intel().collateral())
def test_every_field_is_needed(name: str) -> None:
    found = Intel().collateral()
    del found[name]
    with pytest.raises(EvidenceError, match=name):
        read_collateral(json.dumps(found).encode())


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b'{"a":' * 9999, b" " * (5 << 20)])
def test_other_json_is_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        read_collateral(raw)


def test_lists_are_hex() -> None:
    with pytest.raises(EvidenceError, match="hex"):
        read_collateral(json.dumps({**Intel().collateral(), "pck_crl": "0g"}).encode())
