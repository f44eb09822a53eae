"""Gates for the operators in Python: memcheck around each, and equal records of kernel calls."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
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


def watch(
    module: str = "mc2.operators.watched", isa: str = "", names: Sequence[str] = ()
) -> dict[str, Any]:
    """Run every operator on poisoned secrets under memcheck: `leaking` names those reported.

    On the kernels of an instruction set; of the best one that there is, if it is empty. With
    `names` the cases of these names alone.
    """
    done = subprocess.run(
        ["valgrind", "--quiet", "--error-limit=no", "--leak-check=no", "--log-file=/dev/null",
         sys.executable, "-m", module, *names],
        check=False, capture_output=True, text=True,
        env={**os.environ, "PYTHONMALLOC": "malloc", **({"MC2_ISA": isa} if isa else {})},
    )  # fmt: skip
    if not done.stdout.startswith("{"):
        raise RuntimeError(f"the operators did not run under valgrind: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    wanted = set(names or CASES) if module.startswith("mc2.") else set(found["operators"])
    if not found["watched"] or set(found["operators"]) != wanted or isa not in {"", found["isa"]}:
        raise RuntimeError("valgrind did not watch every operator")
    return found


def unseen_statements(cases: dict[str, Case], modules: list[Path]) -> tuple[list[str], int]:
    """The statements of functions that no case runs, as `module:line`, and how many there are.

    What is not run, memcheck and the recorder have not seen either. Refusals (`raise`) are left
    out.
    """
    seen: dict[str, set[int]] = defaultdict(set)

    def watch(frame: FrameType, _event: str, _: object) -> Any:
        name = frame.f_code.co_filename
        if name not in wanted:
            return None
        seen[name].add(frame.f_lineno)
        return watch

    wanted = {str(path) for path in modules}
    before = sys.gettrace()
    sys.settrace(watch)
    try:
        for case in cases.values():
            case(Run(record=True), Made(DATA[0]))
    finally:
        sys.settrace(before)
    unseen, count = [], 0
    for path in modules:
        for first, last in _statements(ast.parse(path.read_text())):
            count += 1
            if seen[str(path)].isdisjoint(range(first, last + 1)):
                unseen.append(f"{path.stem}:{first}")
    return unseen, count


def _statements(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """First and last lines of what functions do; of a branch or a loop those of its head."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for one in ast.walk(ast.Module(function.body, [])):
            if not isinstance(one, ast.stmt) or isinstance(one, (ast.Raise, ast.FunctionDef)):
                continue
            if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant):
                continue  # a docstring
            body = getattr(one, "body", None)
            last = body[0].lineno - 1 if body else one.end_lineno or one.lineno
            yield one.lineno, max(one.lineno, last)
