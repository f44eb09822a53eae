"""Commands as bytes, against bytes worked out by hand from the specification."""

from __future__ import annotations

import hashlib

import pytest

from mc2.attestation.tpm import commands
from mc2.attestation.tpm.structures import (
    DECRYPT,
    FIXED_PARENT,
    FIXED_TPM,
    RESTRICTED,
    SENSITIVE_DATA_ORIGIN,
    SIGN,
)
from mc2.errors import AttestationError


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (commands.startup(), "8001 0000000c 00000144 0000"),
        (commands.shutdown(), "8001 0000000c 00000145 0000"),
        (commands.get_random(16), "8001 0000000c 0000017b 0010"),
        (commands.flush_context(0x80000001), "8001 0000000e 00000165 80000001"),
        (commands.read_public(0x81000003), "8001 0000000e 00000173 81000003"),
        (commands.nv_read_public(0x01C00002), "8001 0000000e 00000169 01c00002"),
        (
            commands.nv_read(0x01C00002, 512, 1024),
            "8002 00000023 0000014e 40000001 01c00002 00000009 40000009 0000 00 0000 0200 0400",
        ),
        (
            commands.pcr_read("sha256", (0, 7, 11, 23)),
            "8001 00000014 0000017e 00000001 000b 03 810880",
        ),
        (
            commands.pcr_extend(11, "sha256", bytes(32)),
            "8002 00000041 00000182 0000000b 00000009 40000009 0000 00 0000 00000001 000b"
            + "00" * 32,
        ),
        (
            commands.quote(0x80000000, b"\xaa" * 4, "sha256", (4,)),
            (
                "8002 0000002d 00000158 80000000 00000009 40000009 0000 00 0000 0004 aaaaaaaa 0010"
                "00000001 000b 03 100000"
            ),
        ),
        (
            commands.start_policy_session(bytes(16)),
            "8001 0000002b 00000176 40000007 40000007 0010" + "00" * 16 + "0000 01 0010 000b",
        ),
        (
            commands.policy_secret(0x03000000),
            (
                "8002 00000029 00000151 4000000b 03000000 00000009 40000009 0000 00 0000 0000 0000 0000"
                "00000000"
            ),
        ),
        (
            commands.activate_credential(0x80000001, 0x80000000, 0x03000000, b"\xbb", b"\xcc\xcc"),
            (
                "8002 0000002f 00000147 80000001 80000000 00000012 40000009 0000 00 0000"
                "03000000 0000 01 0000 0001 bb 0002 cccc"
            ),
        ),
    ],
)
def test_commands_are_these_bytes(made: bytes, expected: str) -> None:
    raw = bytes.fromhex(expected.replace(" ", ""))
    assert made == raw
    assert int.from_bytes(made[2:6], "big") == len(made)


def test_the_endorsement_template_is_that_of_the_profile() -> None:
    """The default template L-1 as a whole; its policy is PolicySecret of the hierarchy."""
    assert len(commands.EK_TEMPLATE) == 314
    step = hashlib.sha256(bytes(32) + bytes.fromhex("000001514000000b")).digest()
    assert hashlib.sha256(step).digest() in commands.EK_TEMPLATE
    attributes = int.from_bytes(commands.EK_TEMPLATE[4:8], "big")
    assert attributes == 0x000300B2
    assert attributes & DECRYPT
    assert not attributes & SIGN


def test_the_attestation_template_has_the_attributes_that_verifiers_ask_for() -> None:
    attributes = int.from_bytes(commands.AK_TEMPLATE[4:8], "big")
    needed = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | RESTRICTED | SIGN
    assert attributes & needed == needed
    assert not attributes & DECRYPT


def test_a_digest_fits_its_bank() -> None:
    with pytest.raises(ValueError, match="another size"):
        commands.pcr_extend(11, "sha256", bytes(20))
    commands.pcr_extend(11, "sha384", bytes(48))


def test_responses_are_taken_apart() -> None:
    plain = bytes.fromhex("8001 0000000c 00000000 abcd".replace(" ", ""))
    assert commands.read_response(plain) == commands.Response(0, 0, b"\xab\xcd")
    session = bytes.fromhex(
        "8002 00000017 00000000 80000001 00000002 abcd 0000010000".replace(" ", "")
    )
    session = session[:5] + bytes([len(session)]) + session[6:]
    found = commands.read_response(session, with_handle=True)
    assert found == commands.Response(0, 0x80000001, b"\xab\xcd")
    refused = bytes.fromhex("8001 0000000a 0000018b".replace(" ", ""))
    assert commands.read_response(refused).code == 0x18B


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "8001",
        "8001 0000000b 00000000",
        "8003 0000000a 00000000",
        "8002 0000000e 00000000 00000005",
    ],
)
def test_a_response_that_is_not_whole_is_refused(raw: str) -> None:
    with pytest.raises(AttestationError):
        commands.read_response(bytes.fromhex(raw.replace(" ", "")))
