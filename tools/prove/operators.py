"""Gates for the operators in Python: memcheck around each, and equal records of kernel calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from mc2.operators.cases import CASES, DATA, Case, Made
from mc2.operators.run import Run


@dataclass(frozen=True)
class Record:
    """What of a case is public: its kernel calls with their shapes, and its declassifications."""

    calls: tuple[Any, ...]
    declassified: tuple[str, ...]


def record(case: Case, data: str) -> Record:
    """Run a case, and keep what could be seen of it."""
    run = Run(record=True)
    case(run, Made(data))
    return Record(tuple(run.calls or ()), tuple(run.declassified))


def differing(cases: dict[str, Case]) -> list[str]:
    """The cases whose records are not the same for every kind of data."""
    return [
        name
        for name, case in cases.items()
        if any(record(case, data) != record(case, DATA[0]) for data in DATA[1:])
    ]


def watch(module: str = "mc2.operators.watched") -> dict[str, Any]:
    """Run every operator on poisoned secrets under memcheck: `leaking` names those reported."""
    done = subprocess.run(
        ["valgrind", "--quiet", "--error-limit=no", "--leak-check=no", "--log-file=/dev/null",
         sys.executable, "-m", module],
        check=False, capture_output=True, text=True,
        env={**os.environ, "PYTHONMALLOC": "malloc"},
    )  # fmt: skip
    if not done.stdout.startswith("{"):
        raise RuntimeError(f"the operators did not run under valgrind: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    wanted = set(CASES) if module.startswith("mc2.") else set(found["operators"])
    if not found["watched"] or set(found["operators"]) != wanted:
        raise RuntimeError("valgrind did not watch every operator")
    return found
