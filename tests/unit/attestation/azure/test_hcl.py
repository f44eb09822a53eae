"""The HCL report's wrapper, and the runtime data in it."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.azure_machines import Azure, json_key
from tests.support.tpm_quotes import rsa_key, spki
from tests.support.vectors import case_files, needs_vectors

from mc2.attestation.azure.folder import read_azure_case
from mc2.attestation.azure.hcl import parse_hcl_report
from mc2.attestation.azure.runtime_data import parse_runtime_data
from mc2.errors import EvidenceError

RUNTIME = Azure().runtime_data()
HARDWARE = bytes(range(256)) * 4 + bytes(160)


def u32(*numbers: int) -> bytes:
    return b"".join(n.to_bytes(4, "little") for n in numbers)


def wrap(
    *,
    magic: bytes = b"HCLA",
    version: int = 2,
    request: int = 2,
    reserved: bytes = bytes(16),
    data_version: int = 1,
    kind: int = 2,
    hash_type: int = 1,
    extra: int = 0,
    tail: bytes = bytes(99),
) -> bytes:
    size = 20 + len(RUNTIME)
    head = magic + u32(version, 32 + 1184 + size + extra, request) + reserved
    return head + HARDWARE + u32(size, data_version, kind, hash_type, len(RUNTIME)) + RUNTIME + tail


@pytest.mark.parametrize(("kind", "name"), [(2, "SNP"), (4, "TDX")])
@pytest.mark.parametrize("version", [1, 2])
def test_the_wrapper_comes_off(kind: int, name: str, version: int) -> None:
    found = parse_hcl_report(wrap(kind=kind, version=version))
    assert (found.kind, found.hardware, found.runtime_data) == (name, HARDWARE, RUNTIME)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        wrap(magic=b"HCLB"),
        wrap(version=3),
        wrap(request=1),
        wrap(reserved=bytes(15) + b"\1"),
        wrap(data_version=2),
        wrap(kind=3),
        wrap(hash_type=2),
        wrap(extra=1),
        wrap(tail=bytes(50) + b"\1"),
        wrap(tail=b"")[:-1],
        bytes(70_000),
    ],
)
def test_other_wrappers_are_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_hcl_report(raw)


@given(st.integers(0, 1250), st.integers(1, 255))
def test_a_damaged_wrapper_is_read_or_refused(at: int, change: int) -> None:
    raw = wrap()
    with suppress(EvidenceError):
        parse_hcl_report(raw[:at] + bytes([raw[at] ^ change]) + raw[at + 1 :])


def test_runtime_data_are_read() -> None:
    found = parse_runtime_data(RUNTIME)
    assert found.ak_spki == spki(rsa_key("vtpm"))
    assert (found.secure_boot, found.console) == (True, False)


def changed(**changes: object) -> bytes:
    return json.dumps({**json.loads(RUNTIME), **changes}).encode()


SETUP = json.loads(RUNTIME)["vm-configuration"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"keys":[],"keys":[]}',
        b'{"a":' * 9000,
        changed(keys=[]),
        changed(keys=[{**json_key("HCLAkPub", "vtpm"), "kty": "EC"}]),
        changed(keys=[{**json_key("HCLAkPub", "vtpm"), "e": "Ag"}]),
        changed(keys=[{**json_key("HCLAkPub", "vtpm"), "n": "*"}]),
        changed(keys=[{**json_key("HCLAkPub", "vtpm"), "n": ""}]),
        changed(keys=[1]),
        changed(**{"vm-configuration": {**SETUP, "secure-boot": "true"}}),
        changed(**{"vm-configuration": {**SETUP, "console-enabled": 1}}),
        changed(**{"vm-configuration": {}}),
        changed(more=1.5),
        b" " * 20_000,
    ],
)
def test_runtime_data_are_read_strictly(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_runtime_data(raw)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b'{"report":[300]}', b'{"hcl_report":"*"}', b'{"hcl_report":"AAAA"}'],
)
def test_other_files_are_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        read_azure_case({"evidence.json": raw})


@needs_vectors
def test_a_td_quote_may_come_without_collateral() -> None:
    assert read_azure_case(dict(case_files("vtpm-azure-tdx"))).endorsements == {}
    with pytest.raises(EvidenceError, match="not Azure evidence"):
        read_azure_case(dict(case_files("tpm-coco")))
