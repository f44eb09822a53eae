"""Where the compiled kernels are, and the programs that run each of them on made-up secrets."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ISAS = ("portable", "avx2")
DATA = ("random", "equal", "sorted", "reversed", "few", "skewed")


@dataclass(frozen=True)
class Binaries:
    """One build: `cases` runs the kernels, `leaky` the planted leaks, `trace_hash` reads traces."""

    folder: Path
    cases: Path
    leaky: Path
    trace_hash: Path
    isas: tuple[str, ...]

    def objects(self, isa: str, library: str = "mc2") -> dict[str, Path]:
        """The object file of each family."""
        found = self.folder.glob(f"CMakeFiles/{library}_{isa}.dir/**/kernels/*.o")
        wanted = families() if library == "mc2" else ["leaky"]
        objects = {path.name.removesuffix(".cpp.o"): path for path in found}
        return {family: objects[family] for family in wanted}


@cache
def families() -> list[str]:
    """All families of kernels."""
    text = (ROOT / "native" / "families.def").read_text()
    return re.findall(r"^MC2_FAMILY\((\w+),", text, re.MULTILINE)


def build() -> Binaries:
    """Build what verifies, in the tree of the Python module: the same objects are linked.

    `$MC2_KERNEL_BUILD` names another tree, made by `cmake -S native -B TREE -G Ninja`.
    """
    folder = _tree()
    with (folder / ".verify.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make(folder)
    native = folder if (folder / "mc2-cases").exists() else folder / "native"
    isas = tuple(isa for isa in ISAS if (native / f"CMakeFiles/mc2_{isa}.dir").exists())
    programs = (native / name for name in ("mc2-cases", "mc2-leaky-cases", "trace-hash"))
    return Binaries(native, *programs, isas)


def _tree() -> Path:
    if wish := os.environ.get("MC2_KERNEL_BUILD"):
        return Path(wish)
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    folders = sorted(ROOT.glob(f"build/{tag}-*/build.ninja"))
    if not folders:
        raise SystemExit("the kernels have not been built: make setup")
    return folders[-1].parent


def _make(folder: Path) -> None:
    scripts = sysconfig.get_path("scripts")
    path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["cmake", "--build", str(folder), "--target", "mc2-verify"],
        check=False, capture_output=True, text=True, env={**os.environ, "PATH": path},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"building the verification programs failed:\n{done.stdout}{done.stderr}")


def here(isa: str) -> bool:
    """Whether this machine can run the kernels of an instruction set."""
    return isa == "portable" or {"avx2", "bmi2", "fma"} <= _cpu_flags()


@cache
def _cpu_flags() -> frozenset[str]:
    text = Path("/proc/cpuinfo").read_text()
    found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return frozenset(found[1].split() if found else ())
