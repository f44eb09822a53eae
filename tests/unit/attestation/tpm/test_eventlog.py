"""Event logs: replayed, padded, damaged."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.vectors import case_files, expected, needs_vectors

from mc2.attestation.dcap.quote import TdReport, parse_quote
from mc2.attestation.tpm.eventlog import NO_ACTION, parse_event_log, replay
from mc2.attestation.tpm.quote import match_log
from mc2.attestation.tpm.structures import parse_attest
from mc2.errors import EvidenceError


def u32(number: int) -> bytes:
    return number.to_bytes(4, "little")


def u16(number: int) -> bytes:
    return number.to_bytes(2, "little")


def header(
    *banks: tuple[int, int], tag: bytes = b"Spec ID Event03\0", vendor: bytes = b""
) -> bytes:
    data = tag + bytes(8) + u32(len(banks)) + b"".join(u16(a) + u16(n) for a, n in banks)
    data += bytes([len(vendor)]) + vendor
    return u32(0) + u32(NO_ACTION) + bytes(20) + u32(len(data)) + data


def event(register: int, kind: int, digests: dict[int, bytes], data: bytes = b"") -> bytes:
    joined = b"".join(u16(alg) + value for alg, value in digests.items())
    return u32(register) + u32(kind) + u32(len(digests)) + joined + u32(len(data)) + data


SHA256 = ((0x0B, 32),)
D1, D2 = b"1" * 32, b"2" * 32
LOG = header(*SHA256, vendor=b"x") + event(4, 0x0D, {0x0B: D1}, b"one") + event(4, 0x0D, {0x0B: D2})


def test_registers_are_extended_in_order() -> None:
    log = parse_event_log(LOG)
    once = hashlib.sha256(bytes(32) + D1).digest()
    assert log.replay("sha256") == {4: hashlib.sha256(once + D2).digest()}
    assert log.digests("sha256") == {4: (D1, D2)}
    assert replay((D2, D1), "sha256") != replay((D1, D2), "sha256")


def test_remarks_extend_nothing() -> None:
    log = parse_event_log(header(*SHA256) + event(7, NO_ACTION, {0x0B: D1}))
    assert log.replay("sha256") == {}


def test_the_startup_locality_begins_register_0() -> None:
    remark = event(0, NO_ACTION, {0x0B: bytes(32)}, b"StartupLocality\0\x03")
    log = parse_event_log(header(*SHA256) + remark + event(0, 1, {0x0B: D1}))
    assert log.replay("sha256") == {0: hashlib.sha256(bytes(31) + b"\x03" + D1).digest()}
    other = event(0, NO_ACTION, {0x0B: bytes(32)}, b"StartupLocality\0\x01")
    plain = parse_event_log(header(*SHA256) + other + event(0, 1, {0x0B: D1}))
    assert plain.replay("sha256") == {0: hashlib.sha256(bytes(32) + D1).digest()}


def test_each_bank_is_replayed_by_itself() -> None:
    raw = header((0x04, 20), (0x0B, 32), (0x0C, 48)) + event(
        1, 5, {0x04: b"a" * 20, 0x0B: D1, 0x0C: b"b" * 48}
    )
    log = parse_event_log(raw)
    assert log.replay("sha384") == {1: hashlib.sha384(bytes(48) + b"b" * 48).digest()}
    with pytest.raises(EvidenceError, match="does not cover the bank sha384"):
        parse_event_log(LOG).replay("sha384")


@pytest.mark.parametrize("padding", [b"\0", b"\xff", bytes(500), b"\xff" * 500])
def test_padding_may_follow(padding: bytes) -> None:
    assert parse_event_log(LOG + padding) == parse_event_log(LOG)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        bytes(32),
        LOG[32:],
        LOG[:-1],
        LOG + b"\0\xff",
        LOG + b"\1",
        header(*SHA256, tag=b"Spec ID Event00\0") + LOG[-20:],
        header((0x0B, 20)),
        header((0x0B, 32), (0x0B, 32)),
        header((0x77, 32)),
        header(*SHA256) + event(24, 1, {0x0B: D1}),
        header(*SHA256) + event(1, 1, {}),
        header(*SHA256) + event(1, 1, {0x0C: b"b" * 48}),
        header(*SHA256) + event(1, 1, {0x0B: D1, 0x0C: b"b" * 48}),
        header((0x04, 20), (0x0B, 32)) + u32(1) + u32(1) + u32(2) + (u16(0x0B) + D1) * 2 + u32(0),
        header(*SHA256) + event(1, 1, {0x0B: D1})[:-4] + u32(1 << 30),
        header(*SHA256) + event(1, 1, {0x0B: D1}) * 8193,
        bytes(2 << 20),
    ],
)
def test_other_logs_are_refused(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_event_log(raw)


@given(st.integers(0, len(LOG) - 1), st.binary(min_size=1, max_size=4))
def test_a_damaged_log_is_read_or_refused(at: int, noise: bytes) -> None:
    with suppress(EvidenceError):
        parse_event_log(LOG[:at] + noise + LOG[at + len(noise) :])


@given(
    st.lists(st.binary(min_size=32, max_size=32), max_size=6), st.binary(min_size=32, max_size=32)
)
def test_nothing_can_be_inserted_unseen(digests: list[bytes], more: bytes) -> None:
    for at in range(len(digests) + 1):
        assert replay((*digests[:at], more, *digests[at:]), "sha256") != replay(digests, "sha256")


@needs_vectors
@pytest.mark.parametrize("case", ["eventlog-gcp-snp-ubuntu2404", "eventlog-tpm2-crypto-agile"])
def test_genuine_logs_replay(case: str) -> None:
    want = expected(case)
    log = parse_event_log(case_files(case)["eventlog.bin"])
    assert len(log.events) == want["events"]
    registers = log.replay("sha256")
    for name, prefix in want.items():
        if name.startswith("replayed_sha256_pcr"):
            number = int(name.removeprefix("replayed_sha256_pcr").removesuffix("_prefix"))
            assert registers[number].hex().startswith(prefix)


@needs_vectors
def test_the_log_of_a_td_explains_its_registers_where_it_is_of_the_same_moment() -> None:
    files = case_files("eventlog-tdx-ccel-live")
    log, body = parse_event_log(files["ccel.bin"]), parse_quote(files["quote.bin"]).body
    assert isinstance(body, TdReport)
    assert len(log.events) == 20
    match_log(log, {1: body.rtmr[0], 2: body.rtmr[1]}, "sha384")
    for register in (1, 2):
        with pytest.raises(EvidenceError, match=f"register {register}"):
            match_log(log, {register: body.rtmr[2]}, "sha384")
    with pytest.raises(EvidenceError, match="register 3"):
        match_log(log, {3: body.rtmr[2]}, "sha384")
    match_log(log, {4: body.rtmr[3]}, "sha384")  # never extended: zeros


@needs_vectors
def test_a_log_taken_inside_a_measured_machine_explains_its_quote() -> None:
    files, want = case_files("tpm-uki-vm-local"), expected("tpm-uki-vm-local")
    log = parse_event_log(files["eventlog.bin"])
    registers = log.replay("sha256")
    attest = parse_attest(files["quote.attest"])
    joined = b"".join(registers.get(n, bytes(32)) for n in attest.selected)
    assert hashlib.sha256(joined).digest() == attest.pcr_digest
    # Register 11 from the image alone: name and contents of each section, in the stub's order.
    measured = []
    for name, contents in want["uki_section_sha256_in_stub_order"].items():
        measured += [hashlib.sha256(name.encode() + b"\0").digest(), bytes.fromhex(contents)]
    assert replay(measured, "sha256") == registers[11]
    assert registers[11].hex() in want["pcr11"]
