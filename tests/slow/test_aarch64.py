"""The kernels on another processor: compiled for aarch64, and run under qemu's emulation of one."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from tools.prove import binaries

TOOLS = ("aarch64-linux-gnu-g++", "qemu-aarch64")
CASES = 40
"""Of how many cases outputs are compared: some of every family, evenly."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        not all(shutil.which(tool) for tool in TOOLS),
        reason="no compiler for aarch64 or no qemu: tools/system-packages.sh slow",
    ),
]


def test_the_portable_kernels_give_the_same_on_aarch64(tmp_path: Path) -> None:
    cmake = str(Path(sysconfig.get_path("scripts")) / "cmake")
    subprocess.run(
        [
            cmake, "-S", str(binaries.ROOT / "native"), "-B", str(tmp_path),
            "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
            "-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    build = [cmake, "--build", str(tmp_path), "--target", "mc2-cases", "-j", "2"]
    subprocess.run(build, check=True, capture_output=True)
    emulated = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", str(tmp_path / "mc2-cases")]
    whole = _output([*emulated, "all", "portable"])
    assert whole.endswith("not watched: 0 leaking cases")

    here = [str(binaries.build().cases)]
    names = [line.split() for line in _output([*here, "list"]).splitlines()]
    for name, *rows in names[:: max(1, len(names) // CASES)]:
        words = ["run", name, rows[-1], "few", "portable"]
        assert _output([*emulated, *words]) == _output([*here, *words]), name


def _output(words: list[str]) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
