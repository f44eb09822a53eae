"""Small PE images for tests, and the scripts of deploy/uki by name."""

from __future__ import annotations

import importlib.util
import struct
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

DEPLOY = Path(__file__).parents[2] / "deploy"
HEADERS = 0x400


@cache
def deploy_script(name: str) -> ModuleType:
    """A script of deploy/uki as a module."""
    spec = importlib.util.spec_from_file_location(f"deploy_{name}", DEPLOY / "uki" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def pe_image(*sections: tuple[str, bytes], signature: bytes = b"") -> bytes:
    """A PE32+ image that no firmware would start, and that is well-formed."""
    optional = struct.pack(
        "<HBBIIIIIQIIHHHHHHIIIIHHQQQQII",
        0x20B, 0, 0, 0, 0, 0, 0, 0, 0, 0x1000, 0x200, 0, 0, 0, 0, 0, 0, 0, 0x1000, HEADERS, 0, 10,
        0, 0, 0, 0, 0, 0, 16,
    ) + bytes(16 * 8)  # fmt: skip
    head = b"MZ" + bytes(0x3A) + struct.pack("<I", 0x40)
    head += b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 0, 0, 0, 0, len(optional), 0x22)
    stub = bytearray(head + optional).ljust(HEADERS, b"\0")
    image = bytearray(deploy_script("pe").add_sections(bytes(stub), sections))
    if signature:
        directory = 0x40 + 24 + 112 + 32
        struct.pack_into("<II", image, directory, len(image), len(signature))
        image += signature
    return bytes(image)


def stub(version: str = "252.39-1", *more: tuple[str, bytes]) -> bytes:
    """Something that passes for systemd-stub."""
    magic = f"#### LoaderInfo: systemd-stub {version} ####".encode()
    return pe_image((".text", b"code" * 100), (".sbat", b"sbat,1"), (".sdmagic", magic), *more)
