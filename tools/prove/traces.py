"""Gate 2: the whole trace of instructions and data addresses is the same for other data.

Valgrind's lackey prints each instruction fetched and each byte range read or written; what lies
between a case's two marks is hashed. Runs have no randomness of addresses and an empty environment,
and one process runs all cases in turn, so that memory lies alike in every run.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from tools.prove.binaries import DATA

EVERY_SIZE = 1 << 30
Traces = dict[tuple[str, int], tuple[str, int]]
"""By case and rows: the hash of the trace, and how many lines it has."""


def trace(
    program: Path,
    hasher: Path,
    isa: str,
    data: str,
    most_rows: int | None = None,
    parts: int = 1,
) -> Traces:
    """The traces of all cases on one kind of data, of sizes up to `most_rows`.

    Work is cut into so many `parts` as for so many threads; they run one after the other, since the
    trace does not say which thread a line is of.
    """
    words = ["setarch", platform.machine(), "-R", "env", "-i", "valgrind", "--tool=lackey"]
    read, write = os.pipe()
    words += ["--trace-mem=yes", f"--log-fd={write}", str(program), "trace", isa]
    words.append(str(DATA.index(data)))  # words of one length: the stack starts below them
    if most_rows is not None or parts > 1:
        words.append(str(EVERY_SIZE if most_rows is None else most_rows))
    if parts > 1:
        words.append(str(parts))
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, pass_fds=[write], text=True
    ) as run, subprocess.Popen(
        [str(hasher), mark_of(program)], stdin=read, stdout=subprocess.PIPE, text=True
    ) as reader:  # fmt: skip
        os.close(write)
        os.close(read)
        hashes, _ = reader.communicate()
        names, _ = run.communicate()
    found = [line.split() for line in hashes.splitlines()]
    ran = [line.rsplit(" ", 1) for line in names.splitlines()]
    if run.returncode or reader.returncode or len(found) != len(ran) or not ran:
        raise RuntimeError(f"tracing {program.name} {isa} {data} did not work")
    return {
        (name, int(rows)): (one, int(lines))
        for (name, rows), (one, lines) in zip(ran, found, strict=True)
    }


def mark_of(program: Path) -> str:
    """The address of the mark in a program that is not moved when it is loaded."""
    symbols = subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout
    for line in symbols.splitlines():
        if line.endswith(" mc2_trace_mark"):
            return line.split()[0]
    raise RuntimeError(f"{program} has no mark")


def differing(of_data: Mapping[str, Traces]) -> list[str]:
    """The cases whose trace is not the same for all kinds of data."""
    seen: dict[tuple[str, int], set[tuple[str, int] | None]] = defaultdict(set)
    cases: Iterable[tuple[str, int]] = {case for traces in of_data.values() for case in traces}
    for case in cases:
        for traces in of_data.values():
            seen[case].add(traces.get(case))
    return sorted({name for (name, _), hashes in seen.items() if len(hashes) != 1})
