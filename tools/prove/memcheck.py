"""Gate 1: every kernel with its secrets poisoned, watched by memcheck (the method of ctgrind).

Memcheck follows each secret bit through registers and memory and reports every jump, every address
and every system call that depends on one. What it cannot see: instructions whose time depends on
their operands (gate 3 looks for those), and code that no case reaches (so does gate 3).
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Watched:
    """What memcheck saw: how many runs, and the cases with reports."""

    isa: str
    threads: int
    runs: int
    leaking: tuple[str, ...]


def watch(program: Path, isa: str, threads: int = 1) -> Watched:
    """Run all cases of a program under memcheck."""
    words = [str(program), "all", isa, *([str(threads)] if threads > 1 else [])]
    done = subprocess.run(
        ["valgrind", "--quiet", "--error-limit=no", "--leak-check=no", *words],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    summary = re.search(
        r"^(\d+) runs, (\w+), under valgrind: (\d+) leaking cases$", done.stdout, re.MULTILINE
    )
    leaking = tuple(re.findall(r"^LEAK (\S+)$", done.stdout, re.MULTILINE))
    if not summary or summary[2] != isa or int(summary[3]) != len(leaking):
        raise RuntimeError(f"memcheck did not finish: {done.stdout[-500:]}{done.stderr[-2000:]}")
    return Watched(isa, threads, int(summary[1]), leaking)
