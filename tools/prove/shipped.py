"""That the Python module is made of the very code that was examined.

A linker moves code and fills in addresses; everything else it leaves. So the code of each object
file, without the bytes that are to be filled in, must stand in the module.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from pathlib import Path

_RELOCATED = re.compile(r"^([0-9a-f]{16})\s+[0-9a-f]+\s+(R_X86_64_\w+)")
_SECTION = re.compile(r"^\s*\[\s*(\d+)\]\s+(\.text\S*)\s+PROGBITS", re.MULTILINE)


def missing_code(objects: list[Path], module: Path) -> list[str]:
    """The object files and sections whose code is not in the module."""
    text = _bytes_of(module, ".text")
    return [
        f"{path.parent.parent.name}/{path.name} {section}"
        for path in objects
        for section, code in pattern_of(path).items()
        if not code.search(text)
    ]


def pattern_of(path: Path) -> dict[str, re.Pattern[bytes]]:
    """For each section of code a pattern of it: any bytes where the linker writes."""
    found = {}
    for section in _sections(path):
        code = _bytes_of(path, section)
        free = set()
        for offset, kind in _relocations(path, section):
            # "GOTPCRELX": the linker may turn the load before the address into a computation.
            before = 3 if kind.endswith("GOTPCRELX") else 0
            width = 8 if kind.endswith("64") and "PC" not in kind else 4
            free |= set(range(offset - before, offset + width))
        parts = [b"." if i in free else re.escape(code[i : i + 1]) for i in range(len(code))]
        if code:
            found[section] = re.compile(b"".join(parts), re.DOTALL)
    return found


def digest_of(path: Path) -> str:
    """SHA-256 of the code of an object file, before it is linked."""
    digest = hashlib.sha256()
    for section in sorted(_sections(path)):
        digest.update(_bytes_of(path, section))
    return digest.hexdigest()


def build_id(path: Path) -> str:
    """The linker's name for a program or module; empty if it gave none."""
    notes = _output("readelf", "-n", str(path))
    found = re.search(r"Build ID: (\w+)", notes)
    return found[1] if found else ""


def _sections(path: Path) -> list[str]:
    return [name for _, name in _SECTION.findall(_output("readelf", "-SW", str(path)))]


def _relocations(path: Path, section: str) -> list[tuple[int, str]]:
    found, mine = [], False
    for line in _output("readelf", "-rW", str(path)).splitlines():
        if line.startswith("Relocation section"):
            mine = f"'.rela{section}'" in line
        elif mine and (one := _RELOCATED.match(line)):
            found.append((int(one[1], 16), one[2]))
    return found


def _bytes_of(path: Path, section: str) -> bytes:
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(
            ["objcopy", "-O", "binary", f"--only-section={section}",
             "--set-section-flags", f"{section}=alloc", str(path), out.name],
            check=True, capture_output=True,
        )  # fmt: skip
        return Path(out.name).read_bytes()


def _output(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
