"""The real machine below a root folder, and the patience with which it is used."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

import pytest
from tests.support.fake_tee import FakeMachine, failure

from mc2.attestation.collect.gramine import GramineCollector
from mc2.attestation.collect.machine import (
    LocalMachine,
    patiently,
    read_file,
    write_file,
)
from mc2.attestation.collect.sev_guest import SevGuestCollector
from mc2.errors import AttestationError

FIONREAD = 0x541B


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sys").mkdir()
    return tmp_path


def test_every_path_lies_below_the_root(root: Path) -> None:
    machine = LocalMachine(root)
    assert not machine.exists("/sys/a")
    machine.make_folder("/sys/a")
    assert (root / "sys/a").stat().st_mode & 0o777 == 0o700
    assert machine.exists("/sys/a")
    with pytest.raises(FileExistsError):
        machine.make_folder("/sys/a")
    machine.remove_folder("/sys/a")
    assert not (root / "sys/a").exists()
    machine.pause(0)


def test_files_are_read_and_written_whole(root: Path) -> None:
    machine = LocalMachine(root)
    (root / "sys/file").write_bytes(b"x" * 10_000)
    assert read_file(machine, "/sys/file", 10_000) == b"x" * 10_000
    with pytest.raises(AttestationError, match="more than 9999 bytes"):
        read_file(machine, "/sys/file", 9999)
    write_file(machine, "/sys/file", b"yz")
    assert (root / "sys/file").read_bytes()[:3] == b"yzx"


def test_nothing_is_created(root: Path) -> None:
    machine = LocalMachine(root)
    with pytest.raises(AttestationError, match="No such file"):
        write_file(machine, "/sys/new", b"x")
    assert not (root / "sys/new").exists()


def test_devices_take_requests(root: Path) -> None:
    os.mkfifo(root / "sys/pipe")
    file = LocalMachine(root).open("/sys/pipe", "both")
    try:
        file.write(b"12345")
        argument = bytearray(4)
        file.ioctl(FIONREAD, argument)
        assert struct.unpack("<i", argument) == (5,)
        with pytest.raises(OSError, match=r"ioctl|appropriate|Invalid"):
            file.ioctl(0xC0205300, bytearray(32))
        assert file.read(9) == b"12345"
    finally:
        file.close()


def test_descriptors_are_not_handed_to_programs(root: Path) -> None:
    (root / "sys/file").write_bytes(b"")
    file = LocalMachine(root).open("/sys/file", "read")
    descriptor = file._descriptor  # type: ignore[attr-defined]  # the flag is on it
    assert fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    file.close()


def test_a_folder_of_plain_files_is_no_tee(root: Path) -> None:
    """Whoever can make such files still cannot make evidence."""
    attestation = root / "dev/attestation"
    attestation.mkdir(parents=True)
    (attestation / "attestation_type").write_text("dcap\n")
    (attestation / "user_report_data").write_bytes(b"")
    (attestation / "quote").write_bytes(b"a quote, they say")
    assert GramineCollector(LocalMachine(root)).available()
    with pytest.raises(AttestationError):
        GramineCollector(LocalMachine(root)).collect(bytes(64))
    (root / "dev/sev-guest").write_bytes(b"")
    with pytest.raises(AttestationError, match="gave no report"):
        SevGuestCollector(LocalMachine(root)).collect(bytes(64))


def test_patience_grows_and_ends() -> None:
    machine = FakeMachine()
    tries: list[int] = []

    def busy() -> None:
        tries.append(1)
        raise failure(errno.EBUSY)

    with pytest.raises(AttestationError, match="it: still busy after 8") as caught:
        patiently(machine, "it", busy)
    assert caught.value.hint
    assert len(tries) == 8
    assert machine.pauses == [0.05 * 2**n for n in range(7)]


def test_errors_of_ours_pass_through() -> None:
    def wrong() -> None:
        raise AttestationError("wrong")

    machine = FakeMachine()
    with pytest.raises(AttestationError, match=r"\Awrong\Z"):
        patiently(machine, "it", wrong)
    assert machine.pauses == []


def test_a_write_that_takes_nothing_is_an_error() -> None:
    class Stuck(FakeMachine):
        def open(self, path, access):
            return self

        def write(self, raw: bytes) -> int:
            return 0

        def close(self) -> None:
            self.did.append("close")

    machine = Stuck()
    with pytest.raises(AttestationError, match="cannot be written"):
        write_file(machine, "/x", b"x")
    assert machine.did == ["close"]
