"""The SGX extension of PCK certificates."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.intel_hierarchy import Machine, der

from mc2.attestation.dcap.pck import parse_pck_extension
from mc2.errors import EvidenceError

RAW = Machine(smt=True).extension()


def test_a_platform_is_read() -> None:
    found = parse_pck_extension(RAW)
    assert found.components == (5,) * 8 + (0,) * 8
    assert (found.pcesvn, found.fmspc.hex(), found.pceid.hex()) == (13, "00806f050000", "0000")
    assert found.sgx_type == "Scalable"
    assert (found.dynamic_platform, found.cached_keys, found.smt) == (True, True, True)
    assert found.platform_id == "piid:" + (b"i" * 16).hex()


def test_a_processor_is_named_by_its_ppid() -> None:
    found = parse_pck_extension(Machine(piid=None).extension())
    assert (found.piid, found.smt) == (None, None)
    assert found.platform_id == "ppid:" + (b"p" * 16).hex()


def test_large_svns_are_positive() -> None:
    machine = Machine(components=(255, 128) + (0,) * 14, pcesvn=65535)
    found = parse_pck_extension(machine.extension())
    assert (found.components[:2], found.pcesvn) == ((255, 128), 65535)


@pytest.mark.parametrize(
    "machine",
    [
        Machine(components=(256,) + (0,) * 15),
        Machine(pcesvn=65536),
        Machine(components=(1,) * 15),
        Machine(components=(1,) * 17),
        Machine(pceid="00"),
        Machine(fmspc="00"),
        Machine(ppid=b"p"),
        Machine(piid=b"i" * 15),
        Machine(sgx_type=3),
    ],
)
def test_other_values_are_refused(machine: Machine) -> None:
    with pytest.raises(EvidenceError):
        parse_pck_extension(machine.extension())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        RAW + b"\0",
        RAW[:-1],
        b"\x31" + RAW[1:],
        der(0x30, b""),
        der(0x30, der(0x02, b"\1")),
        der(0x30, RAW),
        b"\x30\x80" + RAW[4:] + b"\0\0",  # indefinite length
        b"\x30\x83\x00" + RAW[2:],  # a length that is longer than need be
    ],
)
def test_other_encodings_are_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_pck_extension(raw)


def test_no_field_stands_twice_or_under_another_number() -> None:
    inner = RAW[4:]
    first = inner[: inner[1] + 2]
    with pytest.raises(EvidenceError):
        parse_pck_extension(der(0x30, inner + first))
    with pytest.raises(EvidenceError):
        parse_pck_extension(
            RAW.replace(first, first.replace(b"\x4d\x01\x0d\x01\x01", b"\x4d\x01\x0d\x02\x01"))
        )


def test_a_switch_is_true_or_false() -> None:
    with pytest.raises(EvidenceError):
        parse_pck_extension(RAW[:-1] + b"\x01")


@given(st.binary(max_size=200))
def test_noise_is_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_pck_extension(raw)


@given(st.integers(0, len(RAW) - 1), st.integers(0, 255))
def test_a_damaged_extension_is_read_or_refused(at: int, value: int) -> None:
    with suppress(EvidenceError):
        parse_pck_extension(RAW[:at] + bytes([value]) + RAW[at + 1 :])
