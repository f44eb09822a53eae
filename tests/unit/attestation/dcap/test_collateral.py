"""TCB info and QE identity: what is read strictly, and what is left to Intel."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.intel_hierarchy import Intel, Td, level, svn_level

from mc2.attestation.dcap.collateral import parse_qe_identity, parse_tcb_info, split_signed
from mc2.attestation.dcap.status import TcbStatus
from mc2.errors import EvidenceError

INFO = Intel(tcb_levels=(level(status="OutOfDate", advisories=["INTEL-SA-00001"]),)).tcb_info()
TDX_INFO = Intel(body=Td(), version=4).tcb_info()
IDENTITY = Intel(qe_levels=(svn_level(8), svn_level(4, "OutOfDate"))).qe_identity()
SIGNATURE = "0f" * 64


def changed(text: str, **changes: Any) -> bytes:
    return json.dumps({**json.loads(text), **changes}).encode()


def without(text: str, name: str) -> bytes:
    return json.dumps({k: v for k, v in json.loads(text).items() if k != name}).encode()


def test_tcb_info_is_read() -> None:
    info = parse_tcb_info(INFO.encode(), "SGX")
    assert (info.fmspc.hex(), info.pceid.hex(), info.number) == ("00806f050000", "0000", 19)
    assert info.levels[0].status is TcbStatus.OUT_OF_DATE
    assert info.levels[0].advisories == ("INTEL-SA-00001",)
    assert (info.module, info.modules) == (None, {})


def test_tdx_tcb_info_names_modules() -> None:
    info = parse_tcb_info(TDX_INFO.encode(), "TDX")
    assert info.module is not None
    assert [found.svn for found in info.modules["TDX_01"].levels] == [5, 2]


def test_the_qe_identity_is_read() -> None:
    identity = parse_qe_identity(IDENTITY.encode(), "SGX")
    assert [found.svn for found in identity.levels] == [8, 4]
    assert identity.miscselect_mask == 0xFFFFFFFF
    assert identity.attributes_mask.hex().startswith("fbff")


def test_miscselect_is_a_number_in_the_usual_order() -> None:
    raw = changed(IDENTITY, miscselect="01000000", miscselectMask="0F000000")
    identity = parse_qe_identity(raw, "SGX")
    assert (identity.miscselect, identity.miscselect_mask) == (1 << 24, 15 << 24)


def test_fields_that_intel_adds_are_left_alone() -> None:
    assert parse_tcb_info(changed(INFO, newField={"a": [1]}), "SGX").number == 19


@pytest.mark.parametrize(
    "name",
    [
        "id",
        "version",
        "issueDate",
        "nextUpdate",
        "fmspc",
        "pceId",
        "tcbType",
        "tcbEvaluationDataNumber",
        "tcbLevels",
    ],
)
def test_every_field_of_tcb_info_is_needed(name: str) -> None:
    with pytest.raises(EvidenceError, match=name):
        parse_tcb_info(without(INFO, name), "SGX")


@pytest.mark.parametrize("name", ["tdxModule", "tdxModuleIdentities"])
def test_tdx_tcb_info_needs_its_modules(name: str) -> None:
    with pytest.raises(EvidenceError, match=name):
        parse_tcb_info(without(TDX_INFO, name), "TDX")


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "TDX"},
        {"version": 2},
        {"version": True},
        {"version": "3"},
        {"tcbType": 1},
        {"fmspc": "00806f0500"},
        {"fmspc": "00806f05000g"},
        {"fmspc": "\uff100806f05000"},
        {"issueDate": "2026-05-29T12:00:00.000Z"},
        {"nextUpdate": "2026-13-01T00:00:00Z"},
        {"tcbEvaluationDataNumber": -1},
        {"tcbEvaluationDataNumber": 1 << 40},
        {"tcbLevels": {}},
        {"tcbLevels": [1]},
        {"tcbLevels": [level(sgx=(1,) * 15)]},
        {"tcbLevels": [level(sgx=(1,) * 17)]},
        {"tcbLevels": [level(sgx=(256,) * 16)]},
        {"tcbLevels": [level(pcesvn=65536)]},
        {"tcbLevels": [level(status="Fine")]},
        {"tcbLevels": [level(status="TDRelaunchAdvised")]},
        {"tcbLevels": [level(date="yesterday")]},
        {"tcbLevels": [level(advisories=["intel; rm"])]},
        {"tcbLevels": [level()] * 300},
    ],
)
def test_tcb_info_is_read_strictly(changes: dict[str, Any]) -> None:
    with pytest.raises(EvidenceError):
        parse_tcb_info(changed(INFO, **changes), "SGX")


def test_a_tdx_level_without_tdx_components_is_refused() -> None:
    with pytest.raises(EvidenceError, match="tdxtcbcomponents"):
        parse_tcb_info(changed(TDX_INFO, tcbLevels=[level()]), "TDX")


def test_a_tdx_module_stands_once() -> None:
    modules = json.loads(TDX_INFO)["tdxModuleIdentities"]
    with pytest.raises(EvidenceError, match="twice"):
        parse_tcb_info(changed(TDX_INFO, tdxModuleIdentities=modules * 2), "TDX")


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "TD_QE"},
        {"version": 1},
        {"miscselect": "0"},
        {"attributes": "11" * 15},
        {"mrsigner": "8c" * 31},
        {"isvprodid": 65536},
        {"tcbLevels": [svn_level(8, "SWHardeningNeeded")]},
        {"tcbLevels": [svn_level(65536)]},
        {"tcbLevels": [svn_level(4), svn_level(8)]},
        {"tcbLevels": [svn_level(8), svn_level(8, "OutOfDate")]},
    ],
)
def test_the_qe_identity_is_read_strictly(changes: dict[str, Any]) -> None:
    with pytest.raises(EvidenceError):
        parse_qe_identity(changed(IDENTITY, **changes), "SGX")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b'{"id":"SGX","id":"SGX"}',
        INFO.replace('"version": 3', '"version": 3.0').encode(),
        INFO.replace('"version": 3', '"version": NaN').encode(),
        b'{"a":' * 3000,
        INFO.encode() + b"\xff",
    ],
)
def test_other_json_is_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_tcb_info(raw, "SGX")


def test_the_signed_body_is_cut_out_byte_for_byte() -> None:
    body = ' {"b": 1,\n "a":"ü","signature":"no"}'.strip()
    raw = f'{{"tcbInfo":{body},"signature":"{SIGNATURE}"}}'.encode()
    signed = split_signed(raw, "tcbInfo")
    assert signed.body == body.encode()
    assert signed.signature == bytes.fromhex(SIGNATURE)


@pytest.mark.parametrize(
    "text",
    [
        f'{{"tcbinfo":{{}},"signature":"{SIGNATURE}"}}',
        f'{{"enclaveIdentity":{{}},"signature":"{SIGNATURE}"}}',
        f'{{"tcbInfo":{{}},"signature":"{SIGNATURE.upper()}"}}',
        f'{{"tcbInfo":{{}},"signature":"{SIGNATURE[:-2]}"}}',
        f'{{"tcbInfo":{{}}, "signature":"{SIGNATURE}"}}',
        f'{{"tcbInfo":{{}},"signature":"{SIGNATURE}"}}\n',
        f'{{"signature":"{SIGNATURE}","tcbInfo":{{}}}}',
        f'{{"tcbInfo":[],"signature":"{SIGNATURE}"}}',
        "",
        "{" * 300_000,
    ],
)
def test_the_answer_has_one_spelling(text: str) -> None:
    with pytest.raises(EvidenceError, match="signed tcbInfo"):
        split_signed(text.encode(), "tcbInfo")


@given(st.binary(max_size=300))
def test_noise_is_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        split_signed(raw, "tcbInfo")
    with pytest.raises(EvidenceError):
        parse_qe_identity(raw, "TDX")
