"""`mc2 doctor --oblivious`: what was proved of the kernels, and a short form of it here.

The report is part of a released wheel: docs/spec/obliviousness-report.md. It is about one compiled
module, named by its hash; another one, compiled on this machine for instance, is not proved by it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from mc2.cli.findings import GOOD, NOTE, POOR, Finding

_REPORT: Final = Path(__file__).parents[1] / "_native" / "obliviousness-report.json"
_SCHEMA: Final = "https://mc2.dev/obliviousness-report/v1"
_MODULE: Final = (
    "import mc2.operators.run, mc2._native.kernels as k; print(k.__file__); print(k.isa())"
)
_MINUTES: Final = 600
_NOTES: Final = 4
_BUILD_ID: Final = 3


def findings(report: Path = _REPORT) -> list[Finding]:
    """What is known of the installed kernels."""
    done = subprocess.run(
        [sys.executable, "-c", _MODULE], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return [
            Finding("native kernels", POOR, "the compiled module does not load", "reinstall mc2")
        ]
    module, isa = done.stdout.splitlines()
    content = Path(module).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    loaded = Finding("native kernels", GOOD, f"{isa}, SHA-256 {digest}")
    return [loaded, *_shipped(report, digest, build_id(content)), _watched()]


def build_id(module: bytes) -> str:
    """The linker's name for what it linked, which stripping leaves; empty if there is none.

    A 64-bit ELF file's notes (System V ABI, chapter 5) are segments of type 4; the name is one of
    type 3 by "GNU".
    """
    try:
        (table,) = struct.unpack_from("<Q", module, 32)
        size, count = struct.unpack_from("<HH", module, 54)
        for place in range(table, table + size * count, size):
            kind, _, start, *_, length = struct.unpack_from("<IIQQQQ", module, place)
            at = start
            while kind == _NOTES and at + 12 <= start + length:
                name, content, what = struct.unpack_from("<III", module, at)
                begins = at + 12 + -(-name // 4) * 4
                if what == _BUILD_ID and module[at + 12 : at + 12 + name] == b"GNU\0":
                    return module[begins : begins + content].hex()
                at = begins + -(-content // 4) * 4
    except (struct.error, ValueError, OverflowError):
        pass
    return ""


def _shipped(path: Path, digest: str, build: str = "") -> list[Finding]:
    """The report of the release, and whether it is about this module."""
    what = "report of the release"
    if not path.exists():
        detail = "none: these kernels were not built by a release"
        return [Finding(what, NOTE, detail, "in a checkout: make prove")]
    try:
        report = json.loads(path.read_bytes())
        if report["schema"] != _SCHEMA:
            return [Finding(what, POOR, f"it has another form than {_SCHEMA}", "reinstall mc2")]
        found = [_summary(what, report)]
        of_this = report["build"]["module_sha256"] == digest
        of_build = bool(build) and report["build"].get("build_id") == build
    except (ValueError, KeyError, TypeError, AttributeError):
        return [Finding(what, POOR, "it cannot be read", "reinstall mc2")]
    if of_this:
        return [*found, Finding("the same kernels", GOOD, "the report is about this very module")]
    if of_build:
        detail = f"the report is about this build ({build}); the module was stripped since"
        return [*found, Finding("the same kernels", GOOD, detail)]
    detail = "the report is about another build than the one installed here"
    return [*found, Finding("the same kernels", POOR, detail, "install the released wheel")]


def _summary(what: str, report: dict[str, Any]) -> Finding:
    planted = {name for mutants in report["mutants"].values() for name in mutants}
    exceptions = {
        (one["function"], one["kind"])
        for code in report["code"].values()
        for one in code["allowed"]
    }
    detail = (
        f"mc2 {report['mc2']}, {report['build']['compiler']}, {', '.join(report['isas'])}: "
        f"{len(report['kernels'])} cases of kernels, {len(report['operators']['cases'])} of "
        f"operators, {len(report['data'])} kinds of data, {len(planted)} planted leaks, "
        f"{len(exceptions)} exceptions with reasons"
    )
    if report["passed"] is True:
        return Finding(what, GOOD, detail)
    return Finding(what, POOR, f"{detail}; it did not pass", "do not use oblivious mode")


def _watched() -> Finding:
    """Every operator on this machine, its secrets poisoned, under valgrind."""
    what = "operators under valgrind"
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        hint = "Debian: apt-get install valgrind"
        return Finding(what, NOTE, "not run: valgrind is not installed", hint)
    done = subprocess.run(
        [valgrind, "--quiet", "--error-limit=no", "--leak-check=no", "--log-file=/dev/null",
         sys.executable, "-m", "mc2.operators.watched"],
        capture_output=True, text=True, check=False, timeout=_MINUTES,
        env={**os.environ, "PYTHONMALLOC": "malloc"},
    )  # fmt: skip
    try:
        found = json.loads(done.stdout)
        watched, leaking = found["watched"], found["leaking"]
    except (ValueError, KeyError, TypeError):
        return Finding(what, POOR, "they did not run under valgrind here", "see: make prove")
    if not watched:
        hint = "build with valgrind's headers (memcheck.h) to hand"
        return Finding(what, NOTE, "these kernels were built without marks for valgrind", hint)
    if leaking:
        named = ", ".join(leaking)
        return Finding(what, POOR, f"uses of secrets in {named}", "do not use oblivious mode")
    return Finding(
        what, GOOD, f"{len(found['operators'])} cases, no use of a secret ({found['isa']})"
    )
