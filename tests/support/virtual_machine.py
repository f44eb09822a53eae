"""A machine that boots a unified kernel image: QEMU without hardware help, OVMF, a software TPM.

Slow and the same everywhere: QEMU translates every instruction, so nothing of the host's processor
is needed, and no privileges either.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FIRMWARE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
STUB = Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
BOOT_SECONDS = 900.0  # 40 on a quiet machine; others are not
_PROGRAMS = ("qemu-system-x86_64", "swtpm", "swtpm_setup", "mformat", "mmd", "mcopy")
_MEBIBYTE = 1 << 20


def kernel_version() -> str | None:
    """The newest kernel here that has its modules."""
    found = [p.name.removeprefix("vmlinuz-") for p in Path("/boot").glob("vmlinuz-*")]
    usable = [name for name in found if Path("/lib/modules", name, "kernel").is_dir()]
    return max(usable, default=None)


needs_virtual_machine = pytest.mark.skipif(
    not all(map(shutil.which, _PROGRAMS))
    or not all(path.exists() for path in (FIRMWARE, VARIABLES, STUB))
    or kernel_version() is None,
    reason="no virtual machine can be made here: run tools/system-packages.sh slow as root",
)


class VirtualMachine:
    """A running machine; `port` on this host leads to the guest's port 5000."""

    def __init__(self, process: subprocess.Popen[bytes], console: Path, port: int) -> None:
        self._process = process
        self._console = console
        self.port = port

    def wait_for(self, text: str, seconds: float = BOOT_SECONDS) -> None:
        """Until the guest's console says `text`."""
        deadline = time.monotonic() + seconds
        while text not in self.console():
            if self._process.poll() is not None:
                raise RuntimeError(f"QEMU ended with {self._process.returncode}:\n{self._tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the guest did not say {text!r}:\n{self._tail()}")
            time.sleep(0.2)

    def console(self) -> str:
        """What the guest has said so far."""
        return self._console.read_text(errors="replace") if self._console.exists() else ""

    def _tail(self) -> str:
        return self.console()[-3000:]


@contextmanager
def boot(image: Path, folder: Path, tpm_state: Path) -> Iterator[VirtualMachine]:
    """Boot `image` with a TPM whose state is in `tpm_state`. Leaving the block cuts the power."""
    disk = _disk(image, folder)
    variables = folder / "variables.fd"
    shutil.copyfile(VARIABLES, variables)
    control, console, port = folder / "tpm", folder / "console", _free_port()
    tpm = subprocess.Popen(
        [
            "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={tpm_state}",
            "--ctrl", f"type=unixio,path={control}", "--terminate",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not control.exists() and tpm.poll() is None:
            time.sleep(0.01)
        with (folder / "qemu.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    "qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "max", "-smp", "2",
                    "-m", "3072", "-nodefaults", "-no-user-config", "-display", "none",
                    "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={FIRMWARE}",
                    "-drive", f"if=pflash,format=raw,unit=1,file={variables}",
                    "-drive", f"if=none,id=boot,format=raw,readonly=on,file={disk}",
                    "-device", "virtio-blk-pci,drive=boot,bootindex=0",
                    "-chardev", f"socket,id=tpm,path={control}",
                    "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0",
                    "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:5000",
                    "-device", "virtio-net-pci,netdev=net,romfile=",
                    "-serial", f"file:{console}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            yield VirtualMachine(process, console, port)
        finally:
            process.kill()
            process.wait(30)
    finally:
        tpm.terminate()
        tpm.wait(30)


def _disk(image: Path, folder: Path) -> Path:
    """A FAT disk with the image where firmware looks for one to start."""
    disk = folder / "disk"
    size = image.stat().st_size // _MEBIBYTE + 32
    with disk.open("wb") as file:
        file.truncate(size * _MEBIBYTE)
    for command in (
        ("mformat", "-i", str(disk), "-F", "::"),
        ("mmd", "-i", str(disk), "::/EFI", "::/EFI/BOOT"),
        ("mcopy", "-i", str(disk), str(image), "::/EFI/BOOT/BOOTX64.EFI"),
    ):
        subprocess.run(command, check=True, capture_output=True)
    return disk


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
