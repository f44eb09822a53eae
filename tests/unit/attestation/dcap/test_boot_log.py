"""RTMRs from the log of a boot: a genuine one, made ones, and every contradiction refused."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.pe_images import pe_image
from tests.support.vectors import case_files, needs_vectors

from mc2.attestation.dcap.boot_log import BootFiles, predict_boot
from mc2.attestation.dcap.quote import parse_quote
from mc2.attestation.tpm.eventlog import replay
from mc2.attestation.tpm.uki import PeImage
from mc2.errors import FormatError

KERNEL = pe_image((".text", b"kernel"))
INITRD = b"a ramdisk"
APPEND = "console=ttyS0"
ATTEMPT = b"Calling EFI Application from Boot Option"
FILES = BootFiles(kernel=KERNEL, initrd=INITRD, append=APPEND)
Entry = tuple[int, int, bytes, bytes]


def sha384(raw: bytes) -> bytes:
    return hashlib.sha384(raw).digest()


def tag(number: int, text: bytes) -> bytes:
    return struct.pack("<II", number, len(text)) + text


def line(text: str) -> bytes:
    return sha384((text + "\0").encode("utf-16-le"))


ENTRIES: list[Entry] = [
    (1, 0x80000009, sha384(b"settings"), b"SecureBoot"),
    (2, 0x80000003, PeImage.parse(KERNEL).authenticode("sha384"), b"where it lay"),
    (2, 0x80000007, sha384(ATTEMPT), ATTEMPT),
    (2, 4, sha384(bytes(4)), bytes(4)),
    (3, 6, line(f"{APPEND} initrd=initrd"), tag(0x8F3B22ED, b"LOADED_IMAGE::LoadOptions\0")),
    (3, 6, sha384(INITRD), tag(0x8F3B22EC, b"Linux initrd\0")),
]


def log(entries: list[Entry]) -> bytes:
    """A crypto-agile log with one bank, SHA-384."""
    header = b"Spec ID Event03\0" + struct.pack("<IBBBB", 0, 0, 2, 0, 2)
    header += struct.pack("<IHH", 1, 0x000C, 48) + b"\0"
    raw = struct.pack("<II", 1, 3) + bytes(20) + struct.pack("<I", len(header)) + header
    for register, kind, digest, data in entries:
        raw += struct.pack("<IIIH", register, kind, 1, 0x000C) + digest
        raw += struct.pack("<I", len(data)) + data
    return raw


def changed(at: int, **fields: Any) -> list[Entry]:
    entry = dict(zip(("register", "kind", "digest", "data"), ENTRIES[at], strict=True)) | fields
    return [*ENTRIES[:at], tuple(entry.values()), *ENTRIES[at + 1 :]]  # type: ignore[list-item]  # its four fields, in order


def test_registers_are_the_logs_and_only_settings_are_taken_on_its_word() -> None:
    found = predict_boot(log(ENTRIES), FILES)
    for name, register in (("rtmr0", 1), ("rtmr1", 2), ("rtmr2", 3)):
        digests = [digest for number, _, digest, _ in ENTRIES if number == register]
        assert found.registers[name] == replay(digests, "sha384")
    assert found.taken == {"rtmr0": 1, "rtmr1": 0, "rtmr2": 0}


def test_without_files_more_is_taken() -> None:
    assert predict_boot(log(ENTRIES), BootFiles()).taken == {"rtmr0": 1, "rtmr1": 1, "rtmr2": 2}


@pytest.mark.parametrize("append", [APPEND, f"{APPEND} initrd=initrd"])
def test_the_command_line_may_name_the_initrd(append: str) -> None:
    entries = changed(4, digest=line(append))
    assert predict_boot(log(entries), FILES).taken["rtmr2"] == 0


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (BootFiles(kernel=pe_image((".text", b"another"))), "kernel"),
        (BootFiles(initrd=b"another"), "initrd"),
        (BootFiles(append="quiet"), "command line"),
        (BootFiles(append=""), "command line"),
    ],
)
def test_files_of_another_boot_are_refused(files: BootFiles, what: str) -> None:
    with pytest.raises(FormatError, match=f"no entry for this {what}"):
        predict_boot(log(ENTRIES), files)


@pytest.mark.parametrize("at", [2, 3])
def test_an_entry_that_contradicts_its_data_is_refused(at: int) -> None:
    with pytest.raises(FormatError, match="not the digest of its data"):
        predict_boot(log(changed(at, digest=sha384(b"x"))), FILES)


def test_a_digest_under_another_kind_explains_nothing() -> None:
    """An initrd's digest, logged as settings of the firmware, is not the start of that initrd."""
    found = predict_boot(log(changed(5, kind=0x80000009)), FILES)
    assert found.taken["rtmr2"] == 1


@pytest.mark.parametrize("register", [1, 2, 3])
def test_each_register_is_in_the_log(register: int) -> None:
    with pytest.raises(FormatError, match=f"extends no RTMR{register - 1}"):
        predict_boot(log([e for e in ENTRIES if e[0] != register]), BootFiles())


@pytest.mark.parametrize(
    "spoil", [lambda raw: b"", lambda raw: raw[:-1], lambda raw: b"x" + raw, lambda raw: raw + b"x"]
)
def test_what_is_no_log_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(FormatError, match="no log of a TDX guest"):
        predict_boot(spoil(log(ENTRIES)), BootFiles())


def test_a_kernel_is_an_image() -> None:
    with pytest.raises(FormatError, match="PE"):
        predict_boot(log(ENTRIES), BootFiles(kernel=b"vmlinux"))


@needs_vectors
def test_a_genuine_log_gives_the_registers_of_its_quote() -> None:
    """Of RTMR0 and RTMR1; log and quote are from different moments, so RTMR2 is another."""
    files = case_files("eventlog-tdx-ccel-live")
    found = predict_boot(files["ccel.bin"], BootFiles())
    body: Any = parse_quote(files["quote.bin"]).body
    assert found.registers["rtmr0"] == body.rtmr[0]
    assert found.registers["rtmr1"] == body.rtmr[1]
    assert found.registers["rtmr2"] != body.rtmr[2]
    assert found.taken["rtmr1"] == 1  # the kernel's
    assert found.taken["rtmr2"] == 2  # its command line and initrd
