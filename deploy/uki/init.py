#!/usr/bin/python3 -IB
"""The first and only program of the guest: prepares what a worker needs, starts it, ends with it.

No shell, no login, no package manager, nothing from a disk: all that runs is in the measured image.
Its settings, /etc/mc2/guest.json, are part of that image too.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import platform
import socket
import struct
import subprocess
import sys
from pathlib import Path

MOUNTS = (
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/run"),
    ("tmpfs", "/tmp"),  # noqa: S108  nobody else is on this machine
    ("securityfs", "/sys/kernel/security"),
)
ISOLATED = ("-I", "-B", "-X", "pycache_prefix=/dev/null/mc2")  # as mc2.enclave.measured_code says
FINIT_MODULE = {"x86_64": 313, "aarch64": 273}
POWER_OFF = 0x4321FEDC
UP = 0x1 | 0x40  # IFF_UP | IFF_RUNNING
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> None:
    """Turn the C library's way to fail into ours."""
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(kind: str, where: str) -> None:
    """Mount a file system of the kernel's own."""
    Path(where).mkdir(parents=True, exist_ok=True)
    checked(libc.mount(b"none", where.encode(), kind.encode(), 0, None), f"mount {where}")


def load_module(path: str) -> None:
    """Load a driver of the image."""
    with Path(path).open("rb") as file:
        call = FINIT_MODULE[platform.machine()]
        checked(libc.syscall(call, file.fileno(), b"", 0), f"load {path}")


def bring_up(name: str, address: str, mask: str) -> None:
    """Give an interface its address; there are no routes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:

        def set_address(number: int, text: str) -> None:
            where = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))
            fcntl.ioctl(control, number, struct.pack("16s16s", name.encode(), where))

        set_address(SIOCSIFADDR, address)
        set_address(SIOCSIFNETMASK, mask)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), UP))


def main() -> None:
    """Prepare, and run the worker to its end."""
    settings = json.loads(Path("/etc/mc2/guest.json").read_text())
    for kind, where in MOUNTS:
        mount(kind, where)
    for module in settings["modules"]:
        load_module(module)
    bring_up("lo", "127.0.0.1", "255.0.0.0")
    if settings["address"]:
        bring_up("eth0", settings["address"], settings["mask"])
    subprocess.run(["/sbin/ldconfig"], check=True)
    worker = [sys.executable, *ISOLATED, "-m", "mc2.enclave", *settings["arguments"]]
    print("guest: starting the worker", flush=True)
    done = subprocess.run(worker, stdin=subprocess.DEVNULL, check=False)
    print(f"guest: the worker ended with {done.returncode}", flush=True)


try:
    main()
except BaseException as error:  # noqa: BLE001  whatever it is, no machine stays half up
    print(f"guest: {type(error).__name__}: {error}", flush=True)
finally:
    os.sync()
    libc.reboot(POWER_OFF)
